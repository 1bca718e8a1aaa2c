/* SPDX-License-Identifier: Apache-2.0 */
/* k_math_f32.h - exp, log, tanh, erf and activations on vectors, over one vector layer.
 * Idea: every function is straight-line code; special values come out of selects at the end.
 * The polynomials are minimax fits made for these intervals by Remez' exchange in 40 digits; the
 * error stated at each is that of the fit.  Total errors are in kernels_ops.h.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_MATH_F32_H
#define FTL_BACKEND_CPU_K_MATH_F32_H

#include "core/attr.h"

/* Bits on which arithmetic wraps. */
typedef uint32_t vu __attribute__((vector_size(4 * K_LANES)));

K_INLINE vf v_bits(int32_t bits)
{
    return (vf)v_set_i(bits);
}

K_INLINE vf v_abs(vf x)
{
    return (vf)((vi)x & v_set_i(0x7fffffff));
}

/* Magnitude of x, which has no sign, with the sign of s. */
K_INLINE vf v_with_sign(vf x, vf s)
{
    return (vf)((vi)x | ((vi)s & v_set_i(INT32_MIN)));
}

/* NaN wins. */
K_INLINE vf v_max_nan(vf x, vf y)
{
    return v_select(v_is_nan(x), x, v_max(x, y));
}

K_INLINE vf v_min_nan(vf x, vf y)
{
    return v_select(v_is_nan(x), x, v_min(x, y));
}

/* exp(x) = 2^n exp(r), |r| <= ln2 / 2; ln2 in two parts, n times the first (9 bits) is exact.
 * exp(r) = 1 + r + r^2 q(r), fit 3e-9. */
K_INLINE vf v_exp(vf x)
{
    const vf inside = v_min(v_set(89.0f), v_max(v_set(-104.0f), x)); /* NaN stays */
    const vf n = v_round(inside * v_set(1.44269504f));
    const vf r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), inside));
    vf q = v_set(1.381446724e-03f);
    q = v_fma(q, r, v_set(8.368780836e-03f));
    q = v_fma(q, r, v_set(4.166839272e-02f));
    q = v_fma(q, r, v_set(1.666651964e-01f));
    q = v_fma(q, r, v_set(4.999999404e-01f));
    const vf p = v_fma(r * r, q, r) + v_set(1.0f);
    return v_pow2(p, n);
}

/* log(x) = e ln2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt 2; log(1 + f) = f - f^2 / 2 + f^3 p(f),
 * fit 7e-10 f.  Denormals are brought up by 2^23 first. */
K_INLINE vf v_log(vf x)
{
    const vm is_small = v_less(x, v_set(FLT_MIN));
    const vf up = v_select(is_small, x * v_set(8388608.0f), x);
    /* Takes sqrt(1/2) as the border between exponents. */
    const vi shifted = (vi)((vu)up - (vu)v_set_i(0x3f3504f3));
    const vi exponent = shifted >> 23;
    const vf f = (vf)((shifted & v_set_i(0x007fffff)) + v_set_i(0x3f3504f3)) - v_set(1.0f);
    const vf e = __builtin_convertvector(exponent, vf) - v_select(is_small, v_set(23.0f), v_set(0));
    vf p = v_set(6.915546209e-02f);
    p = v_fma(p, f, v_set(-1.178985760e-01f));
    p = v_fma(p, f, v_set(1.187291816e-01f));
    p = v_fma(p, f, v_set(-1.238433570e-01f));
    p = v_fma(p, f, v_set(1.421866566e-01f));
    p = v_fma(p, f, v_set(-1.666925251e-01f));
    p = v_fma(p, f, v_set(2.000222653e-01f));
    p = v_fma(p, f, v_set(-2.499998659e-01f));
    p = v_fma(p, f, v_set(3.333331048e-01f));
    const vf f2 = f * f;
    const vf low = v_fma(f2 * f, p, v_fma(f2, v_set(-0.5f), e * v_set(-2.12194440e-4f)));
    vf y = v_fma(e, v_set(0.693359375f), f + low);
    y = v_select(v_less(v_set(FLT_MAX), x), x, y);                  /* inf */
    y = v_select(v_less(v_abs(x), v_bits(1)), v_set(-INFINITY), y); /* zeros */
    y = v_select(v_less(x, v_set(-0.0f)), v_set(NAN), y);
    return v_select(v_is_nan(x), x, y);
}

