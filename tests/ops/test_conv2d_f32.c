/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution in f32: the reference against sums in f64, then every ISA's fast path likewise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/conv.h"
#include "ops/op_check.h"

typedef struct conv_case {
    int batch, ic, ih, iw, oc, kh, kw, sh, sw, top, left, bottom, right, dh, dw, groups;
    const char *why;
} conv_case;

static const conv_case cases[] = {
    { 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, "one element" },
    { 1, 3, 8, 8, 5, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, "pointwise" },
    { 3, 16, 9, 7, 33, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, "pointwise, a batch of three" },
    { 1, 8, 9, 9, 17, 1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 1, "pointwise with stride" },
    { 1, 4, 7, 7, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "pointwise with padding" },
    { 1, 4, 9, 9, 9, 1, 1, 1, 1, 0, 0, -2, -3, 1, 1, 1, "pointwise that leaves a border out" },
    { 2, 5, 12, 13, 15, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, "3x3 same" },
    { 1, 5, 12, 13, 15, 3, 3, 1, 1, 0, 0, 0, 0, 1, 1, 1, "3x3 valid" },
    { 1, 3, 37, 70, 13, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, "rows wider than a panel" },
    { 1, 7, 3, 200, 5, 3, 5, 1, 1, 1, 2, 1, 2, 1, 1, 1, "blocks inside one row" },
    { 1, 130, 7, 7, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, "many channels, small image" },
    { 1, 6, 11, 11, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, "stride 2" },
    { 1, 6, 11, 14, 8, 3, 3, 2, 3, 0, 1, 2, 0, 1, 1, 1, "two strides, asymmetric padding" },
    { 1, 3, 23, 23, 10, 7, 7, 2, 2, 3, 3, 3, 3, 1, 1, 1, "7x7 stride 2" },
    { 1, 3, 31, 31, 6, 11, 11, 4, 4, 2, 2, 2, 2, 1, 1, 1, "11x11 stride 4" },
    { 1, 4, 13, 13, 6, 2, 2, 3, 3, 0, 0, 0, 0, 1, 1, 1, "stride larger than the weights" },
    { 1, 4, 15, 16, 6, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2, 1, "dilation" },
    { 1, 4, 15, 16, 6, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 1, "dilation and stride share a factor" },
    { 1, 4, 19, 20, 6, 3, 4, 2, 3, 3, 0, 1, 5, 3, 2, 1, "dilation and stride do not" },
    { 1, 2, 5, 5, 3, 3, 3, 1, 1, 5, 4, 6, 7, 1, 1, 1, "padding wider than the weights" },
    { 1, 4, 9, 1, 3, 3, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, "one column (1-D)" },
    { 1, 4, 1, 40, 3, 1, 5, 1, 2, 0, 2, 0, 2, 1, 1, 1, "one row (1-D)" },
    { 1, 5, 6, 6, 4, 6, 6, 1, 1, 0, 0, 0, 0, 1, 1, 1, "one pixel comes out" },
    { 2, 8, 9, 9, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4, "groups" },
    { 1, 9, 8, 8, 21, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 3, "pointwise groups" },
    { 2, 6, 14, 14, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 6, "depthwise" },
    { 1, 3, 31, 33, 3, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 3, "depthwise stride 2" },
    { 1, 3, 7, 7, 6, 5, 5, 1, 1, 2, 2, 2, 2, 1, 1, 3, "depthwise, two outputs a channel" },
    { 1, 2, 150, 140, 2, 3, 3, 1, 1, 0, 2, 1, 0, 1, 1, 2, "depthwise in several bands" },
    { 1, 2, 40, 61, 2, 3, 3, 1, 2, 9, 20, 0, 21, 1, 20, 2, "depthwise, wide dilation" },
    { 1, 4, 1, 1, 4, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 4, "depthwise, one pixel" },
    { 1, 1, 20, 20, 7, 5, 3, 1, 1, 2, 1, 2, 1, 1, 1, 1, "one input channel" },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static ftl_conv2d_shape shape_of(const conv_case *c)
{
    const int64_t oh = (c->ih + c->top + c->bottom - (c->kh - 1) * c->dh - 1) / c->sh + 1;
    const int64_t ow = (c->iw + c->left + c->right - (c->kw - 1) * c->dw - 1) / c->sw + 1;
    return (ftl_conv2d_shape){ c->ic, c->ih, c->iw,  c->oc,   oh,    ow,    c->kh,    c->kw,
                               c->sh, c->sw, c->top, c->left, c->dh, c->dw, c->groups };
}

/* One convolution with its exact sums. */
typedef struct problem {
    ftl_conv2d_shape s;
    int64_t batch, x_floats, w_floats, y_floats;
    float *x, *w, *bias, *residual;
    double *sum, *size;
} problem;

static void exact_at(const problem *p, int64_t image, int64_t o, int64_t oy, int64_t ox)
{
    const ftl_conv2d_shape *s = &p->s;
    const int64_t ic = s->ic / s->groups, first = o / (s->oc / s->groups) * ic;
    double sum = 0, size = 0;
    for (int64_t c = 0; c < ic; c++)
        for (int64_t ky = 0; ky < s->kh; ky++)
            for (int64_t kx = 0; kx < s->kw; kx++) {
                const int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
                const int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
                const bool is_inside = iy >= 0 && iy < s->ih && ix >= 0 && ix < s->iw;
                const int64_t at = ((image * s->ic + first + c) * s->ih + iy) * s->iw + ix;
                const double term = (double)p->w[((o * ic + c) * s->kh + ky) * s->kw + kx] *
                                    (is_inside ? (double)p->x[at] : 0.0);
                sum += term;
                size += fabs(term);
            }
    const int64_t at = ((image * s->oc + o) * s->oh + oy) * s->ow + ox;
    p->sum[at] = sum;
    p->size[at] = size;
}

static void problem_init(problem *p, const conv_case *c, bool spoil)
{
    p->s = shape_of(c);
    p->batch = c->batch;
    p->x_floats = p->batch * c->ic * c->ih * c->iw;
    p->w_floats = (int64_t)c->oc * (c->ic / c->groups) * c->kh * c->kw;
    p->y_floats = p->batch * c->oc * p->s.oh * p->s.ow;
    p->x = op_floats(p->x_floats, 1);
    p->w = op_floats(p->w_floats, 1);
    p->bias = op_floats(c->oc, 1);
    p->residual = op_floats(p->y_floats, 1);
    op_fill(p->x, p->x_floats, 1);
    op_fill(p->w, p->w_floats, 2);
    op_fill(p->bias, c->oc, 3);
    op_fill(p->residual, p->y_floats, 4);
    if (spoil) {
        p->x[0] = NAN;
        p->x[p->x_floats - 1] = INFINITY;
        p->w[p->w_floats - 1] = -INFINITY; /* times padding: NaN */
    }
    p->sum = calloc((size_t)p->y_floats, sizeof *p->sum);
    p->size = calloc((size_t)p->y_floats, sizeof *p->size);
    if (!p->sum || !p->size) abort();
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t o = 0; o < p->s.oc; o++)
            for (int64_t oy = 0; oy < p->s.oh; oy++)
                for (int64_t ox = 0; ox < p->s.ow; ox++) exact_at(p, b, o, oy, ox);
}

