/* SPDX-License-Identifier: Apache-2.0 */
/* k_window_f32.h - pools and local response normalization in f32 over one vector layer.
 * not alone: wants a vector layer (k_vec_*.h) included before it. */
#ifndef FTL_BACKEND_CPU_K_WINDOW_F32_H
#define FTL_BACKEND_CPU_K_WINDOW_F32_H

#include "backend/cpu/k_rows_f32.h"

/* ---- local response normalization ----------------------------------------------------------- */

/* One vector of pixels through all channels; n of its lanes count. */
K_INLINE void lrn_pixels(const ftl_attr_lrn *a, float *y, const float *x, int64_t channels,
                         int64_t spatial, const int64_t n)
{
    const int64_t before = (a->size - 1) / 2, after = a->size - 1 - before;
    const vf scale = v_set((float)(a->alpha / a->size)), bias = v_set((float)a->bias);
    const vf beta = v_set((float)-a->beta);
    const bool whole = n == K_LANES;
    for (int64_t c = 0; c < channels; c++) {
        const int64_t last = k_min_i64(c + after, channels - 1);
        vf sum = v_set(0.0f);
        for (int64_t k = k_max_i64(c - before, 0); k <= last; k++) {
            const vf v = whole ? v_load(x + k * spatial) : v_load_n(x + k * spatial, n);
            sum = v_fma(v, v, sum);
        }
        const vf v = whole ? v_load(x + c * spatial) : v_load_n(x + c * spatial, n);
        const vf base = v_fma(sum, scale, bias);
        vf result;
        if (a->beta == 0.75) {
            const vf root = v_sqrt(base);
            result = v / (root * v_sqrt(root));
        } else {
            result = v * v_exp(beta * v_log(base));
        }
        if (whole) v_store(y + c * spatial, result);
        else v_store_n(y + c * spatial, result, n);
    }
}

static void lrn(const ftl_attr_lrn *attr, float *y, const float *x, int64_t channels,
                int64_t spatial, int64_t s0, int64_t s1)
{
    int64_t s = s0;
    for (; s + K_LANES <= s1; s += K_LANES)
        lrn_pixels(attr, y + s, x + s, channels, spatial, K_LANES);
    if (s < s1) lrn_pixels(attr, y + s, x + s, channels, spatial, s1 - s);
}

/* ---- pools ---------------------------------------------------------------------------------- */

/* A row of outputs comes from one line: first the rows of the window are joined into it, element by
 * element and with the padding in place, then its columns.  For a stride of s the line is kept as
 * s phases, so that both steps run over neighbours.
 *
 *   line, stride 2:   phase 0 | c0 c2 c4 ...      output o = c(2o) + c(2o+1) + c(2o+2)
 *                     phase 1 | c1 c3 c5 ...               = p0[o] + p1[o] + p0[o+1]        */
enum { POOL_LINE = 2048, POOL_OUTPUTS = 256 };

typedef struct pool_line {
    float line[POOL_LINE], phases[POOL_LINE];
    float count[POOL_OUTPUTS]; /* elements of the window that count, along the width */
} pool_line;

K_INLINE vf pool_join(const bool is_max, vf a, vf b)
{
    return is_max ? v_max_nan(a, b) : a + b;
}

K_INLINE float pool_join_one(const bool is_max, float a, float b)
{
    return !is_max ? a + b : a > b || a != a ? a : b;
}

K_INLINE void pool_join_row(const bool is_max, float *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + K_LANES <= n; i += K_LANES)
        v_store(to + i, pool_join(is_max, v_load(to + i), v_load(from + i)));
    for (; i < n; i++) to[i] = pool_join_one(is_max, to[i], from[i]);
}

/* How many elements from `first` on, `step` apart, lie in [-low, size + high). */
K_INLINE int64_t pool_count(int64_t first, int64_t step, int64_t kernel, int64_t size, int64_t low,
                            int64_t high)
{
    int64_t count = 0;
    for (int64_t k = 0; k < kernel; k++)
        count += first + k * step >= -low && first + k * step < size + high;
    return count;
}

/* The joined rows of the window at (oy, columns [left, left + span)). */
K_INLINE void pool_rows(const bool is_max, const ftl_attr_pool *a, const ftl_pool_shape *s,
                        float *line, const float *plane, int64_t oy, int64_t left, int64_t span)
{
    const int64_t from = k_max_i64(left, 0), to = k_min_i64(left + span, s->iw);
    for (int64_t i = 0; i < span; i++) line[i] = is_max ? -INFINITY : 0.0f;
    for (int64_t k = 0; k < a->kernel[0]; k++) {
        const int64_t iy = oy * a->stride[0] - a->pad[0] + k * a->dilation[0];
        if (iy >= 0 && iy < s->ih && from < to)
            pool_join_row(is_max, line + from - left, plane + iy * s->iw + from, to - from);
    }
}

/* line[i * stride + p] -> phases[p * length + i] */
K_INLINE void pool_split(float *phases, const float *line, int64_t span, const int64_t stride,
                         int64_t length)
{
    for (int64_t p = 0; p < stride; p++) {
        const int64_t n = p < span ? (span - p + stride - 1) / stride : 0;
        for (int64_t i = 0; i < n; i++) phases[p * length + i] = line[i * stride + p];
    }
}

