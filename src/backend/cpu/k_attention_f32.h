/* SPDX-License-Identifier: Apache-2.0 */
/* k_attention_f32.h - ragged attention in f32 over one vector layer; contract in kernels_ops.h.
 * Idea: a unit is a block of tokens x one kv head.  Its tokens fall into runs of one sequence; a
 * run's rows are tokens x the query heads that share the kv head.  Keys come in blocks of
 * ATTENTION_KEYS; each is read once for all rows of the run:
 *
 *   qt [d][rows]      queries, turned and scaled, so that a vector holds one d of many rows
 *   st [keys][rows]   scores K Q^T, then probabilities: the softmax runs down the columns, so
 *                     neither K nor V is ever turned, and no sum goes across lanes
 *   o  [rows][dv]     sums, scaled by exp(old max - new max) as the maximum grows
 *
 * Few rows take the way of k_attention_few_f32.h instead.  Key blocks begin at multiples of
 * ATTENTION_KEYS in the sequence, so bits do not depend on which tokens share a run.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_ATTENTION_F32_H
#define FTL_BACKEND_CPU_K_ATTENTION_F32_H

#include "backend/cpu/k_attention_few_f32.h"

/* ---- many rows ------------------------------------------------------------------------------ */

K_INLINE void attention_turn_queries(const attention_run *r)
{
    const int64_t d = r->job->d, width = r->width;
    memset(r->s.qt, 0, (size_t)(d * width) * sizeof(float));
    for (int64_t i = 0; i < r->rows; i++) {
        const float *q = attention_query(r, i);
        for (int64_t c = 0; c < d; c++) r->s.qt[c * width + i] = q[c] * r->scale;
    }
}

/* st[j .. j + keys)[c .. c + vectors * K_LANES) = K Q^T */
K_INLINE void attention_score_tile(const attention_run *r, int64_t j, const int keys, int64_t c,
                                   const int vectors)
{
    const float *key[K_TILE], *qt = r->s.qt + c;
    vf sum[K_TILE][2];
    K_UNROLL for (int k = 0; k < keys; k++)
    {
        key[k] = attention_key(r, j + k);
        K_UNROLL for (int v = 0; v < vectors; v++) sum[k][v] = v_set(0.0f);
    }
    for (int64_t p = 0; p < r->job->d; p++, qt += r->width) {
        vf q[2];
        K_UNROLL for (int v = 0; v < vectors; v++) q[v] = v_load(qt + v * K_LANES);
        K_UNROLL for (int k = 0; k < keys; k++)
        {
            const vf x = v_set(key[k][p]);
            K_UNROLL for (int v = 0; v < vectors; v++) sum[k][v] = v_fma(x, q[v], sum[k][v]);
        }
    }
    K_UNROLL for (int k = 0; k < keys; k++) K_UNROLL for (int v = 0; v < vectors; v++)
        v_store(r->s.st + (j + k) * r->width + c + v * K_LANES, sum[k][v]);
}

K_INLINE void attention_scores(const attention_run *r, int64_t n)
{
    for (int64_t c = 0; c < r->width;) {
        const bool pair = c + 2 * K_LANES <= r->width;
        int64_t j = 0;
        for (; j + K_TILE <= n; j += K_TILE) {
            if (pair) attention_score_tile(r, j, K_TILE, c, 2);
            else attention_score_tile(r, j, K_TILE, c, 1);
        }
        for (; j < n; j++) {
            if (pair) attention_score_tile(r, j, 1, c, 2);
            else attention_score_tile(r, j, 1, c, 1);
        }
        c += pair ? 2 * K_LANES : K_LANES;
    }
}

/* Scores that need work before the softmax: the soft cap, and -inf where a row does not see a key.
 * A row sees keys [lo, hi), both as int32 vectors. */
K_INLINE void attention_mask(const attention_run *r, int64_t c, int64_t j0, int64_t n, bool masked)
{
    vi lo, hi;
    memcpy(&lo, r->s.lo + c, sizeof lo);
    memcpy(&hi, r->s.hi + c, sizeof hi);
    const vf cap = v_set(r->soft_cap), uncap = v_set(1.0f / r->soft_cap);
    for (int64_t j = 0; j < n; j++) {
        float *p = r->s.st + j * r->width + c;
        vf x = v_load(p);
        if (r->soft_cap > 0) x = cap * v_tanh(x * uncap);
        if (masked) {
            const vi key = v_set_i((int32_t)(j0 + j));
            x = v_select(v_less_i(key, lo), v_set(-INFINITY),
                         v_select(v_less_i(key, hi), x, v_set(-INFINITY)));
        }
        v_store(p, x);
    }
}

/* New maximum, probabilities in place of scores, sums, and the factor for what was summed
 * before. */
K_INLINE void attention_softmax(const attention_run *r, int64_t c, int64_t n)
{
    float *st = r->s.st + c;
    const int64_t width = r->width;
    const vf old = v_load(r->s.max + c);
    vf most = old;
    for (int64_t j = 0; j < n; j++) most = v_max(v_load(st + j * width), most);
    const vf factor = v_exp(old - most);
    vf sum = v_load(r->s.sum + c) * factor;
    for (int64_t j = 0; j < n; j++) {
        const vf e = v_exp(v_load(st + j * width) - most);
        v_store(st + j * width, e);
        sum = sum + e;
    }
    v_store(r->s.max + c, most);
    v_store(r->s.sum + c, sum);
    v_store(r->s.factor + c, factor);
}

