/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise f32 kernels: every table against f64 over dense sweeps, special values, tails, places
 * in memory, aliasing, and every form of broadcasting. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_tables.h"

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Distance in units in the last place of the exact result; 1e9 where the kind of value differs. */
static double ulps(float got, double want)
{
    const float rounded = (float)want;
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : 1e9;
    if (isinf(rounded) || isinf(got)) {
        if (rounded == got) return 0;
        /* One last place below the border of infinity is as near as above it. */
        return fabs(want) > FLT_MAX * (1 - 0x1p-22) && fabs((double)got) > FLT_MAX * (1 - 0x1p-22)
                   ? 1
                   : 1e9;
    }
    int exponent;
    frexp(rounded, &exponent);
    const double ulp = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
    return fabs((double)got - want) / ulp;
}

typedef double exact_fn(double x);

static double exact_neg(double x)
{
    return -x;
}

static double exact_sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

static double exact_rsqrt(double x)
{
    return 1 / sqrt(x);
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

typedef struct unary_case {
    ftl_op op;
    const char *name;
    exact_fn *exact;
    double ulps;
} unary_case;

static const unary_case unaries[] = {
    { FTL_OP_neg, "neg", exact_neg, 0 },    { FTL_OP_abs, "abs", fabs, 0 },
    { FTL_OP_sign, "sign", exact_sign, 0 }, { FTL_OP_floor, "floor", floor, 0 },
    { FTL_OP_ceil, "ceil", ceil, 0 },       { FTL_OP_round, "round", rint, 0 },
    { FTL_OP_exp, "exp", exp, 1 },          { FTL_OP_log, "log", log, 1 },
    { FTL_OP_sqrt, "sqrt", sqrt, 0.501 },   { FTL_OP_rsqrt, "rsqrt", exact_rsqrt, 1.5 },
    { FTL_OP_tanh, "tanh", tanh, 1.5 },     { FTL_OP_sigmoid, "sigmoid", exact_sigmoid, 2.5 },
    { FTL_OP_erf, "erf", erf, 2.5 },        { FTL_OP_sin, "sin", sin, 1 },
    { FTL_OP_cos, "cos", cos, 1 },
};
enum { N_UNARIES = sizeof unaries / sizeof unaries[0] };

static const float specials[] = {
    0.0f,       -0.0f,    1.0f,       -1.0f,      NAN,        -NAN,     INFINITY,  -INFINITY,
    FLT_MAX,    -FLT_MAX, FLT_MIN,    -FLT_MIN,   1e-45f,     -1e-45f,  88.72283f, 88.72284f,
    -87.33654f, -88.0f,   -103.9721f, -104.0f,    -103.2789f, 0.5f,     1.5f,      2.5f,
    -0.5f,      -1.5f,    8388607.5f, 16777216.f, 0.6f,       0.59999f, 3.95f,     4.0f,
    89.0f,      -89.0f,   1e-30f,     -1e-30f,    1e-7f,      -3.0f,    3.0f,      1e10f,
};
enum { N_SPECIALS = sizeof specials / sizeof specials[0] };

/* Every 4099th float of both signs, then values in the range where the curves bend. */
enum { STEP = 4099, SWEEP = (int)(0x100000000 / STEP), MIDDLE = 400000, CHUNK = 4096 };

static void sweep_values(float *x, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = first + i;
        if (k < N_SPECIALS) x[i] = specials[k];
        else if (k < N_SPECIALS + SWEEP) x[i] = float_of((uint32_t)(k - N_SPECIALS) * STEP);
        else x[i] = (float)(k - N_SPECIALS - SWEEP - MIDDLE / 2) * (210.0f / MIDDLE);
    }
}
static const int64_t n_sweep = N_SPECIALS + SWEEP + MIDDLE;

static void test_unary(const ftl_ops_f32 *t)
{
    float *x = op_floats(CHUNK, 1), *y = op_floats(CHUNK, 0);
    for (int c = 0; c < N_UNARIES; c++) {
        const unary_case *u = &unaries[c];
        double worst = 0;
        float at = 0;
        bool zeros = true;
        for (int64_t first = 0; first < n_sweep; first += CHUNK) {
            const int64_t n = n_sweep - first < CHUNK ? n_sweep - first : CHUNK;
            sweep_values(x, first, n);
            t->unary(u->op, y, x, n);
            for (int64_t i = 0; i < n; i++) {
                const double want = u->exact((double)x[i]), error = ulps(y[i], want);
                if (error > worst) worst = error, at = x[i];
                if (x[i] == 0 && want == 0 && !signbit(want) != !signbit(y[i])) zeros = false;
            }
        }
        op_note("%s %s: %.2f ulp at most, at %.9g", t->name, u->name, worst, (double)at);
        op_ok(worst <= u->ulps && zeros, "%s %s within %.1f ulp", t->name, u->name, u->ulps);
    }
    bool is_whole = op_free(x);
    is_whole &= op_free(y);
    op_ok(is_whole, "%s unary stays in its buffers", t->name);
}

