/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that move elements or compute on integers, against one element at a time. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_tables.h"

static const ftl_dtype types[] = { FTL_DTYPE_U8, FTL_DTYPE_F16, FTL_DTYPE_F32, FTL_DTYPE_I64 };
static const size_t type_bytes[] = { 1, 2, 4, 8 };
enum { N_TYPES = 4 };

/* A buffer of bytes in which no two neighbours are alike. */
static char *bytes_of(int64_t n, size_t bytes, int fill)
{
    char *x = malloc((size_t)n * bytes + 1);
    if (!x) abort();
    for (size_t i = 0; i < (size_t)n * bytes; i++)
        x[i] = (char)(fill ? fill : (int)(i * 37 + (i >> 8) * 11));
    return x;
}

/* Row-major index of element `flat` of d. */
static void index_of(const ftl_tensor_desc *d, int64_t flat, int64_t *index)
{
    for (int32_t i = d->rank - 1; i >= 0; i--) {
        index[i] = flat % d->dim[i];
        flat /= d->dim[i];
    }
}

static int64_t flat_of(const ftl_tensor_desc *d, const int64_t *index)
{
    int64_t flat = 0;
    for (int32_t i = 0; i < d->rank; i++) flat = flat * d->dim[i] + index[i];
    return flat;
}

/* Runs a copy in three ranges and compares: from[i] is the source of output i, -1 keeps what was
 * there. */
static bool check_move(const ftl_move *m, size_t bytes, int64_t n_out, int64_t n_in,
                       const int64_t *from)
{
    char *src = bytes_of(n_in, bytes, 0), *dst = bytes_of(n_out, bytes, 0x5a);
    k_move(m, dst, src, 0, m->n_units / 3);
    k_move(m, dst, src, m->n_units / 2, m->n_units);
    k_move(m, dst, src, m->n_units / 3, m->n_units / 2);
    bool is_ok = true;
    for (int64_t i = 0; i < n_out; i++)
        for (size_t b = 0; b < bytes; b++)
            is_ok &= dst[(size_t)i * bytes + b] ==
                     (from[i] < 0 ? 0x5a : src[(size_t)from[i] * bytes + b]);
    free(src);
    free(dst);
    return is_ok;
}

static int64_t *indices(int64_t n)
{
    int64_t *x = malloc(((size_t)n + 1) * sizeof *x);
    if (!x) abort();
    return x;
}

/* ---- transpose, broadcast ------------------------------------------------------------------- */

typedef struct transpose_case {
    int64_t in[6];
    int32_t perm[5];
    const char *why;
} transpose_case;

static const transpose_case transposes[] = {
    { { -1 }, { 0 }, "a scalar" },
    { { 5, -1 }, { 0 }, "a vector" },
    { { 3, 70, -1 }, { 1, 0 }, "a matrix with edges" },
    { { 64, 96, -1 }, { 1, 0 }, "a matrix of whole tiles" },
    { { 2, 5, 33, 34, -1 }, { 0, 2, 3, 1 }, "NCHW to NHWC" },
    { { 2, 33, 34, 5, -1 }, { 0, 3, 1, 2 }, "NHWC to NCHW" },
    { { 3, 7, 4, 16, -1 }, { 0, 2, 1, 3 }, "heads first" },
    { { 2, 3, 4, 5, 6, -1 }, { 4, 2, 0, 3, 1 }, "five axes" },
    { { 2, 3, 4, -1 }, { 0, 1, 2 }, "nothing moves" },
    { { 3, 0, 4, -1 }, { 2, 1, 0 }, "empty" },
    { { 1, 9000, 1, -1 }, { 2, 1, 0 }, "axes of one, several pieces" },
};

static void test_transpose(void)
{
    for (size_t c = 0; c < sizeof transposes / sizeof transposes[0]; c++) {
        bool is_ok = true;
        for (int k = 0; k < N_TYPES; k++) {
            const ftl_tensor_desc in = op_desc(types[k], transposes[c].in);
            ftl_tensor_desc out = in;
            ftl_attr_perm perm = { { 0 } };
            memcpy(perm.perm, transposes[c].perm, sizeof transposes[c].perm);
            for (int32_t i = 0; i < in.rank; i++) out.dim[i] = in.dim[perm.perm[i]];
            const int64_t n = op_count(&out);
            int64_t *from = indices(n);
            for (int64_t i = 0; i < n; i++) {
                int64_t index[8], source[8];
                index_of(&out, i, index);
                for (int32_t a = 0; a < in.rank; a++) source[perm.perm[a]] = index[a];
                from[i] = flat_of(&in, source);
            }
            ftl_move m;
            ftl_move_transpose(&m, &out, &in, &perm);
            is_ok &= check_move(&m, type_bytes[k], n, n, from);
            free(from);
        }
        op_ok(is_ok, "transpose: %s", transposes[c].why);
    }
}

