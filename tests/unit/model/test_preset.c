/* SPDX-License-Identifier: Apache-2.0 */
/* Every preset against what is published of its architecture, and the small ones against
 * plain C. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/init.h"
#include "core/op.h"
#include "core/pass.h"
#include "model/model_internal.h"
#include "model/preset.h"

/* Parameters: what sum(p.numel() for p in model.parameters()) gives, so without the running
 * statistics of batch norm.  MACs: multiply-adds of convolutions and products for one input.
 * Sources: torchvision 0.20, models/<family>.py, Weights.meta["num_params"] and ["_ops"] (there
 * called GFLOPS; a multiply-add counts once).  BERT: Hugging Face's model card of
 * bert-base-uncased counts 110 M parameters, of which BertModel has 109,482,240 (Devlin et al.
 * 2018, table of sizes: 30522 words, 512 positions, 2 segments, 12 layers of 768); MACs by hand:
 * 12 layers * 128 tokens * (4 * 768^2 + 2 * 768 * 3072 + 2 * 128 * 768) + 768^2.
 * Linear(1000, 1000) and the two dense layers: by hand. */
static const struct published {
    const char *name;
    int64_t parameters;
    double giga_macs;
} published[] = {
    { "linear-1000", 1001000, 64 * 0.001 }, { "keras-mlp", 2002000, 0.002 },
    { "alexnet", 61100840, 0.714 },         { "vgg16", 138357544, 15.47 },
    { "resnet50", 25557032, 4.089 },        { "densenet121", 7978856, 2.834 },
    { "mobilenet-v2", 3504872, 0.301 },     { "bert-base", 109482240, 11.174 },
    { "vit-b16", 86567656, 17.564 },
};
enum { N_PUBLISHED = sizeof published / sizeof *published };

static ftl_graph *build(const char *name, int64_t batch, int64_t tokens)
{
    const ftl_preset *p;
    ftl_graph *g;
    assert_ok(ftl_preset_find(&p, name));
    const ftl_preset_dims dims = { batch ? batch : p->defaults.batch,
                                   tokens ? tokens : p->defaults.tokens };
    assert_ok(ftl_preset_build(&g, p, &dims));
    return g;
}

static bool is_statistic(const char *name)
{
    return strstr(name, ".running_mean") || strstr(name, ".running_var");
}

static void every_preset_is_published(void **state)
{
    (void)state;
    int32_t n = 0;
    while (ftl_preset_name(n)) {
        bool found = false;
        for (int i = 0; i < (int)N_PUBLISHED; i++)
            found |= strcmp(published[i].name, ftl_preset_name(n)) == 0;
        assert_true(found);
        assert_true(strlen(ftl_preset_about(n)) > 10);
        assert_true(strlen(ftl_preset_about(n)) <= 62); /* one line beside the name */
        n++;
    }
    assert_int_equal(n, N_PUBLISHED);
    assert_null(ftl_preset_about(n));
    assert_null(ftl_preset_name(-1));
}

static void parameters_are_as_published(void **state)
{
    (void)state;
    for (int i = 0; i < (int)N_PUBLISHED; i++) {
        ftl_graph *g = build(published[i].name, 1, 0);
        const ftl_graph_view *v = ftl_graph_get_view(g);
        int64_t sum = 0;
        for (int32_t s = 0; s < v->n_sources; s++) {
            const ftl_tensor *t = &v->tensors[v->sources[s]];
            if (t->kind == FTL_TENSOR_WEIGHT && !is_statistic(t->name))
                sum += ftl_desc_count_checked(&t->desc);
        }
        if (sum != published[i].parameters) print_message("%s\n", published[i].name);
        assert_int_equal(sum, published[i].parameters);
        ftl_graph_destroy(g);
    }
}

/* Multiply-adds of convolutions, products and attention. */
static double macs(const ftl_graph *g)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    double sum = 0;
    for (int32_t i = 0; i < v->n_nodes; i++) {
        const ftl_op op = v->nodes[i].op;
        ftl_op_cost cost;
        ftl_node_cost(g, &v->nodes[i], NULL, &cost);
        if (op == FTL_OP_conv || op == FTL_OP_linear || op == FTL_OP_attention) sum += cost.flops;
    }
    return sum / 2;
}

static void work_is_as_published(void **state)
{
    (void)state;
    for (int i = 0; i < (int)N_PUBLISHED; i++) {
        ftl_graph *g = build(published[i].name, 0, 0);
        ftl_op_cost all;
        ftl_graph_cost(g, NULL, &all);
        const double want = published[i].giga_macs * 1e9, got = macs(g);
        if (fabs(got / want - 1) > 0.01 || all.flops / 2 < got || all.flops / 2 > 1.05 * want)
            fail_msg("%s: %.4g multiply-adds, %.4g flops in all; published %.4g", published[i].name,
                     got, all.flops, want);
        ftl_graph_destroy(g);
    }
}

