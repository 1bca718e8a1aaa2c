/* SPDX-License-Identifier: Apache-2.0 */
/* Building of panels with AVX-512 moves. */
#include "backend/cpu/kernels.h"

#include "backend/cpu/k_pack_f32.h"

void k_pack_spans_f32_avx512(float *dst, const float *src, const int64_t *k_offset, int64_t k,
                             const ftl_pack_spans *spans)
{
    k_pack_spans(dst, src, k_offset, k, spans);
}

void k_pack_turn_f32_avx512(float *dst, int64_t width, const float *src, int64_t ld, int64_t rows,
                            int64_t k)
{
    k_pack_turn(dst, width, src, ld, rows, k);
}
