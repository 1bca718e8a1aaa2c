/* SPDX-License-Identifier: Apache-2.0 */
/* host_tensor.h - a named tensor in host memory: what every file of tensors yields.
 * Idea: one plain description for npy, npz, idx, safetensors and ONNX initializers.  Elements are
 * dense, row-major, little-endian.  A view points into a mapped file, so `data` has no alignment
 * beyond one byte; whoever computes copies it first (ftl_host_tensor_copy gives aligned memory).
 * Immutable once filled: several threads may read one. */
#ifndef FTL_FORMAT_HOST_TENSOR_H
#define FTL_FORMAT_HOST_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/status.h"
#include "fettle/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_host_tensor {
    const char *name; /* never NULL after init                                          */
    ftl_tensor_desc desc;
    const void *data; /* never NULL after init, even of 0 bytes; ONNX external: NULL until loaded */
    size_t bytes;     /* of data: exactly what desc needs                               */
    bool is_owned;    /* name and data belong to this object and are freed by deinit    */
} ftl_host_tensor;

/* A view of foreign memory.  FTL_EINVAL: desc is no tensor, or bytes is not what it needs. */
ftl_status ftl_host_tensor_view(ftl_host_tensor *out, const char *name, const ftl_tensor_desc *desc,
                                const void *data, size_t bytes);
/* Zeroed own memory and a copy of the name.  `data` may be written through the returned pointer.
 * FTL_EINVAL: desc is no tensor.  FTL_ENOMEM. */
ftl_status ftl_host_tensor_create(ftl_host_tensor *out, const char *name,
                                  const ftl_tensor_desc *desc, void **data);
/* An own, aligned copy.  FTL_ENOMEM. */
ftl_status ftl_host_tensor_copy(ftl_host_tensor *out, const ftl_host_tensor *from);
/* Frees what is owned and zeroes the object.  All-zero objects and NULL are fine. */
void ftl_host_tensor_deinit(ftl_host_tensor *tensor);

/* The tensors of one file with an index by name.  Borrows from the file's object. */
typedef struct ftl_host_tensors {
    ftl_host_tensor *items; /* [count], in file order             */
    size_t count;
    size_t *by_name; /* [count], positions sorted by name  */
} ftl_host_tensors;

/* Sorts by_name into the arena.  FTL_EFORMAT: two tensors of `file` have the same name. */
ftl_status ftl_host_tensors_index(ftl_host_tensors *tensors, ftl_arena *arena, const char *file);
/* NULL: no tensor has this name. */
const ftl_host_tensor *ftl_host_tensors_find(const ftl_host_tensors *tensors, const char *name);

#ifdef __cplusplus
}
#endif
#endif
