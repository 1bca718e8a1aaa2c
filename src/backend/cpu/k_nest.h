/* SPDX-License-Identifier: Apache-2.0 */
/* k_nest.h - walks a nest along pieces of its last axis, from any element on.  Plain C in a header,
 * so that the kernels link without the rest of the library. */
#ifndef FTL_BACKEND_CPU_K_NEST_H
#define FTL_BACKEND_CPU_K_NEST_H

#include "backend/cpu/kernels_move.h"

/* Bytes of one element of a plain type. */
static inline size_t k_dtype_bytes(ftl_dtype dtype)
{
    switch (dtype) {
#define X(id, number, name, kind, block, block_bytes, ...)                                         \
    case FTL_DTYPE_##id:                                                                           \
        return block_bytes;
#include "core/dtypes.def"
#undef X
    default: return 0;
    }
}

typedef struct k_nest_place {
    int64_t index[FTL_MAX_RANK];
    int64_t offset[FTL_NEST_ARRAYS];
} k_nest_place;

/* To element `flat` of the index space, counted in row-major order. */
static inline void k_nest_seek(const ftl_nest *nest, k_nest_place *p, int64_t flat)
{
    for (int32_t a = 0; a < nest->n_arrays; a++) p->offset[a] = 0;
    for (int32_t i = nest->rank - 1; i >= 0; i--) {
        p->index[i] = flat % nest->dim[i];
        flat /= nest->dim[i];
        for (int32_t a = 0; a < nest->n_arrays; a++)
            p->offset[a] += p->index[i] * nest->stride[a][i];
    }
}

/* How many elements of the last axis lie from here on, at most `most`. */
static inline int64_t k_nest_run(const ftl_nest *nest, const k_nest_place *p, int64_t most)
{
    const int64_t rest = nest->dim[nest->rank - 1] - p->index[nest->rank - 1];
    return rest < most ? rest : most;
}

/* On by n elements, which is at most the run. */
static inline void k_nest_step(const ftl_nest *nest, k_nest_place *p, int64_t n)
{
    for (int32_t i = nest->rank - 1; i >= 0; i--) {
        const bool carries = (p->index[i] += n) == nest->dim[i];
        const int64_t steps = carries ? n - nest->dim[i] : n;
        if (carries) p->index[i] = 0;
        for (int32_t a = 0; a < nest->n_arrays; a++) p->offset[a] += steps * nest->stride[a][i];
        if (!carries) return;
        n = 1;
    }
}

#endif
