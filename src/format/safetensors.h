/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors.h - named tensors behind a JSON header.
 * Layout: u64 header_bytes, the header {"name": {"dtype","shape","data_offsets":[begin,end]}, ...,
 * "__metadata__": {text: text}}, then the data; offsets count from its start and cover it without a
 * gap.  As strict as the reference reader: no overlap, no hole, no trailing bytes, no name twice.
 * Source: github.com/huggingface/safetensors, README "Format".  Immutable once open. */
#ifndef FTL_FORMAT_SAFETENSORS_H
#define FTL_FORMAT_SAFETENSORS_H

#include "format/host_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_safetensors ftl_safetensors;

typedef struct ftl_safetensors_pair {
    const char *key, *value;
} ftl_safetensors_pair;

/* Maps the file; the tensors are views into it.  FTL_ENOTFOUND, FTL_EFORMAT, FTL_EUNSUPPORTED (a
 * dtype), FTL_ENOMEM. */
ftl_status ftl_safetensors_open(ftl_safetensors **out, const char *path);
/* Borrows data until close. */
ftl_status ftl_safetensors_parse(ftl_safetensors **out, const void *data, size_t size,
                                 const char *name);
/* Accepts NULL. */
void ftl_safetensors_close(ftl_safetensors *file);

/* Borrowed until close. */
const ftl_host_tensors *ftl_safetensors_tensors(const ftl_safetensors *file);
/* Entries of __metadata__; *count may be 0.  Borrowed until close. */
const ftl_safetensors_pair *ftl_safetensors_metadata(const ftl_safetensors *file, size_t *count);

typedef struct ftl_safetensors_content {
    const ftl_host_tensor *tensors;
    size_t n_tensors;
    const ftl_safetensors_pair *metadata;
    size_t n_metadata;
} ftl_safetensors_content;

/* Whole or not at all.  The data stands by falling element size, then by name, so that every tensor
 * is aligned to its elements and the file's bytes do not depend on the order given.
 * FTL_EINVAL: a name twice or not UTF-8. */
ftl_status ftl_safetensors_write(const char *path, const ftl_safetensors_content *content);

#ifdef __cplusplus
}
#endif
#endif
