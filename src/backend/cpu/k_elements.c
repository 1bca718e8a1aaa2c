/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise rows on integers and bool, comparisons, select.
 * Idea: one macro row an operation and type; strides that are 0 or 1 are constants in its loops, so
 * that the compiler makes vectors of them. */
#include "backend/cpu/kernels_move.h"

#include <string.h>

#include "backend/cpu/k_nest.h"

/* Runs `expression` of x and y over a row. */
#define LOOP(out_type, type, stride_a, stride_b, expression)                                       \
    for (int64_t i = 0; i < n; i++) {                                                              \
        const type x = ((const type *)a)[i * (stride_a)], y = ((const type *)b)[i * (stride_b)];   \
        ((out_type *)out)[i] = (out_type)(expression);                                             \
    }
#define ROW(out_type, type, expression)                                                            \
    {                                                                                              \
        if (sa == 1 && sb == 1) LOOP(out_type, type, 1, 1, expression)                             \
        else if (sa == 1 && sb == 0) LOOP(out_type, type, 1, 0, expression)                        \
        else if (sa == 0 && sb == 1) LOOP(out_type, type, 0, 1, expression)                        \
        else LOOP(out_type, type, sa, sb, expression)                                              \
    }                                                                                              \
    break

/* Rounds towards zero; by zero gives 0; the one quotient that does not fit wraps. */
static int32_t div_i32(int32_t x, int32_t y)
{
    if (y == 0) return 0;
    return y == -1 ? (int32_t)(0u - (uint32_t)x) : x / y;
}

static int64_t div_i64(int64_t x, int64_t y)
{
    if (y == 0) return 0;
    return y == -1 ? (int64_t)(0ull - (uint64_t)x) : x / y;
}

/* Sign of the dividend; by zero gives the dividend. */
static int32_t mod_i32(int32_t x, int32_t y)
{
    return y == 0 ? x : y == -1 ? 0 : x % y;
}

static int64_t mod_i64(int64_t x, int64_t y)
{
    return y == 0 ? x : y == -1 ? 0 : x % y;
}

/* Sums and products in the unsigned type, where they wrap. */
static void row_i32(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                    int64_t n)
{
    switch (op) {
    case FTL_OP_add: ROW(uint32_t, uint32_t, x + y);
    case FTL_OP_sub: ROW(uint32_t, uint32_t, x - y);
    case FTL_OP_mul: ROW(uint32_t, uint32_t, x * y);
    case FTL_OP_and: ROW(uint32_t, uint32_t, x & y);
    case FTL_OP_or: ROW(uint32_t, uint32_t, x | y);
    case FTL_OP_xor: ROW(uint32_t, uint32_t, x ^ y);
    case FTL_OP_max: ROW(int32_t, int32_t, x < y ? y : x);
    case FTL_OP_min: ROW(int32_t, int32_t, y < x ? y : x);
    case FTL_OP_div: ROW(int32_t, int32_t, div_i32(x, y));
    case FTL_OP_mod: ROW(int32_t, int32_t, mod_i32(x, y));
    default: break;
    }
}

static void row_i64(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                    int64_t n)
{
    switch (op) {
    case FTL_OP_add: ROW(uint64_t, uint64_t, x + y);
    case FTL_OP_sub: ROW(uint64_t, uint64_t, x - y);
    case FTL_OP_mul: ROW(uint64_t, uint64_t, x * y);
    case FTL_OP_and: ROW(uint64_t, uint64_t, x & y);
    case FTL_OP_or: ROW(uint64_t, uint64_t, x | y);
    case FTL_OP_xor: ROW(uint64_t, uint64_t, x ^ y);
    case FTL_OP_max: ROW(int64_t, int64_t, x < y ? y : x);
    case FTL_OP_min: ROW(int64_t, int64_t, y < x ? y : x);
    case FTL_OP_div: ROW(int64_t, int64_t, div_i64(x, y));
    case FTL_OP_mod: ROW(int64_t, int64_t, mod_i64(x, y));
    default: break;
    }
}

/* Any byte that is not 0 is true. */
static void row_bool(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                     int64_t n)
{
    switch (op) {
    case FTL_OP_and:
    case FTL_OP_min:
    case FTL_OP_mul: ROW(uint8_t, uint8_t, (x != 0) & (y != 0));
    case FTL_OP_or:
    case FTL_OP_max:
    case FTL_OP_add: ROW(uint8_t, uint8_t, (x | y) != 0);
    case FTL_OP_xor: ROW(uint8_t, uint8_t, (x != 0) ^ (y != 0));
    default: break;
    }
}

