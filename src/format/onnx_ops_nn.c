/* SPDX-License-Identifier: Apache-2.0 */
/* Products, convolutions and pools.  Rows of ops.def have two spatial axes: one is given a second
 * of length 1, and of three the first is folded away. */
#include <math.h>
#include <string.h>

#include "format/onnx_op.h"

#define ADD(row, ...) FTL_ADD(c->g, row, NULL, __VA_ARGS__)

/* ---- products ------------------------------------------------------------------------------ */

/* A vector on the left is a row, on the right a column; its axis goes from the result. */
void ftl_onnx_op_matmul(ftl_onnx_call *c)
{
    int32_t a = ftl_onnx_in(c, 0), b = ftl_onnx_in(c, 1);
    const ftl_tensor_desc da = ftl_emit_desc(c->g, a), db = ftl_emit_desc(c->g, b);
    if (da.rank == 1) a = ftl_emit_reshape(c->g, a, 2, (const int64_t[]){ 1, da.dim[0] });
    if (db.rank == 1) b = ftl_emit_reshape(c->g, b, 2, (const int64_t[]){ db.dim[0], 1 });
    int32_t y = ftl_emit_matmul(c->g, a, b, 0, 0);
    const ftl_tensor_desc dy = ftl_emit_desc(c->g, y);
    int64_t dim[FTL_MAX_RANK];
    int32_t rank = 0;
    for (int32_t i = 0; i < dy.rank; i++) {
        const bool goes = (da.rank == 1 && i == dy.rank - 2) || (db.rank == 1 && i == dy.rank - 1);
        if (!goes) dim[rank++] = dy.dim[i];
    }
    c->out[0] = ftl_emit_reshape(c->g, y, rank, dim);
}

/* alpha * a * b + beta * c */
void ftl_onnx_op_gemm(ftl_onnx_call *c)
{
    const int32_t a = ftl_onnx_in(c, 0), b = ftl_onnx_in(c, 1);
    const float alpha = ftl_onnx_attr_float(c, "alpha", 1),
                beta = ftl_onnx_attr_float(c, "beta", 1);
    const bool trans_a = ftl_onnx_attr_int(c, "transA", 0) != 0,
               trans_b = ftl_onnx_attr_int(c, "transB", 0) != 0;
    int32_t bias = beta != 0 ? ftl_onnx_in(c, 2) : -1;
    const ftl_tensor_desc da = ftl_emit_desc(c->g, a), db = ftl_emit_desc(c->g, b),
                          dc = ftl_emit_desc(c->g, bias);
    if (da.rank != 2 || db.rank != 2) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "it takes matrices");
        return;
    }
    const bool is_linear = trans_b && !trans_a && alpha == 1 && beta == 1 && bias >= 0 &&
                           dc.rank == 1 && dc.dim[0] == db.dim[0] && ftl_dtype_is_float(da.dtype);
    if (is_linear) {
        c->out[0] = ADD(linear, a, b, bias);
        return;
    }
    int32_t y = ftl_emit_matmul(c->g, a, b, trans_a, trans_b);
    if (alpha != 1) y = ftl_emit_mul(c->g, y, alpha);
    if (bias >= 0 && beta != 1) bias = ftl_emit_mul(c->g, bias, beta);
    c->out[0] = bias >= 0 ? ADD(add, y, bias) : y;
}

/* ---- windows ------------------------------------------------------------------------------- */

enum { SPATIAL_MAX = FTL_MAX_RANK - 2 };

typedef struct window {
    int32_t rank; /* spatial axes */
    int64_t in[SPATIAL_MAX], kernel[SPATIAL_MAX], stride[SPATIAL_MAX], dilation[SPATIAL_MAX];
    int64_t low[SPATIAL_MAX], high[SPATIAL_MAX]; /* pads: before and behind */
} window;

