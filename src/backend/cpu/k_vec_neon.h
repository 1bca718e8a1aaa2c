/* SPDX-License-Identifier: Apache-2.0 */
/* k_vec_neon.h - the vector layer of the f32 kernels for AArch64; names in k_vec_any.h. */
#ifndef FTL_BACKEND_CPU_K_VEC_H
#define FTL_BACKEND_CPU_K_VEC_H

#include <arm_neon.h>

#include "backend/cpu/k_vec_common.h"

enum { K_LANES = 4, K_TILE = 8 };
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;

static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void v_store(float *p, vf v)
{
    vst1q_f32(p, v);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    float buffer[K_LANES] = { 0 };
    for (int64_t i = 0; i < n; i++) buffer[i] = p[i];
    return vld1q_f32(buffer);
}

static inline void v_store_n(float *p, vf v, int64_t n)
{
    float buffer[K_LANES];
    vst1q_f32(buffer, v);
    for (int64_t i = 0; i < n; i++) p[i] = buffer[i];
}

static inline vf v_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vi v_set_i(int32_t x)
{
    return vdupq_n_s32(x);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vm v_less(vf a, vf b)
{
    return vcltq_f32(a, b);
}

static inline vm v_less_i(vi a, vi b)
{
    return vcltq_s32(a, b);
}

static inline vm v_is_nan(vf a)
{
    return vmvnq_u32(vceqq_f32(a, a));
}

static inline vf v_select(vm m, vf a, vf b)
{
    return vbslq_f32(m, a, b);
}

/* Not vmaxq_f32, which differs for NaN and zeros. */
static inline vf v_max(vf x, vf y)
{
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}

static inline vf v_min(vf x, vf y)
{
    return vbslq_f32(vcltq_f32(x, y), x, y);
}

static inline vf v_sqrt(vf x)
{
    return vsqrtq_f32(x);
}

static inline vf v_round(vf x)
{
    return vrndnq_f32(x);
}

static inline vf v_floor(vf x)
{
    return vrndmq_f32(x);
}

static inline vf v_ceil(vf x)
{
    return vrndpq_f32(x);
}

/* In two steps, because 2^n alone may be out of range when the result is not. */
static inline vf v_pow2(vf y, vf n)
{
    const int32x4_t bias = vdupq_n_s32(127), whole = vcvtnq_s32_f32(n);
    const int32x4_t half = vshrq_n_s32(whole, 1), rest = vsubq_s32(whole, half);
    const vf a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    const vf b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
    return vmulq_f32(vmulq_f32(y, a), b);
}

static inline float v_sum(vf v)
{
    return vaddvq_f32(v);
}

#endif
