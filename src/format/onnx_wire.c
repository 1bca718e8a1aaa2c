/* SPDX-License-Identifier: Apache-2.0 */
#include "format/onnx_wire.h"

enum { FIELD_NUMBER_MAX = (1 << 29) - 1 };

ftl_status ftl_wire_varint(ftl_reader *reader, uint64_t *out)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        const uint8_t *byte;
        FTL_TRY(ftl_reader_take(reader, &byte, 1, "a protobuf number"));
        if (shift == 63 && *byte > 1) break;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (!(*byte & 0x80)) {
            *out = value;
            return FTL_OK;
        }
    }
    return ftl_reader_fail(reader,
                           "a protobuf number longer than 64 bits: this is no ONNX file, or "
                           "it is damaged");
}

static ftl_status take_payload(ftl_reader *message, ftl_wire_field *field, uint64_t bytes)
{
    const uint8_t *data;
    if (bytes > ftl_reader_left(message))
        return ftl_reader_fail(message,
                               "field %u claims %llu bytes but %zu are left: the file is cut short "
                               "or damaged",
                               field->number, (unsigned long long)bytes, ftl_reader_left(message));
    const size_t base = message->base + message->pos;
    FTL_TRY(ftl_reader_take(message, &data, (size_t)bytes, "a protobuf field"));
    ftl_reader_init(&field->payload, data, (size_t)bytes, message->name);
    field->payload.base = base;
    return FTL_OK;
}

ftl_status ftl_wire_next(ftl_reader *message, ftl_wire_field *out, bool *has)
{
    *out = (ftl_wire_field){ 0 };
    *has = ftl_reader_left(message) != 0;
    if (!*has) return FTL_OK;
    uint64_t key, bytes;
    FTL_TRY(ftl_wire_varint(message, &key));
    out->payload = *message; /* for sentences about a varint field */
    if (key >> 3 == 0 || key >> 3 > FIELD_NUMBER_MAX)
        return ftl_reader_fail(message,
                               "protobuf field number %llu: this is no ONNX file, or it is "
                               "damaged",
                               (unsigned long long)(key >> 3));
    out->number = (uint32_t)(key >> 3);
    out->type = (ftl_wire_type)(key & 7);
    switch (key & 7) {
    case FTL_WIRE_VARINT: return ftl_wire_varint(message, &out->value);
    case FTL_WIRE_FIXED64: return take_payload(message, out, 8);
    case FTL_WIRE_FIXED32: return take_payload(message, out, 4);
    case FTL_WIRE_BYTES:
        FTL_TRY(ftl_wire_varint(message, &bytes));
        return take_payload(message, out, bytes);
    default:
        return ftl_reader_fail(message,
                               "protobuf wire type %d: this is no ONNX file, or it is damaged",
                               (int)(key & 7));
    }
}

ftl_status ftl_wire_want(const ftl_wire_field *field, ftl_wire_type type, const char *what)
{
    if (field->type == type) return FTL_OK;
    return ftl_reader_fail(&field->payload, "%s (field %u) has protobuf wire type %d, not %d", what,
                           field->number, (int)field->type, (int)type);
}

size_t ftl_wire_count_varints(const ftl_reader *packed)
{
    size_t n = 0;
    for (size_t i = packed->pos; i < packed->size; i++) n += !(packed->data[i] & 0x80);
    return n;
}
