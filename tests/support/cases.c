/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cases.h"

#include <stdio.h>
#include <string.h>

#include "core/grad.h"
#include "support/graphs.h"

static const ftl_init small = { .kind = FTL_INIT_NORMAL, .scale = 0.05f };

/* Hands the graph out, or what went wrong. */
static ftl_status finish(ftl_graph **out, ftl_graph *graph)
{
    const ftl_status s = ftl_graph_status(graph);
    if (s == FTL_OK) *out = graph;
    else ftl_graph_destroy(graph);
    return s;
}

static ftl_attr blank(void)
{
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    return attr;
}

static int32_t weight(ftl_graph *g, const char *name, ftl_tensor_desc desc)
{
    return ftl_graph_weight(g, name, &desc, NULL, small);
}

static int32_t dense(ftl_graph *g, int32_t x, int32_t w, int32_t b, ftl_act act)
{
    ftl_attr attr = blank();
    attr.act.kind = act;
    return FTL_ADD(g, linear, &attr, x, w, b);
}

ftl_status ftl_case_keras_mlp(ftl_graph **out, const ftl_case_mlp *size)
{
    ftl_graph *g;
    *out = NULL;
    FTL_TRY(ftl_graph_create(&g, "keras-mlp", true));
    const ftl_tensor_desc desc = DESC(F32, size->batch, size->n_in);
    const int32_t x = ftl_graph_input(g, "x", &desc);
    const int32_t w1 = weight(g, "w1", DESC(F32, size->hidden, size->n_in));
    const int32_t b1 = weight(g, "b1", DESC(F32, size->hidden));
    const int32_t w2 = weight(g, "w2", DESC(F32, size->classes, size->hidden));
    const int32_t b2 = weight(g, "b2", DESC(F32, size->classes));
    const int32_t h = dense(g, x, w1, b1, FTL_ACT_RELU);
    ftl_attr over = blank();
    over.norm.axis = 1;
    ftl_graph_output(g, "y", FTL_ADD(g, softmax, &over, dense(g, h, w2, b2, FTL_ACT_NONE)));
    return finish(out, g);
}

/* ---- the training step --------------------------------------------------------------------- */

/* A trained tensor with its moments. */
typedef struct trained {
    int32_t w, m, v;
} trained;

static trained trained_state(ftl_graph *g, const char *name, ftl_tensor_desc desc)
{
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    char m_name[32], v_name[32];
    snprintf(m_name, sizeof m_name, "%s_m", name);
    snprintf(v_name, sizeof v_name, "%s_v", name);
    trained t;
    t.w = ftl_graph_state(g, name, &desc, small);
    t.m = ftl_graph_state(g, m_name, &desc, zero);
    t.v = ftl_graph_state(g, v_name, &desc, zero);
    return t;
}

static void update(ftl_graph *g, const trained *t, int32_t gradient, int32_t rate, int32_t step,
                   const ftl_attr_adam *adam)
{
    ftl_attr attr = blank();
    attr.adam = *adam;
    const int32_t first = FTL_ADD(g, adam, &attr, t->w, gradient, t->m, t->v, rate, step);
    ftl_graph_output_state(g, t->w, first);
    ftl_graph_output_state(g, t->m, first < 0 ? -1 : first + 1);
    ftl_graph_output_state(g, t->v, first < 0 ? -1 : first + 2);
}

