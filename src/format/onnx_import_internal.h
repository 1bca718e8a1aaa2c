/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_import_internal.h - what the driver and onnx_values.c share. */
#ifndef FTL_FORMAT_ONNX_IMPORT_INTERNAL_H
#define FTL_FORMAT_ONNX_IMPORT_INTERNAL_H

#include "format/onnx_op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NULL: no value of this name stands before. */
ftl_onnx_value_state *ftl_onnx_find_value(const ftl_onnx_import *import, const char *name);
/* Works out the nodes from `first` on whose inputs are all known, where results are small. */
ftl_status ftl_onnx_fold_nodes(ftl_onnx_import *import, int32_t first) FTL_MUST_USE;
/* The constant that a tensor is known to be, else the tensor itself. */
int32_t ftl_onnx_fold_find(const ftl_onnx_import *import, int32_t tensor);

#ifdef __cplusplus
}
#endif
#endif
