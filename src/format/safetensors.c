/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "core/dtype.h"
#include "format/reader.h"

/* The reference reader's limit: a header above it is an attack on the JSON parser. */
enum { HEADER_MAX_BYTES = 100 * 1000 * 1000 };
static const char metadata_key[] = "__metadata__";

struct ftl_safetensors {
    ftl_arena arena; /* names, metadata, index */
    ftl_file map;    /* empty when parsed from memory */
    ftl_host_tensors tensors;
    ftl_safetensors_pair *metadata;
    size_t n_metadata;
};

/* What stands behind the header. */
typedef struct data_area {
    const uint8_t *start;
    size_t bytes;
    uint64_t file_offset;
} data_area;

static ftl_status no_memory(const char *name)
{
    return ftl_fail(FTL_ENOMEM, "%s: no memory for its header", name);
}

static ftl_status read_metadata(ftl_safetensors *f, const ftl_json *at, const char *name)
{
    const size_t n = json_object_size(at->value);
    if (!json_is_object(at->value)) return ftl_json_complain(at, "an object of texts expected");
    f->metadata = ftl_arena_array(&f->arena, n, sizeof *f->metadata);
    if (!f->metadata) return no_memory(name);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)at->value, key, value)
    {
        if (!json_is_string(value)) return ftl_json_complain(at, "\"%s\" is no text", key);
        ftl_safetensors_pair *pair = &f->metadata[f->n_metadata];
        pair->key = ftl_arena_strdup(&f->arena, key);
        pair->value = ftl_arena_strdup(&f->arena, json_string_value(value));
        if (!pair->key || !pair->value) return no_memory(name);
        f->n_metadata++;
    }
    return FTL_OK;
}

static ftl_status read_shape(ftl_tensor_desc *desc, const ftl_json *at)
{
    ftl_json shape;
    FTL_TRY(ftl_json_array(&shape, at, "shape"));
    const size_t rank = ftl_json_size(&shape);
    if (rank > FTL_MAX_RANK)
        return ftl_json_complain(&shape, "%zu dimensions; at most %d are read", rank, FTL_MAX_RANK);
    desc->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const ftl_json item = ftl_json_item(&shape, i);
        FTL_TRY(ftl_json_int(&desc->dim[i], &item, NULL, 0, INT64_MAX));
    }
    return FTL_OK;
}

static ftl_status read_dtype(ftl_tensor_desc *desc, const ftl_json *at)
{
    const char *text;
    FTL_TRY(ftl_json_string(&text, at, "dtype"));
    desc->dtype = ftl_dtype_from_safetensors(text);
    if (desc->dtype != FTL_DTYPE_NONE) return FTL_OK;
    char path[256];
    return ftl_fail(FTL_EUNSUPPORTED, "%s: dtype \"%.32s\", which fettle does not compute with",
                    ftl_json_path(at, path, sizeof path), text);
}

static ftl_status read_tensor(ftl_safetensors *f, const ftl_json *at, const data_area *area,
                              const char *name)
{
    ftl_tensor_desc desc = { 0 };
    ftl_json offsets;
    FTL_TRY(read_dtype(&desc, at));
    FTL_TRY(read_shape(&desc, at));
    FTL_TRY(ftl_json_array(&offsets, at, "data_offsets"));
    if (ftl_json_size(&offsets) != 2) return ftl_json_complain(&offsets, "[begin, end] expected");
    const ftl_json first = ftl_json_item(&offsets, 0), second = ftl_json_item(&offsets, 1);
    int64_t begin, end;
    FTL_TRY(ftl_json_int(&begin, &first, NULL, 0, INT64_MAX));
    FTL_TRY(ftl_json_int(&end, &second, NULL, 0, INT64_MAX));
    if (begin > end || (uint64_t)end > area->bytes)
        return ftl_json_complain(&offsets,
                                 "[%lld, %lld] lies outside the %zu bytes of data; the file "
                                 "is damaged or cut short",
                                 (long long)begin, (long long)end, area->bytes);
    char *own_name = ftl_arena_strdup(&f->arena, at->name);
    if (!own_name) return no_memory(name);
    ftl_host_tensor *t = &f->tensors.items[f->tensors.count];
    if (ftl_host_tensor_view(t, own_name, &desc, area->start + begin, (size_t)(end - begin)) !=
        FTL_OK)
        return ftl_fail_context(FTL_EFORMAT, "%s", name);
    f->tensors.count++;
    return FTL_OK;
}

