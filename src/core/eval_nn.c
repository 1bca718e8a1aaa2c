/* SPDX-License-Identifier: Apache-2.0 */
/* Products and windows: plain loops over doubles, each result rounded once. */
#include <math.h>

#include "base/alloc.h"
#include "core/eval_internal.h"

static const void *at(const void *data, int64_t i, size_t bytes)
{
    return (const char *)data + (size_t)i * bytes;
}

/* ---- matmul -------------------------------------------------------------------------------- */

enum { PANEL = 64 };

/* One [M,K] x [K,N] of the batch; rows and columns with the strides that the flags give. */
typedef struct product {
    ftl_dtype dtype;
    int64_t m, k, n;
    int64_t a_row, a_k, b_k, b_col;
    const void *a, *b;
    void *out;
    int64_t first_a, first_b, first_out;
    double *panel, *row; /* [K][PANEL], [K] */
} product;

static void take_panel(const product *p, int64_t col, int64_t width)
{
    for (int64_t k = 0; k < p->k; k++)
        for (int64_t j = 0; j < width; j++)
            p->panel[k * PANEL + j] =
                ftl_element_get(p->dtype, p->b, p->first_b + k * p->b_k + (col + j) * p->b_col);
}

static void multiply_panel(const product *p, int64_t col, int64_t width)
{
    double acc[PANEL];
    for (int64_t i = 0; i < p->m; i++) {
        for (int64_t k = 0; k < p->k; k++)
            p->row[k] = ftl_element_get(p->dtype, p->a, p->first_a + i * p->a_row + k * p->a_k);
        for (int64_t j = 0; j < width; j++) acc[j] = 0;
        for (int64_t k = 0; k < p->k; k++) {
            const double a = p->row[k], *b = p->panel + k * PANEL;
            for (int64_t j = 0; j < width; j++) acc[j] += a * b[j];
        }
        for (int64_t j = 0; j < width; j++)
            ftl_element_set(p->dtype, p->out, p->first_out + i * p->n + col + j, acc[j]);
    }
}

static void multiply_float(const product *p)
{
    for (int64_t col = 0; col < p->n; col += PANEL) {
        const int64_t width = p->n - col < PANEL ? p->n - col : PANEL;
        take_panel(p, col, width);
        multiply_panel(p, col, width);
    }
}

static void multiply_int(const product *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < p->k; k++)
                sum += ftl_eval_get_int(p->dtype, p->a, p->first_a + i * p->a_row + k * p->a_k) *
                       ftl_eval_get_int(p->dtype, p->b, p->first_b + k * p->b_k + j * p->b_col);
            ftl_eval_set_int(p->dtype, p->out, p->first_out + i * p->n + j, sum);
        }
}

static product product_of(const ftl_eval_call *c)
{
    const ftl_tensor_desc *a = ftl_eval_in(c, 0), *o = &c->out_desc;
    const bool trans_a = c->node->attr.matmul.trans_a, trans_b = c->node->attr.matmul.trans_b;
    product p = { .dtype = o->dtype,
                  .m = o->dim[o->rank - 2],
                  .n = o->dim[o->rank - 1],
                  .k = a->dim[a->rank - (trans_a ? 2 : 1)],
                  .a = c->in[0],
                  .b = c->in[1],
                  .out = c->out[0] };
    p.a_row = trans_a ? 1 : p.k;
    p.a_k = trans_a ? p.m : 1;
    p.b_k = trans_b ? 1 : p.n;
    p.b_col = trans_b ? p.k : 1;
    return p;
}

/* The leading axes, which broadcast; a last axis of 1 makes them all outer axes. */
static ftl_eval_nest batch_nest(const ftl_eval_call *c)
{
    ftl_tensor_desc a = *ftl_eval_in(c, 0), b = *ftl_eval_in(c, 1), out = c->out_desc;
    a.rank -= 2;
    b.rank -= 2;
    out.rank -= 2;
    ftl_eval_nest nest = { .rank = out.rank + 1, .n_arrays = 3 };
    for (int32_t i = 0; i < out.rank; i++) nest.dim[i] = out.dim[i];
    nest.dim[out.rank] = 1;
    ftl_eval_strides(&out, &out, nest.stride[0]);
    ftl_eval_strides(&a, &out, nest.stride[1]);
    ftl_eval_strides(&b, &out, nest.stride[2]);
    return nest;
}

