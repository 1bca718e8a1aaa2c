/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that choose elements: Slice, Pad, and the families of Gather and Scatter.  The rows of
 * ops.def gather and scatter whole rows of one axis; whatever points at single elements becomes a
 * number into a flattened tensor. */
#include <math.h>
#include <string.h>

#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

/* ---- slice --------------------------------------------------------------------------------- */

typedef struct slices {
    int32_t n;
    int64_t start[FTL_MAX_RANK], end[FTL_MAX_RANK], axis[FTL_MAX_RANK], step[FTL_MAX_RANK];
} slices;

/* Attributes before opset 10, inputs from then on; axes 0, 1, ... and steps of 1 by default. */
static void read_slices(ftl_onnx_call *c, slices *s)
{
    int32_t n_end, n_axis = -1, n_step = -1;
    if (c->opset < 10) {
        s->n = ftl_onnx_attr_ints(c, "starts", s->start, FTL_MAX_RANK);
        n_end = ftl_onnx_attr_ints(c, "ends", s->end, FTL_MAX_RANK);
        n_axis = ftl_onnx_attr_ints(c, "axes", s->axis, FTL_MAX_RANK);
    } else {
        s->n = ftl_onnx_need_ints(c, 1, s->start, FTL_MAX_RANK);
        n_end = ftl_onnx_need_ints(c, 2, s->end, FTL_MAX_RANK);
        if (ftl_onnx_has(c, 3)) n_axis = ftl_onnx_need_ints(c, 3, s->axis, FTL_MAX_RANK);
        if (ftl_onnx_has(c, 4)) n_step = ftl_onnx_need_ints(c, 4, s->step, FTL_MAX_RANK);
    }
    if (s->n < 0 || n_end != s->n || (n_axis >= 0 && n_axis != s->n) ||
        (n_step >= 0 && n_step != s->n))
        ftl_onnx_refuse(c, FTL_EFORMAT, "starts, ends, axes and steps differ in number");
    for (int32_t i = 0; i < s->n; i++) {
        if (n_axis < 0) s->axis[i] = i;
        if (n_step < 0) s->step[i] = 1;
    }
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Negative ends count from the end, then both are clamped; backwards is a reversed slice. */
static int32_t slice_axis(ftl_onnx_call *c, int32_t x, int32_t axis, int64_t start, int64_t end,
                          int64_t step)
{
    const int64_t n = ftl_emit_desc(c->g, x).dim[axis];
    if (step == 0 || step == INT64_MIN) return ftl_onnx_refuse(c, FTL_EFORMAT, "a step of 0");
    if (start < 0) start += n;
    if (end < 0) end += n;
    if (step < 0) {
        start = n - 1 - clamp(start, -1, n - 1);
        end = n - 1 - clamp(end, -1, n - 1);
        step = -step;
        x = ftl_emit_reduce(c->g, FTL_OP_reverse, x, 1u << axis, 0);
    } else {
        start = clamp(start, 0, n);
        end = clamp(end, 0, n);
    }
    if (step > INT32_MAX) step = INT32_MAX;
    return ftl_emit_slice(c->g, x, axis, start, end < start ? start : end, step);
}

void ftl_onnx_op_slice(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    slices s = { 0 };
    read_slices(c, &s);
    const int32_t rank = ftl_emit_desc(c->g, x).rank;
    if (!ftl_onnx_failed(c)) ftl_onnx_axis_mask(c, s.axis, s.n, rank);
    for (int32_t i = 0; i < s.n && !ftl_onnx_failed(c); i++)
        x = slice_axis(c, x, ftl_onnx_axis(c, s.axis[i], rank), s.start[i], s.end[i], s.step[i]);
    c->out[0] = x;
}

/* ---- pad ----------------------------------------------------------------------------------- */

typedef struct pads {
    int64_t low[FTL_MAX_RANK], high[FTL_MAX_RANK]; /* below 0: cut off */
} pads;

/* All befores, then all behinds, of every axis or of those listed. */
static void read_pads(ftl_onnx_call *c, int32_t rank, pads *p)
{
    int64_t list[2 * FTL_MAX_RANK], axes[FTL_MAX_RANK];
    int32_t n_axes = rank;
    *p = (pads){ { 0 }, { 0 } };
    const int32_t n = c->opset >= 11 ? ftl_onnx_need_ints(c, 1, list, 2 * FTL_MAX_RANK)
                                     : ftl_onnx_attr_ints(c, "pads", list, 2 * FTL_MAX_RANK);
    for (int32_t i = 0; i < rank; i++) axes[i] = i;
    if (ftl_onnx_has(c, 3)) n_axes = ftl_onnx_need_ints(c, 3, axes, FTL_MAX_RANK);
    if (ftl_onnx_failed(c)) return;
    ftl_onnx_axis_mask(c, axes, n_axes, rank);
    if (n != 2 * n_axes)
        ftl_onnx_refuse(c, FTL_EFORMAT, "%d pads for %d axes", (int)n, (int)n_axes);
    for (int32_t i = 0; i < n_axes && !ftl_onnx_failed(c); i++) {
        const int32_t axis = ftl_onnx_axis(c, axes[i], rank);
        p->low[axis] = list[i];
        p->high[axis] = list[n_axes + i];
    }
}

/* Cuts what is below 0 and zeroes it. */
static int32_t cut(ftl_onnx_call *c, int32_t x, pads *p)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    for (int32_t i = 0; i < d.rank && !ftl_onnx_failed(c); i++) {
        const int64_t low = p->low[i] < 0 ? p->low[i] : 0, high = p->high[i] < 0 ? p->high[i] : 0;
        if (low < -d.dim[i] || high < -d.dim[i] || low + high < -d.dim[i])
            return ftl_onnx_refuse(c, FTL_EFORMAT, "more is cut off than there is");
        x = ftl_emit_slice(c->g, x, i, -low, d.dim[i] + high, 1);
        p->low[i] -= low;
        p->high[i] -= high;
    }
    return x;
}

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

