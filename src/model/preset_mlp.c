/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of 1000: torch.nn.Linear(1000, 1000), and keras.Sequential([Dense(1000, "relu"),
 * Dense(1000, "softmax")]) on 1000 inputs. */
#include "model/build.h"
#include "model/preset.h"

static int32_t rows(ftl_graph *g, int64_t batch)
{
    const ftl_tensor_desc desc = { FTL_DTYPE_F32, 2, { batch, 1000 } };
    return ftl_graph_input(g, "x", &desc);
}

void ftl_preset_build_linear_1000(ftl_graph *g, const ftl_preset_dims *dims)
{
    ftl_graph_output(g, "y", ftl_build_logits(g, rows(g, dims->batch), "linear", 1000, 1));
}

void ftl_preset_build_keras_mlp(ftl_graph *g, const ftl_preset_dims *dims)
{
    const int32_t h =
        ftl_build_relu(g, ftl_build_linear(g, rows(g, dims->batch), "dense", 1000, 0));
    ftl_build_probabilities(g, ftl_build_logits(g, h, "dense_1", 1000, 1));
}
