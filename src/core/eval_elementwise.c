/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise rows.  f32 and f64 run in typed loops, f16 and bf16 through double, integers and
 * bool through 64-bit integers, so that nothing is lost. */
#include <math.h>
#include <string.h>

#include "core/eval_internal.h"

bool ftl_eval_is_exact(ftl_dtype dtype)
{
    return !ftl_dtype_is_float(dtype);
}

bool ftl_eval_is_signed(ftl_dtype dtype)
{
    return ftl_dtype_get_info(dtype)->kind == FTL_KIND_SINT;
}

uint64_t ftl_eval_get_int(ftl_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case FTL_DTYPE_I8: return (uint64_t)(int64_t)((const int8_t *)data)[i];
    case FTL_DTYPE_U8: return ((const uint8_t *)data)[i];
    case FTL_DTYPE_I16: return (uint64_t)(int64_t)((const int16_t *)data)[i];
    case FTL_DTYPE_U16: return ((const uint16_t *)data)[i];
    case FTL_DTYPE_I32: return (uint64_t)(int64_t)((const int32_t *)data)[i];
    case FTL_DTYPE_U32: return ((const uint32_t *)data)[i];
    case FTL_DTYPE_I64: return (uint64_t)((const int64_t *)data)[i];
    case FTL_DTYPE_U64: return ((const uint64_t *)data)[i];
    case FTL_DTYPE_BOOL: return ((const uint8_t *)data)[i] != 0;
    default: return 0;
    }
}

void ftl_eval_set_int(ftl_dtype dtype, void *data, int64_t i, uint64_t value)
{
    switch (ftl_dtype_bytes(dtype)) {
    case 1: ((uint8_t *)data)[i] = dtype == FTL_DTYPE_BOOL ? value != 0 : (uint8_t)value; break;
    case 2: ((uint16_t *)data)[i] = (uint16_t)value; break;
    case 4: ((uint32_t *)data)[i] = (uint32_t)value; break;
    default: ((uint64_t *)data)[i] = value; break;
    }
}

static bool int_less(uint64_t a, uint64_t b, bool is_signed)
{
    return is_signed ? (int64_t)a < (int64_t)b : a < b;
}

bool ftl_eval_int_less(uint64_t a, uint64_t b, bool is_signed)
{
    return int_less(a, b, is_signed);
}

/* Rounds towards zero; by zero gives 0; the one quotient that does not fit wraps. */
static uint64_t int_div(uint64_t a, uint64_t b, bool is_signed)
{
    if (b == 0) return 0;
    if (!is_signed) return a / b;
    if (b == UINT64_MAX) return 0 - a;
    return (uint64_t)((int64_t)a / (int64_t)b);
}

/* A negative exponent: 1 / a^-b rounded towards zero. */
static uint64_t int_pow(uint64_t a, uint64_t b, bool is_signed)
{
    if (is_signed && (int64_t)b < 0) {
        if (a == 1) return 1;
        return a == UINT64_MAX ? (b & 1 ? a : 1) : 0;
    }
    uint64_t power = 1;
    for (; b; b >>= 1, a *= a)
        if (b & 1) power *= a;
    return power;
}

/* ---- loop nests ---------------------------------------------------------------------------- */

void ftl_eval_strides(const ftl_tensor_desc *desc, const ftl_tensor_desc *out, int64_t *stride)
{
    const int32_t shift = out->rank - desc->rank;
    int64_t step = 1;
    for (int32_t i = out->rank - 1; i >= 0; i--) {
        stride[i] = i < shift || desc->dim[i - shift] == 1 ? 0 : step;
        if (i >= shift) step *= desc->dim[i - shift];
    }
}

