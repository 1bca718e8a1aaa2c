/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax, norms, losses, reductions, Adam in f32: every table against f64 formulas. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_tables.h"

static const int64_t row_sizes[][2] = { { 1, 1 },  { 3, 5 },   { 2, 16 },   { 4, 33 }, { 1, 1000 },
                                        { 2, 64 }, { 2, 767 }, { 1, 5000 }, { 0, 8 },  { 3, 17 } };
enum { N_ROW_SIZES = sizeof row_sizes / sizeof row_sizes[0] };

static float *filled(int64_t n, uint32_t seed, float scale, float shift)
{
    float *x = op_floats(n, (int)(seed & 1));
    op_fill(x, n, seed);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] * scale + shift;
    return x;
}

/* ---- softmax -------------------------------------------------------------------------------- */

/* Along n elements `step` apart. */
static void exact_softmax(double *y, const float *x, int64_t n, int64_t step, bool is_log)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)x[i * step];
        most = v > most || isnan(v) ? v : most;
        if (isnan(most)) break;
    }
    if (most == -INFINITY) {
        for (int64_t i = 0; i < n; i++) y[i * step] = is_log ? -INFINITY : 0;
        return;
    }
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i * step] - most);
    for (int64_t i = 0; i < n; i++) {
        const double z = (double)x[i * step] - most;
        y[i * step] = is_log ? z - log(sum) : exp(z) / sum;
    }
}

/* The contract of kernels_ops.h. */
static bool softmax_is_close(float got, double want, bool is_log)
{
    if (is_log) return op_close(got, want, 5e-7 * (1 + fabs(want)));
    const double below = want > 0 ? -log(want) : 0;
    return op_close(got, want, want * (1e-6 + 1.2e-7 * below) + 1e-44);
}

static bool softmax_case(const ftl_ops_f32 *t, int64_t rows, int64_t cols, float scale, bool is_log)
{
    const int64_t n = rows * cols;
    float *x = filled(n, 1, scale, 3), *y = op_floats(n, 0);
    double *want = calloc((size_t)n + 1, sizeof *want);
    bool is_ok = want != NULL;
    for (int64_t r = 0; is_ok && r < rows; r++)
        exact_softmax(want + r * cols, x + r * cols, cols, 1, is_log);
    t->softmax_rows(is_log, y, x, rows, cols);
    for (int64_t i = 0; is_ok && i < n; i++) is_ok = softmax_is_close(y[i], want[i], is_log);
    t->softmax_rows(is_log, x, x, rows, cols);
    is_ok &= memcmp(x, y, (size_t)n * sizeof *x) == 0;
    /* The same numbers as columns, in two ranges. */
    op_fill(x, n, 9);
    for (int64_t c = 0; is_ok && c < rows; c++) exact_softmax(want + c, x + c, cols, rows, is_log);
    t->softmax_columns(is_log, y, x, cols, rows, 0, rows / 2);
    t->softmax_columns(is_log, y, x, cols, rows, rows / 2, rows);
    for (int64_t i = 0; is_ok && i < n; i++) is_ok = softmax_is_close(y[i], want[i], is_log);
    t->softmax_columns(is_log, x, x, cols, rows, 0, rows);
    is_ok &= memcmp(x, y, (size_t)n * sizeof *x) == 0;
    free(want);
    is_ok &= op_free(x);
    return op_free(y) && is_ok;
}

