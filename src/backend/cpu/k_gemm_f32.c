/* SPDX-License-Identifier: Apache-2.0 */
/* GEMM and matrix-vector micro-kernels in portable C: the reference of the faster ones, and what
 * runs where none of them does.  Sums are chains of a rounded product and a rounded addition (no
 * fused multiply-add, which is a slow library call without hardware). */
#include "backend/cpu/kernels.h"

#include "backend/cpu/k_epilogue_f32.h"

enum { MR = 4, NR = 8 };

void k_gemm_f32(const float *restrict a, const float *restrict b, int64_t k, const ftl_gemm_tile *t)
{
    float acc[MR][NR] = { { 0 } };
    if (t->accumulate)
        for (int64_t i = 0; i < t->m; i++)
            for (int64_t j = 0; j < t->n; j++) acc[i][j] = t->c[i * t->ldc + j];
    for (int64_t p = 0; p < k; p++) {
        K_UNROLL for (int i = 0; i < MR; i++)
        {
            const float ai = a[p * MR + i];
            K_UNROLL for (int j = 0; j < NR; j++) acc[i][j] += ai * b[p * NR + j];
        }
    }
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) t->c[i * t->ldc + j] = acc[i][j];
    k_epilogue_tile(&t->ending, t->c, t->ldc, t->m, t->n);
}

/* One row against one panel. */
static void row_panel(float *restrict c, const float *restrict x, const float *restrict b,
                      int64_t k, int64_t n, bool accumulate)
{
    float acc[NR] = { 0 };
    if (accumulate)
        for (int64_t j = 0; j < n; j++) acc[j] = c[j];
    for (int64_t p = 0; p < k; p++) {
        const float xp = x[p];
        K_UNROLL for (int j = 0; j < NR; j++) acc[j] += xp * b[p * NR + j];
    }
    for (int64_t j = 0; j < n; j++) c[j] = acc[j];
}

void k_gemv_f32(const float *restrict x, int64_t ldx, const float *restrict b, int64_t k,
                const ftl_gemm_tile *t)
{
    for (int64_t n = 0; n < t->n; n += NR) {
        const ftl_gemm_tile part = k_epilogue_columns(t, n, NR);
        for (int64_t i = 0; i < t->m; i++)
            row_panel(part.c + i * t->ldc, x + i * ldx, b + n * k, k, part.n, t->accumulate);
        k_epilogue_tile(&part.ending, part.c, part.ldc, part.m, part.n);
    }
}
