/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that make shapes, change them, or move whole blocks. */
#include <math.h>
#include <string.h>

#include "core/op.h"
#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

/* ---- shapes as data ------------------------------------------------------------------------ */

/* start and end of opset 15 are clamped. */
void ftl_onnx_op_shape(ftl_onnx_call *c)
{
    const ftl_tensor_desc d = ftl_onnx_desc(c, 0);
    int64_t start = ftl_onnx_attr_int(c, "start", 0), end = ftl_onnx_attr_int(c, "end", d.rank);
    if (start < 0) start = start + d.rank < 0 ? 0 : start + d.rank;
    if (end < 0) end += d.rank;
    if (end > d.rank) end = d.rank;
    if (ftl_onnx_failed(c)) return;
    c->out[0] = ftl_graph_const_i64(c->g, start < end ? d.dim + start : d.dim,
                                    start < end ? end - start : 0);
}

void ftl_onnx_op_size(ftl_onnx_call *c)
{
    const ftl_tensor_desc d = ftl_onnx_desc(c, 0), scalar = { .dtype = FTL_DTYPE_I64 };
    const int64_t n = ftl_onnx_product(c, &d, 0, d.rank);
    c->out[0] = ftl_graph_const(c->g, &scalar, &n);
}

static int32_t stored_list(ftl_onnx_call *c, ftl_dtype dtype, int32_t rank, size_t n,
                           const void *data)
{
    const ftl_tensor_desc desc = { .dtype = dtype, .rank = rank, .dim = { rank ? (int64_t)n : 0 } };
    ftl_host_tensor host;
    const ftl_status s = ftl_host_tensor_view(&host, c->node->outputs[0], &desc, data ? data : "",
                                              n * ftl_dtype_bytes(dtype));
    return s == FTL_OK ? ftl_onnx_stored(c, c->node->outputs[0], &host) : ftl_graph_poison(c->g, s);
}

void ftl_onnx_op_constant(ftl_onnx_call *c)
{
    const ftl_onnx_attr *a = c->node->n_attrs == 1 ? &c->node->attrs[0] : NULL;
    const char *name = a ? a->name : "";
    if (a && a->t && strcmp(name, "value") == 0)
        c->out[0] = ftl_onnx_stored(c, c->node->outputs[0], &a->t->host);
    else if (a && a->type == FTL_ONNX_ATTR_FLOAT && strcmp(name, "value_float") == 0)
        c->out[0] = stored_list(c, FTL_DTYPE_F32, 0, 1, &a->f);
    else if (a && a->type == FTL_ONNX_ATTR_INT && strcmp(name, "value_int") == 0)
        c->out[0] = stored_list(c, FTL_DTYPE_I64, 0, 1, &a->i);
    else if (a && a->type == FTL_ONNX_ATTR_FLOATS && strcmp(name, "value_floats") == 0)
        c->out[0] = stored_list(c, FTL_DTYPE_F32, 1, a->n, a->floats);
    else if (a && a->type == FTL_ONNX_ATTR_INTS && strcmp(name, "value_ints") == 0)
        c->out[0] = stored_list(c, FTL_DTYPE_I64, 1, a->n, a->ints);
    else
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                        "its value stands in %s; one tensor, number or list of numbers is read",
                        a ? name : "no attribute, or in several");
}

/* Large ones whose shape does not depend on the dims stand in for weights: so the light models of
 * the ONNX project are made, and a weight can be filled without ever being in memory twice. */