static void test_softmax(const ftl_ops_f32 *t)
{
    bool is_ok = true;
    for (int i = 0; i < N_ROW_SIZES; i++)
        for (int k = 0; k < 4; k++)
            is_ok &= softmax_case(t, row_sizes[i][0], row_sizes[i][1], k & 1 ? 60 : 1, k & 2);
    is_ok &= softmax_case(t, 37, 300, 1, false) && softmax_case(t, 37, 300, 1, true);
    op_ok(is_ok, "%s softmax, log_softmax: rows, columns, in place", t->name);

    const float rows[][3] = { { -INFINITY, -INFINITY, -INFINITY },
                              { 1, NAN, 2 },
                              { 1, INFINITY, 2 },
                              { -INFINITY, 5, -INFINITY },
                              { FLT_MAX, -FLT_MAX, 0 } };
    is_ok = true;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (int is_log = 0; is_log < 2; is_log++) {
            float y[3], z[3];
            double want[3];
            exact_softmax(want, rows[r], 3, 1, is_log);
            t->softmax_rows(is_log, y, rows[r], 1, 3);
            t->softmax_columns(is_log, z, rows[r], 3, 1, 0, 1);
            for (int i = 0; i < 3; i++) {
                const double w = fabs(want[i]) > FLT_MAX ? copysign(INFINITY, want[i]) : want[i];
                is_ok &= op_close(y[i], w, 1e-6) && op_close(z[i], w, 1e-6);
            }
        }
    op_ok(is_ok, "%s softmax of infinities and NaN", t->name);
}

/* ---- norms ---------------------------------------------------------------------------------- */

static bool norm_case(const ftl_ops_f32 *t, int64_t rows, int64_t cols, int with, bool is_rms)
{
    const int64_t n = rows * cols;
    float *x = filled(n, 2, 3, is_rms ? 0.5f : 2), *y = op_floats(n, 1);
    float *scale = filled(cols, 3, 1, 1), *bias = filled(cols, 4, 1, 0);
    const float *s = with & 1 ? scale : NULL, *b = with & 2 ? bias : NULL;
    if (is_rms) t->rms_norm(y, x, s, 1e-5, rows, cols);
    else t->layer_norm(y, x, s, b, 1e-5, rows, cols);
    bool is_ok = true;
    for (int64_t r = 0; r < rows; r++) {
        const float *p = x + r * cols;
        double mean = 0, square = 0;
        for (int64_t i = 0; i < cols; i++) mean += (double)p[i] / (double)cols;
        if (is_rms) mean = 0;
        for (int64_t i = 0; i < cols; i++) square += pow((double)p[i] - mean, 2) / (double)cols;
        for (int64_t i = 0; i < cols; i++) {
            double want = ((double)p[i] - mean) / sqrt(square + 1e-5);
            if (s) want *= (double)s[i];
            if (b && !is_rms) want += (double)b[i];
            is_ok &= op_close(y[r * cols + i], want, 4e-6);
        }
    }
    if (is_rms) t->rms_norm(x, x, s, 1e-5, rows, cols);
    else t->layer_norm(x, x, s, b, 1e-5, rows, cols);
    is_ok &= memcmp(x, y, (size_t)n * sizeof *x) == 0;
    float *const all[] = { x, y, scale, bias };
    for (int i = 0; i < 4; i++) is_ok &= op_free(all[i]);
    return is_ok;
}

static void test_norms(const ftl_ops_f32 *t)
{
    for (int is_rms = 0; is_rms < 2; is_rms++) {
        bool is_ok = true;
        for (int i = 0; i < N_ROW_SIZES; i++)
            for (int with = 0; with < 4; with++)
                is_ok &= norm_case(t, row_sizes[i][0], row_sizes[i][1], with, is_rms);
        op_ok(is_ok, "%s %s, with and without scale and bias, in place", t->name,
              is_rms ? "rms_norm" : "layer_norm");
    }
    float x[3] = { 1, NAN, 2 }, y[3];
    t->layer_norm(y, x, NULL, NULL, 1e-5, 1, 3);
    bool is_ok = isnan(y[0]) && isnan(y[1]);
    t->rms_norm(y, x, NULL, 1e-5, 1, 3);
    op_ok(is_ok && isnan(y[0]) && isnan(y[2]), "%s norms: NaN spoils its row", t->name);
}

/* ---- losses --------------------------------------------------------------------------------- */

