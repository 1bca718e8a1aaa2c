/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder with a paged cache against NumPy (make_decode_case.py): token by token, and as one
 * ragged batch in which a padded token and an idle sequence take part. */
#include <math.h>
#include <string.h>

#include "decode.h"
#include "support/cases.h"
#include "support/graphs.h"

enum {
    ROW = DECODE_KV_HEADS * DECODE_HEAD_DIM,
    BLOCK = 4,
    BLOCKS = 3,
    ROWS = BLOCK * BLOCKS,
    BLOCK_OF_FIRST = 2, /* positions 0..3 lie in block 2, positions 4..7 in block 0 */
    BLOCK_OF_SECOND = 0
};

static ftl_case_decoder sized(int64_t tokens, int64_t sequences)
{
    return (ftl_case_decoder){ .hidden = DECODE_HIDDEN,
                               .heads = DECODE_HEADS,
                               .kv_heads = DECODE_KV_HEADS,
                               .head_dim = DECODE_HEAD_DIM,
                               .ffn = DECODE_FFN,
                               .vocab = DECODE_VOCAB,
                               .tokens = tokens,
                               .sequences = sequences,
                               .block_size = BLOCK,
                               .blocks = BLOCKS,
                               .table_blocks = 2,
                               .eps = DECODE_RMS_EPS,
                               .theta = DECODE_ROPE_THETA };
}

static void set_weights(const void **in)
{
    const float *const weights[12] = { decode_embed,    decode_attn_norm, decode_wq,
                                       decode_wk,       decode_wv,        decode_wo,
                                       decode_ffn_norm, decode_w_gate,    decode_w_up,
                                       decode_w_down,   decode_out_norm,  decode_head };
    for (int i = 0; i < 12; i++) in[FTL_CASE_DECODE_EMBED + i] = weights[i];
}

static int32_t slot_of(int32_t position)
{
    return (position < BLOCK ? BLOCK_OF_FIRST : BLOCK_OF_SECOND) * BLOCK + position % BLOCK;
}

static void assert_cache(const float *keys, const float *values)
{
    for (int32_t p = 0; p < DECODE_CONTEXT; p++) {
        ftl_test_assert_close_f32(keys + slot_of(p) * ROW, decode_keys + p * ROW, ROW, 1e-6,
                                  "keys");
        ftl_test_assert_close_f32(values + slot_of(p) * ROW, decode_values + p * ROW, ROW, 1e-6,
                                  "values");
    }
}

/* The cache's memory is both the old and the new state, as a backend has it. */
static void token_by_token_equals_numpy(void **unused)
{
    (void)unused;
    ftl_graph *graph;
    const ftl_case_decoder size = sized(1, 1);
    assert_ok(ftl_case_decode(&graph, &size));
    assert_ok(ftl_graph_check(graph));
    float keys[ROWS * ROW], values[ROWS * ROW];
    for (int i = 0; i < ROWS * ROW; i++) keys[i] = values[i] = NAN; /* nobody may read these */
    const int32_t table[2] = { BLOCK_OF_FIRST, BLOCK_OF_SECOND }, sequence = 0;
    for (int32_t p = 0; p < DECODE_CONTEXT; p++) {
        const int32_t slot = slot_of(p), length = p + 1;
        const void *in[FTL_CASE_DECODE_SOURCES] = {
            &decode_tokens[p], &p, &slot, &sequence, table, &length, keys, values
        };
        float logits[DECODE_VOCAB];
        void *out[3] = { logits, keys, values };
        set_weights(in);
        ftl_test_eval(graph, in, out);
        ftl_test_assert_close_f32(logits, decode_logits + p * DECODE_VOCAB, DECODE_VOCAB, 2e-6,
                                  "logits");
    }
    assert_cache(keys, values);
    ftl_graph_destroy(graph);
}

/* Sequence 1 holds the tokens, sequence 0 is idle, one more token is padding. */
static void one_batch_equals_numpy(void **unused)
{
    (void)unused;
    enum { N = DECODE_CONTEXT + 1, PAD = 3 };
    ftl_graph *graph;
    const ftl_case_decoder size = sized(N, 2);
    assert_ok(ftl_case_decode(&graph, &size));
    assert_ok(ftl_graph_check(graph));
    int32_t tokens[N], positions[N], slots[N], seq[N];
    for (int32_t i = 0, p = 0; i < N; i++) {
        const int is_pad = i == PAD;
        tokens[i] = is_pad ? 0 : decode_tokens[p];
        positions[i] = is_pad ? 0 : p;
        slots[i] = is_pad ? -1 : slot_of(p);
        seq[i] = is_pad ? -1 : 1;
        if (!is_pad) p++;
    }
    const int32_t table[4] = { 1, 1, BLOCK_OF_FIRST, BLOCK_OF_SECOND };
    const int32_t lengths[2] = { 0, DECODE_CONTEXT };
    static float keys[ROWS * ROW], values[ROWS * ROW];
    const void *in[FTL_CASE_DECODE_SOURCES] = { tokens, positions, slots, seq,
                                                table,  lengths,   keys,  values };
    float logits[N * DECODE_VOCAB], new_keys[ROWS * ROW], new_values[ROWS * ROW];
    void *out[3] = { logits, new_keys, new_values };
    set_weights(in);
    ftl_test_eval(graph, in, out);
    assert_cache(new_keys, new_values);
    for (int32_t i = 0, p = 0; i < N; i++) {
        if (i == PAD) continue;
        ftl_test_assert_close_f32(logits + i * DECODE_VOCAB, decode_logits + p++ * DECODE_VOCAB,
                                  DECODE_VOCAB, 2e-6, "logits");
    }
    for (int i = 0; i < BLOCK * ROW; i++) /* block 1 was not written */
        assert_true(new_keys[BLOCK * ROW + i] == 0 && new_values[BLOCK * ROW + i] == 0);
    ftl_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_by_token_equals_numpy),
        cmocka_unit_test(one_batch_equals_numpy),
    };
    return ftl_test_run(tests);
}
