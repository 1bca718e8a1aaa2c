/* SPDX-License-Identifier: Apache-2.0 */
/* Fusion: one walk over the nodes; each looks at what computed its inputs in the new graph and, if
 * nobody else reads that, takes it in.  So conv -> batch_norm -> add -> relu melts step by step
 * into one conv; what was absorbed is dead and goes.
 *
 *   matmul(x, W)              -> linear(x, W^T)            W depends on weights alone
 *   linear|conv + add(b)      -> bias                      b per output channel, weight-only
 *   conv * mul(s)             -> conv(x, w s), bias s      s per channel, weight-only
 *   conv -> batch_norm        -> conv(x, w s), (b - m) s + beta,   s = scale / sqrt(var + eps)
 *   batch_norm * mul(s), + add(b) -> batch_norm with other scale and bias
 *   linear|conv + add(r)      -> residual                  r of the output's shape
 *   linear|conv|batch_norm -> activation -> its epilogue
 *   x * sigmoid(x) -> silu
 *   x * (1 + erf(x / sqrt 2)) / 2, in any order of the factors -> gelu
 */
#include <string.h>

#include "base/alloc.h"
#include "core/graph_internal.h"
#include "core/op.h"
#include "core/pass.h"

typedef struct fusing {
    const ftl_graph *old;
    const int32_t *uses; /* of old tensors */
    ftl_weight_only weights;
} fusing;

typedef struct site { /* the node at hand, in the new graph */
    fusing *f;
    ftl_graph *to;
    const ftl_node *node, *old_node;
} site;

static bool weight_only(const site *s, int32_t tensor)
{
    return tensor >= 0 && tensor < s->f->weights.n && s->f->weights.mark[tensor];
}

/* The node that computes input i, when this node is its only reader; else NULL. */
static const ftl_node *sole_producer(const site *s, int32_t i)
{
    const ftl_tensor *t = ftl_graph_peek(s->to, s->node->in[i]);
    if (!t || t->producer < 0 || s->f->uses[s->old_node->in[i]] != 1) return NULL;
    return &ftl_graph_get_view(s->to)->nodes[t->producer];
}

static bool is_conv(const ftl_node *n)
{
    return n->op == FTL_OP_conv || n->op == FTL_OP_conv2d;
}

static ftl_attr_act act_of(const ftl_node *n)
{
    if (n->op == FTL_OP_linear) return n->attr.act;
    if (n->op == FTL_OP_conv) return n->attr.conv.act;
    if (n->op == FTL_OP_batch_norm) return n->attr.norm.act;
    return (ftl_attr_act){ 0 };
}

/* Can take an epilogue step: linear, conv or batch_norm whose activation is still free. */
static bool is_open(const ftl_node *n)
{
    const bool takes = n && (n->op == FTL_OP_linear || is_conv(n) || n->op == FTL_OP_batch_norm);
    return takes && act_of(n).kind == FTL_ACT_NONE;
}

static int32_t input_or_none(const ftl_node *n, int32_t i)
{
    return i < n->n_in ? n->in[i] : -1;
}

/* The same linear or conv with other weight, bias and residual; conv2d becomes conv. */
static int32_t emit_layer(ftl_graph *to, const ftl_node *n, int32_t w, int32_t bias,
                          int32_t residual, const ftl_attr *attr)
{
    const ftl_op op = n->op == FTL_OP_conv2d ? FTL_OP_conv : n->op;
    const int32_t in[] = { n->in[0], w, bias, residual };
    ftl_graph_set_scope(to, n->name);
    return ftl_graph_add(to, op, attr, in, residual >= 0 ? 4 : bias >= 0 ? 3 : 2);
}

static int32_t reshape_to(ftl_graph *to, int32_t x, int32_t rank, const int64_t *dim)
{
    ftl_attr attr = { .shape = { .rank = rank } };
    for (int32_t i = 0; i < rank; i++) attr.shape.dim[i] = dim[i];
    return FTL_ADD(to, reshape, &attr, x);
}

/* A weight-only tensor that broadcasts over `out` along the channel axis alone, as [C]; else -1.
 * One value for all channels is spread. */
