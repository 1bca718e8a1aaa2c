/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of the rows that are layers: products, windows, norms, transformers, training. */
#include <math.h>

#include "core/rules.h"

static const ftl_tensor_desc *desc_of(const ftl_graph *g, const ftl_node *n, int32_t i)
{
    return i < n->n_in ? ftl_graph_peek_desc(g, n->in[i]) : NULL;
}

/* Names the first input's shape and one other's. */
static ftl_status refuse(const ftl_graph *g, const ftl_node *n, int32_t other, const char *why)
{
    char a[FTL_DESC_TEXT], b[FTL_DESC_TEXT] = "-";
    const ftl_tensor_desc *d = desc_of(g, n, other);
    if (d) ftl_desc_print(d, b, sizeof b);
    return ftl_fail(FTL_EINVAL, "%s with %s: %s", ftl_desc_print(desc_of(g, n, 0), a, sizeof a), b,
                    why);
}

static bool is_float(const ftl_tensor_desc *d)
{
    return ftl_dtype_is_float(d->dtype);
}

ftl_status ftl_infer_matmul(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *a = desc_of(g, n, 0), *b = desc_of(g, n, 1);
    if (a->dtype != b->dtype) return refuse(g, n, 1, "the element types differ");
    if (a->rank < 2 || b->rank < 2) return refuse(g, n, 1, "matrices have two axes at least");
    const ftl_attr_matmul *t = &n->attr.matmul;
    const int64_t m = a->dim[a->rank - (t->trans_a ? 1 : 2)];
    const int64_t ka = a->dim[a->rank - (t->trans_a ? 2 : 1)];
    const int64_t kb = b->dim[b->rank - (t->trans_b ? 1 : 2)];
    const int64_t cols = b->dim[b->rank - (t->trans_b ? 2 : 1)];
    if (ka != kb) return refuse(g, n, 1, "the inner dims differ");
    ftl_tensor_desc la = *a, lb = *b;
    la.rank -= 2;
    lb.rank -= 2;
    if (!ftl_desc_broadcast(&la, &lb, out))
        return refuse(g, n, 1, "the leading dims do not broadcast");
    out->dim[out->rank++] = m;
    out->dim[out->rank++] = cols;
    return FTL_OK;
}

ftl_status ftl_infer_linear(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0), *w = desc_of(g, n, 1), *bias = desc_of(g, n, 2),
                          *residual = desc_of(g, n, 3);
    if (!is_float(x) || x->dtype != w->dtype) return refuse(g, n, 1, "the element types differ");
    if (x->rank < 1 || w->rank != 2 || x->dim[x->rank - 1] != w->dim[1])
        return refuse(g, n, 1, "the weight is not [N, K] for an input of [.., K]");
    *out = *x;
    out->dim[out->rank - 1] = w->dim[0];
    if (bias && (bias->dtype != x->dtype || bias->rank != 1 || bias->dim[0] != w->dim[0]))
        return refuse(g, n, 2, "the bias is not [N]");
    if (residual && !ftl_desc_equal(residual, out))
        return refuse(g, n, 3, "the residual does not have the output's shape");
    return FTL_OK;
}

/* Positions of a window of `kernel` along an axis; false where it is refused. */
static bool window_count(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t low, int64_t high, int64_t *out)
{
    int64_t reach, room;
    if (kernel < 1 || stride < 1 || dilation < 1 || low < 0 || high < 0) return false;
    if (__builtin_mul_overflow(kernel - 1, dilation, &reach)) return false;
    if (__builtin_add_overflow(size, low, &room) || __builtin_add_overflow(room, high, &room))
        return false;
    if (room <= reach) return false;
    *out = (room - reach - 1) / stride + 1;
    return true;
}