void ftl_onnx_op_constant_of_shape(ftl_onnx_call *c)
{
    enum { SMALL = 4 };
    ftl_tensor_desc desc = { .dtype = FTL_DTYPE_F32 };
    desc.rank = ftl_onnx_need_ints(c, 0, desc.dim, FTL_MAX_RANK);
    const ftl_onnx_attr *a = ftl_onnx_find_attr(c, "value");
    double value = 0;
    int32_t scalar = -1;
    if (ftl_onnx_failed(c)) return;
    if (a) {
        const ftl_host_tensor *t = a->t ? &a->t->host : NULL;
        uint64_t element = 0;
        if (!t || !t->data || t->bytes != ftl_dtype_bytes(t->desc.dtype)) {
            ftl_onnx_refuse(c, FTL_EFORMAT, "attribute \"value\" is no tensor of one element");
            return;
        }
        memcpy(&element, t->data, t->bytes);
        desc.dtype = t->desc.dtype;
        value = ftl_element_get(desc.dtype, &element, 0);
        const ftl_tensor_desc one = { .dtype = desc.dtype };
        scalar = ftl_graph_const(c->g, &one, &element);
    }
    const bool is_weight = ftl_dtype_is_float(desc.dtype) && ftl_onnx_is_static(c, 0) &&
                           ftl_onnx_product(c, &desc, 0, desc.rank) > SMALL;
    if (is_weight) {
        const ftl_init init = { .kind = FTL_INIT_FILL, .scale = (float)value };
        c->out[0] = ftl_graph_weight(c->g, c->node->outputs[0], &desc, NULL, init);
        return;
    }
    if (scalar < 0) scalar = ftl_graph_const_scalar(c->g, desc.dtype, 0);
    c->out[0] = ftl_emit_broadcast(c->g, scalar, desc.rank, desc.dim);
}

/* start, start + delta, ... before limit */
void ftl_onnx_op_range(ftl_onnx_call *c)
{
    const double start = ftl_onnx_need_number(c, 0, 0), limit = ftl_onnx_need_number(c, 1, 0),
                 delta = ftl_onnx_need_number(c, 2, 1);
    const ftl_dtype dtype = ftl_onnx_desc(c, 0).dtype;
    if (ftl_onnx_failed(c)) return;
    const double steps = ceil((limit - start) / delta);
    if (!(fabs(steps) < INT32_MAX)) { /* NaN too */
        ftl_onnx_refuse(c, FTL_EFORMAT, "from %g to %g by %g is no range", start, limit, delta);
        return;
    }
    const int64_t n = steps > 0 ? (int64_t)steps : 0;
    const int32_t index = ftl_emit_iota(c->g, dtype, n);
    c->out[0] = ftl_emit_add(c->g, ftl_emit_mul(c->g, index, delta), start);
}

/* ---- reshaping ----------------------------------------------------------------------------- */

void ftl_onnx_op_reshape(ftl_onnx_call *c)
{
    ftl_attr attr = ftl_attr_blank();
    int64_t dim[FTL_MAX_RANK];
    attr.shape.rank = ftl_onnx_need_ints(c, 1, dim, FTL_MAX_RANK);
    const bool copies = ftl_onnx_attr_int(c, "allowzero", 0) == 0;
    for (int32_t i = 0; i < attr.shape.rank; i++) {
        if (dim[i] < -1)
            ftl_onnx_refuse(c, FTL_EFORMAT, "dimension %d is %lld", (int)i, (long long)dim[i]);
        attr.shape.dim[i] = dim[i] == 0 && copies ? FTL_DIM_COPY : dim[i];
    }
    c->out[0] = FTL_ADD(c->g, reshape, &attr, ftl_onnx_in(c, 0));
}

void ftl_onnx_op_flatten(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int64_t axis = ftl_onnx_attr_int(c, "axis", 1);
    if (axis < -d.rank || axis > d.rank) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "there is no axis %lld", (long long)axis);
        return;
    }
    const int32_t at = (int32_t)(axis < 0 ? axis + d.rank : axis);
    const int64_t dim[2] = { ftl_onnx_product(c, &d, 0, at), ftl_onnx_product(c, &d, at, d.rank) };
    c->out[0] = ftl_emit_reshape(c->g, x, 2, dim);
}

void ftl_onnx_op_squeeze(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    int64_t axes[FTL_MAX_RANK], dim[FTL_MAX_RANK];
    const int32_t n = ftl_onnx_axes_of(c, 1, axes);
    uint32_t mask = n >= 0 ? ftl_onnx_axis_mask(c, axes, n, d.rank) : 0;
    int32_t rank = 0;
    for (int32_t i = 0; i < d.rank; i++) {
        if (n < 0 && d.dim[i] == 1) mask |= 1u << i;
        if (mask >> i & 1) {
            if (d.dim[i] != 1)
                ftl_onnx_refuse(c, FTL_EFORMAT, "axis %d is %lld long, not 1", (int)i,
                                (long long)d.dim[i]);
        } else {
            dim[rank++] = d.dim[i];
        }
    }
    c->out[0] = ftl_emit_reshape(c->g, x, rank, dim);
}

