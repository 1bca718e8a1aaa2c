/* SPDX-License-Identifier: Apache-2.0 */
#include "format/idx.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "core/dtype.h"
#include "format/inflate.h"
#include "format/reader.h"

/* Either a cursor or a gzip stream; both are read from front to back. */
typedef struct idx_source {
    ftl_reader plain;
    ftl_inflate *gzip;
    uint64_t payload_max; /* bytes that can follow at most */
} idx_source;

static ftl_status source_read(idx_source *s, void *out, size_t n, const char *what)
{
    if (s->gzip) return ftl_inflate_read(s->gzip, out, n);
    const uint8_t *p;
    FTL_TRY(ftl_reader_take(&s->plain, &p, n, what));
    if (n) memcpy(out, p, n);
    return FTL_OK;
}

static ftl_dtype dtype_of(uint8_t code)
{
    switch (code) {
    case 0x08: return FTL_DTYPE_U8;
    case 0x09: return FTL_DTYPE_I8;
    case 0x0b: return FTL_DTYPE_I16;
    case 0x0c: return FTL_DTYPE_I32;
    case 0x0d: return FTL_DTYPE_F32;
    case 0x0e: return FTL_DTYPE_F64;
    default: return FTL_DTYPE_NONE;
    }
}

static ftl_status read_header(idx_source *s, ftl_tensor_desc *desc, const char *name)
{
    uint8_t head[4], dim[4];
    FTL_TRY(source_read(s, head, sizeof head, "the idx header"));
    if (head[0] != 0 || head[1] != 0)
        return ftl_fail(
            FTL_EFORMAT,
            "%s: byte 0: an idx file starts with two zero bytes, this one with %02x %02x", name,
            head[0], head[1]);
    *desc = (ftl_tensor_desc){ .dtype = dtype_of(head[2]), .rank = head[3] };
    if (desc->dtype == FTL_DTYPE_NONE)
        return ftl_fail(FTL_EFORMAT, "%s: byte 2: %02x is no idx element type", name, head[2]);
    if (desc->rank < 1 || desc->rank > FTL_MAX_RANK)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte 3: %d dimensions; 1 to %d are read", name,
                        (int)head[3], FTL_MAX_RANK);
    for (int32_t i = 0; i < desc->rank; i++) {
        FTL_TRY(source_read(s, dim, sizeof dim, "an idx dimension"));
        desc->dim[i] =
            (int64_t)dim[0] << 24 | (int64_t)dim[1] << 16 | (int64_t)dim[2] << 8 | dim[3];
    }
    return FTL_OK;
}

static ftl_status read_tensor(ftl_host_tensor *out, idx_source *s, const char *name)
{
    ftl_tensor_desc desc;
    FTL_TRY(read_header(s, &desc, name));
    size_t bytes;
    const ftl_status sized = ftl_desc_bytes(&desc, &bytes);
    if (sized != FTL_OK) return ftl_fail_context(FTL_EFORMAT, "%s: byte 4", name);
    if (bytes > s->payload_max) {
        char text[FTL_DESC_TEXT];
        return ftl_fail(FTL_EFORMAT,
                        "%s: byte 4: the header claims %s, %zu bytes, more than the file can hold",
                        name, ftl_desc_print(&desc, text, sizeof text), bytes);
    }
    void *data;
    FTL_TRY(ftl_host_tensor_create(out, "data", &desc, &data));
    FTL_TRY(source_read(s, data, bytes, "the elements"));
    ftl_reader_swap(data, bytes, ftl_dtype_bytes(desc.dtype));
    if (s->gzip) return ftl_inflate_end(s->gzip);
    if (ftl_reader_left(&s->plain) != 0)
        return ftl_reader_fail(&s->plain, "%zu bytes more than the header claims",
                               ftl_reader_left(&s->plain));
    return FTL_OK;
}

ftl_status ftl_idx_parse(ftl_host_tensor *out, const void *data, size_t size, const char *name)
{
    *out = (ftl_host_tensor){ 0 };
    const uint8_t *bytes = data;
    idx_source s = { .payload_max = size };
    ftl_reader_init(&s.plain, data, size, name);
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        s.payload_max = (uint64_t)size * FTL_INFLATE_RATIO_MAX;
        FTL_TRY(ftl_inflate_open(&s.gzip, FTL_INFLATE_GZIP, data, size, name));
    }
    const ftl_status status = read_tensor(out, &s, name);
    ftl_inflate_close(s.gzip);
    if (status != FTL_OK) ftl_host_tensor_deinit(out);
    return status;
}

ftl_status ftl_idx_read(ftl_host_tensor *out, const char *path)
{
    *out = (ftl_host_tensor){ 0 };
    ftl_file file;
    FTL_TRY(ftl_file_map(&file, path));
    const ftl_status s = ftl_idx_parse(out, file.data, file.size, path);
    ftl_file_unmap(&file);
    return s;
}
