/*
 * One prediction on a Cortex-M. With SIMULATED it predicts rows that QEMU has loaded, and prints
 * the result and the ticks of each, then the bytes of the stack; otherwise it is what is measured.
 */
#include <stdint.h>

#include MODEL

X_TYPE x[N_INPUTS];
volatile int32_t result;

extern uint32_t constants_end, data_begin, data_end, zero_begin, zero_end, stack_end;
int main(void);

void reset(void)
{
    const uint32_t *from = &constants_end;
    uint32_t *to;
    for (to = &data_begin; to < &data_end;)
        *to++ = *from++;
    for (to = &zero_begin; to < &zero_end;)
        *to++ = 0;
    main();
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {
    &stack_end, (const void *)reset
};

#ifndef SIMULATED
int main(void)
{
    __asm__ volatile("" ::: "memory");
    result = (int32_t)entry(x);
    return 0;
}
#else
#define PAINT 0xa5a5a5a5UL
#define ROWS ((const uint8_t *)0x21000000)
static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010;

static void semihosting(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register uint32_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print(uint32_t value, char last)
{
    char text[12];
    char *c = text + 10;
    c[0] = last;
    c[1] = 0;
    do
        *--c = (char)('0' + value % 10);
    while (value /= 10);
    semihosting(4, (uint32_t)c);
}

int main(void)
{
    uint32_t row, k;
    volatile uint32_t *free, *lowest = (volatile uint32_t *)((uint32_t)__builtin_frame_address(0) - 256);
    for (free = &zero_end; free < lowest; free++)
        *free = PAINT;
    systick[1] = 0xffffff;
    systick[0] = 5;
    for (row = 0; row < N_ROWS; row++) {
        uint32_t begin, ticks;
        for (k = 0; k < sizeof x; k++)
            ((uint8_t *)x)[k] = ROWS[row * sizeof x + k];
        begin = systick[2];
        __asm__ volatile("" ::: "memory");
        result = (int32_t)entry(x);
        __asm__ volatile("" ::: "memory");
        ticks = (begin - systick[2]) & 0xffffff;
        print((uint32_t)result, ' ');
        print(ticks, '\n');
    }
    for (free = &zero_end; *free == PAINT; free++)
        ;
    print((uint32_t)&stack_end - (uint32_t)free, '\n');
    semihosting(0x18, 0x20026);
    return 0;
}
#endif
