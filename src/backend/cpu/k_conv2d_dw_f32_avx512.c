/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution for AVX-512F: 8 vectors of outputs at a time, one load and one
 * multiply-add per tap and vector. */
#include "backend/cpu/kernels.h"

#include <immintrin.h>

#include "backend/cpu/k_epilogue_f32.h"

enum { LANES = 16 };

static inline __attribute__((always_inline)) void run(const int vectors, float *restrict y,
                                                      const float *restrict plane,
                                                      const int64_t *offset, const float *w,
                                                      int64_t taps)
{
    __m512 acc[8];
    K_UNROLL for (int j = 0; j < vectors; j++) acc[j] = _mm512_setzero_ps();
    for (int64_t t = 0; t < taps; t++) {
        const __m512 wv = _mm512_set1_ps(w[t]);
        const float *from = plane + offset[t];
        K_UNROLL for (int j = 0; j < vectors; j++) acc[j] =
            _mm512_fmadd_ps(wv, _mm512_loadu_ps(from + j * LANES), acc[j]);
    }
    K_UNROLL for (int j = 0; j < vectors; j++) _mm512_storeu_ps(y + j * LANES, acc[j]);
}

void k_conv2d_dw_f32_avx512(float *y, const float *plane, const int64_t *offset, const float *w,
                            int64_t taps, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 * LANES <= n; i += 8 * LANES) run(8, y + i, plane + i, offset, w, taps);
    for (; i + 4 * LANES <= n; i += 4 * LANES) run(4, y + i, plane + i, offset, w, taps);
    for (; i < n; i += LANES) run(1, y + i, plane + i, offset, w, taps);
}