/* 1 / (1 + exp(-x)), for x < 0 as exp(x) / (1 + exp(x)), which does not overflow. */
K_INLINE vf v_sigmoid(vf x)
{
    const vf e = v_exp(-v_abs(x)), one = v_set(1.0f);
    return v_select(v_less(x, v_set(0.0f)), e, one) / (one + e);
}

/* x + x^3 p(x^2) below 0.6, fit 3e-9; else 1 - 2 / (exp(2x) + 1). */
K_INLINE vf v_tanh(vf x)
{
    const vf size = v_abs(x), z = x * x;
    vf p = v_set(-5.905916449e-03f);
    p = v_fma(p, z, v_set(2.080542967e-02f));
    p = v_fma(p, z, v_set(-5.378669873e-02f));
    p = v_fma(p, z, v_set(1.333195865e-01f));
    p = v_fma(p, z, v_set(-3.333329856e-01f));
    const vf near = v_fma(p * z, size, size);
    const vf grown = v_exp(size + size);
    const vf far = v_set(1.0f) - v_set(2.0f) / (grown + v_set(1.0f));
    return v_with_sign(v_select(v_less(size, v_set(0.6f)), near, far), x);
}

/* x p(x^2) below 1, fit 1e-9; else 1 - exp(q(x)), q = log erfc, fit 3e-11 of erf. */
K_INLINE vf v_erf(vf x)
{
    const vf size = v_abs(x), z = x * x, a = v_min(v_set(3.95f), size); /* NaN stays */
    vf p = v_set(7.853864372e-05f);
    p = v_fma(p, z, v_set(-8.010194288e-04f));
    p = v_fma(p, z, v_set(5.188327748e-03f));
    p = v_fma(p, z, v_set(-2.685381286e-02f));
    p = v_fma(p, z, v_set(1.128358543e-01f));
    p = v_fma(p, z, v_set(-3.761262596e-01f));
    p = v_fma(p, z, v_set(1.128379107e+00f));
    vf q = v_set(-2.144552673e-05f);
    q = v_fma(q, a, v_set(4.385294742e-04f));
    q = v_fma(q, a, v_set(-4.190853797e-03f));
    q = v_fma(q, a, v_set(2.517180331e-02f));
    q = v_fma(q, a, v_set(-1.083615422e-01f));
    q = v_fma(q, a, v_set(-6.332724094e-01f));
    q = v_fma(q, a, v_set(-1.129552007e+00f));
    q = v_fma(q, a, v_set(1.824594365e-04f));
    const vf far = v_set(1.0f) - v_exp(q);
    return v_select(v_less(size, v_set(1.0f)), p * x, v_with_sign(far, x));
}

/* erfc(z), z >= 0: t p(t) exp(-z^2), t = 1 / (1 + 0.4 z), fit 1.3e-7; so small tails keep their
 * digits: relative error 3e-7 (1 + z^2). */
K_INLINE vf v_erfc(vf z)
{
    const vf t = v_set(1.0f) / v_fma(z, v_set(0.4f), v_set(1.0f));
    vf p = v_set(5.026189610e-02f);
    p = v_fma(p, t, v_set(-1.829028279e-01f));
    p = v_fma(p, t, v_set(1.690914035e-01f));
    p = v_fma(p, t, v_set(-5.615894683e-03f));
    p = v_fma(p, t, v_set(1.414370537e-01f));
    p = v_fma(p, t, v_set(1.685400307e-01f));
    p = v_fma(p, t, v_set(2.078430355e-01f));
    p = v_fma(p, t, v_set(2.256695777e-01f));
    p = v_fma(p, t, v_set(2.256758660e-01f));
    return p * t * v_exp(-(z * z));
}

