/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that move elements.  All but gather and scatter are one strided copy. */
#include <string.h>

#include "core/eval_internal.h"

static const void *at(const void *data, int64_t i, size_t bytes)
{
    return (const char *)data + i * (int64_t)bytes;
}

static void *at_out(void *data, int64_t i, size_t bytes)
{
    return (char *)data + i * (int64_t)bytes;
}

/* ---- the strided copy ---------------------------------------------------------------------- */

static void copy_row(size_t bytes, void *dst, int64_t sd, const void *src, int64_t ss, int64_t n)
{
    if (sd == 1 && ss == 1) {
        memcpy(dst, src, (size_t)n * bytes);
        return;
    }
    switch (bytes) {
    case 1:
        for (int64_t i = 0; i < n; i++) ((uint8_t *)dst)[i * sd] = ((const uint8_t *)src)[i * ss];
        break;
    case 2:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)dst)[i * sd] = ((const uint16_t *)src)[i * ss];
        break;
    case 4:
        for (int64_t i = 0; i < n; i++) ((uint32_t *)dst)[i * sd] = ((const uint32_t *)src)[i * ss];
        break;
    default:
        for (int64_t i = 0; i < n; i++) ((uint64_t *)dst)[i * sd] = ((const uint64_t *)src)[i * ss];
        break;
    }
}

/* One side walks rows, the other columns: tiles of 32 x 32 keep the lines of both in cache.
 * The nest's last two axes are the plane. */
static void copy_plane(const ftl_eval_nest *nest, size_t bytes, void *dst, const void *src)
{
    enum { TILE = 32 };
    const int32_t p = nest->rank - 2, q = nest->rank - 1;
    const int64_t rows = nest->dim[p], cols = nest->dim[q];
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < cols; c0 += TILE) {
            const int64_t r1 = r0 + TILE < rows ? r0 + TILE : rows;
            const int64_t n = c0 + TILE < cols ? TILE : cols - c0;
            for (int64_t r = r0; r < r1; r++)
                copy_row(bytes,
                         at_out(dst, r * nest->stride[0][p] + c0 * nest->stride[0][q], bytes),
                         nest->stride[0][q],
                         at(src, r * nest->stride[1][p] + c0 * nest->stride[1][q], bytes),
                         nest->stride[1][q], n);
        }
}

static void swap_axes(ftl_eval_nest *nest, int32_t a, int32_t b)
{
    const ftl_eval_nest old = *nest;
    nest->dim[a] = old.dim[b];
    nest->dim[b] = old.dim[a];
    for (int32_t i = 0; i < nest->n_arrays; i++) {
        nest->stride[i][a] = old.stride[i][b];
        nest->stride[i][b] = old.stride[i][a];
    }
}

void ftl_eval_copy(ftl_eval_nest nest, size_t bytes, void *dst, const void *src)
{
    ftl_eval_collapse(&nest);
    /* The axis along which the source is contiguous becomes the last but one. */
    bool is_plane = false;
    for (int32_t i = 0; i < nest.rank - 1 && nest.stride[1][nest.rank - 1] != 1; i++)
        if (nest.stride[1][i] == 1 && nest.stride[1][nest.rank - 1] != 0) {
            swap_axes(&nest, i, nest.rank - 2);
            is_plane = true;
            break;
        }
    ftl_eval_nest outer = nest; /* without the row, or the plane, that is copied at once */
    if (is_plane) outer.rank = nest.rank - 1;
    const int32_t last = nest.rank - 1;
    int64_t index[FTL_MAX_RANK] = { 0 }, offset[FTL_EVAL_ARRAYS] = { 0 };
    do {
        void *to = at_out(dst, offset[0], bytes);
        const void *from = at(src, offset[1], bytes);
        if (is_plane) copy_plane(&nest, bytes, to, from);
        else copy_row(bytes, to, nest.stride[0][last], from, nest.stride[1][last], nest.dim[last]);
    } while (ftl_eval_next(&outer, index, offset));
}

