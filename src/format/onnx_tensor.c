/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto.  The elements stand in one of three places: raw_data (little-endian bytes, a view),
 * one typed field (float_data, int32_data, ..., decoded into the arena; packed f32 and f64 are
 * views as well), or another file.  Field numbers: onnx/onnx.proto, message TensorProto. */
#include "format/onnx_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/dtype.h"
#include "onnx.pb-c.h"

enum {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_SEGMENT = 3,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_STRING_DATA = 6,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14,
    LOCATION_EXTERNAL = 1,
    FIELDS_END = 15
};

/* What the first walk over the fields finds. */
typedef struct tensor_scan {
    int64_t dims[FTL_MAX_RANK];
    size_t n_dims;
    int64_t data_type;
    bool has_raw, is_external;
    ftl_reader raw;
    size_t n_typed[FIELDS_END];        /* elements in each typed field            */
    ftl_reader only_chunk[FIELDS_END]; /* its last chunk: all of it if n_chunks 1 */
    size_t n_chunks[FIELDS_END];
    const char *location;
    uint64_t offset, length;
    bool has_length;
} tensor_scan;

static bool is_fixed_field(uint32_t number)
{
    return number == TENSOR_FLOAT_DATA || number == TENSOR_DOUBLE_DATA;
}

static bool is_typed_field(uint32_t number)
{
    return is_fixed_field(number) || number == TENSOR_INT32_DATA || number == TENSOR_INT64_DATA ||
           number == TENSOR_UINT64_DATA;
}

static ftl_status add_dim(tensor_scan *scan, const ftl_reader *at, uint64_t value)
{
    if (scan->n_dims == FTL_MAX_RANK)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %llu: a tensor of more than %d dimensions",
                        at->name, (unsigned long long)ftl_reader_offset(at), FTL_MAX_RANK);
    if (value > INT64_MAX) return ftl_reader_fail(at, "tensor dimension %lld", (long long)value);
    scan->dims[scan->n_dims++] = (int64_t)value;
    return FTL_OK;
}

static ftl_status scan_dims(tensor_scan *scan, ftl_wire_field *field)
{
    if (field->type == FTL_WIRE_VARINT) return add_dim(scan, &field->payload, field->value);
    FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, "dims"));
    while (ftl_reader_left(&field->payload)) {
        uint64_t value;
        FTL_TRY(ftl_wire_varint(&field->payload, &value));
        FTL_TRY(add_dim(scan, &field->payload, value));
    }
    return FTL_OK;
}

/* Counts the elements of one occurrence of a typed field. */
static ftl_status scan_typed(tensor_scan *scan, const ftl_wire_field *field)
{
    const uint32_t number = field->number;
    const size_t element = number == TENSOR_FLOAT_DATA ? 4 : 8;
    const ftl_wire_type single = !is_fixed_field(number)       ? FTL_WIRE_VARINT
                                 : number == TENSOR_FLOAT_DATA ? FTL_WIRE_FIXED32
                                                               : FTL_WIRE_FIXED64;
    scan->n_chunks[number]++;
    scan->only_chunk[number] = field->payload;
    if (field->type == single) {
        scan->n_typed[number]++;
        return FTL_OK;
    }
    FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, "tensor data"));
    if (!is_fixed_field(number)) {
        scan->n_typed[number] += ftl_wire_count_varints(&field->payload);
        return FTL_OK;
    }
    if (field->payload.size % element != 0)
        return ftl_reader_fail(&field->payload,
                               "tensor data (field %u) of %zu bytes is no multiple "
                               "of %zu",
                               number, field->payload.size, element);
    scan->n_typed[number] += field->payload.size / element;
    return FTL_OK;
}

