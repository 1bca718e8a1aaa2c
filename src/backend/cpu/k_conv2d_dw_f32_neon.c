/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution for AArch64 Advanced SIMD: 8 vectors of outputs at a time, one load and one
 * multiply-add per tap and vector. */
#include "backend/cpu/kernels.h"

#include <arm_neon.h>

#include "backend/cpu/k_epilogue_f32.h"

enum { LANES = 4 };

static inline __attribute__((always_inline)) void run(const int vectors, float *restrict y,
                                                      const float *restrict plane,
                                                      const int64_t *offset, const float *w,
                                                      int64_t taps)
{
    float32x4_t acc[8];
    K_UNROLL for (int j = 0; j < vectors; j++) acc[j] = vdupq_n_f32(0.0f);
    for (int64_t t = 0; t < taps; t++) {
        const float32x4_t wv = vdupq_n_f32(w[t]);
        const float *from = plane + offset[t];
        K_UNROLL for (int j = 0; j < vectors; j++) acc[j] =
            vfmaq_f32(acc[j], wv, vld1q_f32(from + j * LANES));
    }
    K_UNROLL for (int j = 0; j < vectors; j++) vst1q_f32(y + j * LANES, acc[j]);
}

void k_conv2d_dw_f32_neon(float *y, const float *plane, const int64_t *offset, const float *w,
                          int64_t taps, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 * LANES <= n; i += 8 * LANES) run(8, y + i, plane + i, offset, w, taps);
    for (; i + 4 * LANES <= n; i += 4 * LANES) run(4, y + i, plane + i, offset, w, taps);
    for (; i < n; i += LANES) run(1, y + i, plane + i, offset, w, taps);
}