/* The element of an axis of n that stands at place i of it, i may lie outside. */
static int64_t mirrored(pad_mode mode, int64_t i, int64_t n)
{
    if (mode == PAD_EDGE) return clamp(i, 0, n - 1);
    if (mode == PAD_WRAP) return i - ftl_onnx_floor_div(i, n) * n;
    if (n == 1) return 0;
    const int64_t period = 2 * (n - 1), at = i - ftl_onnx_floor_div(i, period) * period;
    return at < n ? at : period - at;
}

static int32_t pad_by_gather(ftl_onnx_call *c, int32_t x, int32_t axis, pad_mode mode, int64_t low,
                             int64_t high)
{
    const int64_t n = ftl_emit_desc(c->g, x).dim[axis];
    int64_t total;
    if (n == 0) return ftl_onnx_refuse(c, FTL_EFORMAT, "there is nothing to repeat");
    if (__builtin_add_overflow(low, high, &total) || __builtin_add_overflow(total, n, &total))
        total = -1;
    int64_t *index = ftl_onnx_scratch(c, total, sizeof *index);
    if (!index) return -1;
    for (int64_t i = 0; i < total; i++) index[i] = mirrored(mode, i - low, n);
    return ftl_emit_gather(c->g, x, ftl_graph_const_i64(c->g, index, total), axis);
}

static bool read_pad_mode(ftl_onnx_call *c, pad_mode *out)
{
    static const char *const names[] = { "constant", "reflect", "edge", "wrap" };
    const char *mode = ftl_onnx_attr_text(c, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (strcmp(mode, names[i]) == 0) {
            *out = (pad_mode)i;
            return true;
        }
    ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "mode is \"%.40s\"", mode);
    return false;
}

void ftl_onnx_op_pad(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    const int32_t rank = ftl_emit_desc(c->g, x).rank;
    pads p;
    pad_mode mode;
    ftl_attr attr = ftl_attr_blank();
    read_pads(c, rank, &p);
    attr.pad.value =
        c->opset >= 11 ? ftl_onnx_need_number(c, 2, 0) : (double)ftl_onnx_attr_float(c, "value", 0);
    if (ftl_onnx_failed(c) || !read_pad_mode(c, &mode)) return;
    x = cut(c, x, &p);
    if (ftl_onnx_failed(c)) return;
    memcpy(attr.pad.low, p.low, sizeof p.low);
    memcpy(attr.pad.high, p.high, sizeof p.high);
    if (mode == PAD_CONSTANT) {
        c->out[0] = FTL_ADD(c->g, pad, &attr, x);
        return;
    }
    for (int32_t i = 0; i < rank; i++)
        if (p.low[i] || p.high[i]) x = pad_by_gather(c, x, i, mode, p.low[i], p.high[i]);
    c->out[0] = x;
}

