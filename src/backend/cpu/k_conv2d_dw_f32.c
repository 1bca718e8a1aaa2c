/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution in portable C, FTL_SPAN outputs at a time. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/k_epilogue_f32.h"

void k_conv2d_dw_f32(float *restrict y, const float *restrict plane, const int64_t *offset,
                     const float *w, int64_t taps, int64_t n)
{
    for (int64_t i = 0; i < n; i += FTL_SPAN) {
        float acc[FTL_SPAN] = { 0 };
        for (int64_t t = 0; t < taps; t++)
            K_UNROLL for (int j = 0; j < FTL_SPAN; j++) acc[j] += w[t] * plane[offset[t] + i + j];
        K_UNROLL for (int j = 0; j < FTL_SPAN; j++) y[i + j] = acc[j];
    }
}
