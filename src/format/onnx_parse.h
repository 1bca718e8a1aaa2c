/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_parse.h - shared by onnx_file.c, onnx_graph.c and onnx_tensor.c alone: memory with a limit,
 * protobuf-c on top of it, and the three walkers. */
#ifndef FTL_FORMAT_ONNX_PARSE_H
#define FTL_FORMAT_ONNX_PARSE_H

#include "base/arena.h"
#include "format/onnx_file.h"
#include "format/onnx_wire.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;

typedef struct ftl_onnx_context {
    ftl_arena arena;
    size_t limit_bytes; /* of the arena: a hostile file may not ask for more */
    bool is_over_limit; /* why the last allocation failed                    */
    uint64_t n_failed;  /* allocations so far that gave NULL                 */
    const char *name;   /* of the file                                       */
} ftl_onnx_context;

/* Zeroed arena memory for count items, or NULL: no memory, or above the limit. */
void *ftl_onnx_array(ftl_onnx_context *context, size_t count, size_t bytes);
/* Copies n bytes and puts a NUL behind them.  NULL like ftl_onnx_array. */
char *ftl_onnx_text(ftl_onnx_context *context, const void *text, size_t n);
/* The sentence for a NULL of the two above: FTL_ENOMEM, or FTL_EFORMAT above the limit. */
ftl_status ftl_onnx_no_memory(const ftl_onnx_context *context);
/* Unpacks a message by protobuf-c into the arena; `what` stands in sentences. */
ftl_status ftl_onnx_unpack(ftl_onnx_context *context, const struct ProtobufCMessageDescriptor *type,
                           const ftl_wire_field *field, const char *what, void *out);
/* A text field, copied. */
ftl_status ftl_onnx_text_field(ftl_onnx_context *context, const ftl_wire_field *field,
                               const char *what, const char **out);

ftl_status ftl_onnx_parse_tensor(ftl_onnx_context *context, ftl_reader message,
                                 ftl_onnx_tensor *out);
/* depth: how many graphs stand around this one. */
ftl_status ftl_onnx_parse_graph(ftl_onnx_context *context, ftl_reader message, int depth,
                                ftl_onnx_graph *out);

#endif