/* Lengths around the vectors, off alignment, in place: the same bits as one by one. */
static void test_tails(const ftl_ops_f32 *t)
{
    bool is_ok = true;
    for (int64_t n = 0; n <= 67; n++)
        for (int c = 0; c < N_UNARIES; c++) {
            float *x = op_floats(n, 1), *y = op_floats(n, 0), one;
            op_fill(x, n, (uint32_t)n + 7);
            t->unary(unaries[c].op, y, x, n);
            for (int64_t i = 0; i < n; i++) {
                t->unary(unaries[c].op, &one, x + i, 1);
                is_ok &= memcmp(&one, y + i, sizeof one) == 0;
            }
            t->unary(unaries[c].op, x, x, n);
            is_ok &= memcmp(x, y, (size_t)n * sizeof *x) == 0;
            is_ok &= op_free(x);
            is_ok &= op_free(y);
        }
    op_ok(is_ok, "%s unary: tails and in place", t->name);
}

/* ---- activations ---------------------------------------------------------------------------- */

static double exact_act(const ftl_attr_act *a, double x)
{
    const double alpha = (double)a->alpha, beta = (double)a->beta;
    switch (a->kind) {
    case FTL_ACT_RELU: return x < 0 ? 0 : x;
    case FTL_ACT_CLIP: return x < alpha ? alpha : x > beta ? beta : x;
    case FTL_ACT_LEAKY_RELU: return x < 0 ? alpha * x : x;
    case FTL_ACT_ELU: return x < 0 ? alpha * expm1(x) : x;
    case FTL_ACT_SELU: return beta * (x < 0 ? alpha * expm1(x) : x);
    case FTL_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case FTL_ACT_TANH: return tanh(x);
    case FTL_ACT_SILU: return x < -700 ? 0 : x / (1 + exp(-x));
    case FTL_ACT_GELU: return x < -40 ? 0 : x * 0.5 * erfc(-x * sqrt(0.5));
    case FTL_ACT_GELU_TANH:
        return x < -40 ? 0 : x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case FTL_ACT_HARD_SIGMOID: x = alpha * x + beta; return x < 0 ? 0 : x > 1 ? 1 : x;
    case FTL_ACT_HARD_SWISH: return x * (x < -3 ? 0 : x > 3 ? 1 : isnan(x) ? x : x / 6 + 0.5);
    case FTL_ACT_SOFTPLUS: return x > 700 ? x : log1p(exp(x));
    default: return x;
    }
}

static const ftl_attr_act acts[] = {
    { FTL_ACT_NONE, 0, 0 },        { FTL_ACT_RELU, 0, 0 },
    { FTL_ACT_CLIP, -0.5f, 6.0f }, { FTL_ACT_LEAKY_RELU, 0.01f, 0 },
    { FTL_ACT_ELU, 1.0f, 0 },      { FTL_ACT_SELU, 1.67326319f, 1.05070102f },
    { FTL_ACT_SIGMOID, 0, 0 },     { FTL_ACT_TANH, 0, 0 },
    { FTL_ACT_SILU, 0, 0 },        { FTL_ACT_GELU, 0, 0 },
    { FTL_ACT_GELU_TANH, 0, 0 },   { FTL_ACT_HARD_SIGMOID, 0.2f, 0.5f },
    { FTL_ACT_HARD_SWISH, 0, 0 },  { FTL_ACT_SOFTPLUS, 0, 0 },
};

/* The contract: 4e-7 of max(1, |exact|); infinities as the limits say. */
static bool act_is_close(float got, double want)
{
    if (fabs(want) > FLT_MAX) return isinf(got) || fabs((double)got) > 3.4e38;
    return op_close(got, want, 4e-7 * fmax(1, fabs(want)));
}

static void test_activations(const ftl_ops_f32 *t)
{
    float *x = op_floats(CHUNK, 1), *y = op_floats(CHUNK, 0);
    op_ok(sizeof acts / sizeof acts[0] == FTL_ACT_COUNT, "every activation has a row here");
    for (int k = 0; k < FTL_ACT_COUNT; k++) {
        double worst = 0;
        int64_t n_bad = 0;
        for (int64_t first = 0; first < n_sweep; first += CHUNK) {
            const int64_t n = n_sweep - first < CHUNK ? n_sweep - first : CHUNK;
            sweep_values(x, first, n);
            t->activation(&acts[k], y, x, n);
            for (int64_t i = 0; i < n; i++) {
                const double want = exact_act(&acts[k], (double)x[i]);
                if (!act_is_close(y[i], want)) {
                    if (n_bad++ == 0)
                        op_note("activation %d of %.9g: want %.9g, got %.9g", acts[k].kind,
                                (double)x[i], want, (double)y[i]);
                } else if (isfinite(want) && fabs(want) < FLT_MAX) {
                    worst = fmax(worst, fabs((double)y[i] - want) / fmax(1, fabs(want)));
                }
            }
            t->activation(&acts[k], x, x, n);
            if (memcmp(x, y, (size_t)n * sizeof *x) != 0) n_bad++;
        }
        op_ok(n_bad == 0, "%s activation %d within 4e-7 (%.2g), in place", t->name, acts[k].kind,
              worst);
    }
    bool is_whole = op_free(x);
    is_whole &= op_free(y);
    op_ok(is_whole, "%s activations stay in their buffers", t->name);
}

