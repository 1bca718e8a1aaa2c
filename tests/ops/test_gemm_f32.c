/* SPDX-License-Identifier: Apache-2.0 */
/* GEMM in f32: every ISA's kernels through every form of operand, against sums in f64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/gemm.h"
#include "ops/op_check.h"

/* Sizes in units of the kernel's tile plus an offset, so that one table serves all tiles. */
typedef struct gemm_case {
    int m_tiles, m_more, n_tiles, n_more, k;
    const char *why;
} gemm_case;

static const gemm_case cases[] = {
    { 0, 1, 0, 1, 1, "one element" },
    { 0, 1, 0, 1, 0, "an empty sum" },
    { 1, 0, 1, 0, 0, "a tile of empty sums" },
    { 1, 0, 1, 0, 1, "one tile, one product" },
    { 1, 0, 1, 0, 64, "one tile" },
    { 1, -1, 1, -1, 33, "one less than a tile" },
    { 1, 1, 1, 1, 31, "one more than a tile" },
    { 2, 3, 3, 5, 17, "tiles and edges" },
    { 0, 1, 4, 7, 300, "one row: matrix-vector" },
    { 0, 2, 5, 1, 300, "two rows" },
    { 0, 3, 9, -3, 77, "three rows" },
    { 0, 4, 2, 0, 129, "four rows" },
    { 0, 5, 2, 1, 129, "one row too many for matrix-vector" },
    { 5, -2, 0, 1, 65, "one column" },
    { 3, 2, 1, -3, 1000, "a long sum" },
    { 6, 1, 6, 1, 260, "several blocks" },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* One product with its exact answer.  A and B are kept in both orders, with row distances larger
 * than the rows. */
typedef struct problem {
    int64_t m, n, k, ldc;
    float *a[2], *b[2]; /* as rows, as columns (transposed) */
    int64_t lda[2], ldb[2];
    float *packed_a, *packed_b, *bias_m, *bias_n, *residual, *before;
    double *sum, *size; /* sum of a b, sum of |a b| */
} problem;

static void transpose(float *to, int64_t ld_to, const float *from, int64_t ld_from, int64_t rows,
                      int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * ld_to + i] = from[i * ld_from + j];
}

static float *filled(int64_t n, uint32_t seed)
{
    float *x = op_floats(n, 1);
    op_fill(x, n, seed);
    return x;
}

static void problem_sums(problem *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0, size = 0;
            for (int64_t q = 0; q < p->k; q++) {
                const double term =
                    (double)p->a[0][i * p->lda[0] + q] * (double)p->b[0][q * p->ldb[0] + j];
                sum += term;
                size += fabs(term);
            }
            p->sum[i * p->n + j] = sum;
            p->size[i * p->n + j] = size;
        }
}

static void problem_pack(problem *p, const ftl_gemm_kernel *kernel)
{
    const ftl_gemm_operand a = { .form = FTL_GEMM_ROWS, .data = p->a[0], .ld = p->lda[0] };
    const ftl_gemm_operand b = { .form = FTL_GEMM_COLUMNS, .data = p->b[1], .ld = p->ldb[1] };
    ftl_gemm_f32_pack_a(kernel, p->packed_a, &a, p->m, p->k);
    ftl_gemm_f32_pack_b(kernel, p->packed_b, &b, p->n, p->k);
}