ftl_status ftl_eval_matmul(const ftl_eval_call *c)
{
    product p = product_of(c);
    const ftl_eval_nest nest = batch_nest(c);
    const size_t depth = (size_t)(p.k ? p.k : 1);
    p.panel = ftl_calloc(depth, PANEL * sizeof *p.panel);
    p.row = ftl_calloc(depth, sizeof *p.row);
    const bool ok = p.panel && p.row;
    int64_t index[FTL_MAX_RANK] = { 0 }, offset[FTL_EVAL_ARRAYS] = { 0 };
    if (ok) {
        do {
            p.first_out = offset[0] * p.m * p.n;
            p.first_a = offset[1] * p.m * p.k;
            p.first_b = offset[2] * p.k * p.n;
            if (ftl_eval_is_exact(p.dtype)) multiply_int(&p);
            else multiply_float(&p);
        } while (ftl_eval_next(&nest, index, offset));
    }
    ftl_free(p.panel);
    ftl_free(p.row);
    return ok ? FTL_OK
              : ftl_fail(FTL_ENOMEM, "no memory for a product of depth %lld", (long long)p.k);
}

/* ---- conv2d -------------------------------------------------------------------------------- */

typedef struct window {
    int64_t in, out, kernel, stride, dilation, low; /* along one axis */
} window;

/* Positions [*from, *to) of the output at which element k of the window lies inside the input. */
static void inside(const window *w, int64_t k, int64_t *from, int64_t *to)
{
    const int64_t shift = k * w->dilation - w->low; /* input = output * stride + shift */
    *from = shift >= 0 ? 0 : (-shift + w->stride - 1) / w->stride;
    *to = w->in - shift <= 0 ? 0 : (w->in - shift - 1) / w->stride + 1;
    if (*to > w->out) *to = w->out;
    if (*from > *to) *from = *to;
}

/* One row of one output channel: acc[W_out]. x: [C/groups][H][W], w: [C/groups][KH][KW]. */
static void conv_row(double *acc, const double *x, const double *w, int64_t channels,
                     const window axis[2], int64_t row)
{
    for (int64_t i = 0; i < axis[1].out; i++) acc[i] = 0;
    for (int64_t ch = 0; ch < channels; ch++)
        for (int64_t kh = 0; kh < axis[0].kernel; kh++) {
            const int64_t y = row * axis[0].stride + kh * axis[0].dilation - axis[0].low;
            if (y < 0 || y >= axis[0].in) continue;
            const double *line = x + (ch * axis[0].in + y) * axis[1].in;
            for (int64_t kw = 0; kw < axis[1].kernel; kw++) {
                const double weight = w[(ch * axis[0].kernel + kh) * axis[1].kernel + kw];
                const int64_t shift = kw * axis[1].dilation - axis[1].low;
                int64_t from, to;
                inside(&axis[1], kw, &from, &to);
                for (int64_t i = from; i < to; i++)
                    acc[i] += weight * line[i * axis[1].stride + shift];
            }
        }
}

static void axes_of_conv(const ftl_eval_call *c, window axis[2])
{
    const ftl_attr_conv *a = &c->node->attr.conv;
    const ftl_tensor_desc *x = ftl_eval_in(c, 0), *w = ftl_eval_in(c, 1);
    for (int i = 0; i < 2; i++)
        axis[i] = (window){ .in = x->dim[2 + i],
                            .out = c->out_desc.dim[2 + i],
                            .kernel = w->dim[2 + i],
                            .stride = a->stride[i],
                            .dilation = a->dilation[i],
                            .low = a->pad[i] };
}

/* The image and the weights as doubles, and one row of results. */
typedef struct conv_memory {
    double *x, *w, *acc;
} conv_memory;

