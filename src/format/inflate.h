/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h - compressed bytes in memory, read as a stream of exact pieces (zlib).
 * Idea: a parser asks for the bytes it expects, so a decompression bomb costs nothing: memory is
 * what the caller allocated, never what the stream would give.  zlib's own memory goes through
 * ftl_alloc.  One thread at a time. */
#ifndef FTL_FORMAT_INFLATE_H
#define FTL_FORMAT_INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Deflate cannot shrink by more than this, so a claim of more than this times the compressed size
 * is a lie that is refused before anything is allocated.  Source: zlib.net/zlib_tech.html. */
enum { FTL_INFLATE_RATIO_MAX = 1032 };

typedef enum ftl_inflate_kind {
    FTL_INFLATE_GZIP, /* RFC 1952, checksum verified; several members follow each other */
    FTL_INFLATE_RAW   /* RFC 1951 alone, as inside zip                                  */
} ftl_inflate_kind;

typedef struct ftl_inflate ftl_inflate;

/* Borrows data and name until close.  FTL_ENOMEM. */
ftl_status ftl_inflate_open(ftl_inflate **out, ftl_inflate_kind kind, const void *data, size_t size,
                            const char *name);
/* Exactly n bytes into `out`.  FTL_EFORMAT: the stream is damaged or ends before. */
ftl_status ftl_inflate_read(ftl_inflate *stream, void *out, size_t n);
/* FTL_OK when nothing is left to read and the stream ended properly, else FTL_EFORMAT. */
ftl_status ftl_inflate_end(ftl_inflate *stream);
void ftl_inflate_close(ftl_inflate *stream);

#ifdef __cplusplus
}
#endif
#endif
