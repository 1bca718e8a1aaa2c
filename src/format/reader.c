/* SPDX-License-Identifier: Apache-2.0 */
#include "format/reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void ftl_reader_init(ftl_reader *reader, const void *data, size_t size, const char *name)
{
    *reader = (ftl_reader){ .data = data, .size = size, .name = name };
}

size_t ftl_reader_left(const ftl_reader *reader)
{
    return reader->size - reader->pos;
}

uint64_t ftl_reader_offset(const ftl_reader *reader)
{
    return (uint64_t)reader->base + reader->pos;
}

ftl_status ftl_reader_take(ftl_reader *reader, const uint8_t **out, size_t n, const char *what)
{
    const size_t left = ftl_reader_left(reader);
    if (n > left)
        return ftl_reader_fail(reader, "%s needs %zu bytes but %zu are left; the file is cut short",
                               what, n, left);
    *out = n ? reader->data + reader->pos : (const uint8_t *)"";
    reader->pos += n;
    return FTL_OK;
}

/* Little-endian by bytes, so that neither alignment nor the host's order matters. */
static ftl_status take_number(ftl_reader *reader, uint64_t *out, size_t n, const char *what)
{
    const uint8_t *p = NULL;
    FTL_TRY(ftl_reader_take(reader, &p, n, what));
    uint64_t value = 0;
    for (size_t i = n; i > 0; i--) value = value << 8 | p[i - 1];
    *out = value;
    return FTL_OK;
}

ftl_status ftl_reader_u16(ftl_reader *reader, uint16_t *out, const char *what)
{
    uint64_t value;
    FTL_TRY(take_number(reader, &value, 2, what));
    *out = (uint16_t)value;
    return FTL_OK;
}

ftl_status ftl_reader_u32(ftl_reader *reader, uint32_t *out, const char *what)
{
    uint64_t value;
    FTL_TRY(take_number(reader, &value, 4, what));
    *out = (uint32_t)value;
    return FTL_OK;
}

ftl_status ftl_reader_u64(ftl_reader *reader, uint64_t *out, const char *what)
{
    return take_number(reader, out, 8, what);
}

void ftl_reader_swap(void *data, size_t bytes, size_t element_bytes)
{
    uint8_t *p = data;
    for (size_t i = 0; i < bytes; i += element_bytes)
        for (size_t a = i, b = i + element_bytes - 1; a < b; a++, b--) {
            const uint8_t kept = p[a];
            p[a] = p[b];
            p[b] = kept;
        }
}

ftl_status ftl_reader_fail(const ftl_reader *reader, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return ftl_fail(FTL_EFORMAT, "%s: byte %" PRIu64 ": %s", reader->name,
                    ftl_reader_offset(reader), sentence);
}
