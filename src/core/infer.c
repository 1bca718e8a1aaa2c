/* SPDX-License-Identifier: Apache-2.0 */
/* Shape rules of ops.def: descs of the inputs in, descs of the outputs out.  Everything that a
 * file can get wrong about shapes is refused here, once, so that kernels may trust what they
 * get. */
#include <string.h>

#include "core/rules.h"

static const ftl_tensor_desc *desc_of(const ftl_graph *g, const ftl_node *n, int32_t i)
{
    return i < n->n_in ? ftl_graph_peek_desc(g, n->in[i]) : NULL;
}

/* "f32[2,3] and f32[4]: <why>" */
static ftl_status refuse(const ftl_graph *g, const ftl_node *n, const char *why)
{
    char text[480];
    size_t used = 0;
    text[0] = 0;
    for (int32_t i = 0; i < n->n_in && i < 4 && used + 100 < sizeof text; i++) {
        char one[FTL_DESC_TEXT];
        const ftl_tensor_desc *d = desc_of(g, n, i);
        const char *shown = d ? ftl_desc_print(d, one, sizeof one) : "-";
        const size_t room = sizeof text - used;
        const size_t length = strlen(shown) + (i ? 2 : 0);
        if (length + 1 > room) break;
        if (i) memcpy(text + used, ", ", 2);
        memcpy(text + used + (i ? 2 : 0), shown, strlen(shown) + 1);
        used += length;
    }
    return ftl_fail(FTL_EINVAL, "%s: %s", text, why);
}

bool ftl_desc_broadcast(const ftl_tensor_desc *a, const ftl_tensor_desc *b, ftl_tensor_desc *out)
{
    const int32_t rank = a->rank > b->rank ? a->rank : b->rank;
    ftl_tensor_desc r = { .dtype = a->dtype, .rank = rank };
    for (int32_t i = 0; i < rank; i++) {
        const int32_t ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        const int64_t da = ia >= 0 ? a->dim[ia] : 1, db = ib >= 0 ? b->dim[ib] : 1;
        if (da != db && da != 1 && db != 1) return false;
        r.dim[i] = da == 1 ? db : da;
    }
    *out = r;
    return true;
}

ftl_status ftl_infer_binary(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *a = desc_of(g, n, 0), *b = desc_of(g, n, 1);
    if (a->dtype != b->dtype) return refuse(g, n, "the element types differ");
    if (!ftl_desc_broadcast(a, b, out)) return refuse(g, n, "the shapes do not broadcast");
    return FTL_OK;
}

ftl_status ftl_infer_compare(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    FTL_TRY(ftl_infer_binary(g, n, out));
    out->dtype = FTL_DTYPE_BOOL;
    return FTL_OK;
}

ftl_status ftl_infer_select(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *c = desc_of(g, n, 0), *a = desc_of(g, n, 1), *b = desc_of(g, n, 2);
    ftl_tensor_desc both;
    if (c->dtype != FTL_DTYPE_BOOL) return refuse(g, n, "the condition is not bool");
    if (a->dtype != b->dtype) return refuse(g, n, "the element types differ");
    if (!ftl_desc_broadcast(a, b, &both) || !ftl_desc_broadcast(&both, c, out))
        return refuse(g, n, "the shapes do not broadcast");
    return FTL_OK;
}

ftl_status ftl_infer_same(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    return FTL_OK;
}

ftl_status ftl_infer_same_float(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    if (!ftl_dtype_is_float(out->dtype)) return refuse(g, n, "floats are needed");
    return FTL_OK;
}

ftl_status ftl_infer_convert(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    out->dtype = n->attr.convert.dtype;
    return FTL_OK;
}

/* ---- shape and movement -------------------------------------------------------------------- */

static ftl_status take_shape(const ftl_graph *g, const ftl_node *n, ftl_dtype dtype,
                             ftl_tensor_desc *out)
{
    const ftl_attr_shape *a = &n->attr.shape;
    if (a->rank < 0 || a->rank > FTL_MAX_RANK) return refuse(g, n, "the rank is over 8");
    *out = (ftl_tensor_desc){ .dtype = dtype, .rank = a->rank };
    for (int32_t i = 0; i < a->rank; i++) out->dim[i] = a->dim[i];
    return FTL_OK;
}