/* ---- indices ------------------------------------------------------------------------------- */

int32_t ftl_onnx_wrap_index(ftl_onnx_call *c, int32_t indices, int64_t n)
{
    const int32_t is_negative = ADD(less, indices, ftl_emit_number(c->g, indices, 0));
    return ADD(select, is_negative, ftl_emit_add(c->g, indices, (double)n), indices);
}

/* 0 x stride, 1 x stride, ... along one axis of a shape, whose other axes are 1. */
static int32_t strided_places(ftl_onnx_call *c, const ftl_tensor_desc *shape, int32_t axis,
                              int64_t stride)
{
    int64_t dim[FTL_MAX_RANK];
    for (int32_t i = 0; i < shape->rank; i++) dim[i] = i == axis ? shape->dim[i] : 1;
    const int32_t place = ftl_emit_iota(c->g, FTL_DTYPE_I64, shape->dim[axis]);
    return ftl_emit_reshape(c->g, ftl_emit_mul(c->g, place, (double)stride), shape->rank, dim);
}

/* Strides of a dense tensor over axes [0, n), in units of what lies behind axis n; false after a
 * refusal. */
static bool strides_of(ftl_onnx_call *c, const ftl_tensor_desc *d, int32_t n, int64_t *stride)
{
    for (int32_t i = 0; i < n; i++) stride[i] = ftl_onnx_product(c, d, i + 1, n);
    ftl_onnx_product(c, d, 0, d->rank);
    return !ftl_onnx_failed(c);
}

void ftl_onnx_op_gather(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), indices = ftl_onnx_in(c, 1);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 0), d.rank);
    if (ftl_onnx_failed(c)) return;
    ftl_onnx_known k;
    bool may_be_negative = true;
    if (ftl_onnx_peek_known(c, 1, &k)) {
        may_be_negative = false;
        for (int64_t i = 0; i < k.count; i++) {
            const double index = ftl_element_get(k.desc.dtype, k.data, i);
            may_be_negative |= index < 0;
            if (!(index >= -(double)d.dim[axis] && index < (double)d.dim[axis])) {
                ftl_onnx_refuse(c, FTL_EFORMAT, "index %g of an axis of %lld", index,
                                (long long)d.dim[axis]);
                return;
            }
        }
    }
    c->out[0] = ftl_emit_gather(
        c->g, x, may_be_negative ? ftl_onnx_wrap_index(c, indices, d.dim[axis]) : indices, axis);
}

/* Numbers of the elements that indices [like data, shorter] name along one axis of the data. */
static int32_t element_numbers(ftl_onnx_call *c, const ftl_tensor_desc *data, int32_t indices,
                               int32_t axis)
{
    const ftl_tensor_desc shape = ftl_emit_desc(c->g, indices);
    int64_t stride[FTL_MAX_RANK];
    bool fits = shape.rank == data->rank && ftl_dtype_is_int(shape.dtype);
    for (int32_t i = 0; fits && i < data->rank; i++)
        fits = i == axis || shape.dim[i] <= data->dim[i];
    if (!fits) return ftl_onnx_refuse(c, FTL_EFORMAT, "the indices do not fit the data");
    if (!strides_of(c, data, data->rank, stride)) return -1;
    const int32_t wide = ftl_emit_convert(c->g, indices, FTL_DTYPE_I64);
    int32_t sum =
        ftl_emit_mul(c->g, ftl_onnx_wrap_index(c, wide, data->dim[axis]), (double)stride[axis]);
    for (int32_t i = 0; i < data->rank; i++)
        if (i != axis && shape.dim[i] > 1)
            sum = ADD(add, sum, strided_places(c, &shape, i, stride[i]));
    return sum;
}

void ftl_onnx_op_gather_elements(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 0), d.rank);
    if (ftl_onnx_failed(c)) return;
    const int32_t numbers = element_numbers(c, &d, ftl_onnx_in(c, 1), axis);
    if (!ftl_onnx_failed(c))
        c->out[0] = ftl_emit_gather(c->g, ftl_onnx_join(c, x, 0, d.rank), numbers, 0);
}

/* Row numbers from tuples: indices [.., k] point into axes [first, first + k) of the data, and
 * axes before them are counted along.  Result: the dims of indices without the last. */