static void test_broadcast(void)
{
    static const int64_t cases[][2][6] = {
        { { 4, 5, -1 }, { 5, -1 } },          { { 4, 5, -1 }, { 4, 1, -1 } },
        { { 3, 2, 7, -1 }, { 3, 1, 7, -1 } }, { { 6000, -1 }, { 1, -1 } },
        { { 2, 3, 4, -1 }, { -1 } },          { { 0, 3, -1 }, { 1, 3, -1 } },
    };
    bool is_ok = true;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int k = 0; k < N_TYPES; k++) {
            const ftl_tensor_desc out = op_desc(types[k], cases[c][0]),
                                  in = op_desc(types[k], cases[c][1]);
            const int64_t n = op_count(&out);
            int64_t *from = indices(n);
            for (int64_t i = 0; i < n; i++) {
                int64_t index[8], source[8];
                index_of(&out, i, index);
                for (int32_t a = 0; a < in.rank; a++)
                    source[a] = in.dim[a] == 1 ? 0 : index[a + out.rank - in.rank];
                from[i] = flat_of(&in, source);
            }
            ftl_move m;
            ftl_move_broadcast(&m, &out, &in);
            is_ok &= check_move(&m, type_bytes[k], n, op_count(&in), from);
            free(from);
        }
    op_ok(is_ok, "broadcast");
}

/* ---- slice, reverse, concat, pad ------------------------------------------------------------ */

static void test_slice(void)
{
    static const ftl_attr_slice cases[] = {
        { { 0, 0, 0 }, { 4, 50, 60 }, { 1, 1, 1 } },   { { 1, 7, 3 }, { 3, 9, 60 }, { 1, 1, 1 } },
        { { 0, 1, 2 }, { 4, 50, 59 }, { 3, 2, 5 } },   { { 2, 0, 0 }, { 2, 50, 60 }, { 1, 1, 1 } },
        { { 3, 49, 59 }, { 4, 50, 60 }, { 1, 1, 1 } },
    };
    const int64_t dims[] = { 4, 50, 60, -1 };
    bool is_ok = true;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int k = 0; k < N_TYPES; k++) {
            const ftl_attr_slice *a = &cases[c];
            const ftl_tensor_desc in = op_desc(types[k], dims);
            ftl_tensor_desc out = in;
            for (int i = 0; i < 3; i++)
                out.dim[i] = (a->limit[i] - a->start[i] + a->step[i] - 1) / a->step[i];
            const int64_t n = op_count(&out);
            int64_t *from = indices(n);
            for (int64_t i = 0; i < n; i++) {
                int64_t index[8];
                index_of(&out, i, index);
                for (int x = 0; x < 3; x++) index[x] = a->start[x] + index[x] * a->step[x];
                from[i] = flat_of(&in, index);
            }
            ftl_move m;
            ftl_move_slice(&m, &out, &in, a);
            is_ok &= check_move(&m, type_bytes[k], n, op_count(&in), from);
            free(from);
        }
    op_ok(is_ok, "slice");
}

static void test_reverse(void)
{
    const int64_t dims[] = { 3, 4, 50, -1 };
    bool is_ok = true;
    for (uint32_t axes = 0; axes < 8; axes++)
        for (int k = 0; k < N_TYPES; k++) {
            const ftl_tensor_desc d = op_desc(types[k], dims);
            const int64_t n = op_count(&d);
            int64_t *from = indices(n);
            for (int64_t i = 0; i < n; i++) {
                int64_t index[8];
                index_of(&d, i, index);
                for (int x = 0; x < 3; x++)
                    if (axes >> x & 1) index[x] = d.dim[x] - 1 - index[x];
                from[i] = flat_of(&d, index);
            }
            ftl_move m;
            ftl_move_reverse(&m, &d, axes);
            is_ok &= check_move(&m, type_bytes[k], n, n, from);
            free(from);
        }
    op_ok(is_ok, "reverse");
}

