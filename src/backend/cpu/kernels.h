/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h - the contracts of the CPU kernels; kernels.def lists who fulfils them.
 * A kernel is a pure function on memory: no threads, no heap, no choice of ISA, no errors.
 * Its caller has checked every size and made every pointer.  All kernels are thread-safe.
 *
 * Every f32 product of this backend is one chain of additions in the order of k for each output,
 * whatever tile, block or thread computes it.  So the bits of a result depend neither on the
 * number of threads nor on the blocking nor on the batch, and all ISAs with a fused multiply-add
 * (AVX2, AVX-512, NEON) agree to the bit as long as the activation is a clamp. */
#ifndef FTL_BACKEND_CPU_KERNELS_H
#define FTL_BACKEND_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Activations that a product can end with; x is the sum with bias and residual. */
typedef enum ftl_epilogue_act {
    FTL_EPILOGUE_NONE,
    FTL_EPILOGUE_RELU,         /* max(x, 0)                                            */
    FTL_EPILOGUE_RELU6,        /* min(max(x, 0), 6)                                    */
    FTL_EPILOGUE_CLIP,         /* min(max(x, alpha), beta)                             */
    FTL_EPILOGUE_LEAKY_RELU,   /* x < 0 ? alpha * x : x                                */
    FTL_EPILOGUE_SILU,         /* x / (1 + exp(-x))                                    */
    FTL_EPILOGUE_GELU,         /* x / 2 * (1 + erf(x / sqrt 2))                        */
    FTL_EPILOGUE_GELU_TANH,    /* x / 2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))  */
    FTL_EPILOGUE_SIGMOID,      /* 1 / (1 + exp(-x))                                    */
    FTL_EPILOGUE_TANH,         /* tanh(x)                                              */
    FTL_EPILOGUE_HARD_SIGMOID, /* min(max(alpha * x + beta, 0), 1)                     */
    FTL_EPILOGUE_HARD_SWISH,   /* x * min(max(x / 6 + 1/2, 0), 1)                      */
    FTL_EPILOGUE_N
} ftl_epilogue_act;

/* What happens to a finished sum: y = act(sum + bias_m[row] + bias_n[column] + residual).
 * All zero is "nothing".  NaN stays NaN through every activation. */
typedef struct ftl_epilogue {
    const float *bias_m;   /* [M] or NULL                                                    */
    const float *bias_n;   /* [N] or NULL                                                    */
    const float *residual; /* [M, N] with row distance ld_residual, or NULL; must not overlap
                            * the output: to add onto it in place, use `accumulate`           */
    int64_t ld_residual;
    ftl_epilogue_act act;
    float alpha, beta; /* of CLIP (least, most), LEAKY_RELU (slope), HARD_SIGMOID          */
} ftl_epilogue;

/* The piece of C that one call of a micro-kernel makes. */
typedef struct ftl_gemm_tile {
    float *c;            /* [m, n] with row distance ldc                                      */
    int64_t ldc;         /*                                                                  */
    int64_t m, n;        /* 1 .. the kernel's tile_m, 1 .. its tile_n: an edge tile is smaller */
    bool accumulate;     /* the chain starts from what c holds instead of from 0              */
    ftl_epilogue ending; /* pointers already at this tile; all zero before the last k block   */
} ftl_gemm_tile;

/* c[i][j] = ending(sum over p < k of a[p * tile_m + i] * b[p * tile_n + j]).
 * a: [k][tile_m], b: [k][tile_n], packed, both complete (what lies past m or n does not matter,
 * but is readable).  k >= 0. */
typedef void k_fn_MATMUL(const float *a, const float *b, int64_t k, const ftl_gemm_tile *tile);

/* The same sums for 1 <= tile->m <= 4 rows of x that are not packed, x: [m, k] with row distance
 * ldx, and any number tile->n of columns: b is [ceil(n / tile_n)][k][tile_n], read once. */
typedef void k_fn_GEMV(const float *x, int64_t ldx, const float *b, int64_t k,
                       const ftl_gemm_tile *tile);