/* x * (1 - tail) or x * tail: the small one of both is what is computed.  -inf gives -0. */
K_INLINE vf v_gelu(vf x)
{
    const vf tail = v_set(0.5f) * v_erfc(v_abs(x) * v_set(0.70710678f));
    const vf y = x * v_select(v_less(v_set(0.0f), x), v_set(1.0f) - tail, tail);
    return v_select(v_less(x, v_set(-40.0f)), v_set(-0.0f), y);
}

/* x * sigmoid(2 u): (1 + tanh u) / 2 is the sigmoid of 2 u. */
K_INLINE vf v_gelu_tanh(vf x)
{
    const vf u2 = x * v_fma(x * x, v_set(0.0713548163f), v_set(1.59576912f));
    const vf y = x / (v_set(1.0f) + v_exp(-u2));
    return v_select(v_less(x, v_set(-40.0f)), v_set(-0.0f), y);
}

K_INLINE vf v_silu(vf x)
{
    const vf y = x / (v_set(1.0f) + v_exp(-x));
    return v_select(v_less(x, v_set(-120.0f)), v_set(-0.0f), y);
}

/* exp(x) - 1 for x <= 0: x + x^2 q near 0, where the difference would cancel. */
K_INLINE vf v_expm1_negative(vf x)
{
    vf q = v_set(1.381446724e-03f);
    q = v_fma(q, x, v_set(8.368780836e-03f));
    q = v_fma(q, x, v_set(4.166839272e-02f));
    q = v_fma(q, x, v_set(1.666651964e-01f));
    q = v_fma(q, x, v_set(4.999999404e-01f));
    const vf near = v_fma(x * x, q, x);
    return v_select(v_less(v_set(-0.34f), x), near, v_exp(x) - v_set(1.0f));
}

/* max(x, 0) + log(1 + exp(-|x|)) */
K_INLINE vf v_softplus(vf x)
{
    const vf tail = v_log(v_set(1.0f) + v_exp(-v_abs(x)));
    return v_max(v_set(0.0f), x) + tail; /* NaN: v_max gives its second operand */
}

K_INLINE vf v_clip(vf x, vf least, vf most)
{
    return v_min(most, v_max(least, x)); /* NaN stays */
}

/* One activation on a vector; kind is constant in every loop that this is inlined into. */
K_INLINE vf v_act(int32_t kind, vf x, vf alpha, vf beta)
{
    const vf zero = v_set(0.0f), one = v_set(1.0f);
    switch (kind) {
    case FTL_ACT_RELU: return v_max(zero, x);
    case FTL_ACT_CLIP: return v_clip(x, alpha, beta);
    case FTL_ACT_LEAKY_RELU: return v_select(v_less(x, zero), alpha * x, x);
    case FTL_ACT_ELU: return v_select(v_less(x, zero), alpha * v_expm1_negative(x), x);
    case FTL_ACT_SELU: return beta * v_select(v_less(x, zero), alpha * v_expm1_negative(x), x);
    case FTL_ACT_SIGMOID: return v_sigmoid(x);
    case FTL_ACT_TANH: return v_tanh(x);
    case FTL_ACT_SILU: return v_silu(x);
    case FTL_ACT_GELU: return v_gelu(x);
    case FTL_ACT_GELU_TANH: return v_gelu_tanh(x);
    case FTL_ACT_HARD_SIGMOID: return v_clip(v_fma(alpha, x, beta), zero, one);
    case FTL_ACT_HARD_SWISH:
        return x * v_clip(v_fma(x, v_set(1.0f / 6.0f), v_set(0.5f)), zero, one);
    case FTL_ACT_SOFTPLUS: return v_softplus(x);
    default: return x;
    }
}

#endif
