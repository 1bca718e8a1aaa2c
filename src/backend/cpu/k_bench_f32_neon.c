/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of cpu_bench.h, compiled for NEON. */
#include "backend/cpu/k_vec_neon.h"

#define K_CHAINS 24 /* 4 cycles x 4 units, of 32 registers */
#define K_TABLE  ftl_bench_f32_neon
#define K_ISA    FTL_ISA_NEON
#include "backend/cpu/k_bench_f32.h"