void ftl_onnx_op_unsqueeze(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    int64_t axes[FTL_MAX_RANK], dim[FTL_MAX_RANK];
    const int32_t n = ftl_onnx_axes_of(c, 1, axes), rank = d.rank + (n < 0 ? 0 : n);
    if (rank > FTL_MAX_RANK) {
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "the rank is over %d", FTL_MAX_RANK);
        return;
    }
    const uint32_t mask = ftl_onnx_axis_mask(c, axes, n, rank);
    int32_t from = 0;
    for (int32_t i = 0; i < rank; i++) dim[i] = mask >> i & 1 ? 1 : d.dim[from++];
    if (!ftl_onnx_failed(c)) c->out[0] = ftl_emit_reshape(c->g, x, rank, dim);
}

void ftl_onnx_op_transpose(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), rank = ftl_emit_desc(c->g, x).rank;
    int64_t perm[FTL_MAX_RANK];
    ftl_attr attr = ftl_attr_blank();
    const int32_t n = ftl_onnx_attr_ints(c, "perm", perm, FTL_MAX_RANK);
    if (n >= 0 && n != rank) ftl_onnx_refuse(c, FTL_EFORMAT, "perm lists %d axes of %d", n, rank);
    for (int32_t i = 0; i < rank; i++)
        attr.perm.perm[i] = n < 0 ? rank - 1 - i : ftl_onnx_axis(c, perm[i], rank);
    c->out[0] = FTL_ADD(c->g, transpose, &attr, x);
}

void ftl_onnx_op_depth_to_space(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int64_t b = ftl_onnx_attr_i32(c, "blocksize", 0, 1, 1 << 15);
    const bool is_crd = ftl_onnx_attr_is(c, "mode", "DCR", "CRD");
    if (ftl_onnx_failed(c)) return;
    if (d.rank != 4 || d.dim[1] % (b * b)) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "channels do not divide into blocks of %lld", (long long)b);
        return;
    }
    const int64_t channels = d.dim[1] / (b * b);
    const int64_t dcr[6] = { d.dim[0], b, b, channels, d.dim[2], d.dim[3] };
    const int64_t crd[6] = { d.dim[0], channels, b, b, d.dim[2], d.dim[3] };
    const int64_t dim[4] = { d.dim[0], channels, d.dim[2] * b, d.dim[3] * b };
    const int32_t split = ftl_emit_reshape(c->g, x, 6, is_crd ? crd : dcr);
    const int32_t moved = ftl_emit_transpose(c->g, split,
                                             is_crd ? (const int32_t[]){ 0, 1, 4, 2, 5, 3 }
                                                    : (const int32_t[]){ 0, 3, 4, 1, 5, 2 });
    c->out[0] = ftl_emit_reshape(c->g, moved, 4, dim);
}

void ftl_onnx_op_space_to_depth(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int64_t b = ftl_onnx_attr_i32(c, "blocksize", 0, 1, 1 << 15);
    if (ftl_onnx_failed(c)) return;
    if (d.rank != 4 || d.dim[2] % b || d.dim[3] % b) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "the image does not divide into blocks of %lld",
                        (long long)b);
        return;
    }
    const int64_t split[6] = { d.dim[0], d.dim[1], d.dim[2] / b, b, d.dim[3] / b, b };
    const int64_t dim[4] = { d.dim[0], d.dim[1] * b * b, d.dim[2] / b, d.dim[3] / b };
    const int32_t blocks = ftl_emit_reshape(c->g, x, 6, split);
    const int32_t moved = ftl_emit_transpose(c->g, blocks, (const int32_t[]){ 0, 3, 5, 1, 2, 4 });
    c->out[0] = ftl_emit_reshape(c->g, moved, 4, dim);
}