ftl_status ftl_infer_reshape(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    FTL_TRY(take_shape(g, n, x->dtype, out));
    int64_t count = 1, total;
    int32_t unknown = -1;
    for (int32_t i = 0; i < out->rank; i++) {
        if (out->dim[i] == FTL_DIM_COPY) {
            if (i >= x->rank) return refuse(g, n, "a dim is copied from an axis that is not there");
            out->dim[i] = x->dim[i];
        }
        if (out->dim[i] == FTL_DIM_INFER) {
            if (unknown >= 0) return refuse(g, n, "two dims are left open");
            unknown = i;
        } else if (out->dim[i] < 0 || __builtin_mul_overflow(count, out->dim[i], &count)) {
            return refuse(g, n, "a dim is negative or too large");
        }
    }
    if (!ftl_desc_count(x, &total)) return refuse(g, n, "the input is too large");
    if (unknown >= 0) {
        if (count == 0 || total % count) return refuse(g, n, "the open dim has no whole size");
        out->dim[unknown] = total / count;
        count = total;
    }
    if (count != total) {
        char text[FTL_DESC_TEXT], from[FTL_DESC_TEXT];
        return ftl_fail(FTL_EINVAL, "%s does not have the elements of %s",
                        ftl_desc_print(x, from, sizeof from),
                        ftl_desc_print(out, text, sizeof text));
    }
    return FTL_OK;
}

ftl_status ftl_infer_broadcast(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    ftl_tensor_desc both;
    FTL_TRY(take_shape(g, n, x->dtype, out));
    if (!ftl_desc_broadcast(x, out, &both) || !ftl_desc_equal(&both, out))
        return refuse(g, n, "it does not broadcast to the shape asked for");
    return FTL_OK;
}

ftl_status ftl_infer_transpose(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    uint32_t seen = 0;
    *out = (ftl_tensor_desc){ .dtype = x->dtype, .rank = x->rank };
    for (int32_t i = 0; i < x->rank; i++) {
        const int32_t axis = n->attr.perm.perm[i];
        if (axis < 0 || axis >= x->rank || (seen >> axis & 1))
            return refuse(g, n, "the axes are no permutation");
        seen |= 1u << axis;
        out->dim[i] = x->dim[axis];
    }
    return FTL_OK;
}

ftl_status ftl_infer_slice(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const ftl_attr_slice *a = &n->attr.slice;
    *out = *x;
    for (int32_t i = 0; i < x->rank; i++) {
        if (a->start[i] < 0 || a->limit[i] < a->start[i] || a->limit[i] > x->dim[i] ||
            a->step[i] < 1)
            return refuse(g, n, "the slice lies outside");
        const int64_t reach = a->limit[i] - a->start[i]; /* a step may be as large as int64 goes */
        out->dim[i] = reach ? (reach - 1) / a->step[i] + 1 : 0;
    }
    return FTL_OK;
}

ftl_status ftl_infer_reverse(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    *out = *desc_of(g, n, 0);
    if (n->attr.reduce.axes >> out->rank) return refuse(g, n, "there is no such axis");
    return FTL_OK;
}

ftl_status ftl_infer_pad(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const ftl_attr_pad *a = &n->attr.pad;
    *out = *x;
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t inside = 0, sum;
        if (a->low[i] < 0 || a->high[i] < 0 || a->interior[i] < 0)
            return refuse(g, n, "a pad is negative");
        if (x->dim[i] > 1 && __builtin_mul_overflow(x->dim[i] - 1, a->interior[i], &inside))
            return refuse(g, n, "a pad is too large");
        if (__builtin_add_overflow(a->low[i], a->high[i], &sum) ||
            __builtin_add_overflow(sum, inside, &sum) ||
            __builtin_add_overflow(sum, x->dim[i], &out->dim[i]))
            return refuse(g, n, "a pad is too large");
    }
    return FTL_OK;
}

ftl_status ftl_infer_concat(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *first = desc_of(g, n, 0);
    const int32_t axis = n->attr.axis.axis;
    *out = *first;
    if (axis < 0 || axis >= first->rank) return refuse(g, n, "there is no such axis");
    for (int32_t k = 1; k < n->n_in; k++) {
        const ftl_tensor_desc *d = desc_of(g, n, k);
        if (!d) return refuse(g, n, "an input is missing");
        bool fits = d->dtype == first->dtype && d->rank == first->rank;
        for (int32_t i = 0; fits && i < d->rank; i++)
            fits = i == axis || d->dim[i] == first->dim[i];
        if (!fits || __builtin_add_overflow(out->dim[axis], d->dim[axis], &out->dim[axis]))
            return refuse(g, n, "the inputs differ off the axis that is joined");
    }
    return FTL_OK;
}

