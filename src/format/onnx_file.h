/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_file.h - what an ONNX file says, as plain structs; nothing is interpreted yet.
 * Idea: weights stay views into the mapped file, external weights are mapped when asked for, and
 * all the rest lives in one arena whose size is limited by the file's.
 * Checked here: structure, IR version, opset imports, types, shapes, sizes, and that no value is
 * defined twice.  Undefined names and the order of nodes are the importer's to find.
 * A file is used by one thread at a time.  docs/adr says why protobuf-c does only part of it. */
#ifndef FTL_FORMAT_ONNX_FILE_H
#define FTL_FORMAT_ONNX_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "format/host_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Texts are NUL-terminated and never NULL ("" where absent); arrays of 0 items may be NULL. */

typedef struct ftl_onnx_tensor {
    ftl_host_tensor host; /* data is NULL while is_external and not loaded */
    bool is_external;
    const char *location; /* relative path, checked to stay in the model's folder */
    uint64_t offset;      /* bytes into that file                                 */
} ftl_onnx_tensor;

/* Numbers as AttributeProto.AttributeType has them. */
typedef enum ftl_onnx_attr_type {
    FTL_ONNX_ATTR_FLOAT = 1,
    FTL_ONNX_ATTR_INT = 2,
    FTL_ONNX_ATTR_STRING = 3,
    FTL_ONNX_ATTR_TENSOR = 4,
    FTL_ONNX_ATTR_GRAPH = 5,
    FTL_ONNX_ATTR_FLOATS = 6,
    FTL_ONNX_ATTR_INTS = 7,
    FTL_ONNX_ATTR_STRINGS = 8,
    FTL_ONNX_ATTR_OTHER = 0 /* tensors, graphs, sparse, types: `type_number` says which */
} ftl_onnx_attr_type;

struct ftl_onnx_graph;

typedef struct ftl_onnx_attr {
    const char *name;
    ftl_onnx_attr_type type;
    int32_t type_number;
    float f;
    int64_t i;
    const char *s;
    ftl_onnx_tensor *t;
    struct ftl_onnx_graph *g;
    size_t n; /* of floats, ints or strings */
    const float *floats;
    const int64_t *ints;
    const char *const *strings;
} ftl_onnx_attr;

typedef struct ftl_onnx_node {
    const char *name, *op_type, *domain; /* domain "" also where the file says "ai.onnx" */
    size_t n_inputs, n_outputs, n_attrs;
    const char *const *inputs; /* "" is an optional input left out */
    const char *const *outputs;
    const ftl_onnx_attr *attrs;
    uint64_t file_offset; /* for sentences */
} ftl_onnx_node;

typedef struct ftl_onnx_dim {
    int64_t value;     /* -1: not fixed                  */
    const char *param; /* the name of a dim not fixed, or "" */
} ftl_onnx_dim;

typedef struct ftl_onnx_value {
    const char *name;
    bool is_tensor;     /* false: a sequence, map, ... or no type at all */
    int32_t onnx_dtype; /* TensorProto.DataType, 0: unknown              */
    ftl_dtype dtype;    /* FTL_DTYPE_NONE: fettle has none               */
    bool has_shape;
    size_t rank;
    const ftl_onnx_dim *dims;
} ftl_onnx_value;

typedef struct ftl_onnx_graph {
    const char *name;
    size_t n_nodes, n_initializers, n_inputs, n_outputs, n_values;
    ftl_onnx_node *nodes;
    ftl_onnx_tensor *initializers;
    ftl_onnx_value *inputs, *outputs; /* before IR 4 the initializers are among the inputs */
    ftl_onnx_value *values;           /* value_info: types of inner values                 */
} ftl_onnx_graph;

typedef struct ftl_onnx_pair {
    const char *key, *value;
} ftl_onnx_pair;

typedef struct ftl_onnx_opset {
    const char *domain; /* "" is the standard one */
    int64_t version;
} ftl_onnx_opset;

typedef struct ftl_onnx_model {
    int64_t ir_version;
    const char *producer; /* "pytorch 2.4.0" */
    size_t n_opsets, n_metadata, n_functions;
    ftl_onnx_opset *opsets;
    ftl_onnx_pair *metadata; /* metadata_props */
    ftl_onnx_graph graph;
} ftl_onnx_model;

typedef struct ftl_onnx_file ftl_onnx_file;

/* Maps and reads.  FTL_ENOTFOUND, FTL_EFORMAT, FTL_EUNSUPPORTED, FTL_ENOMEM. */
ftl_status ftl_onnx_file_open(ftl_onnx_file **out, const char *path);
/* From memory; borrows data and name until close.  External weights cannot be loaded. */
ftl_status ftl_onnx_file_parse(ftl_onnx_file **out, const void *data, size_t size,
                               const char *name);
/* Accepts NULL. */
void ftl_onnx_file_close(ftl_onnx_file *file);

/* Borrowed until close. */
const ftl_onnx_model *ftl_onnx_file_model(const ftl_onnx_file *file);
/* The version of the standard domain, 0 if it is not imported. */
int64_t ftl_onnx_file_opset(const ftl_onnx_file *file);
/* A value of metadata_props, or NULL. */
const char *ftl_onnx_file_metadata(const ftl_onnx_file *file, const char *key);
/* Makes tensor->host.data valid: maps the external file on first use.  Nothing to do otherwise.
 * FTL_ENOTFOUND: the external file is absent.  FTL_EFORMAT: it is too short. */
ftl_status ftl_onnx_file_load(ftl_onnx_file *file, ftl_onnx_tensor *tensor);
/* The same for every initializer and every tensor among the attributes of nodes. */
ftl_status ftl_onnx_file_load_all(ftl_onnx_file *file);
/* As it was opened; borrowed until close. */
const char *ftl_onnx_file_name(const ftl_onnx_file *file);
/* Bytes of the files that are mapped: the model's own (not when parsed from memory) and those of
 * external weights loaded so far. */
uint64_t ftl_onnx_file_mapped_bytes(const ftl_onnx_file *file);
/* True when `data` lies in one of them. */
bool ftl_onnx_file_is_mapped(const ftl_onnx_file *file, const void *data);

#ifdef __cplusplus
}
#endif
#endif
