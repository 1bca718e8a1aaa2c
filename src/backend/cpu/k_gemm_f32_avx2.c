/* SPDX-License-Identifier: Apache-2.0 */
/* GEMM and matrix-vector micro-kernels for AVX2 with FMA.
 * Idea: 6 rows x 2 vectors of 8 columns are 12 accumulators; with two vectors of b and two
 * broadcasts of a they fill the 16 registers, and 12 independent chains cover a latency of 4 or 5
 * cycles at 2 multiply-adds a cycle.  Edge tiles are the same code with fewer rows, and masks. */
#include "backend/cpu/kernels.h"

#include <immintrin.h>

#include "backend/cpu/k_epilogue_f32.h"

enum { MR = 6, LANES = 8, NR = 2 * LANES };

/* Sums of `rows` rows x `vectors` vectors in registers. */
typedef struct sums {
    __m256 v[MR][2];
} sums;

/* All ones in the first n of 8 lanes. */
static inline __m256i mask_of(int64_t n)
{
    const int lanes = n >= LANES ? LANES : n <= 0 ? 0 : (int)n;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __attribute__((always_inline)) void start(sums *s, const ftl_gemm_tile *t,
                                                        const int rows, const int vectors,
                                                        const __m256i *mask)
{
    if (t->accumulate) {
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] = _mm256_maskload_ps(t->c + i * t->ldc + j * LANES, mask[j]);
    } else {
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] = _mm256_setzero_ps();
    }
}

/* Bias, residual and clamp in registers, then the store. */
static inline __attribute__((always_inline)) void finish(sums *s, const ftl_gemm_tile *t,
                                                         const int rows, const int vectors,
                                                         const __m256i *mask)
{
    const ftl_epilogue *e = &t->ending;
    if (e->bias_m) {
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] = _mm256_add_ps(s->v[i][j], _mm256_set1_ps(e->bias_m[i]));
    }
    if (e->bias_n) {
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] =
            _mm256_add_ps(s->v[i][j], _mm256_maskload_ps(e->bias_n + j * LANES, mask[j]));
    }
    if (e->residual) {
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] = _mm256_add_ps(
            s->v[i][j], _mm256_maskload_ps(e->residual + i * e->ld_residual + j * LANES, mask[j]));
    }
    float least, most;
    if (k_epilogue_clamp(e, &least, &most)) {
        const __m256 lo = _mm256_set1_ps(least), hi = _mm256_set1_ps(most);
        /* max and min give their second operand when one is NaN. */
        K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
            s->v[i][j] = _mm256_min_ps(hi, _mm256_max_ps(lo, s->v[i][j]));
    }
    K_UNROLL for (int i = 0; i < rows; i++) K_UNROLL for (int j = 0; j < vectors; j++)
        _mm256_maskstore_ps(t->c + i * t->ldc + j * LANES, mask[j], s->v[i][j]);
}

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors,
                                                       const float *restrict a,
                                                       const float *restrict b, int64_t k,
                                                       const ftl_gemm_tile *t)
{
    const __m256i mask[2] = { mask_of(t->n), mask_of(t->n - LANES) };
    sums s;
    start(&s, t, rows, vectors, mask);
    for (int64_t p = 0; p < k; p++) {
        __m256 bv[2];
        K_UNROLL for (int j = 0; j < vectors; j++) bv[j] = _mm256_loadu_ps(b + j * LANES);
        K_UNROLL for (int i = 0; i < rows; i++)
        {
            const __m256 av = _mm256_set1_ps(a[i]);
            K_UNROLL for (int j = 0; j < vectors; j++) s.v[i][j] =
                _mm256_fmadd_ps(av, bv[j], s.v[i][j]);
        }
        a += MR;
        b += NR;
    }
    finish(&s, t, rows, vectors, mask);
}