static void assert_binds(const char *name, int64_t batch, int64_t tokens)
{
    ftl_graph *g = build(name, batch, tokens);
    assert_ok(ftl_graph_check(g));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    assert_int_equal(v->tensors[v->sources[0]].kind, FTL_TENSOR_INPUT);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[0], batch);
    for (int32_t i = 0; i < v->n_outputs; i++)
        assert_int_equal(v->tensors[v->outputs[i].tensor].desc.dim[0], batch);
    ftl_graph *better;
    assert_ok(ftl_pass_optimize(&better, g));
    assert_int_equal(ftl_graph_get_view(better)->n_outputs, v->n_outputs);
    ftl_graph_destroy(better);
    ftl_graph_destroy(g);
}

static void every_preset_binds_at_other_sizes(void **state)
{
    (void)state;
    for (int32_t i = 0; ftl_preset_name(i); i++) {
        assert_binds(ftl_preset_name(i), 1, 0);
        assert_binds(ftl_preset_name(i), 8, 0);
    }
    assert_binds("bert-base", 1, 16);
    assert_binds("bert-base", 8, 16);
    assert_binds("bert-base", 2, 512);
}

static void weights_keep_their_ids(void **state)
{
    (void)state;
    ftl_graph *a = build("bert-base", 1, 16), *b = build("bert-base", 8, 128);
    const ftl_graph_view *va = ftl_graph_get_view(a), *vb = ftl_graph_get_view(b);
    assert_int_equal(va->n_sources, vb->n_sources);
    for (int32_t i = 0; i < va->n_sources; i++) {
        const ftl_tensor *ta = &va->tensors[va->sources[i]], *tb = &vb->tensors[vb->sources[i]];
        assert_string_equal(ta->name, tb->name);
        assert_int_equal(ta->id, tb->id);
        if (ta->kind == FTL_TENSOR_WEIGHT) assert_true(ftl_desc_equal(&ta->desc, &tb->desc));
    }
    ftl_graph_destroy(a);
    ftl_graph_destroy(b);
}

/* Keys of the state_dict of torchvision and Hugging Face, one or two of each kind of layer. */
static void weights_have_their_library_names(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *weight;
    } rows[] = {
        { "alexnet", "features.10.bias" },
        { "alexnet", "classifier.6.weight" },
        { "vgg16", "features.28.weight" },
        { "vgg16", "classifier.3.bias" },
        { "resnet50", "layer4.2.bn3.running_var" },
        { "resnet50", "layer2.0.downsample.1.weight" },
        { "resnet50", "conv1.weight" },
        { "densenet121", "features.denseblock3.denselayer24.conv2.weight" },
        { "densenet121", "features.transition3.norm.running_mean" },
        { "densenet121", "features.norm5.bias" },
        { "mobilenet-v2", "features.0.0.weight" },
        { "mobilenet-v2", "features.1.conv.0.0.weight" },
        { "mobilenet-v2", "features.1.conv.2.running_var" },
        { "mobilenet-v2", "features.17.conv.1.0.weight" },
        { "mobilenet-v2", "features.17.conv.3.weight" },
        { "mobilenet-v2", "features.18.1.bias" },
        { "bert-base", "encoder.layer.11.attention.output.LayerNorm.weight" },
        { "bert-base", "embeddings.token_type_embeddings.weight" },
        { "bert-base", "pooler.dense.bias" },
        { "vit-b16", "class_token" },
        { "vit-b16", "encoder.pos_embedding" },
        { "vit-b16", "encoder.layers.encoder_layer_11.self_attention.in_proj_weight" },
        { "vit-b16", "encoder.layers.encoder_layer_0.self_attention.out_proj.bias" },
        { "vit-b16", "encoder.layers.encoder_layer_5.mlp.3.weight" },
        { "vit-b16", "encoder.ln.weight" },
        { "vit-b16", "heads.head.weight" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ftl_graph *g = build(rows[i].preset, 1, 0);
        if (ftl_graph_find_source(g, rows[i].weight) < 0)
            fail_msg("%s has no weight %s", rows[i].preset, rows[i].weight);
        ftl_graph_destroy(g);
    }
}

