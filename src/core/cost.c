/* SPDX-License-Identifier: Apache-2.0 */
/* Cost rules of ops.def: floating-point operations and bytes of one node at its bound shapes. */
#include "core/rules.h"

static const ftl_tensor_desc *desc_of(const ftl_graph *g, const ftl_node *n, int32_t i)
{
    return i < n->n_in ? ftl_graph_peek_desc(g, n->in[i]) : NULL;
}

static const ftl_tensor_desc *out_of(const ftl_graph *g, const ftl_node *n)
{
    return ftl_graph_peek_desc(g, n->out[0]);
}

static double count(const ftl_tensor_desc *d)
{
    double product = 1;
    for (int32_t i = 0; i < d->rank; i++) product *= (double)d->dim[i];
    return product;
}

static double bytes_of(const ftl_tensor_desc *d)
{
    return d ? count(d) * (double)ftl_dtype_bytes(d->dtype) : 0;
}

static double bytes_in(const ftl_graph *g, const ftl_node *n)
{
    double sum = 0;
    for (int32_t i = 0; i < n->n_in; i++) sum += bytes_of(desc_of(g, n, i));
    return sum;
}

static double bytes_out(const ftl_graph *g, const ftl_node *n)
{
    double sum = 0;
    for (int32_t i = 0; i < n->n_out; i++) sum += bytes_of(ftl_graph_peek_desc(g, n->out[i]));
    return sum;
}

/* Every input read once, every output written once, `flops` as given. */
static void stream(const ftl_graph *g, const ftl_node *n, double flops, ftl_op_cost *out)
{
    *out = (ftl_op_cost){ .flops = flops,
                          .bytes_read = bytes_in(g, n),
                          .bytes_written = bytes_out(g, n) };
}

void ftl_cost_elementwise(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                          ftl_op_cost *out)
{
    (void)params;
    const double each = n->op == FTL_OP_batch_norm ? 2 : 1; /* x * k + shift */
    stream(g, n, each * count(out_of(g, n)), out);
}

void ftl_cost_transcendental(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                             ftl_op_cost *out)
{
    (void)params;
    double each = 1;
    if (n->op == FTL_OP_lrn) each = 2.0 * n->attr.lrn.size + 4; /* squares summed, * + pow / */
    if (n->op == FTL_OP_rope) each = 3;                         /* a * cos - b * sin */
    stream(g, n, each * count(out_of(g, n)), out);
}

void ftl_cost_view(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)g;
    (void)n;
    (void)params;
    *out = (ftl_op_cost){ 0 };
}

/* What is left out (slice) or added (pad, broadcast) is not read. */
void ftl_cost_copy(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)params;
    stream(g, n, 0, out);
    if (out->bytes_read > out->bytes_written) out->bytes_read = out->bytes_written;
}

/* The rows that are taken, once each: never more than there are. */
void ftl_cost_gather(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                     ftl_op_cost *out)
{
    (void)params;
    const double data = bytes_of(desc_of(g, n, 0)), taken = bytes_out(g, n);
    *out = (ftl_op_cost){ .bytes_read = (taken < data ? taken : data) + bytes_of(desc_of(g, n, 1)),
                          .bytes_written = taken };
}

/* In place, as the memory plan makes it for state: rows that are not named cost nothing. */
void ftl_cost_scatter(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                      ftl_op_cost *out)
{
    (void)params;
    const bool adds = n->op == FTL_OP_scatter && n->attr.scatter.add;
    const ftl_tensor_desc *rows = desc_of(g, n, n->op == FTL_OP_kv_write ? 1 : 2);
    *out = (ftl_op_cost){ .bytes_read = bytes_in(g, n) - bytes_of(desc_of(g, n, 0)),
                          .bytes_written = bytes_of(rows) };
    if (!adds) return;
    out->flops = count(rows);
    out->bytes_read += bytes_of(rows); /* the old values */
}

void ftl_cost_reduce(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                     ftl_op_cost *out)
{
    (void)params;
    stream(g, n, count(desc_of(g, n, 0)), out);
}

void ftl_cost_matmul(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                     ftl_op_cost *out)
{
    (void)params;
    const ftl_tensor_desc *a = desc_of(g, n, 0);
    const double k = (double)a->dim[a->rank - (n->attr.matmul.trans_a ? 2 : 1)];
    stream(g, n, 2 * k * count(out_of(g, n)), out);
}

/* Bias, residual and activation: one operation an element each. */
static double epilogue(const ftl_node *n, const ftl_attr_act *act)
{
    double each = act->kind != FTL_ACT_NONE;
    for (int32_t i = 2; i < n->n_in; i++) each += n->in[i] >= 0;
    return each;
}

void ftl_cost_linear(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                     ftl_op_cost *out)
{
    (void)params;
    const double k = (double)desc_of(g, n, 1)->dim[1];
    stream(g, n, (2 * k + epilogue(n, &n->attr.act)) * count(out_of(g, n)), out);
}

void ftl_cost_conv(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)params;
    const ftl_tensor_desc *w = desc_of(g, n, 1);
    const double k = (double)w->dim[1] * (double)w->dim[2] * (double)w->dim[3];
    stream(g, n, (2 * k + epilogue(n, &n->attr.conv.act)) * count(out_of(g, n)), out);
}

