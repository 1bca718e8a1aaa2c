/* SPDX-License-Identifier: Apache-2.0 */
/* k_pack_f32.h - building of panels, plain C that each ISA's file includes: copies of a constant
 * number of floats become that ISA's vector moves. */
#ifndef FTL_BACKEND_CPU_K_PACK_F32_H
#define FTL_BACKEND_CPU_K_PACK_F32_H

#include <string.h>

#include "backend/cpu/kernels.h"

/* `n` spans a row; a constant n keeps the offsets in registers. */
static inline __attribute__((always_inline)) void k_pack_spans_n(float *dst, const float *src,
                                                                 const int64_t *k_offset, int64_t k,
                                                                 const ftl_pack_spans *spans,
                                                                 const int64_t n)
{
    const int64_t width = spans->width, filled = spans->filled;
    for (int64_t p = 0; p < k; p++, dst += width) {
        const float *row = src + k_offset[p];
        for (int64_t s = 0; s < n; s++)
            memcpy(dst + spans->to[s], row + spans->from[s], FTL_SPAN * sizeof *dst);
        for (int64_t i = filled; i < width; i++) dst[i] = 0.0f;
    }
}

static inline void k_pack_spans(float *dst, const float *src, const int64_t *k_offset, int64_t k,
                                const ftl_pack_spans *spans)
{
    /* A copy whose address goes nowhere: stores to dst cannot change it. */
    const ftl_pack_spans local = *spans;
    switch (local.n) {
    case 1: k_pack_spans_n(dst, src, k_offset, k, &local, 1); break;
    case 2: k_pack_spans_n(dst, src, k_offset, k, &local, 2); break;
    case 3: k_pack_spans_n(dst, src, k_offset, k, &local, 3); break;
    case 4: k_pack_spans_n(dst, src, k_offset, k, &local, 4); break;
    case 5: k_pack_spans_n(dst, src, k_offset, k, &local, 5); break;
    case 6: k_pack_spans_n(dst, src, k_offset, k, &local, 6); break;
    default: k_pack_spans_n(dst, src, k_offset, k, &local, local.n); break;
    }
}

/* k in steps of a cache line, so that each line of the rows is read once. */
static inline void k_pack_turn(float *__restrict dst, int64_t width, const float *__restrict src,
                               int64_t ld, int64_t rows, int64_t k)
{
    for (int64_t p0 = 0; p0 < k; p0 += FTL_SPAN) {
        const int64_t p1 = p0 + FTL_SPAN < k ? p0 + FTL_SPAN : k;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t p = p0; p < p1; p++) dst[p * width + i] = src[i * ld + p];
        for (int64_t p = p0; p < p1; p++)
            for (int64_t i = rows; i < width; i++) dst[p * width + i] = 0.0f;
    }
}

#endif
