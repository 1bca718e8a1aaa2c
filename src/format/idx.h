/* SPDX-License-Identifier: Apache-2.0 */
/* idx.h - the idx files of MNIST and its kin, plain or gzipped (told apart by their first bytes).
 * Layout, big-endian: 0 0 type rank, then rank u32 dims, then the elements row-major.
 * Source: yann.lecun.com/exdb/mnist, "the idx file format". */
#ifndef FTL_FORMAT_IDX_H
#define FTL_FORMAT_IDX_H

#include "format/host_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An owned tensor named "data": images u8 [n, h, w], labels u8 [n].  FTL_ENOTFOUND, FTL_EFORMAT,
 * FTL_EUNSUPPORTED. */
ftl_status ftl_idx_read(ftl_host_tensor *out, const char *path);
/* The same from memory; `name` stands in sentences. */
ftl_status ftl_idx_parse(ftl_host_tensor *out, const void *data, size_t size, const char *name);

#ifdef __cplusplus
}
#endif
#endif