/* One panel row is `width` floats, put together from runs of FTL_SPAN neighbours:
 *
 *   dst row p:  [ span 0 | span 1 | ... ] and zeros from `filled` on
 *                  src[k_offset[p] + from[0] ..], src[k_offset[p] + from[1] ..]
 *
 * Span s is copied to dst[p * width + to[s]], to[] rises; each copy moves FTL_SPAN floats, and the
 * next one (or the zeros, or the next row) overwrites the excess.  So dst has FTL_SPAN floats of
 * slack behind it, and FTL_SPAN floats from every source offset are readable. */
enum { FTL_SPAN = 16, FTL_SPANS_MAX = 64 };
typedef struct ftl_pack_spans {
    int64_t width, filled;
    int64_t n;
    int64_t from[FTL_SPANS_MAX];
    int64_t to[FTL_SPANS_MAX];
} ftl_pack_spans;
typedef void k_fn_PACK_SPANS(float *dst, const float *src, const int64_t *k_offset, int64_t k,
                             const ftl_pack_spans *spans);

/* dst[p * width + i] = i < rows ? src[i * ld + p] : 0, for p < k, i < width: rows become the
 * columns of a panel. */
typedef void k_fn_PACK_TURN(float *dst, int64_t width, const float *src, int64_t ld, int64_t rows,
                            int64_t k);

/* Geometry of a 2-D convolution in NCHW.  Padding is zeros that take part in the sums (inf weights
 * times padding give NaN).  Bottom and right padding follow from oh and ow:
 * every tap reads row oy * stride_h - pad_top + ky * dilation_h, and what lies outside is 0. */
typedef struct ftl_conv2d_shape {
    int64_t ic, ih, iw; /* input channels of all groups, height, width */
    int64_t oc, oh, ow; /* output likewise                            */
    int64_t kh, kw;     /* weights: [oc, ic / groups, kh, kw]         */
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left;
    int64_t dilation_h, dilation_w;
    int64_t groups; /* divides ic and oc */
} ftl_conv2d_shape;

/* One image by the definition, seven loops.  x: [ic, ih, iw], y: [oc, oh, ow]; bias_m is per output
 * channel, residual has the shape of y (ld_residual = oh * ow). */
typedef void k_fn_CONV2D(float *y, const float *x, const float *w, const ftl_conv2d_shape *shape,
                         const ftl_epilogue *ending);

/* y[i] = sum over t < taps of w[t] * plane[offset[t] + i], for i < n: one channel of a depthwise
 * convolution, its padded plane laid flat.  n is a multiple of FTL_SPAN; y is written, all of
 * plane[offset[t] .. + n] is read. */
typedef void k_fn_CONV2D_DW(float *y, const float *plane, const int64_t *offset, const float *w,
                            int64_t taps, int64_t n);

/* The ending alone, on an [m, n] tile of C that holds the sums; any m and n. */
typedef void k_fn_ENDING(const ftl_epilogue *ending, float *c, int64_t ldc, int64_t m, int64_t n);

#define X(function, op, dtypes, isa, tile_m, tile_n, align) k_fn_##op function;
#include "backend/cpu/kernels.def"
#undef X

typedef enum ftl_kernel_op {
    FTL_KERNEL_MATMUL,
    FTL_KERNEL_GEMV,
    FTL_KERNEL_PACK_SPANS,
    FTL_KERNEL_PACK_TURN,
    FTL_KERNEL_CONV2D,
    FTL_KERNEL_CONV2D_DW,
    FTL_KERNEL_ENDING,
} ftl_kernel_op;

/* The list as a table, for the code that picks kernels, the tests and the benches. */
typedef struct ftl_kernel {
    const char *name;
    ftl_kernel_op op;
    const char *dtypes;
    uint32_t isa; /* FTL_ISA_* bits that the CPU must have */
    int tile_m, tile_n, align;
    void (*run)(void); /* to be cast to k_fn_<op>* */
} ftl_kernel;
extern const ftl_kernel ftl_kernels[];
extern const int ftl_n_kernels;

#ifdef __cplusplus
}
#endif
#endif
