/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.h - element types and shapes.  Tensors are dense and row-major: the last axis is
 * contiguous.  Everything here is plain data. */
#ifndef FETTLE_TENSOR_H
#define FETTLE_TENSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are part of files and of the API: they are never reused. */
typedef enum ftl_dtype {
    FTL_DTYPE_NONE = 0,
    FTL_DTYPE_F32 = 1,
    FTL_DTYPE_F16 = 2,
    FTL_DTYPE_BF16 = 3,
    FTL_DTYPE_F64 = 4,
    FTL_DTYPE_I8 = 5,
    FTL_DTYPE_U8 = 6,
    FTL_DTYPE_I16 = 7,
    FTL_DTYPE_U16 = 8,
    FTL_DTYPE_I32 = 9,
    FTL_DTYPE_U32 = 10,
    FTL_DTYPE_I64 = 11,
    FTL_DTYPE_U64 = 12,
    FTL_DTYPE_BOOL = 13
} ftl_dtype;

enum { FTL_MAX_RANK = 8 };

/* A scalar has rank 0.  dim[i] >= 0; a dim of 0 makes an empty tensor. */
typedef struct ftl_tensor_desc {
    ftl_dtype dtype;
    int32_t rank;
    int64_t dim[FTL_MAX_RANK];
} ftl_tensor_desc;

#ifdef __cplusplus
}
#endif
#endif
