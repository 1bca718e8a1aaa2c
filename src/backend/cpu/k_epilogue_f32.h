/* SPDX-License-Identifier: Apache-2.0 */
/* k_epilogue_f32.h - endings of products, and the curves that activations are made of.
 * Idea: plain C without branches and without calls, included by each ISA's file, so that the
 * compiler makes vector code of that ISA; contraction is off, so all ISAs give the same bits.
 * Clamps are done by the micro-kernels in registers; curved activations in a second pass over the
 * tile, which still lies in the L1 cache.
 * NaN comes through everything: a comparison with NaN is false and takes the branch with x.
 * The polynomials are least-maximum-error fits made for these intervals (Lawson's iteration). */
#ifndef FTL_BACKEND_CPU_K_EPILOGUE_F32_H
#define FTL_BACKEND_CPU_K_EPILOGUE_F32_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"

/* Before a loop whose trip count is constant after inlining: unrolls it whole. */
#if defined(__clang__)
#define K_UNROLL _Pragma("clang loop unroll(full)")
#else
#define K_UNROLL _Pragma("GCC unroll 64")
#endif

/* True when the activation is min(max(x, least), most). */
static inline bool k_epilogue_clamp(const ftl_epilogue *e, float *least, float *most)
{
    *least = e->act == FTL_EPILOGUE_CLIP ? e->alpha : 0.0f;
    *most = e->act == FTL_EPILOGUE_CLIP ? e->beta : e->act == FTL_EPILOGUE_RELU6 ? 6.0f : INFINITY;
    return e->act == FTL_EPILOGUE_RELU || e->act == FTL_EPILOGUE_RELU6 ||
           e->act == FTL_EPILOGUE_CLIP;
}

/* Columns [n, n + width) of a tile, at most those that it has. */
static inline ftl_gemm_tile k_epilogue_columns(const ftl_gemm_tile *t, int64_t n, int64_t width)
{
    ftl_gemm_tile part = *t;
    part.c += n;
    part.n = t->n - n < width ? t->n - n : width;
    if (part.ending.bias_n) part.ending.bias_n += n;
    if (part.ending.residual) part.ending.residual += n;
    return part;
}

static inline float k_min_f32(float x, float most)
{
    return x > most ? most : x;
}

static inline float k_max_f32(float x, float least)
{
    return x < least ? least : x;
}

/* exp(x), relative error <= 2e-7; 0 below -87.3 (no denormals), inf above 88.7.
 * x = n ln2 + r with |r| <= ln2 / 2; n comes out of the low bits of x / ln2 + 1.5 * 2^23. */
static inline float k_exp_f32(float x)
{
    const float inside = k_min_f32(k_max_f32(x, -87.3f), 88.3f);
    const float shifted = inside * 1.44269504f + 12582912.0f;
    const float n = shifted - 12582912.0f;
    /* ln2 in two parts: the first has 9 bits, so n times it is exact. */
    const float r = (inside - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.381459995e-03f;
    p = p * r + 8.368717507e-03f;
    p = p * r + 4.166838899e-02f;
    p = p * r + 1.666652113e-01f;
    p = p * r + 4.999999404e-01f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4b400000u + 127u) << 23; /* 2^n */
    float power;
    memcpy(&power, &bits, sizeof power);
    const float y = p * power;
    return x < -87.3f ? 0.0f : x > 88.3f ? INFINITY : y;
}

static inline float k_sigmoid_f32(float x)
{
    return 1.0f / (1.0f + k_exp_f32(-x));
}

/* tanh(x), relative error <= 3e-7: an odd polynomial near 0, where 1 - 2 / (e^2x + 1) cancels. */
static inline float k_tanh_f32(float x)
{
    const float x2 = x * x, magnitude = fabsf(x);
    float p = 1.627383195e-02f;
    p = p * x2 + -5.258683488e-02f;
    p = p * x2 + 1.331942081e-01f;
    p = p * x2 + -3.333289027e-01f;
    const float near = p * x2 * x + x;
    const float far = copysignf(1.0f - 2.0f / (k_exp_f32(2.0f * magnitude) + 1.0f), x);
    return magnitude < 0.55f ? near : far;
}

