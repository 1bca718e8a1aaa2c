/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h - what a node carries beside its inputs: plain data without holes (`zero` fills them),
 * zero where unused, so that two attributes are equal when their bytes are.  Which member holds
 * is the row's `attributes` column in ops.def. */
#ifndef FTL_CORE_ATTR_H
#define FTL_CORE_ATTR_H

#include <stdint.h>
#include "fettle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Activations; alpha and beta as in ONNX.  An epilogue of linear and conv, or a node. */
typedef enum ftl_act {
    FTL_ACT_NONE = 0,
    FTL_ACT_RELU,         /* max(x, 0), NaN stays NaN                       */
    FTL_ACT_CLIP,         /* min(max(x, alpha), beta)                       */
    FTL_ACT_LEAKY_RELU,   /* x < 0 ? alpha * x : x                          */
    FTL_ACT_ELU,          /* x < 0 ? alpha * (exp(x) - 1) : x               */
    FTL_ACT_SELU,         /* beta * (x < 0 ? alpha * (exp(x) - 1) : x)      */
    FTL_ACT_SIGMOID,      /* 1 / (1 + exp(-x))                              */
    FTL_ACT_TANH,         /* tanh(x)                                        */
    FTL_ACT_SILU,         /* x * sigmoid(x)                                 */
    FTL_ACT_GELU,         /* x * (1 + erf(x / sqrt 2)) / 2                  */
    FTL_ACT_GELU_TANH,    /* its tanh approximation                         */
    FTL_ACT_HARD_SIGMOID, /* min(max(alpha * x + beta, 0), 1)               */
    FTL_ACT_HARD_SWISH,   /* x * min(max(x / 6 + 0.5, 0), 1)                */
    FTL_ACT_SOFTPLUS,     /* log(1 + exp(x))                                */
    FTL_ACT_COUNT
} ftl_act;

typedef struct ftl_attr_act {
    int32_t kind; /* ftl_act */
    float alpha, beta;
} ftl_attr_act;

typedef struct ftl_attr_matmul {
    int32_t trans_a, trans_b; /* 1: the last two axes of that input are swapped first */
} ftl_attr_matmul;

/* 2-D windows over the last two axes of [B, C, H, W]. */
typedef struct ftl_attr_conv {
    int32_t stride[2], dilation[2]; /* H, W; at least 1            */
    int32_t pad[4];                 /* top, left, bottom, right    */
    int32_t groups;
    ftl_attr_act act; /* conv alone; conv2d keeps it zero */
} ftl_attr_conv;

typedef struct ftl_attr_pool {
    int32_t kernel[2], stride[2], dilation[2];
    int32_t pad[4];       /* top, left, bottom, right; windows that a ceil mode adds are given as
                            larger bottom and right pads by the importer                        */
    int32_t count_pad[4]; /* avg_pool2d: how much of each pad counts as elements                */
} ftl_attr_pool;

typedef struct ftl_attr_reduce {
    uint32_t axes; /* bit i: axis i is reduced */
    int32_t keep;  /* 1: reduced axes stay as 1 */
} ftl_attr_reduce;

typedef struct ftl_attr_axis {
    int32_t axis; /* 0 <= axis < rank of the first input (concat: of every input) */
    int32_t keep; /* arg_max: the axis stays as 1 */
} ftl_attr_axis;

typedef struct ftl_attr_perm {
    int32_t perm[FTL_MAX_RANK]; /* output axis i is input axis perm[i] */
} ftl_attr_perm;

/* reshape, broadcast, iota.  In an unbound graph a dim may be a named one (graph.h); in reshape one
 * dim may be FTL_DIM_INFER, and FTL_DIM_COPY takes the input's dim of the same position. */
typedef struct ftl_attr_shape {
    ftl_dtype dtype; /* iota: of the output */
    int32_t rank;
    int64_t dim[FTL_MAX_RANK];
    int32_t axis; /* iota: along which the numbers rise */
    int32_t zero;
} ftl_attr_shape;

typedef struct ftl_attr_slice {
    int64_t start[FTL_MAX_RANK], limit[FTL_MAX_RANK], step[FTL_MAX_RANK]; /* step >= 1 */
} ftl_attr_slice;

typedef struct ftl_attr_pad {
    int64_t low[FTL_MAX_RANK], high[FTL_MAX_RANK]; /* >= 0 */
    int64_t interior[FTL_MAX_RANK];                /* between neighbours, >= 0 */
    double value;
} ftl_attr_pad;

typedef struct ftl_attr_norm {
    double eps;
    int32_t axis; /* layer_norm, rms_norm: axes [axis, rank) are normalised; softmax: the axis */
    ftl_attr_act act; /* batch_norm alone: applied to the result */
} ftl_attr_norm;

typedef struct ftl_attr_lrn {
    int32_t size, zero;
    double alpha, beta, bias;
} ftl_attr_lrn;

typedef struct ftl_attr_convert {
    ftl_dtype dtype;
} ftl_attr_convert;

typedef struct ftl_attr_scatter {
    int32_t add; /* 1: rows are added, 0: rows replace */
} ftl_attr_scatter;

typedef struct ftl_attr_rope {
    double theta;        /* base of the frequencies, 10000                              */
    int32_t n_rot;       /* leading elements of each head that turn, even; 0: all       */
    int32_t interleaved; /* 1: pairs (2i, 2i+1); 0: pairs (i, i + n_rot / 2)            */
} ftl_attr_rope;

typedef struct ftl_attr_attention {
    double scale;       /* of q k^T; 0: 1 / sqrt(D)                                      */
    double soft_cap;    /* > 0: scores become soft_cap * tanh(score / soft_cap)          */
    int32_t is_causal;  /* 1: token at position p sees positions 0..p; 0: all of its sequence */
    int32_t window;     /* > 0: only the last `window` positions, itself included        */
    int32_t block_size; /* rows of the pool a block of the table covers                  */
    int32_t zero;
} ftl_attr_attention;

typedef struct ftl_attr_adam {
    double beta1, beta2, eps;
    double weight_decay; /* decoupled (AdamW); 0: Adam */
} ftl_attr_adam;

typedef union ftl_attr {
    int32_t none;
    ftl_attr_act act;
    ftl_attr_matmul matmul;
    ftl_attr_conv conv;
    ftl_attr_pool pool;
    ftl_attr_reduce reduce;
    ftl_attr_axis axis;
    ftl_attr_perm perm;
    ftl_attr_shape shape;
    ftl_attr_slice slice;
    ftl_attr_pad pad;
    ftl_attr_norm norm;
    ftl_attr_lrn lrn;
    ftl_attr_convert convert;
    ftl_attr_scatter scatter;
    ftl_attr_rope rope;
    ftl_attr_attention attention;
    ftl_attr_adam adam;
} ftl_attr;

#ifdef __cplusplus
}
#endif
#endif