/* Decimal digits alone; strtoull would take signs and spaces. */
static bool parse_decimal(const char *text, uint64_t *out)
{
    if (!*text || strspn(text, "0123456789") != strlen(text)) return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

static ftl_status scan_external(ftl_onnx_context *c, tensor_scan *scan, const ftl_wire_field *field)
{
    FtlOnnx__StringStringEntryProto *entry;
    FTL_TRY(ftl_onnx_unpack(c, &ftl_onnx__string_string_entry_proto__descriptor, field,
                            "external_data", &entry));
    const char *key = entry->key ? entry->key : "", *value = entry->value ? entry->value : "";
    bool ok = true;
    if (strcmp(key, "location") == 0) scan->location = value;
    else if (strcmp(key, "offset") == 0) ok = parse_decimal(value, &scan->offset);
    else if (strcmp(key, "length") == 0)
        ok = scan->has_length = parse_decimal(value, &scan->length);
    if (!ok)
        return ftl_reader_fail(&field->payload, "external_data %s \"%s\" is no number", key, value);
    return FTL_OK;
}

static ftl_status scan_field(ftl_onnx_context *c, tensor_scan *scan, ftl_wire_field *field,
                             ftl_onnx_tensor *out)
{
    switch (field->number) {
    case TENSOR_DIMS: return scan_dims(scan, field);
    case TENSOR_DATA_TYPE:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_VARINT, "data_type"));
        scan->data_type = (int64_t)field->value;
        return FTL_OK;
    case TENSOR_SEGMENT:
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %llu: a tensor stored in segments", c->name,
                        (unsigned long long)ftl_reader_offset(&field->payload));
    case TENSOR_NAME: return ftl_onnx_text_field(c, field, "a tensor's name", &out->host.name);
    case TENSOR_RAW_DATA:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, "raw_data"));
        if (scan->has_raw) return ftl_reader_fail(&field->payload, "raw_data stands twice");
        scan->has_raw = true;
        scan->raw = field->payload;
        return FTL_OK;
    case TENSOR_EXTERNAL_DATA: return scan_external(c, scan, field);
    case TENSOR_DATA_LOCATION:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_VARINT, "data_location"));
        scan->is_external = field->value == LOCATION_EXTERNAL;
        return FTL_OK;
    default: return is_typed_field(field->number) ? scan_typed(scan, field) : FTL_OK;
    }
}

/* The typed field that a dtype's elements stand in, by the comments in onnx.proto. */
static uint32_t typed_field_of(ftl_dtype dtype)
{
    switch (dtype) {
    case FTL_DTYPE_F32: return TENSOR_FLOAT_DATA;
    case FTL_DTYPE_F64: return TENSOR_DOUBLE_DATA;
    case FTL_DTYPE_I64: return TENSOR_INT64_DATA;
    case FTL_DTYPE_U32:
    case FTL_DTYPE_U64: return TENSOR_UINT64_DATA;
    default: return TENSOR_INT32_DATA;
    }
}

/* True when the varint, read as the dtype's own kind, loses nothing in `element` bytes. */
static bool fits(ftl_dtype dtype, uint64_t value, size_t element)
{
    const int bits = (int)element * 8;
    if (dtype == FTL_DTYPE_BOOL) return value <= 1;
    if (bits == 64) return true;
    const enum ftl_dtype_kind kind = ftl_dtype_get_info(dtype)->kind;
    if (kind != FTL_KIND_SINT) return value >> bits == 0; /* f16 and bf16 stand here as bits */
    const int64_t v = (int64_t)value, limit = (int64_t)1 << (bits - 1);
    return v >= -limit && v < limit;
}

/* One occurrence of a varint field into out[at...]. */
static ftl_status decode_varints(ftl_wire_field *field, ftl_dtype dtype, uint8_t *out, size_t *at)
{
    const size_t element = ftl_dtype_bytes(dtype);
    bool is_single = field->type == FTL_WIRE_VARINT;
    while (is_single || ftl_reader_left(&field->payload)) {
        uint64_t value = field->value;
        if (!is_single) FTL_TRY(ftl_wire_varint(&field->payload, &value));
        if (!fits(dtype, value, element))
            return ftl_reader_fail(&field->payload, "element %zu is %lld, outside %s", *at,
                                   (long long)value, ftl_dtype_name(dtype));
        memcpy(out + *at * element, &value, element); /* little-endian: the low bytes */
        ++*at;
        if (is_single) break;
    }
    return FTL_OK;
}

/* The second walk: copies or decodes the typed field into fresh memory. */
static ftl_status decode_typed(ftl_onnx_context *c, ftl_reader message, uint32_t number,
                               ftl_onnx_tensor *out)
{
    uint8_t *data = ftl_onnx_array(c, out->host.bytes, 1);
    if (!data) return ftl_onnx_no_memory(c);
    size_t at = 0;
    const size_t element = ftl_dtype_bytes(out->host.desc.dtype);
    for (;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&message, &field, &has));
        if (!has) break;
        if (field.number != number) continue;
        if (is_fixed_field(number)) {
            memcpy(data + at * element, field.payload.data, field.payload.size);
            at += field.payload.size / element;
        } else {
            FTL_TRY(decode_varints(&field, out->host.desc.dtype, data, &at));
        }
    }
    out->host.data = data;
    return FTL_OK;
}