/* A list of one number an axis, all `absent` where it is left out; each in [min, 2^31). */
static void read_list(ftl_onnx_call *c, const char *name, int32_t n, int64_t absent, int64_t min,
                      int64_t *out)
{
    int64_t list[2 * SPATIAL_MAX];
    const int32_t given = ftl_onnx_attr_ints(c, name, list, 2 * SPATIAL_MAX);
    for (int32_t i = 0; i < n; i++) out[i] = given < 0 ? absent : given == n ? list[i] : min - 1;
    for (int32_t i = 0; i < n; i++)
        if (out[i] < min || out[i] > INT32_MAX) {
            ftl_onnx_refuse(c, FTL_EFORMAT,
                            "attribute \"%s\" does not hold %d numbers from %lld to 2147483647",
                            name, (int)n, (long long)min);
            return;
        }
}

/* Elements that a window spans. */
static int64_t reach_of(const window *w, int32_t i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

/* SAME: as many windows as strides fit; an odd pad goes behind (UPPER) or before (LOWER). */
static void pad_same(window *w, bool is_lower)
{
    for (int32_t i = 0; i < w->rank; i++) {
        const int64_t out = (w->in[i] + w->stride[i] - 1) / w->stride[i];
        int64_t total = (out - 1) * w->stride[i] + reach_of(w, i) - w->in[i];
        if (total < 0) total = 0;
        w->low[i] = is_lower ? total - total / 2 : total / 2;
        w->high[i] = total - w->low[i];
    }
}

/* Everything but the kernel, which conv takes from its weight; false after a refusal. */
static bool read_window(ftl_onnx_call *c, const ftl_tensor_desc *x, const int64_t *kernel,
                        window *w)
{
    *w = (window){ .rank = x->rank - 2 };
    if (x->rank < 3) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "its input has %d dimensions; at least 3 are needed",
                        (int)x->rank);
        return false;
    }
    for (int32_t i = 0; i < w->rank; i++) {
        w->in[i] = x->dim[2 + i];
        if (w->in[i] > INT32_MAX) ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "its input is too large");
    }
    if (kernel) {
        memcpy(w->kernel, kernel, (size_t)w->rank * sizeof *kernel);
        int64_t said[SPATIAL_MAX];
        const int32_t n = ftl_onnx_attr_ints(c, "kernel_shape", said, SPATIAL_MAX);
        if (n >= 0 && (n != w->rank || memcmp(said, kernel, (size_t)n * sizeof *said) != 0))
            ftl_onnx_refuse(c, FTL_EFORMAT, "kernel_shape is not the shape of its weight");
    } else {
        read_list(c, "kernel_shape", w->rank, 0, 1, w->kernel);
    }
    int64_t pads[2 * SPATIAL_MAX];
    read_list(c, "strides", w->rank, 1, 1, w->stride);
    read_list(c, "dilations", w->rank, 1, 1, w->dilation);
    read_list(c, "pads", 2 * w->rank, 0, 0, pads);
    for (int32_t i = 0; i < w->rank; i++) {
        w->low[i] = pads[i];
        w->high[i] = pads[w->rank + i];
    }
    return !ftl_onnx_failed(c);
}

/* Whether auto_pad was given; sets the pads that it stands for. */
static void apply_auto_pad(ftl_onnx_call *c, window *w)
{
    const char *how = ftl_onnx_attr_text(c, "auto_pad", "NOTSET");
    if (strcmp(how, "SAME_UPPER") == 0 || strcmp(how, "SAME_LOWER") == 0)
        pad_same(w, strcmp(how, "SAME_LOWER") == 0);
    else if (strcmp(how, "VALID") == 0)
        for (int32_t i = 0; i < w->rank; i++) w->low[i] = w->high[i] = 0;
    else if (strcmp(how, "NOTSET") != 0)
        ftl_onnx_refuse(c, FTL_EFORMAT, "auto_pad is \"%.40s\"", how);
}

/* ---- convolution --------------------------------------------------------------------------- */

/* [B, C, L] -> [B, C, 1, L] */
static int32_t with_height(ftl_onnx_call *c, int32_t x)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    return ftl_emit_reshape(c->g, x, 4, (const int64_t[]){ d.dim[0], d.dim[1], 1, d.dim[2] });
}

