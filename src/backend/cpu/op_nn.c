/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are layers: norms, softmax, reductions, windows, attention, loss, optimizer; all
 * f32. */
#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/kernels_ops.h"

typedef struct nn_args {
    const ftl_ops_f32 *ops;
    int64_t n_units, n_chunks;
    int64_t rows, cols, inner; /* what they mean stands at each prepare */
    ftl_reduce_shape reduce;
    ftl_pool_shape pool;
    ftl_attention_job attention;
} nn_args;

static nn_args *new_args(cpu_compile *c)
{
    nn_args *a = ftl_cpu_args(c, sizeof *a);
    if (a) a->ops = c->device->ops;
    return a;
}

/* A step over n_units; nothing at all when there are none. */
static ftl_status add_units(cpu_compile *c, const ftl_node *node, cpu_chunk_fn run, nn_args *a,
                            int64_t n_units, double operations)
{
    a->n_units = n_units;
    a->n_chunks = ftl_cpu_chunks(c, n_units, operations);
    return n_units == 0 ? FTL_OK : ftl_cpu_add_step(c, node, run, a->n_chunks, a, 0, 0);
}

static void range_of(const nn_args *a, int64_t chunk, int64_t *begin, int64_t *end)
{
    ftl_cpu_chunk_range(a->n_units, a->n_chunks, chunk, begin, end);
}

static bool is_f32(const ftl_graph *graph, const ftl_node *node)
{
    return ftl_graph_peek_desc(graph, node->in[0])->dtype == FTL_DTYPE_F32;
}

static bool overwrite_first(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    (void)graph;
    (void)node;
    return o == 0 && i == 0;
}

/* ---- softmax: units are rows, or, along an inner axis, [outer] matrices -------------------- */

static void run_softmax(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    const bool is_log = s->node->op == FTL_OP_log_softmax;
    float *y = cpu_out(s, r, 0);
    const float *x = cpu_in(s, r, 0);
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    if (a->inner == 1) {
        a->ops->softmax_rows(is_log, y + begin * a->cols, x + begin * a->cols, end - begin,
                             a->cols);
        return;
    }
    const int64_t matrix = a->cols * a->inner;
    for (int64_t k = begin; k < end; k++)
        a->ops->softmax_columns(is_log, y + k * matrix, x + k * matrix, a->cols, a->inner, 0,
                                a->inner);
}

static ftl_status prepare_softmax(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    const int32_t axis = node->attr.norm.axis;
    a->cols = x->dim[axis];
    a->inner = ftl_desc_span(x, axis + 1, x->rank);
    const int64_t units = a->cols * a->inner == 0 ? 0 : ftl_desc_span(x, 0, axis);
    return add_units(c, node, run_softmax, a, units, (double)(a->cols * a->inner) * 6);
}

/* ---- norms --------------------------------------------------------------------------------- */

static void run_norm(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    float *y = (float *)cpu_out(s, r, 0) + begin * a->cols;
    const float *x = (const float *)cpu_in(s, r, 0) + begin * a->cols;
    const double eps = s->node->attr.norm.eps;
    if (s->node->op == FTL_OP_rms_norm)
        a->ops->rms_norm(y, x, cpu_in(s, r, 1), eps, end - begin, a->cols);
    else a->ops->layer_norm(y, x, cpu_in(s, r, 1), cpu_in(s, r, 2), eps, end - begin, a->cols);
}

static ftl_status prepare_norm(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    a->cols = ftl_desc_span(x, node->attr.norm.axis, x->rank);
    const int64_t units = a->cols == 0 ? 0 : ftl_desc_span(x, 0, node->attr.norm.axis);
    return add_units(c, node, run_norm, a, units, (double)a->cols * 4);
}

/* The factor and the shift of each channel, into shared scratch: [2][C]. */
static void run_batch_fold(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)chunk;
    (void)scratch;
    const nn_args *a = s->args;
    float *k = cpu_shared(s, r);
    ftl_batch_norm_fold(k, k + a->cols, cpu_in(s, r, 1), cpu_in(s, r, 2), cpu_in(s, r, 3),
                        cpu_in(s, r, 4), s->node->attr.norm.eps, a->cols);
}

static void run_batch_norm(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    const float *k = cpu_shared(s, r);
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->channel_affine(cpu_out(s, r, 0), cpu_in(s, r, 0), k, k + a->cols,
                           &s->node->attr.norm.act, a->cols, a->inner, begin, end);
}

