/*
 * Runs a program of avr.c in simavr:
 *
 *     simulate_avr ELF CHIP ADDRESS_OF_x BYTES_OF_x ADDRESS_OF_result END_OF_STATIC N_ROWS ROWS
 *
 * Prints the result and the cycles of each row, then the bytes of the stack.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim_avr.h"
#include "sim_elf.h"
#include "sim_io.h"

enum { SIGNAL = 0x3e, STACK_POINTER = 0x5d, PAINT = 0xa5 };

static FILE *rows;
static uint32_t x, n_bytes, result, end, n_rows, row;
static uint64_t start;
static int is_over;

static uint16_t word(avr_t *avr, uint32_t address)
{
    return (uint16_t)(avr->data[address] | avr->data[address + 1] << 8);
}

static void signalled(avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    uint32_t k;
    (void)param;
    avr->data[address] = value;
    if (value == 1) {
        if (!row) /* below its pointer the stack is free */
            for (k = end; k <= word(avr, STACK_POINTER); k++)
                avr->data[k] = PAINT;
        if (fread(avr->data + x, 1, n_bytes, rows) != n_bytes)
            exit(3);
        start = avr->cycle;
        return;
    }
    printf("%d %llu\n", (int16_t)word(avr, result), (unsigned long long)(avr->cycle - start));
    is_over = ++row == n_rows;
    if (is_over) {
        for (k = end; k < avr->ramend && avr->data[k] == PAINT; k++)
            ;
        printf("%u\n", (unsigned)(avr->ramend + 1 - k));
    }
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    avr_t *avr;
    if (argc != 9 || elf_read_firmware(argv[1], &firmware) || !(avr = avr_make_mcu_by_name(argv[2])))
        return 2;
    x = (uint32_t)strtoul(argv[3], NULL, 0);
    n_bytes = (uint32_t)strtoul(argv[4], NULL, 0);
    result = (uint32_t)strtoul(argv[5], NULL, 0);
    end = (uint32_t)strtoul(argv[6], NULL, 0);
    n_rows = (uint32_t)strtoul(argv[7], NULL, 0);
    rows = fopen(argv[8], "rb");
    avr_init(avr);
    avr->frequency = 16000000;
    avr->log = LOG_ERROR;
    avr_load_firmware(avr, &firmware);
    avr_register_io_write(avr, SIGNAL, signalled, NULL);
    while (!is_over) {
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed)
            return 4;
    }
    return 0;
}
