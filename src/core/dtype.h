/* SPDX-License-Identifier: Apache-2.0 */
/* dtype.h - what is known of each element type (from dtypes.def), and conversion of elements. */
#ifndef FTL_CORE_DTYPE_H
#define FTL_CORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"
#include "fettle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ftl_dtype_kind { FTL_KIND_FLOAT, FTL_KIND_SINT, FTL_KIND_UINT, FTL_KIND_BOOL };
enum { FTL_DTYPE_COUNT = 14 };

typedef struct ftl_dtype_info {
    const char *name;
    enum ftl_dtype_kind kind;
    int32_t block, block_bytes;
    int32_t onnx;
    const char *safetensors, *npy, *stablehlo;
} ftl_dtype_info;

/* Never NULL: an unknown number gives the row of FTL_DTYPE_NONE, named "none", of 0 bytes. */
const ftl_dtype_info *ftl_dtype_get_info(ftl_dtype dtype);
const char *ftl_dtype_name(ftl_dtype dtype);
/* Bytes of one element of a plain type. */
size_t ftl_dtype_bytes(ftl_dtype dtype);
bool ftl_dtype_is_float(ftl_dtype dtype);
bool ftl_dtype_is_int(ftl_dtype dtype);
/* By fettle's own name ("f32"), ONNX number, safetensors or npy spelling; FTL_DTYPE_NONE if
 * unknown. */
ftl_dtype ftl_dtype_from_name(const char *name);
ftl_dtype ftl_dtype_from_onnx(int32_t number);
ftl_dtype ftl_dtype_from_safetensors(const char *name);
ftl_dtype ftl_dtype_from_npy(const char *name);

/* Element count; false on overflow of int64_t or a negative dim. */
bool ftl_desc_count(const ftl_tensor_desc *desc, int64_t *count);
/* Bytes of the dense tensor.  FTL_EINVAL: overflow, negative dim or unknown type. */
ftl_status ftl_desc_bytes(const ftl_tensor_desc *desc, size_t *bytes) FTL_MUST_USE;
/* The same for a desc that was checked before (asserts). */
size_t ftl_desc_bytes_checked(const ftl_tensor_desc *desc);
int64_t ftl_desc_count_checked(const ftl_tensor_desc *desc);
bool ftl_desc_equal(const ftl_tensor_desc *a, const ftl_tensor_desc *b);
/* Product of dims [from, to). */
int64_t ftl_desc_span(const ftl_tensor_desc *desc, int32_t from, int32_t to);
/* "f32[64,1000]" into text, always NUL-terminated; returns text. */
char *ftl_desc_print(const ftl_tensor_desc *desc, char *text, size_t size);
enum { FTL_DESC_TEXT = 192 };

/* f32 <-> f16/bf16 by round to nearest even; NaN stays NaN. */
uint16_t ftl_f32_to_f16(float value);
float ftl_f16_to_f32(uint16_t bits);
uint16_t ftl_f32_to_bf16(float value);
float ftl_bf16_to_f32(uint16_t bits);

/* Element i of a dense array as double (i64 beyond 2^53 is rounded) and back (rounded to nearest
 * even for floats, truncated and clamped to the type's range for integers, NaN gives 0). */
double ftl_element_get(ftl_dtype dtype, const void *data, int64_t i);
void ftl_element_set(ftl_dtype dtype, void *data, int64_t i, double value);
/* Converts n elements; source and destination do not overlap. */
void ftl_elements_convert(ftl_dtype to, void *out, ftl_dtype from, const void *in, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
