/* SPDX-License-Identifier: Apache-2.0 */
/* A .npy file:
 *
 *   93 'N' 'U' 'M' 'P' 'Y'  major minor  header_bytes (u16 in version 1, u32 in 2 and 3)
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  spaces \n
 *   elements
 *
 * The header is a Python literal; only the three keys that numpy writes are accepted. */
#include "format/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "core/dtype.h"
#include "format/reader.h"

enum { HEADER_MAX = 65535, DATA_ALIGN = 64, PREFIX_BYTES = 10 };
static const uint8_t magic[6] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

typedef struct npy_header {
    ftl_tensor_desc desc;
    bool is_big_endian;
    bool is_fortran;
    int seen; /* HAS_* */
} npy_header;

/* ---- the Python literal ---- */

static void skip_spaces(ftl_reader *r)
{
    while (r->pos < r->size && (r->data[r->pos] == ' ' || r->data[r->pos] == '\n')) r->pos++;
}

/* Steps over `c` if it comes next. */
static bool accept(ftl_reader *r, char c)
{
    skip_spaces(r);
    if (r->pos >= r->size || r->data[r->pos] != (uint8_t)c) return false;
    r->pos++;
    return true;
}

static bool accept_word(ftl_reader *r, const char *word)
{
    skip_spaces(r);
    const size_t n = strlen(word);
    if (ftl_reader_left(r) < n || memcmp(r->data + r->pos, word, n) != 0) return false;
    r->pos += n;
    return true;
}

static ftl_status expect(ftl_reader *r, char c)
{
    if (accept(r, c)) return FTL_OK;
    return ftl_reader_fail(r, "'%c' expected in the npy header", c);
}

/* A quoted text without escapes, cut into `text`. */
static ftl_status parse_text(ftl_reader *r, char *text, size_t size)
{
    skip_spaces(r);
    const char quote = accept(r, '\'') ? '\'' : '"';
    if (quote == '"') FTL_TRY(expect(r, '"'));
    size_t n = 0;
    while (r->pos < r->size && r->data[r->pos] != (uint8_t)quote) {
        const uint8_t c = r->data[r->pos];
        if (c < 0x20 || c > 0x7e || c == '\\' || n + 1 >= size)
            return ftl_reader_fail(r, "an over-long or escaped text in the npy header");
        text[n++] = (char)c;
        r->pos++;
    }
    text[n] = 0;
    return expect(r, quote);
}

static ftl_status parse_descr(ftl_reader *r, npy_header *h)
{
    char text[16], native[16];
    skip_spaces(r);
    const size_t at = r->pos;
    if (at < r->size && r->data[at] == '[')
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: byte %" PRIu64 ": a structured dtype; save one plain "
                        "array a file",
                        r->name, ftl_reader_offset(r));
    FTL_TRY(parse_text(r, text, sizeof text));
    snprintf(native, sizeof native, "%s", text);
    h->is_big_endian = text[0] == '>';
    /* '=' never reaches a file; one-byte types may be spelled with any order. */
    if (text[0] == '>' || text[0] == '<' || text[0] == '|')
        native[0] = text[1] && text[2] == '1' && !text[3] ? '|' : '<';
    h->desc.dtype = ftl_dtype_from_npy(native);
    if (h->desc.dtype != FTL_DTYPE_NONE) return FTL_OK;
    r->pos = at;
    return ftl_fail(FTL_EUNSUPPORTED,
                    "%s: byte %" PRIu64
                    ": elements of type '%s'; f2 f4 f8, i1 to i8, u1 to u8 and b1 "
                    "are read: convert it with .astype('f4')",
                    r->name, ftl_reader_offset(r), text);
}

static ftl_status parse_dim(ftl_reader *r, int64_t *out)
{
    skip_spaces(r);
    const size_t start = r->pos;
    int64_t value = 0;
    while (r->pos < r->size && r->data[r->pos] >= '0' && r->data[r->pos] <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, r->data[r->pos] - '0', &value))
            return ftl_reader_fail(r, "a dimension beyond 2^63");
        r->pos++;
    }
    if (r->pos == start) return ftl_reader_fail(r, "a dimension expected in the npy shape");
    if (r->pos < r->size && r->data[r->pos] == 'L') r->pos++; /* Python 2 wrote 3L */
    *out = value;
    return FTL_OK;
}

