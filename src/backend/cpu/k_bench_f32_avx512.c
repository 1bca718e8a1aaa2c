/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of cpu_bench.h, compiled for AVX-512. */
#include "backend/cpu/k_vec_avx512.h"

#define K_CHAINS 24 /* 4 cycles x 2 units, of 32 registers */
#define K_TABLE  ftl_bench_f32_avx512
#define K_ISA    FTL_ISA_AVX512
#include "backend/cpu/k_bench_f32.h"
