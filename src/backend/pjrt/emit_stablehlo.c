/* SPDX-License-Identifier: Apache-2.0 */
/* The module: @main with its arguments, the statements of each node, the results. */
#include "backend/pjrt/stablehlo.h"

#include "backend/pjrt/stablehlo_internal.h"
#include "base/alloc.h"
#include "core/op.h"

typedef ftl_shlo_value (*emit_fn)(ftl_shlo *e, const ftl_node *node);

/* NULL: left to the decomposition.  Native are the primitives, and of the composites those that
 * gain from it: linear and conv keep f16 and bf16 sums in f32 up to the end of their epilogue,
 * kv_write is a scatter.  XLA fuses the decompositions of the others by itself. */
static emit_fn emitter_of(ftl_op op)
{
    switch (op) {
    case FTL_OP_add:
    case FTL_OP_sub:
    case FTL_OP_mul:
    case FTL_OP_div:
    case FTL_OP_max:
    case FTL_OP_min:
    case FTL_OP_pow:
    case FTL_OP_mod:
    case FTL_OP_and:
    case FTL_OP_or:
    case FTL_OP_xor: return ftl_shlo_binary;
    case FTL_OP_equal:
    case FTL_OP_less:
    case FTL_OP_less_equal: return ftl_shlo_comparison;
    case FTL_OP_select: return ftl_shlo_choice;
    case FTL_OP_not:
    case FTL_OP_neg:
    case FTL_OP_abs:
    case FTL_OP_sign:
    case FTL_OP_floor:
    case FTL_OP_ceil:
    case FTL_OP_round:
    case FTL_OP_exp:
    case FTL_OP_log:
    case FTL_OP_sqrt:
    case FTL_OP_rsqrt:
    case FTL_OP_tanh:
    case FTL_OP_sigmoid:
    case FTL_OP_erf:
    case FTL_OP_sin:
    case FTL_OP_cos:
    case FTL_OP_keep: return ftl_shlo_unary;
    case FTL_OP_convert: return ftl_shlo_convert;
    case FTL_OP_activation: return ftl_shlo_activation;
    case FTL_OP_reshape:
    case FTL_OP_broadcast:
    case FTL_OP_transpose:
    case FTL_OP_slice:
    case FTL_OP_reverse:
    case FTL_OP_pad:
    case FTL_OP_concat:
    case FTL_OP_iota: return ftl_shlo_move;
    case FTL_OP_gather: return ftl_shlo_gather;
    case FTL_OP_scatter: return ftl_shlo_scatter;
    case FTL_OP_kv_write: return ftl_shlo_kv_write;
    case FTL_OP_reduce_sum:
    case FTL_OP_reduce_max:
    case FTL_OP_reduce_min:
    case FTL_OP_reduce_prod: return ftl_shlo_reduce;
    case FTL_OP_arg_max: return ftl_shlo_arg_max;
    case FTL_OP_matmul: return ftl_shlo_matmul;
    case FTL_OP_linear: return ftl_shlo_linear;
    case FTL_OP_conv2d: return ftl_shlo_conv2d;
    case FTL_OP_conv: return ftl_shlo_conv;
    case FTL_OP_max_pool2d: return ftl_shlo_max_pool2d;
    case FTL_OP_avg_pool2d: return ftl_shlo_avg_pool2d;
    default: return NULL;
    }
}

ftl_status ftl_stablehlo_supports(const ftl_graph *graph, int32_t node)
{
    const ftl_op op = ftl_graph_get_view(graph)->nodes[node].op;
    if (emitter_of(op)) return FTL_OK;
    return ftl_fail(FTL_EUNSUPPORTED, "%s is written as its decomposition",
                    ftl_op_get_info(op)->name);
}

/* "%a0: tensor<2xf32> {tf.aliasing_output = 0 : i32}, ..." */
static void put_arguments(ftl_shlo *e)
{
    const ftl_graph_view *v = e->view;
    for (int32_t i = 0; i < v->n_sources; i++) {
        const int32_t tensor = v->sources[i];
        const ftl_shlo_value argument = { i, true, v->tensors[tensor].desc };
        e->of_tensor[tensor] = argument;
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_value(e, argument);
        ftl_shlo_put(e, ": ");
        ftl_shlo_put_type(e, &argument.desc);
        for (int32_t a = 0; a < v->n_aliases; a++)
            if (v->aliases[a].state == tensor)
                ftl_shlo_put(e, " {tf.aliasing_output = %d : i32}", (int)v->aliases[a].output);
    }
}