/* ---- joining and repeating ----------------------------------------------------------------- */

void ftl_onnx_op_concat(ftl_onnx_call *c)
{
    const size_t n = c->node->n_inputs;
    int32_t *in = ftl_onnx_scratch(c, (int64_t)n, sizeof *in);
    if (!in) return;
    size_t n_in = 0;
    for (size_t i = 0; i < n; i++)
        if (ftl_onnx_has(c, i)) in[n_in++] = ftl_onnx_in(c, i);
    const int32_t axis =
        ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 1), ftl_emit_desc(c->g, in[0]).rank);
    if (!ftl_onnx_failed(c)) c->out[0] = ftl_emit_concat(c->g, in, (int32_t)n_in, axis);
}

/* Lengths of the parts: an attribute, an input, or equal parts (from opset 18 the last may be
 * smaller).  NULL after a refusal. */
static const int64_t *split_sizes(ftl_onnx_call *c, int64_t length)
{
    const int64_t n = (int64_t)c->node->n_outputs;
    int64_t *sizes = ftl_onnx_scratch(c, n, sizeof *sizes);
    if (!sizes) return NULL;
    int32_t given = -1;
    if (ftl_onnx_has(c, 1)) given = ftl_onnx_need_ints(c, 1, sizes, (int32_t)n);
    else given = ftl_onnx_attr_ints(c, "split", sizes, (int32_t)n);
    if (ftl_onnx_failed(c)) return NULL;
    if (given < 0) {
        const int64_t part = c->opset >= 18 ? (length + n - 1) / n : length / n;
        for (int64_t i = 0; i < n; i++) sizes[i] = i + 1 < n ? part : length - part * (n - 1);
    }
    int64_t left = length;
    for (int64_t i = 0; i < n; i++) {
        if (sizes[i] < 0 || sizes[i] > left) break;
        left -= sizes[i];
    }
    const bool is_even = given >= 0 || c->opset >= 18 || length % n == 0;
    if (left == 0 && is_even && (given < 0 || given == n)) return sizes;
    ftl_onnx_refuse(c, FTL_EFORMAT, "an axis of %lld is not split into %lld parts that way",
                    (long long)length, (long long)n);
    return NULL;
}

void ftl_onnx_op_split(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 0), d.rank);
    const int64_t *sizes = ftl_onnx_failed(c) ? NULL : split_sizes(c, d.dim[axis]);
    int64_t start = 0;
    for (size_t i = 0; sizes && i < c->node->n_outputs; i++) {
        if (ftl_onnx_wants(c, i))
            c->out[i] = ftl_emit_slice(c->g, x, axis, start, start + sizes[i], 1);
        start += sizes[i];
    }
}

/* NumPy's rule in both directions: a dim of 1 in the target keeps the input's. */
void ftl_onnx_op_expand(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    ftl_tensor_desc target = { .dtype = d.dtype }, both;
    target.rank = ftl_onnx_need_ints(c, 1, target.dim, FTL_MAX_RANK);
    if (ftl_onnx_failed(c)) return;
    for (int32_t i = 0; i < target.rank; i++)
        if (target.dim[i] < 0) ftl_onnx_refuse(c, FTL_EFORMAT, "dimension %d is negative", (int)i);
    if (!ftl_desc_broadcast(&d, &target, &both)) {
        char from[FTL_DESC_TEXT], to[FTL_DESC_TEXT];
        ftl_onnx_refuse(c, FTL_EFORMAT, "%s does not expand to %s",
                        ftl_desc_print(&d, from, sizeof from),
                        ftl_desc_print(&target, to, sizeof to));
        return;
    }
    c->out[0] = ftl_emit_broadcast(c->g, x, both.rank, both.dim);
}