static void test_concat(void)
{
    bool is_ok = true;
    for (int axis = 0; axis < 3; axis++)
        for (int k = 0; k < N_TYPES; k++) {
            const int64_t dims[] = { 3, 4, 50, -1 };
            ftl_tensor_desc in = op_desc(types[k], dims), out = in;
            out.dim[axis] += 5;
            const int64_t n = op_count(&out), start = 2;
            int64_t *from = indices(n);
            for (int64_t i = 0; i < n; i++) {
                int64_t index[8];
                index_of(&out, i, index);
                index[axis] -= start;
                const bool is_inside = index[axis] >= 0 && index[axis] < in.dim[axis];
                from[i] = is_inside ? flat_of(&in, index) : -1;
            }
            ftl_move m;
            ftl_move_concat(&m, &out, &in, axis, start);
            is_ok &= check_move(&m, type_bytes[k], n, op_count(&in), from);
            in.dim[axis] = 0;
            ftl_move_concat(&m, &out, &in, axis, start);
            is_ok &= m.n_units == 0;
            free(from);
        }
    op_ok(is_ok, "concat");
}

static bool pad_case(const ftl_attr_pad *a, const int64_t *dims, int k)
{
    const ftl_tensor_desc in = op_desc(types[k], dims);
    const size_t bytes = type_bytes[k];
    ftl_tensor_desc out = in;
    for (int i = 0; i < in.rank; i++)
        out.dim[i] +=
            a->low[i] + a->high[i] + (in.dim[i] > 1 ? (in.dim[i] - 1) * a->interior[i] : 0);
    const int64_t n = op_count(&out);
    const int64_t rows = in.rank ? n / (out.dim[in.rank - 1] ? out.dim[in.rank - 1] : 1) : 1;
    const uint64_t value = 0x6161616161616161;
    char *src = bytes_of(op_count(&in), bytes, 0), *dst = bytes_of(n, bytes, 0x5a);
    k_pad(a, &out, &in, dst, src, &value, 0, rows / 2);
    k_pad(a, &out, &in, dst, src, &value, rows / 2, rows);
    bool is_ok = true;
    for (int64_t i = 0; i < n; i++) {
        int64_t index[8];
        bool is_inside = true;
        index_of(&out, i, index);
        for (int x = 0; x < in.rank; x++) {
            const int64_t at = index[x] - a->low[x];
            index[x] = at / (a->interior[x] + 1);
            is_inside &= at >= 0 && at % (a->interior[x] + 1) == 0 && index[x] < in.dim[x];
        }
        const char *want =
            is_inside ? src + (size_t)flat_of(&in, index) * bytes : (const char *)&value;
        is_ok &= memcmp(dst + (size_t)i * bytes, want, bytes) == 0;
    }
    free(src);
    free(dst);
    return is_ok;
}

static void test_pad(void)
{
    const ftl_attr_pad cases[] = {
        { { 0 }, { 0 }, { 0 }, 0 },
        { { 1, 2, 3 }, { 3, 2, 1 }, { 0 }, 0 },
        { { 0, 0, 2 }, { 0, 0, 0 }, { 0, 0, 3 }, 0 },
        { { 1, 0, 0 }, { 0, 4, 0 }, { 2, 1, 0 }, 0 },
    };
    const int64_t dims[][4] = {
        { 3, 4, 5, -1 }, { 1, 1, 1, -1 }, { 2, 0, 3, -1 }, { 2, 3, 0, -1 }
    };
    bool is_ok = true;
    for (int c = 0; c < 4; c++)
        for (int d = 0; d < 4; d++)
            for (int k = 0; k < N_TYPES; k++) is_ok &= pad_case(&cases[c], dims[d], k);
    const int64_t scalar[] = { -1 };
    op_ok(is_ok && pad_case(&cases[0], scalar, 2), "pad: edges, inside, empty, a scalar");

    uint32_t x[9] = { 0 };
    const uint32_t value = 0x01020304;
    k_fill(4, x, &value, 2, 7);
    is_ok = true;
    for (int i = 0; i < 9; i++) is_ok &= x[i] == (i >= 2 && i < 7 ? value : 0);
    int64_t iota[24];
    is_ok &= k_iota(FTL_DTYPE_I64, iota, 4, 3, 0, 24) && !k_iota(FTL_DTYPE_BOOL, iota, 4, 3, 0, 0);
    for (int i = 0; i < 24; i++) is_ok &= iota[i] == i / 3 % 4;
    op_ok(is_ok, "fill, iota");
}

