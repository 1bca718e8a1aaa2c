/* SPDX-License-Identifier: Apache-2.0 */
/* k_attention_few_f32.h - what the two ways of attention share, and the one for few rows
 * (decoding): dot products along d, one row at a time, over keys that lie in the L1 cache.
 * The idea of the whole is in k_attention_f32.h.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_ATTENTION_FEW_F32_H
#define FTL_BACKEND_CPU_K_ATTENTION_FEW_F32_H

#include "backend/cpu/k_attention.h"
#include "backend/cpu/k_math_f32.h"
#include "backend/cpu/kernels_ops.h"

/* A run at work. */
typedef struct attention_run {
    const ftl_attention_job *job;
    k_attention_scratch s;
    int64_t first, tokens, kv_head, group; /* tokens of the run, query heads of a kv head */
    int64_t rows, width;                   /* rows, and their number made even to vectors */
    const int32_t *table;
    float scale, soft_cap;
} attention_run;

/* Keys [lo, hi) that a row sees, from its token. */
K_INLINE void attention_range(const ftl_attention_job *job, int64_t token, int64_t *lo, int64_t *hi)
{
    const int64_t position = job->positions[token], window = job->attr.window;
    const int64_t length = job->lengths[job->seq_of_token[token]];
    *lo = window > 0 ? k_max_i64(position - window + 1, 0) : 0;
    *hi = k_min_i64(length, job->max_blocks * job->attr.block_size);
    if (job->attr.is_causal) *hi = k_min_i64(*hi, position + 1);
    if (*hi < *lo) *hi = *lo;
}

/* Pool rows of keys [j0, j0 + n) of the run's sequence. */
K_INLINE void attention_rows(const attention_run *r, int64_t j0, int64_t n)
{
    const int64_t size = r->job->attr.block_size, last = r->job->pool_rows - 1;
    for (int64_t j = 0; j < n; j++) {
        const int64_t row = (int64_t)r->table[(j0 + j) / size] * size + (j0 + j) % size;
        r->s.row[j] = row < 0 ? 0 : k_min_i64(row, last);
    }
}

K_INLINE const float *attention_key(const attention_run *r, int64_t j)
{
    return r->job->k_pool + (r->s.row[j] * r->job->kv_heads + r->kv_head) * r->job->d;
}

K_INLINE const float *attention_value(const attention_run *r, int64_t j)
{
    return r->job->v_pool + (r->s.row[j] * r->job->kv_heads + r->kv_head) * r->job->dv;
}

/* y of row i = o / sum; nothing seen gives zeros. */
K_INLINE void attention_finish(const attention_run *r, int64_t i, const float *o, float sum)
{
    const ftl_attention_job *job = r->job;
    const int64_t token = r->first + i / r->group, head = r->kv_head * r->group + i % r->group;
    float *y = job->y + (token * job->q_heads + head) * job->dv;
    const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
    for (int64_t c = 0; c < job->dv; c++) y[c] = sum == 0.0f ? 0.0f : o[c] * inverse;
}

K_INLINE const float *attention_query(const attention_run *r, int64_t i)
{
    const int64_t token = r->first + i / r->group, head = r->kv_head * r->group + i % r->group;
    return r->job->q + (token * r->job->q_heads + head) * r->job->d;
}

/* ---- few rows ------------------------------------------------------------------------------- */

/* st[j .. j + keys) = q k */
K_INLINE void attention_dots(const attention_run *r, const float *q, int64_t j, const int keys)
{
    const int64_t d = r->job->d;
    const float *key[4];
    vf sum[4];
    K_UNROLL for (int k = 0; k < keys; k++)
    {
        key[k] = attention_key(r, j + k);
        sum[k] = v_set(0.0f);
    }
    int64_t p = 0;
    for (; p + K_LANES <= d; p += K_LANES) {
        const vf x = v_load(q + p);
        K_UNROLL for (int k = 0; k < keys; k++) sum[k] = v_fma(x, v_load(key[k] + p), sum[k]);
    }
    if (p < d) {
        const vf x = v_load_n(q + p, d - p);
        K_UNROLL for (int k = 0; k < keys; k++) sum[k] =
            v_fma(x, v_load_n(key[k] + p, d - p), sum[k]);
    }
    K_UNROLL for (int k = 0; k < keys; k++) r->s.st[j + k] = v_sum(sum[k]) * r->scale;
}

/* Scores behind the last one, up to a whole vector, are -inf. */
K_INLINE void attention_pad_row(float *st, int64_t n)
{
    for (int64_t j = n; j % K_LANES; j++) st[j] = -INFINITY;
}

