/* SPDX-License-Identifier: Apache-2.0 */
#include "format/inflate.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"

struct ftl_inflate {
    z_stream z;
    ftl_inflate_kind kind;
    const uint8_t *next; /* input not yet given to zlib, whose counters have 32 bits */
    size_t left;         /* bytes behind `next`                                      */
    size_t size;         /* of the whole input                                       */
    uint64_t n_out;      /* bytes given so far                                       */
    const char *name;
    bool is_open;
    bool is_ended;
};

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return ftl_calloc(items, size);
}

static void zlib_free(voidpf opaque, voidpf address)
{
    (void)opaque;
    ftl_free(address);
}

ftl_status ftl_inflate_open(ftl_inflate **out, ftl_inflate_kind kind, const void *data, size_t size,
                            const char *name)
{
    *out = NULL;
    ftl_inflate *s = ftl_calloc(1, sizeof *s);
    if (!s) return ftl_fail(FTL_ENOMEM, "%s: no memory to decompress it", name);
    *s = (ftl_inflate){ .kind = kind, .next = data, .left = size, .size = size, .name = name };
    s->z.zalloc = zlib_alloc;
    s->z.zfree = zlib_free;
    /* Window of 32 KiB; +16 selects the gzip wrapper, a negative size none at all. */
    const int code = inflateInit2(&s->z, kind == FTL_INFLATE_GZIP ? 15 + 16 : -15);
    if (code != Z_OK) {
        ftl_free(s);
        return code == Z_MEM_ERROR
                   ? ftl_fail(FTL_ENOMEM, "%s: no memory to decompress it", name)
                   : ftl_fail(FTL_EINTERNAL, "%s: zlib refused to start: %s", name, zError(code));
    }
    s->is_open = true;
    *out = s;
    return FTL_OK;
}

static void feed(ftl_inflate *s)
{
    if (s->z.avail_in != 0 || s->left == 0) return;
    const size_t n = s->left < UINT_MAX / 2 ? s->left : UINT_MAX / 2;
    s->z.next_in = (Bytef *)(uintptr_t)s->next; /* zlib only reads it */
    s->z.avail_in = (uInt)n;
    s->next += n;
    s->left -= n;
}

static size_t consumed(const ftl_inflate *s)
{
    return s->size - s->left - s->z.avail_in;
}

/* One step of zlib; handles the end of a gzip member. */
static ftl_status step(ftl_inflate *s)
{
    feed(s);
    const uInt in_before = s->z.avail_in, out_before = s->z.avail_out;
    const int code = inflate(&s->z, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
        feed(s);
        if (s->kind == FTL_INFLATE_GZIP && s->z.avail_in != 0 && inflateReset(&s->z) == Z_OK)
            return FTL_OK;
        s->is_ended = true;
        return FTL_OK;
    }
    if (code == Z_MEM_ERROR) return ftl_fail(FTL_ENOMEM, "%s: no memory to decompress it", s->name);
    if (code == Z_NEED_DICT)
        return ftl_fail(FTL_EFORMAT, "%s: byte %zu: compressed with a preset dictionary", s->name,
                        consumed(s));
    if (code != Z_OK && code != Z_BUF_ERROR)
        return ftl_fail(FTL_EFORMAT, "%s: byte %zu: damaged compressed data (%s)", s->name,
                        consumed(s), s->z.msg ? s->z.msg : zError(code));
    if (s->z.avail_in == in_before && s->z.avail_out == out_before && s->left == 0)
        return ftl_fail(FTL_EFORMAT, "%s: byte %zu: the compressed data ends in its middle",
                        s->name, consumed(s));
    return FTL_OK;
}

ftl_status ftl_inflate_read(ftl_inflate *s, void *out, size_t n)
{
    uint8_t *to = out;
    while (n > 0) {
        if (s->is_ended)
            return ftl_fail(FTL_EFORMAT,
                            "%s: the decompressed data ends after %llu bytes, %zu before what its "
                            "header claims",
                            s->name, (unsigned long long)s->n_out, n);
        const size_t piece = n < UINT_MAX / 2 ? n : UINT_MAX / 2;
        s->z.next_out = to;
        s->z.avail_out = (uInt)piece;
        FTL_TRY(step(s));
        const size_t got = piece - s->z.avail_out;
        to += got;
        n -= got;
        s->n_out += got;
    }
    return FTL_OK;
}

ftl_status ftl_inflate_end(ftl_inflate *s)
{
    while (!s->is_ended) {
        uint8_t extra;
        s->z.next_out = &extra;
        s->z.avail_out = 1;
        FTL_TRY(step(s));
        if (s->z.avail_out == 0)
            return ftl_fail(FTL_EFORMAT,
                            "%s: more data than its header claims follows after %llu bytes",
                            s->name, (unsigned long long)s->n_out);
    }
    return FTL_OK;
}

void ftl_inflate_close(ftl_inflate *s)
{
    if (!s) return;
    if (s->is_open) inflateEnd(&s->z);
    ftl_free(s);
}
