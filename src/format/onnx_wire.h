/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_wire.h - the fields of one protobuf message, in place.
 * Idea: a message is a row of (key, payload); the walker hands out each payload as a view into the
 * file, so that gigabytes of weights are never copied.  Source: protobuf.dev/programming-guides/
 * encoding.  One thread at a time. */
#ifndef FTL_FORMAT_ONNX_WIRE_H
#define FTL_FORMAT_ONNX_WIRE_H

#include <stdbool.h>
#include "format/reader.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_wire_type {
    FTL_WIRE_VARINT = 0,
    FTL_WIRE_FIXED64 = 1,
    FTL_WIRE_BYTES = 2, /* texts, messages, packed numbers */
    FTL_WIRE_FIXED32 = 5
} ftl_wire_type;

typedef struct ftl_wire_field {
    uint32_t number; /* >= 1                                        */
    ftl_wire_type type;
    uint64_t value;     /* of FTL_WIRE_VARINT                          */
    ftl_reader payload; /* of the others: a cursor over its bytes      */
} ftl_wire_field;

/* The next field; *has is false at the end of the message.  FTL_EFORMAT. */
ftl_status ftl_wire_next(ftl_reader *message, ftl_wire_field *out, bool *has);
/* One base-128 number of at most 10 bytes.  FTL_EFORMAT. */
ftl_status ftl_wire_varint(ftl_reader *reader, uint64_t *out);
/* Fails unless the field has this type; `what` names it. */
ftl_status ftl_wire_want(const ftl_wire_field *field, ftl_wire_type type, const char *what);
/* Number of varints in a packed payload, by its bytes without the continuation bit. */
size_t ftl_wire_count_varints(const ftl_reader *packed);

#ifdef __cplusplus
}
#endif
#endif
