/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.h - C = ending(A B) in f32 over packed panels: packing, blocking, and one thread's share.
 * Idea: A is cut into panels of tile_m rows, B into panels of tile_n columns, each stored in the
 * order in which the micro-kernel reads it:
 *
 *   A [M, K] -> [ceil(M / tile_m)][K][tile_m]     B [K, N] -> [ceil(N / tile_n)][K][tile_n]
 *
 * with zeros where M or N end.  Weights are packed so once and for all (any block of k is a piece
 * of each panel, so the layout does not depend on the blocking); the other operand is packed block
 * by block into scratch.  The caller splits the tiles of C over threads as it likes and calls
 * ftl_gemm_f32_range() for each piece: the result has the same bits for every split and blocking.
 * A job is immutable while it runs; nothing here allocates or fails.
 * Source of the blocking: Goto and van de Geijn 2008, doi 10.1145/1356052.1356053. */
#ifndef FTL_BACKEND_CPU_GEMM_H
#define FTL_BACKEND_CPU_GEMM_H

#include <stddef.h>

#include "backend/cpu/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kernels of one ISA that work together on the same panels. */
typedef struct ftl_gemm_kernel {
    const char *name;
    k_fn_MATMUL *gemm;
    k_fn_GEMV *gemv;
    k_fn_PACK_TURN *turn;
    k_fn_PACK_SPANS *spans;
    k_fn_CONV2D_DW *depthwise;
    k_fn_ENDING *ending;
    int tile_m, tile_n;
} ftl_gemm_kernel;

/* The kernels whose rows in kernels.def name exactly `isa`; false when this build has none.  Does
 * not ask whether the CPU can run them. */
bool ftl_gemm_kernel_get(ftl_gemm_kernel *out, uint32_t isa);

typedef enum ftl_gemm_form {
    FTL_GEMM_ROWS,    /* the matrix as written, row distance ld: A [M, K], B [K, N]       */
    FTL_GEMM_COLUMNS, /* its transpose as written, row distance ld: A as [K, M], B as [N, K] */
    FTL_GEMM_PACKED,  /* ftl_gemm_f32_pack_a/_b() of this kernel                          */
    FTL_GEMM_MADE,    /* B only: `make` writes the panels (convolution)                   */
} ftl_gemm_form;

/* Writes rows [k0, k1) of the panels of columns [n0, n1), n0 a multiple of tile_n:
 * dst[ceil((n1 - n0) / tile_n)][k1 - k0][tile_n], zeros past n1, FTL_SPAN floats of slack behind.
 * scratch: what the maker asked for by `scratch_floats`. */
typedef void ftl_gemm_make_b(const void *context, float *dst, int64_t k0, int64_t k1, int64_t n0,
                             int64_t n1, float *scratch);

typedef struct ftl_gemm_operand {
    ftl_gemm_form form;
    const float *data;
    int64_t ld;
    ftl_gemm_make_b *make;
    const void *context;
    int64_t scratch_floats;
} ftl_gemm_operand;

typedef struct ftl_gemm_caches {
    size_t l1_bytes, l2_bytes, l3_bytes; /* data, of one core; l3: its share.  0 = not known */
} ftl_gemm_caches;

/* mc x kc floats of A and a panel of kc x tile_n of B stay in L2, kc x nc of B in L3. */
typedef struct ftl_gemm_blocks {
    int64_t mc, nc, kc;
} ftl_gemm_blocks;

typedef struct ftl_gemm_job {
    ftl_gemm_kernel kernel;
    int64_t m, n, k; /* m, n >= 1, k >= 0 */
    ftl_gemm_operand a, b;
    float *c;
    int64_t ldc;
    bool accumulate;     /* add to what c holds */
    ftl_epilogue ending; /* pointers at row 0, column 0 */
    ftl_gemm_blocks blocks;
} ftl_gemm_job;

/* Blocks that suit the caches, for the shape and forms of `job`; a multiple of the tile each, and
 * never 0. */
ftl_gemm_blocks ftl_gemm_blocks_pick(const ftl_gemm_job *job, const ftl_gemm_caches *caches);

/* Floats that one call of ftl_gemm_f32_range() needs as scratch; each thread has its own. */
int64_t ftl_gemm_f32_scratch_floats(const ftl_gemm_job *job);

/* Computes rows [m0, m1) x columns [n0, n1) of C.  m0 and n0 are multiples of the tile, m1 and n1
 * too or the end.  scratch: 64-byte aligned for full speed. */
void ftl_gemm_f32_range(const ftl_gemm_job *job, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                        float *scratch);

/* Panels of the whole matrix: number of floats, and the packing.  `rows` is M for A, N for B;
 * form ROWS or COLUMNS as above. */
int64_t ftl_gemm_f32_packed_floats(int64_t rows, int64_t k, int tile);
void ftl_gemm_f32_pack_a(const ftl_gemm_kernel *kernel, float *dst, const ftl_gemm_operand *a,
                         int64_t m, int64_t k);
void ftl_gemm_f32_pack_b(const ftl_gemm_kernel *kernel, float *dst, const ftl_gemm_operand *b,
                         int64_t n, int64_t k);

#ifdef __cplusplus
}
#endif
#endif
