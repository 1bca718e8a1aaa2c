/* SPDX-License-Identifier: Apache-2.0 */
/* Operators along axes: reductions, the best element and the best k, running sums. */
#include <float.h>
#include <math.h>

#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

/* ---- reductions ---------------------------------------------------------------------------- */

/* log(sum(exp(x - top))) + top; a top that is not finite would give NaN where +-inf is right. */
static int32_t log_sum_exp(ftl_onnx_call *c, int32_t x, uint32_t axes, int32_t keep)
{
    int32_t top = ftl_emit_reduce(c->g, FTL_OP_reduce_max, x, axes, 1);
    const double most = ftl_emit_desc(c->g, x).dtype == FTL_DTYPE_F64 ? DBL_MAX : FLT_MAX;
    top = ADD(max, ADD(min, top, ftl_emit_number(c->g, top, most)),
              ftl_emit_number(c->g, top, -most));
    const int32_t e = ADD(exp, ADD(sub, x, top));
    const int32_t sum = ftl_emit_reduce(c->g, FTL_OP_reduce_sum, e, axes, 1);
    const int32_t y = ADD(add, ADD(log, sum), top);
    return keep ? y : ftl_emit_reduce(c->g, FTL_OP_reduce_max, y, axes, 0); /* of one element */
}

static int32_t mean_of(ftl_onnx_call *c, int32_t x, uint32_t axes, int32_t keep)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    if (ftl_dtype_is_float(d.dtype))
        return ftl_emit_reduce(c->g, FTL_OP_reduce_mean, x, axes, keep);
    double n = 1;
    for (int32_t i = 0; i < d.rank; i++)
        if (axes >> i & 1) n *= (double)d.dim[i];
    const int32_t sum = ftl_emit_reduce(c->g, FTL_OP_reduce_sum, x, axes, keep);
    return ADD(div, sum, ftl_emit_number(c->g, sum, n));
}

static int32_t reduce_by(ftl_onnx_call *c, int32_t x, uint32_t axes, int32_t keep)
{
    switch ((ftl_onnx_reduce)c->row->arg) {
    case FTL_ONNX_REDUCE_MAX: return ftl_emit_reduce(c->g, FTL_OP_reduce_max, x, axes, keep);
    case FTL_ONNX_REDUCE_MIN: return ftl_emit_reduce(c->g, FTL_OP_reduce_min, x, axes, keep);
    case FTL_ONNX_REDUCE_PROD: return ftl_emit_reduce(c->g, FTL_OP_reduce_prod, x, axes, keep);
    case FTL_ONNX_REDUCE_MEAN: return mean_of(c, x, axes, keep);
    case FTL_ONNX_REDUCE_LOG_SUM_EXP: return log_sum_exp(c, x, axes, keep);
    case FTL_ONNX_REDUCE_L1: x = ADD(abs, x); break;
    case FTL_ONNX_REDUCE_L2:
    case FTL_ONNX_REDUCE_SUM_SQUARE: x = ADD(mul, x, x); break;
    default: break;
    }
    const int32_t sum = ftl_emit_reduce(c->g, FTL_OP_reduce_sum, x, axes, keep);
    if (c->row->arg == FTL_ONNX_REDUCE_L2) return ADD(sqrt, sum);
    return c->row->arg == FTL_ONNX_REDUCE_LOG_SUM ? ADD(log, sum) : sum;
}

void ftl_onnx_op_reduce(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), rank = ftl_emit_desc(c->g, x).rank;
    int64_t axes[FTL_MAX_RANK];
    const int32_t n = ftl_onnx_axes_of(c, 1, axes);
    const int32_t keep = ftl_onnx_attr_int(c, "keepdims", 1) != 0;
    /* No axes: all of them, or none: then the formula is applied to each element alone. */
    const bool is_single = n <= 0 && ftl_onnx_attr_int(c, "noop_with_empty_axes", 0) != 0;
    const uint32_t mask = n > 0       ? ftl_onnx_axis_mask(c, axes, n, rank)
                          : is_single ? 0
                                      : ftl_axis_mask(0, rank);
    const ftl_dtype dtype = ftl_emit_desc(c->g, x).dtype;
    const int32_t y = reduce_by(c, ftl_emit_wide(c->g, x), mask, keep);
    c->out[0] = ftl_emit_convert(c->g, y, dtype);
}

