/* SPDX-License-Identifier: Apache-2.0 */
/* Decompositions of layers: activations, products with epilogues, norms.
 * Each writes one formula as rows; f16 and bf16 are computed in f32 wherever sums or exponentials
 * stand, and rounded once at the end. */
#include <float.h>
#include <math.h>

#include "core/emit.h"
#include "core/rules.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

static ftl_dtype dtype_of(const ftl_graph *g, int32_t x)
{
    return ftl_emit_desc(g, x).dtype;
}

/* The result, back in the type of `like`. */
static ftl_status finish(ftl_graph *g, int32_t y, int32_t like, int32_t *out)
{
    out[0] = ftl_emit_convert(g, y, dtype_of(g, like));
    return ftl_graph_status(g);
}

ftl_status ftl_lower_activation(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const int32_t x = n->in[0];
    return finish(g, ftl_emit_act(g, ftl_emit_wide(g, x), &n->attr.act), x, out);
}

/* Over the axes of the mask, which stay as 1. */
static int32_t mean_keep(ftl_graph *g, int32_t x, uint32_t axes)
{
    const ftl_tensor_desc d = ftl_emit_desc(g, x);
    double count = 1;
    for (int32_t i = 0; i < d.rank; i++)
        if (axes >> i & 1) count *= (double)d.dim[i];
    const int32_t sum = ftl_emit_reduce(g, FTL_OP_reduce_sum, x, axes, 1);
    return ADD(div, sum, ftl_emit_number(g, sum, count));
}

ftl_status ftl_lower_reduce_mean(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const int32_t x = n->in[0];
    ftl_tensor_desc d = { 0 };
    FTL_TRY(ftl_infer_reduce(g, n, &d));
    const int32_t y = mean_keep(g, ftl_emit_wide(g, x), n->attr.reduce.axes);
    return finish(g, ftl_emit_reshape(g, y, d.rank, d.dim), x, out);
}

/* ---- products ------------------------------------------------------------------------------ */

/* act(y + bias + residual); bias has the shape it broadcasts with, both may be absent. */
static int32_t epilogue(ftl_graph *g, int32_t y, int32_t bias, int32_t residual,
                        const ftl_attr_act *act)
{
    if (bias >= 0) y = ADD(add, y, bias);
    if (residual >= 0) y = ADD(add, y, residual);
    return ftl_emit_act(g, y, act);
}

ftl_status ftl_lower_linear(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const int32_t x = n->in[0], w = n->in[1];
    ftl_tensor_desc dx = ftl_emit_desc(g, x), dw = ftl_emit_desc(g, w);
    if (dx.rank < 1 || dw.rank != 2) return ftl_fail(FTL_EINVAL, "linear: the shapes do not fit");
    const int64_t flat[2] = { ftl_desc_span(&dx, 0, dx.rank - 1), dx.dim[dx.rank - 1] };
    const int32_t y = ftl_emit_matmul(g, ftl_emit_reshape(g, x, 2, flat), w, 0, 1);
    dx.dim[dx.rank - 1] = dw.dim[0];
    out[0] = epilogue(g, ftl_emit_reshape(g, y, dx.rank, dx.dim), ftl_emit_input(n, 2),
                      ftl_emit_input(n, 3), &n->attr.act);
    return ftl_graph_status(g);
}

ftl_status ftl_lower_conv(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    ftl_attr plain = n->attr;
    plain.conv.act = (ftl_attr_act){ 0 };
    int32_t bias = ftl_emit_input(n, 2);
    const int64_t channels[4] = { 1, ftl_emit_desc(g, bias).dim[0], 1, 1 };
    if (bias >= 0) bias = ftl_emit_reshape(g, bias, 4, channels);
    const int32_t y = FTL_ADD(g, conv2d, &plain, n->in[0], n->in[1]);
    out[0] = epilogue(g, y, bias, ftl_emit_input(n, 3), &n->attr.conv.act);
    return ftl_graph_status(g);
}

/* ---- norms --------------------------------------------------------------------------------- */

/* x / (bias + alpha / size * sum of x^2 over a window of channels)^beta.  The window's mean is an
 * average pool over channels, laid out as [B, 1, C, H * W], whose padding counts as elements. */
ftl_status ftl_lower_lrn(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_attr_lrn *a = &n->attr.lrn;
    const ftl_tensor_desc d = ftl_emit_desc(g, n->in[0]);
    if (d.rank < 2 || a->size < 1)
        return ftl_fail(FTL_EINVAL, "lrn: wants channels as axis 1 and a size of at least 1");
    out[0] = n->in[0];
    if (ftl_desc_count_checked(&d) == 0) return FTL_OK;
    const int32_t x = ftl_emit_wide(g, n->in[0]);
    const int64_t rows[4] = { d.dim[0], 1, d.dim[1], ftl_desc_span(&d, 2, d.rank) };
    ftl_attr pool = ftl_attr_blank();
    const int32_t before = (a->size - 1) / 2, after = a->size - 1 - before;
    pool.pool = (ftl_attr_pool){ .kernel = { a->size, 1 },
                                 .stride = { 1, 1 },
                                 .dilation = { 1, 1 },
                                 .pad = { before, 0, after, 0 },
                                 .count_pad = { before, 0, after, 0 } };
    const int32_t squares = ftl_emit_reshape(g, ADD(mul, x, x), 4, rows);
    const int32_t mean = ftl_emit_reshape(g, FTL_ADD(g, avg_pool2d, &pool, squares), d.rank, d.dim);
    const int32_t base = ftl_emit_add(g, ftl_emit_mul(g, mean, a->alpha), a->bias);
    const int32_t power = ADD(pow, base, ftl_emit_number(g, base, a->beta));
    return finish(g, ADD(div, x, power), n->in[0], out);
}

