/* SPDX-License-Identifier: Apache-2.0 */
/* ResNet with bottlenecks: He et al. 2015, arXiv 1512.03385, table 1.  "v1.5" as in torchvision,
 * whose names the weights have: the stride stands in the 3x3 convolution, not in the first 1x1. */
#include "model/build.h"
#include "model/preset.h"

/* Random statistics do not normalise: without a small gain in each branch what is added would
 * double the size of the signal 16 times. */
static const float branch_gain = 0.3f;

static int32_t conv_norm(ftl_graph *g, int32_t x, const char *block, int32_t i,
                         const ftl_build_conv *conv)
{
    x = ftl_build_conv2d(g, x, ftl_layer_name_of("%s.conv%d", block, (int)i).text, conv);
    return ftl_build_batch_norm(g, x, ftl_layer_name_of("%s.bn%d", block, (int)i).text,
                                i == 3 ? branch_gain : 1);
}

static int32_t bottleneck(ftl_graph *g, int32_t x, const char *block, int64_t width, int32_t stride,
                          bool is_first)
{
    const ftl_build_conv narrow = { .n_out = width, .kernel = 1 };
    const ftl_build_conv middle = { .n_out = width, .kernel = 3, .stride = stride, .pad = 1 };
    const ftl_build_conv wide = { .n_out = 4 * width, .kernel = 1 };
    const ftl_build_conv shortcut = { .n_out = 4 * width, .kernel = 1, .stride = stride };
    int32_t y = ftl_build_relu(g, conv_norm(g, x, block, 1, &narrow));
    y = ftl_build_relu(g, conv_norm(g, y, block, 2, &middle));
    y = conv_norm(g, y, block, 3, &wide);
    if (is_first) {
        x = ftl_build_conv2d(g, x, ftl_layer_name_of("%s.downsample.0", block).text, &shortcut);
        x = ftl_build_batch_norm(g, x, ftl_layer_name_of("%s.downsample.1", block).text, 1);
    }
    return ftl_build_relu(g, ftl_build_add(g, y, x));
}

void ftl_preset_build_resnet50(ftl_graph *g, const ftl_preset_dims *dims)
{
    static const int32_t n_blocks[4] = { 3, 4, 6, 3 };
    const ftl_build_conv stem = { .n_out = 64, .kernel = 7, .stride = 2, .pad = 3 };
    int32_t x = ftl_build_image(g, dims->batch, 3, 224);
    x = ftl_build_conv2d(g, x, "conv1", &stem);
    x = ftl_build_relu(g, ftl_build_batch_norm(g, x, "bn1", 1));
    x = ftl_build_max_pool(g, x, 3, 2, 1);
    for (int32_t s = 0; s < 4; s++)
        for (int32_t i = 0; i < n_blocks[s]; i++) {
            const ftl_layer_name block = ftl_layer_name_of("layer%d.%d", (int)s + 1, (int)i);
            x = bottleneck(g, x, block.text, (int64_t)64 << s, s > 0 && i == 0 ? 2 : 1, i == 0);
        }
    ftl_build_probabilities(g, ftl_build_logits(g, ftl_build_global_pool(g, x), "fc", 1000, 0.25f));
}
