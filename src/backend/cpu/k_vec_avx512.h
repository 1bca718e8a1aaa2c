/* SPDX-License-Identifier: Apache-2.0 */
/* k_vec_avx512.h - the vector layer of the f32 kernels for AVX-512; names in k_vec_any.h. */
#ifndef FTL_BACKEND_CPU_K_VEC_H
#define FTL_BACKEND_CPU_K_VEC_H

#include <immintrin.h>

#include "backend/cpu/k_vec_common.h"

enum { K_LANES = 16, K_TILE = 8 };
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef __mmask16 vm;

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline vm v_first(int64_t n)
{
    return (vm)((1u << n) - 1);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(v_first(n), p);
}

static inline void v_store_n(float *p, vf v, int64_t n)
{
    _mm512_mask_storeu_ps(p, v_first(n), v);
}

static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vi v_set_i(int32_t x)
{
    return (vi)_mm512_set1_epi32(x);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vm v_less(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vm v_less_i(vi a, vi b)
{
    return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
}

static inline vm v_is_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

static inline vf v_select(vm m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

static inline vf v_max(vf x, vf y)
{
    return _mm512_max_ps(x, y);
}

static inline vf v_min(vf x, vf y)
{
    return _mm512_min_ps(x, y);
}

static inline vf v_sqrt(vf x)
{
    return _mm512_sqrt_ps(x);
}

static inline vf v_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_floor(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline vf v_ceil(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline vf v_pow2(vf y, vf n)
{
    return _mm512_scalef_ps(y, n);
}

static inline float v_sum(vf v)
{
    return _mm512_reduce_add_ps(v);
}

#endif
