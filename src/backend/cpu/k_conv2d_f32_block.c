/* SPDX-License-Identifier: Apache-2.0 */
/* Windows, panels and ranges of convolutions, see conv.h. */
#include "backend/cpu/conv.h"

#include <string.h>

/* Floats of a depthwise window that one band of output rows may take: half of a usual L1. */
enum { BAND_FLOATS = 6144 };

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* One axis of the window: tap t lies in phase t * dilation % stride, t * dilation / stride steps
 * behind the output.  Only the phases that some tap has are kept. */
typedef struct axis {
    int64_t taps, stride, dilation, pad, size;
    int64_t n_phases; /* kept    */
    int64_t reach;    /* most steps of any tap */
} axis;

static int64_t gcd_i64(int64_t a, int64_t b)
{
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static axis axis_of(int64_t taps, int64_t stride, int64_t dilation, int64_t pad, int64_t size)
{
    axis a = { taps, stride, dilation, pad, size, 0, (taps - 1) * dilation / stride };
    /* t * dilation mod stride runs through a cycle of stride / gcd values. */
    a.n_phases = min_i64(taps, stride / gcd_i64(dilation, stride));
    return a;
}

static axis vertical(const ftl_conv2d_shape *s)
{
    return axis_of(s->kh, s->stride_h, s->dilation_h, s->pad_top, s->ih);
}

static axis horizontal(const ftl_conv2d_shape *s)
{
    return axis_of(s->kw, s->stride_w, s->dilation_w, s->pad_left, s->iw);
}

/* Tap t and tap t + n_phases have the same phase, so phase slots are t % n_phases. */
static int64_t slot_of(const axis *a, int64_t tap)
{
    return tap % a->n_phases;
}

static int64_t steps_of(const axis *a, int64_t tap)
{
    return tap * a->dilation / a->stride;
}

/* A piece of the window: output rows [y, y + rows) and columns [x, x + columns), with the reach of
 * the taps added behind. */
typedef struct window {
    axis v, h;
    int64_t y, x;
    int64_t rows, columns; /* of each phase, with reach */
} window;

static window window_of(const ftl_conv2d_shape *s, int64_t y0, int64_t y1, int64_t x0, int64_t x1)
{
    window w = { vertical(s), horizontal(s), y0, x0, 0, 0 };
    w.rows = y1 - y0 + w.v.reach;
    w.columns = x1 - x0 + w.h.reach;
    return w;
}

static int64_t channel_floats(const window *w)
{
    return w->v.n_phases * w->h.n_phases * w->rows * w->columns;
}

static int64_t tap_offset(const window *w, int64_t ky, int64_t kx)
{
    const int64_t phase = slot_of(&w->v, ky) * w->h.n_phases + slot_of(&w->h, kx);
    return (phase * w->rows + steps_of(&w->v, ky)) * w->columns + steps_of(&w->h, kx);
}

/* memcpy of n floats without a call: rows of images are short.  Blocks of a constant size, of which
 * the last overlaps the one before. */
static inline void copy_floats(float *restrict dst, const float *restrict from, int64_t n)
{
    if (n >= 16) {
        for (int64_t i = 0; i + 16 < n; i += 16) memcpy(dst + i, from + i, 16 * sizeof *dst);
        memcpy(dst + n - 16, from + n - 16, 16 * sizeof *dst);
    } else if (n >= 8) {
        memcpy(dst, from, 8 * sizeof *dst);
        memcpy(dst + n - 8, from + n - 8, 8 * sizeof *dst);
    } else if (n >= 4) {
        memcpy(dst, from, 4 * sizeof *dst);
        memcpy(dst + n - 4, from + n - 4, 4 * sizeof *dst);
    } else {
        if (n > 0) dst[0] = from[0];
        if (n > 1) dst[1] = from[1];
        if (n > 2) dst[2] = from[2];
    }
}

/* dst[i] = from[i * stride]; a constant stride makes vectors. */
static inline void copy_strided(float *restrict dst, const float *restrict from, int64_t n,
                                int64_t stride)
{
    if (stride == 1) copy_floats(dst, from, n);
    else if (stride == 2)
        for (int64_t i = 0; i < n; i++) dst[i] = from[i * 2];
    else
        for (int64_t i = 0; i < n; i++) dst[i] = from[i * stride];
}

/* First index i >= 0 with first + i * stride >= limit. */
static int64_t first_at(int64_t first, int64_t stride, int64_t limit)
{
    return first >= limit ? 0 : (limit - first + stride - 1) / stride;
}

/* One phase of one channel x: [ih, iw] into rows that are all zero. */
static void fill_phase(float *dst, const window *w, const float *x, int64_t phase_y,
                       int64_t phase_x)
{
    /* Input row and column that row 0, column 0 of the window stand for. */
    const int64_t y = w->y * w->v.stride + phase_y - w->v.pad;
    const int64_t x0 = w->x * w->h.stride + phase_x - w->h.pad;
    const int64_t top = first_at(y, w->v.stride, 0), left = first_at(x0, w->h.stride, 0);
    const int64_t bottom = min_i64(first_at(y, w->v.stride, w->v.size), w->rows);
    const int64_t right = min_i64(first_at(x0, w->h.stride, w->h.size), w->columns);
    if (left >= right) return;
    for (int64_t r = top; r < bottom; r++)
        copy_strided(dst + r * w->columns + left,
                     x + (y + r * w->v.stride) * w->h.size + x0 + left * w->h.stride, right - left,
                     w->h.stride);
}

/* Fills the window of one channel x: [ih, iw]. */
static void fill_channel(float *dst, const window *w, const float *x)
{
    memset(dst, 0, (size_t)channel_floats(w) * sizeof *dst);
    for (int64_t py = 0; py < w->v.n_phases; py++)
        for (int64_t px = 0; px < w->h.n_phases; px++, dst += w->rows * w->columns)
            fill_phase(dst, w, x, py * w->v.dilation % w->v.stride,
                       px * w->h.dilation % w->h.stride);
}

bool ftl_conv2d_is_depthwise(const ftl_conv2d_shape *s)
{
    return s->ic == s->groups;
}

static bool is_pointwise(const ftl_conv2d_shape *s)
{
    return s->kh == 1 && s->kw == 1 && s->stride_h == 1 && s->stride_w == 1 && s->pad_top == 0 &&
           s->pad_left == 0 && s->oh == s->ih && s->ow == s->iw;
}

static int64_t depth(const ftl_conv2d_shape *s)
{
    return s->ic / s->groups * s->kh * s->kw;
}

int64_t ftl_conv2d_f32_packed_floats(const ftl_gemm_kernel *kernel, const ftl_conv2d_shape *s)
{
    if (ftl_conv2d_is_depthwise(s)) return s->oc * s->kh * s->kw;
    return s->groups * ftl_gemm_f32_packed_floats(s->oc / s->groups, depth(s), kernel->tile_m);
}

void ftl_conv2d_f32_pack(const ftl_gemm_kernel *kernel, const ftl_conv2d_shape *s, float *dst,
                         const float *weights)
{
    if (ftl_conv2d_is_depthwise(s)) {
        memcpy(dst, weights, (size_t)(s->oc * s->kh * s->kw) * sizeof *dst);
        return;
    }
    const int64_t oc = s->oc / s->groups, k = depth(s);
    for (int64_t g = 0; g < s->groups; g++) {
        const ftl_gemm_operand rows = { .form = FTL_GEMM_ROWS,
                                        .data = weights + g * oc * k,
                                        .ld = k };
        ftl_gemm_f32_pack_a(kernel, dst, &rows, oc, k);
        dst += ftl_gemm_f32_packed_floats(oc, k, kernel->tile_m);
    }
}

/* What make_panels() works from. */
typedef struct source {
    const ftl_gemm_kernel *kernel;
    const ftl_conv2d_shape *shape;
    const float *x; /* the channels of this group in this image */
} source;

/* Rows of the window for a block of `pixels` pixels that begins anywhere. */
static window widest_window(const ftl_conv2d_shape *s, int64_t pixels)
{
    const int64_t rows = min_i64((pixels + s->ow - 2) / s->ow + 1, s->oh);
    return window_of(s, 0, rows, 0, rows > 1 ? s->ow : min_i64(pixels, s->ow));
}

/* Offsets in the window of rows [k0, k1) of X; channel c0 comes first. */
static void list_offsets(int64_t *offset, const ftl_conv2d_shape *s, const window *w, int64_t k0,
                         int64_t k1, int64_t c0)
{
    const int64_t taps = s->kh * s->kw, channel = channel_floats(w);
    for (int64_t k = k0; k < k1; k++) {
        const int64_t tap = k % taps;
        offset[k - k0] = (k / taps - c0) * channel + tap_offset(w, tap / s->kw, tap % s->kw);
    }
}

/* The runs that make one panel: pixels [n0, n1), which lie on one or more output rows. */
static void list_spans(ftl_pack_spans *spans, const ftl_conv2d_shape *s, const window *w,
                       int64_t n0, int64_t n1)
{
    spans->n = 0;
    spans->filled = n1 - n0;
    for (int64_t n = n0; n < n1;) {
        const int64_t oy = n / s->ow, ox = n % s->ow;
        const int64_t length = min_i64(min_i64(s->ow - ox, n1 - n), FTL_SPAN);
        spans->from[spans->n] = (oy - w->y) * w->columns + ox - w->x;
        spans->to[spans->n] = n - n0;
        spans->n++;
        n += length;
    }
}

static void make_panels(const void *context, float *dst, int64_t k0, int64_t k1, int64_t n0,
                        int64_t n1, float *scratch)
{
    const source *from = context;
    const ftl_conv2d_shape *s = from->shape;
    const int64_t taps = s->kh * s->kw, c0 = k0 / taps, c1 = (k1 + taps - 1) / taps;
    const int64_t y0 = n0 / s->ow, y1 = (n1 - 1) / s->ow + 1;
    const bool is_one_row = y1 - y0 == 1;
    const window w = window_of(s, y0, y1, is_one_row ? n0 - y0 * s->ow : 0,
                               is_one_row ? n1 - y0 * s->ow : s->ow);
    int64_t *offset = (int64_t *)(void *)scratch;
    float *cells = scratch + round_up((k1 - k0) * 2, FTL_SPAN);
    const int64_t channel = channel_floats(&w);
    list_offsets(offset, s, &w, k0, k1, c0);
    for (int64_t c = c0; c < c1; c++)
        fill_channel(cells + (c - c0) * channel, &w, from->x + c * s->ih * s->iw);
    memset(cells + (c1 - c0) * channel, 0, FTL_SPAN * sizeof *cells);

    ftl_pack_spans spans;
    const int64_t tile = from->kernel->tile_n;
    spans.width = tile;
    for (int64_t n = n0; n < n1; n += tile, dst += tile * (k1 - k0)) {
        list_spans(&spans, s, &w, n, min_i64(n + tile, n1));
        from->kernel->spans(dst, cells, offset, k1 - k0, &spans);
    }
}

/* Floats of scratch that make_panels() needs for any block. */
static int64_t make_floats(const ftl_conv2d_shape *s, const ftl_gemm_blocks *blocks)
{
    const int64_t taps = s->kh * s->kw, k = min_i64(blocks->kc, depth(s));
    const int64_t channels = min_i64((k + taps - 2) / taps + 1, s->ic / s->groups);
    const window w = widest_window(s, min_i64(blocks->nc, s->oh * s->ow));
    return round_up(k * 2, FTL_SPAN) + round_up(channels * channel_floats(&w), FTL_SPAN) + FTL_SPAN;
}

/* The product of one image and group, less the pointers. */
static ftl_gemm_job product_of(const ftl_conv2d_job *job)
{
    const ftl_conv2d_shape *s = &job->shape;
    ftl_gemm_job p = { .kernel = job->kernel,
                       .m = s->oc / s->groups,
                       .n = s->oh * s->ow,
                       .k = depth(s),
                       .ldc = s->oh * s->ow,
                       .blocks = job->blocks };
    p.a.form = FTL_GEMM_PACKED;
    if (is_pointwise(s)) {
        p.b.form = FTL_GEMM_ROWS;
        p.b.ld = s->ih * s->iw;
    } else {
        p.b.form = FTL_GEMM_MADE;
        p.b.make = make_panels;
    }
    return p;
}

ftl_gemm_blocks ftl_conv2d_blocks_pick(const ftl_conv2d_job *job, const ftl_gemm_caches *caches)
{
    const ftl_gemm_job product = product_of(job);
    return ftl_gemm_blocks_pick(&product, caches);
}

void ftl_conv2d_f32_range(const ftl_conv2d_job *job, int64_t image, int64_t group, int64_t m0,
                          int64_t m1, int64_t n0, int64_t n1, float *scratch)
{
    const ftl_conv2d_shape *s = &job->shape;
    ftl_gemm_job p = product_of(job);
    const int64_t first = image * s->oc + group * p.m; /* output channel */
    const float *x = job->x + (image * s->ic + group * (s->ic / s->groups)) * s->ih * s->iw;
    const source from = { &job->kernel, s, x };
    p.a.data = job->weights + group * ftl_gemm_f32_packed_floats(p.m, p.k, job->kernel.tile_m);
    p.b.data = x;
    p.b.context = &from;
    p.b.scratch_floats = 0; /* counts only for the size of the scratch */
    p.c = job->y + first * p.n;
    p.ending = job->ending;
    if (p.ending.bias_m) p.ending.bias_m += group * p.m;
    if (p.ending.residual) p.ending.residual += first * p.n;
    ftl_gemm_f32_range(&p, m0, m1, n0, n1, scratch);
}

/* Output rows of one depthwise band, so that its window stays in L1. */
static int64_t band_rows(const ftl_conv2d_shape *s)
{
    const window w = window_of(s, 0, 1, 0, s->ow);
    const int64_t row = w.v.n_phases * w.h.n_phases * w.columns;
    return max_i64(min_i64(BAND_FLOATS / row - w.v.reach, s->oh), 1);
}

/* Length of the flat sums of `rows` output rows.  Sums past the last pixel are not wanted, so the
 * last tap reads less than a span past the window. */
static int64_t flat_floats(const window *w, int64_t rows)
{
    return round_up(rows * w->columns - w->h.reach, FTL_SPAN);
}

int64_t ftl_conv2d_f32_scratch_floats(const ftl_conv2d_job *job)
{
    const ftl_conv2d_shape *s = &job->shape;
    if (!ftl_conv2d_is_depthwise(s)) {
        ftl_gemm_job p = product_of(job);
        if (p.b.form == FTL_GEMM_MADE) p.b.scratch_floats = make_floats(s, &job->blocks);
        return ftl_gemm_f32_scratch_floats(&p);
    }
    const int64_t rows = band_rows(s);
    const window w = window_of(s, 0, rows, 0, s->ow);
    return round_up(s->kh * s->kw * 2, FTL_SPAN) + round_up(channel_floats(&w), FTL_SPAN) +
           FTL_SPAN + flat_floats(&w, rows);
}

/* Copies the flat sums of output rows out to y: [rows, ow] and ends them. */
static void unflatten(k_fn_ENDING *end, float *y, const float *flat, const window *w, int64_t rows,
                      int64_t ow, const ftl_epilogue *ending)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * ow, flat + r * w->columns, (size_t)ow * sizeof *y);
    end(ending, y, rows * ow, 1, rows * ow);
}