/* `spoil`: puts NaN and infinities among the operands. */
static void problem_init(problem *p, const ftl_gemm_kernel *kernel, int64_t m, int64_t n, int64_t k,
                         bool spoil)
{
    *p = (problem){ .m = m, .n = n, .k = k, .ldc = n + 3 };
    p->lda[0] = k + 1;
    p->lda[1] = m + 2;
    p->ldb[0] = n + 1;
    p->ldb[1] = k + 3;
    p->a[0] = filled(m * p->lda[0], 1);
    p->b[0] = filled(k * p->ldb[0], 2);
    if (spoil) {
        p->a[0][0] = INFINITY;                            /* times a zero: NaN in column 0 */
        p->b[0][0] = 0;                                   /*                                */
        p->a[0][(m - 1) * p->lda[0] + k - 1] = NAN;       /* the whole last row             */
        p->b[0][(k / 2) * p->ldb[0] + n - 1] = -INFINITY; /* infinities in the last column */
    }
    p->a[1] = filled(k * p->lda[1], 3);
    p->b[1] = filled(n * p->ldb[1], 4);
    transpose(p->a[1], p->lda[1], p->a[0], p->lda[0], m, k);
    transpose(p->b[1], p->ldb[1], p->b[0], p->ldb[0], k, n);
    p->packed_a = op_floats(ftl_gemm_f32_packed_floats(m, k, kernel->tile_m), 0);
    p->packed_b = op_floats(ftl_gemm_f32_packed_floats(n, k, kernel->tile_n), 1);
    p->bias_m = filled(m, 5);
    p->bias_n = filled(n, 6);
    p->residual = filled(m * (n + 5), 7);
    p->before = filled(m * p->ldc, 8);
    p->sum = calloc((size_t)(m * n), sizeof *p->sum);
    p->size = calloc((size_t)(m * n), sizeof *p->size);
    if (!p->sum || !p->size) abort();
    problem_sums(p);
    problem_pack(p, kernel);
}

static bool problem_deinit(problem *p)
{
    float *const all[] = { p->a[0],     p->a[1],   p->b[0],   p->b[1],     p->packed_a,
                           p->packed_b, p->bias_m, p->bias_n, p->residual, p->before };
    bool is_whole = true;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) is_whole &= op_free(all[i]);
    free(p->sum);
    free(p->size);
    return is_whole;
}

static ftl_gemm_operand operand(ftl_gemm_form form, float *const plain[2], const int64_t ld[2],
                                float *packed)
{
    if (form == FTL_GEMM_PACKED) return (ftl_gemm_operand){ .form = form, .data = packed };
    return (ftl_gemm_operand){ .form = form, .data = plain[form], .ld = ld[form] };
}

static ftl_gemm_job job_of(const problem *p, const ftl_gemm_kernel *kernel, ftl_gemm_form a,
                           ftl_gemm_form b, float *c)
{
    ftl_gemm_job job = {
        .kernel = *kernel, .m = p->m, .n = p->n, .k = p->k, .c = c, .ldc = p->ldc
    };
    job.a = operand(a, p->a, p->lda, p->packed_a);
    job.b = operand(b, p->b, p->ldb, p->packed_b);
    const ftl_gemm_caches caches = { 32 << 10, 256 << 10, 1 << 20 };
    job.blocks = ftl_gemm_blocks_pick(&job, &caches);
    return job;
}

/* The whole of C in one call. */
static bool run_whole(const ftl_gemm_job *job)
{
    float *scratch = op_floats(ftl_gemm_f32_scratch_floats(job), 0);
    ftl_gemm_f32_range(job, 0, job->m, 0, job->n, scratch);
    return op_free(scratch);
}

/* As `parts` threads would do it: cuts of rows and columns at tiles. */
static bool run_split(const ftl_gemm_job *job, int parts_m, int parts_n)
{
    const int64_t mr = job->kernel.tile_m, nr = job->kernel.tile_n;
    const int64_t tiles_m = (job->m + mr - 1) / mr, tiles_n = (job->n + nr - 1) / nr;
    bool is_whole = true;
    for (int64_t i = 0; i < parts_m; i++)
        for (int64_t j = 0; j < parts_n; j++) {
            const int64_t m0 = tiles_m * i / parts_m * mr, m1 = tiles_m * (i + 1) / parts_m * mr;
            const int64_t n0 = tiles_n * j / parts_n * nr, n1 = tiles_n * (j + 1) / parts_n * nr;
            float *scratch = op_floats(ftl_gemm_f32_scratch_floats(job), 0);
            ftl_gemm_f32_range(job, m0, m1 < job->m ? m1 : job->m, n0, n1 < job->n ? n1 : job->n,
                               scratch);
            is_whole &= op_free(scratch);
        }
    return is_whole;
}

