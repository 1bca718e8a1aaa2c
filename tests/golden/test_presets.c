/* SPDX-License-Identifier: Apache-2.0 */
/* test_presets PRESET...: whole presets against the libraries that they follow. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/eval.h"
#include "golden/preset_sources.h"
#include "golden/presets.h"

/* Sums in another order: 3e-6 was seen. */
static const double tolerance = 1e-5;

typedef struct golden_output {
    const char *preset, *name;
    int32_t step;
    double scale;
    const float *values; /* [GOLDEN_KEPT] */
} golden_output;

static const golden_output outputs[] = {
#define X(preset, output, step, scale, values) { preset, output, step, scale, values },
    GOLDEN_PRESETS(X)
#undef X
};
enum { N_OUTPUTS = sizeof outputs / sizeof *outputs };

static const golden_output *find_output(const char *preset, const char *name)
{
    for (int i = 0; i < (int)N_OUTPUTS; i++)
        if (strcmp(outputs[i].preset, preset) == 0 && strcmp(outputs[i].name, name) == 0)
            return &outputs[i];
    fail_msg("there is no golden output %s of %s", name, preset);
    return NULL;
}

static void compare(const golden_output *want, const float *got)
{
    for (int32_t i = 0; i < GOLDEN_KEPT; i++) {
        const double difference = fabs((double)got[i * want->step] - want->values[i]);
        if (!(difference <= tolerance * want->scale))
            fail_msg("%s %s element %d: got %.9g, want %.9g (largest %.3g)", want->preset,
                     want->name, (int)(i * want->step), got[i * want->step], want->values[i],
                     want->scale);
    }
}

static void agrees_with_its_library(void **state)
{
    const char *preset = *state;
    ftl_graph *g;
    assert_ok(golden_preset(&g, preset));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    const void **in = ftl_calloc((size_t)v->n_sources, sizeof *in);
    void **out = ftl_calloc((size_t)v->n_outputs, sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    for (int32_t i = 0; i < v->n_sources; i++) {
        in[i] = golden_source(&v->tensors[v->sources[i]]);
        assert_non_null(in[i]);
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        out[i] = ftl_alloc(ftl_desc_bytes_checked(ftl_graph_peek_desc(g, v->outputs[i].tensor)));
        assert_non_null(out[i]);
    }
    assert_ok(ftl_eval_graph(g, in, out));
    for (int32_t i = 0; i < v->n_outputs; i++)
        compare(find_output(preset, v->outputs[i].name), out[i]);
    for (int32_t i = 0; i < v->n_sources; i++) ftl_free((void *)in[i]);
    for (int32_t i = 0; i < v->n_outputs; i++) ftl_free(out[i]);
    ftl_free(in);
    ftl_free(out);
    ftl_graph_destroy(g);
}

int main(int argc, char **argv)
{
    enum { MOST = 16 };
    struct CMUnitTest tests[MOST];
    if (argc < 2 || argc > MOST) {
        fprintf(stderr, "usage: test_presets PRESET...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        tests[i - 1] = (struct CMUnitTest){ .name = argv[i],
                                            .test_func = agrees_with_its_library,
                                            .initial_state = argv[i] };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return _cmocka_run_group_tests("presets", tests, (size_t)argc - 1, NULL, NULL);
}
