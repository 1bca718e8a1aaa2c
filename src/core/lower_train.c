/* SPDX-License-Identifier: Apache-2.0 */
/* Decompositions of the training rows. */
#include <math.h>

#include "core/emit.h"
#include "core/rules.h"

#define ADD(row, ...) FTL_ADD(g, row, NULL, __VA_ARGS__)

/* True at [b][labels[b]]; a label outside [0, C) marks nothing. */
static int32_t one_hot(ftl_graph *g, int32_t labels, int64_t n_classes)
{
    const int64_t column[2] = { ftl_emit_desc(g, labels).dim[0], 1 };
    return ADD(equal, ftl_emit_reshape(g, labels, 2, column),
               ftl_emit_iota(g, FTL_DTYPE_I32, n_classes));
}

/* -log_softmax(logits)[label]; 0 where the label is outside. */
ftl_status ftl_lower_softmax_cross_entropy(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_tensor_desc d = ftl_emit_desc(g, n->in[0]);
    const int32_t x = ftl_emit_wide(g, n->in[0]);
    const int32_t logs = ftl_emit_softmax(g, FTL_OP_log_softmax, x, 1);
    const int32_t picked = ftl_emit_select_else(g, one_hot(g, n->in[1], d.dim[1]), logs, 0);
    const int32_t sum = ftl_emit_reduce(g, FTL_OP_reduce_sum, picked, 2, 0);
    const int32_t loss = ADD(sub, ftl_emit_number(g, sum, 0), sum);
    out[0] = ftl_emit_convert(g, loss, d.dtype);
    return ftl_graph_status(g);
}

/* (softmax(logits) - one_hot(labels)) * dloss; a row whose label is outside gets 0. */
ftl_status ftl_lower_softmax_cross_entropy_grad(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_tensor_desc d = ftl_emit_desc(g, n->in[0]);
    const int32_t x = ftl_emit_wide(g, n->in[0]), labels = n->in[1];
    const int32_t p = ftl_emit_softmax(g, FTL_OP_softmax, x, 1);
    const int32_t miss = ADD(select, one_hot(g, labels, d.dim[1]), ftl_emit_add(g, p, -1), p);
    const int32_t counts = ADD(and, ADD(less_equal, ftl_emit_number(g, labels, 0), labels),
                               ADD(less, labels, ftl_emit_number(g, labels, (double)d.dim[1])));
    const int64_t column[2] = { d.dim[0], 1 };
    const int32_t weight = ftl_emit_select_else(g, counts, ftl_emit_wide(g, n->in[2]), 0);
    const int32_t dx = ADD(mul, miss, ftl_emit_reshape(g, weight, 2, column));
    out[0] = ftl_emit_convert(g, dx, d.dtype);
    return ftl_graph_status(g);
}

/* 1 - beta^step.  Written as 2 t / (1 + t) with t = tanh(-step ln(beta) / 2), because in f32
 * 1 - 0.999^1 keeps only 14 good bits. */
static int32_t bias_correction(ftl_graph *g, int32_t step, double beta)
{
    const int32_t t = ADD(tanh, ftl_emit_mul(g, step, -log(beta) / 2));
    return ADD(div, ftl_emit_mul(g, t, 2), ftl_emit_add(g, t, 1));
}

/* beta * old + (1 - beta) * x */
static int32_t moving_mean(ftl_graph *g, int32_t old, int32_t x, double beta)
{
    return ADD(add, ftl_emit_mul(g, old, beta), ftl_emit_mul(g, x, 1 - beta));
}

ftl_status ftl_lower_adam(ftl_graph *g, const ftl_node *n, int32_t *out)
{
    const ftl_attr_adam *a = &n->attr.adam;
    const ftl_dtype narrow = ftl_emit_desc(g, n->in[0]).dtype, wide = ftl_emit_wide_dtype(narrow);
    if (!(a->beta1 >= 0 && a->beta1 < 1 && a->beta2 >= 0 && a->beta2 < 1))
        return ftl_fail(FTL_EINVAL, "adam: beta1 and beta2 lie in [0, 1)");
    int32_t in[6];
    for (int i = 0; i < 6; i++) in[i] = ftl_emit_convert(g, n->in[i], wide);
    const int32_t w = in[0], dw = in[1], lr = in[4], step = in[5];
    const int32_t m = moving_mean(g, in[2], dw, a->beta1);
    const int32_t v = moving_mean(g, in[3], ADD(mul, dw, dw), a->beta2);
    const int32_t m_hat = ADD(div, m, bias_correction(g, step, a->beta1));
    const int32_t v_hat = ADD(div, v, bias_correction(g, step, a->beta2));
    int32_t change = ADD(div, m_hat, ftl_emit_add(g, ADD(sqrt, v_hat), a->eps));
    if (a->weight_decay != 0) change = ADD(add, change, ftl_emit_mul(g, w, a->weight_decay));
    out[0] = ftl_emit_convert(g, ADD(sub, w, ADD(mul, lr, change)), narrow);
    out[1] = ftl_emit_convert(g, m, narrow);
    out[2] = ftl_emit_convert(g, v, narrow);
    return ftl_graph_status(g);
}
