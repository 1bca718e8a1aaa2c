/* SPDX-License-Identifier: Apache-2.0 */
/* Packing and blocking around the GEMM micro-kernels, see gemm.h.
 * Loop order: columns by nc, k by kc, rows by mc, panels of B, panels of A.  The chain of each
 * output runs through its k blocks in order, carried by C itself, so blocking changes no bit. */
#include "backend/cpu/gemm.h"

#include <string.h>

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

/* The smallest multiple of `step` that cuts `whole` into as few parts as parts of `most` would. */
static int64_t even_part(int64_t whole, int64_t most, int64_t step)
{
    most = max_i64(most / step * step, step);
    const int64_t parts = max_i64((whole + most - 1) / most, 1);
    return max_i64(round_up((whole + parts - 1) / parts, step), step);
}

bool ftl_gemm_kernel_get(ftl_gemm_kernel *out, uint32_t isa)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < ftl_n_kernels; i++) {
        const ftl_kernel *k = &ftl_kernels[i];
        if (k->isa != isa) continue;
        switch (k->op) {
        case FTL_KERNEL_MATMUL:
            out->name = k->name;
            out->gemm = (k_fn_MATMUL *)k->run;
            out->tile_m = k->tile_m;
            out->tile_n = k->tile_n;
            break;
        case FTL_KERNEL_GEMV: out->gemv = (k_fn_GEMV *)k->run; break;
        case FTL_KERNEL_PACK_TURN: out->turn = (k_fn_PACK_TURN *)k->run; break;
        case FTL_KERNEL_PACK_SPANS: out->spans = (k_fn_PACK_SPANS *)k->run; break;
        case FTL_KERNEL_CONV2D_DW: out->depthwise = (k_fn_CONV2D_DW *)k->run; break;
        case FTL_KERNEL_ENDING: out->ending = (k_fn_ENDING *)k->run; break;
        default: break;
        }
    }
    return out->gemm && out->gemv && out->turn && out->spans && out->depthwise && out->ending;
}

ftl_gemm_blocks ftl_gemm_blocks_pick(const ftl_gemm_job *job, const ftl_gemm_caches *caches)
{
    const int64_t mr = job->kernel.tile_m, nr = job->kernel.tile_n;
    const int64_t l2 = caches->l2_bytes ? (int64_t)caches->l2_bytes : 256 << 10;
    const int64_t l3 = caches->l3_bytes ? (int64_t)caches->l3_bytes : 4 * l2;
    const int64_t f = (int64_t)sizeof(float);
    ftl_gemm_blocks b;
    /* A panel of B takes an eighth of L2, not of L1: the micro-kernels read only 1 byte of it a
     * multiply-add or less, which L2 delivers, while each block of k is one more pass over C
     * (1024^3 on Zen 5, AVX-512: kc 256 gives 75 % of the peak, kc 1024 gives 88 %). */
    b.kc = even_part(job->k, max_i64(l2 / 8 / (nr * f), 64), 8);
    b.mc = even_part(job->m, max_i64(l2 / 2 / (b.kc * f), mr), mr);
    /* Packed B is only passed through; what is packed here should still be in a cache when it is
     * read, and a packed A is better not packed again for each nc. */
    b.nc = job->b.form == FTL_GEMM_PACKED
               ? round_up(job->n, nr)
               : even_part(job->n, max_i64(min_i64(l3 / 2, 4 * l2) / (b.kc * f), nr), nr);
    return b;
}

static int64_t block_a_floats(const ftl_gemm_job *job)
{
    if (job->a.form == FTL_GEMM_PACKED) return 0;
    const int64_t rows = round_up(min_i64(job->m, job->blocks.mc), job->kernel.tile_m);
    return round_up(rows * min_i64(job->k, job->blocks.kc), FTL_SPAN);
}

static int64_t block_b_floats(const ftl_gemm_job *job)
{
    if (job->b.form == FTL_GEMM_PACKED) return 0;
    const int64_t columns = round_up(min_i64(job->n, job->blocks.nc), job->kernel.tile_n);
    return round_up(columns * min_i64(job->k, job->blocks.kc), FTL_SPAN) + FTL_SPAN;
}