static int32_t without_height(ftl_onnx_call *c, int32_t x)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    return ftl_emit_reshape(c->g, x, 3, (const int64_t[]){ d.dim[0], d.dim[1], d.dim[3] });
}

static bool fits_i32(ftl_onnx_call *c, const window *w, int32_t i)
{
    if (w->kernel[i] <= INT32_MAX && w->low[i] <= INT32_MAX && w->high[i] <= INT32_MAX) return true;
    ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "its window or pads are too large");
    return false;
}

/* x [B,C,H,W] or [B,C,L]; the last spatial axes of the window count. */
static int32_t emit_conv(ftl_onnx_call *c, int32_t x, int32_t filter, int32_t bias, const window *w,
                         int32_t groups)
{
    const bool is_1d = ftl_emit_desc(c->g, x).rank == 3;
    ftl_attr attr = ftl_attr_blank();
    attr.conv.groups = groups;
    for (int32_t i = 0; i < 2; i++) attr.conv.stride[i] = attr.conv.dilation[i] = 1;
    for (int32_t k = is_1d ? 1 : 0; k < 2; k++) {
        const int32_t i = w->rank - 2 + k;
        if (!fits_i32(c, w, i)) return -1;
        attr.conv.stride[k] = (int32_t)w->stride[i];
        attr.conv.dilation[k] = (int32_t)w->dilation[i];
        attr.conv.pad[k] = (int32_t)w->low[i];
        attr.conv.pad[2 + k] = (int32_t)w->high[i];
    }
    if (is_1d) {
        x = with_height(c, x);
        filter = with_height(c, filter);
    }
    const int32_t y = bias >= 0 ? FTL_ADD(c->g, conv, &attr, x, filter, bias)
                                : FTL_ADD(c->g, conv, &attr, x, filter);
    return is_1d ? without_height(c, y) : y;
}

/* Places along depth that the windows read, window after window: [out * kernel] */
static int32_t depth_places(ftl_onnx_call *c, const window *w, int64_t *out)
{
    const int64_t room = w->in[0] + w->low[0] + w->high[0] - reach_of(w, 0);
    *out = room < 0 ? 0 : room / w->stride[0] + 1;
    if (room < 0)
        return ftl_onnx_refuse(c, FTL_EFORMAT, "the window is larger than the padded input");
    int64_t n;
    if (__builtin_mul_overflow(*out, w->kernel[0], &n)) n = -1;
    int64_t *places = ftl_onnx_scratch(c, n, sizeof *places);
    if (!places) return -1;
    for (int64_t i = 0; i < n; i++)
        places[i] = i / w->kernel[0] * w->stride[0] + i % w->kernel[0] * w->dilation[0];
    return ftl_graph_const_i64(c->g, places, n);
}

/* Each output plane is a 2-d convolution of the depth window's planes, stacked as channels:
 * [B,C,D,H,W] -> [B,C,OD,KD,H,W] -> [B OD, C KD, H, W] */
static int32_t emit_conv3d(ftl_onnx_call *c, int32_t x, int32_t filter, int32_t bias,
                           const window *w, int32_t groups)
{
    const ftl_tensor_desc df = ftl_emit_desc(c->g, filter), dx = ftl_emit_desc(c->g, x);
    int64_t depth;
    const int32_t places = depth_places(c, w, &depth);
    ftl_attr attr = ftl_attr_blank();
    attr.pad.low[2] = w->low[0];
    attr.pad.high[2] = w->high[0];
    x = ftl_emit_gather(c->g, FTL_ADD(c->g, pad, &attr, x), places, 2);
    const int64_t split[6] = { dx.dim[0], dx.dim[1], depth, w->kernel[0], dx.dim[3], dx.dim[4] };
    x = ftl_emit_reshape(c->g, x, 6, split);
    x = ftl_emit_transpose(c->g, x, (const int32_t[]){ 0, 2, 1, 3, 4, 5 });
    x = ftl_onnx_join(c, ftl_onnx_join(c, x, 2, 4), 0, 2);
    int64_t stacked = 0;
    if (__builtin_mul_overflow(df.dim[1], df.dim[2], &stacked)) stacked = -1;
    filter = ftl_emit_reshape(c->g, filter, 4,
                              (const int64_t[]){ df.dim[0], stacked, df.dim[3], df.dim[4] });
    const int32_t y = emit_conv(c, x, filter, bias, w, groups);
    const ftl_tensor_desc dy = ftl_emit_desc(c->g, y);
    const int64_t apart[5] = { dx.dim[0], depth, dy.dim[1], dy.dim[2], dy.dim[3] };
    return ftl_emit_transpose(c->g, ftl_emit_reshape(c->g, y, 5, apart),
                              (const int32_t[]){ 0, 2, 1, 3, 4 });
}