static ftl_status parse_shape(ftl_reader *r, npy_header *h)
{
    FTL_TRY(expect(r, '('));
    while (!accept(r, ')')) {
        if (h->desc.rank == FTL_MAX_RANK)
            return ftl_reader_fail(r, "more than %d dimensions", FTL_MAX_RANK);
        FTL_TRY(parse_dim(r, &h->desc.dim[h->desc.rank]));
        h->desc.rank++;
        if (accept(r, ',')) continue;
        FTL_TRY(expect(r, ')'));
        break;
    }
    return FTL_OK;
}

static ftl_status parse_entry(ftl_reader *r, npy_header *h)
{
    char key[16];
    const size_t at = r->pos;
    FTL_TRY(parse_text(r, key, sizeof key));
    FTL_TRY(expect(r, ':'));
    const int bit = strcmp(key, "descr") == 0           ? HAS_DESCR
                    : strcmp(key, "fortran_order") == 0 ? HAS_ORDER
                    : strcmp(key, "shape") == 0         ? HAS_SHAPE
                                                        : 0;
    if (bit == 0 || (h->seen & bit)) {
        r->pos = at;
        return ftl_reader_fail(r, "key '%s' is unknown or stands twice in the npy header", key);
    }
    h->seen |= bit;
    if (bit == HAS_DESCR) return parse_descr(r, h);
    if (bit == HAS_SHAPE) return parse_shape(r, h);
    h->is_fortran = accept_word(r, "True");
    if (!h->is_fortran && !accept_word(r, "False"))
        return ftl_reader_fail(r, "True or False expected for fortran_order");
    return FTL_OK;
}

static ftl_status parse_literal(ftl_reader *r, npy_header *h)
{
    FTL_TRY(expect(r, '{'));
    while (!accept(r, '}')) {
        FTL_TRY(parse_entry(r, h));
        if (accept(r, ',')) continue;
        FTL_TRY(expect(r, '}'));
        break;
    }
    skip_spaces(r);
    if (r->pos != r->size) return ftl_reader_fail(r, "text behind the npy header's '}'");
    if (h->seen != HAS_ALL)
        return ftl_reader_fail(r, "the npy header lacks %s",
                               !(h->seen & HAS_DESCR)   ? "descr"
                               : !(h->seen & HAS_ORDER) ? "fortran_order"
                                                        : "shape");
    return FTL_OK;
}

static ftl_status parse_header(ftl_reader *r, npy_header *h)
{
    const uint8_t *head, *literal;
    FTL_TRY(ftl_reader_take(r, &head, 8, "the npy magic"));
    if (memcmp(head, magic, sizeof magic) != 0) {
        r->pos = 0;
        return ftl_reader_fail(r, "no npy magic (93 'NUMPY')");
    }
    uint32_t header_bytes;
    if (head[6] == 1) {
        uint16_t short_bytes;
        FTL_TRY(ftl_reader_u16(r, &short_bytes, "the npy header's length"));
        header_bytes = short_bytes;
    } else if (head[6] == 2 || head[6] == 3) {
        FTL_TRY(ftl_reader_u32(r, &header_bytes, "the npy header's length"));
    } else {
        r->pos = 6;
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte 6: npy version %d; 1, 2 and 3 are read",
                        r->name, head[6]);
    }
    if (header_bytes > HEADER_MAX)
        return ftl_reader_fail(r, "a header of %u bytes; at most %d are accepted", header_bytes,
                               HEADER_MAX);
    const size_t at = r->pos;
    FTL_TRY(ftl_reader_take(r, &literal, header_bytes, "the npy header"));
    ftl_reader inner;
    ftl_reader_init(&inner, literal, header_bytes, r->name);
    inner.base = at;
    return parse_literal(&inner, h);
}

/* ---- the elements ---- */

/* Fortran order: the first index runs fastest.  Walks the output row-major with an odometer. */
static void transpose(uint8_t *out, const uint8_t *in, const ftl_tensor_desc *d)
{
    const size_t element = ftl_dtype_bytes(d->dtype);
    const int64_t count = ftl_desc_count_checked(d);
    int64_t index[FTL_MAX_RANK] = { 0 }, stride[FTL_MAX_RANK], run = 1;
    for (int32_t i = 0; i < d->rank; i++) {
        stride[i] = run;
        run *= d->dim[i];
    }
    int64_t from = 0;
    for (int64_t to = 0; to < count; to++) {
        memcpy(out + (size_t)to * element, in + (size_t)from * element, element);
        for (int32_t i = d->rank - 1; i >= 0; i--) {
            from += stride[i];
            if (++index[i] < d->dim[i]) break;
            from -= stride[i] * d->dim[i];
            index[i] = 0;
        }
    }
}

