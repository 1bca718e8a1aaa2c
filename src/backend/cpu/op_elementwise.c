/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise rows: arithmetic, comparison, selection, conversion, activations. */
#include <string.h>

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/kernels_ops.h"

typedef struct elementwise_args {
    const ftl_ops_f32 *ops;
    ftl_nest nest;
    int64_t n, n_chunks; /* elements of the output */
    ftl_dtype dtype;     /* of input 0 (select: of input 1) */
} elementwise_args;

static bool is_same_shape(const ftl_graph *graph, const ftl_node *node, int32_t i)
{
    const ftl_tensor_desc *x = ftl_graph_peek_desc(graph, node->in[i]);
    return x && ftl_desc_equal(x, ftl_graph_peek_desc(graph, node->out[0]));
}

static bool overwrite_same_shape(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    return o == 0 && is_same_shape(graph, node, i);
}

/* Args with the nest of the first `n_in` inputs, and the step. */
static ftl_status add_elementwise(cpu_compile *c, const ftl_node *node, cpu_chunk_fn run,
                                  int32_t n_in, double operations)
{
    elementwise_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *in[3] = { 0 };
    for (int32_t i = 0; i < n_in; i++) in[i] = ftl_cpu_desc(c, node->in[i]);
    const ftl_tensor_desc *out = ftl_cpu_desc(c, node->out[0]);
    a->ops = c->device->ops;
    a->n = ftl_desc_count_checked(out);
    a->dtype = in[node->op == FTL_OP_select ? 1 : 0]->dtype;
    ftl_nest_init(&a->nest, out, in, n_in);
    a->n_chunks = ftl_cpu_chunks(c, a->n, operations);
    return ftl_cpu_add_step(c, node, run, a->n_chunks, a, 0, 0);
}

static void range_of(const cpu_step *s, int64_t chunk, int64_t *begin, int64_t *end)
{
    const elementwise_args *a = s->args;
    ftl_cpu_chunk_range(a->n, a->n_chunks, chunk, begin, end);
}

/* ---- two inputs ---------------------------------------------------------------------------- */

static void run_binary(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    void *out = cpu_out(s, r, 0);
    if (a->dtype == FTL_DTYPE_F32)
        a->ops->binary(s->node->op, &a->nest, out, cpu_in(s, r, 0), cpu_in(s, r, 1), begin, end);
    else
        k_binary_int(s->node->op, a->dtype, &a->nest, out, cpu_in(s, r, 0), cpu_in(s, r, 1), begin,
                     end);
}

static bool can_binary(const ftl_graph *graph, const ftl_node *node)
{
    const ftl_dtype dtype = ftl_graph_peek_desc(graph, node->in[0])->dtype;
    const bool is_logic = node->op == FTL_OP_and || node->op == FTL_OP_or || node->op == FTL_OP_xor;
    return (dtype == FTL_DTYPE_F32 && !is_logic) || ftl_binary_int_has(node->op, dtype);
}

static ftl_status prepare_binary(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_binary, 2, node->op == FTL_OP_pow ? 40 : 1);
}

static void run_compare(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    k_compare(s->node->op, a->dtype, &a->nest, cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1),
              begin, end);
}

static bool can_compare(const ftl_graph *graph, const ftl_node *node)
{
    return ftl_compare_has(node->op, ftl_graph_peek_desc(graph, node->in[0])->dtype);
}

static ftl_status prepare_compare(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_compare, 2, 1);
}

static void run_select(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    k_select(ftl_dtype_bytes(a->dtype), &a->nest, cpu_out(s, r, 0), cpu_in(s, r, 0),
             cpu_in(s, r, 1), cpu_in(s, r, 2), begin, end);
}

static ftl_status prepare_select(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_select, 3, 1);
}

/* ---- one input ----------------------------------------------------------------------------- */

static void run_unary(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    if (a->dtype != FTL_DTYPE_F32) {
        if (!k_unary_int(s->node->op, a->dtype, cpu_out(s, r, 0), cpu_in(s, r, 0), begin, end))
            ftl_cpu_run_fail(r, FTL_EINTERNAL); /* can_unary() said otherwise */
        return;
    }
    float *y = cpu_out(s, r, 0);
    const float *x = cpu_in(s, r, 0);
    a->ops->unary(s->node->op, y + begin, x + begin, end - begin);
}

static bool can_unary(const ftl_graph *graph, const ftl_node *node)
{
    const ftl_dtype dtype = ftl_graph_peek_desc(graph, node->in[0])->dtype;
    if (dtype == FTL_DTYPE_F32) return node->op != FTL_OP_not;
    return k_unary_int(node->op, dtype, NULL, NULL, 0, 0);
}

static ftl_status prepare_unary(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_unary, 1, 4);
}

static void run_activation(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    a->ops->activation(&s->node->attr.act, (float *)cpu_out(s, r, 0) + begin,
                       (const float *)cpu_in(s, r, 0) + begin, end - begin);
}

static bool is_f32(const ftl_graph *graph, const ftl_node *node)
{
    return ftl_graph_peek_desc(graph, node->in[0])->dtype == FTL_DTYPE_F32;
}

static ftl_status prepare_activation(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_activation, 1, 4);
}

static void run_convert(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    k_convert(s->node->attr.convert.dtype, cpu_out(s, r, 0), a->dtype, cpu_in(s, r, 0), begin, end);
}

static bool can_convert(const ftl_graph *graph, const ftl_node *node)
{
    return ftl_convert_has(node->attr.convert.dtype,
                           ftl_graph_peek_desc(graph, node->in[0])->dtype);
}

static ftl_status prepare_convert(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_convert, 1, 2);
}

static void run_keep(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const elementwise_args *a = s->args;
    const size_t bytes = ftl_dtype_bytes(a->dtype);
    int64_t begin, end;
    range_of(s, chunk, &begin, &end);
    char *out = cpu_out(s, r, 0);
    const char *in = cpu_in(s, r, 0);
    if (out != in)
        memcpy(out + (size_t)begin * bytes, in + (size_t)begin * bytes,
               (size_t)(end - begin) * bytes);
}

static ftl_status prepare_keep(cpu_compile *c, const ftl_node *node)
{
    return add_elementwise(c, node, run_keep, 1, 1);
}

const cpu_op ftl_cpu_op_binary = { prepare_binary, can_binary, NULL, overwrite_same_shape };
const cpu_op ftl_cpu_op_compare = { prepare_compare, can_compare, NULL, NULL };
const cpu_op ftl_cpu_op_select = { prepare_select, NULL, NULL, NULL };
const cpu_op ftl_cpu_op_unary = { prepare_unary, can_unary, NULL, overwrite_same_shape };
const cpu_op ftl_cpu_op_activation = { prepare_activation, is_f32, NULL, overwrite_same_shape };
const cpu_op ftl_cpu_op_convert = { prepare_convert, can_convert, NULL, NULL };
/* keep, and a reshape that the memory plan could not make a view. */
const cpu_op ftl_cpu_op_keep = { prepare_keep, NULL, NULL, overwrite_same_shape };
