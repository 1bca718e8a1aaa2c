/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_ops.h - f32 kernels that are not products: elementwise, norms, reductions, windows,
 * attention, optimizer.  The rules of kernels.h hold: pure functions on memory, thread-safe.
 * Idea: one source over a small layer of vector operations (k_vec_*.h), compiled once for each
 * instruction set; ftl_ops_f32_get() hands out the table of one.
 * Work comes in ranges [begin, end) of units which any thread may do in any order: what a unit
 * gives depends on nothing but its inputs, so the bits do not change with the number of threads.
 * Where "y may be x" stands, exactly equal pointers are meant; nothing else overlaps. */
#ifndef FTL_BACKEND_CPU_KERNELS_OPS_H
#define FTL_BACKEND_CPU_KERNELS_OPS_H

#include "backend/cpu/kernels_move.h"
#include "core/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- elementwise ---------------------------------------------------------------------------- */

/* y[i] = op(x[i]), i < n; y may be x.  op: neg abs sign floor ceil round exp log sqrt rsqrt tanh
 * sigmoid erf sin cos.  Errors in units in the last place (tests/ops/test_elementwise.c): exp 1,
 * log 1, tanh 1.5, sigmoid 2.5, erf 2.5; rsqrt 1.5, being rounded twice; sin and cos are of the C
 * library, 1; the others are exact or rounded once.  Infinities, NaN, zeros of either sign and
 * denormals as the C library has them. */
typedef void k_fn_unary(ftl_op op, float *y, const float *x, int64_t n);
/* y[i] = act(x[i]), i < n; y may be x.  NaN stays NaN.  Error: |y - exact| <= 4e-7 max(1, |exact|),
 * formulas in core/attr.h. */
typedef void k_fn_activation(const ftl_attr_act *act, float *y, const float *x, int64_t n);
/* out[i] = a[i] op b[i] over elements [begin, end) of the nest (arrays out, a, b, see
 * ftl_nest_init()); out may be a or b where that one is as large as out.  op: add sub mul div max
 * min pow mod; max and min: NaN wins; pow and mod are the C library's. */
typedef void k_fn_binary(ftl_op op, const ftl_nest *nest, float *out, const float *a,
                         const float *b, int64_t begin, int64_t end);

/* ---- norms ---------------------------------------------------------------------------------- */

/* y = exp(x - max) / sum over each row, or, is_log, x - max - log(sum).  [rows, cols]; y may be x.
 * A row of all -inf gives zeros (is_log: -inf); NaN or +inf makes the row NaN.
 * Error: softmax relative 1e-6 + 1.2e-7 |x - max|; log absolute 5e-7 (1 + |y|).
 * Three passes; rows are taken to fit a cache. */
typedef void k_fn_softmax_rows(bool is_log, float *y, const float *x, int64_t rows, int64_t cols);
/* The same down the columns [c0, c1) of one [n, inner] matrix; y may be x. */
typedef void k_fn_softmax_columns(bool is_log, float *y, const float *x, int64_t n, int64_t inner,
                                  int64_t c0, int64_t c1);
/* y = (x - mean) / sqrt(variance + eps) * scale + bias; x, y: [rows, cols], scale, bias: [cols] or
 * NULL; y may be x.  The variance is that of the centered row.  Error: 1e-6 of max |y| for rows of
 * which the mean is not much larger than the deviation. */
typedef void k_fn_layer_norm(float *y, const float *x, const float *scale, const float *bias,
                             double eps, int64_t rows, int64_t cols);
/* y = x / sqrt(mean(x^2) + eps) * scale; as above. */
typedef void k_fn_rms_norm(float *y, const float *x, const float *scale, double eps, int64_t rows,
                           int64_t cols);
/* y = act(x * k[c] + shift[c]) on rows [begin, end) of [B * C, spatial], c = row % channels: batch
 * norm with what ftl_batch_norm_fold() makes of its weights.  act may be NULL; y may be x. */
typedef void k_fn_channel_affine(float *y, const float *x, const float *k, const float *shift,
                                 const ftl_attr_act *act, int64_t channels, int64_t spatial,
                                 int64_t begin, int64_t end);
/* k = scale / sqrt(variance + eps), shift = bias - mean * k, in double, rounded once;
 * [channels]. */
void ftl_batch_norm_fold(float *k, float *shift, const float *scale, const float *bias,
                         const float *mean, const float *variance, double eps, int64_t channels);

/* ---- reductions ----------------------------------------------------------------------------- */

/* What is kept and what goes, axes joined where they lie together. */
typedef struct ftl_reduce_shape {
    int32_t n_kept, n_gone;
    int64_t kept[FTL_MAX_RANK], kept_stride[FTL_MAX_RANK];
    int64_t gone[FTL_MAX_RANK], gone_stride[FTL_MAX_RANK];
    int64_t n_out, n_each; /* outputs, elements behind each */
} ftl_reduce_shape;
void ftl_reduce_shape_init(ftl_reduce_shape *shape, const ftl_tensor_desc *in, uint32_t axes);
/* Outputs [begin, end) of shape->n_out.  op: reduce_sum reduce_mean reduce_max reduce_min
 * reduce_prod; of nothing: 0, NaN, -inf, inf, 1.  NaN wins.
 * Sums: partial sums of at most 1024 / 8 terms each in f32, these added in double, in an order that
 * only the shape decides.  Error: |y - exact| <= 1e-6 sum |x|. */
typedef void k_fn_reduce(ftl_op op, const ftl_reduce_shape *shape, float *y, const float *x,
                         int64_t begin, int64_t end);
