"""Parts of the C code that are the same for all networks; ``@`` begins all names."""

PREAMBLE = """\
#include <stdint.h>
#ifdef __AVR__
#include <avr/pgmspace.h>
#define @CONST PROGMEM
#define @READ8(place) pgm_read_byte(place)
#define @READ16(place) pgm_read_word(place)
#define @READ32(place) pgm_read_dword(place)
#define @READF(place) pgm_read_float(place)
#else
#define @CONST
#define @READ8(place) (*(place))
#define @READ16(place) (*(place))
#define @READ32(place) (*(place))
#define @READF(place) (*(place))
#endif
#ifndef @API
#define @API /* such as static inline, to include this in several files */
#endif"""
SHORT = """\
/* The single-precision number of which these are the upper 16 bits. */
static inline float @short(uint16_t upper)
{
    union { uint32_t bits; float value; } number;
    number.bits = (uint32_t)upper << 16;
    return number.value;
}"""
FIXED = """\
#define @MISSING (-2147483647 - 1)

/* x * 2^exponent, to nearest, at most 2^30 - 1 in size; @MISSING for NaN. */
static int32_t @fixed(float x, int8_t exponent)
{
    union { float value; uint32_t bits; } number;
    uint32_t size;
    int16_t shift;
    number.value = x;
    shift = (int16_t)((number.bits >> 23) & 255);
    size = number.bits & 0x7fffffUL;
    if (shift == 255 && size)
        return @MISSING;
    if (!shift) /* less than 2^-126 */
        return 0;
    size |= 0x800000UL;
    shift = (int16_t)(shift - 150 + exponent);
    if (shift > 6)
        size = 0x3fffffffUL;
    else if (shift >= 0)
        size <<= shift;
    else if (shift < -24)
        size = 0;
    else
        size = ((size >> (-1 - shift)) + 1) >> 1;
    return number.bits >> 31 ? -(int32_t)size : (int32_t)size;
}"""
SCALED = """\
/* sum / 2^8 * factor / 2^shift, rounded to nearest both times, at most {saturation} in size. */
static int16_t @scaled(int32_t sum, uint8_t factor, uint8_t shift)
{{
    uint32_t size = sum < 0 ? (uint32_t)-sum : (uint32_t)sum;
    size = ((size + 128) >> 8) * factor;
    size = ((size >> (shift - 1)) + 1) >> 1;
    if (size > {saturation})
        size = {saturation};
    return sum < 0 ? (int16_t)-(int16_t)size : (int16_t)size;
}}"""
ADDED = """\
/* sum + weight * value. */
static inline int32_t @added(int32_t sum, int8_t weight, int16_t value)
{
#ifdef __AVR_HAVE_MUL__ /* whose compilers call a function that multiplies 16 bits by 16 */
    int8_t sign;
    __asm__(
        "mulsu %[weight], %A[value]\\n\\t"
        "sbc %[sign], %[sign]\\n\\t"
        "add %A[sum], r0\\n\\t"
        "adc %B[sum], r1\\n\\t"
        "adc %C[sum], %[sign]\\n\\t"
        "adc %D[sum], %[sign]\\n\\t"
        "muls %[weight], %B[value]\\n\\t"
        "sbc %[sign], %[sign]\\n\\t"
        "add %B[sum], r0\\n\\t"
        "adc %C[sum], r1\\n\\t"
        "adc %D[sum], %[sign]\\n\\t"
        "clr r1"
        : [sum] "+r"(sum), [sign] "=&r"(sign)
        : [weight] "a"(weight), [value] "a"(value)
        : "r0");
    return sum;
#else
    return sum + (int32_t)weight * value;
#endif
}"""
TANH = """\
/* Lines between the entries of a table; {steps} steps of z are worth 1. */
static int16_t @activation(int16_t z)
{{
    uint16_t size = z < 0 ? (uint16_t)-z : (uint16_t)z;
    uint16_t place = (uint16_t)(size >> {bits}), value;
    if (place >= {last}) {{
        value = {top};
    }} else {{
        uint16_t before = {before}, after = {after};
        uint32_t slope = (uint16_t)(after - before);
        value = (uint16_t)(before + (slope * (size & {mask}) >> {bits}));
    }}
    {result}
}}"""
FLOAT_ACTIVATIONS = {
    "relu": "    return z < 0.0f ? 0.0f : z;",
    "tanh": "    return (float)tanhf(z);",
    "logistic": "    return 1.0f / (1.0f + (float)expf(-z));",
}
# How the weights of a unit are found, by index form; ADD adds the product of the next weight.
SUMS = {
    "dense": ["for (k = 0; k < N_IN; k++)", "    ADD(in[k]);"],
    "list": ["for (k = COUNT; k > 0; k--)", "    ADD(in[@READ8(index++)]);"],
    "gaps8": [
        "PLACE at = 0;",
        "for (k = COUNT; k > 0; k--) {",
        "    uint8_t gap;",
        "    do {",
        "        gap = @READ8(index++);",
        "        at = (PLACE)(at + gap);",
        "    } while (gap == 255);",
        "    ADD(in[at++]);",
        "}",
    ],
    "gaps4": [
        "PLACE at = 0;",
        "for (k = COUNT; k > 0; k--) {",
        "    uint8_t gap;",
        "    do {",
        "        if (!n_bits)",
        "            bits = @READ8(index++);",
        "        gap = bits & 15;",
        "        bits = (uint8_t)(bits >> 4);",
        "        n_bits ^= 1;",
        "        at = (PLACE)(at + gap);",
        "    } while (gap == 15);",
        "    ADD(in[at++]);",
        "}",
    ],
    "mask": [
        "for (k = 0; k < N_IN; k = (MASK)(k + 8)) {",
        "    uint8_t bits = @READ8(index++);",
        "    const VALUE *at = in + k;",
        "    for (; bits; bits = (uint8_t)(bits >> 1), at++)",
        "        if (bits & 1)",
        "            ADD(*at);",
        "}",
    ],
}
