/* SPDX-License-Identifier: Apache-2.0 */
/* eval_internal.h - what the files of the evaluator share. */
#ifndef FTL_CORE_EVAL_INTERNAL_H
#define FTL_CORE_EVAL_INTERNAL_H

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One node with everything at hand; in_desc of an absent input is NULL. */
typedef struct ftl_eval_call {
    const ftl_graph *graph;
    const ftl_node *node;
    const void *const *in;
    void *const *out;
    ftl_tensor_desc out_desc; /* of output 0 */
} ftl_eval_call;

const ftl_tensor_desc *ftl_eval_in(const ftl_eval_call *call, int32_t i);

/* Loop nests: one index space, up to three arrays walked through it with a stride an axis. */
enum { FTL_EVAL_ARRAYS = 4 };
typedef struct ftl_eval_nest {
    int32_t rank, n_arrays;
    int64_t dim[FTL_MAX_RANK];
    int64_t stride[FTL_EVAL_ARRAYS][FTL_MAX_RANK]; /* in elements; 0 repeats, negative goes back */
} ftl_eval_nest;
/* Strides of a tensor that broadcasts to `out` by NumPy's rule. */
void ftl_eval_strides(const ftl_tensor_desc *desc, const ftl_tensor_desc *out, int64_t *stride);
/* Drops axes of 1 and joins axes that every array walks as one; the rank is at least 1 after. */
void ftl_eval_collapse(ftl_eval_nest *nest);
/* Next index over axes [0, rank - 1) and the offsets that belong to it; false behind the last.
 * Start with everything zero. */
bool ftl_eval_next(const ftl_eval_nest *nest, int64_t *index, int64_t *offset);

/* dst[..] = src[..] over the nest (array 0: dst, 1: src) for elements of 1, 2, 4 or 8 bytes. */
void ftl_eval_copy(ftl_eval_nest nest, size_t bytes, void *dst, const void *src);

/* Integers and bool, sign-extended to 64 bits; exact. */
bool ftl_eval_is_exact(ftl_dtype dtype);
bool ftl_eval_is_signed(ftl_dtype dtype);
uint64_t ftl_eval_get_int(ftl_dtype dtype, const void *data, int64_t i);
void ftl_eval_set_int(ftl_dtype dtype, void *data, int64_t i, uint64_t value);
bool ftl_eval_int_less(uint64_t a, uint64_t b, bool is_signed);

/* out[i] = op(a[i * sa], b[i * sb]), out contiguous. */
void ftl_eval_binary_row(ftl_op op, ftl_dtype dtype, void *out, const void *a, int64_t sa,
                         const void *b, int64_t sb, int64_t n);

ftl_status ftl_eval_binary(const ftl_eval_call *call);
ftl_status ftl_eval_compare(const ftl_eval_call *call);
ftl_status ftl_eval_select(const ftl_eval_call *call);
ftl_status ftl_eval_unary(const ftl_eval_call *call);
ftl_status ftl_eval_convert(const ftl_eval_call *call);
ftl_status ftl_eval_same_bytes(const ftl_eval_call *call);
ftl_status ftl_eval_broadcast(const ftl_eval_call *call);
ftl_status ftl_eval_transpose(const ftl_eval_call *call);
ftl_status ftl_eval_slice(const ftl_eval_call *call);
ftl_status ftl_eval_reverse(const ftl_eval_call *call);
ftl_status ftl_eval_pad(const ftl_eval_call *call);
ftl_status ftl_eval_concat(const ftl_eval_call *call);
ftl_status ftl_eval_iota(const ftl_eval_call *call);
ftl_status ftl_eval_gather(const ftl_eval_call *call);
ftl_status ftl_eval_scatter(const ftl_eval_call *call);
ftl_status ftl_eval_reduce(const ftl_eval_call *call);
ftl_status ftl_eval_arg_max(const ftl_eval_call *call);
ftl_status ftl_eval_matmul(const ftl_eval_call *call);
ftl_status ftl_eval_conv2d(const ftl_eval_call *call);
ftl_status ftl_eval_max_pool2d(const ftl_eval_call *call);
ftl_status ftl_eval_avg_pool2d(const ftl_eval_call *call);

#ifdef __cplusplus
}
#endif
#endif