static int32_t as_channel_vector(const site *s, int32_t tensor, const ftl_tensor_desc *out,
                                 int32_t axis)
{
    if (!weight_only(s, tensor)) return -1;
    const ftl_tensor_desc *d = ftl_graph_peek_desc(s->to, tensor);
    const int64_t channels = out->dim[axis];
    if (d->dtype != out->dtype || d->rank > out->rank) return -1;
    for (int32_t i = 0; i < d->rank; i++) {
        const int32_t at = i + out->rank - d->rank;
        if (d->dim[i] != 1 && (at != axis || d->dim[i] != channels)) return -1;
    }
    const int64_t count = ftl_desc_count_checked(d);
    if (count == channels) return reshape_to(s->to, tensor, 1, &channels);
    if (count != 1) return -1;
    ftl_attr spread = { .shape = { .rank = 1, .dim = { channels } } };
    return FTL_ADD(s->to, broadcast, &spread, reshape_to(s->to, tensor, 0, NULL));
}

static int32_t channel_axis(const ftl_node *n, const ftl_tensor_desc *out)
{
    return n->op == FTL_OP_linear ? out->rank - 1 : 1;
}

/* w * s along axis 0 of a conv weight. */
static int32_t scale_weight(ftl_graph *to, int32_t w, int32_t scale)
{
    const ftl_tensor_desc *d = ftl_graph_peek_desc(to, w);
    const int64_t dim[] = { d->dim[0], 1, 1, 1 };
    return FTL_ADD(to, mul, NULL, w, reshape_to(to, scale, d->rank, dim));
}

/* ---- the rules: each returns the new result, or -1 when it does not apply ------------------- */

static int32_t fuse_matmul(const site *s)
{
    const ftl_node *n = s->node;
    const ftl_tensor_desc *w = ftl_graph_peek_desc(s->to, n->in[1]);
    if (n->attr.matmul.trans_a || w->rank != 2 || !weight_only(s, n->in[1]) ||
        weight_only(s, n->in[0]) || !ftl_dtype_is_float(w->dtype))
        return -1;
    int32_t weight = n->in[1];
    const ftl_attr swap = { .perm = { .perm = { 1, 0 } } };
    if (!n->attr.matmul.trans_b) weight = FTL_ADD(s->to, transpose, &swap, weight);
    return FTL_ADD(s->to, linear, NULL, n->in[0], weight);
}

/* y + b or y * s with y an open conv, linear or batch_norm. */
static int32_t fuse_channel(const site *s, int32_t y_at)
{
    const ftl_node *y = sole_producer(s, y_at);
    const ftl_tensor_desc *out = ftl_graph_peek_desc(s->to, s->node->in[y_at]);
    if (!is_open(y) || (y->op != FTL_OP_batch_norm && input_or_none(y, 3) >= 0)) return -1;
    const bool is_mul = s->node->op == FTL_OP_mul;
    if (is_mul && y->op == FTL_OP_linear) return -1;
    const ftl_node layer = *y; /* the array may move while nodes are added */
    const int32_t v = as_channel_vector(s, s->node->in[1 - y_at], out, channel_axis(&layer, out));
    if (v < 0) return -1;
    if (layer.op == FTL_OP_batch_norm) {
        const int32_t scale = is_mul ? FTL_ADD(s->to, mul, NULL, layer.in[1], v) : layer.in[1];
        const int32_t bias = is_mul ? FTL_ADD(s->to, mul, NULL, layer.in[2], v)
                                    : FTL_ADD(s->to, add, NULL, layer.in[2], v);
        return FTL_ADD(s->to, batch_norm, &layer.attr, layer.in[0], scale, bias, layer.in[3],
                       layer.in[4]);
    }
    int32_t w = layer.in[1], bias = input_or_none(&layer, 2);
    if (!weight_only(s, w)) return -1;
    if (is_mul) {
        w = scale_weight(s->to, w, v);
        if (bias >= 0) bias = FTL_ADD(s->to, mul, NULL, bias, v);
    } else {
        bias = bias >= 0 ? FTL_ADD(s->to, add, NULL, bias, v) : v;
    }
    return emit_layer(s->to, &layer, w, bias, -1, &layer.attr);
}

static int32_t fuse_residual(const site *s, int32_t y_at)
{
    const ftl_node *y = sole_producer(s, y_at);
    const int32_t r = s->node->in[1 - y_at];
    if (!is_open(y) || y->op == FTL_OP_batch_norm || input_or_none(y, 3) >= 0) return -1;
    if (!ftl_desc_equal(ftl_graph_peek_desc(s->to, r),
                        ftl_graph_peek_desc(s->to, s->node->in[y_at])))
        return -1;
    const ftl_node layer = *y;
    return emit_layer(s->to, &layer, layer.in[1], input_or_none(&layer, 2), r, &layer.attr);
}

