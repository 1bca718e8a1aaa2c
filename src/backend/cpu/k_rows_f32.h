/* SPDX-License-Identifier: Apache-2.0 */
/* k_rows_f32.h - softmax, norms, reductions and losses in f32 over one vector layer.
 * Idea of all sums: blocks of K_BLOCK terms are added up in vectors, with two or more chains a
 * lane, block sums in double, in the order of the row.  So a sum has the same bits whoever
 * computes it, and its error does not grow with the row.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_ROWS_F32_H
#define FTL_BACKEND_CPU_K_ROWS_F32_H

#include "backend/cpu/k_math_f32.h"
#include "backend/cpu/kernels_ops.h"

enum { K_BLOCK = 1024 };

/* ---- sums of a row -------------------------------------------------------------------------- */

typedef enum row_term { TERM_X, TERM_SQUARE, TERM_CENTERED_SQUARE } row_term;

K_INLINE vf term_of(const row_term term, vf x, vf mean)
{
    if (term == TERM_X) return x;
    if (term == TERM_CENTERED_SQUARE) x = x - mean;
    return x * x;
}

K_INLINE double row_sum(const row_term term, const float *x, float mean, int64_t n)
{
    const vf m = v_set(mean), zero = v_set(0.0f);
    double total = 0;
    for (int64_t i = 0; i < n; i += K_BLOCK) {
        const int64_t end = k_min_i64(i + K_BLOCK, n);
        vf s[4] = { zero, zero, zero, zero };
        int64_t j = i;
        for (; j + 4 * K_LANES <= end; j += 4 * K_LANES)
            K_UNROLL for (int u = 0; u < 4; u++) s[u] =
                s[u] + term_of(term, v_load(x + j + u * K_LANES), m);
        for (; j + K_LANES <= end; j += K_LANES) s[0] = s[0] + term_of(term, v_load(x + j), m);
        double rest = 0; /* the lanes behind the end of a partly loaded vector are not zero */
        for (; j < end; j++) {
            const float d = term == TERM_CENTERED_SQUARE ? x[j] - mean : x[j];
            rest += term == TERM_X ? (double)d : (double)d * (double)d;
        }
        total += (double)v_sum((s[0] + s[1]) + (s[2] + s[3])) + rest;
    }
    return total;
}

/* The largest element; NaN does not count; -FLT_MAX at least, so that all -inf gives zeros. */
K_INLINE float row_max(const float *x, int64_t n)
{
    vf m0 = v_set(-FLT_MAX), m1 = m0;
    int64_t i = 0;
    for (; i + 2 * K_LANES <= n; i += 2 * K_LANES) {
        m0 = v_max(v_load(x + i), m0);
        m1 = v_max(v_load(x + i + K_LANES), m1);
    }
    float lanes[K_LANES], most = -FLT_MAX;
    v_store(lanes, v_max(m0, m1));
    for (int l = 0; l < K_LANES; l++) most = lanes[l] > most ? lanes[l] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* Sum of exp(x - max), at least 1 (which it is but for a row of -inf); NaN stays.  The terms go
 * to y, or nowhere when y is NULL. */
K_INLINE double row_exp(float *y, const float *x, float most, int64_t n)
{
    const vf m = v_set(most), zero = v_set(0.0f);
    double total = 0;
    for (int64_t i = 0; i < n; i += K_BLOCK) {
        const int64_t end = k_min_i64(i + K_BLOCK, n);
        vf s0 = zero, s1 = zero;
        int64_t j = i;
        for (; j + 2 * K_LANES <= end; j += 2 * K_LANES) {
            const vf e0 = v_exp(v_load(x + j) - m), e1 = v_exp(v_load(x + j + K_LANES) - m);
            if (y) v_store(y + j, e0);
            if (y) v_store(y + j + K_LANES, e1);
            s0 = s0 + e0;
            s1 = s1 + e1;
        }
        double rest = 0;
        for (; j < end; j += K_LANES) {
            const int64_t some = k_min_i64(end - j, K_LANES);
            float e[K_LANES];
            v_store(e, v_exp(v_load_n(x + j, some) - m));
            for (int64_t l = 0; l < some; l++) {
                if (y) y[j + l] = e[l];
                rest += (double)e[l];
            }
        }
        total += (double)v_sum(s0 + s1) + rest;
    }
    return total < 1 ? 1 : total;
}

/* y = x * k + shift */
K_INLINE void row_affine(float *y, const float *x, float k, float shift, int64_t n)
{
    const vf vk = v_set(k), vs = v_set(shift);
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES) v_store(y + i, v_fma(v_load(x + i), vk, vs));
    if (i < n) v_store_n(y + i, v_fma(v_load_n(x + i, n - i), vk, vs), n - i);
}

/* y = (x - a) - b */
K_INLINE void row_minus(float *y, const float *x, float a, float b, int64_t n)
{
    const vf va = v_set(a), vb = v_set(b);
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES) v_store(y + i, (v_load(x + i) - va) - vb);
    if (i < n) v_store_n(y + i, (v_load_n(x + i, n - i) - va) - vb, n - i);
}

/* ---- softmax -------------------------------------------------------------------------------- */

static void softmax_rows(bool is_log, float *y, const float *x, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, y += cols, x += cols) {
        const float most = row_max(x, cols);
        if (is_log) {
            row_minus(y, x, most, (float)log(row_exp(NULL, x, most, cols)), cols);
        } else {
            const double sum = row_exp(y, x, most, cols);
            row_affine(y, y, (float)(1 / sum), 0.0f, cols);
        }
    }
}

