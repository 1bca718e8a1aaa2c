/* SPDX-License-Identifier: Apache-2.0 */
/* Endings of products on their own, compiled for AVX2. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/k_epilogue_f32.h"

void k_ending_f32_avx2(const ftl_epilogue *ending, float *c, int64_t ldc, int64_t m, int64_t n)
{
    k_epilogue_tile(ending, c, ldc, m, n);
}
