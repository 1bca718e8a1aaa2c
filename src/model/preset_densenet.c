/* SPDX-License-Identifier: Apache-2.0 */
/* DenseNet: Huang et al. 2017, arXiv 1608.06993, table 1.  Weights have torchvision's names. */
#include "model/build.h"
#include "model/preset.h"

#include "core/emit.h"

enum { GROWTH = 32, BOTTLENECK = 4 * GROWTH };

static int32_t norm_relu_conv(ftl_graph *g, int32_t x, const char *norm, const char *conv_name,
                              const ftl_build_conv *conv)
{
    x = ftl_build_relu(g, ftl_build_batch_norm(g, x, norm, 1));
    return ftl_build_conv2d(g, x, conv_name, conv);
}

/* Each layer sees all before it: what it adds is appended to the channels. */
static int32_t dense_layer(ftl_graph *g, int32_t x, const char *layer)
{
    const ftl_build_conv narrow = { .n_out = BOTTLENECK, .kernel = 1 };
    const ftl_build_conv grow = { .n_out = GROWTH, .kernel = 3, .pad = 1 };
    int32_t y = norm_relu_conv(g, x, ftl_layer_name_of("%s.norm1", layer).text,
                               ftl_layer_name_of("%s.conv1", layer).text, &narrow);
    y = norm_relu_conv(g, y, ftl_layer_name_of("%s.norm2", layer).text,
                       ftl_layer_name_of("%s.conv2", layer).text, &grow);
    return ftl_emit_concat(g, (const int32_t[]){ x, y }, 2, 1);
}

/* Half the channels, half the height and width. */
static int32_t transition(ftl_graph *g, int32_t x, int32_t number)
{
    const ftl_layer_name name = ftl_layer_name_of("features.transition%d", (int)number);
    const ftl_build_conv half = { .n_out = ftl_emit_desc(g, x).dim[1] / 2, .kernel = 1 };
    x = norm_relu_conv(g, x, ftl_layer_name_of("%s.norm", name.text).text,
                       ftl_layer_name_of("%s.conv", name.text).text, &half);
    return ftl_build_avg_pool(g, x, 2, 2);
}

void ftl_preset_build_densenet121(ftl_graph *g, const ftl_preset_dims *dims)
{
    static const int32_t n_layers[4] = { 6, 12, 24, 16 };
    const ftl_build_conv stem = { .n_out = 64, .kernel = 7, .stride = 2, .pad = 3 };
    int32_t x = ftl_build_image(g, dims->batch, 3, 224);
    x = ftl_build_conv2d(g, x, "features.conv0", &stem);
    x = ftl_build_relu(g, ftl_build_batch_norm(g, x, "features.norm0", 1));
    x = ftl_build_max_pool(g, x, 3, 2, 1);
    for (int32_t b = 0; b < 4; b++) {
        for (int32_t i = 0; i < n_layers[b]; i++) {
            const ftl_layer_name layer =
                ftl_layer_name_of("features.denseblock%d.denselayer%d", (int)b + 1, (int)i + 1);
            x = dense_layer(g, x, layer.text);
        }
        if (b < 3) x = transition(g, x, b + 1);
    }
    x = ftl_build_relu(g, ftl_build_batch_norm(g, x, "features.norm5", 1));
    ftl_build_probabilities(
        g, ftl_build_logits(g, ftl_build_global_pool(g, x), "classifier", 1000, 0.5f));
}