static ftl_status prepare_batch_norm(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    a->cols = x->dim[1];
    a->inner = ftl_desc_span(x, 2, x->rank);
    a->n_units = a->inner == 0 ? 0 : x->dim[0] * x->dim[1];
    a->n_chunks = ftl_cpu_chunks(c, a->n_units, (double)a->inner);
    if (a->n_units == 0) return FTL_OK;
    const size_t shared = (size_t)a->cols * 2 * sizeof(float);
    FTL_TRY(ftl_cpu_add_step(c, node, run_batch_fold, 1, a, 0, shared));
    return ftl_cpu_add_step(c, node, run_batch_norm, a->n_chunks, a, 0, shared);
}

/* ---- reductions ---------------------------------------------------------------------------- */

static void run_reduce(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->reduce(s->node->op, &a->reduce, cpu_out(s, r, 0), cpu_in(s, r, 0), begin, end);
}

static ftl_status prepare_reduce(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    ftl_reduce_shape_init(&a->reduce, ftl_cpu_desc(c, node->in[0]), node->attr.reduce.axes);
    return add_units(c, node, run_reduce, a, a->reduce.n_out, (double)a->reduce.n_each + 1);
}

static void run_arg_max(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->arg_max(cpu_out(s, r, 0), cpu_in(s, r, 0), a->cols, a->inner, begin, end);
}

static ftl_status prepare_arg_max(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    const int32_t axis = node->attr.axis.axis;
    a->cols = x->dim[axis];
    a->inner = ftl_desc_span(x, axis + 1, x->rank);
    return add_units(c, node, run_arg_max, a, ftl_desc_span(x, 0, axis) * a->inner,
                     (double)a->cols);
}

/* ---- windows ------------------------------------------------------------------------------- */

static void run_pool(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    k_fn_max_pool2d *pool =
        s->node->op == FTL_OP_max_pool2d ? a->ops->max_pool2d : a->ops->avg_pool2d;
    pool(&s->node->attr.pool, &a->pool, cpu_out(s, r, 0), cpu_in(s, r, 0), begin, end);
}

static ftl_status prepare_pool(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]), *y = ftl_cpu_desc(c, node->out[0]);
    const ftl_attr_pool *t = &node->attr.pool;
    a->pool = (ftl_pool_shape){ x->dim[2], x->dim[3], y->dim[2], y->dim[3] };
    const int64_t plane = y->dim[2] * y->dim[3];
    return add_units(c, node, run_pool, a, plane == 0 ? 0 : x->dim[0] * x->dim[1],
                     (double)plane * t->kernel[0] * t->kernel[1]);
}

/* Units: image x piece of columns. */
static void run_lrn(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    const int64_t image = chunk / a->rows * a->cols * a->inner;
    int64_t s0, s1;
    ftl_cpu_chunk_range(a->inner, a->rows, chunk % a->rows, &s0, &s1);
    a->ops->lrn(&s->node->attr.lrn, (float *)cpu_out(s, r, 0) + image,
                (const float *)cpu_in(s, r, 0) + image, a->cols, a->inner, s0, s1);
}

static ftl_status prepare_lrn(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    a->cols = x->dim[1];
    a->inner = ftl_desc_span(x, 2, x->rank);
    a->rows = ftl_cpu_chunks(c, a->inner, (double)a->cols * 30); /* pieces of an image */
    if (ftl_desc_count_checked(x) == 0) return FTL_OK;
    return ftl_cpu_add_step(c, node, run_lrn, x->dim[0] * a->rows, a, 0, 0);
}

/* ---- transformers -------------------------------------------------------------------------- */

static void run_rope(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->rope(&s->node->attr.rope, cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1),
                 cpu_in(s, r, 2), a->rows, a->cols, begin, end);
}

static ftl_status prepare_rope(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    a->rows = x->dim[1];
    a->cols = x->dim[2];
    return add_units(c, node, run_rope, a, x->dim[0], (double)(a->rows * a->cols) * 20);
}

static void run_attention(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    const nn_args *a = s->args;
    ftl_attention_job job = a->attention;
    job.q = cpu_in(s, r, 0);
    job.k_pool = cpu_in(s, r, 1);
    job.v_pool = cpu_in(s, r, 2);
    job.block_table = cpu_in(s, r, 3);
    job.seq_of_token = cpu_in(s, r, 4);
    job.positions = cpu_in(s, r, 5);
    job.lengths = cpu_in(s, r, 6);
    job.y = cpu_out(s, r, 0);
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->attention(&job, begin, end, scratch);
}

