/* SPDX-License-Identifier: Apache-2.0 */
/* Decompositions of rope, kv_write and attention, in f64 against the formulas written out. */
#include <math.h>
#include <string.h>

#include "core/emit.h"
#include "support/graphs.h"

static const double tight = 1e-13;

/* ---- rope ---------------------------------------------------------------------------------- */

enum { ROPE_N = 3, ROPE_H = 2, ROPE_D = 8 };

typedef struct rope_case {
    int32_t n_rot, interleaved, has_freq;
} rope_case;

static double rope_at(const rope_case *c, const double *head, int i, int32_t position,
                      const double *freq)
{
    const int n_rot = c->n_rot ? c->n_rot : ROPE_D, half = n_rot / 2;
    if (i >= n_rot) return head[i];
    const int pair = c->interleaved ? i / 2 : i % half;
    const int is_second = c->interleaved ? i % 2 : i / half;
    const int a = c->interleaved ? 2 * pair : pair, b = c->interleaved ? a + 1 : pair + half;
    const double angle = position * (c->has_freq ? freq[pair] : pow(500, -2.0 * pair / n_rot));
    return is_second ? head[b] * cos(angle) + head[a] * sin(angle)
                     : head[a] * cos(angle) - head[b] * sin(angle);
}

static void rope_turns_pairs(void **unused)
{
    (void)unused;
    static const rope_case cases[] = { { 0, 0, 0 }, { 4, 0, 0 }, { 0, 1, 0 },
                                       { 6, 1, 0 }, { 6, 0, 1 }, { 4, 1, 1 } };
    enum { COUNT = ROPE_N * ROPE_H * ROPE_D };
    const int32_t positions[ROPE_N] = { 0, 7, 2 };
    const double freq[4] = { 1, 0.3, 0.01, 0.5 };
    double x[COUNT], got[COUNT], want[COUNT];
    ftl_test_random(x, COUNT, 1, -1, 1);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ftl_graph *g = ftl_test_graph();
        ftl_attr attr = ftl_attr_blank();
        attr.rope = (ftl_attr_rope){ 500, cases[c].n_rot, cases[c].interleaved };
        const int32_t in = ftl_test_input(g, DESC(F64, ROPE_N, ROPE_H, ROPE_D));
        const int32_t p = ftl_test_input(g, DESC(I32, ROPE_N));
        int32_t f = -1;
        if (cases[c].has_freq) f = ftl_test_input(g, DESC(F64, cases[c].n_rot / 2));
        for (int i = 0; i < COUNT; i++)
            want[i] = rope_at(&cases[c], x + i / ROPE_D * ROPE_D, i % ROPE_D,
                              positions[i / (ROPE_H * ROPE_D)], freq);
        ftl_test_eval_one(g, FTL_ADD(g, rope, &attr, in, p, f),
                          (const void *[]){ x, positions, freq }, got);
        ftl_test_assert_close_f64(got, want, COUNT, tight, "rope");
    }
}

static void rope_of_bf16_is_computed_in_f32(void **unused)
{
    (void)unused;
    uint16_t x[2] = { ftl_f32_to_bf16(1), ftl_f32_to_bf16(0) }, got[2];
    const int32_t position = 1001; /* bf16 would make 1000 of it */
    ftl_graph *g = ftl_test_graph();
    ftl_attr attr = ftl_attr_blank();
    attr.rope.theta = 10000;
    const int32_t in = ftl_test_input(g, DESC(BF16, 1, 1, 2));
    const int32_t p = ftl_test_input(g, DESC(I32, 1));
    ftl_test_eval_one(g, FTL_ADD(g, rope, &attr, in, p), (const void *[]){ x, &position }, got);
    assert_true(fabs(ftl_bf16_to_f32(got[0]) - cos(1001)) < 2e-3);
    assert_true(fabs(ftl_bf16_to_f32(got[1]) - sin(1001)) < 2e-3);
}

/* ---- kv_write ------------------------------------------------------------------------------ */

static void kv_write_skips_negative_slots(void **unused)
{
    (void)unused;
    double pool[4][2], rows[3][2], got[4][2];
    ftl_test_random(pool[0], 8, 1, -1, 1);
    ftl_test_random(rows[0], 6, 2, -1, 1);
    const int32_t slots[3] = { 3, -1, 0 };
    ftl_graph *g = ftl_test_graph();
    const int32_t p = ftl_test_input(g, DESC(F64, 4, 1, 2)),
                  r = ftl_test_input(g, DESC(F64, 3, 1, 2)), s = ftl_test_input(g, DESC(I32, 3));
    ftl_test_eval_one(g, FTL_ADD(g, kv_write, NULL, p, r, s), (const void *[]){ pool, rows, slots },
                      got);
    assert_memory_equal(got[0], rows[2], sizeof got[0]);
    assert_memory_equal(got[1], pool[1], 2 * sizeof got[0]);
    assert_memory_equal(got[3], rows[0], sizeof got[0]);
}

