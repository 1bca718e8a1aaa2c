/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_import.h - from what an ONNX file says to a bound graph.
 * Idea: dims are numbers before the first node is read, so every shape is known as the graph
 * grows, and whatever shape arithmetic a file holds (Shape, Gather, Concat, ...) is worked out on
 * the way. One row of onnx_ops.def an operator, of opsets 7 to 21.
 * Initializers that are floats, or large, become weights that borrow the file's bytes (of any
 * alignment); small ones become constants.  Sources are named as in the file, so their ids do not
 * depend on the dims.  The graph lives no longer than the file. */
#ifndef FTL_FORMAT_ONNX_IMPORT_H
#define FTL_FORMAT_ONNX_IMPORT_H

#include "base/arena.h"
#include "core/graph.h"
#include "format/onnx_file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Not optimized, but without dead nodes.  dims: by the names of the file's symbolic dims (see
 * ftl_onnx_list_dims); one that is not given is 1, one that the file lacks is passed over.
 * Thread-safe.  External weights are loaded before, by ftl_onnx_file_load_all().
 * FTL_EFORMAT: the file contradicts itself.  FTL_EUNSUPPORTED: operators are missing (all are
 * named), or one is used in a way that is.  FTL_EINVAL: a dim is negative.  FTL_ENOMEM. */
ftl_status ftl_onnx_bind(ftl_graph **out, const ftl_onnx_file *file, const ftl_dim_value *dims,
                         int32_t n_dims) FTL_MUST_USE;

/* The inputs that are given at each run: without those that are initializers, as all of them are
 * before IR 4.  The array is in the arena, what it points to in the file. */
ftl_status ftl_onnx_list_inputs(ftl_arena *arena, const ftl_onnx_file *file,
                                const ftl_onnx_value *const **inputs, int32_t *n) FTL_MUST_USE;
/* The symbolic dims of these inputs, each once, with the value that bind takes by default. */
ftl_status ftl_onnx_list_dims(ftl_arena *arena, const ftl_onnx_file *file, ftl_dim_value **dims,
                              int32_t *n) FTL_MUST_USE;
/* Name of a dim that is not fixed: the file's own, or "<input>.<axis>" where it gives none.
 * Returns text or a name of the file. */
enum { FTL_ONNX_DIM_TEXT = 160 };
const char *ftl_onnx_dim_name(const ftl_onnx_value *input, size_t axis,
                              char text[FTL_ONNX_DIM_TEXT]);

/* Number of operators that are read; name of one, NULL past the end. */
const char *ftl_onnx_operator_name(int32_t i);

#ifdef __cplusplus
}
#endif
#endif
