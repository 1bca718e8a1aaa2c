/* SPDX-License-Identifier: Apache-2.0 */
/* graph.h - a model as data: nodes in execution order over tensors, each written once.
 *
 *      sources                         nodes                             outputs
 *      input x    [batch,1000] --\
 *      weight w   [1000,1000] ---- linear --> value --> softmax --> value --> "y"
 *      weight b   [1000] --------/
 *
 * An unbound graph has named dims (batch, tokens, ...) and no shapes behind its sources; bind()
 * makes a bound graph, in which every tensor has its shape.  A builder call on a bound graph infers
 * the shape at once.  Tensors and nodes are numbered in the order of creation; these numbers
 * change from graph to graph, the `id` does not: sources keep it through bind and passes, so
 * that several bound graphs of one model share weights and state.
 *
 * Building is sticky: after the first failure every builder call returns -1 and changes nothing;
 * ftl_graph_status() hands the failure out.  So builders need no check after each line.
 * A graph is used by one thread at a time while it is built, and is immutable afterwards. */
#ifndef FTL_CORE_GRAPH_H
#define FTL_CORE_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"
#include "core/attr.h"
#include "core/dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_MANY = 1 << 16, FTL_DIM_INFER = -1, FTL_DIM_COPY = -2 };

typedef enum ftl_op {
#define X(name, ...) FTL_OP_##name,
#include "core/ops.def"
#undef X
    FTL_OP_COUNT
} ftl_op;

typedef enum ftl_tensor_kind {
    FTL_TENSOR_INPUT,  /* given at each run                                                   */
    FTL_TENSOR_WEIGHT, /* read only, shared by all programs of a model                        */
    FTL_TENSOR_STATE,  /* KV cache, moments, trained weights: has a new value among the outputs */
    FTL_TENSOR_PARAM,  /* small i32/f32 run-time value whose host copy travels beside it      */
    FTL_TENSOR_CONST,  /* small data that belongs to the graph                                */
    FTL_TENSOR_VALUE   /* written by a node                                                   */
} ftl_tensor_kind;

/* How a weight without a file is filled (seeded by its id; core/init.h). */
typedef enum ftl_init_kind {
    FTL_INIT_NORMAL, /* mean 0, deviation `scale`  */
    FTL_INIT_FILL,   /* the constant `scale`       */
    FTL_INIT_UNIFORM /* in [offset, offset + scale) */
} ftl_init_kind;
typedef struct ftl_init {
    ftl_init_kind kind;
    float scale, offset;
} ftl_init;

typedef struct ftl_tensor {
    const char *name; /* never NULL; "" for most values */
    ftl_tensor_kind kind;
    ftl_tensor_desc desc; /* rank -1: not known yet (unbound value)                              */
    uint64_t id;          /* sources: the same in every bound form of the model; values: 0      */
    int32_t producer;     /* node, or -1 for a source                                            */
    const void *data;     /* CONST: row-major bytes in the graph's arena; WEIGHT: borrowed from the
                             model's file, or NULL; else NULL                                    */
    ftl_init init;        /* WEIGHT, STATE without data */
} ftl_tensor;

typedef struct ftl_node {
    ftl_op op;
    int32_t n_in, n_out;
    const int32_t *in;  /* tensors; -1: absent optional input */
    const int32_t *out; /* tensors */
    ftl_attr attr;
    const char *name; /* never NULL; where it came from, for messages and profiles */
} ftl_node;

/* "Output `output` is the new value of state `state`" (a tensor).  One pair a state at most. */
typedef struct ftl_alias {
    int32_t output, state;
} ftl_alias;

typedef struct ftl_output {
    const char *name;
    int32_t tensor;
} ftl_output;

typedef struct ftl_graph ftl_graph;

/* What can be read.  Arrays are borrowed and valid until the graph changes. */
typedef struct ftl_graph_view {
    int32_t n_tensors, n_nodes, n_sources, n_outputs, n_aliases;
    const ftl_tensor *tensors;
    const ftl_node *nodes;
    const int32_t *sources; /* tensors of kind INPUT, WEIGHT, STATE, PARAM in order of creation:
                               the inputs of a slice, in this order */
    const ftl_output *outputs;
    const ftl_alias *aliases;
    bool is_bound;
    ftl_arena *arena; /* lives as long as the graph */
} ftl_graph_view;

