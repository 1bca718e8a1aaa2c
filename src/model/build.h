/* SPDX-License-Identifier: Apache-2.0 */
/* build.h - the layers in which architectures are written down (preset_*.c).
 * Idea: a builder reads like the paper's table; weights are named as the library that the preset
 * follows names them ("layer1.0.conv1.weight"), so that its files can be read by name, and each
 * layer says how it is filled when there is no file.
 * Bound graphs only.  As everywhere in the builder -1 in gives -1 out, and the failure stays in the
 * graph.  Tensors: x [B, C, H, W] for pictures, [.., K] for rows. */
#ifndef FTL_MODEL_BUILD_H
#define FTL_MODEL_BUILD_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_layer_name {
    char text[96]; /* cut where it is longer */
} ftl_layer_name;
ftl_layer_name ftl_layer_name_of(const char *format, ...) FTL_PRINTF(1, 2);

/* Weight "<layer>.<part>" of the given dims. */
int32_t ftl_build_weight(ftl_graph *graph, const char *layer, const char *part, ftl_init init,
                         int32_t rank, const int64_t *dim);
/* f32 [batch, channels, side, side], named "image". */
int32_t ftl_build_image(ftl_graph *graph, int64_t batch, int64_t channels, int64_t side);

/* n_out values from the last axis, with bias.  deviation: of the weights; 0: sqrt(2 / K), by which
 * relu keeps the size of what flows through (He et al. 2015, arXiv 1502.01852, equation 10). */
int32_t ftl_build_linear(ftl_graph *graph, int32_t x, const char *layer, int64_t n_out,
                         float deviation);
/* For the logits: deviation gain * sqrt(1 / K).  gain: 1, or less where the features are large, so
 * that softmax does not saturate and differences of numbers show in it. */
int32_t ftl_build_logits(ftl_graph *graph, int32_t x, const char *layer, int64_t n_out, float gain);

typedef struct ftl_build_conv {
    int64_t n_out;
    int32_t kernel, stride, pad; /* squares; stride 0 is 1 */
    int32_t groups;              /* 0 is 1                 */
    bool has_bias;
} ftl_build_conv;
int32_t ftl_build_conv2d(ftl_graph *graph, int32_t x, const char *layer,
                         const ftl_build_conv *conv);

/* Weights weight, bias, running_mean, running_var.  gain: the scale lies in gain * [0.8, 1.2). */
int32_t ftl_build_batch_norm(ftl_graph *graph, int32_t x, const char *layer, float gain);
int32_t ftl_build_layer_norm(ftl_graph *graph, int32_t x, const char *layer, double eps);

int32_t ftl_build_act(ftl_graph *graph, int32_t x, ftl_act kind);
int32_t ftl_build_relu(ftl_graph *graph, int32_t x);
int32_t ftl_build_relu6(ftl_graph *graph, int32_t x);
int32_t ftl_build_add(ftl_graph *graph, int32_t a, int32_t b);

int32_t ftl_build_max_pool(ftl_graph *graph, int32_t x, int32_t kernel, int32_t stride,
                           int32_t pad);
int32_t ftl_build_avg_pool(ftl_graph *graph, int32_t x, int32_t kernel, int32_t stride);
/* [B, C, H, W] -> [B, C], the mean. */
int32_t ftl_build_global_pool(ftl_graph *graph, int32_t x);
/* [B, ...] -> [B, K]. */
int32_t ftl_build_flatten(ftl_graph *graph, int32_t x);
/* Softmax over the last axis becomes the output "probabilities". */
void ftl_build_probabilities(ftl_graph *graph, int32_t logits);

/* The tables of the attention row for `batch` sequences of `tokens` tokens each: sequence r owns
 * the rows r * tokens ... of the pools, as one block. */
typedef struct ftl_build_sequences {
    int64_t batch, tokens;
    int32_t block_table;  /* i32 [batch, 1]      */
    int32_t seq_of_token; /* i32 [batch * tokens] */
    int32_t positions;    /* i32 [batch * tokens] */
    int32_t lengths;      /* i32 [batch]          */
} ftl_build_sequences;
void ftl_build_sequences_init(ftl_build_sequences *out, ftl_graph *graph, int64_t batch,
                              int64_t tokens);
/* q, k, v: [batch * tokens, n_heads * D], and so is the result.  Every token sees its whole
 * sequence. */
int32_t ftl_build_attention(ftl_graph *graph, const int32_t qkv[3], const ftl_build_sequences *s,
                            int64_t n_heads);

#ifdef __cplusplus
}
#endif
#endif
