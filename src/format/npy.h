/* SPDX-License-Identifier: Apache-2.0 */
/* npy.h - numpy's .npy (one array) and .npz (a zip of them).
 * Read: versions 1, 2, 3; f16 f32 f64, i8 to i64, u8 to u64, bool; either byte order; Fortran order
 * is transposed.  Written: version 1, C order, little-endian.  npy has no bf16.
 * Source: numpy.lib.format, "NPY format". */
#ifndef FTL_FORMAT_NPY_H
#define FTL_FORMAT_NPY_H

#include "format/host_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An owned tensor named "data".  FTL_ENOTFOUND, FTL_EFORMAT, FTL_EUNSUPPORTED (a dtype). */
ftl_status ftl_npy_read(ftl_host_tensor *out, const char *path);
/* From memory: a view where the bytes can be used as they are, else owned; so `data` must outlive
 * it.  Always deinit. */
ftl_status ftl_npy_parse(ftl_host_tensor *out, const void *data, size_t size, const char *name);
/* Whole or not at all.  FTL_EUNSUPPORTED: the dtype has no npy spelling. */
ftl_status ftl_npy_write(const char *path, const ftl_host_tensor *tensor);

/* The arrays of an .npz, by member name without ".npy". */
typedef struct ftl_npz ftl_npz;
ftl_status ftl_npz_open(ftl_npz **out, const char *path);
/* Borrows data until close. */
ftl_status ftl_npz_parse(ftl_npz **out, const void *data, size_t size, const char *name);
/* Borrowed until close. */
const ftl_host_tensors *ftl_npz_tensors(const ftl_npz *npz);
void ftl_npz_close(ftl_npz *npz);

#ifdef __cplusplus
}
#endif
#endif