/* Index of the largest of x[outer][n][inner] along n >= 1; the first one; NaN wins.  Outputs
 * [begin, end) of outer * inner. */
typedef void k_fn_arg_max(int32_t *y, const float *x, int64_t n, int64_t inner, int64_t begin,
                          int64_t end);

/* ---- windows -------------------------------------------------------------------------------- */

/* y = x / (bias + alpha / size * sum of x^2 over `size` channels)^beta, the window from
 * c - (size - 1) / 2 on; columns [s0, s1) of one image [channels, spatial].  Error: relative
 * 2e-6. */
typedef void k_fn_lrn(const ftl_attr_lrn *attr, float *y, const float *x, int64_t channels,
                      int64_t spatial, int64_t s0, int64_t s1);
/* Planes [begin, end) of B * C: x [planes, ih, iw], y [planes, oh, ow].  max: padding counts as
 * -inf, NaN wins; avg: sum of the elements inside / number of elements of the window that lie
 * inside or in the part of the padding that count_pad names. */
typedef struct ftl_pool_shape {
    int64_t ih, iw, oh, ow;
} ftl_pool_shape;
typedef void k_fn_max_pool2d(const ftl_attr_pool *attr, const ftl_pool_shape *shape, float *y,
                             const float *x, int64_t begin, int64_t end);
typedef void k_fn_avg_pool2d(const ftl_attr_pool *attr, const ftl_pool_shape *shape, float *y,
                             const float *x, int64_t begin, int64_t end);

/* ---- transformers --------------------------------------------------------------------------- */

/* Tokens [begin, end) of x, y [N, heads, d]; inv_freq [n_rot / 2] or NULL (then theta^(-2i/n_rot));
 * y may be x.  Angles are made in double.  Su et al. 2021, arXiv 2104.09864. */
typedef void k_fn_rope(const ftl_attr_rope *attr, float *y, const float *x,
                       const int32_t *positions, const float *inv_freq, int64_t heads, int64_t d,
                       int64_t begin, int64_t end);

/* Ragged attention of ops.def. */
typedef struct ftl_attention_job {
    ftl_attr_attention attr;
    int64_t tokens, q_heads, kv_heads, d, dv; /* q [tokens, q_heads, d], y [tokens, q_heads, dv] */
    int64_t sequences, max_blocks, pool_rows; /* table [sequences, max_blocks]                   */
    int64_t block_tokens;                     /* set by ftl_attention_init()                     */
    int64_t n_units;                          /* likewise: block of tokens x kv head             */
    const float *q, *k_pool, *v_pool;
    const int32_t *block_table, *seq_of_token, *positions, *lengths;
    float *y;
} ftl_attention_job;
/* Sets block_tokens and n_units from the sizes. */
void ftl_attention_init(ftl_attention_job *job);
/* Bytes of scratch of one thread, from the sizes alone; aligned to 8 bytes, or to 64 for full
 * speed. */
size_t ftl_attention_scratch_bytes(const ftl_attention_job *job);
/* Units [begin, end) of job->n_units: every output element is written, by one unit.  Tokens of the
 * same sequence that follow each other share each read of K and V.
 * Online softmax (Milakov & Gimelshein 2018, arXiv 1805.02867; Dao 2023, arXiv 2307.08691).
 * A token that sees no key, or whose sequence is outside [0, sequences), gives zeros.
 * Error: 2e-6 max |v| (scores up to 20). */
typedef void k_fn_attention(const ftl_attention_job *job, int64_t begin, int64_t end,
                            void *scratch);

/* ---- training ------------------------------------------------------------------------------- */

/* Rows [begin, end): loss = log(sum exp(logits)) - logits[label]; 0 where the label is outside. */
typedef void k_fn_cross_entropy(float *loss, const float *logits, const int32_t *labels,
                                int64_t classes, int64_t begin, int64_t end);
/* dlogits = (softmax(logits) - one_hot(label)) * dloss; 0 where the label is outside.
 * dlogits may be logits. */
typedef void k_fn_cross_entropy_grad(float *dlogits, const float *logits, const int32_t *labels,
                                     const float *dloss, int64_t classes, int64_t begin,
                                     int64_t end);
/* Elements [begin, end) of one Adam step (ops.def), one pass; outputs may be the inputs.
 * Error: relative 5e-7 of each moment, 2e-6 of the change of w. */
typedef struct ftl_adam_job {
    float *w_out, *m_out, *v_out;
    const float *w, *dw, *m, *v;
    double lr;
    int64_t step; /* 1 for the first */
} ftl_adam_job;
typedef void k_fn_adam(const ftl_attr_adam *attr, const ftl_adam_job *job, int64_t begin,
                       int64_t end);

/* ---- the tables ----------------------------------------------------------------------------- */

typedef struct ftl_ops_f32 {
    const char *name; /* "avx2" */
    uint32_t isa;     /* FTL_ISA_* bits that the CPU must have */
#define X(member) k_fn_##member *member;
#include "backend/cpu/kernels_ops.def"
#undef X
} ftl_ops_f32;

/* The best table whose needs are among the bits of `isa`; never NULL. */
const ftl_ops_f32 *ftl_ops_f32_get(uint32_t isa);
/* All tables of this build, portable first; for tests and benches. */
extern const ftl_ops_f32 *const ftl_ops_f32_tables[];
extern const int ftl_n_ops_f32_tables;

#ifdef __cplusplus
}
#endif
#endif
