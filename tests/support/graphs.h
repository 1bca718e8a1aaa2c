/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.h - building and evaluating small graphs in tests. */
#ifndef FTL_TESTS_SUPPORT_GRAPHS_H
#define FTL_TESTS_SUPPORT_GRAPHS_H

#include "core/eval.h"
#include "core/graph.h"
#include "support/test.h"

/* DESC(F32, 2, 3) is f32[2,3]; DESC0(F32) a scalar. */
#define DESC(type, ...)                                                                            \
    ((ftl_tensor_desc){ .dtype = FTL_DTYPE_##type,                                                 \
                        .rank = (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),   \
                        .dim = { __VA_ARGS__ } })
#define DESC0(type) ((ftl_tensor_desc){ .dtype = FTL_DTYPE_##type })

/* A fresh bound graph. */
ftl_graph *ftl_test_graph(void);
/* An input of that desc named in<number>, numbered in order of creation. */
int32_t ftl_test_input(ftl_graph *graph, ftl_tensor_desc desc);
/* Evaluates; `in` and `out` as in ftl_eval_graph(); fails the test where that fails. */
void ftl_test_eval(const ftl_graph *graph, const void *const *in, void *const *out);
#define FTL_TEST_EVAL(graph, out_list, ...)                                                        \
    ftl_test_eval((graph), (const void *const[]){ __VA_ARGS__ }, (out_list))
/* Makes `tensor` the only output, evaluates into `out` and destroys the graph. */
void ftl_test_eval_one(ftl_graph *graph, int32_t tensor, const void *const *in, void *out);

/* n numbers in [low, high), the same for the same seed. */
void ftl_test_random(double *out, int64_t n, uint64_t seed, double low, double high);
/* |got - want| <= tolerance * max(1, |want|); NaN equals NaN. */
void ftl_test_assert_close_f64(const double *got, const double *want, int64_t n, double tolerance,
                               const char *what);

#endif
