/* SPDX-License-Identifier: Apache-2.0 */
/* VGG: Simonyan & Zisserman 2014, arXiv 1409.1556, table 1, configuration D.  Weights have
 * torchvision's names (vgg16, 138.4 M parameters); its adaptive pooling to 7 x 7 changes nothing at
 * 224 x 224. */
#include "model/build.h"
#include "model/preset.h"

void ftl_preset_build_vgg16(ftl_graph *g, const ftl_preset_dims *dims)
{
    static const struct {
        int64_t n_out;
        int32_t n_convs;
    } stage[5] = { { 64, 2 }, { 128, 2 }, { 256, 3 }, { 512, 3 }, { 512, 3 } };
    int32_t x = ftl_build_image(g, dims->batch, 3, 224);
    int32_t place = 0; /* in torchvision's Sequential: convolution, relu, ..., pooling */
    for (int32_t s = 0; s < 5; s++) {
        for (int32_t i = 0; i < stage[s].n_convs; i++, place += 2) {
            const ftl_layer_name name = ftl_layer_name_of("features.%d", (int)place);
            const ftl_build_conv conv = { stage[s].n_out, .kernel = 3, .pad = 1, .has_bias = true };
            x = ftl_build_relu(g, ftl_build_conv2d(g, x, name.text, &conv));
        }
        x = ftl_build_max_pool(g, x, 2, 2, 0);
        place++;
    }
    x = ftl_build_flatten(g, x);
    x = ftl_build_relu(g, ftl_build_linear(g, x, "classifier.0", 4096, 0));
    x = ftl_build_relu(g, ftl_build_linear(g, x, "classifier.3", 4096, 0));
    ftl_build_probabilities(g, ftl_build_logits(g, x, "classifier.6", 1000, 0.4f));
}