static bool problem_deinit(problem *p)
{
    bool is_whole = op_free(p->x);
    is_whole &= op_free(p->w);
    is_whole &= op_free(p->bias);
    is_whole &= op_free(p->residual);
    free(p->sum);
    free(p->size);
    return is_whole;
}

static bool check(const problem *p, const float *y, const ftl_epilogue *e)
{
    const int64_t pixels = p->s.oh * p->s.ow;
    const double k = (double)(p->s.ic / p->s.groups * p->s.kh * p->s.kw);
    for (int64_t i = 0; i < p->y_floats; i++) {
        const double bias = e->bias_m ? e->bias_m[i / pixels % p->s.oc] : 0;
        const double residual = e->residual ? e->residual[i] : 0;
        const double size = p->size[i] + fabs(bias) + fabs(residual);
        const double want = op_exact_act(e, p->sum[i] + bias + residual);
        const double allowed = 2 * (k + 4) * 0x1p-24 * size * op_act_slope(e) +
                               4e-7 * (e->act > FTL_EPILOGUE_CLIP ? 1 + fabs(want) : 0);
        if (op_close(y[i], want, allowed)) continue;
        op_note("%s: output %lld of %lld: got %.9g, want %.9g, allowed %.3g", op_act_names[e->act],
                (long long)i, (long long)p->y_floats, y[i], want, allowed);
        return false;
    }
    return true;
}