/* o[i .. i + rows)[c ..] = o * factor + P V over n keys; `edge` > 0: the only vector is cut. */
K_INLINE void attention_value_tile(const attention_run *r, int64_t i, const int rows, int64_t c,
                                   const int vectors, int64_t n, int64_t edge)
{
    const int64_t ld = r->s.dv_width;
    vf sum[K_TILE][2];
    K_UNROLL for (int k = 0; k < rows; k++)
    {
        const vf factor = v_set(r->s.factor[i + k]);
        K_UNROLL for (int v = 0; v < vectors; v++) sum[k][v] =
            v_load(r->s.o + (i + k) * ld + c + v * K_LANES) * factor;
    }
    for (int64_t j = 0; j < n; j++) {
        const float *value = attention_value(r, j) + c, *p = r->s.st + j * r->width + i;
        vf x[2];
        if (edge) x[0] = v_load_n(value, edge);
        else K_UNROLL for (int v = 0; v < vectors; v++) x[v] = v_load(value + v * K_LANES);
        K_UNROLL for (int k = 0; k < rows; k++)
        {
            const vf weight = v_set(p[k]);
            K_UNROLL for (int v = 0; v < vectors; v++) sum[k][v] = v_fma(weight, x[v], sum[k][v]);
        }
    }
    K_UNROLL for (int k = 0; k < rows; k++) K_UNROLL for (int v = 0; v < vectors; v++)
        v_store(r->s.o + (i + k) * ld + c + v * K_LANES, sum[k][v]);
}

K_INLINE void attention_values(const attention_run *r, int64_t n)
{
    const int64_t dv = r->job->dv;
    for (int64_t i = 0; i < r->rows; i += K_TILE) {
        int64_t c = 0;
        for (; c + 2 * K_LANES <= dv; c += 2 * K_LANES)
            attention_value_tile(r, i, K_TILE, c, 2, n, 0);
        for (; c + K_LANES <= dv; c += K_LANES) attention_value_tile(r, i, K_TILE, c, 1, n, 0);
        if (c < dv) attention_value_tile(r, i, K_TILE, c, 1, n, dv - c);
    }
}

static void attention_many(attention_run *r)
{
    const k_attention_scratch *s = &r->s;
    int64_t from = INT64_MAX, to = 0, all_from = 0, all_to = INT64_MAX;
    for (int64_t i = 0; i < r->width; i++) {
        int64_t lo = 0, hi = 0;
        if (i < r->rows) {
            attention_range(r->job, r->first + i / r->group, &lo, &hi);
            if (lo < hi) from = k_min_i64(from, lo);
            to = k_max_i64(to, hi);
            all_from = k_max_i64(all_from, lo);
            all_to = k_min_i64(all_to, hi);
        }
        s->lo[i] = (int32_t)lo;
        s->hi[i] = (int32_t)hi;
        s->max[i] = -FLT_MAX;
        s->sum[i] = 0.0f;
    }
    memset(s->o, 0, (size_t)(r->width * s->dv_width) * sizeof(float));
    attention_turn_queries(r);
    for (int64_t j0 = from / ATTENTION_KEYS * ATTENTION_KEYS; j0 < to; j0 += ATTENTION_KEYS) {
        const int64_t n = k_min_i64(ATTENTION_KEYS, to - j0);
        const bool masked = j0 < all_from || j0 + n > all_to;
        attention_rows(r, j0, n);
        attention_scores(r, n);
        for (int64_t c = 0; c < r->width; c += K_LANES) {
            if (masked || r->soft_cap > 0) attention_mask(r, c, j0, n, masked);
            attention_softmax(r, c, n);
        }
        attention_values(r, n);
    }
    for (int64_t i = 0; i < r->rows; i++) attention_finish(r, i, s->o + i * s->dv_width, s->sum[i]);
}

/* ---- units ---------------------------------------------------------------------------------- */

static void attention_run_tokens(attention_run *r)
{
    const ftl_attention_job *job = r->job;
    const int32_t sequence = job->seq_of_token[r->first];
    r->rows = r->tokens * r->group;
    if (sequence < 0 || sequence >= job->sequences) {
        for (int64_t i = 0; i < r->rows; i++) attention_finish(r, i, NULL, 0.0f);
        return;
    }
    r->table = job->block_table + (int64_t)sequence * job->max_blocks;
    const int64_t step = K_LANES > K_TILE ? K_LANES : K_TILE;
    r->width = (r->rows + step - 1) / step * step;
    if (r->rows * 4 <= K_LANES) attention_few(r);
    else attention_many(r);
}

static void attention(const ftl_attention_job *job, int64_t begin, int64_t end, void *scratch)
{
    attention_run r = { .job = job, .group = job->q_heads / job->kv_heads };
    k_attention_scratch_cut(&r.s, job, scratch);
    r.scale = (float)(job->attr.scale != 0 ? job->attr.scale : 1 / sqrt((double)job->d));
    r.soft_cap = (float)job->attr.soft_cap;
    for (int64_t u = begin; u < end; u++) {
        const int64_t first = u / job->kv_heads * job->block_tokens;
        const int64_t last = k_min_i64(first + job->block_tokens, job->tokens);
        r.kv_head = u % job->kv_heads;
        for (int64_t t = first; t < last; t += r.tokens) {
            r.first = t;
            r.tokens = 1;
            while (t + r.tokens < last && job->seq_of_token[t + r.tokens] == job->seq_of_token[t])
                r.tokens++;
            attention_run_tokens(&r);
        }
    }
}

#endif