/* Every element of C against the exact one; what lies between the rows is untouched.  A chain of k
 * roundings is off by at most k eps sum |a b|, twice that with separate products. */
static bool check(const problem *p, const ftl_gemm_job *job)
{
    const double eps = 0x1p-24;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->ldc; j++) {
            const float got = job->c[i * p->ldc + j], before = p->before[i * p->ldc + j];
            if (j >= p->n) {
                if (got == before) continue;
                op_note("wrote behind row %lld", (long long)i);
                return false;
            }
            const ftl_epilogue *e = &job->ending;
            double x = p->sum[i * p->n + j], size = p->size[i * p->n + j];
            double more[4] = { job->accumulate ? before : 0, e->bias_m ? e->bias_m[i] : 0,
                               e->bias_n ? e->bias_n[j] : 0,
                               e->residual ? e->residual[i * e->ld_residual + j] : 0 };
            for (int q = 0; q < 4; q++) {
                x += more[q];
                size += fabs(more[q]);
            }
            const double want = op_exact_act(e, x);
            const double allowed = 2 * (double)(p->k + 4) * eps * size * op_act_slope(e) +
                                   4e-7 * (e->act > FTL_EPILOGUE_CLIP ? 1 + fabs(want) : 0);
            if (op_close(got, want, allowed)) continue;
            op_note("%s: m %lld n %lld k %lld at (%lld, %lld): got %.9g, want %.9g, allowed %.3g",
                    op_act_names[e->act], (long long)p->m, (long long)p->n, (long long)p->k,
                    (long long)i, (long long)j, got, want, allowed);
            return false;
        }
    return true;
}

static int64_t c_bytes(const problem *p)
{
    return p->m * p->ldc * (int64_t)sizeof(float);
}

/* All nine forms of operands, two blockings, and splits: right, and the same bits. */
static bool check_forms(const problem *p, const ftl_gemm_kernel *kernel)
{
    float *c = op_floats(p->m * p->ldc, 1), *first = op_floats(p->m * p->ldc, 0);
    bool is_ok = true, is_first = true;
    for (ftl_gemm_form a = FTL_GEMM_ROWS; a <= FTL_GEMM_PACKED; a++)
        for (ftl_gemm_form b = FTL_GEMM_ROWS; b <= FTL_GEMM_PACKED; b++)
            for (int way = 0; way < 4 && is_ok; way++) {
                ftl_gemm_job job = job_of(p, kernel, a, b, c);
                if (way == 1)
                    job.blocks = (ftl_gemm_blocks){ kernel->tile_m, 2 * kernel->tile_n, 24 };
                memcpy(c, p->before, (size_t)c_bytes(p));
                is_ok &= way == 2   ? run_split(&job, 2, 3)
                         : way == 3 ? run_split(&job, 3, 1)
                                    : run_whole(&job);
                is_ok &= check(p, &job);
                if (is_first) memcpy(first, c, (size_t)c_bytes(p));
                is_first = false;
                if (memcmp(first, c, (size_t)c_bytes(p)) == 0 || !is_ok) continue;
                op_note("form %d x %d, way %d changes bits", (int)a, (int)b, way);
                is_ok = false;
            }
    is_ok &= op_free(c);
    return op_free(first) && is_ok;
}

