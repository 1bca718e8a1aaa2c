/* SPDX-License-Identifier: Apache-2.0 */
/* stablehlo_internal.h - the writer that the emit_stablehlo*.c files share: values with their
 * types, and one function for each shape of statement.
 * Writing is sticky: after the first failure every call does nothing. */
#ifndef FTL_BACKEND_PJRT_STABLEHLO_INTERNAL_H
#define FTL_BACKEND_PJRT_STABLEHLO_INTERNAL_H

#include "backend/pjrt/stablehlo.h"

/* "%a3" (argument 3 of @main) or "%v7"; the type travels with the name. */
typedef struct ftl_shlo_value {
    int32_t number;
    bool is_argument;
    ftl_tensor_desc desc;
} ftl_shlo_value;

typedef struct ftl_shlo {
    const ftl_graph *graph;
    const ftl_graph_view *view;
    bool is_fast;
    char *text;
    size_t used, room;
    ftl_status status;
    int32_t n_values;
    ftl_shlo_value *of_tensor; /* index: tensor of the graph */
} ftl_shlo;

/* ---- text ---- */
void ftl_shlo_put(ftl_shlo *e, const char *format, ...) FTL_PRINTF(2, 3);
void ftl_shlo_put_value(ftl_shlo *e, ftl_shlo_value x);
void ftl_shlo_put_type(ftl_shlo *e, const ftl_tensor_desc *desc);
/* "[1, 2]" of n numbers, with `open` and `close` around them. */
void ftl_shlo_put_list(ftl_shlo *e, const char *open, const int64_t *values, int32_t n,
                       const char *close);
/* ": (types of in) -> type of out" and the end of the line. */
void ftl_shlo_put_signature(ftl_shlo *e, const ftl_shlo_value *in, int32_t n,
                            const ftl_tensor_desc *out);
/* Bytes as MLIR's "0x..." text. */
void ftl_shlo_put_hex(ftl_shlo *e, const void *data, size_t bytes);
/* `%v<n> = "op"(operands) ` of a value of that type; attributes and signature are to follow. */
ftl_shlo_value ftl_shlo_begin(ftl_shlo *e, const char *op, const ftl_shlo_value *in, int32_t n,
                              const ftl_tensor_desc *out);
ftl_shlo_value ftl_shlo_fail(ftl_shlo *e, ftl_status status);

/* ---- statements ---- */
/* A whole statement; attributes "" or "{...} ". */
ftl_shlo_value ftl_shlo_op(ftl_shlo *e, const char *op, const char *attributes,
                           const ftl_shlo_value *in, int32_t n, const ftl_tensor_desc *out);
ftl_shlo_value ftl_shlo_op1(ftl_shlo *e, const char *op, ftl_shlo_value x);
ftl_shlo_value ftl_shlo_op2(ftl_shlo *e, const char *op, ftl_shlo_value a, ftl_shlo_value b);
/* direction: "EQ" "NE" "LT" "LE" "GT" "GE"; result bool. */
ftl_shlo_value ftl_shlo_compare(ftl_shlo *e, const char *direction, ftl_shlo_value a,
                                ftl_shlo_value b);
ftl_shlo_value ftl_shlo_select(ftl_shlo *e, ftl_shlo_value c, ftl_shlo_value x, ftl_shlo_value y);
/* Every element the one at `element` (in host form). */
ftl_shlo_value ftl_shlo_splat(ftl_shlo *e, const ftl_tensor_desc *desc, const void *element);
/* The same from a number, rounded or clamped to the type as ftl_element_set() does. */
ftl_shlo_value ftl_shlo_number(ftl_shlo *e, const ftl_tensor_desc *desc, double value);
ftl_shlo_value ftl_shlo_scalar(ftl_shlo *e, ftl_dtype dtype, double value);
/* Dense row-major host data. */
ftl_shlo_value ftl_shlo_constant(ftl_shlo *e, const ftl_tensor_desc *desc, const void *data);
/* These give x itself where nothing changes. */
ftl_shlo_value ftl_shlo_reshape(ftl_shlo *e, ftl_shlo_value x, const ftl_tensor_desc *desc);
/* By NumPy's rule, to the shape of `desc` (not its dtype). */
ftl_shlo_value ftl_shlo_broadcast(ftl_shlo *e, ftl_shlo_value x, const ftl_tensor_desc *desc);
/* Axis i of x becomes axis map[i]. */
ftl_shlo_value ftl_shlo_broadcast_axes(ftl_shlo *e, ftl_shlo_value x, const int64_t *map,
                                       const ftl_tensor_desc *desc);
/* By XLA's own rule: only for types where that is ours. */
ftl_shlo_value ftl_shlo_cast(ftl_shlo *e, ftl_shlo_value x, ftl_dtype dtype);
/* f16 and bf16 are computed in f32. */
ftl_shlo_value ftl_shlo_wide(ftl_shlo *e, ftl_shlo_value x);
ftl_dtype ftl_shlo_wide_dtype(ftl_dtype dtype);

/* Input i of the node.  Only where the node has it. */
ftl_shlo_value ftl_shlo_in(const ftl_shlo *e, const ftl_node *node, int32_t i);
bool ftl_shlo_has(const ftl_node *node, int32_t i);

/* ---- rows: each returns the node's first (and only) result ---- */
ftl_shlo_value ftl_shlo_binary(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_comparison(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_unary(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_choice(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_convert(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_activation(ftl_shlo *e, const ftl_node *node);
/* act(x); x is f32 or f64. */
ftl_shlo_value ftl_shlo_act(ftl_shlo *e, ftl_shlo_value x, const ftl_attr_act *act);

ftl_shlo_value ftl_shlo_move(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_gather(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_scatter(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_kv_write(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_reduce(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_arg_max(ftl_shlo *e, const ftl_node *node);

ftl_shlo_value ftl_shlo_matmul(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_linear(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_conv2d(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_conv(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_max_pool2d(ftl_shlo *e, const ftl_node *node);
ftl_shlo_value ftl_shlo_avg_pool2d(ftl_shlo *e, const ftl_node *node);

#endif