static ftl_epilogue ending_of(const problem *p, int way)
{
    ftl_epilogue e = { .act = (ftl_epilogue_act)(way % FTL_EPILOGUE_N),
                       .alpha = 0.2f,
                       .beta = 0.75f };
    if (way > 0) e.bias_m = p->bias;
    if (way > 1) {
        e.residual = p->residual;
        e.ld_residual = p->s.oh * p->s.ow;
    }
    return e;
}

static bool check_reference(const problem *p, int way)
{
    float *y = op_floats(p->y_floats, 1);
    op_fill(y, p->y_floats, 9);
    const ftl_epilogue whole = ending_of(p, way);
    for (int64_t b = 0; b < p->batch; b++) {
        ftl_epilogue e = whole;
        if (e.residual) e.residual += b * p->s.oc * p->s.oh * p->s.ow;
        k_conv2d_f32(y + b * p->s.oc * p->s.oh * p->s.ow, p->x + b * p->s.ic * p->s.ih * p->s.iw,
                     p->w, &p->s, &e);
    }
    const bool is_ok = check(p, y, &whole);
    return op_free(y) && is_ok;
}

/* One image, cut into `parts` along channels and along pixels (rows). */
static bool run_image(const ftl_conv2d_job *job, int64_t image, int parts)
{
    const ftl_conv2d_shape *s = &job->shape;
    const int64_t mr = job->kernel.tile_m, nr = job->kernel.tile_n;
    const int64_t m = s->oc / s->groups, n = s->oh * s->ow;
    bool is_whole = true;
    for (int64_t i = 0; i < parts; i++)
        for (int64_t j = 0; j < parts; j++) {
            float *scratch = op_floats(ftl_conv2d_f32_scratch_floats(job), 0);
            const int64_t m1 = (m + mr - 1) / mr * (i + 1) / parts * mr;
            const int64_t n1 = (n + nr - 1) / nr * (j + 1) / parts * nr;
            if (ftl_conv2d_is_depthwise(s))
                ftl_conv2d_f32_depthwise_range(job, image, s->oc * i / parts,
                                               s->oc * (i + 1) / parts, s->oh * j / parts,
                                               s->oh * (j + 1) / parts, scratch);
            else
                for (int64_t g = 0; g < s->groups; g++)
                    ftl_conv2d_f32_range(job, image, g, (m + mr - 1) / mr * i / parts * mr,
                                         m1 < m ? m1 : m, (n + nr - 1) / nr * j / parts * nr,
                                         n1 < n ? n1 : n, scratch);
            is_whole &= op_free(scratch);
        }
    return is_whole;
}

