/* SPDX-License-Identifier: Apache-2.0 */
/* k_vec_avx2.h - the vector layer of the f32 kernels for AVX2 with FMA; names in k_vec_any.h. */
#ifndef FTL_BACKEND_CPU_K_VEC_H
#define FTL_BACKEND_CPU_K_VEC_H

#include <immintrin.h>

#include "backend/cpu/k_vec_common.h"

enum { K_LANES = 8, K_TILE = 4 };
typedef float vf __attribute__((vector_size(32)));
typedef int32_t vi __attribute__((vector_size(32)));
typedef vi vm;

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

static inline __m256i v_first(int64_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lanes);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, v_first(n));
}

static inline void v_store_n(float *p, vf v, int64_t n)
{
    _mm256_maskstore_ps(p, v_first(n), v);
}

static inline vf v_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vi v_set_i(int32_t x)
{
    return (vi)_mm256_set1_epi32(x);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vm v_less(vf a, vf b)
{
    return (vm)_mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline vm v_less_i(vi a, vi b)
{
    return (vm)(a < b);
}

static inline vm v_is_nan(vf a)
{
    return (vm)_mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}

static inline vf v_select(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, (__m256)m);
}

static inline vf v_max(vf x, vf y)
{
    return _mm256_max_ps(x, y);
}

static inline vf v_min(vf x, vf y)
{
    return _mm256_min_ps(x, y);
}

static inline vf v_sqrt(vf x)
{
    return _mm256_sqrt_ps(x);
}

static inline vf v_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_floor(vf x)
{
    return _mm256_floor_ps(x);
}

static inline vf v_ceil(vf x)
{
    return _mm256_ceil_ps(x);
}

/* In two steps, because 2^n alone may be out of range when the result is not. */
static inline vf v_pow2(vf y, vf n)
{
    const __m256i bias = _mm256_set1_epi32(127), whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return y * _mm256_castsi256_ps(a) * _mm256_castsi256_ps(b);
}

static inline float v_sum(vf v)
{
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

#endif
