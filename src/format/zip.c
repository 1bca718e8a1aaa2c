/* SPDX-License-Identifier: Apache-2.0 */
/* The layout read here, from the end of the file towards its start:
 *
 *   [local header 30 + name + extra][data] ... [central entry 46 + name + extra + comment] ...
 *   [end record 22 + comment]
 */
#include "format/zip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "format/inflate.h"
#include "format/reader.h"

enum {
    END_BYTES = 22,
    END_COMMENT_MAX = 65535,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    FLAG_ENCRYPTED = 1
};
static const uint8_t end_magic[4] = { 'P', 'K', 5, 6 };
static const uint8_t central_magic[4] = { 'P', 'K', 1, 2 };
static const uint8_t local_magic[4] = { 'P', 'K', 3, 4 };

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | get16(p + 2) << 16;
}

/* The end record: the last place whose comment reaches exactly to the end of the file. */
static ftl_status find_end(ftl_reader *r)
{
    const size_t lowest =
        r->size > END_BYTES + END_COMMENT_MAX ? r->size - END_BYTES - END_COMMENT_MAX : 0;
    for (size_t at = r->size >= END_BYTES ? r->size - END_BYTES + 1 : 0; at > lowest; at--) {
        const uint8_t *p = r->data + at - 1;
        if (memcmp(p, end_magic, 4) != 0) continue;
        if (at - 1 + END_BYTES + get16(p + 20) != r->size) continue;
        r->pos = at - 1;
        return FTL_OK;
    }
    r->pos = r->size;
    return ftl_reader_fail(r, "no end-of-directory record: not a zip file, or it is cut short");
}

/* Where the content of a central entry starts: behind its local header. */
static ftl_status locate(const ftl_reader *file, ftl_zip_member *m, uint32_t local_offset)
{
    ftl_reader r = *file;
    r.pos = local_offset < r.size ? local_offset : r.size;
    const uint8_t *p;
    FTL_TRY(ftl_reader_take(&r, &p, LOCAL_BYTES, "a zip member's local header"));
    if (memcmp(p, local_magic, 4) != 0) {
        r.pos -= LOCAL_BYTES;
        return ftl_reader_fail(&r, "no local header of member \"%s\" stands here", m->name);
    }
    const uint8_t *skipped;
    FTL_TRY(ftl_reader_take(&r, &skipped, get16(p + 26) + get16(p + 28), "a zip member's name"));
    return ftl_reader_take(&r, &m->data, m->packed_bytes, "the data of a zip member");
}

static ftl_status parse_central(ftl_reader *r, ftl_arena *arena, ftl_zip_member *m)
{
    const size_t start = r->pos;
    const uint8_t *p, *name, *skipped;
    FTL_TRY(ftl_reader_take(r, &p, CENTRAL_BYTES, "a zip directory entry"));
    if (memcmp(p, central_magic, 4) != 0) {
        r->pos = start;
        return ftl_reader_fail(r, "no zip directory entry stands here");
    }
    const size_t name_bytes = get16(p + 28);
    FTL_TRY(ftl_reader_take(r, &name, name_bytes, "a zip member's name"));
    FTL_TRY(
        ftl_reader_take(r, &skipped, get16(p + 30) + get16(p + 32), "a zip entry's extra data"));
    const uint32_t method = get16(p + 10), packed = get32(p + 20), bytes = get32(p + 24);
    const uint32_t local_offset = get32(p + 42);
    m->name = ftl_arena_strndup(arena, (const char *)name, name_bytes);
    if (!m->name) return ftl_fail(FTL_ENOMEM, "%s: no memory for its directory", r->name);
    r->pos = start; /* the sentences below point at the entry */
    if (packed == UINT32_MAX || bytes == UINT32_MAX || local_offset == UINT32_MAX)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: byte %zu: member \"%s\" needs zip64, which is not read; save it alone "
                        "as .npy",
                        r->name, start, m->name);
    if (get16(p + 8) & FLAG_ENCRYPTED)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %zu: member \"%s\" is encrypted", r->name,
                        start, m->name);
    if (method != METHOD_STORED && method != METHOD_DEFLATED)
        return ftl_fail(
            FTL_EUNSUPPORTED,
            "%s: byte %zu: member \"%s\" is packed by method %u; stored (0) and deflated "
            "(8) are read",
            r->name, start, m->name, method);
    if (method == METHOD_STORED && packed != bytes)
        return ftl_reader_fail(r, "stored member \"%s\" claims %u bytes in %u", m->name, bytes,
                               packed);
    if (bytes / FTL_INFLATE_RATIO_MAX > packed)
        return ftl_reader_fail(r,
                               "member \"%s\" claims %u bytes from %u, more than deflate can hold",
                               m->name, bytes, packed);
    m->packed_bytes = packed;
    m->bytes = bytes;
    m->crc = get32(p + 16);
    m->is_deflated = method == METHOD_DEFLATED;
    FTL_TRY(locate(r, m, local_offset));
    r->pos = start + CENTRAL_BYTES + name_bytes + get16(p + 30) + get16(p + 32);
    return FTL_OK;
}