static ftl_status prepare_attention(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *q = ftl_cpu_desc(c, node->in[0]), *k = ftl_cpu_desc(c, node->in[1]),
                          *v = ftl_cpu_desc(c, node->in[2]), *table = ftl_cpu_desc(c, node->in[3]);
    a->attention = (ftl_attention_job){ .attr = node->attr.attention,
                                        .tokens = q->dim[0],
                                        .q_heads = q->dim[1],
                                        .kv_heads = k->dim[1],
                                        .d = q->dim[2],
                                        .dv = v->dim[2],
                                        .sequences = table->dim[0],
                                        .max_blocks = table->dim[1],
                                        .pool_rows = k->dim[0] };
    if (ftl_desc_count_checked(ftl_cpu_desc(c, node->out[0])) == 0) return FTL_OK;
    ftl_attention_init(&a->attention);
    a->n_units = a->attention.n_units;
    const double keys = (double)table->dim[1] * node->attr.attention.block_size;
    a->n_chunks = ftl_cpu_chunks(c, a->n_units, keys * (double)(q->dim[2] + v->dim[2]));
    return ftl_cpu_add_step(c, node, run_attention, a->n_chunks, a,
                            ftl_attention_scratch_bytes(&a->attention), 0);
}

/* ---- training ------------------------------------------------------------------------------ */

static void run_cross_entropy(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    if (s->node->op == FTL_OP_softmax_cross_entropy)
        a->ops->cross_entropy(cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1), a->cols, begin,
                              end);
    else
        a->ops->cross_entropy_grad(cpu_out(s, r, 0), cpu_in(s, r, 0), cpu_in(s, r, 1),
                                   cpu_in(s, r, 2), a->cols, begin, end);
}

static ftl_status prepare_cross_entropy(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]);
    a->cols = x->dim[1];
    return add_units(c, node, run_cross_entropy, a, x->dim[0], (double)a->cols * 6);
}

static bool overwrite_logits(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    (void)graph;
    return node->op == FTL_OP_softmax_cross_entropy_grad && o == 0 && i == 0;
}

static void run_adam(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)scratch;
    const nn_args *a = s->args;
    const ftl_adam_job job = { .w_out = cpu_out(s, r, 0),
                               .m_out = cpu_out(s, r, 1),
                               .v_out = cpu_out(s, r, 2),
                               .w = cpu_in(s, r, 0),
                               .dw = cpu_in(s, r, 1),
                               .m = cpu_in(s, r, 2),
                               .v = cpu_in(s, r, 3),
                               .lr = *(const float *)cpu_in(s, r, 4),
                               .step = *(const int32_t *)cpu_in(s, r, 5) };
    int64_t begin, end;
    range_of(a, chunk, &begin, &end);
    a->ops->adam(&s->node->attr.adam, &job, begin, end);
}

static ftl_status prepare_adam(cpu_compile *c, const ftl_node *node)
{
    nn_args *a = new_args(c);
    if (!a) return FTL_ENOMEM;
    return add_units(c, node, run_adam, a, ftl_desc_count_checked(ftl_cpu_desc(c, node->in[0])),
                     12);
}

static bool overwrite_moments(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    (void)graph;
    (void)node;
    static const int32_t input_of[] = { 0, 2, 3 }; /* w, m, v */
    return i == input_of[o];
}

const cpu_op ftl_cpu_op_softmax = { prepare_softmax, is_f32, NULL, overwrite_first };
const cpu_op ftl_cpu_op_norm = { prepare_norm, is_f32, NULL, overwrite_first };
const cpu_op ftl_cpu_op_batch_norm = { prepare_batch_norm, is_f32, NULL, overwrite_first };
const cpu_op ftl_cpu_op_reduce = { prepare_reduce, is_f32, NULL, NULL };
const cpu_op ftl_cpu_op_arg_max = { prepare_arg_max, is_f32, NULL, NULL };
const cpu_op ftl_cpu_op_pool = { prepare_pool, is_f32, NULL, NULL };
const cpu_op ftl_cpu_op_lrn = { prepare_lrn, is_f32, NULL, NULL };
const cpu_op ftl_cpu_op_rope = { prepare_rope, is_f32, NULL, overwrite_first };
const cpu_op ftl_cpu_op_attention = { prepare_attention, is_f32, NULL, NULL };
const cpu_op ftl_cpu_op_cross_entropy = { prepare_cross_entropy, is_f32, NULL, overwrite_logits };
const cpu_op ftl_cpu_op_adam = { prepare_adam, is_f32, NULL, overwrite_moments };
