/* SPDX-License-Identifier: Apache-2.0 */
/* Ragged attention and rope in f32: every table against the definition in f64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_tables.h"

enum { MAX_TOKENS = 400, MAX_SEQUENCES = 6 };

typedef struct attention_case {
    int32_t n_tokens[MAX_SEQUENCES], past[MAX_SEQUENCES]; /* of each sequence; ends at both 0 */
    int64_t q_heads, kv_heads, d, dv;
    ftl_attr_attention attr; /* scale, soft_cap, is_causal, window, block_size */
    const char *why;
} attention_case;

static const attention_case cases[] = {
    { { 1 }, { 0 }, 1, 1, 1, 1, { 0, 0, 1, 0, 1, 0 }, "one element" },
    { { 1 }, { 99 }, 4, 4, 64, 64, { 0, 0, 1, 0, 16, 0 }, "decode" },
    { { 1 }, { 300 }, 8, 2, 64, 64, { 0, 0, 1, 0, 16, 0 }, "decode, grouped" },
    { { 1, 1, 1 }, { 70, 5, 127 }, 6, 1, 33, 17, { 0, 0, 1, 0, 8, 0 }, "decode, odd sizes" },
    { { 37 }, { 0 }, 3, 3, 64, 64, { 0, 0, 1, 0, 64, 0 }, "prefill" },
    { { 150 }, { 0 }, 2, 2, 40, 24, { 0, 0, 1, 0, 16, 0 }, "prefill over several blocks" },
    { { 100 }, { 75 }, 4, 2, 32, 32, { 0, 0, 1, 0, 16, 0 }, "prefill behind a past" },
    { { 197 }, { 0 }, 2, 2, 64, 64, { 0, 0, 0, 0, 256, 0 }, "encoder" },
    { { 20, 1, 50, 3 }, { 0, 80, 10, 0 }, 4, 2, 48, 48, { 0, 0, 1, 0, 16, 0 }, "mixed batch" },
    { { 90 }, { 100 }, 2, 2, 16, 16, { 0, 0, 1, 20, 16, 0 }, "window" },
    { { 90 }, { 0 }, 2, 2, 16, 16, { 0, 0, 0, 33, 16, 0 }, "window without causality" },
    { { 1, 70 }, { 200, 0 }, 2, 1, 24, 24, { 0.3, 5, 1, 100, 16, 0 }, "soft cap, scale, window" },
    { { 2, 2 }, { 64, 63 }, 1, 1, 19, 5, { 0, 2, 1, 3, 7, 0 }, "few rows, small window" },
    { { 3 }, { 4 }, 70, 1, 8, 8, { 0, 0, 1, 0, 4, 0 }, "more heads than a block has rows" },
};

/* Inputs of a case, and the exact outputs. */
typedef struct problem {
    ftl_attention_job job;
    float *q, *k, *v, *y;
    int32_t table[MAX_SEQUENCES * 64], seq[MAX_TOKENS], position[MAX_TOKENS], length[MAX_SEQUENCES];
    double *want, *size;
} problem;

