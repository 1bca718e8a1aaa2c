/* SPDX-License-Identifier: Apache-2.0 */
/* k_bench_f32.h - the source of the kernels of cpu_bench.h; not alone: a file of one instruction
 * set includes its vector layer and defines K_CHAINS, K_TABLE and K_ISA before.
 * K_CHAINS: at least latency x units of the multiply-add, and few enough to stay in registers. */
#include "backend/cpu/cpu_bench.h"
#include "base/cpuid.h"

static void peak(float *state, int64_t n)
{
    vf x[K_CHAINS];
    const vf c = v_set(-1.8f);
    K_UNROLL
    for (int i = 0; i < K_CHAINS; i++) x[i] = v_load(state + i * K_LANES);
    for (int64_t r = 0; r < n; r++) {
        K_UNROLL
        for (int i = 0; i < K_CHAINS; i++) x[i] = v_fma(x[i], x[i], c);
    }
    K_UNROLL
    for (int i = 0; i < K_CHAINS; i++) v_store(state + i * K_LANES, x[i]);
}

/* 8 sums hide the latency of the addition. */
static float read_all(const float *x, int64_t n)
{
    enum { SUMS = 8 };
    vf sum[SUMS];
    K_UNROLL
    for (int i = 0; i < SUMS; i++) sum[i] = v_set(0);
    for (int64_t p = 0; p < n; p += SUMS * K_LANES) {
        K_UNROLL
        for (int i = 0; i < SUMS; i++) sum[i] += v_load(x + p + i * K_LANES);
    }
    K_UNROLL
    for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
    return v_sum(sum[0]);
}

static void write_all(float *y, float value, int64_t n)
{
    enum { EACH = 4 };
    const vf v = v_set(value);
    for (int64_t p = 0; p < n; p += EACH * K_LANES) {
        K_UNROLL
        for (int i = 0; i < EACH; i++) v_store(y + p + i * K_LANES, v);
    }
}

static void copy(float *y, const float *x, int64_t n)
{
    enum { EACH = 4 };
    for (int64_t p = 0; p < n; p += EACH * K_LANES) {
        K_UNROLL
        for (int i = 0; i < EACH; i++) v_store(y + p + i * K_LANES, v_load(x + p + i * K_LANES));
    }
}

static void triad(float *a, const float *b, const float *c, float s, int64_t n)
{
    enum { EACH = 4 };
    const vf factor = v_set(s);
    for (int64_t p = 0; p < n; p += EACH * K_LANES) {
        K_UNROLL
        for (int i = 0; i < EACH; i++)
            v_store(a + p + i * K_LANES,
                    v_fma(v_load(c + p + i * K_LANES), factor, v_load(b + p + i * K_LANES)));
    }
}

extern const ftl_bench_kernels K_TABLE;
const ftl_bench_kernels K_TABLE = {
    .isa = K_ISA,
    .peak_flops = 2 * K_CHAINS * K_LANES,
    .peak = peak,
    .read = read_all,
    .write = write_all,
    .copy = copy,
    .triad = triad,
};