/* ---- by index ------------------------------------------------------------------------------- */

static void test_gather(void)
{
    const int32_t small[] = { 3, 0, -5, 99, 2, 3 };
    const int64_t large[] = { 3, 0, INT64_MIN, INT64_MAX, 2, 3 };
    const int64_t clamped[] = { 3, 0, 0, 4, 2, 3 };
    bool is_ok = true;
    for (size_t row_bytes = 1; row_bytes <= 24; row_bytes++)
        for (int wide = 0; wide < 2; wide++) {
            const ftl_gather g = { 5, 6, row_bytes, wide ? 8 : 4 };
            char *src = bytes_of(2 * 5, row_bytes, 0), *dst = bytes_of(2 * 6, row_bytes, 0x5a);
            const void *index = wide ? (const void *)large : (const void *)small;
            k_gather(&g, dst, src, index, 0, 7);
            k_gather(&g, dst, src, index, 7, 12);
            for (int64_t r = 0; r < 12; r++)
                is_ok &=
                    memcmp(dst + (size_t)r * row_bytes,
                           src + (size_t)(r / 6 * 5 + clamped[r % 6]) * row_bytes, row_bytes) == 0;
            free(src);
            free(dst);
        }
    op_ok(is_ok, "gather: i32, i64, clamped");
}

static void test_scatter(void)
{
    const int32_t index[] = { 2, -1, 0, 2, 5, 4, INT_MIN, INT_MAX };
    bool is_ok = true;
    for (int add = 0; add < 2; add++)
        for (int in_place = 0; in_place < 2; in_place++) {
            const ftl_scatter s = { 8, 3, 4, 4, FTL_DTYPE_F32, add };
            float data[15], out[15], want[15], rows[24];
            for (int i = 0; i < 15; i++) want[i] = data[i] = (float)i;
            for (int i = 0; i < 24; i++) rows[i] = 100.0f + (float)i;
            for (int i = 0; i < 8; i++)
                for (int c = 0; c < 3 && index[i] >= 0 && index[i] < 5; c++) {
                    float *to = &want[index[i] * 3 + c];
                    *to = add ? *to + rows[i * 3 + c] : rows[i * 3 + c];
                }
            float *const result = in_place ? data : out;
            k_scatter(&s, result, data, index, rows, 0, 3);
            k_scatter(&s, result, data, index, rows, 3, 5);
            is_ok &= memcmp(result, want, sizeof want) == 0;
        }
    float pool[12] = { 0 };
    const float rows[6] = { 1, 2, 3, 4, 5, 6 };
    const int32_t slots[] = { 3, -1, 9 };
    k_kv_write(pool, rows, slots, 8, 6, 0, 3);
    for (int i = 0; i < 12; i++) is_ok &= pool[i] == (i == 6 ? 1 : i == 7 ? 2 : 0);
    op_ok(is_ok, "scatter: replaces, adds, skips, in place; kv_write");
}

/* ---- integers, comparisons, select ---------------------------------------------------------- */

static const int64_t ints[] = { 0, 1, -1, 7, -7, 3, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };
enum { N_INTS = 10 };

static int64_t exact_int(ftl_op op, int64_t a, int64_t b)
{
    switch (op) {
    case FTL_OP_add: return (int64_t)((uint64_t)a + (uint64_t)b);
    case FTL_OP_sub: return (int64_t)((uint64_t)a - (uint64_t)b);
    case FTL_OP_mul: return (int64_t)((uint64_t)a * (uint64_t)b);
    case FTL_OP_div: return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
    case FTL_OP_mod: return b == 0 ? a : b == -1 ? 0 : a % b;
    case FTL_OP_max: return a > b ? a : b;
    case FTL_OP_min: return a < b ? a : b;
    case FTL_OP_and: return a & b;
    case FTL_OP_or: return a | b;
    case FTL_OP_xor: return a ^ b;
    case FTL_OP_equal: return a == b;
    case FTL_OP_less: return a < b;
    default: return a <= b;
    }
}