static void exact_head(problem *p, int64_t token, int64_t head)
{
    const ftl_attention_job *j = &p->job;
    const int64_t kv_head = head / (j->q_heads / j->kv_heads), at = token * j->q_heads + head;
    const int32_t s = p->seq[token];
    double weights[512], most = -INFINITY, sum = 0;
    double *y = p->want + at * j->dv;
    const double scale = j->attr.scale != 0 ? j->attr.scale : 1 / sqrt((double)j->d);
    const int64_t length = s < 0 || s >= j->sequences ? 0 : p->length[s];
    for (int64_t key = 0; key < length; key++) {
        const int64_t row =
            p->table[s * j->max_blocks + key / j->attr.block_size] * j->attr.block_size +
            key % j->attr.block_size;
        double dot = 0;
        for (int64_t c = 0; c < j->d; c++)
            dot += (double)p->q[at * j->d + c] *
                   (double)p->k[(row * j->kv_heads + kv_head) * j->d + c];
        dot *= scale;
        if (j->attr.soft_cap > 0) dot = j->attr.soft_cap * tanh(dot / j->attr.soft_cap);
        if ((j->attr.is_causal && key > p->position[token]) ||
            (j->attr.window > 0 && key <= p->position[token] - j->attr.window))
            dot = -INFINITY;
        weights[key] = dot;
        most = fmax(most, dot);
    }
    for (int64_t c = 0; c < j->dv; c++) y[c] = 0;
    p->size[at] = 0;
    if (most == -INFINITY) return;
    for (int64_t key = 0; key < length; key++) sum += weights[key] = exp(weights[key] - most);
    for (int64_t key = 0; key < length; key++) {
        const int64_t row =
            p->table[s * j->max_blocks + key / j->attr.block_size] * j->attr.block_size +
            key % j->attr.block_size;
        for (int64_t c = 0; c < j->dv; c++) {
            const double v = (double)p->v[(row * j->kv_heads + kv_head) * j->dv + c];
            y[c] += weights[key] / sum * v;
            p->size[at] = fmax(p->size[at], fabs(v));
        }
    }
}

static float *filled(int64_t n, uint32_t seed, float scale)
{
    float *x = op_floats(n, 1);
    op_fill(x, n, seed);
    for (int64_t i = 0; i < n; i++) x[i] *= scale;
    return x;
}

/* Blocks lie in the pool in reverse order, so that a wrong table shows. */
static void problem_init(problem *p, const attention_case *c)
{
    memset(p, 0, sizeof *p);
    ftl_attention_job *j = &p->job;
    *j = (ftl_attention_job){
        .attr = c->attr, .q_heads = c->q_heads, .kv_heads = c->kv_heads, .d = c->d, .dv = c->dv
    };
    const int64_t size = c->attr.block_size;
    for (int s = 0; s < MAX_SEQUENCES && c->n_tokens[s] + c->past[s] > 0; s++) {
        for (int32_t t = 0; t < c->n_tokens[s]; t++) {
            p->seq[j->tokens] = s;
            p->position[j->tokens++] = c->past[s] + t;
        }
        p->length[s] = c->n_tokens[s] + c->past[s];
        if ((p->length[s] + size - 1) / size > j->max_blocks)
            j->max_blocks = (p->length[s] + size - 1) / size;
        j->sequences++;
    }
    if (j->sequences * j->max_blocks > MAX_SEQUENCES * 64) abort();
    const int64_t n_blocks = j->sequences * j->max_blocks;
    for (int64_t b = 0; b < n_blocks; b++) p->table[b] = (int32_t)(n_blocks - 1 - b);
    j->pool_rows = n_blocks * size;
    p->q = filled(j->tokens * j->q_heads * j->d, 1, 4);
    p->k = filled(j->pool_rows * j->kv_heads * j->d, 2, 1);
    p->v = filled(j->pool_rows * j->kv_heads * j->dv, 3, 1);
    p->y = op_floats(j->tokens * j->q_heads * j->dv, 0);
    p->want = calloc((size_t)(j->tokens * j->q_heads * j->dv), sizeof *p->want);
    p->size = calloc((size_t)(j->tokens * j->q_heads), sizeof *p->size);
    if (!p->want || !p->size) abort();
    j->q = p->q;
    j->k_pool = p->k;
    j->v_pool = p->v;
    j->y = p->y;
    j->block_table = p->table;
    j->seq_of_token = p->seq;
    j->positions = p->position;
    j->lengths = p->length;
    ftl_attention_init(j);
}

static bool problem_deinit(problem *p)
{
    free(p->want);
    free(p->size);
    float *const all[] = { p->q, p->k, p->v, p->y };
    bool is_ok = true;
    for (int i = 0; i < 4; i++) is_ok &= op_free(all[i]);
    return is_ok;
}