static void conv_image(const ftl_eval_call *c, const window axis[2], const conv_memory *m,
                       int64_t image)
{
    const ftl_tensor_desc *w = ftl_eval_in(c, 1), *o = &c->out_desc;
    const int64_t per_group = o->dim[1] / c->node->attr.conv.groups, channels = w->dim[1];
    const int64_t filter = channels * axis[0].kernel * axis[1].kernel;
    for (int64_t oc = 0; oc < o->dim[1]; oc++) {
        const double *x = m->x + oc / per_group * channels * axis[0].in * axis[1].in;
        for (int64_t row = 0; row < axis[0].out; row++) {
            conv_row(m->acc, x, m->w + oc * filter, channels, axis, row);
            const int64_t first = ((image * o->dim[1] + oc) * axis[0].out + row) * axis[1].out;
            for (int64_t i = 0; i < axis[1].out; i++)
                ftl_element_set(o->dtype, c->out[0], first + i, m->acc[i]);
        }
    }
}

ftl_status ftl_eval_conv2d(const ftl_eval_call *c)
{
    const ftl_tensor_desc *x = ftl_eval_in(c, 0), *w = ftl_eval_in(c, 1);
    const int64_t n_x = ftl_desc_span(x, 1, 4), n_w = ftl_desc_count_checked(w);
    window axis[2];
    axes_of_conv(c, axis);
    const conv_memory m = { ftl_calloc((size_t)n_x + 1, sizeof(double)),
                            ftl_calloc((size_t)n_w + 1, sizeof(double)),
                            ftl_calloc((size_t)axis[1].out + 1, sizeof(double)) };
    const bool ok = m.x && m.w && m.acc;
    if (ok) ftl_elements_convert(FTL_DTYPE_F64, m.w, w->dtype, c->in[1], n_w);
    for (int64_t image = 0; ok && image < x->dim[0]; image++) {
        ftl_elements_convert(FTL_DTYPE_F64, m.x, x->dtype,
                             at(c->in[0], image * n_x, ftl_dtype_bytes(x->dtype)), n_x);
        conv_image(c, axis, &m, image);
    }
    ftl_free(m.x);
    ftl_free(m.w);
    ftl_free(m.acc);
    return ok ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a convolution");
}

/* ---- pools --------------------------------------------------------------------------------- */

typedef struct pool_sum {
    double max, sum;
    int64_t count; /* elements that count: of the input, and of the part of the pads that counts */
} pool_sum;

/* The window whose first element is (top, left) of one channel that starts at `first`. */
static pool_sum pool_window(const ftl_eval_call *c, int64_t first, int64_t top, int64_t left)
{
    const ftl_attr_pool *a = &c->node->attr.pool;
    const ftl_tensor_desc *in = ftl_eval_in(c, 0);
    const int64_t h = in->dim[2], w = in->dim[3];
    pool_sum s = { .max = -INFINITY };
    for (int64_t kh = 0; kh < a->kernel[0]; kh++)
        for (int64_t kw = 0; kw < a->kernel[1]; kw++) {
            const int64_t y = top + kh * a->dilation[0], x = left + kw * a->dilation[1];
            if (y >= -a->count_pad[0] && y < h + a->count_pad[2] && x >= -a->count_pad[1] &&
                x < w + a->count_pad[3])
                s.count++;
            if (y < 0 || y >= h || x < 0 || x >= w) continue;
            const double v = ftl_element_get(in->dtype, c->in[0], first + y * w + x);
            s.max = v > s.max || v != v ? v : s.max;
            s.sum += v;
        }
    return s;
}

static ftl_status pool(const ftl_eval_call *c, bool is_max)
{
    const ftl_attr_pool *a = &c->node->attr.pool;
    const ftl_tensor_desc *in = ftl_eval_in(c, 0), *o = &c->out_desc;
    const int64_t planes = o->dim[0] * o->dim[1];
    int64_t i = 0;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t y = 0; y < o->dim[2]; y++)
            for (int64_t x = 0; x < o->dim[3]; x++) {
                const pool_sum s =
                    pool_window(c, p * in->dim[2] * in->dim[3], y * a->stride[0] - a->pad[0],
                                x * a->stride[1] - a->pad[1]);
                ftl_element_set(o->dtype, c->out[0], i++, is_max ? s.max : s.sum / (double)s.count);
            }
    return FTL_OK;
}

ftl_status ftl_eval_max_pool2d(const ftl_eval_call *c)
{
    return pool(c, true);
}

ftl_status ftl_eval_avg_pool2d(const ftl_eval_call *c)
{
    return pool(c, false);
}
