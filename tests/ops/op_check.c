/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpuid.h"

static int n_lines, n_failed;

static void line(const char *word, const char *format, va_list args)
{
    printf("%s %d - ", word, ++n_lines);
    vprintf(format, args);
}

void op_ok(bool is_ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line(is_ok ? "ok" : "not ok", format, args);
    printf("\n");
    va_end(args);
    n_failed += !is_ok;
}

void op_skip(const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("ok %d - %s # SKIP ", ++n_lines, what);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void op_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("# ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

int op_done(void)
{
    printf("1..%d\n", n_lines);
    return n_failed > 0;
}

enum { GUARD = 16 }; /* floats on each side; the first ones hold the size */
static const float guard_value = -7.25e9f;

typedef struct guarded {
    float *memory;
    int64_t n;
} guarded;

float *op_floats(int64_t n, int shift)
{
    float *memory = NULL;
    const size_t floats = (size_t)(n + 2 * GUARD + shift);
    if (posix_memalign((void **)&memory, 64, floats * sizeof *memory) != 0) {
        fprintf(stderr, "out of memory\n");
        exit(2);
    }
    float *x = memory + GUARD + shift;
    for (int i = 0; i < GUARD; i++) x[i - GUARD] = x[n + i] = guard_value;
    const guarded g = { memory, n };
    memcpy(x - GUARD, &g, sizeof g);
    return x;
}

bool op_free(float *x)
{
    guarded g;
    memcpy(&g, x - GUARD, sizeof g);
    bool is_whole = true;
    for (int i = 0; i < GUARD; i++)
        if (x[g.n + i] != guard_value || (i < GUARD - 4 && x[-1 - i] != guard_value))
            is_whole = false;
    free(g.memory);
    if (!is_whole) op_note("wrote outside a buffer of %lld floats", (long long)g.n);
    return is_whole;
}

void op_fill(float *x, int64_t n, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

const op_isa op_isas[] = {
    { "portable", FTL_ISA_ANY },
    { "avx2", FTL_ISA_AVX2 },
    { "avx512", FTL_ISA_AVX512 },
    { "neon", FTL_ISA_NEON },
};
const int op_n_isas = (int)(sizeof op_isas / sizeof op_isas[0]);

bool op_isa_usable(const op_isa *isa, const char *what)
{
    bool is_built = false;
    for (int i = 0; i < ftl_n_kernels; i++) is_built |= ftl_kernels[i].isa == isa->bit;
    char name[128];
    snprintf(name, sizeof name, "%s, %s", what, isa->name);
    if (!is_built) op_skip(name, "kernels for %s are not part of this build", isa->name);
    else if ((ftl_cpu_isa() & isa->bit) != isa->bit) op_skip(name, "this CPU lacks %s", isa->name);
    else return true;
    return false;
}

const char *const op_act_names[FTL_EPILOGUE_N] = {
    [FTL_EPILOGUE_NONE] = "none",
    [FTL_EPILOGUE_RELU] = "relu",
    [FTL_EPILOGUE_RELU6] = "relu6",
    [FTL_EPILOGUE_CLIP] = "clip",
    [FTL_EPILOGUE_LEAKY_RELU] = "leaky_relu",
    [FTL_EPILOGUE_SILU] = "silu",
    [FTL_EPILOGUE_GELU] = "gelu",
    [FTL_EPILOGUE_GELU_TANH] = "gelu_tanh",
    [FTL_EPILOGUE_SIGMOID] = "sigmoid",
    [FTL_EPILOGUE_TANH] = "tanh",
    [FTL_EPILOGUE_HARD_SIGMOID] = "hard_sigmoid",
    [FTL_EPILOGUE_HARD_SWISH] = "hard_swish",
};

static double clamp(double x, double least, double most)
{
    return x < least ? least : x > most ? most : x;
}

double op_exact_act(const ftl_epilogue *e, double x)
{
    switch (e->act) {
    case FTL_EPILOGUE_RELU: return clamp(x, 0, INFINITY);
    case FTL_EPILOGUE_RELU6: return clamp(x, 0, 6);
    case FTL_EPILOGUE_CLIP: return clamp(x, e->alpha, e->beta);
    case FTL_EPILOGUE_LEAKY_RELU: return x < 0 ? e->alpha * x : x;
    case FTL_EPILOGUE_SILU: return x / (1 + exp(-x));
    case FTL_EPILOGUE_GELU: return x * 0.5 * erfc(-x * sqrt(0.5));
    case FTL_EPILOGUE_GELU_TANH:
        return x / (1 + exp(-2 * sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case FTL_EPILOGUE_SIGMOID: return 1 / (1 + exp(-x));
    case FTL_EPILOGUE_TANH: return tanh(x);
    case FTL_EPILOGUE_HARD_SIGMOID: return clamp(e->alpha * x + e->beta, 0, 1);
    case FTL_EPILOGUE_HARD_SWISH: return x * clamp(x / 6 + 0.5, 0, 1);
    default: return x;
    }
}

double op_act_slope(const ftl_epilogue *e)
{
    switch (e->act) {
    case FTL_EPILOGUE_LEAKY_RELU: return fmax(1, fabs(e->alpha));
    case FTL_EPILOGUE_HARD_SIGMOID: return fabs(e->alpha);
    case FTL_EPILOGUE_HARD_SWISH: return 1.5;
    case FTL_EPILOGUE_SILU:
    case FTL_EPILOGUE_GELU:
    case FTL_EPILOGUE_GELU_TANH: return 1.13;
    default: return 1;
    }
}

bool op_close(float got, double want, double allowed)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got)) return (double)got == want;
    return fabs((double)got - want) <= allowed;
}