int64_t ftl_gemm_f32_scratch_floats(const ftl_gemm_job *job)
{
    return block_a_floats(job) + block_b_floats(job) + job->b.scratch_floats;
}

/* Panels of `tile` columns from k rows of `n` floats each. */
static void pack_rows(float *restrict dst, int tile, const float *restrict src, int64_t ld,
                      int64_t n, int64_t k)
{
    for (int64_t n0 = 0; n0 < n; n0 += tile) {
        const int64_t width = min_i64(tile, n - n0);
        for (int64_t p = 0; p < k; p++) {
            const float *from = src + p * ld + n0;
            if (tile == 32 && width == 32) memcpy(dst, from, 32 * sizeof *dst);
            else if (tile == 16 && width == 16) memcpy(dst, from, 16 * sizeof *dst);
            else if (tile == 8 && width == 8) memcpy(dst, from, 8 * sizeof *dst);
            else
                for (int64_t i = 0; i < tile; i++) dst[i] = i < width ? from[i] : 0.0f;
            dst += tile;
        }
    }
}

/* Panels of `tile` columns from n rows of k floats each. */
static void pack_turned(k_fn_PACK_TURN *turn, float *dst, int tile, const float *src, int64_t ld,
                        int64_t n, int64_t k)
{
    for (int64_t n0 = 0; n0 < n; n0 += tile)
        turn(dst + n0 * k, tile, src + n0 * ld, ld, min_i64(tile, n - n0), k);
}

int64_t ftl_gemm_f32_packed_floats(int64_t rows, int64_t k, int tile)
{
    return round_up(rows, tile) * k;
}

void ftl_gemm_f32_pack_a(const ftl_gemm_kernel *kernel, float *dst, const ftl_gemm_operand *a,
                         int64_t m, int64_t k)
{
    if (a->form == FTL_GEMM_ROWS)
        pack_turned(kernel->turn, dst, kernel->tile_m, a->data, a->ld, m, k);
    else pack_rows(dst, kernel->tile_m, a->data, a->ld, m, k);
}

void ftl_gemm_f32_pack_b(const ftl_gemm_kernel *kernel, float *dst, const ftl_gemm_operand *b,
                         int64_t n, int64_t k)
{
    if (b->form == FTL_GEMM_COLUMNS)
        pack_turned(kernel->turn, dst, kernel->tile_n, b->data, b->ld, n, k);
    else pack_rows(dst, kernel->tile_n, b->data, b->ld, n, k);
}

/* Where the panels of one block are: panel i begins at data + i * distance. */
typedef struct panels {
    const float *data;
    int64_t distance;
} panels;

static panels block_of_a(const ftl_gemm_job *job, int64_t m0, int64_t m1, int64_t k0, int64_t k1,
                         float *scratch)
{
    const int64_t tile = job->kernel.tile_m;
    const ftl_gemm_operand *a = &job->a;
    if (a->form == FTL_GEMM_PACKED)
        return (panels){ a->data + m0 * job->k + k0 * tile, tile * job->k };
    ftl_gemm_operand block = *a;
    block.data += a->form == FTL_GEMM_ROWS ? m0 * a->ld + k0 : k0 * a->ld + m0;
    ftl_gemm_f32_pack_a(&job->kernel, scratch, &block, m1 - m0, k1 - k0);
    return (panels){ scratch, tile * (k1 - k0) };
}

static panels block_of_b(const ftl_gemm_job *job, int64_t n0, int64_t n1, int64_t k0, int64_t k1,
                         float *scratch)
{
    const int64_t tile = job->kernel.tile_n;
    const ftl_gemm_operand *b = &job->b;
    if (b->form == FTL_GEMM_PACKED)
        return (panels){ b->data + n0 * job->k + k0 * tile, tile * job->k };
    if (b->form == FTL_GEMM_MADE) {
        b->make(b->context, scratch, k0, k1, n0, n1, scratch + block_b_floats(job));
    } else {
        ftl_gemm_operand block = *b;
        block.data += b->form == FTL_GEMM_COLUMNS ? n0 * b->ld + k0 : k0 * b->ld + n0;
        ftl_gemm_f32_pack_b(&job->kernel, scratch, &block, n1 - n0, k1 - k0);
    }
    return (panels){ scratch, tile * (k1 - k0) };
}