static bool loss_case(const ftl_ops_f32 *t, int64_t rows, int64_t classes)
{
    const int64_t n = rows * classes;
    float *x = filled(n, 5, 10, 0), *d = op_floats(n, 0), *loss = op_floats(rows, 1);
    float *dloss = filled(rows, 6, 1, 0);
    double *p = calloc((size_t)n + 1, sizeof *p);
    int32_t labels[8];
    for (int64_t r = 0; r < rows; r++)
        labels[r] = (int32_t)(r % 3 == 2 ? (r % 2 ? -1 : classes) : (r * 7) % classes);
    bool is_ok = p != NULL;
    for (int64_t r = 0; is_ok && r < rows; r++)
        exact_softmax(p + r * classes, x + r * classes, classes, 1, false);
    t->cross_entropy(loss, x, labels, classes, 0, rows);
    t->cross_entropy_grad(d, x, labels, dloss, classes, 0, rows);
    for (int64_t i = 0; is_ok && i < n; i++) {
        const int64_t r = i / classes, c = i % classes;
        const bool counts = labels[r] >= 0 && labels[r] < classes;
        const double hit = c == labels[r] ? 1 : 0;
        is_ok &= op_close(d[i], counts ? (p[i] - hit) * (double)dloss[r] : 0, 2e-6);
        if (counts && hit > 0) is_ok &= op_close(loss[r], -log(p[i]), 5e-6);
        if (!counts) is_ok &= loss[r] == 0;
    }
    t->cross_entropy_grad(x, x, labels, dloss, classes, 0, rows);
    is_ok &= memcmp(x, d, (size_t)n * sizeof *x) == 0;
    free(p);
    float *const all[] = { x, d, loss, dloss };
    for (int i = 0; i < 4; i++) is_ok &= op_free(all[i]);
    return is_ok;
}

static void test_losses(const ftl_ops_f32 *t)
{
    bool is_ok = loss_case(t, 1, 1) && loss_case(t, 5, 10) && loss_case(t, 8, 33) &&
                 loss_case(t, 6, 1000) && loss_case(t, 0, 4);
    op_ok(is_ok, "%s cross entropy and its gradient, labels outside too", t->name);
}

/* ---- reductions ----------------------------------------------------------------------------- */

typedef struct reduce_case {
    int64_t dims[6];
    uint32_t axes;
    const char *why;
} reduce_case;

static const reduce_case reduces[] = {
    { { 1, -1 }, 1, "one element" },
    { { -1 }, 0, "a scalar" },
    { { 5, 7, -1 }, 0, "no axis" },
    { { 4, 1000, -1 }, 2, "last axis" },
    { { 3, 5, 5000, -1 }, 4, "long rows" },
    { { 300, 37, -1 }, 1, "leading axis" },
    { { 3, 40, 131, -1 }, 2, "middle axis" },
    { { 2, 3, 4, 5, -1 }, 5, "every second axis" },
    { { 2, 3, 4, 5, -1 }, 10, "the other axes" },
    { { 2, 33, 7, 9, -1 }, 13, "all but channels" },
    { { 6, 17, -1 }, 3, "everything" },
    { { 2, 1, 9, 1, -1 }, 6, "axes of one" },
    { { 0, 4, -1 }, 1, "nothing to reduce" },
    { { 4, 0, -1 }, 1, "nothing to write" },
    { { 2, 3, 700, 2, -1 }, 6, "short rows that stay" },
};
static const ftl_op reduce_ops[] = { FTL_OP_reduce_sum, FTL_OP_reduce_mean, FTL_OP_reduce_max,
                                     FTL_OP_reduce_min, FTL_OP_reduce_prod };

static double reduce_join(ftl_op op, double a, double b)
{
    switch (op) {
    case FTL_OP_reduce_max: return isnan(a) || a > b ? a : b;
    case FTL_OP_reduce_min: return isnan(a) || a < b ? a : b;
    case FTL_OP_reduce_prod: return a * b;
    default: return a + b;
    }
}

/* Every element goes to its place among the outputs; size: sum of |x| there. */
static void exact_reduce(ftl_op op, const ftl_tensor_desc *in, uint32_t axes, const float *x,
                         double *y, double *size, double *each)
{
    const int64_t n = op_count(in);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int32_t a = in->rank - 1; a >= 0; a--) {
            if (!(axes >> a & 1)) at += rest % in->dim[a] * stride, stride *= in->dim[a];
            rest /= in->dim[a];
        }
        y[at] = reduce_join(op, y[at], (double)x[i]);
        size[at] += fabs((double)x[i]);
        each[at] += 1;
    }
}

