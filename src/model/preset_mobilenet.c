/* SPDX-License-Identifier: Apache-2.0 */
/* MobileNetV2: Sandler et al. 2018, arXiv 1801.04381, table 2, width 1.0.  Weights have
 * torchvision's names. */
#include "model/build.h"
#include "model/preset.h"

#include "core/emit.h"

/* Convolution at <at>, norm at <at with the last number one higher>. */
static int32_t conv_norm(ftl_graph *g, int32_t x, const char *group, int32_t place,
                         const ftl_build_conv *conv)
{
    x = ftl_build_conv2d(g, x, ftl_layer_name_of("%s.%d", group, (int)place).text, conv);
    return ftl_build_batch_norm(g, x, ftl_layer_name_of("%s.%d", group, (int)place + 1).text, 1);
}

/* Widen by 1x1, filter each channel by 3x3, narrow by 1x1 without activation. */
static int32_t inverted_residual(ftl_graph *g, int32_t x, int32_t number, int32_t widening,
                                 int64_t n_out, int32_t stride)
{
    const ftl_layer_name name = ftl_layer_name_of("features.%d.conv", (int)number);
    const int64_t n_in = ftl_emit_desc(g, x).dim[1], wide = n_in * widening;
    const ftl_build_conv widen = { .n_out = wide, .kernel = 1 };
    const ftl_build_conv each = { wide, .kernel = 3, .stride = stride, .pad = 1,
                                  .groups = (int32_t)wide };
    const ftl_build_conv narrow = { .n_out = n_out, .kernel = 1 };
    int32_t y = x, place = 0;
    if (widening > 1) {
        const ftl_layer_name part = ftl_layer_name_of("%s.%d", name.text, (int)place++);
        y = ftl_build_relu6(g, conv_norm(g, y, part.text, 0, &widen));
    }
    const ftl_layer_name part = ftl_layer_name_of("%s.%d", name.text, (int)place++);
    y = ftl_build_relu6(g, conv_norm(g, y, part.text, 0, &each));
    y = conv_norm(g, y, name.text, place, &narrow);
    return stride == 1 && n_in == n_out ? ftl_build_add(g, x, y) : y;
}

void ftl_preset_build_mobilenet_v2(ftl_graph *g, const ftl_preset_dims *dims)
{
    static const struct {
        int32_t widening;
        int64_t n_out;
        int32_t n, stride;
    } stage[7] = { { 1, 16, 1, 1 }, { 6, 24, 2, 2 },  { 6, 32, 3, 2 }, { 6, 64, 4, 2 },
                   { 6, 96, 3, 1 }, { 6, 160, 3, 2 }, { 6, 320, 1, 1 } };
    const ftl_build_conv stem = { .n_out = 32, .kernel = 3, .stride = 2, .pad = 1 };
    const ftl_build_conv last = { .n_out = 1280, .kernel = 1 };
    int32_t x = ftl_build_image(g, dims->batch, 3, 224);
    x = ftl_build_relu6(g, conv_norm(g, x, "features.0", 0, &stem));
    int32_t number = 1;
    for (int32_t s = 0; s < 7; s++)
        for (int32_t i = 0; i < stage[s].n; i++)
            x = inverted_residual(g, x, number++, stage[s].widening, stage[s].n_out,
                                  i == 0 ? stage[s].stride : 1);
    const ftl_layer_name name = ftl_layer_name_of("features.%d", (int)number);
    x = ftl_build_relu6(g, conv_norm(g, x, name.text, 0, &last));
    ftl_build_probabilities(
        g, ftl_build_logits(g, ftl_build_global_pool(g, x), "classifier.1", 1000, 0.5f));
}