/* Units in reverse order, the scratch full of NaN. */
static bool run(const ftl_ops_f32 *t, const ftl_attention_job *job)
{
    const size_t bytes = ftl_attention_scratch_bytes(job);
    float *scratch = op_floats((int64_t)((bytes + 3) / 4), 0);
    for (size_t i = 0; i < bytes / 4; i++) scratch[i] = NAN;
    for (int64_t u = job->n_units - 1; u >= 0; u--) t->attention(job, u, u + 1, scratch);
    return op_free(scratch);
}

static bool check(problem *p, const ftl_ops_f32 *t, const char *why)
{
    const ftl_attention_job *j = &p->job;
    for (int64_t i = 0; i < j->tokens * j->q_heads; i++) {
        exact_head(p, i / j->q_heads, i % j->q_heads);
        for (int64_t c = 0; c < j->dv; c++) {
            const int64_t at = i * j->dv + c;
            if (op_close(p->y[at], p->want[at], 2e-6 * p->size[i])) continue;
            op_note("%s %s: token %lld, head %lld, want %.9g, got %.9g", t->name, why,
                    (long long)(i / j->q_heads), (long long)(i % j->q_heads), p->want[at],
                    (double)p->y[at]);
            return false;
        }
    }
    return true;
}

static void test_attention(const ftl_ops_f32 *t)
{
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        problem p;
        problem_init(&p, &cases[c]);
        bool is_ok = run(t, &p.job) && check(&p, t, cases[c].why);
        is_ok &= problem_deinit(&p);
        op_ok(is_ok, "%s attention: %s", t->name, cases[c].why);
    }
}

/* Padding tokens, empty sequences, what lies behind the end of a sequence, tables out of range. */
static void test_edges(const ftl_ops_f32 *t)
{
    bool is_ok = true;
    for (int big = 0; big < 2; big++) {
        attention_case c = { { 3, 2, 4 }, { 9, 0, 20 }, 2, 2, 16, 16, { 0, 0, 1, 0, 8, 0 }, "" };
        if (big) c.n_tokens[0] = 40, c.n_tokens[2] = 70;
        problem p;
        problem_init(&p, &c);
        p.seq[0] = -1;
        p.seq[p.job.tokens - 1] = 3;
        p.length[1] = 0;
        p.position[1] = -1;
        p.length[2] -= 1;
        /* NaN in every pool row that no sequence covers must not show. */
        bool *used = calloc((size_t)p.job.pool_rows, sizeof *used);
        if (!used) abort();
        for (int64_t s = 0; s < 3; s++)
            for (int64_t k = 0; k < p.length[s]; k++)
                used[p.table[s * p.job.max_blocks + k / 8] * 8 + k % 8] = true;
        for (int64_t r = 0; r < p.job.pool_rows; r++)
            for (int64_t e = 0; e < 32 && !used[r]; e++) p.k[r * 32 + e] = p.v[r * 32 + e] = NAN;
        free(used);
        is_ok &= run(t, &p.job) && check(&p, t, "edges");
        is_ok &= p.y[0] == 0 && p.y[p.job.tokens * 32 - 1] == 0;
        /* A hostile table and length: nothing outside the pools is read. */
        p.table[0] = INT32_MAX;
        p.table[1] = INT32_MIN;
        p.length[0] = INT32_MAX;
        is_ok &= run(t, &p.job);
        is_ok &= problem_deinit(&p);
    }
    op_ok(is_ok, "%s attention: padding, empty sequences, hostile tables", t->name);

    problem p;
    problem_init(&p, &cases[4]);
    p.q[5] = NAN;
    p.k[64 * 3 * 10] = INFINITY; /* key of head 0 */
    is_ok = run(t, &p.job) && isnan(p.y[0]);
    const int64_t other = 64; /* head 1 of token 0 */
    is_ok &= isfinite(p.y[other]);
    op_ok(problem_deinit(&p) && is_ok, "%s attention: NaN stays in its head", t->name);
}