static bool run_reduce(const ftl_ops_f32 *t, const reduce_case *c, ftl_op op, bool spoil)
{
    const ftl_tensor_desc in = op_desc(FTL_DTYPE_F32, c->dims);
    ftl_reduce_shape s;
    ftl_reduce_shape_init(&s, &in, c->axes);
    const int64_t n = op_count(&in);
    const bool is_prod = op == FTL_OP_reduce_prod;
    float *x = filled(n, 7, is_prod ? 0.3f : 2, is_prod ? 1 : 0.1f), *y = op_floats(s.n_out, 1);
    if (spoil && n > 3) x[n / 3] = NAN;
    if (spoil && n > 3) x[n - 1] = INFINITY;
    double *want = calloc((size_t)s.n_out + 1, sizeof *want);
    double *size = calloc((size_t)s.n_out + 1, sizeof *size);
    double *each = calloc((size_t)s.n_out + 1, sizeof *each);
    bool is_ok = want && size && each;
    const double start = op == FTL_OP_reduce_max   ? -INFINITY
                         : op == FTL_OP_reduce_min ? INFINITY
                                                   : is_prod;
    for (int64_t i = 0; is_ok && i < s.n_out; i++) want[i] = start;
    if (is_ok) exact_reduce(op, &in, c->axes, x, want, size, each);
    t->reduce(op, &s, y, x, 0, s.n_out / 3);
    t->reduce(op, &s, y, x, s.n_out / 3, s.n_out);
    for (int64_t i = 0; is_ok && i < s.n_out; i++) {
        double allowed = 1e-6 * size[i];
        if (op == FTL_OP_reduce_mean) want[i] /= each[i], allowed /= each[i];
        if (op == FTL_OP_reduce_max || op == FTL_OP_reduce_min) allowed = 0;
        if (is_prod) {
            allowed = 1e-6 * fabs(want[i]) + 1e-44;
            if (fabs(want[i]) > FLT_MAX) want[i] = copysign(INFINITY, want[i]);
        }
        is_ok = op_close(y[i], want[i], allowed);
        if (!is_ok)
            op_note("%s %s: op %d, output %lld, want %.9g, got %.9g", t->name, c->why, (int)op,
                    (long long)i, want[i], (double)y[i]);
    }
    free(want);
    free(size);
    free(each);
    is_ok &= op_free(x);
    return op_free(y) && is_ok;
}

static void test_reduce(const ftl_ops_f32 *t)
{
    for (size_t c = 0; c < sizeof reduces / sizeof reduces[0]; c++) {
        bool is_ok = true;
        for (size_t k = 0; k < sizeof reduce_ops / sizeof reduce_ops[0]; k++)
            is_ok &= run_reduce(t, &reduces[c], reduce_ops[k], false) &&
                     run_reduce(t, &reduces[c], reduce_ops[k], true);
        op_ok(is_ok, "%s reduce: %s", t->name, reduces[c].why);
    }
    /* A long sum of values that do not cancel: the error must not grow with the length. */
    const int64_t dims[] = { 1 << 22, -1 };
    const ftl_tensor_desc in = op_desc(FTL_DTYPE_F32, dims);
    ftl_reduce_shape s;
    ftl_reduce_shape_init(&s, &in, 1);
    float *x = filled(dims[0], 8, 0.5f, 1), y;
    double sum = 0;
    for (int64_t i = 0; i < dims[0]; i++) sum += (double)x[i];
    t->reduce(FTL_OP_reduce_sum, &s, &y, x, 0, 1);
    op_ok(op_close(y, sum, 1e-6 * sum), "%s sum of 4 million: relative error %.2g", t->name,
          fabs((double)y - sum) / sum);
    op_ok(op_free(x), "%s sum stays in its buffer", t->name);
}

