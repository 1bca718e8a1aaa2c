/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/alloc.h"
#include "base/file.h"
#include "core/dtype.h"

enum { HEADER_ALIGN = 8 };

/* Larger elements first: then each offset is a multiple of its element size. */
static int compare_tensors(const void *a, const void *b)
{
    const ftl_host_tensor *x = *(const ftl_host_tensor *const *)a;
    const ftl_host_tensor *y = *(const ftl_host_tensor *const *)b;
    const size_t p = ftl_dtype_bytes(x->desc.dtype), q = ftl_dtype_bytes(y->desc.dtype);
    if (p != q) return p > q ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Puts {"dtype", "shape", "data_offsets"} of one tensor into the header. */
static ftl_status add_tensor(json_t *header, const ftl_host_tensor *t, uint64_t offset,
                             const char *path)
{
    const char *dtype = ftl_dtype_get_info(t->desc.dtype)->safetensors;
    size_t bytes;
    FTL_TRY(ftl_desc_bytes(&t->desc, &bytes));
    if (!*dtype || bytes != t->bytes)
        return ftl_fail(FTL_EINVAL, "%s: tensor \"%s\" (%s, %zu bytes) cannot stand in safetensors",
                        path, t->name, ftl_dtype_name(t->desc.dtype), t->bytes);
    if (json_object_get(header, t->name) || strcmp(t->name, "__metadata__") == 0)
        return ftl_fail(FTL_EINVAL, "%s: tensor name \"%s\" stands twice or is reserved", path,
                        t->name);
    json_t *shape = json_array();
    bool ok = shape != NULL;
    for (int32_t i = 0; ok && i < t->desc.rank; i++)
        ok = json_array_append_new(shape, json_integer(t->desc.dim[i])) == 0;
    json_t *entry = json_pack("{s:s, s:O, s:[I,I]}", "dtype", dtype, "shape", ok ? shape : NULL,
                              "data_offsets", (json_int_t)offset, (json_int_t)(offset + bytes));
    json_decref(shape);
    if (!entry || json_object_set_new(header, t->name, entry) != 0)
        return ftl_fail(FTL_EINVAL, "%s: no memory for tensor \"%s\", or its name is not UTF-8",
                        path, t->name);
    return FTL_OK;
}

static ftl_status add_metadata(json_t *header, const ftl_safetensors_content *c, const char *path)
{
    if (c->n_metadata == 0) return FTL_OK;
    json_t *pairs = json_object();
    if (!pairs || json_object_set_new(header, "__metadata__", pairs) != 0)
        return ftl_fail(FTL_ENOMEM, "%s: no memory for its header", path);
    for (size_t i = 0; i < c->n_metadata; i++)
        if (json_object_set_new(pairs, c->metadata[i].key, json_string(c->metadata[i].value)) != 0)
            return ftl_fail(FTL_EINVAL, "%s: no memory for metadata \"%s\", or it is not UTF-8",
                            path, c->metadata[i].key);
    return FTL_OK;
}

/* The header as text with u64 length in front and spaces behind, up to a multiple of
 * HEADER_ALIGN. */
static ftl_status print_header(char **out, size_t *out_bytes, const json_t *header,
                               const char *path)
{
    *out = NULL;
    const size_t n = json_dumpb(header, NULL, 0, JSON_COMPACT);
    const size_t padded = (n + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
    char *text = n ? ftl_alloc(8 + padded) : NULL;
    if (!text || json_dumpb(header, text + 8, n, JSON_COMPACT) != n) {
        ftl_free(text);
        return ftl_fail(FTL_ENOMEM, "%s: no memory for its header", path);
    }
    memset(text + 8 + n, ' ', padded - n);
    for (int i = 0; i < 8; i++) text[i] = (char)((uint64_t)padded >> (8 * i) & 255);
    *out = text;
    *out_bytes = 8 + padded;
    return FTL_OK;
}

static ftl_status write_file(const char *path, const char *header, size_t header_bytes,
                             const ftl_host_tensor *const *sorted, size_t n)
{
    ftl_file_writer *writer;
    FTL_TRY(ftl_file_writer_open(&writer, path));
    ftl_status s = ftl_file_writer_write(writer, header, header_bytes);
    for (size_t i = 0; s == FTL_OK && i < n; i++)
        s = ftl_file_writer_write(writer, sorted[i]->data, sorted[i]->bytes);
    if (s == FTL_OK) return ftl_file_writer_commit(writer);
    ftl_file_writer_abort(writer);
    return s;
}

ftl_status ftl_safetensors_write(const char *path, const ftl_safetensors_content *c)
{
    const ftl_host_tensor **sorted = ftl_calloc(c->n_tensors, sizeof *sorted);
    json_t *header = json_object();
    char *text = NULL;
    size_t text_bytes = 0;
    ftl_status s = FTL_OK;
    if (!sorted || !header) s = ftl_fail(FTL_ENOMEM, "%s: no memory to write it", path);
    if (s == FTL_OK) {
        for (size_t i = 0; i < c->n_tensors; i++) sorted[i] = &c->tensors[i];
        if (c->n_tensors) qsort(sorted, c->n_tensors, sizeof *sorted, compare_tensors);
        s = add_metadata(header, c, path);
    }
    uint64_t offset = 0;
    for (size_t i = 0; s == FTL_OK && i < c->n_tensors; i++) {
        s = add_tensor(header, sorted[i], offset, path);
        offset += sorted[i]->bytes;
    }
    if (s == FTL_OK) s = print_header(&text, &text_bytes, header, path);
    if (s == FTL_OK) s = write_file(path, text, text_bytes, sorted, c->n_tensors);
    ftl_free(text);
    json_decref(header);
    ftl_free(sorted);
    return s;
}
