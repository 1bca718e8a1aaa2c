/* SPDX-License-Identifier: Apache-2.0 */
/* cases.h - the three little models that every backend runs with the same numbers: a forward pass,
 * a whole training step, a decode step with a cache.  All are bound graphs in f32.  Sources and
 * outputs stand in the order that is given here. */
#ifndef FTL_TESTS_SUPPORT_CASES_H
#define FTL_TESTS_SUPPORT_CASES_H

#include "core/graph.h"

typedef struct ftl_case_mlp {
    int64_t batch, n_in, hidden, classes;
    ftl_attr_adam adam; /* of the training step */
} ftl_case_mlp;

/* Dense relu, Dense softmax.  Sources: x [batch,n_in], w1 [hidden,n_in], b1, w2 [classes,hidden],
 * b2 (weights).  Outputs: y [batch,classes]. */
ftl_status ftl_case_keras_mlp(ftl_graph **out, const ftl_case_mlp *size) FTL_MUST_USE;

enum {
    FTL_CASE_ADAM_X, /* positions among the sources; 4 weights, each with its moments */
    FTL_CASE_ADAM_LABELS,
    FTL_CASE_ADAM_RATE,
    FTL_CASE_ADAM_STEP,
    FTL_CASE_ADAM_W1,
    FTL_CASE_ADAM_SOURCES = FTL_CASE_ADAM_W1 + 12
};
/* One step of Adam on the mean cross entropy.  Sources: x, labels i32 [batch], rate f32 (PARAM),
 * step i32 (PARAM), then as STATE w1, w1_m, w1_v, b1, b1_m, b1_v, w2, ..., b2_v.
 * Outputs: loss f32 [], logits [batch,classes], then the new states in the same order. */
ftl_status ftl_case_mlp_adam_step(ftl_graph **out, const ftl_case_mlp *size) FTL_MUST_USE;

typedef struct ftl_case_decoder {
    int64_t hidden, heads, kv_heads, head_dim, ffn, vocab;
    int64_t tokens, sequences;                /* N, R */
    int64_t block_size, blocks, table_blocks; /* the pool has blocks * block_size rows */
    double eps, theta;
} ftl_case_decoder;

enum {
    FTL_CASE_DECODE_TOKENS,
    FTL_CASE_DECODE_POSITIONS,
    FTL_CASE_DECODE_SLOTS,
    FTL_CASE_DECODE_SEQ,
    FTL_CASE_DECODE_TABLE,
    FTL_CASE_DECODE_LENGTHS,
    FTL_CASE_DECODE_KEYS,
    FTL_CASE_DECODE_VALUES,
    FTL_CASE_DECODE_EMBED,
    FTL_CASE_DECODE_SOURCES = FTL_CASE_DECODE_EMBED + 12
};
/* One layer of a decoder of the Llama family.  Sources: tokens i32 [N] (input); as PARAM i32
 * positions [N], slots [N], seq_of_token [N], block_table [R,table_blocks], lengths [R] (with the
 * tokens of this step); as STATE k_pool, v_pool [rows,kv_heads,head_dim]; as WEIGHT embed,
 * attn_norm, wq, wk, wv, wo, ffn_norm, w_gate, w_up, w_down, out_norm, head.
 * Outputs: logits [N,vocab], k_pool, v_pool. */
ftl_status ftl_case_decode(ftl_graph **out, const ftl_case_decoder *size) FTL_MUST_USE;

#endif