/* Index space `desc`; strides of the dense output and of the dense input as it is. */
static ftl_eval_nest dense_nest(const ftl_tensor_desc *space, const ftl_tensor_desc *dst,
                                const ftl_tensor_desc *src)
{
    ftl_eval_nest nest = { .rank = space->rank, .n_arrays = 2 };
    memcpy(nest.dim, space->dim, sizeof nest.dim);
    int64_t to = 1, from = 1;
    for (int32_t i = space->rank - 1; i >= 0; i--) {
        nest.stride[0][i] = to;
        nest.stride[1][i] = from;
        to *= dst->dim[i];
        from *= src->dim[i];
    }
    return nest;
}

static size_t element_bytes(const ftl_eval_call *c)
{
    return ftl_dtype_bytes(c->out_desc.dtype);
}

ftl_status ftl_eval_same_bytes(const ftl_eval_call *c)
{
    memcpy(c->out[0], c->in[0], ftl_desc_bytes_checked(&c->out_desc));
    return FTL_OK;
}

ftl_status ftl_eval_broadcast(const ftl_eval_call *c)
{
    ftl_eval_nest nest = dense_nest(&c->out_desc, &c->out_desc, &c->out_desc);
    ftl_eval_strides(ftl_eval_in(c, 0), &c->out_desc, nest.stride[1]);
    ftl_eval_copy(nest, element_bytes(c), c->out[0], c->in[0]);
    return FTL_OK;
}

ftl_status ftl_eval_transpose(const ftl_eval_call *c)
{
    const ftl_tensor_desc *in = ftl_eval_in(c, 0);
    ftl_eval_nest nest = dense_nest(&c->out_desc, &c->out_desc, in);
    int64_t stride[FTL_MAX_RANK];
    memcpy(stride, nest.stride[1], sizeof stride);
    for (int32_t i = 0; i < nest.rank; i++) nest.stride[1][i] = stride[c->node->attr.perm.perm[i]];
    ftl_eval_copy(nest, element_bytes(c), c->out[0], c->in[0]);
    return FTL_OK;
}

ftl_status ftl_eval_slice(const ftl_eval_call *c)
{
    const ftl_attr_slice *a = &c->node->attr.slice;
    ftl_eval_nest nest = dense_nest(&c->out_desc, &c->out_desc, ftl_eval_in(c, 0));
    int64_t first = 0;
    for (int32_t i = 0; i < nest.rank; i++) {
        first += a->start[i] * nest.stride[1][i];
        nest.stride[1][i] *= a->step[i];
    }
    ftl_eval_copy(nest, element_bytes(c), c->out[0], at(c->in[0], first, element_bytes(c)));
    return FTL_OK;
}

ftl_status ftl_eval_reverse(const ftl_eval_call *c)
{
    ftl_eval_nest nest = dense_nest(&c->out_desc, &c->out_desc, &c->out_desc);
    int64_t first = 0;
    for (int32_t i = 0; i < nest.rank; i++) {
        if (!(c->node->attr.reduce.axes >> i & 1)) continue;
        first += (nest.dim[i] - 1) * nest.stride[1][i];
        nest.stride[1][i] = -nest.stride[1][i];
    }
    ftl_eval_copy(nest, element_bytes(c), c->out[0], at(c->in[0], first, element_bytes(c)));
    return FTL_OK;
}