ftl_status ftl_infer_conv(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0), *w = desc_of(g, n, 1), *bias = desc_of(g, n, 2),
                          *residual = desc_of(g, n, 3);
    const ftl_attr_conv *a = &n->attr.conv;
    if (!is_float(x) || x->dtype != w->dtype) return refuse(g, n, 1, "the element types differ");
    if (x->rank != 4 || w->rank != 4)
        return refuse(g, n, 1, "convolution is [B,C,H,W] with [O,C/groups,KH,KW]");
    if (a->groups < 1 || x->dim[1] % a->groups || w->dim[0] % a->groups ||
        x->dim[1] / a->groups != w->dim[1])
        return refuse(g, n, 1, "channels and groups do not fit");
    *out = (ftl_tensor_desc){ .dtype = x->dtype, .rank = 4, .dim = { x->dim[0], w->dim[0] } };
    for (int i = 0; i < 2; i++)
        if (!window_count(x->dim[2 + i], w->dim[2 + i], a->stride[i], a->dilation[i], a->pad[i],
                          a->pad[2 + i], &out->dim[2 + i]))
            return refuse(g, n, 1, "the window is larger than the padded input");
    if (bias && (bias->dtype != x->dtype || bias->rank != 1 || bias->dim[0] != w->dim[0]))
        return refuse(g, n, 2, "the bias is not [O]");
    if (residual && !ftl_desc_equal(residual, out))
        return refuse(g, n, 3, "the residual does not have the output's shape");
    return FTL_OK;
}

ftl_status ftl_infer_pool(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const ftl_attr_pool *a = &n->attr.pool;
    if (!is_float(x) || x->rank != 4) return refuse(g, n, 0, "pooling takes floats [B,C,H,W]");
    *out = *x;
    for (int i = 0; i < 4; i++)
        if (a->count_pad[i] < 0 || a->count_pad[i] > a->pad[i])
            return refuse(g, n, 0, "more padding counts than there is");
    for (int i = 0; i < 2; i++)
        if (!window_count(x->dim[2 + i], a->kernel[i], a->stride[i], a->dilation[i], a->pad[i],
                          a->pad[2 + i], &out->dim[2 + i]))
            return refuse(g, n, 0, "the window is larger than the padded input");
    return FTL_OK;
}

ftl_status ftl_infer_batch_norm(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    if (!is_float(x) || x->rank < 2) return refuse(g, n, 0, "batch_norm takes floats [B,C,..]");
    for (int32_t i = 1; i < 5; i++) {
        const ftl_tensor_desc *d = desc_of(g, n, i);
        if (d->dtype != x->dtype || d->rank != 1 || d->dim[0] != x->dim[1])
            return refuse(g, n, i, "scale, bias, mean and variance are [C]");
    }
    *out = *x;
    return FTL_OK;
}

ftl_status ftl_infer_layer_norm(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const int32_t axis = n->attr.norm.axis;
    if (!is_float(x) || axis < 0 || axis >= x->rank)
        return refuse(g, n, 0, "norms take floats and an axis of theirs");
    for (int32_t i = 1; i < n->n_in; i++) {
        const ftl_tensor_desc *d = desc_of(g, n, i);
        if (!d) continue;
        bool fits = d->dtype == x->dtype && d->rank == x->rank - axis;
        for (int32_t k = 0; fits && k < d->rank; k++) fits = d->dim[k] == x->dim[axis + k];
        if (!fits) return refuse(g, n, i, "scale and bias have the axes that are normalised");
    }
    *out = *x;
    return FTL_OK;
}

ftl_status ftl_infer_softmax(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    const int32_t axis = n->attr.norm.axis;
    if (!is_float(out) || axis < 0 || axis >= out->rank)
        return refuse(g, n, 0, "softmax takes floats and an axis of theirs");
    return FTL_OK;
}

ftl_status ftl_infer_lrn(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    if (!is_float(out) || out->rank < 2 || n->attr.lrn.size < 1)
        return refuse(g, n, 0, "lrn takes floats [B,C,..] and a size of at least 1");
    return FTL_OK;
}

static bool is_i32(const ftl_tensor_desc *d, int32_t rank)
{
    return d->dtype == FTL_DTYPE_I32 && d->rank == rank;
}