void ftl_conv2d_f32_depthwise_range(const ftl_conv2d_job *job, int64_t image, int64_t c0,
                                    int64_t c1, int64_t y0, int64_t y1, float *scratch)
{
    const ftl_conv2d_shape *s = &job->shape;
    const int64_t taps = s->kh * s->kw, band = band_rows(s), pixels = s->oh * s->ow;
    const int64_t per_input = s->oc / s->ic;
    int64_t *offset = (int64_t *)(void *)scratch;
    float *cells = scratch + round_up(taps * 2, FTL_SPAN);
    for (int64_t y = y0; y < y1; y += band) {
        const int64_t rows = min_i64(band, y1 - y);
        const window w = window_of(s, y, y + rows, 0, s->ow);
        const int64_t channel = channel_floats(&w);
        float *flat = cells + round_up(channel, FTL_SPAN) + FTL_SPAN;
        for (int64_t t = 0; t < taps; t++) offset[t] = tap_offset(&w, t / s->kw, t % s->kw);
        memset(cells + channel, 0, FTL_SPAN * sizeof *cells);
        for (int64_t c = c0; c < c1; c++) {
            const int64_t at = (image * s->oc + c) * pixels + y * s->ow;
            if (c == c0 || c % per_input == 0)
                fill_channel(cells, &w, job->x + (image * s->ic + c / per_input) * s->ih * s->iw);
            job->kernel.depthwise(flat, cells, offset, job->weights + c * taps, taps,
                                  flat_floats(&w, rows));
            ftl_epilogue ending = job->ending;
            if (ending.bias_m) ending.bias_m += c;
            if (ending.residual) ending.residual += at;
            unflatten(job->kernel.ending, job->y + at, flat, &w, rows, s->ow, &ending);
        }
    }
}
