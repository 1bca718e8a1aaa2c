/* SPDX-License-Identifier: Apache-2.0 */
/* k_transformer_f32.h - rope and Adam in f32 over one vector layer.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_TRANSFORMER_F32_H
#define FTL_BACKEND_CPU_K_TRANSFORMER_F32_H

#include "backend/cpu/k_math_f32.h"
#include "backend/cpu/kernels_ops.h"

/* ---- rope ----------------------------------------------------------------------------------- */

enum { ROPE_PAIRS = 128 };

/* Pairs [p0, p0 + n) of one head; x0 and x1 lie `apart` floats from each other, pairs `step`. */
K_INLINE void rope_pairs(float *y, const float *x, const float *c, const float *s, int64_t n,
                         const int64_t step, int64_t apart)
{
    for (int64_t i = 0; i < n; i++) {
        const float a = x[i * step], b = x[i * step + apart];
        y[i * step] = a * c[i] - b * s[i];
        y[i * step + apart] = b * c[i] + a * s[i];
    }
}

static void rope(const ftl_attr_rope *attr, float *y, const float *x, const int32_t *positions,
                 const float *inv_freq, int64_t heads, int64_t d, int64_t begin, int64_t end)
{
    const int64_t n_rot = attr->n_rot ? attr->n_rot : d, half = n_rot / 2;
    double freq[ROPE_PAIRS];
    float c[ROPE_PAIRS], s[ROPE_PAIRS];
    for (int64_t p0 = 0; p0 < half; p0 += ROPE_PAIRS) {
        const int64_t n = k_min_i64(ROPE_PAIRS, half - p0);
        for (int64_t i = 0; i < n; i++)
            freq[i] = inv_freq ? (double)inv_freq[p0 + i]
                               : pow(attr->theta, -(double)(p0 + i) / (double)half);
        for (int64_t t = begin; t < end; t++) {
            for (int64_t i = 0; i < n; i++) {
                double sine, cosine;
                sincos((double)positions[t] * freq[i], &sine, &cosine);
                s[i] = (float)sine;
                c[i] = (float)cosine;
            }
            for (int64_t h = 0; h < heads; h++) {
                const int64_t at = (t * heads + h) * d;
                if (attr->interleaved) rope_pairs(y + at + 2 * p0, x + at + 2 * p0, c, s, n, 2, 1);
                else rope_pairs(y + at + p0, x + at + p0, c, s, n, 1, half);
            }
        }
    }
    if (y == x || n_rot == d) return;
    for (int64_t r = begin * heads; r < end * heads; r++)
        memcpy(y + r * d + n_rot, x + r * d + n_rot, (size_t)(d - n_rot) * sizeof *y);
}

/* ---- Adam ----------------------------------------------------------------------------------- */

/* 1 - beta^step; expm1, because in f32 1 - 0.999^1 keeps only 14 good bits. */
K_INLINE double adam_correction(double beta, int64_t step)
{
    return beta > 0 ? -expm1((double)step * log(beta)) : 1;
}

typedef struct adam_factors {
    vf beta1, rest1, beta2, rest2, rate, unbias2, eps, decay;
} adam_factors;

K_INLINE void adam_vector(const adam_factors *f, vf *w, vf dw, vf *m, vf *v)
{
    *m = v_fma(*m, f->beta1, dw * f->rest1);
    *v = v_fma(*v, f->beta2, dw * dw * f->rest2);
    const vf change = *m * f->rate / (v_sqrt(*v * f->unbias2) + f->eps);
    *w = v_fma(-*w, f->decay, *w) - change;
}

static void adam(const ftl_attr_adam *attr, const ftl_adam_job *job, int64_t begin, int64_t end)
{
    const adam_factors f = {
        .beta1 = v_set((float)attr->beta1),
        .rest1 = v_set((float)(1 - attr->beta1)),
        .beta2 = v_set((float)attr->beta2),
        .rest2 = v_set((float)(1 - attr->beta2)),
        .rate = v_set((float)(job->lr / adam_correction(attr->beta1, job->step))),
        .unbias2 = v_set((float)(1 / adam_correction(attr->beta2, job->step))),
        .eps = v_set((float)attr->eps),
        .decay = v_set((float)(job->lr * attr->weight_decay)),
    };
    int64_t i = begin;
    for (; i + K_LANES <= end; i += K_LANES) {
        vf w = v_load(job->w + i), m = v_load(job->m + i), v = v_load(job->v + i);
        adam_vector(&f, &w, v_load(job->dw + i), &m, &v);
        v_store(job->w_out + i, w);
        v_store(job->m_out + i, m);
        v_store(job->v_out + i, v);
    }
    const int64_t n = end - i;
    if (n <= 0) return;
    vf w = v_load_n(job->w + i, n), m = v_load_n(job->m + i, n), v = v_load_n(job->v + i, n);
    adam_vector(&f, &w, v_load_n(job->dw + i, n), &m, &v);
    v_store_n(job->w_out + i, w, n);
    v_store_n(job->m_out + i, m, n);
    v_store_n(job->v_out + i, v, n);
}

#endif
