/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_move.h - loop nests, and the kernels that move elements or compute on integers.
 * Everything here is portable C: it waits for memory, not for arithmetic.  Pure functions on
 * memory as in kernels.h; work is cut into ranges [begin, end) of units, which may be done in any
 * order by any thread, and the result does not depend on the cut.  No source overlaps its
 * destination unless a comment says so.  Elements are 1, 2, 4 or 8 bytes. */
#ifndef FTL_BACKEND_CPU_KERNELS_MOVE_H
#define FTL_BACKEND_CPU_KERNELS_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One index space, up to four arrays that are walked through it with a stride an axis. */
enum { FTL_NEST_ARRAYS = 4 };
typedef struct ftl_nest {
    int32_t rank, n_arrays;
    int64_t dim[FTL_MAX_RANK];
    int64_t stride[FTL_NEST_ARRAYS][FTL_MAX_RANK]; /* elements; 0 repeats, negative goes back */
} ftl_nest;

/* The index space of `out`: array 0 is the dense output, array 1 + i is in[i], which broadcasts to
 * it by NumPy's rule.  Collapsed: axes of 1 are gone, axes that all arrays walk as one are joined;
 * the rank is at least 1.  n_in <= 3. */
void ftl_nest_init(ftl_nest *nest, const ftl_tensor_desc *out, const ftl_tensor_desc *const *in,
                   int32_t n_in);
void ftl_nest_collapse(ftl_nest *nest);
/* Elements of the index space. */
int64_t ftl_nest_count(const ftl_nest *nest);

/* ---- strided copies: broadcast, transpose, slice, reverse, concat, the inside of pad --------- */

/* A copy, prepared: array 0 of the nest is the destination, array 1 the source.  Plain data. */
typedef struct ftl_move {
    ftl_nest nest;
    int64_t first_dst, first_src; /* elements, of the nest's origin                     */
    int64_t n_units;              /* pieces of about 16 KiB or less; 0: nothing to copy */
    int64_t row_pieces;           /* rows: pieces that a row is cut into                */
    int64_t tile_rows, tile_cols; /* plane: tiles that its last two axes are cut into   */
    int32_t bytes;                /* of an element                                      */
    bool is_plane;
} ftl_move;

void ftl_move_broadcast(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in);
void ftl_move_transpose(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                        const ftl_attr_perm *attr);
void ftl_move_slice(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                    const ftl_attr_slice *attr);
/* axes: bit i turns axis i round. */
void ftl_move_reverse(ftl_move *m, const ftl_tensor_desc *out, uint32_t axes);
/* One input of a concatenation, which begins at index `start` of the axis of `out`. */
void ftl_move_concat(ftl_move *m, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
                     int32_t axis, int64_t start);
/* Copies units [begin, end) of m->n_units. */
void k_move(const ftl_move *m, void *dst, const void *src, int64_t begin, int64_t end);

/* ---- pad, fill, iota ------------------------------------------------------------------------ */

/* Rows [begin, end) of `out`, a row being its last axis (a scalar is one row): value where there is
 * no input.  value: one element. */
void k_pad(const ftl_attr_pad *attr, const ftl_tensor_desc *out, const ftl_tensor_desc *in,
           void *dst, const void *src, const void *value, int64_t begin, int64_t end);
/* dst[begin .. end) = value. */
void k_fill(size_t bytes, void *dst, const void *value, int64_t begin, int64_t end);
/* dst[i] = i / inner % n for i in [begin, end), as `dtype` (f32, f64, i8 .. u64); inner: elements
 * behind the axis of n.  False: no such dtype here. */
bool k_iota(ftl_dtype dtype, void *dst, int64_t n, int64_t inner, int64_t begin, int64_t end);

/* ---- by index ------------------------------------------------------------------------------- */

/* Data [outer, axis_size, row], indices [n], out [outer, n, row]: output rows [begin, end) of
 * outer * n.  index_bytes: 4 (i32) or 8 (i64); an index outside is clamped; axis_size >= 1. */
typedef struct ftl_gather {
    int64_t axis_size, n;
    size_t row_bytes;
    int32_t index_bytes;
} ftl_gather;
void k_gather(const ftl_gather *g, void *dst, const void *src, const void *index, int64_t begin,
              int64_t end);

/* out[S, row] = data[S, row] with rows[i] put at index[i], i rising: the last one stays, or, if
 * add, all are added in this order.  An index outside [0, S) is skipped.  Rows [begin, end) of S;
 * out may be data.  dtype matters for add alone: f32, i32, i64. */
typedef struct ftl_scatter {
    int64_t n, width; /* rows to put, elements of a row */
    int32_t index_bytes, bytes;
    ftl_dtype dtype;
    bool add;
} ftl_scatter;
void k_scatter(const ftl_scatter *s, void *out, const void *data, const void *index,
               const void *rows, int64_t begin, int64_t end);
/* pool[slots[i]] = rows[i] for i in [begin, end) in place; a slot outside [0, n_slots) is skipped.
 * Slots are different from each other where ranges run at the same time. */
void k_kv_write(void *pool, const void *rows, const int32_t *slots, size_t row_bytes,
                int64_t n_slots, int64_t begin, int64_t end);

/* ---- elements that are not f32 -------------------------------------------------------------- */

/* Ops that k_binary_int() has for a type: i32, i64 and bool. */
bool ftl_binary_int_has(ftl_op op, ftl_dtype dtype);
/* out[i] = a[i] op b[i], i in [begin, end) of the nest (arrays out, a, b).  Wraps; x / 0 and x % 0
 * are 0 and x; bool: and, or, xor, and max, min, mul, add as or, and, and, or.  out may be a or b
 * where that one is as large as out. */
void k_binary_int(ftl_op op, ftl_dtype dtype, const ftl_nest *nest, void *out, const void *a,
                  const void *b, int64_t begin, int64_t end);
/* equal, less, less_equal of f32, i32, i64, bool -> bool. */
bool ftl_compare_has(ftl_op op, ftl_dtype dtype);
void k_compare(ftl_op op, ftl_dtype dtype, const ftl_nest *nest, uint8_t *out, const void *a,
               const void *b, int64_t begin, int64_t end);
/* out = which ? x : y; arrays out, which, x, y. */
void k_select(size_t bytes, const ftl_nest *nest, void *out, const uint8_t *which, const void *x,
              const void *y, int64_t begin, int64_t end);
/* not (bool, i32, i64), neg, abs, sign (i32, i64); out may be x.  False: no such row. */
bool k_unary_int(ftl_op op, ftl_dtype dtype, void *out, const void *x, int64_t begin, int64_t end);

/* Between f32, f16, bf16, f64, i32, i64, u8, i8 and bool as ftl_elements_convert() does: floats
 * round to nearest even, integers truncate and clamp, NaN gives 0. */
bool ftl_convert_has(ftl_dtype to, ftl_dtype from);
void k_convert(ftl_dtype to, void *out, ftl_dtype from, const void *in, int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