/* The tile of C at (m, n); the ending belongs to the last block of k. */
static ftl_gemm_tile tile_at(const ftl_gemm_job *job, int64_t m, int64_t n, bool is_first,
                             bool is_last)
{
    ftl_gemm_tile t = { job->c + m * job->ldc + n,    job->ldc, 0, 0,
                        job->accumulate || !is_first, { 0 } };
    if (!is_last) return t;
    t.ending = job->ending;
    if (t.ending.bias_m) t.ending.bias_m += m;
    if (t.ending.bias_n) t.ending.bias_n += n;
    if (t.ending.residual) t.ending.residual += m * t.ending.ld_residual + n;
    return t;
}

/* Asks for the next tile of C while this one is computed: it is the only operand that does not come
 * in the order of memory (worth 6 % at M 128, N 3072 on Zen 5). */
static void prefetch_rows(const float *c, int64_t ldc, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += FTL_SPAN) __builtin_prefetch(c + i * ldc + j, 1);
}

/* All tiles of one block. */
static void block(const ftl_gemm_job *job, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                  int64_t k0, int64_t k1, panels a, panels b)
{
    const int64_t mr = job->kernel.tile_m, nr = job->kernel.tile_n;
    for (int64_t n = n0; n < n1; n += nr, b.data += b.distance) {
        const float *a_panel = a.data;
        for (int64_t m = m0; m < m1; m += mr, a_panel += a.distance) {
            ftl_gemm_tile t = tile_at(job, m, n, k0 == 0, k1 == job->k);
            t.m = min_i64(mr, m1 - m);
            t.n = min_i64(nr, n1 - n);
            prefetch_rows(t.c + mr * job->ldc, job->ldc, min_i64(mr, m1 - m - mr), t.n);
            job->kernel.gemm(a_panel, b.data, k1 - k0, &t);
        }
    }
}

/* Few rows against packed weights: nothing is used twice, so nothing is packed or blocked. */
static void few_rows(const ftl_gemm_job *job, int64_t m0, int64_t m1, int64_t n0, int64_t n1)
{
    ftl_gemm_tile t = tile_at(job, m0, n0, true, true);
    t.m = m1 - m0;
    t.n = n1 - n0;
    job->kernel.gemv(job->a.data + m0 * job->a.ld, job->a.ld, job->b.data + n0 * job->k, job->k,
                     &t);
}

void ftl_gemm_f32_range(const ftl_gemm_job *job, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                        float *scratch)
{
    if (m0 >= m1 || n0 >= n1) return;
    if (m1 - m0 <= 4 && job->a.form == FTL_GEMM_ROWS && job->b.form == FTL_GEMM_PACKED) {
        few_rows(job, m0, m1, n0, n1);
        return;
    }
    const int64_t mc = job->blocks.mc, nc = job->blocks.nc, kc = job->blocks.kc;
    float *scratch_b = scratch + block_a_floats(job);
    for (int64_t n = n0; n < n1; n += nc) {
        const int64_t n_end = min_i64(n + nc, n1);
        int64_t k = 0;
        do { /* once for k = 0 too: the ending of an empty sum */
            const int64_t k_end = min_i64(k + kc, job->k);
            const panels b = block_of_b(job, n, n_end, k, k_end, scratch_b);
            for (int64_t m = m0; m < m1; m += mc) {
                const int64_t m_end = min_i64(m + mc, m1);
                const panels a = block_of_a(job, m, m_end, k, k_end, scratch);
                block(job, m, m_end, n, n_end, k, k_end, a, b);
            }
            k = k_end;
        } while (k < job->k);
    }
}