static void put_result_types(ftl_shlo *e)
{
    for (int32_t i = 0; i < e->view->n_outputs; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_type(e, &e->view->tensors[e->view->outputs[i].tensor].desc);
    }
}

/* Constants are written where the first node reads them, so that unread ones cost nothing. */
static void need_constant(ftl_shlo *e, int32_t tensor, bool *is_written)
{
    const ftl_tensor *t = &e->view->tensors[tensor];
    if (t->kind != FTL_TENSOR_CONST || is_written[tensor]) return;
    e->of_tensor[tensor] = ftl_shlo_constant(e, &t->desc, t->data);
    is_written[tensor] = true;
}

static void put_node(ftl_shlo *e, int32_t n, bool *is_written)
{
    const ftl_node *node = &e->view->nodes[n];
    const emit_fn emit = emitter_of(node->op);
    const ftl_tensor_desc *out = &e->view->tensors[node->out[0]].desc;
    if (!emit) {
        ftl_shlo_fail(e, ftl_fail(FTL_EUNSUPPORTED, "%s has no StableHLO form: legalize first",
                                  ftl_op_get_info(node->op)->name));
        return;
    }
    for (int32_t i = 0; i < node->n_in; i++)
        if (node->in[i] >= 0) need_constant(e, node->in[i], is_written);
    /* of no elements: what it would be computed from does not matter, and may be refused */
    e->of_tensor[node->out[0]] =
        ftl_desc_count_checked(out) == 0 ? ftl_shlo_number(e, out, 0) : emit(e, node);
}

static void put_return(ftl_shlo *e)
{
    ftl_shlo_put(e, "    \"func.return\"(");
    for (int32_t i = 0; i < e->view->n_outputs; i++) {
        if (i) ftl_shlo_put(e, ", ");
        ftl_shlo_put_value(e, e->of_tensor[e->view->outputs[i].tensor]);
    }
    ftl_shlo_put(e, ") : (");
    put_result_types(e);
    ftl_shlo_put(e, ") -> ()\n  }\n}\n");
}

static void put_module(ftl_shlo *e, bool *is_written)
{
    ftl_shlo_put(e, "module @fettle {\n  func.func public @main(");
    put_arguments(e);
    ftl_shlo_put(e, ") -> (");
    put_result_types(e);
    ftl_shlo_put(e, ") {\n");
    for (int32_t n = 0; e->status == FTL_OK && n < e->view->n_nodes; n++)
        put_node(e, n, is_written);
    for (int32_t i = 0; i < e->view->n_outputs; i++)
        need_constant(e, e->view->outputs[i].tensor, is_written);
    put_return(e);
}

ftl_status ftl_stablehlo_emit(char **out, size_t *bytes, const ftl_graph *slice,
                              const ftl_stablehlo_options *options)
{
    *out = NULL;
    *bytes = 0;
    FTL_TRY(ftl_graph_status(slice));
    ftl_shlo e = { .graph = slice, .view = ftl_graph_get_view(slice), .is_fast = options->is_fast };
    if (!e.view->is_bound)
        return ftl_fail(FTL_EINVAL, "graph \"%s\" is not bound", ftl_graph_name(slice));
    const size_t n = (size_t)e.view->n_tensors + 1;
    bool *is_written = ftl_calloc(n, sizeof *is_written);
    e.of_tensor = ftl_calloc(n, sizeof *e.of_tensor);
    if (is_written && e.of_tensor) put_module(&e, is_written);
    else ftl_shlo_fail(&e, ftl_fail(FTL_ENOMEM, "no memory to write a slice of %zu tensors", n));
    ftl_free(is_written);
    ftl_free(e.of_tensor);
    if (e.status != FTL_OK) {
        ftl_free(e.text);
        return e.status;
    }
    *out = e.text;
    *bytes = e.used;
    return FTL_OK;
}