static void test_arg_max(const ftl_ops_f32 *t)
{
    static const int64_t cases[][3] = { { 1, 1, 1 },    { 5, 10, 1 },  { 2, 1000, 1 },
                                        { 3, 20, 150 }, { 2, 5, 300 }, { 4, 33, 2 } };
    bool is_ok = true;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int spoil = 0; spoil < 3; spoil++) {
            const int64_t outer = cases[c][0], n = cases[c][1], inner = cases[c][2];
            float *x = filled(outer * n * inner, 3, 4, 0);
            for (int64_t i = 0; i < outer * n * inner; i++) {
                x[i] = floorf(x[i]); /* many ties */
                if (spoil == 1 && i % 7 == 5) x[i] = NAN;
                if (spoil == 2) x[i] = -INFINITY;
            }
            int32_t *y = calloc((size_t)(outer * inner), sizeof *y);
            if (!y) abort();
            t->arg_max(y, x, n, inner, 0, outer * inner / 2);
            t->arg_max(y, x, n, inner, outer * inner / 2, outer * inner);
            for (int64_t o = 0; o < outer * inner; o++) {
                const float *p = x + o / inner * n * inner + o % inner;
                int32_t best = 0;
                for (int32_t i = 1; i < n; i++) {
                    const float old = p[best * inner], v = p[i * inner];
                    if (!isnan(old) && (v > old || isnan(v))) best = i;
                }
                is_ok &= y[o] == best;
            }
            free(y);
            is_ok &= op_free(x);
        }
    op_ok(is_ok, "%s arg_max: ties, NaN, -inf", t->name);
}

/* ---- Adam ----------------------------------------------------------------------------------- */

static void test_adam(const ftl_ops_f32 *t)
{
    static const int64_t sizes[] = { 0, 1, 7, 16, 100, 1003 };
    const ftl_attr_adam attrs[] = { { 0.9, 0.999, 1e-8, 0 }, { 0.8, 0.99, 1e-6, 0.1 } };
    bool is_ok = true;
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
        for (int a = 0; a < 2; a++) {
            const int64_t n = sizes[k], step = a ? 1000 : 1;
            float *w = filled(n, 1, 1, 0), *dw = filled(n, 2, 1, 0);
            float *m = filled(n, 3, a ? 0.1f : 0, 0), *v = filled(n, 4, 0, a ? 0.01f : 0);
            float *out = op_floats(3 * n, 0);
            const ftl_adam_job job = { out, out + n, out + 2 * n, w, dw, m, v, 1e-2, step };
            t->adam(&attrs[a], &job, 0, n / 2);
            t->adam(&attrs[a], &job, n / 2, n);
            const double b1 = attrs[a].beta1, b2 = attrs[a].beta2;
            for (int64_t i = 0; i < n; i++) {
                const double g = (double)dw[i];
                const double wm = b1 * (double)m[i] + (1 - b1) * g;
                const double wv = b2 * (double)v[i] + (1 - b2) * g * g;
                const double mh = wm / (1 - pow(b1, (double)step));
                const double vh = wv / (1 - pow(b2, (double)step));
                const double change =
                    1e-2 * (mh / (sqrt(vh) + attrs[a].eps) + attrs[a].weight_decay * (double)w[i]);
                is_ok &= op_close(out[n + i], wm, 5e-7 * (fabs(wm) + 0.1 * fabs(g)));
                is_ok &= op_close(out[2 * n + i], wv, 5e-7 * wv);
                is_ok &= op_close(out[i], (double)w[i] - change, 2e-6 * fabs(change) + 1.2e-7);
            }
            const ftl_adam_job in_place = { w, m, v, w, dw, m, v, 1e-2, step };
            t->adam(&attrs[a], &in_place, 0, n);
            is_ok &= memcmp(w, out, (size_t)n * sizeof *w) == 0 &&
                     memcmp(m, out + n, (size_t)n * sizeof *w) == 0 &&
                     memcmp(v, out + 2 * n, (size_t)n * sizeof *w) == 0;
            float *const all[] = { w, dw, m, v, out };
            for (int i = 0; i < 5; i++) is_ok &= op_free(all[i]);
        }
    op_ok(is_ok, "%s adam: first and later steps, decay, in place", t->name);
}

int main(void)
{
    static op_table_test *const tests[] = { test_softmax, test_norms,   test_losses,
                                            test_reduce,  test_arg_max, test_adam };
    op_each_table("rows", tests, sizeof tests / sizeof tests[0]);
    return op_done();
}
