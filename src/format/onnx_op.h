/* SPDX-License-Identifier: Apache-2.0 */
/* onnx_op.h - what an operator's importer is given, for onnx_import.c and onnx_ops_*.c alone.
 * An importer reads attributes and inputs and emits nodes.  Failures are sticky as everywhere in
 * the builder: a refusal poisons the graph, what follows does nothing, and the driver puts file,
 * node and operator before the sentence. */
#ifndef FTL_FORMAT_ONNX_OP_H
#define FTL_FORMAT_ONNX_OP_H

#include "core/emit.h"
#include "core/graph.h"
#include "format/onnx_file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_onnx_value_state {
    int32_t tensor;                     /* -1: an initializer that nothing has read yet      */
    const ftl_onnx_tensor *initializer; /* NULL: an input or a node's result                 */
    bool is_static;                     /* neither inputs nor dims decide it                 */
} ftl_onnx_value_state;

typedef struct ftl_onnx_import {
    const ftl_onnx_file *file;
    const ftl_onnx_model *model;
    const char *file_name;
    int64_t opset;
    const ftl_dim_value *dims;
    int32_t n_dims;
    ftl_graph *graph;
    ftl_arena arena;
    struct ftl_map *names; /* of values, to positions in `values` */
    ftl_onnx_value_state *values;
    int64_t n_values;
    int32_t *folded; /* tensor -> the constant it is known to be, or -1; owner: this struct */
    int32_t n_folded, folded_room;
    size_t fold_left; /* bytes that may still be worked out here */
} ftl_onnx_import;

typedef struct ftl_onnx_call ftl_onnx_call;
typedef struct ftl_onnx_op_row {
    const char *type;
    int64_t since;
    size_t in_min, in_max;
    void (*emit)(ftl_onnx_call *call);
    int32_t arg;
} ftl_onnx_op_row;

struct ftl_onnx_call {
    ftl_onnx_import *import;
    ftl_graph *g;
    const ftl_onnx_node *node;
    const ftl_onnx_op_row *row;
    int64_t opset;
    int32_t *out; /* node->n_outputs tensors; at least one */
};

/* Records a failure; returns -1. */
int32_t ftl_onnx_refuse(ftl_onnx_call *call, ftl_status status, const char *format, ...)
    FTL_PRINTF(3, 4);
bool ftl_onnx_failed(const ftl_onnx_call *call);

/* Inputs. */
bool ftl_onnx_has(const ftl_onnx_call *call, size_t i);
int32_t ftl_onnx_in(ftl_onnx_call *call, size_t i); /* tensor, -1: absent */
ftl_tensor_desc ftl_onnx_desc(ftl_onnx_call *call, size_t i);
bool ftl_onnx_is_static(const ftl_onnx_call *call, size_t i);
bool ftl_onnx_wants(const ftl_onnx_call *call, size_t output);

/* Data of an input that is known now, aligned; false where it is computed at each run. */
typedef struct ftl_onnx_known {
    ftl_tensor_desc desc;
    int64_t count;
    const void *data;
} ftl_onnx_known;
bool ftl_onnx_peek_known(ftl_onnx_call *call, size_t i, ftl_onnx_known *out);
/* The same, refused where it is not known, or has more than `max` elements, or is no list. */
bool ftl_onnx_need_known(ftl_onnx_call *call, size_t i, int64_t max, ftl_onnx_known *out);
/* Whole numbers of a list or scalar; returns how many, 0 after a refusal. */
int32_t ftl_onnx_need_ints(ftl_onnx_call *call, size_t i, int64_t *out, int32_t max);
/* One number; `absent` where the input is left out. */
double ftl_onnx_need_number(ftl_onnx_call *call, size_t i, double absent);
int64_t ftl_onnx_need_int(ftl_onnx_call *call, size_t i, int64_t absent);

/* Attributes.  One of another type is refused. */
const ftl_onnx_attr *ftl_onnx_find_attr(const ftl_onnx_call *call, const char *name);
int64_t ftl_onnx_attr_int(ftl_onnx_call *call, const char *name, int64_t absent);
/* Refused outside [min, max]. */
int32_t ftl_onnx_attr_i32(ftl_onnx_call *call, const char *name, int32_t absent, int32_t min,
                          int32_t max);
float ftl_onnx_attr_float(ftl_onnx_call *call, const char *name, float absent);
const char *ftl_onnx_attr_text(ftl_onnx_call *call, const char *name, const char *absent);
bool ftl_onnx_attr_is(ftl_onnx_call *call, const char *name, const char *absent, const char *text);
/* Number of items, -1: absent or refused. */
int32_t ftl_onnx_attr_ints(ftl_onnx_call *call, const char *name, int64_t *out, int32_t max);
int32_t ftl_onnx_attr_floats(ftl_onnx_call *call, const char *name, float *out, int32_t max);

/* Axes: negative ones count from the end.  0 after a refusal. */
int32_t ftl_onnx_axis(ftl_onnx_call *call, int64_t axis, int32_t rank);
uint32_t ftl_onnx_axis_mask(ftl_onnx_call *call, const int64_t *axes, int32_t n, int32_t rank);
/* Product of dims; refused on overflow. */
int64_t ftl_onnx_product(ftl_onnx_call *call, const ftl_tensor_desc *desc, int32_t from,
                         int32_t to);
/* floor(a / b) for b > 0. */
int64_t ftl_onnx_floor_div(int64_t a, int64_t b);

/* A tensor of the file: weight or constant by what it is. `name` must be unique. */
int32_t ftl_onnx_stored(ftl_onnx_call *call, const char *name, const ftl_host_tensor *host);
/* A constant of numbers that the importer computed, in a dtype. */
int32_t ftl_onnx_const_f64(ftl_onnx_call *call, ftl_dtype dtype, int32_t rank, const int64_t *dim,
                           const double *values);
/* Zeroed scratch memory until the end of the import; NULL after a refusal (`count` is charged). */
void *ftl_onnx_scratch(ftl_onnx_call *call, int64_t count, size_t bytes);

/* Shared by several operators. */
int32_t ftl_onnx_emit_act(ftl_onnx_call *call, int32_t x, int32_t kind, float alpha, float beta);
/* Indices below 0 count from the end of an axis of n. */
int32_t ftl_onnx_wrap_index(ftl_onnx_call *call, int32_t indices, int64_t n);
/* x with its dims [from, to) joined into one. */
int32_t ftl_onnx_join(ftl_onnx_call *call, int32_t x, int32_t from, int32_t to);
/* List in input 1 (later opsets) or attribute; -1: neither is there. */
int32_t ftl_onnx_axes_of(ftl_onnx_call *call, size_t input, int64_t axes[FTL_MAX_RANK]);

typedef enum ftl_onnx_reduce {
    FTL_ONNX_REDUCE_SUM,
    FTL_ONNX_REDUCE_MEAN,
    FTL_ONNX_REDUCE_MAX,
    FTL_ONNX_REDUCE_MIN,
    FTL_ONNX_REDUCE_PROD,
    FTL_ONNX_REDUCE_L1,
    FTL_ONNX_REDUCE_L2,
    FTL_ONNX_REDUCE_SUM_SQUARE,
    FTL_ONNX_REDUCE_LOG_SUM,
    FTL_ONNX_REDUCE_LOG_SUM_EXP
} ftl_onnx_reduce;

#define X(type, since, in_min, in_max, function, arg) void ftl_onnx_op_##function(ftl_onnx_call *);
#include "format/onnx_ops.def"
#undef X

#ifdef __cplusplus
}
#endif
#endif