ftl_status ftl_case_mlp_adam_step(ftl_graph **out, const ftl_case_mlp *size)
{
    ftl_graph *g;
    *out = NULL;
    FTL_TRY(ftl_graph_create(&g, "mlp-adam-step", true));
    const ftl_tensor_desc in = DESC(F32, size->batch, size->n_in), ids = DESC(I32, size->batch);
    const ftl_tensor_desc number = DESC0(F32), count = DESC0(I32);
    const int32_t x = ftl_graph_input(g, "x", &in);
    const int32_t labels = ftl_graph_input(g, "labels", &ids);
    const int32_t rate = ftl_graph_param(g, "rate", &number);
    const int32_t step = ftl_graph_param(g, "step", &count);
    trained t[4];
    t[0] = trained_state(g, "w1", DESC(F32, size->hidden, size->n_in));
    t[1] = trained_state(g, "b1", DESC(F32, size->hidden));
    t[2] = trained_state(g, "w2", DESC(F32, size->classes, size->hidden));
    t[3] = trained_state(g, "b2", DESC(F32, size->classes));
    const int32_t h = dense(g, x, t[0].w, t[1].w, FTL_ACT_RELU);
    const int32_t logits = dense(g, h, t[2].w, t[3].w, FTL_ACT_NONE);
    ftl_attr over = blank();
    over.reduce.axes = 1;
    const int32_t loss =
        FTL_ADD(g, reduce_mean, &over, FTL_ADD(g, softmax_cross_entropy, NULL, logits, labels));
    ftl_graph_output(g, "loss", loss);
    ftl_graph_output(g, "logits", logits);
    const int32_t wanted[4] = { t[0].w, t[1].w, t[2].w, t[3].w };
    int32_t gradient[4];
    ftl_graph_poison(g, ftl_graph_gradients(g, loss, wanted, 4, gradient));
    for (int i = 0; i < 4; i++) update(g, &t[i], gradient[i], rate, step, &size->adam);
    return finish(out, g);
}

/* ---- the decoder --------------------------------------------------------------------------- */

typedef struct decoder {
    ftl_graph *g;
    const ftl_case_decoder *size;
    int32_t tokens, positions, slots, seq, table, lengths, keys, values;
    int32_t embed, attn_norm, wq, wk, wv, wo, ffn_norm, w_gate, w_up, w_down, out_norm, head;
    int32_t new_keys, new_values;
} decoder;

static int32_t param(ftl_graph *g, const char *name, ftl_tensor_desc desc)
{
    return ftl_graph_param(g, name, &desc);
}

static void add_sources(decoder *d)
{
    ftl_graph *g = d->g;
    const ftl_case_decoder *s = d->size;
    static const ftl_init empty = { .kind = FTL_INIT_FILL };
    const ftl_tensor_desc ids = DESC(I32, s->tokens);
    const ftl_tensor_desc pool = DESC(F32, s->blocks * s->block_size, s->kv_heads, s->head_dim);
    const int64_t q_width = s->heads * s->head_dim, kv_width = s->kv_heads * s->head_dim;
    d->tokens = ftl_graph_input(g, "tokens", &ids);
    d->positions = param(g, "positions", ids);
    d->slots = param(g, "slots", ids);
    d->seq = param(g, "seq_of_token", ids);
    d->table = param(g, "block_table", DESC(I32, s->sequences, s->table_blocks));
    d->lengths = param(g, "lengths", DESC(I32, s->sequences));
    d->keys = ftl_graph_state(g, "k_pool", &pool, empty);
    d->values = ftl_graph_state(g, "v_pool", &pool, empty);
    d->embed = weight(g, "embed", DESC(F32, s->vocab, s->hidden));
    d->attn_norm = weight(g, "attn_norm", DESC(F32, s->hidden));
    d->wq = weight(g, "wq", DESC(F32, q_width, s->hidden));
    d->wk = weight(g, "wk", DESC(F32, kv_width, s->hidden));
    d->wv = weight(g, "wv", DESC(F32, kv_width, s->hidden));
    d->wo = weight(g, "wo", DESC(F32, s->hidden, q_width));
    d->ffn_norm = weight(g, "ffn_norm", DESC(F32, s->hidden));
    d->w_gate = weight(g, "w_gate", DESC(F32, s->ffn, s->hidden));
    d->w_up = weight(g, "w_up", DESC(F32, s->ffn, s->hidden));
    d->w_down = weight(g, "w_down", DESC(F32, s->hidden, s->ffn));
    d->out_norm = weight(g, "out_norm", DESC(F32, s->hidden));
    d->head = weight(g, "head", DESC(F32, s->vocab, s->hidden));
}