/* ---- two inputs ----------------------------------------------------------------------------- */

static double exact_binary(ftl_op op, double x, double y)
{
    switch (op) {
    case FTL_OP_add: return x + y;
    case FTL_OP_sub: return x - y;
    case FTL_OP_mul: return x * y;
    case FTL_OP_div: return x / y;
    case FTL_OP_max: return isnan(x) || isnan(y) ? NAN : x > y ? x : y;
    case FTL_OP_min: return isnan(x) || isnan(y) ? NAN : x < y ? x : y;
    case FTL_OP_pow: return pow(x, y);
    default: return fmod(x, y);
    }
}

static const ftl_op binaries[] = { FTL_OP_add, FTL_OP_sub, FTL_OP_mul, FTL_OP_div,
                                   FTL_OP_max, FTL_OP_min, FTL_OP_pow, FTL_OP_mod };

typedef struct shape_case {
    int64_t out[6], a[6], b[6];
    const char *why;
} shape_case;

static const shape_case shapes[] = {
    { { 1, -1 }, { 1, -1 }, { 1, -1 }, "one element" },
    { { -1 }, { -1 }, { -1 }, "scalars" },
    { { 0, 3, -1 }, { 0, 3, -1 }, { 1, 3, -1 }, "nothing" },
    { { 103, -1 }, { 103, -1 }, { 103, -1 }, "both contiguous, with a tail" },
    { { 5, 37, -1 }, { 5, 37, -1 }, { -1 }, "scalar on the right" },
    { { 5, 37, -1 }, { 1, -1 }, { 5, 37, -1 }, "scalar on the left" },
    { { 7, 33, -1 }, { 7, 33, -1 }, { 33, -1 }, "a vector for each row" },
    { { 7, 33, -1 }, { 7, 33, -1 }, { 7, 1, -1 }, "a number for each row" },
    { { 2, 3, 19, -1 }, { 2, 3, 19, -1 }, { 3, 1, -1 }, "a number for each channel" },
    { { 4, 5, -1 }, { 4, 1, -1 }, { 5, -1 }, "outer product" },
    { { 2, 3, 4, 5, -1 }, { 2, 1, 4, 1, -1 }, { 3, 1, 5, -1 }, "every second axis" },
    { { 6, 2, 2, -1 }, { 6, 2, 2, -1 }, { 2, 1, -1 }, "short rows" },
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

/* Offset of an input's element that belongs to element `flat` of out, by NumPy's rule. */
static int64_t broadcast_at(const ftl_tensor_desc *out, const ftl_tensor_desc *in, int64_t flat)
{
    int64_t at = 0, stride = 1;
    for (int32_t i = out->rank - 1; i >= 0; i--) {
        const int64_t index = flat % out->dim[i];
        const int32_t k = i - (out->rank - in->rank);
        flat /= out->dim[i];
        if (k < 0) continue;
        if (in->dim[k] != 1) at += index * stride;
        stride *= in->dim[k];
    }
    return at;
}

static void spoil(float *x, int64_t n, uint32_t seed)
{
    op_fill(x, n, seed);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] * 8;
    for (int64_t i = (int64_t)seed % 5; i < n; i += 11) x[i] = specials[(i + seed) % N_SPECIALS];
}

