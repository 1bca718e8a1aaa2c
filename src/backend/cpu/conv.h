/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h - 2-D convolution in f32, NCHW, over the GEMM of gemm.h.
 * Idea: for one image and group, C [oc, oh * ow] = W [oc, ic * kh * kw] X, where column p of X
 * holds what the weights see at output pixel p.  X is never in memory: the channels and rows that
 * one block of it needs are copied into a small padded window, split by the phase of the stride,
 *
 *   window [channel][phase y][phase x][row][column]: x[row * stride + phase - pad], 0 outside
 *
 * in which every tap of every output row is a run of neighbours; panels are put together from
 * these runs.  1x1 convolutions of stride 1 without padding take their panels straight from x.
 * Depthwise convolutions (one input channel a group) use a window of one channel, laid flat, and a
 * kernel of their own.
 * Sums run over (channel, ky, kx) in this order.  Immutable while it runs; nothing allocates. */
#ifndef FTL_BACKEND_CPU_CONV_H
#define FTL_BACKEND_CPU_CONV_H

#include "backend/cpu/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_conv2d_job {
    ftl_gemm_kernel kernel;
    ftl_conv2d_shape shape;
    const float *x;       /* [batch, ic, ih, iw]                                            */
    const float *weights; /* ftl_conv2d_f32_pack()                                          */
    float *y;             /* [batch, oc, oh, ow]                                            */
    ftl_epilogue ending;  /* bias_m: [oc] or NULL; residual: [batch, oc, oh, ow] or NULL, not
                           * overlapping y, with ld_residual = oh * ow; bias_n: NULL          */
    ftl_gemm_blocks blocks;
} ftl_conv2d_job;

/* True when the convolution takes the depthwise path: one input channel a group. */
bool ftl_conv2d_is_depthwise(const ftl_conv2d_shape *shape);

/* Weights [oc, ic / groups, kh, kw] -> panels of each group, one group behind the other; plain copy
 * on the depthwise path.  Once per model. */
int64_t ftl_conv2d_f32_packed_floats(const ftl_gemm_kernel *kernel, const ftl_conv2d_shape *shape);
void ftl_conv2d_f32_pack(const ftl_gemm_kernel *kernel, const ftl_conv2d_shape *shape, float *dst,
                         const float *weights);

ftl_gemm_blocks ftl_conv2d_blocks_pick(const ftl_conv2d_job *job, const ftl_gemm_caches *caches);

/* Floats that one call of a range function needs as scratch; each thread has its own. */
int64_t ftl_conv2d_f32_scratch_floats(const ftl_conv2d_job *job);

/* Output channels [m0, m1) of one group (counted inside the group; multiples of tile_m, or the
 * end) x pixels [n0, n1) (multiples of tile_n, or the end) of one image.  Not for depthwise. */
void ftl_conv2d_f32_range(const ftl_conv2d_job *job, int64_t image, int64_t group, int64_t m0,
                          int64_t m1, int64_t n0, int64_t n1, float *scratch);

/* Depthwise: output channels [c0, c1) x output rows [y0, y1) of one image, any cut. */
void ftl_conv2d_f32_depthwise_range(const ftl_conv2d_job *job, int64_t image, int64_t c0,
                                    int64_t c1, int64_t y0, int64_t y1, float *scratch);

#ifdef __cplusplus
}
#endif
#endif