ftl_status ftl_infer_iota(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    FTL_TRY(take_shape(g, n, n->attr.shape.dtype, out));
    if (n->attr.shape.axis < 0 || n->attr.shape.axis >= out->rank)
        return refuse(g, n, "there is no such axis");
    return FTL_OK;
}

static bool is_index(const ftl_tensor_desc *d)
{
    return d->dtype == FTL_DTYPE_I32 || d->dtype == FTL_DTYPE_I64;
}

ftl_status ftl_infer_gather(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0), *index = desc_of(g, n, 1);
    const int32_t axis = n->attr.axis.axis;
    if (!is_index(index)) return refuse(g, n, "indices are i32 or i64");
    if (axis < 0 || axis >= x->rank) return refuse(g, n, "there is no such axis");
    if (x->rank - 1 + index->rank > FTL_MAX_RANK) return refuse(g, n, "the rank is over 8");
    int64_t n_indices;
    if (x->dim[axis] == 0 && (!ftl_desc_count(index, &n_indices) || n_indices > 0))
        return refuse(g, n, "nothing to gather from");
    *out = (ftl_tensor_desc){ .dtype = x->dtype, .rank = x->rank - 1 + index->rank };
    int32_t o = 0;
    for (int32_t i = 0; i < axis; i++) out->dim[o++] = x->dim[i];
    for (int32_t i = 0; i < index->rank; i++) out->dim[o++] = index->dim[i];
    for (int32_t i = axis + 1; i < x->rank; i++) out->dim[o++] = x->dim[i];
    return FTL_OK;
}

/* Row n of `rows` belongs to row index[n] of `data`. */
static ftl_status infer_rows(const ftl_graph *g, const ftl_node *n, const ftl_tensor_desc *data,
                             const ftl_tensor_desc *index, const ftl_tensor_desc *rows,
                             ftl_tensor_desc *out)
{
    bool fits = is_index(index) && index->rank == 1 && rows->dtype == data->dtype &&
                data->rank >= 1 && rows->rank == data->rank && rows->dim[0] == index->dim[0];
    for (int32_t i = 1; fits && i < data->rank; i++) fits = rows->dim[i] == data->dim[i];
    if (!fits) return refuse(g, n, "rows and indices do not fit the data");
    *out = *data;
    return FTL_OK;
}

ftl_status ftl_infer_scatter(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    return infer_rows(g, n, desc_of(g, n, 0), desc_of(g, n, 1), desc_of(g, n, 2), out);
}

ftl_status ftl_infer_kv_write(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    return infer_rows(g, n, desc_of(g, n, 0), desc_of(g, n, 2), desc_of(g, n, 1), out);
}

/* ---- reductions ---------------------------------------------------------------------------- */

ftl_status ftl_infer_reduce(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const uint32_t axes = n->attr.reduce.axes;
    if (axes >> x->rank) return refuse(g, n, "there is no such axis");
    *out = (ftl_tensor_desc){ .dtype = x->dtype };
    for (int32_t i = 0; i < x->rank; i++) {
        if (!(axes >> i & 1)) out->dim[out->rank++] = x->dim[i];
        else if (n->attr.reduce.keep) out->dim[out->rank++] = 1;
    }
    return FTL_OK;
}

ftl_status ftl_infer_arg_max(const ftl_graph *g, const ftl_node *n, ftl_tensor_desc *out)
{
    const ftl_tensor_desc *x = desc_of(g, n, 0);
    const int32_t axis = n->attr.axis.axis;
    if (axis < 0 || axis >= x->rank) return refuse(g, n, "there is no such axis");
    if (x->dim[axis] < 1) return refuse(g, n, "an empty axis has no largest element");
    if (x->dim[axis] > INT32_MAX) return refuse(g, n, "the axis is too long for i32");
    *out = (ftl_tensor_desc){ .dtype = FTL_DTYPE_I32 };
    for (int32_t i = 0; i < x->rank; i++) {
        if (i != axis) out->dim[out->rank++] = x->dim[i];
        else if (n->attr.axis.keep) out->dim[out->rank++] = 1;
    }
    return FTL_OK;
}
