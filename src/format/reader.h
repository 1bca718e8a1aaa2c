/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - a cursor over the bytes of a file that may lie.
 * Idea: every parser of this folder takes (data, size, name) and moves one cursor; a step behind
 * the end fails with the file's name, the byte offset and what was being read.  All integers are
 * little-endian unless the name says be.  Borrows the bytes.  One thread at a time. */
#ifndef FTL_FORMAT_READER_H
#define FTL_FORMAT_READER_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_reader {
    const uint8_t *data;
    size_t size;      /* bytes                                   */
    size_t pos;       /* <= size                                 */
    size_t base;      /* offset of data[0] in the file, for text */
    const char *name; /* of the file, for sentences              */
} ftl_reader;

void ftl_reader_init(ftl_reader *reader, const void *data, size_t size, const char *name);
/* Bytes not yet read. */
size_t ftl_reader_left(const ftl_reader *reader);
/* Offset of the cursor in the file. */
uint64_t ftl_reader_offset(const ftl_reader *reader);

/* Steps over n bytes and points *out at them.  FTL_EFORMAT: fewer are left; `what` names
 * the field. */
ftl_status ftl_reader_take(ftl_reader *reader, const uint8_t **out, size_t n, const char *what);
ftl_status ftl_reader_u16(ftl_reader *reader, uint16_t *out, const char *what);
ftl_status ftl_reader_u32(ftl_reader *reader, uint32_t *out, const char *what);
ftl_status ftl_reader_u64(ftl_reader *reader, uint64_t *out, const char *what);

/* Reverses the bytes of each element in place: big-endian data becomes the host's. */
void ftl_reader_swap(void *data, size_t bytes, size_t element_bytes);

/* FTL_EFORMAT with "<file>: byte <offset of the cursor>: <sentence>". */
ftl_status ftl_reader_fail(const ftl_reader *reader, const char *format, ...) FTL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