void ftl_cost_pool(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)params;
    const ftl_attr_pool *a = &n->attr.pool;
    stream(g, n, (double)a->kernel[0] * (double)a->kernel[1] * count(out_of(g, n)), out);
}

/* Operations an input element: the passes of the usual kernel. */
static double norm_operations(ftl_op op)
{
    switch (op) {
    case FTL_OP_layer_norm: return 7;            /* sum; - mean, ^2, sum; * k, * scale, + bias */
    case FTL_OP_rms_norm: return 4;              /* ^2, sum; * k, * scale                      */
    case FTL_OP_softmax_cross_entropy: return 4; /* max; - max, exp, sum                       */
    default: return 5;                           /* softmax: max; - max, exp, sum; / sum       */
    }
}

void ftl_cost_norm(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)params;
    stream(g, n, norm_operations(n->op) * count(desc_of(g, n, 0)), out);
}

/* ---- attention ----------------------------------------------------------------------------- */

static const int64_t *values_of(const ftl_param_values *params, const ftl_node *n, int32_t i)
{
    return params && params->of_tensor ? params->of_tensor[n->in[i]] : NULL;
}

/* Keys [from, to) that a token sees. */
typedef struct span {
    int64_t from, to;
} span;

static span keys_seen(const ftl_attr_attention *a, int64_t length, int64_t position,
                      int64_t capacity)
{
    span s = { 0, length < capacity ? length : capacity };
    if (a->is_causal && s.to > position + 1) s.to = position + 1;
    if (a->window > 0 && s.from < position + 1 - a->window) s.from = position + 1 - a->window;
    if (s.to < s.from) s.to = s.from;
    return s;
}

/* Sum over tokens of the keys they see, and over sequences of the keys that are read.  Tokens of
 * one sequence stand together; their keys are read once. */
static void count_keys(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                       double *pairs, double *rows)
{
    const ftl_attr_attention *a = &n->attr.attention;
    const int64_t tokens = desc_of(g, n, 0)->dim[0], sequences = desc_of(g, n, 3)->dim[0];
    const int64_t capacity = desc_of(g, n, 3)->dim[1] * a->block_size;
    const int64_t *seq = values_of(params, n, 4), *position = values_of(params, n, 5),
                  *length = values_of(params, n, 6);
    *pairs = *rows = 0;
    if (!seq || !position || !length) {
        const int64_t seen = a->window > 0 && a->window < capacity ? a->window : capacity;
        *pairs = (double)tokens * (double)seen;
        *rows = (double)(tokens < sequences ? tokens : sequences) *
                (double)(tokens > sequences ? capacity : seen);
        return;
    }
    span read = { 0, 0 };
    for (int64_t t = 0; t < tokens; t++) {
        if (t > 0 && seq[t] != seq[t - 1]) {
            *rows += (double)(read.to - read.from);
            read = (span){ 0, 0 };
        }
        if (seq[t] < 0 || seq[t] >= sequences) continue; /* padding */
        const span s = keys_seen(a, length[seq[t]], position[t], capacity);
        *pairs += (double)(s.to - s.from);
        if (s.to == s.from) continue;
        if (read.to == read.from) read = s;
        if (s.from < read.from) read.from = s.from;
        if (s.to > read.to) read.to = s.to;
    }
    *rows += (double)(read.to - read.from);
}

void ftl_cost_attention(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                        ftl_op_cost *out)
{
    const ftl_tensor_desc *q = desc_of(g, n, 0), *k = desc_of(g, n, 1), *v = desc_of(g, n, 2);
    double pairs, rows;
    count_keys(g, n, params, &pairs, &rows);
    const double heads = (double)q->dim[1], d = (double)k->dim[2], dv = (double)v->dim[2];
    const double row_bytes = (double)k->dim[1] * (d + dv) * (double)ftl_dtype_bytes(k->dtype);
    /* q k^T, softmax, p v */
    out->flops = pairs * heads * (2 * d + norm_operations(FTL_OP_softmax) + 2 * dv);
    out->bytes_read = bytes_in(g, n) - bytes_of(k) - bytes_of(v) + rows * row_bytes;
    out->bytes_written = bytes_out(g, n);
}

/* m: 3 operations, v: 4, the step: 6 (two divisions of the moments fold into one, a root, + eps,
 * /, * lr, -), decay: 2 more. */
void ftl_cost_adam(const ftl_graph *g, const ftl_node *n, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    (void)params;
    const double each = n->attr.adam.weight_decay != 0 ? 15 : 13;
    stream(g, n, each * count(out_of(g, n)), out);
}

void ftl_node_cost(const ftl_graph *graph, const ftl_node *node, const ftl_param_values *params,
                   ftl_op_cost *out)
{
    *out = (ftl_op_cost){ 0 };
    ftl_op_get_info(node->op)->cost(graph, node, params, out);
}

void ftl_graph_cost(const ftl_graph *graph, const ftl_param_values *params, ftl_op_cost *out)
{
    const ftl_graph_view *view = ftl_graph_get_view(graph);
    *out = (ftl_op_cost){ 0 };
    for (int32_t i = 0; i < view->n_nodes; i++) {
        ftl_op_cost one;
        ftl_node_cost(graph, &view->nodes[i], params, &one);
        out->flops += one.flops;
        out->bytes_read += one.bytes_read;
        out->bytes_written += one.bytes_written;
    }
}