/* Axis after axis: [outer, 1, axis and inner] broadcast along the middle. */
void ftl_onnx_op_tile(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    int64_t repeats[FTL_MAX_RANK];
    const int32_t n = ftl_onnx_need_ints(c, 1, repeats, FTL_MAX_RANK);
    if (!ftl_onnx_failed(c) && n != d.rank)
        ftl_onnx_refuse(c, FTL_EFORMAT, "%d repeats for %d axes", (int)n, (int)d.rank);
    for (int32_t i = 0; i < n && !ftl_onnx_failed(c); i++) {
        if (repeats[i] == 1) continue;
        if (repeats[i] < 0) ftl_onnx_refuse(c, FTL_EFORMAT, "a negative number of repeats");
        const int64_t outer = ftl_onnx_product(c, &d, 0, i),
                      inner = ftl_onnx_product(c, &d, i, d.rank);
        const int64_t one[3] = { outer, 1, inner }, many[3] = { outer, repeats[i], inner };
        const int32_t wide = ftl_emit_broadcast(c->g, ftl_emit_reshape(c->g, x, 3, one), 3, many);
        if (__builtin_mul_overflow(d.dim[i], repeats[i], &d.dim[i]))
            ftl_onnx_refuse(c, FTL_EFORMAT, "the result is too large");
        x = ftl_emit_reshape(c->g, wide, d.rank, d.dim);
    }
    c->out[0] = x;
}

/* ---- patterns ------------------------------------------------------------------------------ */

/* Element (row, col) stays where col - row >= k (upper) or <= k (lower). */
void ftl_onnx_op_trilu(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int64_t k = ftl_onnx_need_int(c, 1, 0);
    const bool is_upper = ftl_onnx_attr_int(c, "upper", 1) != 0;
    if (d.rank < 2) ftl_onnx_refuse(c, FTL_EFORMAT, "it takes matrices");
    if (ftl_onnx_failed(c)) return;
    const int64_t rows = d.dim[d.rank - 2], cols = d.dim[d.rank - 1];
    const int64_t column[2] = { rows, 1 };
    const int64_t shift = k > cols ? cols : k < -rows ? -rows : k;
    const int32_t row = ftl_emit_reshape(c->g, ftl_emit_iota(c->g, FTL_DTYPE_I64, rows), 2, column);
    const int32_t diagonal = ftl_emit_add(c->g, row, (double)shift),
                  col = ftl_emit_iota(c->g, FTL_DTYPE_I64, cols);
    const int32_t stays =
        is_upper ? ADD(less_equal, diagonal, col) : ADD(less_equal, col, diagonal);
    c->out[0] = ftl_emit_select_else(c->g, stays, x, 0);
}

/* values[1] where the place along the new axis is the index, else values[0]. */
void ftl_onnx_op_one_hot(ftl_onnx_call *c)
{
    const int32_t raw = ftl_onnx_in(c, 0), values = ftl_onnx_in(c, 2);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, raw), pair = ftl_emit_desc(c->g, values);
    const double depth = ftl_onnx_need_number(c, 1, 0);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", -1), d.rank + 1);
    if (ftl_onnx_failed(c)) return;
    if (!(depth >= 1 && depth <= INT32_MAX) || d.rank == FTL_MAX_RANK || pair.rank != 1 ||
        pair.dim[0] != 2) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "depth %g, or values that are not [off, on]", depth);
        return;
    }
    int64_t index_dim[FTL_MAX_RANK], place_dim[FTL_MAX_RANK];
    for (int32_t i = 0; i <= d.rank; i++) {
        index_dim[i] = i == axis ? 1 : d.dim[i - (i > axis)];
        place_dim[i] = i == axis ? (int64_t)depth : 1;
    }
    const int32_t index =
        ftl_onnx_wrap_index(c, ftl_emit_convert(c->g, raw, FTL_DTYPE_I64), (int64_t)depth);
    const int32_t place = ftl_emit_reshape(c->g, ftl_emit_iota(c->g, FTL_DTYPE_I64, (int64_t)depth),
                                           d.rank + 1, place_dim);
    const int32_t is_on = ADD(equal, place, ftl_emit_reshape(c->g, index, d.rank + 1, index_dim));
    const int32_t off = ftl_emit_reshape(c->g, ftl_emit_slice(c->g, values, 0, 0, 1, 1), 0, NULL),
                  on = ftl_emit_reshape(c->g, ftl_emit_slice(c->g, values, 0, 1, 2, 1), 0, NULL);
    c->out[0] = ADD(select, is_on, on, off);
}