static int32_t rms(const decoder *d, int32_t x, int32_t scale)
{
    ftl_attr attr = blank();
    attr.norm.eps = d->size->eps;
    attr.norm.axis = 1;
    return FTL_ADD(d->g, rms_norm, &attr, x, scale);
}

static int32_t product(const decoder *d, int32_t x, int32_t w, ftl_act act)
{
    ftl_attr attr = blank();
    attr.act.kind = act;
    return FTL_ADD(d->g, linear, &attr, x, w);
}

static int32_t reshape(const decoder *d, int32_t x, int32_t rank, int64_t second, int64_t third)
{
    ftl_attr attr = blank();
    attr.shape.rank = rank;
    attr.shape.dim[0] = d->size->tokens;
    attr.shape.dim[1] = second;
    attr.shape.dim[2] = third;
    return FTL_ADD(d->g, reshape, &attr, x);
}

/* act(x w^T + residual) */
static int32_t joined(const decoder *d, int32_t x, int32_t w, int32_t residual)
{
    const ftl_attr attr = blank();
    return FTL_ADD(d->g, linear, &attr, x, w, -1, residual);
}

static int32_t attend(decoder *d, int32_t x)
{
    ftl_graph *g = d->g;
    const ftl_case_decoder *s = d->size;
    ftl_attr rope = blank(), attention = blank();
    rope.rope.theta = s->theta;
    attention.attention.is_causal = 1;
    attention.attention.block_size = (int32_t)s->block_size;
    const int32_t n = rms(d, x, d->attn_norm);
    const int32_t q = reshape(d, product(d, n, d->wq, FTL_ACT_NONE), 3, s->heads, s->head_dim);
    const int32_t k = reshape(d, product(d, n, d->wk, FTL_ACT_NONE), 3, s->kv_heads, s->head_dim);
    const int32_t v = reshape(d, product(d, n, d->wv, FTL_ACT_NONE), 3, s->kv_heads, s->head_dim);
    const int32_t turned_q = FTL_ADD(g, rope, &rope, q, d->positions);
    const int32_t turned_k = FTL_ADD(g, rope, &rope, k, d->positions);
    d->new_keys = FTL_ADD(g, kv_write, NULL, d->keys, turned_k, d->slots);
    d->new_values = FTL_ADD(g, kv_write, NULL, d->values, v, d->slots);
    const int32_t y = FTL_ADD(g, attention, &attention, turned_q, d->new_keys, d->new_values,
                              d->table, d->seq, d->positions, d->lengths);
    return joined(d, reshape(d, y, 2, s->heads * s->head_dim, 0), d->wo, x);
}

ftl_status ftl_case_decode(ftl_graph **out, const ftl_case_decoder *size)
{
    decoder d = { .size = size };
    *out = NULL;
    FTL_TRY(ftl_graph_create(&d.g, "decode", true));
    add_sources(&d);
    ftl_attr first_axis = blank();
    int32_t x = FTL_ADD(d.g, gather, &first_axis, d.embed, d.tokens);
    x = attend(&d, x);
    const int32_t n = rms(&d, x, d.ffn_norm);
    const int32_t gate = product(&d, n, d.w_gate, FTL_ACT_SILU);
    const int32_t up = product(&d, n, d.w_up, FTL_ACT_NONE);
    x = joined(&d, FTL_ADD(d.g, mul, NULL, gate, up), d.w_down, x);
    ftl_graph_output(d.g, "logits", product(&d, rms(&d, x, d.out_norm), d.head, FTL_ACT_NONE));
    ftl_graph_output_state(d.g, d.keys, d.new_keys);
    ftl_graph_output_state(d.g, d.values, d.new_values);
    return finish(out, d.g);
}