ftl_status ftl_infer_rope(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0), *positions = desc_of(g, n, 1),
                          *freq = desc_of(g, n, 2);
    if (!is_float(x) || x->rank != 3) return refuse(g, n, 1, "rope turns floats [N,H,D]");
    const int64_t n_rot = n->attr.rope.n_rot ? n->attr.rope.n_rot : x->dim[2];
    if (!is_i32(positions, 1) || positions->dim[0] != x->dim[0])
        return refuse(g, n, 1, "positions are i32[N]");
    if (n_rot < 0 || n_rot % 2 || n_rot > x->dim[2] || !isfinite(n->attr.rope.theta))
        return refuse(g, n, 1, "n_rot is even and at most D");
    if (freq && ((freq->dtype != x->dtype && freq->dtype != FTL_DTYPE_F32) || freq->rank != 1 ||
                 freq->dim[0] != n_rot / 2))
        return refuse(g, n, 2, "inv_freq is [n_rot / 2]");
    *out = *x;
    return FTL_OK;
}

ftl_status ftl_infer_attention(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *q = desc_of(g, n, 0), *k = desc_of(g, n, 1), *v = desc_of(g, n, 2),
                          *table = desc_of(g, n, 3), *seq = desc_of(g, n, 4),
                          *positions = desc_of(g, n, 5), *lengths = desc_of(g, n, 6);
    if (!is_float(q) || q->rank != 3 || k->rank != 3 || v->rank != 3 || k->dtype != q->dtype ||
        v->dtype != q->dtype)
        return refuse(g, n, 1, "q is [N,Hq,D], the pools are [S,Hkv,D]");
    if (k->dim[0] != v->dim[0] || k->dim[1] != v->dim[1] || k->dim[2] != q->dim[2] ||
        k->dim[1] < 1 || q->dim[1] % k->dim[1] || k->dim[0] < 1 || q->dim[2] < 1)
        return refuse(g, n, 1, "heads do not fit");
    if (!is_i32(table, 2) || !is_i32(lengths, 1) || table->dim[0] != lengths->dim[0])
        return refuse(g, n, 3, "the block table is i32[R,MB], lengths are i32[R]");
    if (!is_i32(seq, 1) || !is_i32(positions, 1) || seq->dim[0] != q->dim[0] ||
        positions->dim[0] != q->dim[0])
        return refuse(g, n, 4, "sequence and position are i32[N]");
    int64_t reach;
    if (n->attr.attention.block_size < 1 || n->attr.attention.window < 0 ||
        __builtin_mul_overflow(table->dim[1], n->attr.attention.block_size, &reach) ||
        reach > INT32_MAX)
        return refuse(g, n, 3, "the block size is at least 1");
    *out = *q;
    out->dim[2] = v->dim[2];
    return FTL_OK;
}

ftl_status ftl_infer_cross_entropy(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0), *labels = desc_of(g, n, 1);
    if (!is_float(x) || x->rank != 2 || !is_i32(labels, 1) || labels->dim[0] != x->dim[0])
        return refuse(g, n, 1, "logits are [B,C], labels are i32[B]");
    *out = (ftl_tensor_desc){ .dtype = x->dtype, .rank = 1, .dim = { x->dim[0] } };
    return FTL_OK;
}

ftl_status ftl_infer_cross_entropy_grad(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    FTL_TRY(ftl_infer_cross_entropy(g, n, out));
    if (!ftl_desc_equal(out, desc_of(g, n, 2))) return refuse(g, n, 2, "dloss is not [B]");
    *out = *desc_of(g, n, 0);
    return FTL_OK;
}

ftl_status ftl_infer_adam(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *w = desc_of(g, n, 0), *lr = desc_of(g, n, 4), *step = desc_of(g, n, 5);
    for (int32_t i = 1; i < 4; i++)
        if (!ftl_desc_equal(w, desc_of(g, n, i)))
            return refuse(g, n, i, "weight, gradient and moments have one shape");
    if (!is_float(w) || !is_float(lr) || lr->rank != 0 || !is_i32(step, 0))
        return refuse(g, n, 4, "the rate is a float scalar, the step an i32 scalar");
    for (int i = 0; i < 3; i++) out[i] = *w;
    return FTL_OK;
}