static int32_t fuse_batch_norm(const site *s)
{
    const ftl_node *n = s->node, *y = sole_producer(s, 0);
    if (!is_open(y) || !is_conv(y) || input_or_none(y, 3) >= 0 || !weight_only(s, y->in[1]))
        return -1;
    for (int32_t i = 1; i < 5; i++)
        if (!weight_only(s, n->in[i])) return -1;
    const ftl_node layer = *y;
    ftl_graph *to = s->to;
    const ftl_dtype dtype = ftl_graph_peek_desc(to, n->in[0])->dtype;
    const int32_t eps = ftl_graph_const_scalar(to, dtype, n->attr.norm.eps);
    const int32_t deviation = FTL_ADD(to, rsqrt, NULL, FTL_ADD(to, add, NULL, n->in[4], eps));
    const int32_t scale = FTL_ADD(to, mul, NULL, n->in[1], deviation);
    int32_t shift = FTL_ADD(to, neg, NULL, n->in[3]);
    if (input_or_none(&layer, 2) >= 0) shift = FTL_ADD(to, sub, NULL, layer.in[2], n->in[3]);
    const int32_t bias = FTL_ADD(to, add, NULL, FTL_ADD(to, mul, NULL, shift, scale), n->in[2]);
    ftl_attr attr;
    memcpy(&attr, &layer.attr, sizeof attr);
    attr.conv.act = n->attr.norm.act;
    return emit_layer(to, &layer, scale_weight(to, layer.in[1], scale), bias, -1, &attr);
}

static int32_t fuse_activation(const site *s)
{
    const ftl_node *y = sole_producer(s, 0);
    if (!is_open(y)) return -1;
    const ftl_node layer = *y;
    ftl_attr attr;
    memcpy(&attr, &layer.attr, sizeof attr);
    if (layer.op == FTL_OP_linear) attr.act = s->node->attr.act;
    else if (layer.op == FTL_OP_batch_norm) attr.norm.act = s->node->attr.act;
    else attr.conv.act = s->node->attr.act;
    if (layer.op == FTL_OP_batch_norm)
        return FTL_ADD(s->to, batch_norm, &attr, layer.in[0], layer.in[1], layer.in[2], layer.in[3],
                       layer.in[4]);
    return emit_layer(s->to, &layer, layer.in[1], input_or_none(&layer, 2),
                      input_or_none(&layer, 3), &attr);
}

/* x * sigmoid(x) */
static int32_t fuse_silu(const site *s, int32_t sigmoid_at)
{
    const ftl_node *y = sole_producer(s, sigmoid_at);
    const bool is_sigmoid = y && (y->op == FTL_OP_sigmoid || (y->op == FTL_OP_activation &&
                                                              y->attr.act.kind == FTL_ACT_SIGMOID));
    if (!is_sigmoid || y->in[0] != s->node->in[1 - sigmoid_at]) return -1;
    const ftl_attr attr = { .act = { .kind = FTL_ACT_SILU } };
    return FTL_ADD(s->to, activation, &attr, y->in[0]);
}

/* The value of a constant of one element. */
static bool is_number(const ftl_graph *g, int32_t tensor, double want)
{
    const ftl_tensor *t = ftl_graph_peek(g, tensor);
    if (!t || t->kind != FTL_TENSOR_CONST || ftl_desc_count_checked(&t->desc) != 1) return false;
    const double value = ftl_element_get(t->desc.dtype, t->data, 0);
    return value > want * (1 - 1e-4) && value < want * (1 + 1e-4);
}

static const ftl_node *producer_of(const ftl_graph *g, int32_t tensor, ftl_op op)
{
    const ftl_tensor *t = ftl_graph_peek(g, tensor);
    if (!t || t->producer < 0) return NULL;
    const ftl_node *n = &ftl_graph_get_view(g)->nodes[t->producer];
    return n->op == op ? n : NULL;
}

/* x when the tensor is 1 + erf(x / sqrt 2), else -1. */
static int32_t gelu_argument(const ftl_graph *g, int32_t tensor)
{
    const ftl_node *sum = producer_of(g, tensor, FTL_OP_add);
    if (!sum) return -1;
    for (int32_t i = 0; i < 2; i++) {
        const ftl_node *erf = producer_of(g, sum->in[i], FTL_OP_erf);
        if (!erf || !is_number(g, sum->in[1 - i], 1)) continue;
        const ftl_node *div = producer_of(g, erf->in[0], FTL_OP_div);
        if (div && is_number(g, div->in[1], 1.41421356)) return div->in[0];
        const ftl_node *mul = producer_of(g, erf->in[0], FTL_OP_mul);
        for (int32_t k = 0; mul && k < 2; k++)
            if (is_number(g, mul->in[k], 0.70710678)) return mul->in[1 - k];
    }
    return -1;
}