static void compare_f32(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                        int64_t n)
{
    switch (op) {
    case FTL_OP_equal: ROW(uint8_t, float, x == y);
    case FTL_OP_less: ROW(uint8_t, float, x < y);
    case FTL_OP_less_equal: ROW(uint8_t, float, x <= y);
    default: break;
    }
}

static void compare_i32(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                        int64_t n)
{
    switch (op) {
    case FTL_OP_equal: ROW(uint8_t, int32_t, x == y);
    case FTL_OP_less: ROW(uint8_t, int32_t, x < y);
    case FTL_OP_less_equal: ROW(uint8_t, int32_t, x <= y);
    default: break;
    }
}

static void compare_i64(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                        int64_t n)
{
    switch (op) {
    case FTL_OP_equal: ROW(uint8_t, int64_t, x == y);
    case FTL_OP_less: ROW(uint8_t, int64_t, x < y);
    case FTL_OP_less_equal: ROW(uint8_t, int64_t, x <= y);
    default: break;
    }
}

static void compare_bool(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                         int64_t n)
{
    switch (op) {
    case FTL_OP_equal: ROW(uint8_t, uint8_t, (x != 0) == (y != 0));
    case FTL_OP_less: ROW(uint8_t, uint8_t, (x == 0) & (y != 0));
    case FTL_OP_less_equal: ROW(uint8_t, uint8_t, (x == 0) | (y != 0));
    default: break;
    }
}

/* ---- over nests ----------------------------------------------------------------------------- */

typedef void row_fn(ftl_op op, void *out, const void *a, int64_t sa, const void *b, int64_t sb,
                    int64_t n);

static void over_rows(row_fn *f, ftl_op op, size_t out_bytes, size_t bytes, const ftl_nest *nest,
                      char *out, const char *a, const char *b, int64_t begin, int64_t end)
{
    if (begin >= end) return;
    const int32_t last = nest->rank - 1;
    k_nest_place p;
    k_nest_seek(nest, &p, begin);
    while (begin < end) {
        const int64_t n = k_nest_run(nest, &p, end - begin);
        f(op, out + begin * (int64_t)out_bytes, a + p.offset[1] * (int64_t)bytes,
          nest->stride[1][last], b + p.offset[2] * (int64_t)bytes, nest->stride[2][last], n);
        k_nest_step(nest, &p, n);
        begin += n;
    }
}

static row_fn *binary_of(ftl_dtype dtype)
{
    switch (dtype) {
    case FTL_DTYPE_I32: return row_i32;
    case FTL_DTYPE_I64: return row_i64;
    case FTL_DTYPE_BOOL: return row_bool;
    default: return NULL;
    }
}

bool ftl_binary_int_has(ftl_op op, ftl_dtype dtype)
{
    switch (op) {
    case FTL_OP_add:
    case FTL_OP_mul:
    case FTL_OP_and:
    case FTL_OP_or:
    case FTL_OP_xor:
    case FTL_OP_max:
    case FTL_OP_min: return binary_of(dtype) != NULL;
    case FTL_OP_sub:
    case FTL_OP_div:
    case FTL_OP_mod: return dtype == FTL_DTYPE_I32 || dtype == FTL_DTYPE_I64;
    default: return false;
    }
}

void k_binary_int(ftl_op op, ftl_dtype dtype, const ftl_nest *nest, void *out, const void *a,
                  const void *b, int64_t begin, int64_t end)
{
    const size_t bytes = k_dtype_bytes(dtype);
    over_rows(binary_of(dtype), op, bytes, bytes, nest, out, a, b, begin, end);
}

static row_fn *compare_of(ftl_dtype dtype)
{
    switch (dtype) {
    case FTL_DTYPE_F32: return compare_f32;
    case FTL_DTYPE_I32: return compare_i32;
    case FTL_DTYPE_I64: return compare_i64;
    case FTL_DTYPE_BOOL: return compare_bool;
    default: return NULL;
    }
}

bool ftl_compare_has(ftl_op op, ftl_dtype dtype)
{
    return (op == FTL_OP_equal || op == FTL_OP_less || op == FTL_OP_less_equal) &&
           compare_of(dtype) != NULL;
}