void ftl_onnx_op_conv(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), filter = ftl_onnx_in(c, 1), bias = ftl_onnx_in(c, 2);
    const ftl_tensor_desc dx = ftl_emit_desc(c->g, x), df = ftl_emit_desc(c->g, filter);
    const int32_t groups = ftl_onnx_attr_i32(c, "group", 1, 1, INT32_MAX);
    window w;
    if (df.rank != dx.rank) ftl_onnx_refuse(c, FTL_EFORMAT, "input and weight differ in rank");
    if (ftl_onnx_failed(c) || !read_window(c, &dx, df.dim + 2, &w)) return;
    for (int32_t i = 0; i < w.rank; i++)
        if (w.kernel[i] < 1 || w.kernel[i] > INT32_MAX)
            ftl_onnx_refuse(c, FTL_EFORMAT, "its weight is empty or too large");
    if (w.rank > 3)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "convolution over %d axes; at most 3", (int)w.rank);
    if (ftl_onnx_failed(c)) return;
    apply_auto_pad(c, &w);
    c->out[0] = w.rank == 3 ? emit_conv3d(c, x, filter, bias, &w, groups)
                            : emit_conv(c, x, filter, bias, &w, groups);
}

/* ---- transposed convolution ---------------------------------------------------------------- */

/* [C, O/groups, KH, KW] -> [O, C/groups, KH, KW], turned by 180 degrees */
static int32_t flip_filter(ftl_onnx_call *c, int32_t filter, int32_t groups)
{
    const ftl_tensor_desc d = ftl_emit_desc(c->g, filter);
    if (d.dim[0] % groups) return ftl_onnx_refuse(c, FTL_EFORMAT, "groups do not divide channels");
    const int64_t split[5] = { groups, d.dim[0] / groups, d.dim[1], d.dim[2], d.dim[3] };
    int32_t y = ftl_emit_reshape(c->g, filter, 5, split);
    y = ftl_emit_transpose(c->g, y, (const int32_t[]){ 0, 2, 1, 3, 4 });
    y = ftl_onnx_join(c, y, 0, 2);
    return ftl_emit_reduce(c->g, FTL_OP_reverse, y, 1u << 2 | 1u << 3, 0);
}

/* What is cut from the full result on either side, by output_shape, auto_pad or pads; `extra`
 * elements were added behind. */
static void transpose_pads(ftl_onnx_call *c, window *w, const int64_t *extra)
{
    int64_t shape[SPATIAL_MAX];
    const char *how = ftl_onnx_attr_text(c, "auto_pad", "NOTSET");
    const int32_t n = ftl_onnx_attr_ints(c, "output_shape", shape, SPATIAL_MAX);
    const bool is_same = strncmp(how, "SAME", 4) == 0;
    if (n >= 0 && n != w->rank)
        ftl_onnx_refuse(c, FTL_EFORMAT, "output_shape lists %d axes", (int)n);
    if (strcmp(how, "VALID") == 0)
        for (int32_t i = 0; i < w->rank; i++) w->low[i] = w->high[i] = 0;
    if (n < 0 && !is_same) return;
    for (int32_t i = 0; i < w->rank && !ftl_onnx_failed(c); i++) {
        const int64_t want = n >= 0 ? shape[i] : w->in[i] * w->stride[i];
        const int64_t full = w->stride[i] * (w->in[i] - 1) + reach_of(w, i) + extra[i];
        if (want < 1 || want > INT32_MAX) {
            ftl_onnx_refuse(c, FTL_EFORMAT, "output_shape holds %lld", (long long)want);
            return;
        }
        const int64_t cut = full > want ? full - want : 0;
        w->low[i] = strcmp(how, "SAME_UPPER") == 0 ? cut / 2 : cut - cut / 2;
        w->high[i] = full - want - w->low[i];
    }
}

