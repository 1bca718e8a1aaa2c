/* SPDX-License-Identifier: Apache-2.0 */
/* BERT-base: Devlin et al. 2018, arXiv 1810.04805; sizes, names of the weights and of the outputs
 * as Hugging Face's BertModel (bert-base-uncased).  One input, input_ids i32 [batch, tokens]; all
 * tokens are of segment 0 and none is padding, as BertModel takes it when only ids are given. */
#include "model/build.h"
#include "model/preset.h"

#include "core/emit.h"

enum { WIDTH = 768, HEADS = 12, INNER = 3072, LAYERS = 12, WORDS = 30522, POSITIONS = 512 };
static const double norm_eps = 1e-12;
static const float deviation = 0.02f; /* initializer_range */

static int32_t table(ftl_graph *g, const char *layer, int64_t rows)
{
    const ftl_init init = { .kind = FTL_INIT_NORMAL, .scale = deviation };
    return ftl_build_weight(g, layer, "weight", init, 2, (const int64_t[]){ rows, WIDTH });
}

/* Word + position + segment -> [batch * tokens, WIDTH]. */
static int32_t embed(ftl_graph *g, const ftl_preset_dims *dims)
{
    const ftl_tensor_desc ids_desc = { FTL_DTYPE_I32, 2, { dims->batch, dims->tokens } };
    const int32_t ids = ftl_graph_input(g, "input_ids", &ids_desc);
    const int32_t word = table(g, "embeddings.word_embeddings", WORDS);
    int32_t x = ftl_emit_gather(g, word, ids, 0);
    const int32_t position = table(g, "embeddings.position_embeddings", POSITIONS);
    x = ftl_build_add(g, x, ftl_emit_slice(g, position, 0, 0, dims->tokens, 1));
    const int32_t segment = table(g, "embeddings.token_type_embeddings", 2);
    x = ftl_build_add(g, x, ftl_emit_slice(g, segment, 0, 0, 1, 1));
    x = ftl_build_layer_norm(g, x, "embeddings.LayerNorm", norm_eps);
    const int64_t rows[2] = { dims->batch * dims->tokens, WIDTH };
    return ftl_emit_reshape(g, x, 2, rows);
}

static int32_t part(ftl_graph *g, int32_t x, const char *layer, const char *name, int64_t n_out)
{
    return ftl_build_linear(g, x, ftl_layer_name_of("%s.%s", layer, name).text, n_out, deviation);
}

/* norm(x + y). */
static int32_t add_norm(ftl_graph *g, int32_t x, int32_t y, const char *layer, const char *name)
{
    return ftl_build_layer_norm(g, ftl_build_add(g, y, x),
                                ftl_layer_name_of("%s.%s", layer, name).text, norm_eps);
}

static int32_t encoder_layer(ftl_graph *g, int32_t x, const char *layer,
                             const ftl_build_sequences *sequences)
{
    const int32_t qkv[3] = { part(g, x, layer, "attention.self.query", WIDTH),
                             part(g, x, layer, "attention.self.key", WIDTH),
                             part(g, x, layer, "attention.self.value", WIDTH) };
    int32_t y = ftl_build_attention(g, qkv, sequences, HEADS);
    y = part(g, y, layer, "attention.output.dense", WIDTH);
    x = add_norm(g, x, y, layer, "attention.output.LayerNorm");
    y = ftl_build_act(g, part(g, x, layer, "intermediate.dense", INNER), FTL_ACT_GELU);
    y = part(g, y, layer, "output.dense", WIDTH);
    return add_norm(g, x, y, layer, "output.LayerNorm");
}

void ftl_preset_build_bert_base(ftl_graph *g, const ftl_preset_dims *dims)
{
    ftl_build_sequences sequences;
    ftl_build_sequences_init(&sequences, g, dims->batch, dims->tokens);
    int32_t x = embed(g, dims);
    for (int32_t i = 0; i < LAYERS; i++)
        x = encoder_layer(g, x, ftl_layer_name_of("encoder.layer.%d", (int)i).text, &sequences);
    const int64_t shape[3] = { dims->batch, dims->tokens, WIDTH };
    const int32_t hidden = ftl_emit_reshape(g, x, 3, shape);
    const int32_t first = ftl_build_flatten(g, ftl_emit_slice(g, hidden, 1, 0, 1, 1));
    const int32_t pooled = ftl_build_linear(g, first, "pooler.dense", WIDTH, deviation);
    ftl_graph_output(g, "last_hidden_state", hidden);
    ftl_graph_output(g, "pooler_output", ftl_build_act(g, pooled, FTL_ACT_TANH));
}