/* ---- the best element ---------------------------------------------------------------------- */

/* Turns "smallest" into "largest": -x, or for whole numbers ~x = -x - 1, which cannot overflow. */
static int32_t opposite(ftl_onnx_call *c, int32_t x)
{
    return ftl_dtype_is_float(ftl_emit_desc(c->g, x).dtype) ? ADD(neg, x) : ADD(not, x);
}

void ftl_onnx_op_arg_best(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    ftl_attr attr = ftl_attr_blank();
    attr.axis.axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 0), d.rank);
    attr.axis.keep = ftl_onnx_attr_int(c, "keepdims", 1) != 0;
    const bool is_last = ftl_onnx_attr_int(c, "select_last_index", 0) != 0;
    if (ftl_onnx_failed(c)) return;
    if (c->row->arg == 1) x = opposite(c, x);
    if (is_last) x = ftl_emit_reduce(c->g, FTL_OP_reverse, x, 1u << attr.axis.axis, 0);
    int32_t best = FTL_ADD(c->g, arg_max, &attr, x);
    best = ftl_emit_convert(c->g, best, FTL_DTYPE_I64);
    if (is_last)
        best = ADD(sub, ftl_emit_number(c->g, best, (double)d.dim[attr.axis.axis] - 1), best);
    c->out[0] = best;
}

/* 0, 1, 2, ... along `axis`, with the other axes 1. */
static int32_t places(ftl_onnx_call *c, const ftl_tensor_desc *d, int32_t axis)
{
    int64_t dim[FTL_MAX_RANK];
    for (int32_t i = 0; i < d->rank; i++) dim[i] = i == axis ? d->dim[i] : 1;
    return ftl_emit_reshape(c->g, ftl_emit_iota(c->g, FTL_DTYPE_I32, d->dim[axis]), d->rank, dim);
}

/* One at the largest element, zero elsewhere; before opset 13 over all axes from `axis` on. */
void ftl_onnx_op_hardmax(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis =
        ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", c->opset >= 13 ? -1 : 1), d.rank);
    if (ftl_onnx_failed(c)) return;
    const int32_t flat = c->opset >= 13 ? x : ftl_onnx_join(c, x, axis, d.rank);
    const ftl_tensor_desc f = ftl_emit_desc(c->g, flat);
    ftl_attr attr = ftl_attr_blank();
    attr.axis = (ftl_attr_axis){ .axis = axis, .keep = 1 };
    const int32_t best = FTL_ADD(c->g, arg_max, &attr, flat);
    const int32_t is_best = ADD(equal, places(c, &f, axis), best);
    c->out[0] = ftl_emit_reshape(c->g, ftl_emit_convert(c->g, is_best, d.dtype), d.rank, d.dim);
}

/* ---- the best k ---------------------------------------------------------------------------- */

enum { TOP_K_MAX = 64 };

typedef struct top_k {
    int32_t values[TOP_K_MAX], indices[TOP_K_MAX];
} top_k;

/* k rounds of "find the largest, then take it out".  Taken elements become -inf, and what is -inf
 * itself counts as the lowest finite number, so that no element is found twice. */