/* Whole, with small blocks, and in parts: right, and the same bits. */
static bool check_fast(const problem *p, const ftl_gemm_kernel *kernel, int way)
{
    float *packed = op_floats(ftl_conv2d_f32_packed_floats(kernel, &p->s), 1);
    float *y = op_floats(p->y_floats, 1), *first = op_floats(p->y_floats, 1);
    const ftl_gemm_caches caches = { 32 << 10, 256 << 10, 1 << 20 };
    bool is_ok = true;
    ftl_conv2d_f32_pack(kernel, &p->s, packed, p->w);
    for (int cut = 0; cut < 3 && is_ok; cut++) {
        ftl_conv2d_job job = { *kernel, p->s, p->x, packed, y, ending_of(p, way), { 0 } };
        job.blocks = cut == 1 ? (ftl_gemm_blocks){ kernel->tile_m, 2 * kernel->tile_n, 20 }
                              : ftl_conv2d_blocks_pick(&job, &caches);
        op_fill(y, p->y_floats, 9);
        for (int64_t b = 0; b < p->batch; b++) is_ok &= run_image(&job, b, cut == 2 ? 3 : 1);
        is_ok &= check(p, y, &job.ending);
        if (cut == 0) memcpy(first, y, (size_t)p->y_floats * sizeof *y);
        if (!is_ok || memcmp(first, y, (size_t)p->y_floats * sizeof *y) == 0) continue;
        op_note("cut %d changes bits", cut);
        is_ok = false;
    }
    is_ok &= op_free(packed);
    is_ok &= op_free(y);
    return op_free(first) && is_ok;
}

/* Each case with its own ending, so that all meet all paths. */
static void test_shapes(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    for (int i = 0; i < N_CASES; i++) {
        problem p;
        problem_init(&p, &cases[i], false);
        bool is_ok = true;
        for (int way = 0; way < 3; way++)
            is_ok &= kernel ? check_fast(&p, kernel, way == 2 ? i : way)
                            : check_reference(&p, way == 2 ? i : way);
        is_ok &= problem_deinit(&p);
        op_ok(is_ok, "conv2d %s: %s", isa ? isa->name : "reference", cases[i].why);
    }
}

static void test_endings(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    static const conv_case kinds[] = {
        { 1, 3, 9, 9, 18, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, "pointwise" },
        { 2, 3, 9, 9, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, "3x3" },
        { 2, 5, 9, 9, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 5, "depthwise" },
    };
    for (int i = 0; i < 3; i++) {
        problem p;
        problem_init(&p, &kinds[i], false);
        bool is_ok = true;
        for (int act = 0; act < FTL_EPILOGUE_N; act++)
            is_ok &= check_fast(&p, kernel, act + FTL_EPILOGUE_N);
        is_ok &= problem_deinit(&p);
        op_ok(is_ok, "conv2d %s: every ending, %s", isa->name, kinds[i].why);
    }
}

static void test_not_finite(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    static const conv_case kinds[] = {
        { 1, 3, 9, 9, 18, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, "pointwise" },
        { 1, 3, 19, 19, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, "3x3" },
        { 1, 5, 19, 19, 5, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 5, "depthwise" },
    };
    for (int i = 0; i < 3; i++) {
        problem p;
        problem_init(&p, &kinds[i], true);
        bool is_ok = check_fast(&p, kernel, 0) && check_fast(&p, kernel, FTL_EPILOGUE_RELU);
        is_ok &= check_reference(&p, 0);
        is_ok &= problem_deinit(&p);
        op_ok(is_ok, "conv2d %s: NaN and infinities come through, %s", isa->name, kinds[i].why);
    }
}

int main(void)
{
    test_shapes(NULL, NULL);
    for (int i = 0; i < op_n_isas; i++) {
        ftl_gemm_kernel kernel;
        if (!op_isa_usable(&op_isas[i], "conv2d")) continue;
        if (!ftl_gemm_kernel_get(&kernel, op_isas[i].bit)) {
            op_ok(false, "conv2d %s: kernels.def has a whole set", op_isas[i].name);
            continue;
        }
        test_shapes(&op_isas[i], &kernel);
        test_endings(&op_isas[i], &kernel);
        test_not_finite(&op_isas[i], &kernel);
    }
    return op_done();
}