void ftl_eval_collapse(ftl_eval_nest *nest)
{
    int32_t rank = 0;
    for (int32_t i = 0; i < nest->rank; i++) {
        const int64_t size = nest->dim[i];
        if (size == 1) continue;
        bool joins = rank > 0;
        for (int32_t a = 0; joins && a < nest->n_arrays; a++)
            joins = nest->stride[a][rank - 1] == nest->stride[a][i] * size;
        if (!joins) nest->dim[rank++] = 1;
        nest->dim[rank - 1] *= size;
        for (int32_t a = 0; a < nest->n_arrays; a++) nest->stride[a][rank - 1] = nest->stride[a][i];
    }
    if (rank == 0) {
        nest->dim[rank++] = 1;
        for (int32_t a = 0; a < nest->n_arrays; a++) nest->stride[a][0] = 1;
    }
    nest->rank = rank;
}

bool ftl_eval_next(const ftl_eval_nest *nest, int64_t *index, int64_t *offset)
{
    for (int32_t i = nest->rank - 2; i >= 0; i--) {
        const bool carries = ++index[i] == nest->dim[i];
        const int64_t steps = carries ? 1 - nest->dim[i] : 1;
        if (carries) index[i] = 0;
        for (int32_t a = 0; a < nest->n_arrays; a++) offset[a] += steps * nest->stride[a][i];
        if (!carries) return true;
    }
    return false;
}

/* ---- two inputs ---------------------------------------------------------------------------- */

static void binary_f32(ftl_op op, float *out, const float *a, int64_t sa, const float *b,
                       int64_t sb, int64_t n)
{
    switch (op) {
#define B(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float x = a[i * sa], y = b[i * sb];                                              \
            out[i] = (float)(expression);                                                          \
        }                                                                                          \
        break;
#include "core/eval_rows.def"
    default: break;
    }
}

static void binary_f64(ftl_op op, double *out, const double *a, int64_t sa, const double *b,
                       int64_t sb, int64_t n)
{
    switch (op) {
#define B(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = a[i * sa], y = b[i * sb];                                             \
            out[i] = expression;                                                                   \
        }                                                                                          \
        break;
#include "core/eval_rows.def"
    default: break;
    }
}

static double binary_double(ftl_op op, double x, double y)
{
    double result;
    switch (op) {
#define B(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        result = expression;                                                                       \
        break;
#include "core/eval_rows.def"
    default: result = NAN; break;
    }
    return result;
}

static uint64_t binary_int(ftl_op op, uint64_t a, uint64_t b, bool is_signed)
{
    uint64_t result;
    switch (op) {
#define I(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        result = expression;                                                                       \
        break;
#include "core/eval_rows.def"
    default: result = 0; break;
    }
    return result;
}

void ftl_eval_binary_row(ftl_op op, ftl_dtype dtype, void *out, const void *a, int64_t sa,
                         const void *b, int64_t sb, int64_t n)
{
    if (dtype == FTL_DTYPE_F32) {
        binary_f32(op, out, a, sa, b, sb, n);
    } else if (dtype == FTL_DTYPE_F64) {
        binary_f64(op, out, a, sa, b, sb, n);
    } else if (ftl_eval_is_exact(dtype)) {
        const bool is_signed = ftl_eval_is_signed(dtype);
        for (int64_t i = 0; i < n; i++)
            ftl_eval_set_int(dtype, out, i,
                             binary_int(op, ftl_eval_get_int(dtype, a, i * sa),
                                        ftl_eval_get_int(dtype, b, i * sb), is_signed));
    } else {
        for (int64_t i = 0; i < n; i++)
            ftl_element_set(dtype, out, i,
                            binary_double(op, ftl_element_get(dtype, a, i * sa),
                                          ftl_element_get(dtype, b, i * sb)));
    }
}

static bool compare_double(ftl_op op, double x, double y)
{
    bool result;
    switch (op) {
#define C(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        result = expression;                                                                       \
        break;
#include "core/eval_rows.def"
    default: result = false; break;
    }
    return result;
}

static bool compare_int(ftl_op op, uint64_t a, uint64_t b, bool is_signed)
{
    bool result;
    switch (op) {
#define K(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        result = expression;                                                                       \
        break;
#include "core/eval_rows.def"
    default: result = false; break;
    }
    return result;
}

