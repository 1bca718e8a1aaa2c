/* SPDX-License-Identifier: Apache-2.0 */
#include "format/host_tensor.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/dtype.h"

/* The views take file bytes as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fettle's files are little-endian");

ftl_status ftl_host_tensor_view(ftl_host_tensor *out, const char *name, const ftl_tensor_desc *desc,
                                const void *data, size_t bytes)
{
    *out = (ftl_host_tensor){ 0 };
    size_t need;
    FTL_TRY(ftl_desc_bytes(desc, &need));
    if (need != bytes) {
        char text[FTL_DESC_TEXT];
        return ftl_fail(FTL_EINVAL, "\"%s\": %s needs %zu bytes but has %zu", name,
                        ftl_desc_print(desc, text, sizeof text), need, bytes);
    }
    *out = (ftl_host_tensor){ .name = name, .desc = *desc, .data = data, .bytes = bytes };
    return FTL_OK;
}

ftl_status ftl_host_tensor_create(ftl_host_tensor *out, const char *name,
                                  const ftl_tensor_desc *desc, void **data)
{
    *out = (ftl_host_tensor){ 0 };
    if (data) *data = NULL;
    size_t bytes;
    FTL_TRY(ftl_desc_bytes(desc, &bytes));
    char *own_name = ftl_strdup(name);
    void *memory = ftl_calloc(bytes, 1);
    if (!own_name || !memory) {
        ftl_free(own_name);
        ftl_free(memory);
        return ftl_fail(FTL_ENOMEM, "no memory for the %zu bytes of tensor \"%s\"", bytes, name);
    }
    *out = (ftl_host_tensor){
        .name = own_name, .desc = *desc, .data = memory, .bytes = bytes, .is_owned = true
    };
    if (data) *data = memory;
    return FTL_OK;
}

ftl_status ftl_host_tensor_copy(ftl_host_tensor *out, const ftl_host_tensor *from)
{
    void *data;
    FTL_TRY(ftl_host_tensor_create(out, from->name, &from->desc, &data));
    memcpy(data, from->data, from->bytes);
    return FTL_OK;
}

void ftl_host_tensor_deinit(ftl_host_tensor *tensor)
{
    if (!tensor) return;
    if (tensor->is_owned) {
        /* Owned memory came from ftl_alloc as non-const. */
        ftl_free((void *)(uintptr_t)tensor->name);
        ftl_free((void *)(uintptr_t)tensor->data);
    }
    *tensor = (ftl_host_tensor){ 0 };
}

static int compare_names(const void *a, const void *b, void *items)
{
    const ftl_host_tensor *t = items;
    return strcmp(t[*(const size_t *)a].name, t[*(const size_t *)b].name);
}

ftl_status ftl_host_tensors_index(ftl_host_tensors *tensors, ftl_arena *arena, const char *file)
{
    tensors->by_name = ftl_arena_array(arena, tensors->count, sizeof *tensors->by_name);
    if (!tensors->by_name) return ftl_fail(FTL_ENOMEM, "%s: no memory for its index", file);
    for (size_t i = 0; i < tensors->count; i++) tensors->by_name[i] = i;
    if (tensors->count)
        qsort_r(tensors->by_name, tensors->count, sizeof *tensors->by_name, compare_names,
                tensors->items);
    for (size_t i = 1; i < tensors->count; i++) {
        const char *name = tensors->items[tensors->by_name[i]].name;
        if (strcmp(tensors->items[tensors->by_name[i - 1]].name, name) == 0)
            return ftl_fail(FTL_EFORMAT, "%s: two tensors are named \"%s\"", file, name);
    }
    return FTL_OK;
}

const ftl_host_tensor *ftl_host_tensors_find(const ftl_host_tensors *tensors, const char *name)
{
    size_t low = 0, high = tensors->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const ftl_host_tensor *t = &tensors->items[tensors->by_name[middle]];
        const int order = strcmp(name, t->name);
        if (order == 0) return t;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}
