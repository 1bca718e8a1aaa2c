/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that move elements: broadcast, transpose, slice, reverse, pad, concat, iota, gather,
 * scatter, kv_write. */
#include <string.h>

#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/kernels_ops.h"

/* About 16 KiB each (kernels_move.h): as many operations as copying that many floats. */
static const double unit_operations = 4096;

typedef struct move_args {
    int64_t n_chunks;
    size_t out_offset; /* bytes: where a part of a concatenation begins */
    bool is_piece;     /* of a concatenation: one run of bytes in the output */
    int32_t input;
    ftl_move move;
} move_args;

static void run_move(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const move_args *a = s->args;
    const char *in = cpu_in(s, r, a->input);
    char *out = cpu_out(s, r, 0);
    if (a->is_piece && in == out + a->out_offset) return; /* lies there already */
    int64_t begin, end;
    ftl_cpu_chunk_range(a->move.n_units, a->n_chunks, chunk, &begin, &end);
    k_move(&a->move, out, in, begin, end);
}

static ftl_status add_move(cpu_compile *c, const ftl_node *node, move_args *a)
{
    if (a->move.n_units == 0) return FTL_OK;
    a->n_chunks = ftl_cpu_chunks(c, a->move.n_units, unit_operations);
    return ftl_cpu_add_step(c, node, run_move, a->n_chunks, a, 0, 0);
}

static ftl_status prepare_move(cpu_compile *c, const ftl_node *node)
{
    move_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *in = ftl_cpu_desc(c, node->in[0]), *out = ftl_cpu_desc(c, node->out[0]);
    switch (node->op) {
    case FTL_OP_broadcast: ftl_move_broadcast(&a->move, out, in); break;
    case FTL_OP_transpose: ftl_move_transpose(&a->move, out, in, &node->attr.perm); break;
    case FTL_OP_slice: ftl_move_slice(&a->move, out, in, &node->attr.slice); break;
    default: ftl_move_reverse(&a->move, out, node->attr.reduce.axes); break;
    }
    return add_move(c, node, a);
}

static ftl_status prepare_concat(cpu_compile *c, const ftl_node *node)
{
    const ftl_tensor_desc *out = ftl_cpu_desc(c, node->out[0]);
    const int32_t axis = node->attr.axis.axis;
    const bool is_whole = ftl_desc_span(out, 0, axis) == 1; /* each input is one run of bytes */
    int64_t start = 0;
    for (int32_t i = 0; i < node->n_in; i++) {
        move_args *a = ftl_cpu_args(c, sizeof *a);
        if (!a) return FTL_ENOMEM;
        const ftl_tensor_desc *in = ftl_cpu_desc(c, node->in[i]);
        a->input = i;
        a->is_piece = is_whole;
        a->out_offset =
            (size_t)(start * ftl_desc_span(out, axis + 1, out->rank)) * ftl_dtype_bytes(out->dtype);
        ftl_move_concat(&a->move, out, in, axis, start);
        FTL_TRY(add_move(c, node, a));
        start += in->dim[axis];
    }
    return FTL_OK;
}

/* ---- rows ---------------------------------------------------------------------------------- */

typedef struct row_args {
    int64_t n_rows, n_chunks, outer;
    size_t row_bytes;
    uint64_t value; /* pad: one element */
    ftl_tensor_desc in, out;
    ftl_gather gather;
    ftl_scatter scatter;
} row_args;

static ftl_status add_rows(cpu_compile *c, const ftl_node *node, cpu_chunk_fn run, row_args *a,
                           double operations)
{
    if (a->n_rows == 0) return FTL_OK;
    a->n_chunks = ftl_cpu_chunks(c, a->n_rows, operations);
    return ftl_cpu_add_step(c, node, run, a->n_chunks, a, 0, 0);
}

static row_args *new_rows(cpu_compile *c, const ftl_node *node)
{
    row_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return NULL;
    if (node->n_in > 0) a->in = *ftl_cpu_desc(c, node->in[0]);
    a->out = *ftl_cpu_desc(c, node->out[0]);
    return a;
}

static void run_pad(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const row_args *a = s->args;
    int64_t begin, end;
    ftl_cpu_chunk_range(a->n_rows, a->n_chunks, chunk, &begin, &end);
    k_pad(&s->node->attr.pad, &a->out, &a->in, cpu_out(s, r, 0), cpu_in(s, r, 0), &a->value, begin,
          end);
}

static ftl_status prepare_pad(cpu_compile *c, const ftl_node *node)
{
    row_args *a = new_rows(c, node);
    if (!a) return FTL_ENOMEM;
    ftl_element_set(a->out.dtype, &a->value, 0, node->attr.pad.value);
    const int64_t last = a->out.rank ? a->out.dim[a->out.rank - 1] : 1;
    a->n_rows = last ? ftl_desc_count_checked(&a->out) / last : 0;
    return add_rows(c, node, run_pad, a, (double)last);
}

static void run_iota(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const row_args *a = s->args;
    const int32_t axis = s->node->attr.shape.axis;
    int64_t begin, end;
    ftl_cpu_chunk_range(a->n_rows, a->n_chunks, chunk, &begin, &end);
    if (!k_iota(a->out.dtype, cpu_out(s, r, 0), a->out.dim[axis],
                ftl_desc_span(&a->out, axis + 1, a->out.rank), begin, end))
        ftl_cpu_run_fail(r, FTL_EINTERNAL); /* can_iota() said otherwise */
}