static int64_t get_int(ftl_dtype dtype, const void *x, int64_t i)
{
    return dtype == FTL_DTYPE_I32   ? ((const int32_t *)x)[i]
           : dtype == FTL_DTYPE_I64 ? ((const int64_t *)x)[i]
                                    : ((const uint8_t *)x)[i];
}

static void set_int(ftl_dtype dtype, void *x, int64_t i, int64_t value)
{
    if (dtype == FTL_DTYPE_I32) ((int32_t *)x)[i] = (int32_t)value;
    else if (dtype == FTL_DTYPE_I64) ((int64_t *)x)[i] = value;
    else ((uint8_t *)x)[i] = (uint8_t)value;
}

/* An outer product of all the values, and the same pairs as dense arrays. */
static bool int_case(ftl_op op, ftl_dtype dtype, bool is_compare, bool dense)
{
    enum { N = N_INTS * N_INTS };
    const bool is_bool = dtype == FTL_DTYPE_BOOL;
    const int64_t out_dims[] = { N_INTS, N_INTS, -1 }, a_dims[] = { N_INTS, 1, -1 },
                  b_dims[] = { N_INTS, -1 };
    const ftl_tensor_desc out = op_desc(dtype, out_dims);
    const ftl_tensor_desc a = dense ? out : op_desc(dtype, a_dims);
    const ftl_tensor_desc b = dense ? out : op_desc(dtype, b_dims), *in[2] = { &a, &b };
    int64_t x[N], y[N], z[N];
    for (int64_t i = 0; i < (dense ? N : N_INTS); i++) {
        const int64_t ia = dense ? i / N_INTS : i, ib = i % N_INTS;
        set_int(dtype, x, i, is_bool ? ia % 3 == 1 : ints[ia]);
        set_int(dtype, y, i, is_bool ? ib % 2 == 1 : ints[ib]);
    }
    ftl_nest nest;
    ftl_nest_init(&nest, &out, in, 2);
    for (int part = 0; part < 2; part++) {
        const int64_t begin = part ? 37 : 0, end = part ? N : 37;
        if (is_compare) k_compare(op, dtype, &nest, (uint8_t *)z, x, y, begin, end);
        else k_binary_int(op, dtype, &nest, z, x, y, begin, end);
    }
    for (int64_t i = 0; i < N; i++) {
        int64_t want = exact_int(op, get_int(dtype, x, dense ? i : i / N_INTS),
                                 get_int(dtype, y, dense ? i : i % N_INTS));
        if (is_bool) want = want != 0;
        if (dtype == FTL_DTYPE_I32) want = (int32_t)want;
        if (get_int(is_compare ? FTL_DTYPE_BOOL : dtype, z, i) != want) return false;
    }
    return true;
}

static void test_ints(void)
{
    static const ftl_dtype dtypes[] = { FTL_DTYPE_I32, FTL_DTYPE_I64, FTL_DTYPE_BOOL };
    static const ftl_op ops[] = { FTL_OP_add,       FTL_OP_sub, FTL_OP_mul,  FTL_OP_div,
                                  FTL_OP_mod,       FTL_OP_max, FTL_OP_min,  FTL_OP_and,
                                  FTL_OP_or,        FTL_OP_xor, FTL_OP_less, FTL_OP_equal,
                                  FTL_OP_less_equal };
    for (int d = 0; d < 3; d++) {
        bool is_ok = true;
        int n_ops = 0;
        for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++) {
            const bool is_compare = ftl_compare_has(ops[k], dtypes[d]);
            if (!is_compare && !ftl_binary_int_has(ops[k], dtypes[d])) continue;
            n_ops++;
            is_ok &= int_case(ops[k], dtypes[d], is_compare, false) &&
                     int_case(ops[k], dtypes[d], is_compare, true);
        }
        op_ok(is_ok && n_ops == (d == 2 ? 10 : 13), "%d binary rows of type %d", n_ops, dtypes[d]);
    }
    int32_t x[N_INTS];
    int64_t y[N_INTS];
    bool is_ok = true;
    for (int op = 0; op < 4; op++) {
        const ftl_op row = (ftl_op[]){ FTL_OP_not, FTL_OP_neg, FTL_OP_abs, FTL_OP_sign }[op];
        is_ok &= k_unary_int(row, FTL_DTYPE_I64, y, ints, 0, N_INTS);
        for (int i = 0; i < N_INTS; i++) x[i] = (int32_t)ints[i];
        is_ok &= k_unary_int(row, FTL_DTYPE_I32, x, x, 0, N_INTS);
        for (int i = 0; i < N_INTS; i++)
            for (int wide = 0; wide < 2; wide++) {
                const int64_t v = wide ? ints[i] : (int32_t)ints[i];
                const int64_t minus = (int64_t)(0 - (uint64_t)v);
                const int64_t want[] = { ~v, minus, v < 0 ? minus : v, (v > 0) - (v < 0) };
                is_ok &= wide ? y[i] == want[op] : x[i] == (int32_t)want[op];
            }
    }
    const uint8_t flags[3] = { 0, 1, 7 };
    uint8_t result[3];
    is_ok &= k_unary_int(FTL_OP_not, FTL_DTYPE_BOOL, result, flags, 0, 3);
    is_ok &= result[0] == 1 && result[1] == 0 && result[2] == 0;
    is_ok &= !k_unary_int(FTL_OP_exp, FTL_DTYPE_I32, x, x, 0, 0);
    op_ok(is_ok, "not, neg, abs, sign of integers");
}

