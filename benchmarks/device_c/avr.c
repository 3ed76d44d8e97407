/* Predicts over and over; the simulator fills x in at the first signal, and reads at the second. */
#include <avr/io.h>
#include <stdint.h>

#include MODEL

X_TYPE x[N_INPUTS];
volatile int16_t result;

int main(void)
{
    for (;;) {
        GPIOR0 = 1;
        __asm__ volatile("" ::: "memory");
        result = (int16_t)entry(x);
        __asm__ volatile("" ::: "memory");
        GPIOR0 = 2;
    }
}