ftl_status ftl_zip_parse(ftl_zip *out, ftl_arena *arena, const void *data, size_t size,
                         const char *name)
{
    *out = (ftl_zip){ .name = name };
    ftl_reader r;
    ftl_reader_init(&r, data, size, name);
    FTL_TRY(find_end(&r));
    const uint8_t *p = r.data + r.pos;
    const uint32_t n_here = get16(p + 8), n = get16(p + 10), dir_bytes = get32(p + 12);
    const uint32_t dir_offset = get32(p + 16);
    if (n == UINT16_MAX || dir_bytes == UINT32_MAX || dir_offset == UINT32_MAX)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %zu: a zip64 file, which is not read", name,
                        r.pos);
    if (get16(p + 4) != 0 || get16(p + 6) != 0 || n_here != n)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %zu: a zip file split over several disks", name,
                        r.pos);
    if (dir_offset > r.pos || dir_bytes > r.pos - dir_offset ||
        (size_t)n * CENTRAL_BYTES > dir_bytes)
        return ftl_reader_fail(&r,
                               "the directory (%u entries, %u bytes at %u) lies outside the file",
                               n, dir_bytes, dir_offset);
    r.pos = dir_offset;
    out->members = ftl_arena_array(arena, n ? n : 1, sizeof *out->members);
    if (!out->members) return ftl_fail(FTL_ENOMEM, "%s: no memory for its directory", name);
    uint64_t packed_sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        FTL_TRY(parse_central(&r, arena, &out->members[i]));
        /* Members that share data would multiply a bomb by their number. */
        packed_sum += out->members[i].packed_bytes;
        if (packed_sum > size) return ftl_reader_fail(&r, "the members overlap each other");
        out->n_members = i + 1;
    }
    return FTL_OK;
}

static uint32_t crc_of(const uint8_t *data, size_t n)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, n);
}

ftl_status ftl_zip_content(const ftl_zip *zip, const ftl_zip_member *m, ftl_arena *arena,
                           const uint8_t **out)
{
    *out = NULL;
    const uint8_t *content = m->data;
    if (m->is_deflated) {
        uint8_t *memory = ftl_arena_alloc(arena, m->bytes);
        if (!memory)
            return ftl_fail(FTL_ENOMEM, "%s: no memory for the %zu bytes of member \"%s\"",
                            zip->name, m->bytes, m->name);
        ftl_inflate *stream;
        FTL_TRY(ftl_inflate_open(&stream, FTL_INFLATE_RAW, m->data, m->packed_bytes, zip->name));
        ftl_status s = ftl_inflate_read(stream, memory, m->bytes);
        if (s == FTL_OK) s = ftl_inflate_end(stream);
        ftl_inflate_close(stream);
        if (s != FTL_OK) return ftl_fail_context(s, "member \"%s\"", m->name);
        content = memory;
    }
    if (crc_of(content, m->bytes) != m->crc)
        return ftl_fail(FTL_EFORMAT, "%s: member \"%s\" is damaged: its checksum is %08x, not %08x",
                        zip->name, m->name, crc_of(content, m->bytes), m->crc);
    *out = content;
    return FTL_OK;
}