/* The number of rows is a constant in each case, so that all sums stay in registers. */
static void narrow(const float *a, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    switch (t->m) {
    case 1: tile(1, 1, a, b, k, t); break;
    case 2: tile(2, 1, a, b, k, t); break;
    case 3: tile(3, 1, a, b, k, t); break;
    case 4: tile(4, 1, a, b, k, t); break;
    case 5: tile(5, 1, a, b, k, t); break;
    default: tile(MR, 1, a, b, k, t); break;
    }
}

static void wide(const float *a, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    switch (t->m) {
    case 1: tile(1, 2, a, b, k, t); break;
    case 2: tile(2, 2, a, b, k, t); break;
    case 3: tile(3, 2, a, b, k, t); break;
    case 4: tile(4, 2, a, b, k, t); break;
    case 5: tile(5, 2, a, b, k, t); break;
    default: tile(MR, 2, a, b, k, t); break;
    }
}

void k_gemm_f32_avx2(const float *a, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    if (t->n > LANES) wide(a, b, k, t);
    else narrow(a, b, k, t);
    k_epilogue_curve(&t->ending, t->c, t->ldc, t->m, t->n);
}

/* `panels` panels side by side, so that few rows still make enough chains.  Asking 4 KiB ahead pays
 * for several rows (Zen 5: up to 15 % from L3, 30 % from memory) and costs 8 % for one. */
enum { AHEAD = 1024 };
static inline __attribute__((always_inline)) void stream(const int rows, const int panels,
                                                         const float *restrict x, int64_t ldx,
                                                         const float *restrict b, int64_t k,
                                                         const ftl_gemm_tile *t)
{
    sums s[4];
    __m256i mask[4][2];
    ftl_gemm_tile part[4];
    K_UNROLL for (int q = 0; q < panels; q++)
    {
        part[q] = k_epilogue_columns(t, q * NR, NR);
        mask[q][0] = mask_of(part[q].n);
        mask[q][1] = mask_of(part[q].n - LANES);
        start(&s[q], &part[q], rows, 2, mask[q]);
    }
    for (int64_t p = 0; p < k; p++) {
        K_UNROLL for (int q = 0; q < panels; q++)
        {
            const float *bq = b + (q * k + p) * NR;
            if (rows > 1) _mm_prefetch((const char *)(bq + AHEAD), _MM_HINT_T0);
            const __m256 b0 = _mm256_loadu_ps(bq), b1 = _mm256_loadu_ps(bq + LANES);
            K_UNROLL for (int i = 0; i < rows; i++)
            {
                const __m256 xv = _mm256_set1_ps(x[i * ldx + p]);
                s[q].v[i][0] = _mm256_fmadd_ps(xv, b0, s[q].v[i][0]);
                s[q].v[i][1] = _mm256_fmadd_ps(xv, b1, s[q].v[i][1]);
            }
        }
    }
    K_UNROLL for (int q = 0; q < panels; q++) finish(&s[q], &part[q], rows, 2, mask[q]);
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
    columns(2, 2, x, ldx, b, k, t);
}

static __attribute__((noinline)) void three_rows(const float *x, int64_t ldx, const float *b,
                                                 int64_t k, const ftl_gemm_tile *t)
{
    columns(3, 1, x, ldx, b, k, t);
}

static __attribute__((noinline)) void four_rows(const float *x, int64_t ldx, const float *b,
                                                int64_t k, const ftl_gemm_tile *t)
{
    columns(4, 1, x, ldx, b, k, t);
}

void k_gemv_f32_avx2(const float *x, int64_t ldx, const float *b, int64_t k, const ftl_gemm_tile *t)
{
    switch (t->m) {
    case 1: one_row(x, ldx, b, k, t); break;
    case 2: two_rows(x, ldx, b, k, t); break;
    case 3: three_rows(x, ldx, b, k, t); break;
    default: four_rows(x, ldx, b, k, t); break;
    }
    k_epilogue_curve(&t->ending, t->c, t->ldc, t->m, t->n);
}
