/* SPDX-License-Identifier: Apache-2.0 */
/* AlexNet in one tower, without local response norm: Krizhevsky 2014, arXiv 1404.5997, in the sizes
 * of torchvision's alexnet (61.1 M parameters), whose names the weights have.  Its adaptive pooling
 * to 6 x 6 changes nothing at 224 x 224, and dropout is for training: both are left out. */
#include "model/build.h"
#include "model/preset.h"

static int32_t conv_relu(ftl_graph *g, int32_t x, int32_t place, const ftl_build_conv *conv)
{
    const ftl_layer_name name = ftl_layer_name_of("features.%d", (int)place);
    return ftl_build_relu(g, ftl_build_conv2d(g, x, name.text, conv));
}

void ftl_preset_build_alexnet(ftl_graph *g, const ftl_preset_dims *dims)
{
    static const ftl_build_conv conv[5] = {
        { .n_out = 64, .kernel = 11, .stride = 4, .pad = 2, .has_bias = true },
        { .n_out = 192, .kernel = 5, .pad = 2, .has_bias = true },
        { .n_out = 384, .kernel = 3, .pad = 1, .has_bias = true },
        { .n_out = 256, .kernel = 3, .pad = 1, .has_bias = true },
        { .n_out = 256, .kernel = 3, .pad = 1, .has_bias = true },
    };
    int32_t x = ftl_build_image(g, dims->batch, 3, 224);
    x = ftl_build_max_pool(g, conv_relu(g, x, 0, &conv[0]), 3, 2, 0);
    x = ftl_build_max_pool(g, conv_relu(g, x, 3, &conv[1]), 3, 2, 0);
    x = conv_relu(g, x, 6, &conv[2]);
    x = conv_relu(g, x, 8, &conv[3]);
    x = ftl_build_max_pool(g, conv_relu(g, x, 10, &conv[4]), 3, 2, 0);
    x = ftl_build_flatten(g, x);
    x = ftl_build_relu(g, ftl_build_linear(g, x, "classifier.1", 4096, 0));
    x = ftl_build_relu(g, ftl_build_linear(g, x, "classifier.4", 4096, 0));
    ftl_build_probabilities(g, ftl_build_logits(g, x, "classifier.6", 1000, 0.3f));
}