ftl_status ftl_npy_parse(ftl_host_tensor *out, const void *data, size_t size, const char *name)
{
    *out = (ftl_host_tensor){ 0 };
    ftl_reader r;
    ftl_reader_init(&r, data, size, name);
    npy_header h = { 0 };
    FTL_TRY(parse_header(&r, &h));
    size_t bytes;
    if (ftl_desc_bytes(&h.desc, &bytes) != FTL_OK) return ftl_fail_context(FTL_EFORMAT, "%s", name);
    const uint8_t *elements;
    FTL_TRY(ftl_reader_take(&r, &elements, bytes, "the array"));
    if (ftl_reader_left(&r) != 0)
        return ftl_reader_fail(&r, "%zu bytes behind the array", ftl_reader_left(&r));
    const size_t element = ftl_dtype_bytes(h.desc.dtype);
    const bool is_swapped = h.is_big_endian && element > 1;
    if (!is_swapped && !h.is_fortran)
        return ftl_host_tensor_view(out, "data", &h.desc, elements, bytes);
    void *memory;
    FTL_TRY(ftl_host_tensor_create(out, "data", &h.desc, &memory));
    if (h.is_fortran) transpose(memory, elements, &h.desc);
    else if (bytes) memcpy(memory, elements, bytes);
    if (is_swapped) ftl_reader_swap(memory, bytes, element);
    return FTL_OK;
}

ftl_status ftl_npy_read(ftl_host_tensor *out, const char *path)
{
    *out = (ftl_host_tensor){ 0 };
    ftl_file file;
    FTL_TRY(ftl_file_map(&file, path));
    ftl_host_tensor parsed;
    ftl_status s = ftl_npy_parse(&parsed, file.data, file.size, path);
    if (s == FTL_OK && parsed.is_owned) {
        *out = parsed;
    } else if (s == FTL_OK) {
        s = ftl_host_tensor_copy(out, &parsed);
    }
    ftl_file_unmap(&file);
    return s;
}

/* ---- writing ---- */

/* The literal, padded with spaces so that the elements start at a multiple of DATA_ALIGN.  Returns
 * its length. */
static size_t print_header(char *out, size_t size, const ftl_tensor_desc *desc)
{
    int n = snprintf(out, size, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     ftl_dtype_get_info(desc->dtype)->npy);
    for (int32_t i = 0; i < desc->rank; i++)
        n += snprintf(out + n, size - (size_t)n, "%" PRId64 "%s", desc->dim[i],
                      desc->rank == 1 || i + 1 < desc->rank ? "," : "");
    n += snprintf(out + n, size - (size_t)n, "), }");
    const size_t end = ((size_t)n + 1 + PREFIX_BYTES + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    memset(out + n, ' ', end - PREFIX_BYTES - (size_t)n);
    out[end - PREFIX_BYTES - 1] = '\n';
    return end - PREFIX_BYTES;
}

ftl_status ftl_npy_write(const char *path, const ftl_host_tensor *tensor)
{
    const ftl_dtype dtype = tensor->desc.dtype;
    if (!*ftl_dtype_get_info(dtype)->npy)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: npy has no %s; convert to f32 first or write safetensors", path,
                        ftl_dtype_name(dtype));
    size_t bytes;
    FTL_TRY(ftl_desc_bytes(&tensor->desc, &bytes));
    if (bytes != tensor->bytes)
        return ftl_fail(FTL_EINVAL, "%s: tensor \"%s\" has %zu bytes, not %zu", path, tensor->name,
                        tensor->bytes, bytes);
    char header[384]; /* 8 dims of 19 digits and the fixed text take less than 260 */
    const size_t header_bytes = print_header(header, sizeof header, &tensor->desc);
    uint8_t prefix[PREFIX_BYTES];
    memcpy(prefix, magic, sizeof magic);
    prefix[6] = 1;
    prefix[7] = 0;
    prefix[8] = (uint8_t)(header_bytes & 255);
    prefix[9] = (uint8_t)(header_bytes >> 8);
    ftl_file_writer *writer;
    FTL_TRY(ftl_file_writer_open(&writer, path));
    ftl_status s = ftl_file_writer_write(writer, prefix, sizeof prefix);
    if (s == FTL_OK) s = ftl_file_writer_write(writer, header, header_bytes);
    if (s == FTL_OK) s = ftl_file_writer_write(writer, tensor->data, tensor->bytes);
    if (s == FTL_OK) return ftl_file_writer_commit(writer);
    ftl_file_writer_abort(writer);
    return s;
}
