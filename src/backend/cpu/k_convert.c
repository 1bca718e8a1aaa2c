/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of elements: through blocks of doubles in the L1 cache, which hold every value of
 * every type here but 64-bit integers beyond 2^53, and those are rounded (i64 to i32 is exact).
 * Same results as ftl_elements_convert(), without branches in the loops. */
#include "backend/cpu/kernels_move.h"

#include <math.h>
#include <string.h>

#include "backend/cpu/k_nest.h"

enum { BLOCK = 512 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754-2008 binary16, round to nearest even; all three ranges are computed, one is taken. */
static uint16_t to_f16(float value)
{
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    const uint32_t normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    const uint32_t tiny = bits_of(float_of(size) + 0.5f) - 0x3f000000; /* rounds at 2^-24 */
    const uint32_t large = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (size >= 0x477ff000 ? large : size < 0x38800000 ? tiny : normal));
}

static float from_f16(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, size = half & 0x7fff;
    const uint32_t tiny = bits_of((float)(int32_t)size * 0x1p-24f);
    const uint32_t normal = (size << 13) + 0x38000000, large = 0x7f800000 | (size & 0x3ff) << 13;
    return float_of(sign | (size >= 0x7c00 ? large : size < 0x400 ? tiny : normal));
}

static uint16_t to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}

static float from_bf16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

/* Truncates and clamps to [least, most]; NaN gives 0. */
static double whole(double x, double least, double most)
{
    const double inside = x < least ? least : x > most ? most : x;
    return inside == inside ? inside : 0;
}

static int64_t to_i64(double x)
{
    if (x >= 0x1p63) return INT64_MAX;
    return x >= -0x1p63 ? (int64_t)x : x == x ? INT64_MIN : 0;
}

/* Elements [at, at + n) as doubles. */
static void load(ftl_dtype dtype, double *to, const void *in, int64_t at, int64_t n)
{
    switch (dtype) {
#define LOAD(id, type, expression)                                                                 \
    case FTL_DTYPE_##id: {                                                                         \
        const type *from = (const type *)in + at;                                                  \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = from[i];                                                                \
            to[i] = (double)(expression);                                                          \
        }                                                                                          \
        break;                                                                                     \
    }
        LOAD(F32, float, x)
        LOAD(F16, uint16_t, from_f16(x))
        LOAD(BF16, uint16_t, from_bf16(x))
        LOAD(F64, double, x)
        LOAD(I8, int8_t, x)
        LOAD(U8, uint8_t, x)
        LOAD(I32, int32_t, x)
        LOAD(I64, int64_t, x)
        LOAD(BOOL, uint8_t, x != 0)
#undef LOAD
    default: break;
    }
}

static void store(ftl_dtype dtype, void *out, const double *from, int64_t at, int64_t n)
{
    switch (dtype) {
#define STORE(id, type, expression)                                                                \
    case FTL_DTYPE_##id: {                                                                         \
        type *to = (type *)out + at;                                                               \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = from[i];                                                              \
            to[i] = (type)(expression);                                                            \
        }                                                                                          \
        break;                                                                                     \
    }
        STORE(F32, float, x)
        STORE(F16, uint16_t, to_f16((float)x))
        STORE(BF16, uint16_t, to_bf16((float)x))
        STORE(F64, double, x)
        STORE(I8, int8_t, whole(x, INT8_MIN, INT8_MAX))
        STORE(U8, uint8_t, whole(x, 0, UINT8_MAX))
        STORE(I32, int32_t, whole(x, INT32_MIN, INT32_MAX))
        STORE(I64, int64_t, to_i64(x))
        STORE(BOOL, uint8_t, x != 0)
#undef STORE
    default: break;
    }
}

static bool is_known(ftl_dtype dtype)
{
    return dtype != FTL_DTYPE_I16 && dtype != FTL_DTYPE_U16 && dtype != FTL_DTYPE_U32 &&
           dtype != FTL_DTYPE_U64 && k_dtype_bytes(dtype) > 0;
}

bool ftl_convert_has(ftl_dtype to, ftl_dtype from)
{
    return to == from ? k_dtype_bytes(to) > 0 : is_known(to) && is_known(from);
}

void k_convert(ftl_dtype to, void *out, ftl_dtype from, const void *in, int64_t begin, int64_t end)
{
    if (begin >= end) return;
    if (to == from) {
        const size_t bytes = k_dtype_bytes(to);
        memcpy((char *)out + (size_t)begin * bytes, (const char *)in + (size_t)begin * bytes,
               (size_t)(end - begin) * bytes);
        return;
    }
    double block[BLOCK];
    for (int64_t at = begin; at < end; at += BLOCK) {
        const int64_t n = end - at < BLOCK ? end - at : BLOCK;
        load(from, block, in, at, n);
        store(to, out, block, at, n);
    }
}
