/* SPDX-License-Identifier: Apache-2.0 */
#include "format/npy.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "format/zip.h"

/* A deflated member may legitimately grow a thousandfold; the whole may not fill the machine. */
static const uint64_t content_max_bytes = (uint64_t)16 << 30;

struct ftl_npz {
    ftl_arena arena; /* names, directory, inflated members */
    ftl_file file;
    ftl_host_tensors tensors;
};

static bool has_npy_suffix(const char *name, size_t *stem)
{
    const size_t n = strlen(name);
    *stem = n > 4 ? n - 4 : 0;
    return n > 4 && strcmp(name + n - 4, ".npy") == 0;
}

static ftl_status read_member(ftl_npz *npz, const ftl_zip *zip, const ftl_zip_member *m)
{
    size_t stem;
    if (!has_npy_suffix(m->name, &stem))
        return ftl_fail(FTL_EFORMAT, "%s: member \"%s\" is no .npy, so this is no npz file",
                        zip->name, m->name);
    const uint8_t *content;
    FTL_TRY(ftl_zip_content(zip, m, &npz->arena, &content));
    ftl_host_tensor *t = &npz->tensors.items[npz->tensors.count];
    const ftl_status s = ftl_npy_parse(t, content, m->bytes, m->name);
    if (s != FTL_OK) return ftl_fail_context(s, "%s", zip->name);
    npz->tensors.count++; /* from here on close() frees what the parser owns */
    char *name = ftl_arena_strndup(&npz->arena, m->name, stem);
    if (!name) return ftl_fail(FTL_ENOMEM, "%s: no memory for its names", zip->name);
    /* An owned tensor's name is its own; the data of a view is this file's. */
    if (t->is_owned) {
        char *own = ftl_strdup(name);
        if (!own) return ftl_fail(FTL_ENOMEM, "%s: no memory for its names", zip->name);
        ftl_free((void *)(uintptr_t)t->name);
        t->name = own;
    } else {
        t->name = name;
    }
    return FTL_OK;
}

static ftl_status parse_members(ftl_npz *npz, const void *data, size_t size, const char *name)
{
    ftl_zip zip;
    FTL_TRY(ftl_zip_parse(&zip, &npz->arena, data, size, name));
    uint64_t total = 0;
    for (size_t i = 0; i < zip.n_members; i++) total += zip.members[i].bytes;
    if (total > content_max_bytes)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: its arrays claim %llu bytes; at most %llu are read",
                        name, (unsigned long long)total, (unsigned long long)content_max_bytes);
    npz->tensors.items = ftl_arena_array(&npz->arena, zip.n_members, sizeof *npz->tensors.items);
    if (!npz->tensors.items) return ftl_fail(FTL_ENOMEM, "%s: no memory for its arrays", name);
    for (size_t i = 0; i < zip.n_members; i++) FTL_TRY(read_member(npz, &zip, &zip.members[i]));
    return ftl_host_tensors_index(&npz->tensors, &npz->arena, name);
}

ftl_status ftl_npz_parse(ftl_npz **out, const void *data, size_t size, const char *name)
{
    *out = NULL;
    ftl_npz *npz = ftl_calloc(1, sizeof *npz);
    if (!npz) return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", name);
    const ftl_status s = parse_members(npz, data, size, name);
    if (s != FTL_OK) {
        ftl_npz_close(npz);
        return s;
    }
    *out = npz;
    return FTL_OK;
}

ftl_status ftl_npz_open(ftl_npz **out, const char *path)
{
    *out = NULL;
    ftl_file file;
    FTL_TRY(ftl_file_map(&file, path));
    const ftl_status s = ftl_npz_parse(out, file.data, file.size, path);
    if (s == FTL_OK) (*out)->file = file; /* the views point into it */
    else ftl_file_unmap(&file);
    return s;
}

const ftl_host_tensors *ftl_npz_tensors(const ftl_npz *npz)
{
    return &npz->tensors;
}

void ftl_npz_close(ftl_npz *npz)
{
    if (!npz) return;
    for (size_t i = 0; i < npz->tensors.count; i++) ftl_host_tensor_deinit(&npz->tensors.items[i]);
    ftl_arena_deinit(&npz->arena);
    ftl_file_unmap(&npz->file);
    ftl_free(npz);
}