/* Three factors x, 1/2 and 1 + erf(x / sqrt 2) under two multiplications. */
static int32_t fuse_gelu(const site *s)
{
    int32_t factor[4], n = 0;
    for (int32_t i = 0; i < 2; i++) {
        const ftl_node *inner = producer_of(s->to, s->node->in[i], FTL_OP_mul);
        const bool is_ours = inner && n + 2 <= 3 && s->f->uses[s->old_node->in[i]] == 1;
        factor[n++] = is_ours ? inner->in[0] : s->node->in[i];
        if (is_ours) factor[n++] = inner->in[1];
    }
    if (n != 3) return -1;
    for (int32_t i = 0; i < 3; i++) {
        const int32_t x = gelu_argument(s->to, factor[i]);
        const int32_t a = factor[(i + 1) % 3], b = factor[(i + 2) % 3];
        if (x < 0 ||
            !((a == x && is_number(s->to, b, 0.5)) || (b == x && is_number(s->to, a, 0.5))))
            continue;
        const ftl_attr attr = { .act = { .kind = FTL_ACT_GELU } };
        return FTL_ADD(s->to, activation, &attr, x);
    }
    return -1;
}

static int32_t fuse_node(const site *s)
{
    int32_t r = -1;
    switch (s->node->op) {
    case FTL_OP_matmul: return fuse_matmul(s);
    case FTL_OP_add:
        for (int32_t i = 0; r < 0 && i < 2; i++) r = fuse_channel(s, i);
        for (int32_t i = 0; r < 0 && i < 2; i++) r = fuse_residual(s, i);
        return r;
    case FTL_OP_mul:
        for (int32_t i = 0; r < 0 && i < 2; i++) r = fuse_channel(s, i);
        for (int32_t i = 0; r < 0 && i < 2; i++) r = fuse_silu(s, i);
        return r < 0 ? fuse_gelu(s) : r;
    case FTL_OP_batch_norm: return fuse_batch_norm(s);
    case FTL_OP_activation: return fuse_activation(s);
    default: return -1;
    }
}

static ftl_status emit_fused(void *arg, ftl_graph *to, const ftl_node *node, int32_t old_index,
                             int32_t *out, bool *done)
{
    fusing *f = arg;
    FTL_TRY(ftl_weight_only_update(&f->weights, to));
    const site s = { f, to, node, &ftl_graph_get_view(f->old)->nodes[old_index] };
    out[0] = fuse_node(&s);
    FTL_TRY(ftl_graph_status(to));
    /* A constant of one element may carry axes of its own into the shape: 0.5 as [1,1,1]. */
    *done = out[0] >= 0 && ftl_desc_equal(ftl_graph_peek_desc(to, out[0]),
                                          ftl_graph_peek_desc(f->old, s.old_node->out[0]));
    return FTL_OK;
}

ftl_status ftl_pass_fuse(ftl_graph **out, const ftl_graph *graph)
{
    *out = NULL;
    int32_t *uses = NULL;
    ftl_graph *fused = NULL;
    ftl_status s = ftl_graph_count_uses(&uses, graph);
    fusing f = { .old = graph, .uses = uses };
    if (s == FTL_OK) s = ftl_graph_rewrite(&fused, graph, emit_fused, &f);
    if (s == FTL_OK) s = ftl_pass_dead(out, fused, true);
    ftl_graph_destroy(fused);
    ftl_free(f.weights.mark);
    ftl_free(uses);
    return s;
}

ftl_status ftl_pass_optimize(ftl_graph **out, const ftl_graph *graph)
{
    enum { FOLD_BYTES = 1 << 16, MOST_ROUNDS = 4 };
    *out = NULL;
    ftl_graph *now = NULL;
    FTL_TRY(ftl_pass_fold(&now, graph, FOLD_BYTES));
    for (int round = 0; round < MOST_ROUNDS; round++) {
        ftl_graph *fused = NULL, *folded = NULL;
        const uint64_t before = ftl_graph_fingerprint(now);
        ftl_status s = ftl_pass_fuse(&fused, now);
        if (s == FTL_OK) s = ftl_pass_fold(&folded, fused, FOLD_BYTES);
        ftl_graph_destroy(fused);
        ftl_graph_destroy(now);
        if (s != FTL_OK) return s;
        now = folded;
        if (ftl_graph_fingerprint(now) == before) break;
    }
    *out = now;
    return FTL_OK;
}
