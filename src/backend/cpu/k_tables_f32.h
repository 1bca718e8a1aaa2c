/* SPDX-License-Identifier: Apache-2.0 */
/* k_tables_f32.h - the tables of kernels_ops.h that a build has. */
#ifndef FTL_BACKEND_CPU_K_TABLES_F32_H
#define FTL_BACKEND_CPU_K_TABLES_F32_H

#include "backend/cpu/kernels_ops.h"
#include "base/cpuid.h"

extern const ftl_ops_f32 k_ops_f32;
#if defined(__x86_64__)
extern const ftl_ops_f32 k_ops_f32_avx2, k_ops_f32_avx512;
#elif defined(__aarch64__)
extern const ftl_ops_f32 k_ops_f32_neon;
#endif

#endif
