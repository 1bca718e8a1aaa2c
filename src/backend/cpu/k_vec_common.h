/* SPDX-License-Identifier: Apache-2.0 */
/* k_vec_common.h - what every vector layer needs. */
#ifndef FTL_BACKEND_CPU_K_VEC_COMMON_H
#define FTL_BACKEND_CPU_K_VEC_COMMON_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define K_INLINE static inline __attribute__((always_inline))

/* Before a loop whose trip count is constant after inlining: unrolls it whole. */
#ifndef K_UNROLL
#if defined(__clang__)
#define K_UNROLL _Pragma("clang loop unroll(full)")
#else
#define K_UNROLL _Pragma("GCC unroll 64")
#endif
#endif

K_INLINE int64_t k_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

K_INLINE int64_t k_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