static void take_best(ftl_onnx_call *c, int32_t x, int32_t axis, int32_t k, bool is_largest,
                      top_k *out)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const double lowest = d.dtype == FTL_DTYPE_F64 ? -DBL_MAX : -FLT_MAX;
    ftl_attr attr = ftl_attr_blank();
    attr.axis = (ftl_attr_axis){ .axis = axis, .keep = 1 };
    const int32_t place = places(c, &d, axis);
    int32_t left = is_largest ? x : ADD(neg, x);
    left = ADD(max, left, ftl_emit_number(c->g, left, lowest));
    for (int32_t i = 0; i < k; i++) {
        const int32_t best = FTL_ADD(c->g, arg_max, &attr, left);
        const int32_t is_best = ADD(equal, place, best);
        const int32_t alone = ftl_emit_select_else(c->g, is_best, x, -INFINITY);
        out->values[i] = ftl_emit_reduce(c->g, FTL_OP_reduce_max, alone, 1u << axis, 1);
        out->indices[i] = best;
        left = ftl_emit_select_then(c->g, is_best, -INFINITY, left);
    }
}

void ftl_onnx_op_top_k(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", -1), d.rank);
    const int64_t k = c->opset >= 10 ? ftl_onnx_need_int(c, 1, 0) : ftl_onnx_attr_int(c, "k", 0);
    const bool is_largest = ftl_onnx_attr_int(c, "largest", 1) != 0;
    if (ftl_onnx_failed(c)) return;
    if (k < 1 || k > d.dim[axis]) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "k is %lld on an axis of %lld", (long long)k,
                        (long long)d.dim[axis]);
        return;
    }
    if (k > TOP_K_MAX || (!ftl_dtype_is_float(d.dtype) && ftl_dtype_bytes(d.dtype) > 4)) {
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "k is %lld of %s; at most %d, and no 64-bit integers",
                        (long long)k, ftl_dtype_name(d.dtype), TOP_K_MAX);
        return;
    }
    top_k best;
    x = ftl_dtype_is_float(d.dtype) ? ftl_emit_wide(c->g, x)
                                    : ftl_emit_convert(c->g, x, FTL_DTYPE_F64);
    take_best(c, x, axis, (int32_t)k, is_largest, &best);
    const int32_t values = ftl_emit_concat(c->g, best.values, (int32_t)k, axis),
                  indices = ftl_emit_concat(c->g, best.indices, (int32_t)k, axis);
    c->out[0] = ftl_emit_convert(c->g, values, d.dtype);
    if (c->node->n_outputs > 1) c->out[1] = ftl_emit_convert(c->g, indices, FTL_DTYPE_I64);
}

/* ---- running sums -------------------------------------------------------------------------- */

/* x moved `by` places along the axis, zeros first. */
static int32_t shifted(ftl_onnx_call *c, int32_t x, int32_t axis, int64_t by)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t head = ftl_emit_slice(c->g, x, axis, 0, d.dim[axis] - by, 1);
    ftl_attr attr = ftl_attr_blank();
    attr.pad.low[axis] = by;
    return FTL_ADD(c->g, pad, &attr, head);
}

/* Sums of windows of 1, 2, 4, ... elements: log2(n) additions, none of which multiplies an infinity
 * by zero as a product with a triangular matrix would.  Hillis & Steele 1986. */
void ftl_onnx_op_cumsum(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_need_int(c, 1, 0), d.rank);
    const bool is_exclusive = ftl_onnx_attr_int(c, "exclusive", 0) != 0;
    const bool is_reverse = ftl_onnx_attr_int(c, "reverse", 0) != 0;
    if (ftl_onnx_failed(c)) return;
    const uint32_t mask = 1u << axis;
    int32_t y = ftl_emit_wide(c->g, x);
    if (is_reverse) y = ftl_emit_reduce(c->g, FTL_OP_reverse, y, mask, 0);
    if (is_exclusive && d.dim[axis] > 0) y = shifted(c, y, axis, 1);
    for (int64_t by = 1; by < d.dim[axis]; by *= 2) y = ADD(add, y, shifted(c, y, axis, by));
    if (is_reverse) y = ftl_emit_reduce(c->g, FTL_OP_reverse, y, mask, 0);
    c->out[0] = ftl_emit_convert(c->g, y, d.dtype);
}
