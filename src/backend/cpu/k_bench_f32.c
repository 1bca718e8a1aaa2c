/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of cpu_bench.h, compiled for any CPU. */
#include "backend/cpu/k_vec_any.h"

#define K_CHAINS 10 /* of 16 registers */
#define K_TABLE  ftl_bench_f32_any
#define K_ISA    FTL_ISA_ANY
#include "backend/cpu/k_bench_f32.h"