/* One vector of columns, of which n_cols count. */
K_INLINE void softmax_column(bool is_log, float *y, const float *x, int64_t n, int64_t inner,
                             const int64_t n_cols)
{
    const bool whole = n_cols == K_LANES;
    vf most = v_set(-FLT_MAX), sum = v_set(0.0f), part = sum;
    for (int64_t i = 0; i < n; i++) {
        const float *p = x + i * inner;
        most = v_max(whole ? v_load(p) : v_load_n(p, n_cols), most);
    }
    for (int64_t i = 0; i < n; i++) {
        const float *p = x + i * inner;
        const vf e = v_exp((whole ? v_load(p) : v_load_n(p, n_cols)) - most);
        part = part + e;
        if (i % 128 == 127) {
            sum = sum + part;
            part = v_set(0.0f);
        }
    }
    sum = v_max(v_set(1.0f), sum + part); /* NaN stays */
    const vf shift = is_log ? v_log(sum) : v_set(1.0f) / sum;
    for (int64_t i = 0; i < n; i++) {
        const vf z = (whole ? v_load(x + i * inner) : v_load_n(x + i * inner, n_cols)) - most;
        const vf v = is_log ? z - shift : v_exp(z) * shift;
        if (whole) v_store(y + i * inner, v);
        else v_store_n(y + i * inner, v, n_cols);
    }
}

static void softmax_columns(bool is_log, float *y, const float *x, int64_t n, int64_t inner,
                            int64_t c0, int64_t c1)
{
    int64_t c = c0;
    for (; c + K_LANES <= c1; c += K_LANES) softmax_column(is_log, y + c, x + c, n, inner, K_LANES);
    if (c < c1) softmax_column(is_log, y + c, x + c, n, inner, c1 - c);
}

/* ---- norms ---------------------------------------------------------------------------------- */

/* y = (x - mean) * inverse * scale + bias on n elements, whole vectors or the rest. */
K_INLINE vf norm_vector(vf x, vf mean, vf inverse, const float *scale, const float *bias,
                        const int64_t n)
{
    vf v = (x - mean) * inverse;
    const bool whole = n == K_LANES;
    const vf s = !scale ? v : whole ? v_load(scale) : v_load_n(scale, n);
    const vf b = !bias ? v : whole ? v_load(bias) : v_load_n(bias, n);
    if (scale && bias) return v_fma(v, s, b);
    if (scale) v = v * s;
    return bias ? v + b : v;
}

K_INLINE void norm_row(float *y, const float *x, float mean, float inverse, const float *scale,
                       const float *bias, int64_t n)
{
    const vf m = v_set(mean), k = v_set(inverse);
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES)
        v_store(y + i, norm_vector(v_load(x + i), m, k, scale ? scale + i : NULL,
                                   bias ? bias + i : NULL, K_LANES));
    if (i < n)
        v_store_n(y + i,
                  norm_vector(v_load_n(x + i, n - i), m, k, scale ? scale + i : NULL,
                              bias ? bias + i : NULL, n - i),
                  n - i);
}

static void layer_norm(float *y, const float *x, const float *scale, const float *bias, double eps,
                       int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, y += cols, x += cols) {
        const float mean = (float)(row_sum(TERM_X, x, 0.0f, cols) / (double)cols);
        const double variance = row_sum(TERM_CENTERED_SQUARE, x, mean, cols) / (double)cols;
        norm_row(y, x, mean, (float)(1 / sqrt(variance + eps)), scale, bias, cols);
    }
}

static void rms_norm(float *y, const float *x, const float *scale, double eps, int64_t rows,
                     int64_t cols)
{
    for (int64_t r = 0; r < rows; r++, y += cols, x += cols) {
        const double square = row_sum(TERM_SQUARE, x, 0.0f, cols) / (double)cols;
        norm_row(y, x, 0.0f, (float)(1 / sqrt(square + eps)), scale, NULL, cols);
    }
}

/* ---- losses --------------------------------------------------------------------------------- */

static void cross_entropy(float *loss, const float *logits, const int32_t *labels, int64_t classes,
                          int64_t begin, int64_t end)
{
    for (int64_t r = begin; r < end; r++) {
        const float *x = logits + r * classes;
        loss[r] = 0.0f;
        if (labels[r] < 0 || labels[r] >= classes) continue;
        const float most = row_max(x, classes);
        /* The difference first: both may be large and close. */
        loss[r] =
            (float)(((double)most - (double)x[labels[r]]) + log(row_exp(NULL, x, most, classes)));
    }
}

static void cross_entropy_grad(float *dlogits, const float *logits, const int32_t *labels,
                               const float *dloss, int64_t classes, int64_t begin, int64_t end)
{
    for (int64_t r = begin; r < end; r++) {
        const float *x = logits + r * classes;
        float *d = dlogits + r * classes;
        if (labels[r] < 0 || labels[r] >= classes) {
            memset(d, 0, (size_t)classes * sizeof *d);
            continue;
        }
        const double sum = row_exp(d, x, row_max(x, classes), classes);
        const double hit = (double)d[labels[r]] / sum - 1;
        row_affine(d, d, (float)((double)dloss[r] / sum), 0.0f, classes);
        d[labels[r]] = (float)(hit * (double)dloss[r]);
    }
}

#endif
