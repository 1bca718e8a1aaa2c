/* SPDX-License-Identifier: Apache-2.0 */
#include "model/build.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/emit.h"

static const ftl_init small_bias = { .kind = FTL_INIT_NORMAL, .scale = 0.05f };
/* Around 1: scales and variances of norms. */
static const ftl_init near_one = { .kind = FTL_INIT_UNIFORM, .scale = 0.4f, .offset = 0.8f };

ftl_layer_name ftl_layer_name_of(const char *format, ...)
{
    ftl_layer_name name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

static ftl_init normal(double deviation)
{
    return (ftl_init){ .kind = FTL_INIT_NORMAL, .scale = (float)deviation };
}

int32_t ftl_build_weight(ftl_graph *graph, const char *layer, const char *part, ftl_init init,
                         int32_t rank, const int64_t *dim)
{
    ftl_tensor_desc desc = { .dtype = FTL_DTYPE_F32, .rank = rank };
    for (int32_t i = 0; i < rank; i++) desc.dim[i] = dim[i];
    const ftl_layer_name name = ftl_layer_name_of("%s.%s", layer, part);
    ftl_graph_set_scope(graph, layer);
    return ftl_graph_weight(graph, name.text, &desc, NULL, init);
}

static int32_t vector(ftl_graph *graph, const char *layer, const char *part, ftl_init init,
                      int64_t n)
{
    return ftl_build_weight(graph, layer, part, init, 1, &n);
}

int32_t ftl_build_image(ftl_graph *graph, int64_t batch, int64_t channels, int64_t side)
{
    const ftl_tensor_desc desc = { FTL_DTYPE_F32, 4, { batch, channels, side, side } };
    return ftl_graph_input(graph, "image", &desc);
}

/* ---- layers with weights ------------------------------------------------------------------- */

int32_t ftl_build_linear(ftl_graph *graph, int32_t x, const char *layer, int64_t n_out,
                         float deviation)
{
    if (x < 0) return -1;
    const ftl_tensor_desc in = ftl_emit_desc(graph, x);
    const int64_t k = in.dim[in.rank - 1];
    const ftl_init init = normal(deviation > 0 ? deviation : sqrt(2.0 / (double)k));
    const int32_t w =
        ftl_build_weight(graph, layer, "weight", init, 2, (const int64_t[]){ n_out, k });
    return FTL_ADD(graph, linear, NULL, x, w, vector(graph, layer, "bias", small_bias, n_out));
}

int32_t ftl_build_logits(ftl_graph *graph, int32_t x, const char *layer, int64_t n_out, float gain)
{
    if (x < 0) return -1;
    const ftl_tensor_desc in = ftl_emit_desc(graph, x);
    const double k = (double)in.dim[in.rank - 1];
    return ftl_build_linear(graph, x, layer, n_out, gain * (float)sqrt(1.0 / k));
}

int32_t ftl_build_conv2d(ftl_graph *graph, int32_t x, const char *layer, const ftl_build_conv *conv)
{
    if (x < 0) return -1;
    const ftl_tensor_desc in = ftl_emit_desc(graph, x);
    const int32_t stride = conv->stride ? conv->stride : 1,
                  groups = conv->groups ? conv->groups : 1;
    ftl_attr a = ftl_attr_blank();
    a.conv = (ftl_attr_conv){ .stride = { stride, stride },
                              .dilation = { 1, 1 },
                              .pad = { conv->pad, conv->pad, conv->pad, conv->pad },
                              .groups = groups };
    const int64_t dim[4] = { conv->n_out, in.dim[1] / groups, conv->kernel, conv->kernel };
    const ftl_init he = normal(sqrt(2.0 / (double)(dim[1] * dim[2] * dim[3])));
    const int32_t w = ftl_build_weight(graph, layer, "weight", he, 4, dim);
    if (!conv->has_bias) return FTL_ADD(graph, conv, &a, x, w);
    return FTL_ADD(graph, conv, &a, x, w, vector(graph, layer, "bias", small_bias, conv->n_out));
}

int32_t ftl_build_batch_norm(ftl_graph *graph, int32_t x, const char *layer, float gain)
{
    if (x < 0) return -1;
    const int64_t c = ftl_emit_desc(graph, x).dim[1];
    const ftl_init scaled = { FTL_INIT_UNIFORM, gain * near_one.scale, gain * near_one.offset };
    const int32_t scale = vector(graph, layer, "weight", scaled, c);
    const int32_t bias = vector(graph, layer, "bias", small_bias, c);
    const int32_t mean = vector(graph, layer, "running_mean", small_bias, c);
    const int32_t variance = vector(graph, layer, "running_var", near_one, c);
    ftl_attr a = ftl_attr_blank();
    a.norm.eps = 1e-5; /* torch.nn.BatchNorm2d */
    return FTL_ADD(graph, batch_norm, &a, x, scale, bias, mean, variance);
}

int32_t ftl_build_layer_norm(ftl_graph *graph, int32_t x, const char *layer, double eps)
{
    if (x < 0) return -1;
    const ftl_tensor_desc in = ftl_emit_desc(graph, x);
    const int32_t scale = vector(graph, layer, "weight", near_one, in.dim[in.rank - 1]);
    const int32_t bias = vector(graph, layer, "bias", small_bias, in.dim[in.rank - 1]);
    ftl_attr a = ftl_attr_blank();
    a.norm.eps = eps;
    a.norm.axis = in.rank - 1;
    return FTL_ADD(graph, layer_norm, &a, x, scale, bias);
}

/* ---- layers without ------------------------------------------------------------------------ */

int32_t ftl_build_act(ftl_graph *graph, int32_t x, ftl_act kind)
{
    ftl_attr a = ftl_attr_blank();
    a.act.kind = kind;
    return FTL_ADD(graph, activation, &a, x);
}

int32_t ftl_build_relu(ftl_graph *graph, int32_t x)
{
    return ftl_build_act(graph, x, FTL_ACT_RELU);
}

int32_t ftl_build_relu6(ftl_graph *graph, int32_t x)
{
    ftl_attr a = ftl_attr_blank();
    a.act = (ftl_attr_act){ .kind = FTL_ACT_CLIP, .alpha = 0, .beta = 6 };
    return FTL_ADD(graph, activation, &a, x);
}

int32_t ftl_build_add(ftl_graph *graph, int32_t a, int32_t b)
{
    return FTL_ADD(graph, add, NULL, a, b);
}

int32_t ftl_build_max_pool(ftl_graph *graph, int32_t x, int32_t kernel, int32_t stride, int32_t pad)
{
    ftl_attr a = ftl_attr_blank();
    a.pool = (ftl_attr_pool){ .kernel = { kernel, kernel },
                              .stride = { stride, stride },
                              .dilation = { 1, 1 },
                              .pad = { pad, pad, pad, pad } };
    return FTL_ADD(graph, max_pool2d, &a, x);
}

int32_t ftl_build_avg_pool(ftl_graph *graph, int32_t x, int32_t kernel, int32_t stride)
{
    ftl_attr a = ftl_attr_blank();
    a.pool = (ftl_attr_pool){ .kernel = { kernel, kernel },
                              .stride = { stride, stride },
                              .dilation = { 1, 1 } };
    return FTL_ADD(graph, avg_pool2d, &a, x);
}

int32_t ftl_build_global_pool(ftl_graph *graph, int32_t x)
{
    return ftl_emit_reduce(graph, FTL_OP_reduce_mean, x, ftl_axis_mask(2, 4), 0);
}

int32_t ftl_build_flatten(ftl_graph *graph, int32_t x)
{
    const int64_t dim[2] = { ftl_emit_desc(graph, x).dim[0], FTL_DIM_INFER };
    return x < 0 ? -1 : ftl_emit_reshape(graph, x, 2, dim);
}

void ftl_build_probabilities(ftl_graph *graph, int32_t logits)
{
    const int32_t axis = ftl_emit_desc(graph, logits).rank - 1;
    ftl_graph_set_scope(graph, "probabilities");
    ftl_graph_output(graph, "probabilities", ftl_emit_softmax(graph, FTL_OP_softmax, logits, axis));
}

/* ---- attention ----------------------------------------------------------------------------- */

/* i32 [batch, n], rising along `axis`. */
static int32_t numbers(ftl_graph *graph, int64_t batch, int64_t n, int32_t axis)
{
    ftl_attr a = ftl_attr_blank();
    a.shape.dtype = FTL_DTYPE_I32;
    a.shape.rank = 2;
    a.shape.dim[0] = batch;
    a.shape.dim[1] = n;
    a.shape.axis = axis;
    return ftl_graph_add(graph, FTL_OP_iota, &a, NULL, 0);
}

void ftl_build_sequences_init(ftl_build_sequences *out, ftl_graph *graph, int64_t batch,
                              int64_t tokens)
{
    const int64_t flat[1] = { FTL_DIM_INFER };
    ftl_graph_set_scope(graph, "sequences");
    *out = (ftl_build_sequences){ .batch = batch, .tokens = tokens };
    out->block_table = numbers(graph, batch, 1, 0);
    out->seq_of_token = ftl_emit_reshape(graph, numbers(graph, batch, tokens, 0), 1, flat);
    out->positions = ftl_emit_reshape(graph, numbers(graph, batch, tokens, 1), 1, flat);
    const int32_t length = ftl_graph_const_scalar(graph, FTL_DTYPE_I32, (double)tokens);
    out->lengths = ftl_emit_broadcast(graph, length, 1, &batch);
}

int32_t ftl_build_attention(ftl_graph *graph, const int32_t qkv[3], const ftl_build_sequences *s,
                            int64_t n_heads)
{
    if (qkv[0] < 0) return -1;
    const ftl_tensor_desc in = ftl_emit_desc(graph, qkv[0]);
    const int64_t heads[3] = { in.dim[0], n_heads, in.dim[1] / n_heads };
    int32_t h[3];
    for (int i = 0; i < 3; i++) h[i] = ftl_emit_reshape(graph, qkv[i], 3, heads);
    ftl_attr a = ftl_attr_blank();
    a.attention.block_size = (int32_t)s->tokens;
    const int32_t y = FTL_ADD(graph, attention, &a, h[0], h[1], h[2], s->block_table,
                              s->seq_of_token, s->positions, s->lengths);
    return ftl_emit_reshape(graph, y, 2, in.dim);
}
