/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and local response normalization in f32: every table against the definition in f64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_tables.h"

typedef struct pool_case {
    int64_t planes, ih, iw;
    ftl_attr_pool a; /* kernel, stride, dilation, pad, count_pad */
    const char *why;
} pool_case;

static const pool_case pools[] = {
    { 1, 1, 1, { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0 }, { 0 } }, "one element" },
    { 3, 7, 7, { { 7, 7 }, { 1, 1 }, { 1, 1 }, { 0 }, { 0 } }, "global" },
    { 2, 13, 13, { { 3, 3 }, { 2, 2 }, { 1, 1 }, { 0 }, { 0 } }, "3x3 of stride 2" },
    { 2, 12, 12, { { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, { 0 } }, "padded" },
    { 2, 12, 12, { { 3, 3 }, { 2, 2 }, { 1, 1 }, { 1, 1, 1, 1 }, { 1, 1, 1, 1 } }, "pads count" },
    { 2, 9, 11, { { 2, 3 }, { 1, 1 }, { 1, 1 }, { 0, 2, 1, 0 }, { 0, 1, 1, 0 } }, "lopsided" },
    { 1, 20, 37, { { 2, 2 }, { 2, 2 }, { 1, 1 }, { 0 }, { 0 } }, "2x2 of stride 2" },
    { 1, 9, 300, { { 3, 5 }, { 1, 1 }, { 1, 1 }, { 1, 2, 1, 2 }, { 0 } }, "a wide row" },
    { 1, 3, 1100, { { 3, 4 }, { 3, 3 }, { 1, 1 }, { 0, 3, 0, 2 }, { 0 } }, "stride 3, wide" },
    { 1, 15, 17, { { 3, 3 }, { 2, 1 }, { 2, 3 }, { 2, 3, 2, 3 }, { 0, 1, 2, 0 } }, "dilated" },
    { 1, 8, 40, { { 2, 3 }, { 1, 5 }, { 1, 7 }, { 0, 0, 0, 4 }, { 0 } }, "stride over kernel" },
    { 1, 2, 2500, { { 1, 2200 }, { 1, 100 }, { 1, 1 }, { 0 }, { 0 } }, "wider than any line" },
    { 1, 1, 3, { { 1, 3 }, { 1, 2 }, { 1, 1 }, { 0, 3, 0, 3 }, { 0 } }, "windows of padding" },
    { 0, 4, 4, { { 2, 2 }, { 2, 2 }, { 1, 1 }, { 0 }, { 0 } }, "nothing" },
};

static int64_t out_size(int64_t in, const ftl_attr_pool *a, int i)
{
    const int64_t reach = (int64_t)(a->kernel[i] - 1) * a->dilation[i];
    return (in + a->pad[i] + a->pad[i + 2] - reach - 1) / a->stride[i] + 1;
}

/* The window's elements in f64; size: sum of |x|. */
static double exact_window(bool is_max, const pool_case *c, const float *plane, int64_t oy,
                           int64_t ox, double *size)
{
    const ftl_attr_pool *a = &c->a;
    double most = -INFINITY, sum = 0, count = 0;
    *size = 0;
    for (int64_t ky = 0; ky < a->kernel[0]; ky++)
        for (int64_t kx = 0; kx < a->kernel[1]; kx++) {
            const int64_t y = oy * a->stride[0] - a->pad[0] + ky * a->dilation[0];
            const int64_t x = ox * a->stride[1] - a->pad[1] + kx * a->dilation[1];
            count += y >= -a->count_pad[0] && y < c->ih + a->count_pad[2] &&
                     x >= -a->count_pad[1] && x < c->iw + a->count_pad[3];
            if (y < 0 || y >= c->ih || x < 0 || x >= c->iw) continue;
            const double v = (double)plane[y * c->iw + x];
            most = v > most || isnan(v) ? v : most;
            sum += v;
            *size += fabs(v) / count;
        }
    return is_max ? most : sum / count;
}