void k_compare(ftl_op op, ftl_dtype dtype, const ftl_nest *nest, uint8_t *out, const void *a,
               const void *b, int64_t begin, int64_t end)
{
    over_rows(compare_of(dtype), op, 1, k_dtype_bytes(dtype), nest, (char *)out, a, b, begin, end);
}

/* ---- select --------------------------------------------------------------------------------- */

static void select_row(size_t bytes, void *out, const uint8_t *which, int64_t sc, const void *a,
                       int64_t sa, const void *b, int64_t sb, int64_t n)
{
    switch (bytes) {
#define SELECT(type)                                                                               \
    if (sc == 1 && sa == 1 && sb == 1)                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const type x = ((const type *)a)[i], y = ((const type *)b)[i];                         \
            ((type *)out)[i] = which[i] ? x : y;                                                   \
        }                                                                                          \
    else                                                                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            ((type *)out)[i] =                                                                     \
                which[i * sc] ? ((const type *)a)[i * sa] : ((const type *)b)[i * sb];             \
    break
    case 1: SELECT(uint8_t);
    case 2: SELECT(uint16_t);
    case 4: SELECT(uint32_t);
    default: SELECT(uint64_t);
#undef SELECT
    }
}

void k_select(size_t bytes, const ftl_nest *nest, void *out, const uint8_t *which, const void *x,
              const void *y, int64_t begin, int64_t end)
{
    if (begin >= end) return;
    const int32_t last = nest->rank - 1;
    const int64_t size = (int64_t)bytes;
    k_nest_place p;
    k_nest_seek(nest, &p, begin);
    while (begin < end) {
        const int64_t n = k_nest_run(nest, &p, end - begin);
        select_row(bytes, (char *)out + begin * size, which + p.offset[1], nest->stride[1][last],
                   (const char *)x + p.offset[2] * size, nest->stride[2][last],
                   (const char *)y + p.offset[3] * size, nest->stride[3][last], n);
        k_nest_step(nest, &p, n);
        begin += n;
    }
}

/* ---- one input ------------------------------------------------------------------------------ */

static bool unary_i32(ftl_op op, int32_t *out, const int32_t *x, int64_t n)
{
    switch (op) {
    case FTL_OP_not:
        for (int64_t i = 0; i < n; i++) out[i] = ~x[i];
        return true;
    case FTL_OP_neg:
        for (int64_t i = 0; i < n; i++) out[i] = (int32_t)(0u - (uint32_t)x[i]);
        return true;
    case FTL_OP_abs:
        for (int64_t i = 0; i < n; i++) out[i] = x[i] < 0 ? (int32_t)(0u - (uint32_t)x[i]) : x[i];
        return true;
    case FTL_OP_sign:
        for (int64_t i = 0; i < n; i++) out[i] = (x[i] > 0) - (x[i] < 0);
        return true;
    default: return false;
    }
}

static bool unary_i64(ftl_op op, int64_t *out, const int64_t *x, int64_t n)
{
    switch (op) {
    case FTL_OP_not:
        for (int64_t i = 0; i < n; i++) out[i] = ~x[i];
        return true;
    case FTL_OP_neg:
        for (int64_t i = 0; i < n; i++) out[i] = (int64_t)(0ull - (uint64_t)x[i]);
        return true;
    case FTL_OP_abs:
        for (int64_t i = 0; i < n; i++) out[i] = x[i] < 0 ? (int64_t)(0ull - (uint64_t)x[i]) : x[i];
        return true;
    case FTL_OP_sign:
        for (int64_t i = 0; i < n; i++) out[i] = (x[i] > 0) - (x[i] < 0);
        return true;
    default: return false;
    }
}

bool k_unary_int(ftl_op op, ftl_dtype dtype, void *out, const void *x, int64_t begin, int64_t end)
{
    const int64_t n = end - begin;
    switch (dtype) {
    case FTL_DTYPE_I32: return unary_i32(op, (int32_t *)out + begin, (const int32_t *)x + begin, n);
    case FTL_DTYPE_I64: return unary_i64(op, (int64_t *)out + begin, (const int64_t *)x + begin, n);
    case FTL_DTYPE_BOOL:
        if (op != FTL_OP_not) return false;
        for (int64_t i = begin; i < end; i++) ((uint8_t *)out)[i] = ((const uint8_t *)x)[i] == 0;
        return true;
    default: return false;
    }
}