/* Scores -> probabilities of one row; returns the factor for what was summed before. */
K_INLINE float attention_softmax_row(const attention_run *r, float *max, float *sum, int64_t n)
{
    float *st = r->s.st, lanes[K_LANES], top = *max;
    attention_pad_row(st, n);
    if (r->soft_cap > 0) {
        const vf cap = v_set(r->soft_cap), uncap = v_set(1.0f / r->soft_cap);
        for (int64_t j = 0; j < n; j += K_LANES)
            v_store(st + j, cap * v_tanh(v_load(st + j) * uncap));
        attention_pad_row(st, n);
    }
    vf most = v_set(-FLT_MAX), total = v_set(0.0f);
    for (int64_t j = 0; j < n; j += K_LANES) most = v_max(v_load(st + j), most);
    v_store(lanes, most);
    for (int l = 0; l < K_LANES; l++) top = lanes[l] > top ? lanes[l] : top;
    const vf shift = v_set(top);
    for (int64_t j = 0; j < n; j += K_LANES) {
        const vf e = v_exp(v_load(st + j) - shift);
        v_store(st + j, e);
        total = total + e;
    }
    v_store(lanes, v_exp(v_set(*max - top)));
    *sum = *sum * lanes[0] + v_sum(total);
    *max = top;
    return lanes[0];
}

/* o[c ..] = o * factor + p V over n keys, in `vectors` vectors. */
K_INLINE void attention_weigh(const attention_run *r, float *o, int64_t c, const int vectors,
                              float factor, int64_t n, int64_t edge)
{
    vf sum[4];
    K_UNROLL for (int v = 0; v < vectors; v++) sum[v] = v_load(o + c + v * K_LANES) * v_set(factor);
    for (int64_t j = 0; j < n; j++) {
        const float *value = attention_value(r, j) + c;
        const vf weight = v_set(r->s.st[j]);
        if (edge) sum[0] = v_fma(weight, v_load_n(value, edge), sum[0]);
        else
            K_UNROLL for (int v = 0; v < vectors; v++) sum[v] =
                v_fma(weight, v_load(value + v * K_LANES), sum[v]);
    }
    K_UNROLL for (int v = 0; v < vectors; v++) v_store(o + c + v * K_LANES, sum[v]);
}

/* Keys [j0, j0 + n), all of them seen, for one row. */
K_INLINE void attention_row_block(const attention_run *r, int64_t i, int64_t skip, int64_t n)
{
    const float *q = attention_query(r, i);
    float *o = r->s.o + i * r->s.dv_width;
    int64_t j = 0;
    attention_run part = *r; /* the block without the keys that this row does not see */
    part.s.row += skip;
    for (; j + 4 <= n; j += 4) attention_dots(&part, q, j, 4);
    for (; j < n; j++) attention_dots(&part, q, j, 1);
    const float factor = attention_softmax_row(&part, &r->s.max[i], &r->s.sum[i], n);
    int64_t c = 0;
    const int64_t dv = r->job->dv;
    for (; c + 4 * K_LANES <= dv; c += 4 * K_LANES) attention_weigh(&part, o, c, 4, factor, n, 0);
    for (; c + K_LANES <= dv; c += K_LANES) attention_weigh(&part, o, c, 1, factor, n, 0);
    if (c < dv) attention_weigh(&part, o, c, 1, factor, n, dv - c);
}

static void attention_few(attention_run *r)
{
    const k_attention_scratch *s = &r->s;
    int64_t from = INT64_MAX, to = 0;
    for (int64_t i = 0; i < r->rows; i++) {
        int64_t lo, hi;
        attention_range(r->job, r->first + i / r->group, &lo, &hi);
        s->lo[i] = (int32_t)lo;
        s->hi[i] = (int32_t)hi;
        s->max[i] = -FLT_MAX;
        s->sum[i] = 0.0f;
        if (lo < hi) from = k_min_i64(from, lo);
        to = k_max_i64(to, hi);
    }
    memset(s->o, 0, (size_t)(r->rows * s->dv_width) * sizeof(float));
    for (int64_t j0 = from / ATTENTION_KEYS * ATTENTION_KEYS; j0 < to; j0 += ATTENTION_KEYS) {
        const int64_t n = k_min_i64(ATTENTION_KEYS, to - j0);
        attention_rows(r, j0, n);
        for (int64_t i = 0; i < r->rows; i++) {
            const int64_t lo = k_max_i64(s->lo[i], j0), hi = k_min_i64(s->hi[i], j0 + n);
            if (lo < hi) attention_row_block(r, i, lo - j0, hi - lo);
        }
    }
    for (int64_t i = 0; i < r->rows; i++) attention_finish(r, i, s->o + i * s->dv_width, s->sum[i]);
}

#endif