/* y = x * k + shift, with k = scale / sqrt(variance + eps) and shift = bias - mean * k, so that
 * both can be computed once from the weights. */
ftl_status ftl_lower_batch_norm(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_tensor_desc d = ftl_emit_desc(g, n->in[0]);
    int64_t channels[FTL_MAX_RANK] = { d.dim[1] };
    for (int32_t i = 1; i < d.rank - 1; i++) channels[i] = 1;
    const int32_t x = ftl_emit_wide(g, n->in[0]), scale = ftl_emit_wide(g, n->in[1]),
                  bias = ftl_emit_wide(g, n->in[2]), mean = ftl_emit_wide(g, n->in[3]),
                  variance = ftl_emit_wide(g, n->in[4]);
    const int32_t inverse = ADD(rsqrt, ftl_emit_add(g, variance, n->attr.norm.eps));
    const int32_t k = ADD(mul, scale, inverse), shift = ADD(sub, bias, ADD(mul, mean, k));
    const int32_t scaled = ADD(mul, x, ftl_emit_reshape(g, k, d.rank - 1, channels));
    int32_t y = ADD(add, scaled, ftl_emit_reshape(g, shift, d.rank - 1, channels));
    if (n->attr.norm.act.kind != FTL_ACT_NONE) y = ftl_emit_act(g, y, &n->attr.norm.act);
    return finish(g, y, n->in[0], out);
}

/* x * scale + bias over the last axes; both may be absent. */
static int32_t scale_shift(ftl_graph *g, int32_t x, int32_t scale, int32_t bias)
{
    if (scale >= 0) x = ADD(mul, x, ftl_emit_wide(g, scale));
    if (bias >= 0) x = ADD(add, x, ftl_emit_wide(g, bias));
    return x;
}

ftl_status ftl_lower_layer_norm(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const int32_t x = ftl_emit_wide(g, n->in[0]);
    const uint32_t axes = ftl_axis_mask(n->attr.norm.axis, ftl_emit_desc(g, x).rank);
    const int32_t centered = ADD(sub, x, mean_keep(g, x, axes));
    const int32_t variance = mean_keep(g, ADD(mul, centered, centered), axes);
    const int32_t inverse = ADD(rsqrt, ftl_emit_add(g, variance, n->attr.norm.eps));
    const int32_t y =
        scale_shift(g, ADD(mul, centered, inverse), ftl_emit_input(n, 1), ftl_emit_input(n, 2));
    return finish(g, y, n->in[0], out);
}

ftl_status ftl_lower_rms_norm(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const int32_t x = ftl_emit_wide(g, n->in[0]);
    const uint32_t axes = ftl_axis_mask(n->attr.norm.axis, ftl_emit_desc(g, x).rank);
    const int32_t square = mean_keep(g, ADD(mul, x, x), axes);
    const int32_t inverse = ADD(rsqrt, ftl_emit_add(g, square, n->attr.norm.eps));
    return finish(g, scale_shift(g, ADD(mul, x, inverse), ftl_emit_input(n, 1), -1), n->in[0], out);
}

/* x - max over the axis; a row of all -inf stays -inf instead of becoming NaN. */
static int32_t minus_max(ftl_graph *g, int32_t x, uint32_t axes)
{
    const double lowest = dtype_of(g, x) == FTL_DTYPE_F64 ? -DBL_MAX : -FLT_MAX;
    const int32_t top = ftl_emit_reduce(g, FTL_OP_reduce_max, x, axes, 1);
    return ADD(sub, x, ADD(max, top, ftl_emit_number(g, top, lowest)));
}

/* Sum of exponentials: at least 1, because the largest element gives exp(0), except in a row of
 * all -inf; there max(.., 1) makes 0 / 1 and log(1) of 0 / 0 and log(0). */
static int32_t sum_guarded(ftl_graph *g, int32_t e, uint32_t axes)
{
    const int32_t sum = ftl_emit_reduce(g, FTL_OP_reduce_sum, e, axes, 1);
    return ADD(max, sum, ftl_emit_number(g, sum, 1));
}

static ftl_status check_axis(const ftl_graph *g, const ftl_node *n)
{
    const int32_t axis = n->attr.norm.axis;
    if (axis >= 0 && axis < ftl_emit_desc(g, n->in[0]).rank) return FTL_OK;
    return ftl_fail(FTL_EINVAL, "softmax: there is no axis %d", (int)axis);
}

ftl_status ftl_lower_softmax(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    FTL_TRY(check_axis(g, n));
    const uint32_t axes = 1u << n->attr.norm.axis;
    const int32_t e = ADD(exp, minus_max(g, ftl_emit_wide(g, n->in[0]), axes));
    return finish(g, ADD(div, e, sum_guarded(g, e, axes)), n->in[0], out);
}

ftl_status ftl_lower_log_softmax(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    FTL_TRY(check_axis(g, n));
    const uint32_t axes = 1u << n->attr.norm.axis;
    const int32_t z = minus_max(g, ftl_emit_wide(g, n->in[0]), axes);
    const int32_t y = ADD(sub, z, ADD(log, sum_guarded(g, ADD(exp, z), axes)));
    return finish(g, y, n->in[0], out);
}