static void test_shapes(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    for (int i = 0; i < N_CASES; i++) {
        const gemm_case *c = &cases[i];
        const int64_t m = c->m_tiles * kernel->tile_m + c->m_more;
        const int64_t n = c->n_tiles * kernel->tile_n + c->n_more;
        problem p;
        problem_init(&p, kernel, m, n, c->k, false);
        bool is_ok = check_forms(&p, kernel);
        is_ok &= problem_deinit(&p);
        op_ok(is_ok, "gemm %s: %lld x %lld x %d: %s", isa->name, (long long)m, (long long)n, c->k,
              c->why);
    }
}

/* Every number of rows and columns of an edge tile. */
static void test_edges(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    bool is_ok = true;
    for (int m = 1; m <= kernel->tile_m + 1 && is_ok; m++)
        for (int n = 1; n <= kernel->tile_n + 1 && is_ok; n++) {
            problem p;
            problem_init(&p, kernel, m, n, 5, false);
            float *c = op_floats(m * p.ldc, 1);
            for (int form = 0; form < 2; form++) {
                const ftl_gemm_job job =
                    job_of(&p, kernel, form ? FTL_GEMM_PACKED : FTL_GEMM_ROWS, FTL_GEMM_PACKED, c);
                memcpy(c, p.before, (size_t)c_bytes(&p));
                is_ok &= run_whole(&job) && check(&p, &job);
            }
            is_ok &= op_free(c);
            is_ok &= problem_deinit(&p);
        }
    op_ok(is_ok, "gemm %s: every edge tile", isa->name);
}

/* Each activation alone, with everything added, and onto what C holds; few rows and many. */
static void test_endings(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    for (int act = 0; act < FTL_EPILOGUE_N; act++) {
        bool is_ok = true;
        for (int way = 0; way < 8; way++) {
            problem p;
            problem_init(&p, kernel, way & 1 ? 3 : kernel->tile_m * 2 + 3, kernel->tile_n + 3, 40,
                         false);
            float *c = op_floats(p.m * p.ldc, 1);
            ftl_gemm_job job = job_of(&p, kernel, FTL_GEMM_ROWS, FTL_GEMM_PACKED, c);
            job.blocks.kc = 16;
            job.ending.act = (ftl_epilogue_act)act;
            job.ending.alpha = act == FTL_EPILOGUE_CLIP ? -0.5f : 0.2f;
            job.ending.beta = 0.75f;
            if (way & 2) {
                job.ending.bias_m = p.bias_m;
                job.ending.bias_n = p.bias_n;
                job.ending.residual = p.residual;
                job.ending.ld_residual = p.n + 5;
            }
            job.accumulate = (way & 4) != 0;
            memcpy(c, p.before, (size_t)c_bytes(&p));
            is_ok &= run_whole(&job) && check(&p, &job);
            is_ok &= op_free(c);
            is_ok &= problem_deinit(&p);
        }
        op_ok(is_ok, "gemm %s: ending %s", isa->name, op_act_names[act]);
    }
}

/* The curves over their whole range, at their ends, and for NaN. */
static void test_curves(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    enum { N = 4003 };
    for (int act = 0; act < FTL_EPILOGUE_N; act++) {
        float *x = op_floats(N, 1), *y = op_floats(N, 1);
        static const float ends[] = { 0,   -0.0f, 1e-30f, -1e-30f, 1e30f,  -1e30f, INFINITY,
                                      NAN, 88.5f, -88.5f, 1e-3f,   -1e-3f, 0.55f };
        op_fill(x, N, 11);
        for (int i = 0; i < N; i++) x[i] *= i % 3 == 0 ? 120.0f : i % 3 == 1 ? 10.0f : 1.0f;
        memcpy(x, ends, sizeof ends);
        memcpy(y, x, N * sizeof *x);
        const ftl_epilogue e = { .act = (ftl_epilogue_act)act, .alpha = 0.2f, .beta = 0.5f };
        kernel->ending(&e, y, N, 1, N);
        bool is_ok = true;
        double worst = 0;
        for (int i = 0; i < N && is_ok; i++) {
            const double want = op_exact_act(&e, x[i]);
            /* A few ulp, more in the far tail, where the exponent is a rounded square; absolute
             * where two terms cancel, and where exp flushes to 0. */
            const double tail = fmin(fabs((double)x[i]), 100);
            const double allowed = 6e-7 * fabs(want) + 3e-7 * tail * exp(-tail) + 1e-36 +
                                   (act >= FTL_EPILOGUE_HARD_SIGMOID ? 3e-7 : 0);
            is_ok = op_close(y[i], want, allowed);
            if (isfinite(want)) worst = fmax(worst, fabs((double)y[i] - want) / (1 + fabs(want)));
            if (!is_ok) op_note("x %.9g: got %.9g, want %.9g", x[i], y[i], want);
        }
        is_ok &= op_free(x);
        is_ok &= op_free(y);
        op_ok(is_ok, "curve %s: %s, worst error %.2g", isa->name, op_act_names[act], worst);
    }
}