/* Outputs [ox, ox + n) of row oy. */
K_INLINE void pool_outputs(const bool is_max, const ftl_attr_pool *a, const ftl_pool_shape *s,
                           pool_line *l, float *y, const float *plane, int64_t oy, int64_t ox,
                           int64_t n)
{
    const int64_t sw = a->stride[1], dw = a->dilation[1], kw = a->kernel[1];
    const int64_t span = (n - 1) * sw + (kw - 1) * dw + 1, length = (span + sw - 1) / sw;
    pool_rows(is_max, a, s, l->line, plane, oy, ox * sw - a->pad[1], span);
    const float *phases = l->line;
    if (sw == 2) pool_split(l->phases, l->line, span, 2, length);
    else if (sw > 2) pool_split(l->phases, l->line, span, sw, length);
    if (sw > 1) phases = l->phases;
    memcpy(y, phases, (size_t)n * sizeof *y);
    for (int64_t k = 1; k < kw; k++)
        pool_join_row(is_max, y, phases + k * dw % sw * length + k * dw / sw, n);
    if (is_max) return;
    const float rows = (float)pool_count(oy * a->stride[0] - a->pad[0], a->dilation[0],
                                         a->kernel[0], s->ih, a->count_pad[0], a->count_pad[2]);
    for (int64_t i = 0; i < n; i++) y[i] /= rows * l->count[i];
}

/* One window by the definition: for widths that no line holds. */
K_INLINE float pool_window(const bool is_max, const ftl_attr_pool *a, const ftl_pool_shape *s,
                           const float *plane, int64_t oy, int64_t ox)
{
    const int64_t top = oy * a->stride[0] - a->pad[0], left = ox * a->stride[1] - a->pad[1];
    float all = is_max ? -INFINITY : 0.0f;
    for (int64_t ky = 0; ky < a->kernel[0]; ky++)
        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
            const int64_t iy = top + ky * a->dilation[0], ix = left + kx * a->dilation[1];
            if (iy >= 0 && iy < s->ih && ix >= 0 && ix < s->iw)
                all = pool_join_one(is_max, all, plane[iy * s->iw + ix]);
        }
    if (is_max) return all;
    const int64_t rows =
        pool_count(top, a->dilation[0], a->kernel[0], s->ih, a->count_pad[0], a->count_pad[2]);
    const int64_t columns =
        pool_count(left, a->dilation[1], a->kernel[1], s->iw, a->count_pad[1], a->count_pad[3]);
    return all / ((float)rows * (float)columns);
}

K_INLINE void pool2d(const bool is_max, const ftl_attr_pool *a, const ftl_pool_shape *s, float *y,
                     const float *x, int64_t begin, int64_t end)
{
    const int64_t in_plane = s->ih * s->iw, out_plane = s->oh * s->ow;
    const int64_t reach = (int64_t)(a->kernel[1] - 1) * a->dilation[1];
    /* Phases are padded to one length, which costs up to a stride more. */
    const int64_t room = POOL_LINE - reach - 1 - a->stride[1];
    const bool has_lines = room >= 0;
    const int64_t piece = has_lines ? k_min_i64(room / a->stride[1] + 1, POOL_OUTPUTS) : s->ow;
    pool_line l;
    for (int64_t ox = 0; ox < s->ow; ox += piece) {
        const int64_t n = k_min_i64(piece, s->ow - ox);
        for (int64_t i = 0; has_lines && !is_max && i < n; i++)
            l.count[i] = (float)pool_count((ox + i) * a->stride[1] - a->pad[1], a->dilation[1],
                                           a->kernel[1], s->iw, a->count_pad[1], a->count_pad[3]);
        for (int64_t p = begin; p < end; p++)
            for (int64_t oy = 0; oy < s->oh; oy++) {
                const float *plane = x + p * in_plane;
                float *row = y + p * out_plane + oy * s->ow + ox;
                if (has_lines) pool_outputs(is_max, a, s, &l, row, plane, oy, ox, n);
                for (int64_t i = 0; !has_lines && i < n; i++)
                    row[i] = pool_window(is_max, a, s, plane, oy, ox + i);
            }
    }
}

static void max_pool2d(const ftl_attr_pool *attr, const ftl_pool_shape *shape, float *y,
                       const float *x, int64_t begin, int64_t end)
{
    pool2d(true, attr, shape, y, x, begin, end);
}

/* True when the one window is the whole plane. */
K_INLINE bool pool_is_global(const ftl_attr_pool *a, const ftl_pool_shape *s)
{
    return s->oh == 1 && s->ow == 1 && a->kernel[0] == s->ih && a->kernel[1] == s->iw &&
           a->dilation[0] == 1 && a->dilation[1] == 1 && a->pad[0] == 0 && a->pad[1] == 0;
}

static void avg_pool2d(const ftl_attr_pool *attr, const ftl_pool_shape *shape, float *y,
                       const float *x, int64_t begin, int64_t end)
{
    if (!pool_is_global(attr, shape)) {
        pool2d(false, attr, shape, y, x, begin, end);
        return;
    }
    const int64_t n = shape->ih * shape->iw;
    for (int64_t p = begin; p < end; p++)
        y[p] = (float)(row_sum(TERM_X, x + p * n, 0.0f, n) / (double)n);
}

#endif