static void test_compare_f32(void)
{
    const float x[] = { 1, 2, NAN, INFINITY, -0.0f, 3 }, y[] = { 1, 1, NAN, NAN, 0.0f, INFINITY };
    const int64_t dims[] = { 6, -1 };
    const ftl_tensor_desc d = op_desc(FTL_DTYPE_F32, dims), *in[3] = { &d, &d, &d };
    ftl_nest nest;
    ftl_nest_init(&nest, &d, in, 2);
    uint8_t z[3][6];
    k_compare(FTL_OP_equal, FTL_DTYPE_F32, &nest, z[0], x, y, 0, 6);
    k_compare(FTL_OP_less, FTL_DTYPE_F32, &nest, z[1], x, y, 0, 6);
    k_compare(FTL_OP_less_equal, FTL_DTYPE_F32, &nest, z[2], x, y, 0, 6);
    bool is_ok = true;
    for (int i = 0; i < 6; i++)
        is_ok &= z[0][i] == (x[i] == y[i]) && z[1][i] == (x[i] < y[i]) && z[2][i] == (x[i] <= y[i]);
    op_ok(is_ok, "comparisons of floats");
}

static void test_select(void)
{
    const int64_t out_dims[] = { 3, 17, -1 }, which_dims[] = { 3, 1, -1 }, one[] = { -1 };
    bool is_ok = true;
    for (int k = 0; k < N_TYPES; k++)
        for (int form = 0; form < 3; form++) {
            const ftl_tensor_desc out = op_desc(types[k], out_dims);
            const ftl_tensor_desc which =
                op_desc(FTL_DTYPE_BOOL, form == 1 ? which_dims : out_dims);
            const ftl_tensor_desc y = op_desc(types[k], form == 2 ? one : out_dims);
            const ftl_tensor_desc *in[3] = { &which, &out, &y };
            const size_t bytes = type_bytes[k];
            ftl_nest nest;
            ftl_nest_init(&nest, &out, in, 3);
            uint8_t flags[51];
            for (int i = 0; i < 51; i++) flags[i] = i % 3 == 1;
            char *a = bytes_of(51, bytes, 0), *b = bytes_of(51, bytes, 0x11);
            char *z = bytes_of(51, bytes, 0x5a);
            k_select(bytes, &nest, z, flags, a, b, 0, 20);
            k_select(bytes, &nest, z, flags, a, b, 20, 51);
            for (size_t i = 0; i < 51; i++) {
                const char *want = flags[form == 1 ? i / 17 : i] ? a + i * bytes
                                   : form == 2                   ? b
                                                                 : b + i * bytes;
                is_ok &= memcmp(z + i * bytes, want, bytes) == 0;
            }
            free(a);
            free(b);
            free(z);
        }
    op_ok(is_ok, "select");
}

/* ---- conversion ----------------------------------------------------------------------------- */