static void test_not_finite(const op_isa *isa, const ftl_gemm_kernel *kernel)
{
    const int64_t rows[] = { 2, 2 * kernel->tile_m + 1 };
    bool is_ok = true;
    for (int i = 0; i < 2; i++) {
        problem p;
        problem_init(&p, kernel, rows[i], kernel->tile_n + 2, 50, true);
        float *c = op_floats(p.m * p.ldc, 0);
        for (int relu = 0; relu < 2; relu++) {
            ftl_gemm_job job = job_of(&p, kernel, FTL_GEMM_ROWS, FTL_GEMM_PACKED, c);
            if (relu) job.ending.act = FTL_EPILOGUE_RELU;
            memcpy(c, p.before, (size_t)c_bytes(&p));
            is_ok &= run_whole(&job) && check(&p, &job) && isnan(c[0]);
        }
        is_ok &= op_free(c);
        is_ok &= problem_deinit(&p);
    }
    op_ok(is_ok, "gemm %s: NaN and infinities come through", isa->name);
}

/* ISAs with a fused multiply-add make the same chains. */
static void test_same_bits(void)
{
    float *c[8];
    int64_t floats = 0;
    int n = 0;
    bool is_ok = true;
    for (int i = 1; i < op_n_isas; i++) {
        ftl_gemm_kernel kernel;
        if (!op_isa_usable(&op_isas[i], "same bits")) continue;
        if (!ftl_gemm_kernel_get(&kernel, op_isas[i].bit)) continue;
        problem p;
        problem_init(&p, &kernel, 33, 70, 600, false);
        floats = p.m * p.ldc;
        c[n] = op_floats(floats, 0);
        const ftl_gemm_job job = job_of(&p, &kernel, FTL_GEMM_ROWS, FTL_GEMM_PACKED, c[n]);
        memcpy(c[n], p.before, (size_t)c_bytes(&p));
        is_ok &= run_whole(&job);
        is_ok &= problem_deinit(&p);
        n++;
    }
    for (int i = 1; i < n; i++) is_ok &= memcmp(c[0], c[i], (size_t)floats * sizeof(float)) == 0;
    for (int i = 0; i < n; i++) is_ok &= op_free(c[i]);
    op_ok(is_ok, "gemm: %d fused ISAs give the same bits", n);
}

int main(void)
{
    for (int i = 0; i < op_n_isas; i++) {
        ftl_gemm_kernel kernel;
        if (!op_isa_usable(&op_isas[i], "gemm")) continue;
        if (!ftl_gemm_kernel_get(&kernel, op_isas[i].bit)) {
            op_ok(false, "gemm %s: kernels.def has a whole set", op_isas[i].name);
            continue;
        }
        test_shapes(&op_isas[i], &kernel);
        test_edges(&op_isas[i], &kernel);
        test_endings(&op_isas[i], &kernel);
        test_curves(&op_isas[i], &kernel);
        test_not_finite(&op_isas[i], &kernel);
    }
    test_same_bits();
    return op_done();
}
