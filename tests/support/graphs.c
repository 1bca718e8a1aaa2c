/* SPDX-License-Identifier: Apache-2.0 */
#include "support/graphs.h"

#include <math.h>
#include <stdio.h>

ftl_graph *ftl_test_graph(void)
{
    ftl_graph *graph;
    assert_ok(ftl_graph_create(&graph, "test", true));
    return graph;
}

int32_t ftl_test_input(ftl_graph *graph, ftl_tensor_desc desc)
{
    char name[32];
    snprintf(name, sizeof name, "in%d", (int)ftl_graph_get_view(graph)->n_sources);
    const int32_t tensor = ftl_graph_input(graph, name, &desc);
    assert_ok(ftl_graph_status(graph));
    return tensor;
}

void ftl_test_eval(const ftl_graph *graph, const void *const *in, void *const *out)
{
    assert_ok(ftl_graph_status(graph));
    assert_ok(ftl_eval_graph(graph, in, out));
}

void ftl_test_eval_one(ftl_graph *graph, int32_t tensor, const void *const *in, void *out)
{
    ftl_graph_output(graph, "y", tensor);
    ftl_test_eval(graph, in, &out);
    ftl_graph_destroy(graph);
}

void ftl_test_random(double *out, int64_t n, uint64_t seed, double low, double high)
{
    /* Knuth's MMIX generator; its upper 53 bits. */
    uint64_t state = seed * 2654435761u + 12345;
    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out[i] = low + (high - low) * (double)(state >> 11) * 0x1p-53;
    }
}

void ftl_test_assert_close_f64(const double *got, const double *want, int64_t n, double tolerance,
                               const char *what)
{
    for (int64_t i = 0; i < n; i++) {
        if (got[i] == want[i] || (isnan(got[i]) && isnan(want[i]))) continue;
        if (fabs(got[i] - want[i]) <= tolerance * fmax(1, fabs(want[i]))) continue;
        print_error("%s: index %lld of %lld: got %.17g, want %.17g, off %.3g\n", what, (long long)i,
                    (long long)n, got[i], want[i], fabs(got[i] - want[i]));
        fail();
    }
}
