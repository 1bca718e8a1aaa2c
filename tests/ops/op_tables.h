/* SPDX-License-Identifier: Apache-2.0 */
/* op_tables.h - runs a test with every table of f32 kernels in turn. */
#ifndef FTL_TESTS_OPS_OP_TABLES_H
#define FTL_TESTS_OPS_OP_TABLES_H

#include "backend/cpu/kernels_ops.h"
#include "base/cpuid.h"
#include "ops/op_check.h"

typedef void op_table_test(const ftl_ops_f32 *table);

static inline void op_each_table(const char *what, op_table_test *const *tests, int n_tests)
{
    for (int i = 0; i < ftl_n_ops_f32_tables; i++) {
        const ftl_ops_f32 *t = ftl_ops_f32_tables[i];
        if ((ftl_cpu_isa() & t->isa) != t->isa) op_skip(what, "this CPU lacks %s", t->name);
        else
            for (int k = 0; k < n_tests; k++) tests[k](t);
    }
}

/* A desc from dims that end with -1. */
static inline ftl_tensor_desc op_desc(ftl_dtype dtype, const int64_t *dims)
{
    ftl_tensor_desc d = { .dtype = dtype };
    while (d.rank < FTL_MAX_RANK && dims[d.rank] >= 0) {
        d.dim[d.rank] = dims[d.rank];
        d.rank++;
    }
    return d;
}

static inline int64_t op_count(const ftl_tensor_desc *d)
{
    int64_t n = 1;
    for (int32_t i = 0; i < d->rank; i++) n *= d->dim[i];
    return n;
}

#endif