static void sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    const ftl_preset *p;
    ftl_graph *g;
    assert_ok(ftl_preset_find(&p, "bert-base"));
    assert_fails(FTL_EINVAL, ftl_preset_build(&g, p, &(ftl_preset_dims){ 1, 513 }));
    assert_null(g);
    assert_non_null(strstr(ftl_error_text(), "tokens is 513"));
    assert_fails(FTL_EINVAL, ftl_preset_build(&g, p, &(ftl_preset_dims){ 1, 0 }));
    assert_fails(FTL_EINVAL, ftl_preset_build(&g, p, &(ftl_preset_dims){ 0, 16 }));
    assert_fails(FTL_EINVAL, ftl_preset_build(&g, p, &(ftl_preset_dims){ INT64_MAX, 16 }));
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* Seeded values for every source in slice order; freed by free_sources. */
static void **fill_sources(const ftl_graph *g)
{
    const ftl_graph_view *v = ftl_graph_get_view(g);
    void **in = ftl_calloc((size_t)v->n_sources, sizeof *in);
    assert_non_null(in);
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        in[i] = ftl_alloc(ftl_desc_bytes_checked(&t->desc));
        assert_non_null(in[i]);
        ftl_init_fill(t, 7, in[i]);
    }
    return in;
}

static void free_sources(const ftl_graph *g, void **in)
{
    for (int32_t i = 0; i < ftl_graph_get_view(g)->n_sources; i++) ftl_free(in[i]);
    ftl_free(in);
}

static const float *source(const ftl_graph *g, void **in, const char *name)
{
    const int32_t tensor = ftl_graph_find_source(g, name);
    assert_true(tensor >= 0);
    return in[ftl_graph_source_index(g, tensor)];
}

/* y [rows, 1000] = x w^T + b */
static void dense(float *y, const float *x, const float *w, const float *b, int rows)
{
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < 1000; o++) {
            double sum = b[o];
            for (int k = 0; k < 1000; k++) sum += (double)x[r * 1000 + k] * w[o * 1000 + k];
            y[r * 1000 + o] = (float)sum;
        }
}

static void linear_is_a_product_and_a_bias(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    static float got[ROWS * 1000], want[ROWS * 1000];
    ftl_graph *g = build("linear-1000", ROWS, 0);
    void **in = fill_sources(g);
    assert_ok(ftl_eval_graph(g, (const void *const *)in, (void *const[]){ got }));
    dense(want, source(g, in, "x"), source(g, in, "linear.weight"), source(g, in, "linear.bias"),
          ROWS);
    ftl_test_assert_close_f32(got, want, ROWS * 1000, 1e-6, "linear-1000");
    free_sources(g, in);
    ftl_graph_destroy(g);
}

static void mlp_is_two_layers_relu_and_softmax(void **state)
{
    (void)state;
    enum { ROWS = 2 };
    static float got[ROWS * 1000], h[ROWS * 1000], want[ROWS * 1000];
    ftl_graph *g = build("keras-mlp", ROWS, 0);
    void **in = fill_sources(g);
    assert_ok(ftl_eval_graph(g, (const void *const *)in, (void *const[]){ got }));
    dense(h, source(g, in, "x"), source(g, in, "dense.weight"), source(g, in, "dense.bias"), ROWS);
    for (int i = 0; i < ROWS * 1000; i++) h[i] = h[i] > 0 ? h[i] : 0;
    dense(want, h, source(g, in, "dense_1.weight"), source(g, in, "dense_1.bias"), ROWS);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int o = 0; o < 1000; o++) sum += exp((double)want[r * 1000 + o]);
        for (int o = 0; o < 1000; o++)
            want[r * 1000 + o] = (float)(exp((double)want[r * 1000 + o]) / sum);
    }
    /* Compared at the size of a probability of 1 / 1000. */
    for (int i = 0; i < ROWS * 1000; i++) {
        got[i] *= 1000;
        want[i] *= 1000;
    }
    ftl_test_assert_close_f32(got, want, ROWS * 1000, 1e-6, "keras-mlp");
    free_sources(g, in);
    ftl_graph_destroy(g);
}

/* ---- failures ------------------------------------------------------------------------------ */

static void building_survives_every_lack_of_memory(void **state)
{
    (void)state;
    const ftl_preset *p;
    assert_ok(ftl_preset_find(&p, "bert-base"));
    const ftl_preset_dims dims = { 1, 16 };
    ftl_graph *g;
    ftl_status s = FTL_ENOMEM;
    uint64_t n = 0;
    while (s != FTL_OK && n < 10000) {
        ftl_alloc_fail_at(++n, true);
        s = ftl_preset_build(&g, p, &dims);
        ftl_alloc_fail_at(0, false);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        assert_true((s == FTL_OK) == (g != NULL));
    }
    assert_int_equal(s, FTL_OK);
    assert_true(n > 5);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_is_published),
        cmocka_unit_test(parameters_are_as_published),
        cmocka_unit_test(work_is_as_published),
        cmocka_unit_test(every_preset_binds_at_other_sizes),
        cmocka_unit_test(weights_keep_their_ids),
        cmocka_unit_test(weights_have_their_library_names),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(linear_is_a_product_and_a_bias),
        cmocka_unit_test(mlp_is_two_layers_relu_and_softmax),
        cmocka_unit_test(building_survives_every_lack_of_memory),
    };
    return ftl_test_run(tests);
}