static bool can_iota(const ftl_graph *graph, const ftl_node *node)
{
    (void)graph;
    return k_iota(node->attr.shape.dtype, NULL, 1, 1, 0, 0);
}

static ftl_status prepare_iota(cpu_compile *c, const ftl_node *node)
{
    row_args *a = new_rows(c, node);
    if (!a) return FTL_ENOMEM;
    a->n_rows = ftl_desc_count_checked(&a->out);
    return add_rows(c, node, run_iota, a, 1);
}

static void run_gather(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const row_args *a = s->args;
    int64_t begin, end;
    ftl_cpu_chunk_range(a->n_rows, a->n_chunks, chunk, &begin, &end);
    k_gather(&a->gather, cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1), begin, end);
}

static ftl_status prepare_gather(cpu_compile *c, const ftl_node *node)
{
    row_args *a = new_rows(c, node);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *index = ftl_cpu_desc(c, node->in[1]);
    const int32_t axis = node->attr.axis.axis;
    const int64_t width = ftl_desc_span(&a->in, axis + 1, a->in.rank);
    a->gather = (ftl_gather){ .axis_size = a->in.dim[axis],
                              .n = ftl_desc_count_checked(index),
                              .row_bytes = (size_t)width * ftl_dtype_bytes(a->in.dtype),
                              .index_bytes = (int32_t)ftl_dtype_bytes(index->dtype) };
    a->n_rows = width ? ftl_desc_span(&a->in, 0, axis) * a->gather.n : 0;
    return add_rows(c, node, run_gather, a, (double)width + 8);
}

static void run_scatter(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const row_args *a = s->args;
    int64_t begin, end;
    ftl_cpu_chunk_range(a->n_rows, a->n_chunks, chunk, &begin, &end);
    k_scatter(&a->scatter, cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1), cpu_in(s, r, 2),
              begin, end);
}

static bool can_scatter(const ftl_graph *graph, const ftl_node *node)
{
    const ftl_dtype d = ftl_graph_peek_desc(graph, node->in[0])->dtype;
    return !node->attr.scatter.add || d == FTL_DTYPE_F32 || d == FTL_DTYPE_I32 ||
           d == FTL_DTYPE_I64;
}

static ftl_status prepare_scatter(cpu_compile *c, const ftl_node *node)
{
    row_args *a = new_rows(c, node);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *index = ftl_cpu_desc(c, node->in[1]);
    a->scatter = (ftl_scatter){ .n = index->dim[0],
                                .width = ftl_desc_span(&a->in, 1, a->in.rank),
                                .index_bytes = (int32_t)ftl_dtype_bytes(index->dtype),
                                .bytes = (int32_t)ftl_dtype_bytes(a->in.dtype),
                                .dtype = a->in.dtype,
                                .add = node->attr.scatter.add != 0 };
    a->n_rows = a->scatter.width ? a->in.dim[0] : 0;
    return add_rows(c, node, run_scatter, a, (double)a->scatter.width + (double)a->scatter.n);
}

/* The pool is copied first unless the plan put the new value where the old one lies. */
static void run_kv_copy(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const row_args *a = s->args;
    char *out = cpu_out(s, r, 0);
    const char *in = cpu_in(s, r, 0);
    int64_t begin, end;
    if (out == in) return;
    ftl_cpu_chunk_range(a->outer, a->n_chunks, chunk, &begin, &end);
    memcpy(out + (size_t)begin * a->row_bytes, in + (size_t)begin * a->row_bytes,
           (size_t)(end - begin) * a->row_bytes);
}

static void run_kv_write(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)chunk;
    (void)scratch;
    const row_args *a = s->args;
    k_kv_write(cpu_out(s, r, 0), cpu_in(s, r, 1), cpu_in(s, r, 2), a->row_bytes, a->outer, 0,
               a->n_rows);
}

static ftl_status prepare_kv_write(cpu_compile *c, const ftl_node *node)
{
    row_args *a = new_rows(c, node);
    if (!a) return FTL_ENOMEM;
    const int64_t width = ftl_desc_span(&a->in, 1, a->in.rank);
    a->outer = a->in.dim[0];
    a->row_bytes = (size_t)width * ftl_dtype_bytes(a->in.dtype);
    a->n_chunks = a->outer ? ftl_cpu_chunks(c, a->outer, (double)width) : 1;
    a->n_rows = ftl_cpu_desc(c, node->in[2])->dim[0];
    FTL_TRY(ftl_cpu_add_step(c, node, run_kv_copy, a->n_chunks, a, 0, 0));
    return ftl_cpu_add_step(c, node, run_kv_write, 1, a, 0, 0);
}

static bool overwrite_first(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    (void)graph;
    (void)node;
    return o == 0 && i == 0;
}

const cpu_op ftl_cpu_op_move = { prepare_move, NULL, NULL, NULL };
const cpu_op ftl_cpu_op_concat = { prepare_concat, NULL, NULL, NULL };
const cpu_op ftl_cpu_op_pad = { prepare_pad, NULL, NULL, NULL };
const cpu_op ftl_cpu_op_iota = { prepare_iota, can_iota, NULL, NULL };
const cpu_op ftl_cpu_op_gather = { prepare_gather, NULL, NULL, NULL };
const cpu_op ftl_cpu_op_scatter = { prepare_scatter, can_scatter, NULL, overwrite_first };
const cpu_op ftl_cpu_op_kv_write = { prepare_kv_write, NULL, NULL, overwrite_first };
