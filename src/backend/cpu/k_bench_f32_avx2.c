/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of cpu_bench.h, compiled for AVX2. */
#include "backend/cpu/k_vec_avx2.h"

#define K_CHAINS 12 /* 5 cycles x 2 units, of 16 registers */
#define K_TABLE  ftl_bench_f32_avx2
#define K_ISA    FTL_ISA_AVX2
#include "backend/cpu/k_bench_f32.h"
