/* SPDX-License-Identifier: Apache-2.0 */
/* The three little models of cases.h: the same numbers as NumPy's, on this backend and on every
 * other one that is here. */
#include <string.h>

#include "contract/contract.h"
#include "golden/decode.h"
#include "golden/mlp_adam.h"
#include "support/cases.h"
#include "support/graphs.h"

static const ftl_case_mlp mlp = { .batch = MLP_BATCH,
                                  .n_in = MLP_IN,
                                  .hidden = MLP_HIDDEN,
                                  .classes = MLP_CLASSES,
                                  .adam = {
                                      .beta1 = MLP_BETA1, .beta2 = MLP_BETA2, .eps = MLP_EPS } };

/* ---- forward ------------------------------------------------------------------------------- */

enum { MLP_Y = MLP_BATCH * MLP_CLASSES };

static void forward_on(ftl_device *device, float *y)
{
    rig r;
    ftl_graph *g;
    assert_ok(ftl_case_keras_mlp(&g, &mlp));
    rig_init(&r, device, g, 2);
    const float *const in[5] = { mlp_x, mlp_w1, mlp_b1, mlp_w2, mlp_b2 };
    for (int i = 0; i < 5; i++) rig_put(&r, i, in[i]);
    assert_ok(rig_run(&r));
    rig_get(&r, 0, y);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void forward_equals_numpy_and_the_other_backends(void **unused)
{
    (void)unused;
    float y[MLP_Y], other[MLP_Y];
    ftl_device *devices[CONTRACT_BACKENDS];
    forward_on(contract_device, y);
    ftl_test_assert_close_f32(y, mlp_probabilities, MLP_Y, 1e-6, "probabilities");
    const int n = contract_open_all(devices);
    for (int i = 0; i < n; i++) {
        forward_on(devices[i], other);
        ftl_test_assert_close_f32(y, other, MLP_Y, 1e-6, ftl_device_backend_name(devices[i]));
        ftl_device_close(devices[i]);
    }
}

/* ---- training ------------------------------------------------------------------------------ */

enum { STATES = 12, STEPS = 5, STATE_MOST = MLP_IN * MLP_HIDDEN };

static const struct {
    const char *name;
    const float *old, *new;
    size_t n;
} states[STATES] = {
#define STATE(name) { #name, mlp_##name, mlp_##name##_new, sizeof mlp_##name / sizeof(float) },
    STATE(w1) STATE(w1_m) STATE(w1_v) STATE(b1) STATE(b1_m) STATE(b1_v) STATE(w2) STATE(w2_m)
        STATE(w2_v) STATE(b2) STATE(b2_m) STATE(b2_v)
#undef STATE
};

typedef struct trained {
    float loss[STEPS], states[STATES][STATE_MOST];
} trained;

static void put_parameters(rig *r, int64_t params[2], int32_t step)
{
    const float rate = MLP_RATE;
    uint32_t bits;
    memcpy(&bits, &rate, sizeof bits);
    params[0] = bits;
    params[1] = step;
    r->params = params;
    rig_put(r, FTL_CASE_ADAM_RATE, &rate);
    rig_put(r, FTL_CASE_ADAM_STEP, &step);
}

/* The state stays on the device from step to step; the first step is NumPy's. */
static void train_on(ftl_device *device, trained *out)
{
    rig r;
    ftl_graph *g;
    float logits[MLP_Y];
    int64_t params[2];
    assert_ok(ftl_case_mlp_adam_step(&g, &mlp));
    rig_init(&r, device, g, 2);
    rig_put(&r, FTL_CASE_ADAM_X, mlp_x);
    rig_put(&r, FTL_CASE_ADAM_LABELS, mlp_labels);
    for (int i = 0; i < STATES; i++) rig_put(&r, FTL_CASE_ADAM_W1 + i, states[i].old);
    for (int step = 0; step < STEPS; step++) {
        put_parameters(&r, params, MLP_STEP + step);
        assert_ok(rig_run(&r));
        rig_get(&r, 0, &out->loss[step]);
        for (int i = 0; i < STATES; i++) rig_get(&r, 2 + i, out->states[i]);
        if (step) continue;
        const float want_loss = (float)MLP_LOSS;
        ftl_test_assert_close_f32(out->loss, &want_loss, 1, 1e-6, "loss");
        rig_get(&r, 1, logits);
        ftl_test_assert_close_f32(logits, mlp_logits, MLP_Y, 1e-6, "logits");
        for (int i = 0; i < STATES; i++)
            ftl_test_assert_close_f32(out->states[i], states[i].new, states[i].n, 2e-6,
                                      states[i].name);
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void training_equals_numpy_and_the_other_backends(void **unused)
{
    (void)unused;
    static trained mine, other;
    ftl_device *devices[CONTRACT_BACKENDS];
    train_on(contract_device, &mine);
    for (int step = 1; step < STEPS; step++) assert_true(mine.loss[step] < mine.loss[step - 1]);
    const int n = contract_open_all(devices);
    for (int d = 0; d < n; d++) {
        const char *name = ftl_device_backend_name(devices[d]);
        train_on(devices[d], &other);
        ftl_test_assert_close_f32(mine.loss, other.loss, STEPS, 1e-5, name);
        for (int i = 0; i < STATES; i++)
            ftl_test_assert_close_f32(mine.states[i], other.states[i], states[i].n, 1e-5, name);
        ftl_device_close(devices[d]);
    }
}

/* ---- decoding ------------------------------------------------------------------------------ */

enum {
    BLOCK = 4,
    BLOCKS = 3,
    ROW = DECODE_KV_HEADS * DECODE_HEAD_DIM,
    ROWS = BLOCK * BLOCKS,
    FIRST = 2, /* where positions 0..3 lie, and 4..7: out of order on purpose */
    SECOND = 0
};

static const ftl_case_decoder decoder = { .hidden = DECODE_HIDDEN,
                                          .heads = DECODE_HEADS,
                                          .kv_heads = DECODE_KV_HEADS,
                                          .head_dim = DECODE_HEAD_DIM,
                                          .ffn = DECODE_FFN,
                                          .vocab = DECODE_VOCAB,
                                          .tokens = 1,
                                          .sequences = 1,
                                          .block_size = BLOCK,
                                          .blocks = BLOCKS,
                                          .table_blocks = 2,
                                          .eps = DECODE_RMS_EPS,
                                          .theta = DECODE_ROPE_THETA };

static int32_t slot_of(int32_t position)
{
    return (position < BLOCK ? FIRST : SECOND) * BLOCK + position % BLOCK;
}

typedef struct decoded {
    float logits[DECODE_CONTEXT * DECODE_VOCAB], keys[ROWS * ROW], values[ROWS * ROW];
} decoded;

static void put_token(rig *r, int64_t params[6], int32_t p)
{
    const int32_t slot = slot_of(p), sequence = 0, length = p + 1, table[2] = { FIRST, SECOND };
    rig_put(r, FTL_CASE_DECODE_TOKENS, &decode_tokens[p]);
    rig_put(r, FTL_CASE_DECODE_POSITIONS, &p);
    rig_put(r, FTL_CASE_DECODE_SLOTS, &slot);
    rig_put(r, FTL_CASE_DECODE_SEQ, &sequence);
    rig_put(r, FTL_CASE_DECODE_TABLE, table);
    rig_put(r, FTL_CASE_DECODE_LENGTHS, &length);
    const int64_t all[6] = { p, slot, sequence, FIRST, SECOND, length };
    memcpy(params, all, sizeof all);
    r->params = params;
}

/* Token by token; the cache is state that never leaves the device. */
static void decode_on(ftl_device *device, decoded *out)
{
    const float *const weights[12] = { decode_embed,    decode_attn_norm, decode_wq,
                                       decode_wk,       decode_wv,        decode_wo,
                                       decode_ffn_norm, decode_w_gate,    decode_w_up,
                                       decode_w_down,   decode_out_norm,  decode_head };
    rig r;
    ftl_graph *g;
    int64_t params[6];
    assert_ok(ftl_case_decode(&g, &decoder));
    rig_init(&r, device, g, 2);
    for (int i = 0; i < 12; i++) rig_put(&r, FTL_CASE_DECODE_EMBED + i, weights[i]);
    for (int32_t p = 0; p < DECODE_CONTEXT; p++) {
        put_token(&r, params, p);
        assert_ok(rig_run(&r));
        rig_get(&r, 0, out->logits + p * DECODE_VOCAB);
    }
    rig_get(&r, 1, out->keys);
    rig_get(&r, 2, out->values);
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

static void decoding_equals_numpy_and_the_other_backends(void **unused)
{
    (void)unused;
    static decoded mine, other;
    ftl_device *devices[CONTRACT_BACKENDS];
    decode_on(contract_device, &mine);
    ftl_test_assert_close_f32(mine.logits, decode_logits, DECODE_CONTEXT * DECODE_VOCAB, 4e-6,
                              "logits");
    for (int32_t p = 0; p < DECODE_CONTEXT; p++) {
        const int32_t at = slot_of(p) * ROW;
        ftl_test_assert_close_f32(mine.keys + at, decode_keys + p * ROW, ROW, 2e-6, "keys");
        ftl_test_assert_close_f32(mine.values + at, decode_values + p * ROW, ROW, 2e-6, "values");
    }
    for (int i = 0; i < BLOCK * ROW; i++) /* block 1 belongs to nobody */
        assert_true(mine.keys[BLOCK * ROW + i] == 0 && mine.values[BLOCK * ROW + i] == 0);
    const int n = contract_open_all(devices);
    for (int d = 0; d < n; d++) {
        const char *name = ftl_device_backend_name(devices[d]);
        decode_on(devices[d], &other);
        ftl_test_assert_close_f32(mine.logits, other.logits, DECODE_CONTEXT * DECODE_VOCAB, 8e-6,
                                  name);
        ftl_test_assert_close_f32(mine.keys, other.keys, ROWS * ROW, 4e-6, name);
        ftl_device_close(devices[d]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_equals_numpy_and_the_other_backends),
        cmocka_unit_test(training_equals_numpy_and_the_other_backends),
        cmocka_unit_test(decoding_equals_numpy_and_the_other_backends),
    };
    return contract_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