/* ---- attention ----------------------------------------------------------------------------- */

enum { HEADS = 4, KV_HEADS = 2, D = 3, DV = 5, BLOCK = 2, TABLE = 3, ROWS = 20 };

/* A ragged batch; one sequence is empty, one token is padding. */
typedef struct batch {
    int tokens, sequences;
    int32_t table[4 * TABLE], seq[8], positions[8], lengths[4];
} batch;

static const batch many = {
    .tokens = 7,
    .sequences = 4,
    .table = { 4, 0, 9, /* */ -1, 1000000, -7, /* */ 2, 7, 1, /* */ 5, 3, 8 },
    .seq = { 0, 2, 2, 2, -1, 3, 1 },
    .positions = { 4, 0, 1, 2, 0, 1, 0 },
    .lengths = { 5, 0, 3, 2 },
};
static const batch one = {
    .tokens = 4,
    .sequences = 1,
    .table = { 6, 2, 0 },
    .seq = { 0, 0, 9, 0 },
    .positions = { 1, 2, 0, 3 },
    .lengths = { 4 },
};

static double score_at(const ftl_attr_attention *a, const double *q, const double *k)
{
    double sum = 0;
    for (int i = 0; i < D; i++) sum += q[i] * k[i];
    sum *= a->scale != 0 ? a->scale : 1 / sqrt(D);
    return a->soft_cap > 0 ? a->soft_cap * tanh(sum / a->soft_cap) : sum;
}

static void attend(const ftl_attr_attention *a, const batch *b, int token, int head,
                   const double *q, const double *k, const double *v, double *out)
{
    const int kv_head = head / (HEADS / KV_HEADS), seq = b->seq[token], p = b->positions[token];
    double sum = 0;
    for (int i = 0; i < DV; i++) out[i] = 0;
    if (seq < 0 || seq >= b->sequences) return;
    for (int j = 0; j < b->lengths[seq]; j++) {
        if (a->is_causal && j > p) continue;
        if (a->window > 0 && j <= p - a->window) continue;
        const int row = b->table[seq * TABLE + j / BLOCK] * BLOCK + j % BLOCK;
        const double weight =
            exp(score_at(a, q + (token * HEADS + head) * D, k + (row * KV_HEADS + kv_head) * D));
        sum += weight;
        for (int i = 0; i < DV; i++) out[i] += weight * v[(row * KV_HEADS + kv_head) * DV + i];
    }
    for (int i = 0; i < DV && sum > 0; i++) out[i] /= sum;
}

/* Marks what no token may read as NaN. */
static void poison_unused(const batch *b, double *k, double *v)
{
    for (int row = 0; row < ROWS; row++) {
        int is_used = 0;
        for (int s = 0; s < b->sequences; s++)
            for (int j = 0; j < b->lengths[s]; j++)
                if (b->table[s * TABLE + j / BLOCK] * BLOCK + j % BLOCK == row) is_used = 1;
        for (int i = 0; i < KV_HEADS * D && !is_used; i++) k[row * KV_HEADS * D + i] = NAN;
        for (int i = 0; i < KV_HEADS * DV && !is_used; i++) v[row * KV_HEADS * DV + i] = NAN;
    }
}

static int32_t build(ftl_graph *g, const batch *b, const ftl_attr_attention *a, ftl_dtype dtype)
{
    ftl_tensor_desc q = DESC(F64, b->tokens, HEADS, D), k = DESC(F64, ROWS, KV_HEADS, D),
                    v = DESC(F64, ROWS, KV_HEADS, DV);
    q.dtype = k.dtype = v.dtype = dtype;
    int32_t in[7] = { ftl_test_input(g, q), ftl_test_input(g, k), ftl_test_input(g, v) };
    in[3] = ftl_test_input(g, DESC(I32, b->sequences, TABLE));
    in[4] = ftl_test_input(g, DESC(I32, b->tokens));
    in[5] = ftl_test_input(g, DESC(I32, b->tokens));
    in[6] = ftl_test_input(g, DESC(I32, b->sequences));
    ftl_attr attr = ftl_attr_blank();
    attr.attention = *a;
    return ftl_graph_add(g, FTL_OP_attention, &attr, in, 7);
}