/* Stays in the model's folder: relative, no "..", no backslash. */
static bool is_safe_location(const char *path)
{
    if (!*path || *path == '/' || strchr(path, '\\')) return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        const size_t n = strcspn(part, "/");
        if (n == 2 && part[0] == '.' && part[1] == '.') return false;
    }
    return true;
}

static ftl_status place_external(ftl_onnx_context *c, const ftl_reader *message,
                                 const tensor_scan *scan, ftl_onnx_tensor *out)
{
    const char *location = scan->location ? scan->location : "";
    if (!is_safe_location(location))
        return ftl_fail(
            FTL_EFORMAT,
            "%s: byte %llu: tensor \"%s\" wants its data from \"%s\"; only a path inside "
            "the model's own folder is opened",
            c->name, (unsigned long long)ftl_reader_offset(message), out->host.name, location);
    if (scan->has_length && scan->length != out->host.bytes)
        return ftl_reader_fail(message,
                               "tensor \"%s\" needs %zu bytes but external_data gives %llu",
                               out->host.name, out->host.bytes, (unsigned long long)scan->length);
    out->is_external = true;
    out->location = location;
    out->offset = scan->offset;
    return FTL_OK;
}

/* Where the elements stand, checked against what the shape needs. */
static ftl_status place_data(ftl_onnx_context *c, ftl_reader message, const tensor_scan *scan,
                             ftl_onnx_tensor *out)
{
    ftl_host_tensor *t = &out->host;
    char text[FTL_DESC_TEXT];
    if (scan->is_external) return place_external(c, &message, scan, out);
    const uint32_t number = typed_field_of(t->desc.dtype);
    size_t n_typed = 0;
    for (uint32_t i = 0; i < FIELDS_END; i++) n_typed += scan->n_typed[i];
    if (scan->has_raw && (n_typed != 0 || scan->raw.size != t->bytes))
        return ftl_reader_fail(&scan->raw,
                               "tensor \"%s\" %s needs %zu bytes but has %zu in raw_data and %zu "
                               "elements beside",
                               t->name, ftl_desc_print(&t->desc, text, sizeof text), t->bytes,
                               scan->raw.size, n_typed);
    t->data = scan->has_raw ? scan->raw.data : (const uint8_t *)"";
    if (scan->has_raw) return FTL_OK;
    const size_t need = t->bytes / ftl_dtype_bytes(t->desc.dtype);
    if (scan->n_typed[number] != need || n_typed != need)
        return ftl_reader_fail(
            &message,
            "tensor \"%s\" %s needs %zu elements but has %zu in field %u and %zu "
            "in all",
            t->name, ftl_desc_print(&t->desc, text, sizeof text), need, scan->n_typed[number],
            number, n_typed);
    if (need == 0) return FTL_OK;
    if (is_fixed_field(number) && scan->n_chunks[number] == 1) {
        t->data = scan->only_chunk[number].data;
        return FTL_OK;
    }
    return decode_typed(c, message, number, out);
}

ftl_status ftl_onnx_parse_tensor(ftl_onnx_context *c, ftl_reader message, ftl_onnx_tensor *out)
{
    *out = (ftl_onnx_tensor){ .host.name = "", .location = "" };
    tensor_scan *scan = ftl_onnx_array(c, 1, sizeof *scan);
    if (!scan) return ftl_onnx_no_memory(c);
    ftl_reader cursor = message;
    for (;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&cursor, &field, &has));
        if (!has) break;
        FTL_TRY(scan_field(c, scan, &field, out));
    }
    ftl_tensor_desc *desc = &out->host.desc;
    if (scan->data_type >= 0 && scan->data_type <= INT32_MAX)
        desc->dtype = ftl_dtype_from_onnx((int32_t)scan->data_type);
    if (desc->dtype == FTL_DTYPE_NONE)
        return ftl_fail(
            FTL_EUNSUPPORTED,
            "%s: byte %llu: tensor \"%s\" has ONNX data type %lld, which fettle does not "
            "compute with",
            message.name, (unsigned long long)ftl_reader_offset(&message), out->host.name,
            (long long)scan->data_type);
    desc->rank = (int32_t)scan->n_dims;
    memcpy(desc->dim, scan->dims, sizeof desc->dim);
    if (ftl_desc_bytes(desc, &out->host.bytes) != FTL_OK)
        return ftl_fail_context(FTL_EFORMAT, "%s: byte %llu: tensor \"%s\"", message.name,
                                (unsigned long long)ftl_reader_offset(&message), out->host.name);
    return place_data(c, message, scan, out);
}
