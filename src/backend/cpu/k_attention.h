/* SPDX-License-Identifier: Apache-2.0 */
/* k_attention.h - how the scratch of attention is cut up; the same for all instruction sets. */
#ifndef FTL_BACKEND_CPU_K_ATTENTION_H
#define FTL_BACKEND_CPU_K_ATTENTION_H

#include "backend/cpu/kernels_ops.h"

enum { ATTENTION_KEYS = 64, ATTENTION_ROWS = 64, ATTENTION_STEP = 32 };

typedef struct k_attention_scratch {
    float *qt, *st, *o;        /* [d][width], [ATTENTION_KEYS][width], [width][dv_width] */
    float *max, *sum, *factor; /* [width] */
    int32_t *lo, *hi;          /* [width] */
    int64_t *row;              /* [ATTENTION_KEYS] */
    int64_t dv_width;
} k_attention_scratch;

/* Cuts the scratch; returns its size in bytes.  scratch may be NULL when only that is asked for. */
size_t k_attention_scratch_cut(k_attention_scratch *s, const ftl_attention_job *job, void *scratch);

#endif