static void compare_row(ftl_op op, ftl_dtype dtype, uint8_t *out, const void *a, int64_t sa,
                        const void *b, int64_t sb, int64_t n)
{
    const bool is_signed = ftl_eval_is_signed(dtype);
    for (int64_t i = 0; i < n; i++)
        out[i] = ftl_eval_is_exact(dtype)
                     ? compare_int(op, ftl_eval_get_int(dtype, a, i * sa),
                                   ftl_eval_get_int(dtype, b, i * sb), is_signed)
                     : compare_double(op, ftl_element_get(dtype, a, i * sa),
                                      ftl_element_get(dtype, b, i * sb));
}

/* The output's index space with the output and the first n inputs in it. */
static ftl_eval_nest nest_of(const ftl_eval_call *c, int32_t n)
{
    ftl_eval_nest nest = { .rank = c->out_desc.rank, .n_arrays = n + 1 };
    memcpy(nest.dim, c->out_desc.dim, sizeof nest.dim);
    ftl_eval_strides(&c->out_desc, &c->out_desc, nest.stride[0]);
    for (int32_t i = 0; i < n; i++)
        ftl_eval_strides(ftl_eval_in(c, i), &c->out_desc, nest.stride[i + 1]);
    ftl_eval_collapse(&nest);
    return nest;
}

static const void *at(const void *data, int64_t i, size_t bytes)
{
    return (const char *)data + (size_t)i * bytes;
}

static void *at_out(void *data, int64_t i, size_t bytes)
{
    return (char *)data + (size_t)i * bytes;
}

static ftl_status over_rows(const ftl_eval_call *c, bool is_compare)
{
    const ftl_eval_nest nest = nest_of(c, 2);
    const ftl_dtype dtype = ftl_eval_in(c, 0)->dtype;
    const size_t bytes = ftl_dtype_bytes(dtype), out_bytes = ftl_dtype_bytes(c->out_desc.dtype);
    const int32_t last = nest.rank - 1;
    int64_t index[FTL_MAX_RANK] = { 0 }, offset[FTL_EVAL_ARRAYS] = { 0 };
    do {
        void *out = at_out(c->out[0], offset[0], out_bytes);
        const void *a = at(c->in[0], offset[1], bytes), *b = at(c->in[1], offset[2], bytes);
        const int64_t sa = nest.stride[1][last], sb = nest.stride[2][last];
        if (is_compare) compare_row(c->node->op, dtype, out, a, sa, b, sb, nest.dim[last]);
        else ftl_eval_binary_row(c->node->op, dtype, out, a, sa, b, sb, nest.dim[last]);
    } while (ftl_eval_next(&nest, index, offset));
    return FTL_OK;
}

static bool is_bitwise(ftl_op op)
{
    return op == FTL_OP_and || op == FTL_OP_or || op == FTL_OP_xor || op == FTL_OP_not;
}

static ftl_status refuse_float(const ftl_eval_call *c)
{
    return ftl_fail(FTL_EINVAL, "bits of %s elements: and, or, xor, not take bool and integers",
                    ftl_dtype_name(ftl_eval_in(c, 0)->dtype));
}

ftl_status ftl_eval_binary(const ftl_eval_call *c)
{
    if (is_bitwise(c->node->op) && ftl_dtype_is_float(c->out_desc.dtype)) return refuse_float(c);
    return over_rows(c, false);
}

ftl_status ftl_eval_compare(const ftl_eval_call *c)
{
    return over_rows(c, true);
}

/* ---- select -------------------------------------------------------------------------------- */

ftl_status ftl_eval_select(const ftl_eval_call *c)
{
    const ftl_eval_nest nest = nest_of(c, 3);
    const size_t bytes = ftl_dtype_bytes(c->out_desc.dtype);
    const int32_t last = nest.rank - 1;
    const int64_t n = nest.dim[last], sc = nest.stride[1][last], sx = nest.stride[2][last],
                  sy = nest.stride[3][last];
    int64_t index[FTL_MAX_RANK] = { 0 }, offset[FTL_EVAL_ARRAYS] = { 0 };
    do {
        char *out = at_out(c->out[0], offset[0], bytes);
        const uint8_t *which = at(c->in[0], offset[1], 1);
        const char *x = at(c->in[1], offset[2], bytes), *y = at(c->in[2], offset[3], bytes);
        for (int64_t i = 0; i < n; i++)
            memcpy(out + (size_t)i * bytes,
                   which[i * sc] ? at(x, i * sx, bytes) : at(y, i * sy, bytes), bytes);
    } while (ftl_eval_next(&nest, index, offset));
    return FTL_OK;
}