enum { MOST_OUT = 8 * HEADS * DV };
static double q[8 * HEADS * D], k[ROWS * KV_HEADS * D], v[ROWS * KV_HEADS * DV];

static void fill_pools(const batch *b)
{
    ftl_test_random(q, 8 * HEADS * D, 1, -2, 2);
    ftl_test_random(k, ROWS * KV_HEADS * D, 2, -2, 2);
    ftl_test_random(v, ROWS * KV_HEADS * DV, 3, -2, 2);
    poison_unused(b, k, v);
}

static void check_attention(const batch *b, const ftl_attr_attention *a)
{
    double got[MOST_OUT], want[MOST_OUT];
    fill_pools(b);
    ftl_graph *g = ftl_test_graph();
    const int32_t y = build(g, b, a, FTL_DTYPE_F64);
    for (int t = 0; t < b->tokens; t++)
        for (int h = 0; h < HEADS; h++) attend(a, b, t, h, q, k, v, want + (t * HEADS + h) * DV);
    ftl_test_eval_one(g, y, (const void *[]){ q, k, v, b->table, b->seq, b->positions, b->lengths },
                      got);
    ftl_test_assert_close_f64(got, want, b->tokens * HEADS * DV, tight, "attention");
}

static void attention_over_ragged_batches(void **unused)
{
    (void)unused;
    static const ftl_attr_attention cases[] = {
        { .block_size = BLOCK },
        { .block_size = BLOCK, .is_causal = 1 },
        { .block_size = BLOCK, .is_causal = 1, .window = 2 },
        { .block_size = BLOCK, .window = 1 },
        { .block_size = BLOCK, .is_causal = 1, .soft_cap = 1.5 },
        { .block_size = BLOCK, .is_causal = 1, .scale = 0.2 },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        check_attention(&many, &cases[c]);
        check_attention(&one, &cases[c]);
    }
}

static void attention_of_nothing_gives_zeros(void **unused)
{
    (void)unused;
    const ftl_attr_attention causal = { .block_size = BLOCK, .is_causal = 1 };
    batch empty = one;
    empty.lengths[0] = 0;
    check_attention(&empty, &causal);
    empty.sequences = 0;
    double got[MOST_OUT];
    ftl_graph *g = ftl_test_graph();
    const int32_t y = build(g, &empty, &causal, FTL_DTYPE_F64);
    ftl_test_eval_one(
        g, y, (const void *[]){ q, k, v, one.table, one.seq, one.positions, one.lengths }, got);
    for (int i = 0; i < one.tokens * HEADS * DV; i++) assert_true(got[i] == 0);
}

/* bf16 in and out, f32 between: off by the rounding of inputs and of the result. */
static void attention_of_bf16(void **unused)
{
    (void)unused;
    const ftl_attr_attention causal = { .block_size = BLOCK, .is_causal = 1 };
    uint16_t narrow[3][8 * HEADS * D + ROWS * KV_HEADS * DV], got[MOST_OUT];
    double *const wide[3] = { q, k, v };
    const int64_t n[3] = { 8 * HEADS * D, ROWS * KV_HEADS * D, ROWS * KV_HEADS * DV };
    fill_pools(&many);
    for (int i = 0; i < 3; i++) {
        ftl_elements_convert(FTL_DTYPE_BF16, narrow[i], FTL_DTYPE_F64, wide[i], n[i]);
        ftl_elements_convert(FTL_DTYPE_F64, wide[i], FTL_DTYPE_BF16, narrow[i], n[i]);
    }
    ftl_graph *g = ftl_test_graph();
    const int32_t y = build(g, &many, &causal, FTL_DTYPE_BF16);
    ftl_test_eval_one(g, y,
                      (const void *[]){ narrow[0], narrow[1], narrow[2], many.table, many.seq,
                                        many.positions, many.lengths },
                      got);
    for (int i = 0; i < many.tokens * HEADS; i++) {
        double want[DV];
        attend(&causal, &many, i / HEADS, i % HEADS, q, k, v, want);
        for (int e = 0; e < DV; e++) {
            const double value = ftl_bf16_to_f32(got[i * DV + e]);
            ftl_test_assert_close_f64(&value, &want[e], 1, 0x1p-8, "bf16 attention");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rope_turns_pairs),
        cmocka_unit_test(rope_of_bf16_is_computed_in_f32),
        cmocka_unit_test(kv_write_skips_negative_slots),
        cmocka_unit_test(attention_over_ragged_batches),
        cmocka_unit_test(attention_of_nothing_gives_zeros),
        cmocka_unit_test(attention_of_bf16),
    };
    return ftl_test_run(tests);
}
