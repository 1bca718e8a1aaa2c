/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions: the input is read in order, every element goes to its place among the accumulators,
 * which are doubles or 64-bit integers and are rounded once at the end. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval_internal.h"

/* Strides of the accumulators over the input's axes: 0 along reduced ones. */
static ftl_eval_nest reduce_nest(const ftl_tensor_desc *in, uint32_t axes)
{
    ftl_eval_nest nest = { .rank = in->rank, .n_arrays = 2 };
    memcpy(nest.dim, in->dim, sizeof nest.dim);
    int64_t to = 1, from = 1;
    for (int32_t i = in->rank - 1; i >= 0; i--) {
        const bool is_reduced = axes >> i & 1;
        nest.stride[0][i] = is_reduced ? 0 : to;
        nest.stride[1][i] = from;
        from *= in->dim[i];
        if (!is_reduced) to *= in->dim[i];
    }
    ftl_eval_collapse(&nest);
    return nest;
}

/* What a reduction of nothing gives. */
static double start_float(ftl_op op)
{
    switch (op) {
    case FTL_OP_reduce_max: return -INFINITY;
    case FTL_OP_reduce_min: return INFINITY;
    case FTL_OP_reduce_prod: return 1;
    default: return 0;
    }
}

static uint64_t start_int(ftl_op op, ftl_dtype dtype)
{
    const int bits = dtype == FTL_DTYPE_BOOL ? 1 : (int)ftl_dtype_bytes(dtype) * 8;
    const bool is_signed = ftl_eval_is_signed(dtype);
    const uint64_t top = (UINT64_MAX >> (64 - bits)) >> (is_signed ? 1 : 0);
    switch (op) {
    case FTL_OP_reduce_max: return is_signed ? ~top : 0;
    case FTL_OP_reduce_min: return top;
    case FTL_OP_reduce_prod: return 1;
    default: return 0;
    }
}

static void float_row(ftl_op op, double *acc, int64_t step, ftl_dtype dtype, const void *in,
                      int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = ftl_element_get(dtype, in, first + i), old = acc[i * step];
        switch (op) {
        case FTL_OP_reduce_max: acc[i * step] = x > old || x != x ? x : old; break;
        case FTL_OP_reduce_min: acc[i * step] = x < old || x != x ? x : old; break;
        case FTL_OP_reduce_prod: acc[i * step] = old * x; break;
        default: acc[i * step] = old + x; break;
        }
    }
}

static void int_row(ftl_op op, uint64_t *acc, int64_t step, ftl_dtype dtype, const void *in,
                    int64_t first, int64_t n)
{
    const bool is_signed = ftl_eval_is_signed(dtype);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t x = ftl_eval_get_int(dtype, in, first + i), old = acc[i * step];
        switch (op) {
        case FTL_OP_reduce_max:
            acc[i * step] = ftl_eval_int_less(old, x, is_signed) ? x : old;
            break;
        case FTL_OP_reduce_min:
            acc[i * step] = ftl_eval_int_less(x, old, is_signed) ? x : old;
            break;
        case FTL_OP_reduce_prod: acc[i * step] = old * x; break;
        default: acc[i * step] = old + x; break;
        }
    }
}

ftl_status ftl_eval_reduce(const ftl_eval_call *c)
{
    const ftl_tensor_desc *in = ftl_eval_in(c, 0);
    const ftl_op op = c->node->op;
    const bool is_exact = ftl_eval_is_exact(in->dtype);
    const int64_t n_out = ftl_desc_count_checked(&c->out_desc);
    union {
        double f;
        uint64_t i;
    } *acc = ftl_calloc((size_t)n_out, sizeof *acc);
    if (!acc)
        return ftl_fail(FTL_ENOMEM, "no memory to reduce into %lld numbers", (long long)n_out);
    for (int64_t i = 0; i < n_out; i++) {
        if (is_exact) acc[i].i = start_int(op, in->dtype);
        else acc[i].f = start_float(op);
    }
    if (ftl_desc_count_checked(in) > 0) {
        const ftl_eval_nest nest = reduce_nest(in, c->node->attr.reduce.axes);
        const int64_t n = nest.dim[nest.rank - 1], step = nest.stride[0][nest.rank - 1];
        int64_t index[FTL_MAX_RANK] = { 0 }, offset[FTL_EVAL_ARRAYS] = { 0 };
        do {
            if (is_exact) int_row(op, &acc[offset[0]].i, step, in->dtype, c->in[0], offset[1], n);
            else float_row(op, &acc[offset[0]].f, step, in->dtype, c->in[0], offset[1], n);
        } while (ftl_eval_next(&nest, index, offset));
    }
    for (int64_t i = 0; i < n_out; i++) {
        if (is_exact) ftl_eval_set_int(in->dtype, c->out[0], i, acc[i].i);
        else ftl_element_set(in->dtype, c->out[0], i, acc[i].f);
    }
    ftl_free(acc);
    return FTL_OK;
}

/* Whether element b beats element a, which comes before it. */
static bool is_larger(ftl_dtype dtype, const void *data, int64_t a, int64_t b)
{
    if (ftl_eval_is_exact(dtype))
        return ftl_eval_int_less(ftl_eval_get_int(dtype, data, a), ftl_eval_get_int(dtype, data, b),
                                 ftl_eval_is_signed(dtype));
    const double x = ftl_element_get(dtype, data, a), y = ftl_element_get(dtype, data, b);
    return x == x && (y > x || y != y);
}

ftl_status ftl_eval_arg_max(const ftl_eval_call *c)
{
    const ftl_tensor_desc *in = ftl_eval_in(c, 0);
    const int32_t axis = c->node->attr.axis.axis;
    const int64_t outer = ftl_desc_span(in, 0, axis), n = in->dim[axis],
                  inner = ftl_desc_span(in, axis + 1, in->rank);
    int32_t *out = c->out[0];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const int64_t first = o * n * inner + i;
            int64_t best = 0;
            for (int64_t k = 1; k < n; k++)
                if (is_larger(in->dtype, c->in[0], first + best * inner, first + k * inner))
                    best = k;
            out[o * inner + i] = (int32_t)best;
        }
    return FTL_OK;
}
