/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of reductions, products and the loss. */
#include "core/emit.h"
#include "core/grad_internal.h"
#include "core/rules.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

/* ---- reductions ---------------------------------------------------------------------------- */

/* A reduced tensor with its axes back as 1. */
static int32_t with_ones(ftl_graph *g, const ftl_node *n, int32_t y)
{
    ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]);
    for (int32_t i = 0; i < x.rank; i++)
        if (n->attr.reduce.axes >> i & 1) x.dim[i] = 1;
    return ftl_emit_reshape(g, y, x.rank, x.dim);
}

static int32_t spread(ftl_graph *g, const ftl_node *n, int32_t d)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]);
    return ftl_emit_broadcast(g, with_ones(g, n, d), x.rank, x.dim);
}

ftl_status ftl_grad_reduce_sum(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    d_in[0] = spread(g, n, d[0]);
    return ftl_graph_status(g);
}

ftl_status ftl_grad_reduce_mean(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]);
    const int32_t wide = ftl_emit_wide(g, d[0]);
    double count = 1;
    for (int32_t i = 0; i < x.rank; i++)
        if (n->attr.reduce.axes >> i & 1) count *= (double)x.dim[i];
    const int32_t each = ADD(div, wide, ftl_emit_number(g, wide, count));
    d_in[0] = spread(g, n, ftl_emit_convert(g, each, x.dtype));
    return ftl_graph_status(g);
}

/* The largest elements share it. */
ftl_status ftl_grad_reduce_max(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t x = n->in[0];
    const ftl_dtype dtype = ftl_emit_desc(g, x).dtype;
    const int32_t is_top = ADD(equal, x, with_ones(g, n, n->out[0]));
    const int32_t ones = ftl_emit_convert(g, is_top, ftl_emit_wide_dtype(dtype));
    const int32_t n_top = ftl_emit_reduce(g, FTL_OP_reduce_sum, ones, n->attr.reduce.axes, 1);
    const int32_t share = ADD(div, ftl_emit_wide(g, with_ones(g, n, d[0])), n_top);
    d_in[0] = ftl_emit_convert(g, ADD(mul, ones, share), dtype);
    return ftl_graph_status(g);
}

/* ---- products ------------------------------------------------------------------------------ */

/* C = A B:  dA = dC B^T, dB = A^T dC; a transposed input gets the transpose of that. */
ftl_status ftl_grad_matmul(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const int32_t a = n->in[0], b = n->in[1];
    const int32_t ta = n->attr.matmul.trans_a != 0, tb = n->attr.matmul.trans_b != 0;
    const int32_t da =
        ta ? ftl_emit_matmul(g, b, d[0], tb, 1) : ftl_emit_matmul(g, d[0], b, 0, !tb);
    const int32_t db =
        tb ? ftl_emit_matmul(g, d[0], a, 1, ta) : ftl_emit_matmul(g, a, d[0], !ta, 0);
    d_in[0] = ftl_grad_unbroadcast(g, da, a);
    d_in[1] = ftl_grad_unbroadcast(g, db, b);
    return ftl_graph_status(g);
}

/* The gradient before the activation.  relu, sigmoid and tanh know it from the output; for the
 * others the product is computed again. */
static int32_t before_act(ftl_graph *g, const ftl_node *n, int32_t d)
{
    const ftl_attr_act *act = &n->attr.act;
    switch ((ftl_act)act->kind) {
    case FTL_ACT_NONE: return d;
    case FTL_ACT_RELU: return ftl_emit_act_grad(g, n->out[0], d, act);
    case FTL_ACT_SIGMOID: return ftl_grad_from_sigmoid(g, n->out[0], d);
    case FTL_ACT_TANH: return ftl_grad_from_tanh(g, n->out[0], d);
    default: break;
    }
    const ftl_attr plain = ftl_attr_blank();
    return ftl_emit_act_grad(g, ftl_graph_add(g, FTL_OP_linear, &plain, n->in, n->n_in), d, act);
}

/* y = act(x w^T + bias + residual):  dx = d w  [M,K], dw = d^T x  [N,K] */
ftl_status ftl_grad_linear(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_tensor_desc x = ftl_emit_desc(g, n->in[0]), w = ftl_emit_desc(g, n->in[1]);
    const int64_t rows = ftl_desc_span(&x, 0, x.rank - 1);
    const int64_t flat_x[2] = { rows, w.dim[1] }, flat_y[2] = { rows, w.dim[0] };
    const int32_t before = before_act(g, n, d[0]);
    const int32_t flat = ftl_emit_reshape(g, before, 2, flat_y);
    const int32_t dx = ftl_emit_matmul(g, flat, n->in[1], 0, 0);
    d_in[0] = ftl_emit_reshape(g, dx, x.rank, x.dim);
    d_in[1] = ftl_emit_matmul(g, flat, ftl_emit_reshape(g, n->in[0], 2, flat_x), 1, 0);
    if (ftl_emit_input(n, 2) >= 0) d_in[2] = ftl_emit_reduce(g, FTL_OP_reduce_sum, flat, 1, 0);
    if (ftl_emit_input(n, 3) >= 0) d_in[3] = before;
    return ftl_graph_status(g);
}

/* ---- softmax ------------------------------------------------------------------------------- */

/* y * (d - sum(d * y)) */
ftl_status ftl_grad_softmax(ftl_graph *g, const ftl_node *n, const int32_t *d, int32_t *d_in)
{
    const ftl_dtype dtype = ftl_emit_desc(g, n->in[0]).dtype;
    const int32_t y = ftl_emit_wide(g, n->out[0]), dy = ftl_emit_wide(g, d[0]);
    const int32_t sum =
        ftl_emit_reduce(g, FTL_OP_reduce_sum, ADD(mul, dy, y), 1u << n->attr.norm.axis, 1);
    d_in[0] = ftl_emit_convert(g, ADD(mul, y, ADD(sub, dy, sum)), dtype);
    return ftl_graph_status(g);
}

ftl_status ftl_grad_softmax_cross_entropy(ftl_graph *g, const ftl_node *n, const int32_t *d,
                                          int32_t *d_in)
{
    d_in[0] = ADD(softmax_cross_entropy_grad, n->in[0], n->in[1], d[0]);
    return ftl_graph_status(g);
}
