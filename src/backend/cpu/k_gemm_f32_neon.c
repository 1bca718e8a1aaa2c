/* SPDX-License-Identifier: Apache-2.0 */
/* GEMM and matrix-vector micro-kernels for AArch64 Advanced SIMD.
 * Idea: 8 rows x 2 vectors of 4 columns are 16 accumulators, enough chains for 4 pipes' worth of
 * latency; a multiply-add takes one lane of a vector of a, so nothing is broadcast.  Edge tiles
 * compute 4 or 8 whole rows in registers, and only what C has is loaded and stored. */
#include "backend/cpu/kernels.h"

#include <arm_neon.h>

#include "backend/cpu/k_epilogue_f32.h"

enum { MR = 8, LANES = 4, NR = 2 * LANES };

/* Sums of up to MR rows x 2 vectors in registers. */
typedef struct sums {
    float32x4_t v[MR][2];
} sums;

/* Whole rows go straight between C and registers, edges through a small buffer. */
static inline __attribute__((always_inline)) void start(sums *s, const ftl_gemm_tile *t,
                                                        const int rows)
{
    K_UNROLL for (int i = 0; i < rows; i++) s->v[i][0] = s->v[i][1] = vdupq_n_f32(0.0f);
    if (!t->accumulate) return;
    float edge[MR][NR] = { { 0 } };
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) edge[i][j] = t->c[i * t->ldc + j];
    K_UNROLL for (int i = 0; i < rows; i++)
    {
        s->v[i][0] = vld1q_f32(edge[i]);
        s->v[i][1] = vld1q_f32(edge[i] + LANES);
    }
}

static inline __attribute__((always_inline)) void finish(const sums *s, const ftl_gemm_tile *t,
                                                         const int rows)
{
    if (t->m == rows && t->n == NR) {
        K_UNROLL for (int i = 0; i < rows; i++)
        {
            vst1q_f32(t->c + i * t->ldc, s->v[i][0]);
            vst1q_f32(t->c + i * t->ldc + LANES, s->v[i][1]);
        }
    } else {
        float edge[MR][NR];
        K_UNROLL for (int i = 0; i < rows; i++)
        {
            vst1q_f32(edge[i], s->v[i][0]);
            vst1q_f32(edge[i] + LANES, s->v[i][1]);
        }
        for (int64_t i = 0; i < t->m; i++)
            for (int64_t j = 0; j < t->n; j++) t->c[i * t->ldc + j] = edge[i][j];
    }
    k_epilogue_tile(&t->ending, t->c, t->ldc, t->m, t->n);
}

/* Rows r .. r + 3: lane l of a vector of a belongs to row r + l. */
static inline __attribute__((always_inline)) void add_four(sums *s, const int r, float32x4_t a,
                                                           float32x4_t b0, float32x4_t b1)
{
    s->v[r + 0][0] = vfmaq_laneq_f32(s->v[r + 0][0], b0, a, 0);
    s->v[r + 0][1] = vfmaq_laneq_f32(s->v[r + 0][1], b1, a, 0);
    s->v[r + 1][0] = vfmaq_laneq_f32(s->v[r + 1][0], b0, a, 1);
    s->v[r + 1][1] = vfmaq_laneq_f32(s->v[r + 1][1], b1, a, 1);
    s->v[r + 2][0] = vfmaq_laneq_f32(s->v[r + 2][0], b0, a, 2);
    s->v[r + 2][1] = vfmaq_laneq_f32(s->v[r + 2][1], b1, a, 2);
    s->v[r + 3][0] = vfmaq_laneq_f32(s->v[r + 3][0], b0, a, 3);
    s->v[r + 3][1] = vfmaq_laneq_f32(s->v[r + 3][1], b1, a, 3);
}