/* Zeros between neighbours, then a plain convolution whose pads are what the kernel reaches past
 * the edge less what is cut; pads below 0 cut the input.  Dumoulin & Visin 2016, arXiv
 * 1603.07285. */
static int32_t spread(ftl_onnx_call *c, int32_t x, window *w, const int64_t *extra)
{
    ftl_attr attr = ftl_attr_blank();
    bool has_gaps = false;
    for (int32_t i = 0; i < 2; i++) {
        attr.pad.interior[2 + i] = w->stride[i] - 1;
        has_gaps |= w->stride[i] > 1;
    }
    if (has_gaps) x = FTL_ADD(c->g, pad, &attr, x);
    for (int32_t i = 0; i < 2 && !ftl_onnx_failed(c); i++) {
        const int64_t reach = reach_of(w, i) - 1, size = ftl_emit_desc(c->g, x).dim[2 + i];
        const int64_t low = reach - w->low[i], high = reach - w->high[i] + extra[i];
        const int64_t start = low < 0 ? -low : 0, limit = high < 0 ? size + high : size;
        if (start >= limit)
            return ftl_onnx_refuse(c, FTL_EFORMAT, "its pads cut all of its result");
        x = ftl_emit_slice(c->g, x, 2 + i, start, limit, 1);
        w->low[i] = low < 0 ? 0 : low;
        w->high[i] = high < 0 ? 0 : high;
        w->stride[i] = 1;
    }
    return x;
}

/* One spatial axis becomes the second of two. */
static void widen_window(window *w, int64_t *extra)
{
    w->rank = 2;
    w->in[1] = w->in[0];
    w->kernel[1] = w->kernel[0];
    w->stride[1] = w->stride[0];
    w->dilation[1] = w->dilation[0];
    w->low[1] = w->low[0];
    w->high[1] = w->high[0];
    extra[1] = extra[0];
    w->in[0] = w->kernel[0] = w->stride[0] = w->dilation[0] = 1;
    w->low[0] = w->high[0] = extra[0] = 0;
}

void ftl_onnx_op_conv_transpose(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0), filter = ftl_onnx_in(c, 1);
    const ftl_tensor_desc dx = ftl_emit_desc(c->g, x), df = ftl_emit_desc(c->g, filter);
    const int32_t groups = ftl_onnx_attr_i32(c, "group", 1, 1, INT32_MAX);
    int64_t extra[SPATIAL_MAX];
    window w;
    if (dx.rank != df.rank) ftl_onnx_refuse(c, FTL_EFORMAT, "input and weight differ in rank");
    if (dx.rank > 4)
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED, "transposed convolution over %d axes; at most 2",
                        (int)dx.rank - 2);
    if (ftl_onnx_failed(c) || !read_window(c, &dx, df.dim + 2, &w)) return;
    read_list(c, "output_padding", w.rank, 0, 0, extra);
    for (int32_t i = 0; i < w.rank; i++)
        if (w.kernel[i] < 1 || w.kernel[i] > INT32_MAX || w.in[i] < 1)
            ftl_onnx_refuse(c, FTL_EFORMAT, "its input or weight is empty or too large");
    if (ftl_onnx_failed(c)) return;
    transpose_pads(c, &w, extra);
    if (w.rank == 1) {
        widen_window(&w, extra);
        x = with_height(c, x);
        filter = with_height(c, filter);
    }
    x = spread(c, x, &w, extra);
    filter = flip_filter(c, filter, groups);
    const int32_t y = emit_conv(c, x, filter, ftl_onnx_in(c, 2), &w, groups);
    c->out[0] = dx.rank == 3 ? without_height(c, y) : y;
}