/* ---- one input ----------------------------------------------------------------------------- */

static void unary_f32(ftl_op op, float *out, const float *in, int64_t n)
{
    switch (op) {
#define U(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float x = in[i];                                                                 \
            out[i] = (float)(expression);                                                          \
        }                                                                                          \
        break;
#include "core/eval_rows.def"
    default: break;
    }
}

static double unary_double(ftl_op op, double x)
{
    double result;
    switch (op) {
#define U(row, expression)                                                                         \
    case FTL_OP_##row:                                                                             \
        result = expression;                                                                       \
        break;
#include "core/eval_rows.def"
    default: result = NAN; break;
    }
    return result;
}

/* False: integers have no such row (exp, sqrt, ...). */
static bool unary_int(ftl_op op, ftl_dtype dtype, uint64_t a, uint64_t *out)
{
    const bool is_negative = ftl_eval_is_signed(dtype) && (int64_t)a < 0;
    switch (op) {
    case FTL_OP_not: *out = dtype == FTL_DTYPE_BOOL ? a == 0 : ~a; return true;
    case FTL_OP_neg: *out = 0 - a; return true;
    case FTL_OP_abs: *out = is_negative ? 0 - a : a; return true;
    case FTL_OP_sign: *out = is_negative ? UINT64_MAX : a != 0; return true;
    case FTL_OP_floor:
    case FTL_OP_ceil:
    case FTL_OP_round: *out = a; return true;
    default: return false;
    }
}

ftl_status ftl_eval_unary(const ftl_eval_call *c)
{
    const ftl_op op = c->node->op;
    const ftl_dtype dtype = c->out_desc.dtype;
    const int64_t n = ftl_desc_count_checked(&c->out_desc);
    if (ftl_dtype_is_float(dtype) && is_bitwise(op)) return refuse_float(c);
    if (dtype == FTL_DTYPE_F32) {
        unary_f32(op, c->out[0], c->in[0], n);
        return FTL_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t value;
        if (ftl_dtype_is_float(dtype)) {
            ftl_element_set(dtype, c->out[0], i,
                            unary_double(op, ftl_element_get(dtype, c->in[0], i)));
        } else if (unary_int(op, dtype, ftl_eval_get_int(dtype, c->in[0], i), &value)) {
            ftl_eval_set_int(dtype, c->out[0], i, value);
        } else {
            return ftl_fail(FTL_EINVAL, "this op takes floats, not %s; convert first",
                            ftl_dtype_name(dtype));
        }
    }
    return FTL_OK;
}

/* Between 64-bit integers of either sign, clamped. */
static void convert_wide(ftl_dtype to, void *out, ftl_dtype from, const void *in, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t v = ftl_eval_get_int(from, in, i);
        if (from == FTL_DTYPE_I64 && (int64_t)v < 0) v = 0;
        if (from == FTL_DTYPE_U64 && v > INT64_MAX) v = INT64_MAX;
        ftl_eval_set_int(to, out, i, v);
    }
}

ftl_status ftl_eval_convert(const ftl_eval_call *c)
{
    const ftl_dtype from = ftl_eval_in(c, 0)->dtype, to = c->out_desc.dtype;
    const int64_t n = ftl_desc_count_checked(&c->out_desc);
    const bool is_wide = (from == FTL_DTYPE_I64 && to == FTL_DTYPE_U64) ||
                         (from == FTL_DTYPE_U64 && to == FTL_DTYPE_I64);
    if (is_wide) convert_wide(to, c->out[0], from, c->in[0], n);
    else ftl_elements_convert(to, c->out[0], from, c->in[0], n);
    return FTL_OK;
}