static inline __attribute__((always_inline)) void tile(const int rows, const float *restrict a,
                                                       const float *restrict b, int64_t k,
                                                       const ftl_gemm_tile *t)
{
    sums s;
    start(&s, t, rows);
    for (int64_t p = 0; p < k; p++, a += MR, b += NR) {
        const float32x4_t b0 = vld1q_f32(b), b1 = vld1q_f32(b + LANES);
        K_UNROLL for (int r = 0; r < rows; r += 4) add_four(&s, r, vld1q_f32(a + r), b0, b1);
    }
    finish(&s, t, rows);
}

void k_gemm_f32_neon(const float *a, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    if (t->m > 4) tile(8, a, b, k, t);
    else tile(4, a, b, k, t);
}

/* `panels` panels side by side, so that few rows still make enough chains. */
static inline __attribute__((always_inline)) void stream(const int rows, const int panels,
                                                         const float *restrict x, int64_t ldx,
                                                         const float *restrict b, int64_t k,
                                                         const ftl_gemm_tile *t)
{
    sums s[4];
    ftl_gemm_tile part[4];
    K_UNROLL for (int q = 0; q < panels; q++)
    {
        part[q] = k_epilogue_columns(t, q * NR, NR);
        start(&s[q], &part[q], rows);
    }
    for (int64_t p = 0; p < k; p++) {
        K_UNROLL for (int q = 0; q < panels; q++)
        {
            const float *bq = b + (q * k + p) * NR;
            const float32x4_t b0 = vld1q_f32(bq), b1 = vld1q_f32(bq + LANES);
            K_UNROLL for (int i = 0; i < rows; i++)
            {
                s[q].v[i][0] = vfmaq_n_f32(s[q].v[i][0], b0, x[i * ldx + p]);
                s[q].v[i][1] = vfmaq_n_f32(s[q].v[i][1], b1, x[i * ldx + p]);
            }
        }
    }
    K_UNROLL for (int q = 0; q < panels; q++) finish(&s[q], &part[q], rows);
}

/* All columns for a constant number of rows; the last panels go one by one. */
static inline __attribute__((always_inline)) void columns(const int rows, const int panels,
                                                          const float *x, int64_t ldx,
                                                          const float *b, int64_t k,
                                                          const ftl_gemm_tile *t)
{
    int64_t n = 0;
    for (; n + (panels - 1) * NR < t->n; n += panels * NR) {
        const ftl_gemm_tile part = k_epilogue_columns(t, n, panels * NR);
        stream(rows, panels, x, ldx, b + n * k, k, &part);
    }
    for (; n < t->n; n += NR) {
        const ftl_gemm_tile part = k_epilogue_columns(t, n, NR);
        stream(rows, 1, x, ldx, b + n * k, k, &part);
    }
}

/* Functions of their own, so that each has all registers to itself. */
static __attribute__((noinline)) void one_row(const float *x, int64_t ldx, const float *b,
                                              int64_t k, const ftl_gemm_tile *t)
{
    columns(1, 4, x, ldx, b, k, t);
}

static __attribute__((noinline)) void two_rows(const float *x, int64_t ldx, const float *b,
                                               int64_t k, const ftl_gemm_tile *t)
{
    columns(2, 4, x, ldx, b, k, t);
}

static __attribute__((noinline)) void three_rows(const float *x, int64_t ldx, const float *b,
                                                 int64_t k, const ftl_gemm_tile *t)
{
    columns(3, 2, x, ldx, b, k, t);
}

static __attribute__((noinline)) void four_rows(const float *x, int64_t ldx, const float *b,
                                                int64_t k, const ftl_gemm_tile *t)
{
    columns(4, 2, x, ldx, b, k, t);
}

void k_gemv_f32_neon(const float *x, int64_t ldx, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    switch (t->m) {
    case 1: one_row(x, ldx, b, k, t); break;
    case 2: two_rows(x, ldx, b, k, t); break;
    case 3: three_rows(x, ldx, b, k, t); break;
    default: four_rows(x, ldx, b, k, t); break;
    }
}