/* erfc(z) for z >= 0: t P(t) exp(-z^2), t = 1 / (1 + 0.4 z), relative error <= 2e-7 * (1 + z^2). */
static inline float k_erfc_f32(float z)
{
    const float t = 1.0f / (1.0f + 0.4f * z);
    float p = 4.415379092e-02f;
    p = p * t + -1.544048488e-01f;
    p = p * t + 1.130250245e-01f;
    p = p * t + 5.486777797e-02f;
    p = p * t + 1.024967879e-01f;
    p = p * t + 1.837793589e-01f;
    p = p * t + 2.043220550e-01f;
    p = p * t + 2.261064798e-01f;
    p = p * t + 2.256536484e-01f;
    return p * t * k_exp_f32(-z * z);
}

/* x Phi(x), through the tail that is small, so that negative x keep their relative precision. */
static inline float k_gelu_f32(float x)
{
    const float tail = 0.5f * k_erfc_f32(fabsf(x) * 0.70710678f);
    return x * (x > 0.0f ? 1.0f - tail : tail);
}

static inline float k_gelu_tanh_f32(float x)
{
    /* (1 + tanh u) / 2 is the sigmoid of 2u. */
    const float u = 0.7978845608f * (x + 0.044715f * (x * x * x));
    return x * k_sigmoid_f32(2.0f * u);
}

/* y = act(y) in place on one row; `e->act` is constant for a whole tile. */
static inline void k_epilogue_row(const ftl_epilogue *e, float *y, int64_t n)
{
    const float alpha = e->alpha, beta = e->beta;
    switch (e->act) {
    case FTL_EPILOGUE_LEAKY_RELU:
        for (int64_t i = 0; i < n; i++) y[i] = y[i] < 0.0f ? alpha * y[i] : y[i];
        break;
    case FTL_EPILOGUE_SILU:
        for (int64_t i = 0; i < n; i++) y[i] = y[i] / (1.0f + k_exp_f32(-y[i]));
        break;
    case FTL_EPILOGUE_GELU:
        for (int64_t i = 0; i < n; i++) y[i] = k_gelu_f32(y[i]);
        break;
    case FTL_EPILOGUE_GELU_TANH:
        for (int64_t i = 0; i < n; i++) y[i] = k_gelu_tanh_f32(y[i]);
        break;
    case FTL_EPILOGUE_SIGMOID:
        for (int64_t i = 0; i < n; i++) y[i] = k_sigmoid_f32(y[i]);
        break;
    case FTL_EPILOGUE_TANH:
        for (int64_t i = 0; i < n; i++) y[i] = k_tanh_f32(y[i]);
        break;
    case FTL_EPILOGUE_HARD_SIGMOID:
        for (int64_t i = 0; i < n; i++)
            y[i] = k_min_f32(k_max_f32(alpha * y[i] + beta, 0.0f), 1.0f);
        break;
    case FTL_EPILOGUE_HARD_SWISH:
        for (int64_t i = 0; i < n; i++)
            y[i] = y[i] * k_min_f32(k_max_f32(y[i] * (1.0f / 6.0f) + 0.5f, 0.0f), 1.0f);
        break;
    default: break; /* nothing, or a clamp that is done */
    }
}

/* Curved activations on an [m, n] tile that holds the sums; clamps are the micro-kernel's. */
static inline void k_epilogue_curve(const ftl_epilogue *e, float *c, int64_t ldc, int64_t m,
                                    int64_t n)
{
    if (e->act <= FTL_EPILOGUE_CLIP) return;
    for (int64_t i = 0; i < m; i++) k_epilogue_row(e, c + i * ldc, n);
}

/* All of the ending in plain C on an [m, n] tile that holds the sums. */
static inline void k_epilogue_tile(const ftl_epilogue *e, float *c, int64_t ldc, int64_t m,
                                   int64_t n)
{
    float least, most;
    const bool clamp = k_epilogue_clamp(e, &least, &most);
    for (int64_t i = 0; i < m; i++) {
        float *y = c + i * ldc;
        if (e->bias_m)
            for (int64_t j = 0; j < n; j++) y[j] += e->bias_m[i];
        if (e->bias_n)
            for (int64_t j = 0; j < n; j++) y[j] += e->bias_n[j];
        if (e->residual)
            for (int64_t j = 0; j < n; j++) y[j] += e->residual[i * e->ld_residual + j];
        if (clamp)
            for (int64_t j = 0; j < n; j++) y[j] = k_min_f32(k_max_f32(y[j], least), most);
    }
    k_epilogue_curve(e, c, ldc, m, n);
}

#endif
