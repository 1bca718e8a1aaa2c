/* SPDX-License-Identifier: Apache-2.0 */
/* micro_gemm: speed of the f32 matrix kernels on one core, beside the peak of that core.
 *
 *     micro_gemm [rounds] [part of a case name]
 *
 * Every kernel that kernels.def lists and this CPU can run, on shapes of real networks.  In each
 * round every kernel runs every case once and the peak loops run between them, so that a slow
 * moment of the machine hits all alike; printed are medians over the rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/conv.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpuid.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { MAX_KERNELS = 8, MAX_ROUNDS = 99, PEAK_TRIPS = 400000 };

/* M x K x N of a product (weights packed before, or both sides as written), or a convolution of a
 * square image. */
typedef struct bench_case {
    const char *name;
    enum { LINEAR, BOTH_ROWS, CONV } kind;
    int64_t m, k, n;                                /* products                                */
    int64_t size, kernel, stride, pad, groups, out; /* convolutions: m = oc, k = ic, out = oh   */
} bench_case;

static const bench_case cases[] = {
    { "gemm 1024 1024 1024, b packed", LINEAR, 1024, 1024, 1024 },
    { "gemm 1024 1024 1024, as written", BOTH_ROWS, 1024, 1024, 1024 },
    { "linear-1000 batch 64", LINEAR, 64, 1000, 1000 },
    { "linear-1000 batch 4", LINEAR, 4, 1000, 1000 },
    { "linear-1000 batch 1", LINEAR, 1, 1000, 1000 },
    { "linear-4096 batch 1", LINEAR, 1, 4096, 4096 },
    { "linear-256 batch 1", LINEAR, 1, 256, 256 },
    { "bert 128 768 3072", LINEAR, 128, 768, 3072 },
    { "resnet50 7x7/2 3-64 224", CONV, 64, 3, 0, 224, 7, 2, 3, 1, 112 },
    { "resnet50 1x1 64-256 56", CONV, 256, 64, 0, 56, 1, 1, 0, 1, 56 },
    { "resnet50 3x3 64-64 56", CONV, 64, 64, 0, 56, 3, 1, 1, 1, 56 },
    { "resnet50 3x3/2 128-128 56", CONV, 128, 128, 0, 56, 3, 2, 1, 1, 28 },
    { "resnet50 1x1/2 256-512 56", CONV, 512, 256, 0, 56, 1, 2, 0, 1, 28 },
    { "resnet50 3x3 256-256 14", CONV, 256, 256, 0, 14, 3, 1, 1, 1, 14 },
    { "resnet50 3x3 512-512 7", CONV, 512, 512, 0, 7, 3, 1, 1, 1, 7 },
    { "resnet50 1x1 2048-512 7", CONV, 512, 2048, 0, 7, 1, 1, 0, 1, 7 },
    { "densenet121 1x1 256-128 56", CONV, 128, 256, 0, 56, 1, 1, 0, 1, 56 },
    { "densenet121 3x3 128-32 56", CONV, 32, 128, 0, 56, 3, 1, 1, 1, 56 },
    { "densenet121 3x3 128-32 14", CONV, 32, 128, 0, 14, 3, 1, 1, 1, 14 },
    { "densenet121 1x1 1024-128 7", CONV, 128, 1024, 0, 7, 1, 1, 0, 1, 7 },
    { "alexnet 11x11/4 3-64 224", CONV, 64, 3, 0, 224, 11, 4, 2, 1, 55 },
    { "alexnet 5x5 64-192 27", CONV, 192, 64, 0, 27, 5, 1, 2, 1, 27 },
    { "alexnet 3x3 192-384 13", CONV, 384, 192, 0, 13, 3, 1, 1, 1, 13 },
    { "mobilenet depthwise 3x3 96 112", CONV, 96, 96, 0, 112, 3, 1, 1, 96, 112 },
    { "mobilenet depthwise 3x3/2 96 112", CONV, 96, 96, 0, 112, 3, 2, 1, 96, 56 },
    { "mobilenet depthwise 3x3 384 14", CONV, 384, 384, 0, 14, 3, 1, 1, 384, 14 },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

typedef struct bench_kernel {
    ftl_gemm_kernel kernel;
    uint32_t isa;
    void (*peak)(void); /* PEAK_TRIPS times 12 vectors of multiply-adds */
    int lanes;
} bench_kernel;

/* Twelve independent chains; the empty asm pins each to a register, so that nothing is folded. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#if defined(__x86_64__)
static __attribute__((target("avx2,fma"))) void peak_avx2(void)
{
    const __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(1e-30f);
#define X(n) __m256 c##n = _mm256_setzero_ps();
    CHAINS(X)
#undef X
    for (long i = 0; i < PEAK_TRIPS; i++) {
#define X(n)                                                                                       \
    c##n = _mm256_fmadd_ps(a, b, c##n);                                                            \
    __asm__ volatile("" : "+x"(c##n));
        CHAINS(X)
#undef X
    }
}

static __attribute__((target("avx512f"))) void peak_avx512(void)
{
    const __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(1e-30f);
#define X(n) __m512 c##n = _mm512_setzero_ps();
    CHAINS(X)
#undef X
    for (long i = 0; i < PEAK_TRIPS; i++) {
#define X(n)                                                                                       \
    c##n = _mm512_fmadd_ps(a, b, c##n);                                                            \
    __asm__ volatile("" : "+v"(c##n));
        CHAINS(X)
#undef X
    }
}

/* What portable C can use: a multiplication and an addition of SSE2. */
static void peak_any(void)
{
    __m128 a = _mm_set1_ps(1.0f);
    __asm__ volatile("" : "+x"(a));
#define X(n) __m128 c##n = _mm_set1_ps(1.0f);
    CHAINS(X)
#undef X
    for (long i = 0; i < PEAK_TRIPS; i++) {
#define X(n)                                                                                       \
    {                                                                                              \
        __m128 p = _mm_mul_ps(a, a);                                                               \
        __asm__ volatile("" : "+x"(p));                                                            \
        c##n = _mm_add_ps(c##n, p);                                                                \
        __asm__ volatile("" : "+x"(c##n));                                                         \
    }
        CHAINS(X)
#undef X
    }
}
#elif defined(__aarch64__)
static void peak_neon(void)
{
    const float32x4_t a = vdupq_n_f32(1.0f), b = vdupq_n_f32(1e-30f);
#define X(n) float32x4_t c##n = vdupq_n_f32(0);
    CHAINS(X)
#undef X
    for (long i = 0; i < PEAK_TRIPS; i++) {
#define X(n)                                                                                       \
    c##n = vfmaq_f32(c##n, a, b);                                                                  \
    __asm__ volatile("" : "+w"(c##n));
        CHAINS(X)
#undef X
    }
}
#endif

static int list_kernels(bench_kernel *list)
{
    static const bench_kernel known[] = {
#if defined(__x86_64__)
        { .isa = FTL_ISA_AVX512, .peak = peak_avx512, .lanes = 16 },
        { .isa = FTL_ISA_AVX2, .peak = peak_avx2, .lanes = 8 },
        { .isa = FTL_ISA_ANY, .peak = peak_any, .lanes = 4 },
#elif defined(__aarch64__)
        { .isa = FTL_ISA_NEON, .peak = peak_neon, .lanes = 4 },
        { .isa = FTL_ISA_ANY, .peak = peak_neon, .lanes = 4 },
#endif
    };
    int n = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        list[n] = known[i];
        if ((ftl_cpu_isa() & known[i].isa) == known[i].isa &&
            ftl_gemm_kernel_get(&list[n].kernel, known[i].isa))
            n++;
    }
    return n;
}

static void *need(void *memory)
{
    if (memory) return memory;
    fprintf(stderr, "micro_gemm: out of memory\n");
    exit(1);
}

/* Values between -1 and 1, without denormals: the data decides the power that a chip draws. */
static float *random_floats(int64_t n)
{
    float *x = need(ftl_pages_alloc((size_t)n * sizeof *x + 64));
    uint32_t state = 12345;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return x;
}

/* Buffers of one case for one kernel. */
typedef struct setup {
    ftl_gemm_job gemm;
    ftl_conv2d_job conv;
    float *a, *b, *c, *bias, *packed, *scratch;
    int64_t a_floats, b_floats, c_floats, bias_floats, packed_floats, scratch_floats;
} setup;

static const ftl_gemm_caches caches = { 48 << 10, 1 << 20, 16 << 20 };

static void prepare_gemm(setup *s, const bench_case *c, const ftl_gemm_kernel *kernel)
{
    s->a_floats = c->m * c->k;
    s->b_floats = c->k * c->n;
    s->c_floats = c->m * c->n;
    s->bias_floats = c->n;
    s->packed_floats = ftl_gemm_f32_packed_floats(c->n, c->k, kernel->tile_n);
    s->a = random_floats(s->a_floats);
    s->b = random_floats(s->b_floats);
    s->c = random_floats(s->c_floats);
    s->bias = random_floats(s->bias_floats);
    s->packed = random_floats(s->packed_floats);
    const ftl_gemm_operand b = { .form = FTL_GEMM_ROWS, .data = s->b, .ld = c->n };
    ftl_gemm_f32_pack_b(kernel, s->packed, &b, c->n, c->k);
    s->gemm = (ftl_gemm_job){ .kernel = *kernel, .m = c->m, .n = c->n, .k = c->k };
    s->gemm.a = (ftl_gemm_operand){ .form = FTL_GEMM_ROWS, .data = s->a, .ld = c->k };
    s->gemm.b = b;
    if (c->kind == LINEAR) s->gemm.b = (ftl_gemm_operand){ FTL_GEMM_PACKED, .data = s->packed };
    s->gemm.c = s->c;
    s->gemm.ldc = c->n;
    s->gemm.ending.bias_n = s->bias;
    s->gemm.ending.act = FTL_EPILOGUE_RELU;
    s->gemm.blocks = ftl_gemm_blocks_pick(&s->gemm, &caches);
    s->scratch_floats = ftl_gemm_f32_scratch_floats(&s->gemm);
    s->scratch = random_floats(s->scratch_floats);
}

static void prepare_conv(setup *s, const bench_case *c, const ftl_gemm_kernel *kernel)
{
    const ftl_conv2d_shape shape = { c->k,   c->size,   c->size,   c->m,      c->out,
                                     c->out, c->kernel, c->kernel, c->stride, c->stride,
                                     c->pad, c->pad,    1,         1,         c->groups };
    s->a_floats = c->k * c->size * c->size;
    s->b_floats = c->m * (c->k / c->groups) * c->kernel * c->kernel;
    s->c_floats = c->m * c->out * c->out;
    s->bias_floats = c->m;
    s->packed_floats = ftl_conv2d_f32_packed_floats(kernel, &shape);
    s->a = random_floats(s->a_floats);
    s->b = random_floats(s->b_floats);
    s->c = random_floats(s->c_floats);
    s->bias = random_floats(s->bias_floats);
    s->packed = random_floats(s->packed_floats);
    ftl_conv2d_f32_pack(kernel, &shape, s->packed, s->b);
    s->conv = (ftl_conv2d_job){ *kernel,   shape, s->a,
                                s->packed, s->c,  { .bias_m = s->bias, .act = FTL_EPILOGUE_RELU },
                                { 0 } };
    s->conv.blocks = ftl_conv2d_blocks_pick(&s->conv, &caches);
    s->scratch_floats = ftl_conv2d_f32_scratch_floats(&s->conv);
    s->scratch = random_floats(s->scratch_floats);
}

static void drop(setup *s)
{
    ftl_pages_free(s->a, (size_t)s->a_floats * sizeof(float) + 64);
    ftl_pages_free(s->b, (size_t)s->b_floats * sizeof(float) + 64);
    ftl_pages_free(s->c, (size_t)s->c_floats * sizeof(float) + 64);
    ftl_pages_free(s->bias, (size_t)s->bias_floats * sizeof(float) + 64);
    ftl_pages_free(s->packed, (size_t)s->packed_floats * sizeof(float) + 64);
    ftl_pages_free(s->scratch, (size_t)s->scratch_floats * sizeof(float) + 64);
}

static void run_once(const setup *s, const bench_case *c)
{
    const ftl_conv2d_shape *shape = &s->conv.shape;
    if (c->kind != CONV) {
        ftl_gemm_f32_range(&s->gemm, 0, c->m, 0, c->n, s->scratch);
    } else if (ftl_conv2d_is_depthwise(shape)) {
        ftl_conv2d_f32_depthwise_range(&s->conv, 0, 0, shape->oc, 0, shape->oh, s->scratch);
    } else {
        for (int64_t g = 0; g < shape->groups; g++)
            ftl_conv2d_f32_range(&s->conv, 0, g, 0, shape->oc / shape->groups, 0,
                                 shape->oh * shape->ow, s->scratch);
    }
}

/* Multiply-adds of one run. */
static double work_of(const bench_case *c)
{
    if (c->kind != CONV) return (double)c->m * (double)c->n * (double)c->k;
    return (double)(c->m * c->out * c->out) * (double)(c->k / c->groups * c->kernel * c->kernel);
}

/* GFLOP/s of `repeats` runs in a row. */
static double speed_of(const setup *s, const bench_case *c, int repeats)
{
    const int64_t start = ftl_clock_ns();
    for (int i = 0; i < repeats; i++) run_once(s, c);
    return 2.0 * work_of(c) * repeats / (double)(ftl_clock_ns() - start);
}

static double peak_of(const bench_kernel *k)
{
    const int64_t start = ftl_clock_ns();
    k->peak();
    return 2.0 * 12 * k->lanes * PEAK_TRIPS / (double)(ftl_clock_ns() - start);
}

static void run_case(const bench_case *c, const bench_kernel *kernels, int n_kernels, int rounds)
{
    static double speed[MAX_KERNELS][MAX_ROUNDS], peak[MAX_KERNELS][MAX_ROUNDS];
    setup setups[MAX_KERNELS];
    int repeats[MAX_KERNELS];
    for (int i = 0; i < n_kernels; i++) {
        memset(&setups[i], 0, sizeof setups[i]);
        if (c->kind == CONV) prepare_conv(&setups[i], c, &kernels[i].kernel);
        else prepare_gemm(&setups[i], c, &kernels[i].kernel);
        /* About 10 ms a measurement. */
        run_once(&setups[i], c);
        repeats[i] = 1 + (int)(speed_of(&setups[i], c, 1) * 5e6 / work_of(c));
    }
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n_kernels; i++) {
            peak[i][r] = peak_of(&kernels[i]);
            speed[i][r] = speed_of(&setups[i], c, repeats[i]);
        }
    for (int i = 0; i < n_kernels; i++) {
        const double s = ftl_stats_of(speed[i], (size_t)rounds).median;
        const double p = ftl_stats_of(peak[i], (size_t)rounds).median;
        printf("%-34s %-18s %8.1f %9.1f us %8.1f %6.1f %%", c->name, kernels[i].kernel.name, s,
               2e-3 * work_of(c) / s, p, 100 * s / p);
        if (c->kind == LINEAR && c->m <= 4)
            printf("  %6.1f GB/s", s / 2 / (double)c->m * (double)sizeof(float));
        printf("\n");
        drop(&setups[i]);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 11;
    if (rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "use: micro_gemm [rounds, 1 to %d] [part of a case name]\n", MAX_ROUNDS);
        return 2;
    }
    bench_kernel kernels[MAX_KERNELS];
    const int n_kernels = list_kernels(kernels);
    printf("%-34s %-18s %8s %12s %8s %8s\n", "case", "kernel", "GFLOP/s", "time", "peak", "share");
    for (int i = 0; i < N_CASES; i++)
        if (argc <= 2 || strstr(cases[i].name, argv[2]))
            run_case(&cases[i], kernels, n_kernels, rounds);
    return 0;
}