/* ---- pools --------------------------------------------------------------------------------- */

/* Windows that ceil_mode adds reach past the pads; one that would begin behind the input and the
 * pad before it is left out.  `counted`: pads that an average counts. */
static void apply_ceil(window *w)
{
    for (int32_t i = 0; i < w->rank; i++) {
        const int64_t room = w->in[i] + w->low[i] + w->high[i] - reach_of(w, i);
        if (room < 0) continue; /* refused by the row's shape rule */
        int64_t out = (room + w->stride[i] - 1) / w->stride[i] + 1;
        if ((out - 1) * w->stride[i] >= w->in[i] + w->low[i]) out--;
        const int64_t more = (out - 1) * w->stride[i] - room;
        if (more > 0) w->high[i] += more;
    }
}

/* Over axes first, first + 1 of the window (or one: then `n` is 1) of a tensor [_, _, H, W]. */
static int32_t emit_pool(ftl_onnx_call *c, int32_t x, const window *w, const window *counted,
                         int32_t first, int32_t n, int32_t place)
{
    ftl_attr attr = ftl_attr_blank();
    for (int32_t i = 0; i < 2; i++)
        attr.pool.kernel[i] = attr.pool.stride[i] = attr.pool.dilation[i] = 1;
    for (int32_t k = 0; k < n; k++) {
        const int32_t i = first + k, at = place + k;
        if (!fits_i32(c, w, i)) return -1;
        attr.pool.kernel[at] = (int32_t)w->kernel[i];
        attr.pool.stride[at] = (int32_t)w->stride[i];
        attr.pool.dilation[at] = (int32_t)w->dilation[i];
        attr.pool.pad[at] = (int32_t)w->low[i];
        attr.pool.pad[2 + at] = (int32_t)w->high[i];
        if (c->row->arg == 1) continue;
        attr.pool.count_pad[at] = (int32_t)counted->low[i];
        attr.pool.count_pad[2 + at] = (int32_t)counted->high[i];
    }
    return ftl_graph_add(c->g, c->row->arg == 1 ? FTL_OP_max_pool2d : FTL_OP_avg_pool2d, &attr, &x,
                         1);
}

/* A maximum, and a mean over boxes, is taken axis after axis: the last two at once, each one before
 * them as rows [outer, 1, axis, inner]. */
static int32_t pool_axes(ftl_onnx_call *c, int32_t x, const window *w, const window *counted)
{
    if (w->rank == 1)
        return without_height(c, emit_pool(c, with_height(c, x), w, counted, 0, 1, 1));
    ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    const int32_t last = d.rank - 2;
    int64_t plane[4] = { d.dim[0], ftl_onnx_product(c, &d, 1, last), d.dim[last], d.dim[last + 1] };
    x = emit_pool(c, ftl_emit_reshape(c->g, x, 4, plane), w, counted, w->rank - 2, 2, 0);
    d.dim[last] = ftl_emit_desc(c->g, x).dim[2];
    d.dim[last + 1] = ftl_emit_desc(c->g, x).dim[3];
    for (int32_t i = w->rank - 3; i >= 0 && !ftl_onnx_failed(c); i--) {
        const int64_t rows[4] = { ftl_onnx_product(c, &d, 0, 2 + i), 1, d.dim[2 + i],
                                  ftl_onnx_product(c, &d, 3 + i, d.rank) };
        x = emit_pool(c, ftl_emit_reshape(c->g, x, 4, rows), w, counted, i, 1, 0);
        d.dim[2 + i] = ftl_emit_desc(c->g, x).dim[2];
    }
    return ftl_emit_reshape(c->g, x, d.rank, d.dim);
}

