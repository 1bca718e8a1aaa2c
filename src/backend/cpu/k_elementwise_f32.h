/* SPDX-License-Identifier: Apache-2.0 */
/* k_elementwise_f32.h - f32 elementwise kernels over one vector layer.
 * Idea: one loop, into which the operation is inlined as a constant; the tail behind the whole
 * vectors is the same operation on a partly loaded vector, so every element gets the same bits
 * wherever it stands.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_ELEMENTWISE_F32_H
#define FTL_BACKEND_CPU_K_ELEMENTWISE_F32_H

#include "backend/cpu/k_math_f32.h"
#include "backend/cpu/k_nest.h"
#include "backend/cpu/kernels_ops.h"

K_INLINE vf v_neg(vf x)
{
    return -x;
}

/* sign(NaN) is NaN, sign(-0) is -0. */
K_INLINE vf v_sign(vf x)
{
    const vf below = v_select(v_less(x, v_set(0.0f)), v_set(-1.0f), x);
    return v_select(v_less(v_set(0.0f), x), v_set(1.0f), below);
}

K_INLINE vf v_rsqrt(vf x)
{
    return v_set(1.0f) / v_sqrt(x);
}

typedef vf map_fn(vf x);
K_INLINE void map(map_fn *f, float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES) v_store(y + i, f(v_load(x + i)));
    if (i < n) v_store_n(y + i, f(v_load_n(x + i, n - i)), n - i);
}

static void unary(ftl_op op, float *y, const float *x, int64_t n)
{
    switch (op) {
    case FTL_OP_neg: map(v_neg, y, x, n); break;
    case FTL_OP_abs: map(v_abs, y, x, n); break;
    case FTL_OP_sign: map(v_sign, y, x, n); break;
    case FTL_OP_floor: map(v_floor, y, x, n); break;
    case FTL_OP_ceil: map(v_ceil, y, x, n); break;
    case FTL_OP_round: map(v_round, y, x, n); break;
    case FTL_OP_exp: map(v_exp, y, x, n); break;
    case FTL_OP_log: map(v_log, y, x, n); break;
    case FTL_OP_sqrt: map(v_sqrt, y, x, n); break;
    case FTL_OP_rsqrt: map(v_rsqrt, y, x, n); break;
    case FTL_OP_tanh: map(v_tanh, y, x, n); break;
    case FTL_OP_sigmoid: map(v_sigmoid, y, x, n); break;
    case FTL_OP_erf: map(v_erf, y, x, n); break;
    case FTL_OP_sin:
        for (int64_t i = 0; i < n; i++) y[i] = sinf(x[i]);
        break;
    case FTL_OP_cos:
        for (int64_t i = 0; i < n; i++) y[i] = cosf(x[i]);
        break;
    default: break;
    }
}

/* ---- activations ---------------------------------------------------------------------------- */

/* act(x * k + shift); without `affine` act(x) alone. */
K_INLINE void act_loop(const int32_t kind, const ftl_attr_act *act, const bool affine, float k,
                       float shift, float *y, const float *x, int64_t n)
{
    const vf alpha = v_set(act->alpha), beta = v_set(act->beta), vk = v_set(k), vs = v_set(shift);
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES) {
        const vf v = v_load(x + i);
        v_store(y + i, v_act(kind, affine ? v_fma(v, vk, vs) : v, alpha, beta));
    }
    if (i == n) return;
    const vf v = v_load_n(x + i, n - i);
    v_store_n(y + i, v_act(kind, affine ? v_fma(v, vk, vs) : v, alpha, beta), n - i);
}

K_INLINE void act_any(const ftl_attr_act *act, const bool affine, float k, float shift, float *y,
                      const float *x, int64_t n)
{
    switch (act->kind) {
#define CASE(kind)                                                                                 \
    case kind: act_loop(kind, act, affine, k, shift, y, x, n); break
        CASE(FTL_ACT_NONE);
        CASE(FTL_ACT_RELU);
        CASE(FTL_ACT_CLIP);
        CASE(FTL_ACT_LEAKY_RELU);
        CASE(FTL_ACT_ELU);
        CASE(FTL_ACT_SELU);
        CASE(FTL_ACT_SIGMOID);
        CASE(FTL_ACT_TANH);
        CASE(FTL_ACT_SILU);
        CASE(FTL_ACT_GELU);
        CASE(FTL_ACT_GELU_TANH);
        CASE(FTL_ACT_HARD_SIGMOID);
        CASE(FTL_ACT_HARD_SWISH);
        CASE(FTL_ACT_SOFTPLUS);
#undef CASE
    default: break;
    }
}

static void activation(const ftl_attr_act *act, float *y, const float *x, int64_t n)
{
    act_any(act, false, 1.0f, 0.0f, y, x, n);
}