/* A token's bits do not depend on how many threads or units there are: each unit alone was run
 * above; here all in one call. */
static void test_same_bits(const ftl_ops_f32 *t)
{
    problem p;
    problem_init(&p, &cases[8]);
    const int64_t n = p.job.tokens * p.job.q_heads * p.job.dv;
    bool is_ok = run(t, &p.job);
    float *first = op_floats(n, 1);
    memcpy(first, p.y, (size_t)n * sizeof *first);
    float *scratch = op_floats((int64_t)(ftl_attention_scratch_bytes(&p.job) / 4 + 1), 0);
    t->attention(&p.job, 0, p.job.n_units, scratch);
    is_ok &= memcmp(first, p.y, (size_t)n * sizeof *first) == 0;
    is_ok &= op_free(scratch);
    is_ok &= op_free(first);
    op_ok(problem_deinit(&p) && is_ok, "%s attention: same bits however it is cut", t->name);
}

/* ---- rope ----------------------------------------------------------------------------------- */

static bool rope_case(const ftl_ops_f32 *t, int64_t heads, int64_t d, int n_rot, int interleaved,
                      bool own_frequencies)
{
    enum { N = 5 };
    const int32_t positions[N] = { 0, 1, 77, 4095, 131071 };
    const ftl_attr_rope a = { 10000, n_rot, interleaved };
    const int64_t rot = n_rot ? n_rot : d, half = rot / 2, n = N * heads * d;
    float *x = filled(n, 5, 1), *y = op_floats(n, 0), *freq = filled(half, 6, 1);
    t->rope(&a, y, x, positions, own_frequencies ? freq : NULL, heads, d, 0, 2);
    t->rope(&a, y, x, positions, own_frequencies ? freq : NULL, heads, d, 2, N);
    bool is_ok = true;
    for (int64_t r = 0; r < N * heads; r++)
        for (int64_t i = 0; i < d; i++) {
            double want = (double)x[r * d + i];
            if (i < rot) {
                const int64_t pair = interleaved ? i / 2 : i % half;
                const bool second = interleaved ? i % 2 : i >= half;
                const int64_t other = interleaved ? i ^ 1 : second ? i - half : i + half;
                const double f = own_frequencies ? (double)freq[pair]
                                                 : pow(10000, -2.0 * (double)pair / (double)rot);
                const double angle = positions[r / heads] * f, b = (double)x[r * d + other];
                want = want * cos(angle) + (second ? b : -b) * sin(angle);
            }
            is_ok &= op_close(y[r * d + i], want, 3e-7);
        }
    t->rope(&a, x, x, positions, own_frequencies ? freq : NULL, heads, d, 0, N);
    is_ok &= memcmp(x, y, (size_t)n * sizeof *x) == 0;
    is_ok &= op_free(x);
    is_ok &= op_free(freq);
    return op_free(y) && is_ok;
}

static void test_rope(const ftl_ops_f32 *t)
{
    bool is_ok = true;
    for (int style = 0; style < 4; style++)
        is_ok &= rope_case(t, 1, 2, 0, style & 1, style & 2) &&
                 rope_case(t, 3, 64, 0, style & 1, style & 2) &&
                 rope_case(t, 2, 80, 20, style & 1, style & 2) &&
                 rope_case(t, 1, 300, 290, style & 1, style & 2) &&
                 rope_case(t, 2, 5, 4, style & 1, style & 2);
    op_ok(is_ok, "%s rope: both styles, partial, given frequencies, in place", t->name);
}

int main(void)
{
    static op_table_test *const tests[] = { test_attention, test_edges, test_same_bits, test_rope };
    op_each_table("attention", tests, sizeof tests / sizeof tests[0]);
    return op_done();
}