/* Life cycle.  `name` is copied. */
ftl_status ftl_graph_create(ftl_graph **out, const char *name, bool is_bound) FTL_MUST_USE;
void ftl_graph_destroy(ftl_graph *graph);
const char *ftl_graph_name(const ftl_graph *graph);
const ftl_graph_view *ftl_graph_get_view(const ftl_graph *graph);
/* FTL_OK, or the first failure of a builder call (with its sentence put back as the last one). */
ftl_status ftl_graph_status(const ftl_graph *graph) FTL_MUST_USE;
/* Records a failure made by a caller's own check; returns -1. */
int32_t ftl_graph_poison(ftl_graph *graph, ftl_status status);

/* Named dims of an unbound graph.  A returned value stands in any desc or shape attribute. */
int64_t ftl_dim_named(ftl_graph *graph, const char *name);
int64_t ftl_dim_mul(ftl_graph *graph, int64_t a, int64_t b);
int64_t ftl_dim_add(ftl_graph *graph, int64_t a, int64_t b);
int64_t ftl_dim_div(ftl_graph *graph, int64_t a,
                    int64_t b); /* rounds down; by zero fails at bind */

typedef struct ftl_dim_value {
    const char *name;
    int64_t value;
} ftl_dim_value;
/* Names of the dims of an unbound graph, in order of first use; NULL past the end.  Borrowed. */
const char *ftl_graph_peek_dim(const ftl_graph *graph, int32_t i);
/* A bound copy: dims evaluated, every shape inferred.  Weight data stays borrowed.
 * FTL_EINVAL: a dim is missing or negative, or a shape rule refuses. */
ftl_status ftl_graph_bind(ftl_graph **out, const ftl_graph *graph, const ftl_dim_value *dims,
                          int32_t n_dims) FTL_MUST_USE;

/* Sources.  Return the tensor, or -1.  The id is a hash of `name`, which is unique in a model. */
int32_t ftl_graph_input(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc);
int32_t ftl_graph_param(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc);
int32_t ftl_graph_weight(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc,
                         const void *data, ftl_init init);
int32_t ftl_graph_state(ftl_graph *graph, const char *name, const ftl_tensor_desc *desc,
                        ftl_init init);
/* A copy of any source of another graph (kind, name, id, data pointer, init), `desc` as given. */
int32_t ftl_graph_copy_source(ftl_graph *graph, const ftl_tensor *source,
                              const ftl_tensor_desc *desc);
/* Data is copied into the graph. */
int32_t ftl_graph_const(ftl_graph *graph, const ftl_tensor_desc *desc, const void *data);
int32_t ftl_graph_const_scalar(ftl_graph *graph, ftl_dtype dtype, double value);
int32_t ftl_graph_const_i64(ftl_graph *graph, const int64_t *values, int64_t n); /* rank 1 */

/* Nodes.  `in` holds n_in tensors (-1: absent).  The general form gives the first output; the
 * others follow it in number.  `attr` NULL: all zero. */
int32_t ftl_graph_add(ftl_graph *graph, ftl_op op, const ftl_attr *attr, const int32_t *in,
                      int32_t n_in);
#define FTL_ADD(graph, op, attr, ...)                                                              \
    ftl_graph_add((graph), FTL_OP_##op, (attr), (const int32_t[]){ __VA_ARGS__ },                  \
                  (int32_t)(sizeof((int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)))
/* Name that the nodes added from now on carry ("block1/conv2"); copied; NULL: none. */
void ftl_graph_set_scope(ftl_graph *graph, const char *name);
/* Gives a tensor a name. */
void ftl_graph_set_name(ftl_graph *graph, int32_t tensor, const char *name);

/* Makes `tensor` output number n_outputs; `name` is copied. */
void ftl_graph_output(ftl_graph *graph, const char *name, int32_t tensor);
/* The last output becomes the new value of `state`; shapes must agree. */
void ftl_graph_output_state(ftl_graph *graph, int32_t state, int32_t new_value);

/* Reading. */
const ftl_tensor *ftl_graph_peek(const ftl_graph *graph, int32_t tensor); /* NULL for -1 */
const ftl_tensor_desc *ftl_graph_peek_desc(const ftl_graph *graph, int32_t tensor);
int32_t ftl_graph_find_source(const ftl_graph *graph, const char *name); /* tensor or -1 */
/* Position in `sources`, or -1. */
int32_t ftl_graph_source_index(const ftl_graph *graph, int32_t tensor);
/* Checks every rule of this header; for graphs that came from elsewhere and for tests. */
ftl_status ftl_graph_check(const ftl_graph *graph) FTL_MUST_USE;
/* Same bytes for the same ops, attributes, shapes, aliases (names and weight data do not count). */
uint64_t ftl_graph_fingerprint(const ftl_graph *graph);

#ifdef __cplusplus
}
#endif
#endif