/* Batch norm: spatial of 1 walks along the channels, else each row has one scale. */
static void channel_affine(float *y, const float *x, const float *k, const float *shift,
                           const ftl_attr_act *act, int64_t channels, int64_t spatial,
                           int64_t begin, int64_t end)
{
    static const ftl_attr_act none = { .kind = FTL_ACT_NONE };
    if (!act) act = &none;
    if (spatial == 1) {
        for (int64_t r = begin; r < end;) {
            const int64_t c = r % channels, n = k_min_i64(channels - c, end - r);
            int64_t i = 0;
            for (; i + K_LANES <= n; i += K_LANES)
                v_store(y + r + i,
                        v_fma(v_load(x + r + i), v_load(k + c + i), v_load(shift + c + i)));
            if (i < n)
                v_store_n(y + r + i,
                          v_fma(v_load_n(x + r + i, n - i), v_load_n(k + c + i, n - i),
                                v_load_n(shift + c + i, n - i)),
                          n - i);
            r += n;
        }
        if (act->kind != FTL_ACT_NONE) activation(act, y + begin, y + begin, end - begin);
        return;
    }
    for (int64_t r = begin; r < end; r++)
        act_any(act, true, k[r % channels], shift[r % channels], y + r * spatial, x + r * spatial,
                spatial);
}

/* ---- two inputs ----------------------------------------------------------------------------- */

typedef vf zip_fn(vf a, vf b);

K_INLINE vf v_add2(vf a, vf b)
{
    return a + b;
}

K_INLINE vf v_sub2(vf a, vf b)
{
    return a - b;
}

K_INLINE vf v_mul2(vf a, vf b)
{
    return a * b;
}

K_INLINE vf v_div2(vf a, vf b)
{
    return a / b;
}

/* The next n <= K_LANES elements; stride 0 repeats, 1 is dense, others are collected. */
K_INLINE vf take(const float *p, int64_t stride, int64_t n)
{
    if (stride == 0) return v_set(*p);
    if (stride == 1) return v_load_n(p, n);
    float buffer[K_LANES] = { 0 };
    for (int64_t i = 0; i < n; i++) buffer[i] = p[i * stride];
    return v_load(buffer);
}

/* sa, sb: constants 0 and 1 in the loops that matter, so that the choice is made outside. */
K_INLINE void zip_strided(zip_fn *f, float *out, const float *a, const int64_t sa, const float *b,
                          const int64_t sb, int64_t n)
{
    const vf first_a = v_set(*a), first_b = v_set(*b);
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES) {
        const vf x = sa == 0 ? first_a : sa == 1 ? v_load(a + i) : take(a + i * sa, sa, K_LANES);
        const vf y = sb == 0 ? first_b : sb == 1 ? v_load(b + i) : take(b + i * sb, sb, K_LANES);
        v_store(out + i, f(x, y));
    }
    if (i < n)
        v_store_n(out + i, f(take(a + i * sa, sa, n - i), take(b + i * sb, sb, n - i)), n - i);
}

K_INLINE void zip(zip_fn *f, float *out, const float *a, int64_t sa, const float *b, int64_t sb,
                  int64_t n)
{
    if (sa == 1 && sb == 1) zip_strided(f, out, a, 1, b, 1, n);
    else if (sa == 1 && sb == 0) zip_strided(f, out, a, 1, b, 0, n);
    else if (sa == 0 && sb == 1) zip_strided(f, out, a, 0, b, 1, n);
    else zip_strided(f, out, a, sa, b, sb, n);
}

/* Exponents that need no logarithm give the same bits without it. */
static void power_row(float *out, const float *a, int64_t sa, const float *b, int64_t sb, int64_t n)
{
    const float e = *b;
    if (sb == 0 && e == 2.0f) {
        zip(v_mul2, out, a, sa, a, sa, n);
    } else if (sb == 0 && e == 0.5f) {
        /* Not pow(x, 0.5): the compiler makes a square root of it, which differs here. */
        for (int64_t i = 0; i < n; i++) {
            const float x = a[i * sa];
            out[i] = x == 0.0f ? 0.0f : x == -INFINITY ? INFINITY : sqrtf(x);
        }
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = (float)pow(a[i * sa], b[i * sb]);
    }
}

static void binary_row(ftl_op op, float *out, const float *a, int64_t sa, const float *b,
                       int64_t sb, int64_t n)
{
    switch (op) {
    case FTL_OP_add: zip(v_add2, out, a, sa, b, sb, n); break;
    case FTL_OP_sub: zip(v_sub2, out, a, sa, b, sb, n); break;
    case FTL_OP_mul: zip(v_mul2, out, a, sa, b, sb, n); break;
    case FTL_OP_div: zip(v_div2, out, a, sa, b, sb, n); break;
    case FTL_OP_max: zip(v_max_nan, out, a, sa, b, sb, n); break;
    case FTL_OP_min: zip(v_min_nan, out, a, sa, b, sb, n); break;
    case FTL_OP_pow: power_row(out, a, sa, b, sb, n); break;
    case FTL_OP_mod:
        for (int64_t i = 0; i < n; i++) out[i] = fmodf(a[i * sa], b[i * sb]);
        break;
    default: break;
    }
}

static void binary(ftl_op op, const ftl_nest *nest, float *out, const float *a, const float *b,
                   int64_t begin, int64_t end)
{
    if (begin >= end) return;
    const int32_t last = nest->rank - 1;
    const int64_t sa = nest->stride[1][last], sb = nest->stride[2][last];
    k_nest_place p;
    k_nest_seek(nest, &p, begin);
    while (begin < end) {
        const int64_t n = k_nest_run(nest, &p, end - begin);
        binary_row(op, out + begin, a + p.offset[1], sa, b + p.offset[2], sb, n);
        k_nest_step(nest, &p, n);
        begin += n;
    }
}

#endif