static bool run_pool(const ftl_ops_f32 *t, const pool_case *c, bool is_max, bool spoil)
{
    const ftl_pool_shape s = { c->ih, c->iw, out_size(c->ih, &c->a, 0), out_size(c->iw, &c->a, 1) };
    const int64_t n_in = c->planes * c->ih * c->iw, n_out = c->planes * s.oh * s.ow;
    float *x = op_floats(n_in, 1), *y = op_floats(n_out, 0);
    op_fill(x, n_in, 5);
    for (int64_t i = 3; spoil && i < n_in; i += 29) x[i] = i % 2 ? NAN : -INFINITY;
    k_fn_max_pool2d *const run = is_max ? t->max_pool2d : t->avg_pool2d;
    run(&c->a, &s, y, x, 0, c->planes / 2);
    run(&c->a, &s, y, x, c->planes / 2, c->planes);
    bool is_ok = true;
    for (int64_t i = 0; i < n_out && is_ok; i++) {
        double size;
        const double want = exact_window(is_max, c, x + i / (s.oh * s.ow) * c->ih * c->iw,
                                         i / s.ow % s.oh, i % s.ow, &size);
        is_ok = op_close(y[i], want, is_max ? 0 : 3e-6 * size);
        if (!is_ok)
            op_note("%s %s, %s: output %lld, want %.9g, got %.9g", t->name, is_max ? "max" : "avg",
                    c->why, (long long)i, want, (double)y[i]);
    }
    is_ok &= op_free(x);
    return op_free(y) && is_ok;
}

static void test_pools(const ftl_ops_f32 *t)
{
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
        for (int is_max = 0; is_max < 2; is_max++)
            op_ok(run_pool(t, &pools[i], is_max, false) && run_pool(t, &pools[i], is_max, true),
                  "%s %s_pool2d: %s", t->name, is_max ? "max" : "avg", pools[i].why);
}

static bool run_lrn(const ftl_ops_f32 *t, const ftl_attr_lrn *a, int64_t channels, int64_t spatial)
{
    const int64_t n = channels * spatial;
    float *x = op_floats(n, 1), *y = op_floats(n, 0);
    op_fill(x, n, 6);
    for (int64_t i = 0; i < n; i++) x[i] *= 20;
    t->lrn(a, y, x, channels, spatial, 0, spatial / 3);
    t->lrn(a, y, x, channels, spatial, spatial / 3, spatial);
    bool is_ok = true;
    for (int64_t i = 0; i < n; i++) {
        const int64_t c = i / spatial, first = c - (a->size - 1) / 2;
        double sum = 0;
        for (int64_t k = first; k < first + a->size; k++)
            if (k >= 0 && k < channels) sum += pow((double)x[k * spatial + i % spatial], 2);
        const double want = (double)x[i] / pow(a->bias + a->alpha / a->size * sum, a->beta);
        is_ok &= op_close(y[i], want, 2e-6 * fabs(want));
    }
    is_ok &= op_free(x);
    return op_free(y) && is_ok;
}

static void test_lrn(const ftl_ops_f32 *t)
{
    const ftl_attr_lrn attrs[] = {
        { 5, 0, 1e-4, 0.75, 1 }, { 5, 0, 1, 0.75, 2 },   { 4, 0, 0.5, 0.6, 1 },
        { 1, 0, 2, 0.5, 1 },     { 9, 0, 1e-2, 1.5, 1 },
    };
    bool is_ok = true;
    for (size_t i = 0; i < sizeof attrs / sizeof attrs[0]; i++)
        is_ok &= run_lrn(t, &attrs[i], 1, 1) && run_lrn(t, &attrs[i], 3, 35) &&
                 run_lrn(t, &attrs[i], 12, 50) && run_lrn(t, &attrs[i], 7, 0);
    op_ok(is_ok, "%s lrn: windows odd, even, wider than the channels", t->name);
}

int main(void)
{
    static op_table_test *const tests[] = { test_pools, test_lrn };
    op_each_table("window", tests, sizeof tests / sizeof tests[0]);
    return op_done();
}
