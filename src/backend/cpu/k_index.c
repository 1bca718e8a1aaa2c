/* SPDX-License-Identifier: Apache-2.0 */
/* Pad, fill, iota, gather, scatter, kv_write. */
#include "backend/cpu/kernels_move.h"

#include <string.h>

#include "backend/cpu/k_nest.h"

/* ---- fill, pad, iota ------------------------------------------------------------------------ */

static void fill(size_t bytes, char *dst, const void *value, int64_t n)
{
    switch (bytes) {
#define FILL(type)                                                                                 \
    {                                                                                              \
        type v;                                                                                    \
        memcpy(&v, value, sizeof v);                                                               \
        type *to = (type *)(void *)dst;                                                            \
        for (int64_t i = 0; i < n; i++) to[i] = v;                                                 \
    }
    case 1: memset(dst, *(const uint8_t *)value, (size_t)n); break;
    case 2: FILL(uint16_t) break;
    case 4: FILL(uint32_t) break;
    default: FILL(uint64_t) break;
#undef FILL
    }
}

void k_fill(size_t bytes, void *dst, const void *value, int64_t begin, int64_t end)
{
    if (begin < end) fill(bytes, (char *)dst + (size_t)begin * bytes, value, end - begin);
}

/* One row of the output that has an input row. */
static void pad_row(const ftl_attr_pad *a, int32_t last, size_t bytes, char *dst, const char *src,
                    int64_t n, const void *value, int64_t out_n)
{
    const int64_t step = a->interior[last] + 1, low = a->low[last];
    if (step == 1 || n <= 1) {
        fill(bytes, dst, value, low);
        memcpy(dst + (size_t)low * bytes, src, (size_t)n * bytes);
        fill(bytes, dst + (size_t)(low + n) * bytes, value, out_n - low - n);
        return;
    }
    fill(bytes, dst, value, out_n);
    for (int64_t i = 0; i < n; i++)
        memcpy(dst + (size_t)(low + i * step) * bytes, src + (size_t)i * bytes, bytes);
}

void k_pad(const ftl_attr_pad *attr, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
           void *dst, const void *src, const void *value, int64_t begin, int64_t end)
{
    const size_t bytes = k_dtype_bytes(out->dtype);
    const int32_t last = out->rank - 1;
    if (out->rank == 0) {
        if (begin < end) memcpy(dst, src, bytes);
        return;
    }
    const int64_t out_n = out->dim[last], n = in->dim[last];
    for (int64_t row = begin; row < end; row++) {
        int64_t rest = row, from = 0, stride = 1;
        bool is_inside = true;
        for (int32_t i = last - 1; i >= 0; i--) {
            const int64_t at = rest % out->dim[i] - attr->low[i], step = attr->interior[i] + 1;
            rest /= out->dim[i];
            is_inside = is_inside && at >= 0 && at % step == 0 && at / step < in->dim[i];
            if (is_inside) from += at / step * stride;
            stride *= in->dim[i];
        }
        char *to = (char *)dst + (size_t)(row * out_n) * bytes;
        if (is_inside && n > 0)
            pad_row(attr, last, bytes, to, (const char *)src + (size_t)(from * n) * bytes, n, value,
                    out_n);
        else fill(bytes, to, value, out_n);
    }
}

bool k_iota(ftl_dtype dtype, void *dst, int64_t n, int64_t inner, int64_t begin, int64_t end)
{
    switch (dtype) {
#define IOTA(dtype_id, type)                                                                       \
    case dtype_id:                                                                                 \
        for (int64_t i = begin; i < end; i++) ((type *)dst)[i] = (type)(i / inner % n);            \
        return true;
        IOTA(FTL_DTYPE_F32, float)
        IOTA(FTL_DTYPE_F64, double)
        IOTA(FTL_DTYPE_I8, int8_t)
        IOTA(FTL_DTYPE_U8, uint8_t)
        IOTA(FTL_DTYPE_I16, int16_t)
        IOTA(FTL_DTYPE_U16, uint16_t)
        IOTA(FTL_DTYPE_I32, int32_t)
        IOTA(FTL_DTYPE_U32, uint32_t)
        IOTA(FTL_DTYPE_I64, int64_t)
        IOTA(FTL_DTYPE_U64, uint64_t)
#undef IOTA
    default: return false;
    }
}

/* ---- by index ------------------------------------------------------------------------------- */

static int64_t index_at(const void *index, int32_t bytes, int64_t i)
{
    return bytes == 4 ? ((const int32_t *)index)[i] : ((const int64_t *)index)[i];
}

void k_gather(const ftl_gather *g, void *dst, const void *src, const void *index, int64_t begin,
              int64_t end)
{
    const int64_t last = g->axis_size - 1;
    for (int64_t r = begin; r < end; r++) {
        const int64_t wanted = index_at(index, g->index_bytes, r % g->n);
        const int64_t k = wanted < 0 ? 0 : wanted > last ? last : wanted;
        const int64_t row = r / g->n * g->axis_size + k;
        if (g->row_bytes == 4) ((uint32_t *)dst)[r] = ((const uint32_t *)src)[row];
        else
            memcpy((char *)dst + (size_t)r * g->row_bytes,
                   (const char *)src + (size_t)row * g->row_bytes, g->row_bytes);
    }
}

static void add_row(ftl_dtype dtype, void *to, const void *from, int64_t n)
{
    switch (dtype) {
    case FTL_DTYPE_I32:
        for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i] += ((const uint32_t *)from)[i];
        break;
    case FTL_DTYPE_I64:
        for (int64_t i = 0; i < n; i++) ((uint64_t *)to)[i] += ((const uint64_t *)from)[i];
        break;
    default:
        for (int64_t i = 0; i < n; i++) ((float *)to)[i] += ((const float *)from)[i];
        break;
    }
}

void k_scatter(const ftl_scatter *s, void *out, const void *data, const void *index,
               const void *rows, int64_t begin, int64_t end)
{
    const size_t row = (size_t)s->width * (size_t)s->bytes;
    if (begin >= end || row == 0) return;
    if (out != data)
        memcpy((char *)out + (size_t)begin * row, (const char *)data + (size_t)begin * row,
               (size_t)(end - begin) * row);
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t k = index_at(index, s->index_bytes, i);
        if (k < begin || k >= end) continue;
        void *to = (char *)out + (size_t)k * row;
        const void *from = (const char *)rows + (size_t)i * row;
        if (s->add) add_row(s->dtype, to, from, s->width);
        else memcpy(to, from, row);
    }
}

void k_kv_write(void *pool, const void *rows, const int32_t *slots, size_t row_bytes,
                int64_t n_slots, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++)
        if (slots[i] >= 0 && slots[i] < n_slots)
            memcpy((char *)pool + (size_t)slots[i] * row_bytes,
                   (const char *)rows + (size_t)i * row_bytes, row_bytes);
}
