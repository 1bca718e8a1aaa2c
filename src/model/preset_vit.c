/* SPDX-License-Identifier: Apache-2.0 */
/* Vision Transformer B/16: Dosovitskiy et al. 2020, arXiv 2010.11929, table 1.  Weights have
 * torchvision's names (vit_b_16). */
#include "model/build.h"
#include "model/preset.h"

#include "core/emit.h"

enum { WIDTH = 768, HEADS = 12, INNER = 3072, LAYERS = 12, PATCH = 16, SIDE = 224 };
enum { PATCHES = (SIDE / PATCH) * (SIDE / PATCH), TOKENS = PATCHES + 1 };
static const double norm_eps = 1e-6;
static const float deviation = 0.02f;
static const ftl_init normal = { .kind = FTL_INIT_NORMAL, .scale = 0.02f };

/* Class token, then the patches row by row -> [batch * TOKENS, WIDTH]. */
static int32_t embed(ftl_graph *g, int64_t batch)
{
    const ftl_build_conv patch = { WIDTH, .kernel = PATCH, .stride = PATCH, .has_bias = true };
    int32_t x = ftl_build_image(g, batch, 3, SIDE);
    x = ftl_build_conv2d(g, x, "conv_proj", &patch);
    x = ftl_emit_reshape(g, x, 3, (const int64_t[]){ batch, WIDTH, PATCHES });
    x = ftl_emit_transpose(g, x, (const int32_t[]){ 0, 2, 1 });
    const ftl_tensor_desc token_desc = { FTL_DTYPE_F32, 3, { 1, 1, WIDTH } };
    const int32_t token = ftl_graph_weight(g, "class_token", &token_desc, NULL, normal);
    const int32_t tokens = ftl_emit_broadcast(g, token, 3, (const int64_t[]){ batch, 1, WIDTH });
    x = ftl_emit_concat(g, (const int32_t[]){ tokens, x }, 2, 1);
    const int32_t position = ftl_build_weight(g, "encoder", "pos_embedding", normal, 3,
                                              (const int64_t[]){ 1, TOKENS, WIDTH });
    x = ftl_build_add(g, x, position);
    return ftl_emit_reshape(g, x, 2, (const int64_t[]){ batch * TOKENS, WIDTH });
}

/* One product for q, k and v, as in torch.nn.MultiheadAttention. */
static int32_t self_attention(ftl_graph *g, int32_t x, const char *layer,
                              const ftl_build_sequences *sequences)
{
    const ftl_layer_name name = ftl_layer_name_of("%s.self_attention", layer);
    const ftl_init small_bias = { .kind = FTL_INIT_NORMAL, .scale = 0.05f };
    const int32_t w = ftl_build_weight(g, name.text, "in_proj_weight", normal, 2,
                                       (const int64_t[]){ 3 * WIDTH, WIDTH });
    const int32_t bias = ftl_build_weight(g, name.text, "in_proj_bias", small_bias, 1,
                                          (const int64_t[]){ 3 * WIDTH });
    const int32_t all = FTL_ADD(g, linear, NULL, x, w, bias);
    int32_t qkv[3];
    for (int32_t i = 0; i < 3; i++)
        qkv[i] = ftl_emit_slice(g, all, 1, i * WIDTH, (i + 1) * WIDTH, 1);
    const int32_t y = ftl_build_attention(g, qkv, sequences, HEADS);
    return ftl_build_linear(g, y, ftl_layer_name_of("%s.out_proj", name.text).text, WIDTH,
                            deviation);
}

static int32_t encoder_layer(ftl_graph *g, int32_t x, const char *layer,
                             const ftl_build_sequences *sequences)
{
    int32_t y = ftl_build_layer_norm(g, x, ftl_layer_name_of("%s.ln_1", layer).text, norm_eps);
    x = ftl_build_add(g, self_attention(g, y, layer, sequences), x);
    y = ftl_build_layer_norm(g, x, ftl_layer_name_of("%s.ln_2", layer).text, norm_eps);
    y = ftl_build_linear(g, y, ftl_layer_name_of("%s.mlp.0", layer).text, INNER, deviation);
    y = ftl_build_act(g, y, FTL_ACT_GELU);
    y = ftl_build_linear(g, y, ftl_layer_name_of("%s.mlp.3", layer).text, WIDTH, deviation);
    return ftl_build_add(g, y, x);
}

void ftl_preset_build_vit_b16(ftl_graph *g, const ftl_preset_dims *dims)
{
    ftl_build_sequences sequences;
    ftl_build_sequences_init(&sequences, g, dims->batch, TOKENS);
    int32_t x = embed(g, dims->batch);
    for (int32_t i = 0; i < LAYERS; i++) {
        const ftl_layer_name layer = ftl_layer_name_of("encoder.layers.encoder_layer_%d", (int)i);
        x = encoder_layer(g, x, layer.text, &sequences);
    }
    /* Only the class token is read: its row is taken before the norm, which is by row. */
    x = ftl_emit_reshape(g, x, 3, (const int64_t[]){ dims->batch, TOKENS, WIDTH });
    x = ftl_build_flatten(g, ftl_emit_slice(g, x, 1, 0, 1, 1));
    x = ftl_build_layer_norm(g, x, "encoder.ln", norm_eps);
    ftl_build_probabilities(g, ftl_build_linear(g, x, "heads.head", 1000, deviation));
}