ftl_status ftl_eval_pad(const ftl_eval_call *c)
{
    const ftl_attr_pad *a = &c->node->attr.pad;
    const ftl_tensor_desc *in = ftl_eval_in(c, 0);
    const size_t bytes = element_bytes(c);
    const ftl_tensor_desc one = { .dtype = in->dtype };
    uint64_t value = 0;
    ftl_element_set(in->dtype, &value, 0, a->value);
    ftl_eval_nest fill = dense_nest(&c->out_desc, &c->out_desc, &c->out_desc);
    ftl_eval_strides(&one, &c->out_desc, fill.stride[1]);
    ftl_eval_copy(fill, bytes, c->out[0], &value);
    if (ftl_desc_count_checked(in) == 0) return FTL_OK;
    ftl_eval_nest nest = dense_nest(in, &c->out_desc, in);
    int64_t first = 0;
    for (int32_t i = 0; i < nest.rank; i++) {
        first += a->low[i] * nest.stride[0][i];
        nest.stride[0][i] *= a->interior[i] + 1;
    }
    ftl_eval_copy(nest, bytes, at_out(c->out[0], first, bytes), c->in[0]);
    return FTL_OK;
}

ftl_status ftl_eval_concat(const ftl_eval_call *c)
{
    const int32_t axis = c->node->attr.axis.axis;
    const size_t bytes = element_bytes(c);
    const int64_t inner = ftl_desc_span(&c->out_desc, axis + 1, c->out_desc.rank);
    int64_t first = 0;
    for (int32_t k = 0; k < c->node->n_in; k++) {
        const ftl_tensor_desc *in = ftl_eval_in(c, k);
        if (ftl_desc_count_checked(in) > 0)
            ftl_eval_copy(dense_nest(in, &c->out_desc, in), bytes, at_out(c->out[0], first, bytes),
                          c->in[k]);
        first += in->dim[axis] * inner;
    }
    return FTL_OK;
}

ftl_status ftl_eval_iota(const ftl_eval_call *c)
{
    const ftl_tensor_desc *d = &c->out_desc;
    const int32_t axis = c->node->attr.shape.axis;
    const int64_t inner = ftl_desc_span(d, axis + 1, d->rank), n = ftl_desc_count_checked(d);
    for (int64_t i = 0; i < n; i++) {
        const int64_t value = i / inner % d->dim[axis];
        if (ftl_eval_is_exact(d->dtype)) ftl_eval_set_int(d->dtype, c->out[0], i, (uint64_t)value);
        else ftl_element_set(d->dtype, c->out[0], i, (double)value);
    }
    return FTL_OK;
}

/* ---- by index ------------------------------------------------------------------------------ */

static int64_t index_at(const ftl_eval_call *c, int64_t i)
{
    return (int64_t)ftl_eval_get_int(ftl_eval_in(c, 1)->dtype, c->in[1], i);
}

ftl_status ftl_eval_gather(const ftl_eval_call *c)
{
    const ftl_tensor_desc *data = ftl_eval_in(c, 0);
    const int32_t axis = c->node->attr.axis.axis;
    const int64_t outer = ftl_desc_span(data, 0, axis), size = data->dim[axis],
                  n = ftl_desc_count_checked(ftl_eval_in(c, 1));
    const size_t row = (size_t)ftl_desc_span(data, axis + 1, data->rank) * element_bytes(c);
    char *out = c->out[0];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++, out += row) {
            const int64_t wanted = index_at(c, i);
            const int64_t k = wanted < 0 ? 0 : wanted >= size ? size - 1 : wanted;
            memcpy(out, at(c->in[0], o * size + k, row), row);
        }
    return FTL_OK;
}

ftl_status ftl_eval_scatter(const ftl_eval_call *c)
{
    const ftl_tensor_desc *d = &c->out_desc;
    const int64_t n = ftl_eval_in(c, 1)->dim[0], width = ftl_desc_span(d, 1, d->rank);
    const size_t row = (size_t)width * element_bytes(c);
    memcpy(c->out[0], c->in[0], ftl_desc_bytes_checked(d));
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = index_at(c, i);
        if (k < 0 || k >= d->dim[0]) continue;
        void *to = at_out(c->out[0], k, row);
        const void *from = at(c->in[2], i, row);
        if (c->node->attr.scatter.add)
            ftl_eval_binary_row(FTL_OP_add, d->dtype, to, to, 1, from, 1, width);
        else memcpy(to, from, row);
    }
    return FTL_OK;
}