static void test_convert(void)
{
    bool is_ok = true;
    /* Every f16 and bf16 comes back from f32 (NaN as some NaN), f16 as the definition says. */
    for (int is_brain = 0; is_brain < 2; is_brain++) {
        const ftl_dtype type = is_brain ? FTL_DTYPE_BF16 : FTL_DTYPE_F16;
        uint16_t *half = malloc(65536 * sizeof *half), *back = malloc(65536 * sizeof *back);
        float *x = malloc(65536 * sizeof *x);
        if (!half || !back || !x) abort();
        for (int i = 0; i < 65536; i++) half[i] = (uint16_t)i;
        k_convert(FTL_DTYPE_F32, x, type, half, 0, 65536);
        k_convert(type, back, FTL_DTYPE_F32, x, 0, 65536);
        for (int i = 0; i < 65536; i++) {
            const int e = i >> 10 & 31, f = i & 1023;
            const double size = e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
            is_ok &= isnan(x[i]) ? (back[i] & (is_brain ? 0x7f80 : 0x7c00)) != 0 &&
                                       (back[i] & (is_brain ? 0x7f : 0x3ff)) != 0
                                 : back[i] == half[i];
            if (!is_brain && e < 31) is_ok &= (double)x[i] == (i & 0x8000 ? -size : size);
            if (!is_brain && e == 31) is_ok &= f ? isnan(x[i]) : isinf(x[i]);
        }
        free(half);
        free(back);
        free(x);
    }
    op_ok(is_ok, "f16 and bf16 to f32 and back: all of them");

    /* Halfway cases go to even. */
    const float halfway[] = { 1 + 0x1p-11f, 1 + 0x3p-11f, 65519.996f, 65520, 0x1p-25f, 0x1.8p-24f };
    const uint16_t want[] = { 0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 2 };
    uint16_t got[6];
    k_convert(FTL_DTYPE_F16, got, FTL_DTYPE_F32, halfway, 0, 6);
    op_ok(memcmp(got, want, sizeof want) == 0, "f32 to f16 rounds to nearest even");

    const float x[] = { 1.9f, -1.9f, 1e20f, -1e20f, NAN, -0.5f, 300, INFINITY };
    const int32_t i32[] = { 1, -1, INT32_MAX, INT32_MIN, 0, 0, 300, INT32_MAX };
    const int64_t i64[] = { 1, -1, INT64_MAX, INT64_MIN, 0, 0, 300, INT64_MAX };
    const uint8_t u8[] = { 1, 0, 255, 0, 0, 0, 255, 255 };
    const int8_t i8[] = { 1, -1, 127, -128, 0, 0, 127, 127 };
    int64_t out[8];
    k_convert(FTL_DTYPE_I32, out, FTL_DTYPE_F32, x, 0, 8);
    is_ok = memcmp(out, i32, sizeof i32) == 0;
    k_convert(FTL_DTYPE_I64, out, FTL_DTYPE_F32, x, 0, 8);
    is_ok &= memcmp(out, i64, sizeof i64) == 0;
    k_convert(FTL_DTYPE_U8, out, FTL_DTYPE_F32, x, 0, 8);
    is_ok &= memcmp(out, u8, sizeof u8) == 0;
    k_convert(FTL_DTYPE_I8, out, FTL_DTYPE_F32, x, 0, 8);
    is_ok &= memcmp(out, i8, sizeof i8) == 0;
    const int64_t wide[] = { INT64_MAX, INT64_MIN, 5, -5 };
    const int32_t narrow[] = { INT32_MAX, INT32_MIN, 5, -5 };
    k_convert(FTL_DTYPE_I32, out, FTL_DTYPE_I64, wide, 0, 4);
    is_ok &= memcmp(out, narrow, sizeof narrow) == 0;
    const uint8_t truth[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    k_convert(FTL_DTYPE_BOOL, out, FTL_DTYPE_F32, x, 0, 8);
    is_ok &= memcmp(out, truth, sizeof truth) == 0;
    op_ok(is_ok && ftl_convert_has(FTL_DTYPE_I32, FTL_DTYPE_BOOL) &&
              !ftl_convert_has(FTL_DTYPE_U64, FTL_DTYPE_F32),
          "floats to integers truncate and clamp");
}

int main(void)
{
    test_transpose();
    test_broadcast();
    test_slice();
    test_reverse();
    test_concat();
    test_pad();
    test_gather();
    test_scatter();
    test_ints();
    test_compare_f32();
    test_select();
    test_convert();
    return op_done();
}