static int compare_places(const void *a, const void *b)
{
    const ftl_host_tensor *x = *(ftl_host_tensor *const *)a, *y = *(ftl_host_tensor *const *)b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The tensors cover the data area exactly: each starts where the one before ends. */
static ftl_status check_places(ftl_safetensors *f, const data_area *area, const char *name)
{
    const size_t n = f->tensors.count;
    ftl_host_tensor **sorted = ftl_arena_array(&f->arena, n, sizeof *sorted);
    if (!sorted) return no_memory(name);
    for (size_t i = 0; i < n; i++) sorted[i] = &f->tensors.items[i];
    if (n) qsort(sorted, n, sizeof *sorted, compare_places);
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t begin = (size_t)((const uint8_t *)sorted[i]->data - area->start);
        if (begin != end)
            return ftl_fail(FTL_EFORMAT, "%s: byte %llu: tensor \"%s\" %s", name,
                            (unsigned long long)(area->file_offset + begin), sorted[i]->name,
                            begin < end ? "overlaps the one before" : "leaves a hole before it");
        end = begin + sorted[i]->bytes;
    }
    if (end != area->bytes)
        return ftl_fail(FTL_EFORMAT, "%s: byte %llu: %zu bytes belong to no tensor", name,
                        (unsigned long long)(area->file_offset + end), area->bytes - end);
    return FTL_OK;
}

static ftl_status read_header(ftl_safetensors *f, const json_t *json, const data_area *area,
                              const char *name)
{
    const ftl_json root = ftl_json_root(json, name);
    if (!json_is_object(json)) return ftl_json_complain(&root, "the header is no JSON object");
    f->tensors.items = ftl_arena_array(&f->arena, json_object_size(json), sizeof *f->tensors.items);
    if (!f->tensors.items) return no_memory(name);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const ftl_json at = { .value = value, .parent = &root, .name = key };
        if (strcmp(key, metadata_key) == 0) FTL_TRY(read_metadata(f, &at, name));
        else FTL_TRY(read_tensor(f, &at, area, name));
    }
    FTL_TRY(check_places(f, area, name));
    return ftl_host_tensors_index(&f->tensors, &f->arena, name);
}

static ftl_status parse_file(ftl_safetensors *f, const void *data, size_t size, const char *name)
{
    ftl_reader r;
    ftl_reader_init(&r, data, size, name);
    uint64_t header_bytes;
    const uint8_t *header;
    FTL_TRY(ftl_reader_u64(&r, &header_bytes, "the header's length"));
    if (header_bytes > HEADER_MAX_BYTES) {
        r.pos = 0;
        return ftl_reader_fail(&r,
                               "a header of %llu bytes, more than the %d that safetensors allows: "
                               "this is no safetensors file",
                               (unsigned long long)header_bytes, HEADER_MAX_BYTES);
    }
    FTL_TRY(ftl_reader_take(&r, &header, (size_t)header_bytes, "the header"));
    if (header_bytes == 0 || header[0] != '{') {
        r.pos = 8;
        return ftl_reader_fail(&r,
                               "the header does not start with '{': this is no safetensors file");
    }
    const data_area area = { r.data + r.pos, ftl_reader_left(&r), ftl_reader_offset(&r) };
    json_t *json = NULL;
    FTL_TRY(ftl_json_parse(&json, (const char *)header, (size_t)header_bytes, name));
    const ftl_status s = read_header(f, json, &area, name);
    json_decref(json);
    return s;
}

ftl_status ftl_safetensors_parse(ftl_safetensors **out, const void *data, size_t size,
                                 const char *name)
{
    *out = NULL;
    ftl_safetensors *f = ftl_calloc(1, sizeof *f);
    if (!f) return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", name);
    const ftl_status s = parse_file(f, data, size, name);
    if (s != FTL_OK) {
        ftl_safetensors_close(f);
        return s;
    }
    *out = f;
    return FTL_OK;
}

ftl_status ftl_safetensors_open(ftl_safetensors **out, const char *path)
{
    *out = NULL;
    ftl_file file;
    FTL_TRY(ftl_file_map(&file, path));
    const ftl_status s = ftl_safetensors_parse(out, file.data, file.size, path);
    if (s == FTL_OK) (*out)->map = file; /* the views point into it */
    else ftl_file_unmap(&file);
    return s;
}

void ftl_safetensors_close(ftl_safetensors *file)
{
    if (!file) return;
    ftl_arena_deinit(&file->arena);
    ftl_file_unmap(&file->map);
    ftl_free(file);
}

const ftl_host_tensors *ftl_safetensors_tensors(const ftl_safetensors *file)
{
    return &file->tensors;
}

const ftl_safetensors_pair *ftl_safetensors_metadata(const ftl_safetensors *file, size_t *count)
{
    *count = file->n_metadata;
    return file->metadata;
}