/* Place of each window's winner in the flattened input, window element after element. */
static int32_t pool_places(ftl_onnx_call *c, int32_t x, const window *w)
{
    enum { ELEMENTS_MAX = 256 };
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x), dy = ftl_emit_desc(c->g, c->out[0]);
    int64_t elements = 1, index[SPATIAL_MAX] = { 0 };
    for (int32_t i = 0; i < w->rank; i++)
        if (__builtin_mul_overflow(elements, w->kernel[i], &elements)) elements = INT64_MAX;
    if (elements > ELEMENTS_MAX || ftl_onnx_attr_int(c, "storage_order", 0) != 0)
        return ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                               "the winners' places of a window of over %d elements, or in column "
                               "order",
                               ELEMENTS_MAX);
    ftl_attr pad = ftl_attr_blank();
    for (int32_t i = 0; i < w->rank; i++) {
        pad.pad.low[2 + i] = w->low[i];
        pad.pad.high[2 + i] = w->high[i];
    }
    const int32_t count = ftl_emit_iota(c->g, FTL_DTYPE_I64, ftl_onnx_product(c, &d, 0, d.rank));
    const int32_t numbers = FTL_ADD(c->g, pad, &pad, ftl_emit_reshape(c->g, count, d.rank, d.dim));
    pad.pad.value = -INFINITY;
    const int32_t wide = FTL_ADD(c->g, pad, &pad, x);
    int32_t best = -1, place = -1;
    for (int64_t e = 0; e < elements && !ftl_onnx_failed(c); e++) {
        int32_t value = wide, number = numbers;
        for (int32_t i = 0; i < w->rank; i++) {
            const int64_t start = index[i] * w->dilation[i],
                          limit = start + (dy.dim[2 + i] - 1) * w->stride[i] + 1;
            value = ftl_emit_slice(c->g, value, 2 + i, start, limit, w->stride[i]);
            number = ftl_emit_slice(c->g, number, 2 + i, start, limit, w->stride[i]);
        }
        const int32_t is_better = e ? ADD(less, best, value) : -1;
        best = e ? ADD(select, is_better, value, best) : value;
        place = e ? ADD(select, is_better, number, place) : number;
        for (int32_t i = w->rank - 1; i >= 0 && ++index[i] == w->kernel[i]; i--) index[i] = 0;
    }
    return place;
}

void ftl_onnx_op_pool(ftl_onnx_call *c)
{
    int32_t x = ftl_onnx_in(c, 0);
    const ftl_tensor_desc d = ftl_emit_desc(c->g, x);
    window w;
    if (!read_window(c, &d, NULL, &w)) return;
    apply_auto_pad(c, &w);
    window counted = w;
    if (ftl_onnx_attr_int(c, "count_include_pad", 0) == 0)
        for (int32_t i = 0; i < w.rank; i++) counted.low[i] = counted.high[i] = 0;
    const bool is_auto = !ftl_onnx_attr_is(c, "auto_pad", "NOTSET", "NOTSET");
    if (!is_auto && ftl_onnx_attr_int(c, "ceil_mode", 0) != 0) apply_ceil(&w);
    if (!ftl_dtype_is_float(d.dtype)) x = ftl_emit_convert(c->g, x, FTL_DTYPE_F32);
    c->out[0] = pool_axes(c, x, &w, &counted);
    if (c->row->arg == 1 && ftl_onnx_wants(c, 1)) c->out[1] = pool_places(c, x, &w);
    c->out[0] = ftl_emit_convert(c->g, c->out[0], d.dtype);
}

void ftl_onnx_op_global_pool(ftl_onnx_call *c)
{
    const int32_t x = ftl_onnx_in(c, 0), rank = ftl_emit_desc(c->g, x).rank;
    if (rank < 3) {
        ftl_onnx_refuse(c, FTL_EFORMAT, "its input has %d dimensions; at least 3 are needed",
                        (int)rank);
        return;
    }
    c->out[0] = ftl_emit_reduce(c->g, (ftl_op)c->row->arg, x, ftl_axis_mask(2, rank), 1);
}
