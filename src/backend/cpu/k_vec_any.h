/* SPDX-License-Identifier: Apache-2.0 */
/* k_vec_any.h - the vector layer of the f32 kernels in portable C: 4 floats as a vector of the
 * compiler, which both gcc and clang turn into what the target has at least.
 * k_vec_avx2.h, k_vec_avx512.h and k_vec_neon.h define the same names for their instruction set;
 * a kernel source includes exactly one of them.
 *   vf, vi, vm        floats, int32, mask of a comparison
 *   K_LANES           elements of a vector
 *   K_TILE            rows of a tile of attention that fit the registers, with 2 vectors each
 *   v_load_n/store_n  the first n < K_LANES elements; the others load as 0
 *   v_fma             a * b + c, rounded once where the target can
 *   v_max, v_min      x > y ? x : y, x < y ? x : y (so y where one is NaN)
 *   v_pow2            y * 2^n for whole n in [-300, 300], 0 and inf and denormals included
 *   v_sum             over the lanes in a fixed order */
#ifndef FTL_BACKEND_CPU_K_VEC_H
#define FTL_BACKEND_CPU_K_VEC_H

#include "backend/cpu/k_vec_common.h"

enum { K_LANES = 4, K_TILE = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef vi vm;

static inline vf v_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline vf v_load_n(const float *p, int64_t n)
{
    float buffer[K_LANES] = { 0 };
    for (int64_t i = 0; i < n; i++) buffer[i] = p[i];
    return v_load(buffer);
}

static inline void v_store_n(float *p, vf v, int64_t n)
{
    float buffer[K_LANES];
    v_store(buffer, v);
    for (int64_t i = 0; i < n; i++) p[i] = buffer[i];
}

static inline vf v_set(float x)
{
    return (vf){ x, x, x, x };
}

static inline vi v_set_i(int32_t x)
{
    return (vi){ x, x, x, x };
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

static inline vm v_less(vf a, vf b)
{
    return (vm)(a < b);
}

static inline vm v_less_i(vi a, vi b)
{
    return (vm)(a < b);
}

static inline vm v_is_nan(vf a)
{
    return (vm)(a != a);
}

static inline vf v_select(vm m, vf a, vf b)
{
    return (vf)((m & (vi)a) | (~m & (vi)b));
}

static inline vf v_max(vf x, vf y)
{
    return v_select(v_less(y, x), x, y);
}

static inline vf v_min(vf x, vf y)
{
    return v_select(v_less(x, y), x, y);
}

static inline vf v_sqrt(vf x)
{
    return (vf){ sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3]) };
}

static inline vf v_round(vf x)
{
    return (vf){ rintf(x[0]), rintf(x[1]), rintf(x[2]), rintf(x[3]) };
}

static inline vf v_floor(vf x)
{
    return (vf){ floorf(x[0]), floorf(x[1]), floorf(x[2]), floorf(x[3]) };
}

static inline vf v_ceil(vf x)
{
    return (vf){ ceilf(x[0]), ceilf(x[1]), ceilf(x[2]), ceilf(x[3]) };
}

/* In two steps, because 2^n alone may be out of range when the result is not. */
static inline vf v_pow2(vf y, vf n)
{
    typedef uint32_t bits __attribute__((vector_size(16)));
    /* The low bits of n + 1.5 * 2^23 are n. */
    const vi whole = (vi)(n + v_set(12582912.0f)) - v_set_i(0x4b400000);
    const vi half = whole >> 1, rest = whole - half;
    return y * (vf)((bits)(half + 127) << 23) * (vf)((bits)(rest + 127) << 23);
}

static inline float v_sum(vf v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

#endif