static int32_t tuple_numbers(ftl_onnx_call *c, const ftl_tensor_desc *data, int32_t indices,
                             int32_t first, int32_t *n_axes)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, indices);
    const int64_t k = d.rank > 0 ? d.dim[d.rank - 1] : 0;
    int64_t stride[FTL_MAX_RANK];
    bool fits = ftl_dtype_is_int(d.dtype) && first >= 0 && first < d.rank && k >= 1 &&
                k <= data->rank - first;
    for (int32_t i = 0; fits && i < first; i++) fits = d.dim[i] == data->dim[i];
    if (!fits) return ftl_onnx_refuse(c, FTL_EFORMAT, "the indices do not fit the data");
    *n_axes = first + (int32_t)k;
    if (!strides_of(c, data, *n_axes, stride)) return -1;
    ftl_tensor_desc shape = d;
    shape.rank--;
    const int32_t wide = ftl_emit_convert(c->g, indices, FTL_DTYPE_I64);
    int32_t sum = -1;
    for (int32_t i = 0; i < k; i++) {
        int32_t part = ftl_emit_slice(c->g, wide, d.rank - 1, i, i + 1, 1);
        part = ftl_emit_reshape(c->g, part, shape.rank, shape.dim);
        part = ftl_onnx_wrap_index(c, part, data->dim[first + i]);
        part = ftl_emit_mul(c->g, part, (double)stride[first + i]);
        sum = i ? ADD(add, sum, part) : part;
    }
    for (int32_t i = 0; i < first; i++)
        sum = ADD(add, sum, strided_places(c, &shape, i, stride[i]));
    return sum;
}

void ftl_onnx_op_gather_nd(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t batch = ftl_onnx_attr_i32(c, "batch_dims", 0, 0, FTL_MAX_RANK);
    int32_t n_axes = 0;
    if (ftl_onnx_failed(c)) return;
    const int32_t numbers = tuple_numbers(c, &d, ftl_onnx_in(c, 1), batch, &n_axes);
    if (!ftl_onnx_failed(c))
        c->out[0] = ftl_emit_gather(c->g, ftl_onnx_join(c, x, 0, n_axes), numbers, 0);
}

/* Whether rows are added; only that and replacing are rows of ops.def. */
static int32_t scatter_adds(ftl_onnx_call *c)
{
    const char *how = ftl_onnx_attr_text(c, "reduction", "none");
    const bool adds = strcmp(how, "add") == 0;
    if (!adds && strcmp(how, "none") != 0)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "reduction is \"%.40s\"; none and add are read", how);
    return adds;
}

/* Writes `rows` [n, width] over the rows `numbers` [n] of x, whose first n_axes axes count rows. */
static int32_t scatter_rows(ftl_onnx_call *c, int32_t x, int32_t n_axes, int32_t numbers,
                            int32_t rows)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x), dn = ftl_emit_desc(c->g, numbers);
    ftl_attr attr = ftl_attr_blank();
    attr.scatter.add = scatter_adds(c);
    ftl_tensor_desc wanted = d;
    wanted.rank = d.rank - n_axes + 1;
    wanted.dim[0] = ftl_onnx_product(c, &dn, 0, dn.rank);
    for (int32_t i = n_axes; i < d.rank; i++) wanted.dim[i - n_axes + 1] = d.dim[i];
    const int32_t list = ftl_emit_reshape(c->g, numbers, 1, wanted.dim),
                  data = ftl_onnx_join(c, x, 0, n_axes);
    rows = ftl_emit_reshape(c->g, rows, wanted.rank, wanted.dim);
    const int32_t y = FTL_ADD(c->g, scatter, &attr, data, list, rows);
    return ftl_emit_reshape(c->g, y, d.rank, d.dim);
}

void ftl_onnx_op_scatter_nd(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    int32_t n_axes = 0;
    const int32_t numbers = tuple_numbers(c, &d, ftl_onnx_in(c, 1), 0, &n_axes);
    if (!ftl_onnx_failed(c)) c->out[0] = scatter_rows(c, x, n_axes, numbers, ftl_onnx_in(c, 2));
}

void ftl_onnx_op_scatter_elements(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t axis = ftl_onnx_axis(c, ftl_onnx_attr_int(c, "axis", 0), d.rank);
    if (ftl_onnx_failed(c)) return;
    const int32_t numbers = element_numbers(c, &d, ftl_onnx_in(c, 1), axis);
    if (!ftl_onnx_failed(c)) c->out[0] = scatter_rows(c, x, d.rank, numbers, ftl_onnx_in(c, 2));
}
