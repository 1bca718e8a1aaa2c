/* SPDX-License-Identifier: Apache-2.0 */
/* A whole training step, gradients and Adam, against NumPy (make_train_case.py). */
#include <string.h>

#include "mlp_adam.h"
#include "support/cases.h"
#include "support/graphs.h"

static const ftl_case_mlp size = { .batch = MLP_BATCH,
                                   .n_in = MLP_IN,
                                   .hidden = MLP_HIDDEN,
                                   .classes = MLP_CLASSES,
                                   .adam = {
                                       .beta1 = MLP_BETA1, .beta2 = MLP_BETA2, .eps = MLP_EPS } };

/* Old and new values of the states in their order. */
static const struct {
    const char *name;
    const float *old, *new;
    size_t n;
} states[12] = {
#define STATE(name) { #name, mlp_##name, mlp_##name##_new, sizeof mlp_##name / sizeof(float) },
    STATE(w1) STATE(w1_m) STATE(w1_v) STATE(b1) STATE(b1_m) STATE(b1_v) STATE(w2) STATE(w2_m)
        STATE(w2_v) STATE(b2) STATE(b2_m) STATE(b2_v)
#undef STATE
};

static void step_equals_numpy(void **unused)
{
    (void)unused;
    ftl_graph *graph;
    assert_ok(ftl_case_mlp_adam_step(&graph, &size));
    assert_ok(ftl_graph_check(graph));
    const float rate = MLP_RATE;
    const int32_t step = MLP_STEP;
    float loss, logits[MLP_BATCH * MLP_CLASSES], new_states[12][MLP_IN * MLP_HIDDEN];
    const void *in[FTL_CASE_ADAM_SOURCES] = { mlp_x, mlp_labels, &rate, &step };
    void *out[14] = { &loss, logits };
    for (int i = 0; i < 12; i++) {
        in[FTL_CASE_ADAM_W1 + i] = states[i].old;
        out[2 + i] = new_states[i];
    }
    ftl_test_eval(graph, in, out);
    const float want_loss = (float)MLP_LOSS;
    ftl_test_assert_close_f32(&loss, &want_loss, 1, 1e-6, "loss");
    ftl_test_assert_close_f32(logits, mlp_logits, MLP_BATCH * MLP_CLASSES, 1e-6, "logits");
    for (int i = 0; i < 12; i++)
        ftl_test_assert_close_f32(new_states[i], states[i].new, states[i].n, 1e-6, states[i].name);
    ftl_graph_destroy(graph);
}

/* In f64 the same graph agrees to the last bit of the f32 that NumPy's results were rounded to. */
static void widened_step_is_exact(void **unused)
{
    (void)unused;
    ftl_graph *graph, *wide;
    assert_ok(ftl_case_mlp_adam_step(&graph, &size));
    assert_ok(ftl_graph_check(graph));
    assert_ok(ftl_graph_widen(&wide, graph));
    const double rate = MLP_RATE;
    const int32_t step = MLP_STEP;
    static double x[MLP_BATCH * MLP_IN], old[12][MLP_IN * MLP_HIDDEN], new[12][MLP_IN * MLP_HIDDEN];
    double loss, logits[MLP_BATCH * MLP_CLASSES];
    ftl_elements_convert(FTL_DTYPE_F64, x, FTL_DTYPE_F32, mlp_x, MLP_BATCH * MLP_IN);
    const void *in[FTL_CASE_ADAM_SOURCES] = { x, mlp_labels, &rate, &step };
    void *out[14] = { &loss, logits };
    for (int i = 0; i < 12; i++) {
        ftl_elements_convert(FTL_DTYPE_F64, old[i], FTL_DTYPE_F32, states[i].old,
                             (int64_t)states[i].n);
        in[FTL_CASE_ADAM_W1 + i] = old[i];
        out[2 + i] = new[i];
    }
    ftl_test_eval(wide, in, out);
    assert_true(loss > MLP_LOSS - 1e-11 && loss < MLP_LOSS + 1e-11);
    for (int i = 0; i < 12; i++)
        for (size_t k = 0; k < states[i].n; k++) {
            const double want = states[i].new[k];
            ftl_test_assert_close_f64(&new[i][k], &want, 1, 6e-8, states[i].name);
        }
    ftl_graph_destroy(wide);
    ftl_graph_destroy(graph);
}

static void forward_equals_numpy(void **unused)
{
    (void)unused;
    ftl_graph *graph;
    assert_ok(ftl_case_keras_mlp(&graph, &size));
    assert_ok(ftl_graph_check(graph));
    float y[MLP_BATCH * MLP_CLASSES];
    void *out[1] = { y };
    FTL_TEST_EVAL(graph, out, mlp_x, mlp_w1, mlp_b1, mlp_w2, mlp_b2);
    ftl_test_assert_close_f32(y, mlp_probabilities, MLP_BATCH * MLP_CLASSES, 1e-7, "probabilities");
    ftl_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_equals_numpy),
        cmocka_unit_test(widened_step_is_exact),
        cmocka_unit_test(forward_equals_numpy),
    };
    return ftl_test_run(tests);
}