static bool binary_case(const ftl_ops_f32 *t, const shape_case *c, ftl_op op)
{
    const ftl_tensor_desc out = op_desc(FTL_DTYPE_F32, c->out), a = op_desc(FTL_DTYPE_F32, c->a),
                          b = op_desc(FTL_DTYPE_F32, c->b), *in[2] = { &a, &b };
    const int64_t n = op_count(&out), na = op_count(&a), nb = op_count(&b);
    float *x = op_floats(na, 1), *y = op_floats(nb, 0), *z = op_floats(n, 1);
    spoil(x, na, 3);
    spoil(y, nb, 4);
    if (nb == 1) y[0] = op == FTL_OP_pow ? 2.0f : 1.5f;
    ftl_nest nest;
    ftl_nest_init(&nest, &out, in, 2);
    bool is_ok = true;
    /* In two ranges: whole, then cut somewhere in a row. */
    t->binary(op, &nest, z, x, y, 0, n / 3);
    t->binary(op, &nest, z, x, y, n / 3, n);
    for (int64_t i = 0; i < n; i++) {
        const double want = exact_binary(op, (double)x[broadcast_at(&out, &a, i)],
                                         (double)y[broadcast_at(&out, &b, i)]);
        if (ulps(z[i], want) > 0.5 && ulps(z[i], (double)(float)want) > 0) {
            op_note("%s op %d, %s: element %lld, want %.9g, got %.9g", t->name, (int)op, c->why,
                    (long long)i, want, (double)z[i]);
            is_ok = false;
            break;
        }
    }
    if (na == n) { /* the output may lie on an input of its size */
        t->binary(op, &nest, x, x, y, 0, n);
        is_ok &= memcmp(x, z, (size_t)n * sizeof *x) == 0;
    }
    is_ok &= op_free(x);
    is_ok &= op_free(y);
    is_ok &= op_free(z);
    return is_ok;
}

static void test_binary(const ftl_ops_f32 *t)
{
    for (int s = 0; s < N_SHAPES; s++) {
        bool is_ok = true;
        for (size_t k = 0; k < sizeof binaries / sizeof binaries[0]; k++)
            is_ok &= binary_case(t, &shapes[s], binaries[k]);
        op_ok(is_ok, "%s binary: %s", t->name, shapes[s].why);
    }
}

/* Exponents with a way of their own. */
static void test_powers(const ftl_ops_f32 *t)
{
    const float exponents[] = { 2.0f, 0.5f, -0.5f, 3.0f, 0.0f };
    const int64_t dims[] = { N_SPECIALS, -1 };
    const ftl_tensor_desc out = op_desc(FTL_DTYPE_F32, dims),
                          one = op_desc(FTL_DTYPE_F32, dims + 1), *in[2] = { &out, &one };
    ftl_nest nest;
    ftl_nest_init(&nest, &out, in, 2);
    bool is_ok = true;
    for (int e = 0; e < 5; e++) {
        float y[N_SPECIALS];
        t->binary(FTL_OP_pow, &nest, y, specials, &exponents[e], 0, N_SPECIALS);
        for (int i = 0; i < N_SPECIALS; i++) {
            const float want = (float)pow((double)specials[i], (double)exponents[e]);
            if (isnan(want) ? isnan(y[i]) : y[i] == want && !signbit(y[i]) == !signbit(want))
                continue;
            is_ok = false;
            op_note("%s %.9g ^ %.9g: want %.9g, got %.9g", t->name, (double)specials[i],
                    (double)exponents[e], (double)want, (double)y[i]);
        }
    }
    op_ok(is_ok, "%s pow of special values", t->name);
}

/* ---- affine per channel --------------------------------------------------------------------- */

static void test_channel_affine(const ftl_ops_f32 *t)
{
    static const int64_t cases[][3] = { { 2, 3, 1 },  { 1, 40, 1 }, { 3, 5, 7 },
                                        { 2, 4, 49 }, { 1, 1, 33 }, { 2, 0, 5 } };
    bool is_ok = true;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int k = 0; k < FTL_ACT_COUNT; k++) {
            const int64_t channels = cases[c][1], spatial = cases[c][2];
            const int64_t rows = cases[c][0] * channels, n = rows * spatial;
            float *x = op_floats(n, 1), *y = op_floats(n, 0), *w = op_floats(2 * channels, 1);
            op_fill(x, n, 1);
            op_fill(w, 2 * channels, 2);
            t->channel_affine(y, x, w, w + channels, &acts[k], channels, spatial, 0, rows / 2);
            t->channel_affine(y, x, w, w + channels, &acts[k], channels, spatial, rows / 2, rows);
            for (int64_t i = 0; i < n; i++) {
                const int64_t ch = i / spatial % channels;
                const double sum = (double)x[i] * (double)w[ch] + (double)w[channels + ch];
                is_ok &= op_close(y[i], exact_act(&acts[k], sum), 1e-6);
            }
            is_ok &= op_free(x);
            is_ok &= op_free(y);
            is_ok &= op_free(w);
        }
    op_ok(is_ok, "%s affine per channel with every activation", t->name);

    const float one[5] = { 2, 0, -3, 1, 4 }; /* scale, mean, bias, variance in turn */
    float k, shift;
    ftl_batch_norm_fold(&k, &shift, &one[0], &one[2], &one[3], &one[4], 0, 1);
    op_ok(k == 1 && shift == -4, "batch norm folds");
}

int main(void)
{
    static op_table_test *const tests[] = { test_unary,  test_tails,  test_activations,
                                            test_binary, test_powers, test_channel_affine };
    op_each_table("elementwise", tests, sizeof tests / sizeof tests[0]);
    return op_done();
}
