/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_bench.h - kernels that measure the CPU itself rather than a model: what registers, caches and
 * memory can do at best.  Pure functions on memory, as in kernels.h; cpu_bench.c times them. */
#ifndef FTL_BACKEND_CPU_CPU_BENCH_H
#define FTL_BACKEND_CPU_CPU_BENCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_BENCH_STEP = 128, FTL_BENCH_STATE = 512 }; /* floats */

/* n rounds of x = x * x + c on state[chains * lanes], independent of each other.  The map is
 * chaotic for c = -1.8, so that the bits keep changing as those of real data do: the power that a
 * multiplier draws depends on them (Bhalachandra et al. 2022, arXiv 2212.08805).
 * state: FTL_BENCH_STATE floats, the first chains * lanes in [-1, 1]. */
typedef void k_fn_peak(float *state, int64_t n);
/* Sum of x[n]; n a multiple of FTL_BENCH_STEP here and below. */
typedef float k_fn_read(const float *x, int64_t n);
typedef void k_fn_write(float *y, float value, int64_t n);
typedef void k_fn_copy(float *y, const float *x, int64_t n);
/* a = b + s * c */
typedef void k_fn_triad(float *a, const float *b, const float *c, float s, int64_t n);

typedef struct ftl_bench_kernels {
    uint32_t isa;       /* FTL_ISA_* bits that the CPU must have */
    int32_t peak_flops; /* of one round */
    k_fn_peak *peak;
    k_fn_read *read;
    k_fn_write *write;
    k_fn_copy *copy;
    k_fn_triad *triad;
} ftl_bench_kernels;

/* The best table whose needs are among the bits of `isa`; never NULL. */
const ftl_bench_kernels *ftl_bench_kernels_get(uint32_t isa);

#ifdef __cplusplus
}
#endif
#endif
