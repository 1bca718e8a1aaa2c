/* SPDX-License-Identifier: Apache-2.0 */
/* op_cases.h - for every row of ops.def small graphs with inputs, edge values among them, and how
 * close a result must be.  One table drives every backend; a row without a case fails the tests.
 *
 *     ftl_op_run run;                                   one case on one device
 *     assert_int_equal(ftl_op_case_check(device, &ftl_op_cases[i]), 0);
 *
 * The judge is ftl_eval_graph() on the same graph in f64. */
#ifndef FTL_TESTS_SUPPORT_OP_CASES_H
#define FTL_TESTS_SUPPORT_OP_CASES_H

#include "core/graph.h"
#include "device/device.h"

enum { FTL_OP_CASE_SOURCES = 16 };

/* What a source is filled with. */
typedef struct ftl_op_fill {
    double low, high;     /* uniform in [low, high), integers rounded down */
    const double *values; /* or these, over and over                       */
    int32_t n_values;
} ftl_op_fill;

typedef struct ftl_op_case ftl_op_case;

/* A graph in the making; fills in the order of its sources. */
typedef struct ftl_op_build {
    const ftl_op_case *of;
    ftl_graph *graph;
    int32_t n_sources;
    ftl_op_fill fill[FTL_OP_CASE_SOURCES];
} ftl_op_build;

struct ftl_op_case {
    ftl_op op;
    const char *name;
    void (*build)(ftl_op_build *b);
    ftl_dtype dtype;
    int32_t variant;  /* what it means is the builder's business                          */
    double tolerance; /* |got - want| <= tolerance * max(1, |want|); 0: the type's default */
    double range[2];  /* low and high of the inputs; equal: a list of edge values          */
};

extern const ftl_op_case ftl_op_cases[];
extern const int32_t ftl_n_op_cases;

/* Builders that live in other files than the table. */
#define FTL_OP_BUILDER(name) void ftl_build_##name(ftl_op_build *b)
FTL_OP_BUILDER(matmul);
FTL_OP_BUILDER(linear);
FTL_OP_BUILDER(conv);
FTL_OP_BUILDER(pool);
FTL_OP_BUILDER(lrn);
FTL_OP_BUILDER(batch_norm);
FTL_OP_BUILDER(norm);
FTL_OP_BUILDER(softmax);
FTL_OP_BUILDER(rope);
FTL_OP_BUILDER(kv_write);
FTL_OP_BUILDER(attention);
FTL_OP_BUILDER(cross_entropy);
FTL_OP_BUILDER(adam);

/* A source with the case's own range; kind INPUT, WEIGHT or PARAM. */
int32_t ftl_op_source(ftl_op_build *b, ftl_tensor_kind kind, ftl_dtype dtype, int32_t rank,
                      const int64_t *dim);
/* The same with another range, or a list of values. */
int32_t ftl_op_source_range(ftl_op_build *b, ftl_tensor_kind kind, ftl_dtype dtype, int32_t rank,
                            const int64_t *dim, double low, double high);
int32_t ftl_op_source_list(ftl_op_build *b, ftl_dtype dtype, int32_t rank, const int64_t *dim,
                           const double *values, int32_t n);
#define FTL_DIMS(...)                                                                              \
    (int32_t)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), (const int64_t[])             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Runs the case on the device; 0 when all is close, else 1 and the reason is printed. */
int ftl_op_case_check(ftl_device *device, const ftl_op_case *of);
/* The first row of ops.def that has no case, or FTL_OP_COUNT. */
ftl_op ftl_op_cases_lack(void);
/* One TAP line a case on the device, and one for completeness; the exit code of main. */
int ftl_op_cases_main(ftl_device *device);

#endif
