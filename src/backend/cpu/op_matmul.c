/* SPDX-License-Identifier: Apache-2.0 */
/* linear and matmul over the packed GEMM: one product a batch entry, cut into pieces of C. */
#include "backend/cpu/cpu_internal.h"

ftl_epilogue_act ftl_cpu_epilogue_act(const ftl_attr_act *act)
{
    switch ((ftl_act)act->kind) {
    case FTL_ACT_NONE: return FTL_EPILOGUE_NONE;
    case FTL_ACT_RELU: return FTL_EPILOGUE_RELU;
    case FTL_ACT_CLIP: return FTL_EPILOGUE_CLIP;
    case FTL_ACT_LEAKY_RELU: return FTL_EPILOGUE_LEAKY_RELU;
    case FTL_ACT_SIGMOID: return FTL_EPILOGUE_SIGMOID;
    case FTL_ACT_TANH: return FTL_EPILOGUE_TANH;
    case FTL_ACT_SILU: return FTL_EPILOGUE_SILU;
    case FTL_ACT_GELU: return FTL_EPILOGUE_GELU;
    case FTL_ACT_GELU_TANH: return FTL_EPILOGUE_GELU_TANH;
    case FTL_ACT_HARD_SIGMOID: return FTL_EPILOGUE_HARD_SIGMOID;
    case FTL_ACT_HARD_SWISH: return FTL_EPILOGUE_HARD_SWISH;
    case FTL_ACT_ELU:
    case FTL_ACT_SELU:
    case FTL_ACT_SOFTPLUS:
    case FTL_ACT_COUNT: break;
    }
    return FTL_EPILOGUE_N;
}

/* How C [m, n] is cut: rows x columns of pieces, in whole tiles. */
typedef struct grid {
    int64_t m_pieces, n_pieces, m_tiles, n_tiles;
} grid;

typedef struct gemm_args {
    ftl_gemm_job job; /* pointers are filled in at the run */
    grid cut;
    int64_t batch;                /* products                                     */
    int32_t rank;                 /* of the leading dims                          */
    int64_t dim[FTL_MAX_RANK];    /* leading dims of the output                   */
    int64_t a_step[FTL_MAX_RANK]; /* floats from one entry of a dim to the next,  */
    int64_t b_step[FTL_MAX_RANK]; /* 0 where the operand broadcasts               */
    int32_t weight_layout;        /* of input 1                                   */
} gemm_args;

/* Pieces for `threads`: columns first, since every piece of columns packs its rows again, unless
 * there are more rows of tiles than columns. */
static grid cut_product(const cpu_compile *c, const ftl_gemm_job *job, int64_t batch)
{
    grid g = { .m_tiles = ftl_cpu_tiles(job->m, job->kernel.tile_m),
               .n_tiles = ftl_cpu_tiles(job->n, job->kernel.tile_n),
               .m_pieces = 1,
               .n_pieces = 1 };
    const double work = 2.0 * (double)job->m * (double)job->n * (double)(job->k + 1);
    const int64_t threads = c->program->n_threads;
    const int64_t wanted = work * (double)batch < 200e3 ? 1 : threads > 1 ? threads * 2 : 1;
    const int64_t each = ftl_cpu_tiles(wanted, batch); /* pieces a product */
    if (each <= 1) return g;
    if (g.n_tiles >= g.m_tiles) {
        g.n_pieces = each < g.n_tiles ? each : g.n_tiles;
        g.m_pieces = ftl_cpu_tiles(each, g.n_pieces) < g.m_tiles ? ftl_cpu_tiles(each, g.n_pieces)
                                                                 : g.m_tiles;
    } else {
        g.m_pieces = each < g.m_tiles ? each : g.m_tiles;
        g.n_pieces = ftl_cpu_tiles(each, g.m_pieces) < g.n_tiles ? ftl_cpu_tiles(each, g.m_pieces)
                                                                 : g.n_tiles;
    }
    return g;
}

/* Where batch entry `entry` of an operand begins. */
static int64_t offset_of(const gemm_args *a, const int64_t *step, int64_t entry)
{
    int64_t offset = 0;
    for (int32_t i = a->rank - 1; i >= 0; i--) {
        offset += entry % a->dim[i] * step[i];
        entry /= a->dim[i];
    }
    return offset;
}

static void run_gemm(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    const gemm_args *a = s->args;
    const int64_t pieces = a->cut.m_pieces * a->cut.n_pieces, entry = chunk / pieces;
    const int64_t piece = chunk % pieces;
    ftl_gemm_job job = a->job;
    job.a.data = (const float *)cpu_in(s, r, 0) + offset_of(a, a->a_step, entry);
    job.b.data = (const float *)cpu_in(s, r, 1) + offset_of(a, a->b_step, entry);
    job.c = (float *)cpu_out(s, r, 0) + entry * job.m * job.n;
    job.ending.bias_n = cpu_in(s, r, 2);
    job.ending.residual = cpu_in(s, r, 3);
    if (job.ending.residual == job.c && job.ending.residual) { /* in place: add onto it */
        job.ending.residual = NULL;
        job.accumulate = true;
    }
    int64_t m0, m1, n0, n1;
    ftl_cpu_chunk_range(a->cut.m_tiles, a->cut.m_pieces, piece / a->cut.n_pieces, &m0, &m1);
    ftl_cpu_chunk_range(a->cut.n_tiles, a->cut.n_pieces, piece % a->cut.n_pieces, &n0, &n1);
    m0 *= job.kernel.tile_m;
    m1 *= job.kernel.tile_m;
    n0 *= job.kernel.tile_n;
    n1 *= job.kernel.tile_n;
    ftl_gemm_f32_range(&job, m0, m1 < job.m ? m1 : job.m, n0, n1 < job.n ? n1 : job.n, scratch);
}

static ftl_status add_gemm(cpu_compile *c, const ftl_node *node, gemm_args *a)
{
    a->job.ldc = a->job.n;
    a->job.ending.ld_residual = a->job.n;
    a->job.blocks = ftl_gemm_blocks_pick(&a->job, &c->device->caches);
    a->cut = cut_product(c, &a->job, a->batch);
    const size_t scratch = (size_t)ftl_gemm_f32_scratch_floats(&a->job) * sizeof(float);
    return ftl_cpu_add_step(c, node, run_gemm, a->batch * a->cut.m_pieces * a->cut.n_pieces, a,
                            scratch, 0);
}

static ftl_status prepare_linear(cpu_compile *c, const ftl_node *node)
{
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]), *w = ftl_cpu_desc(c, node->in[1]);
    gemm_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return FTL_ENOMEM;
    const int64_t rows = ftl_desc_span(x, 0, x->rank - 1);
    if (rows == 0 || w->dim[0] == 0) return FTL_OK;
    a->job = (ftl_gemm_job){ .kernel = c->device->gemm, .m = rows, .n = w->dim[0], .k = w->dim[1] };
    a->job.a = (ftl_gemm_operand){ .form = FTL_GEMM_ROWS, .ld = w->dim[1] };
    a->job.b = (ftl_gemm_operand){ .form = FTL_GEMM_COLUMNS, .ld = w->dim[1] };
    if (ftl_cpu_layout_of(c, node->in[1])) a->job.b.form = FTL_GEMM_PACKED;
    a->job.ending.act = ftl_cpu_epilogue_act(&node->attr.act);
    a->job.ending.alpha = node->attr.act.alpha;
    a->job.ending.beta = node->attr.act.beta;
    a->batch = 1;
    return add_gemm(c, node, a);
}

static ftl_status prepare_matmul(cpu_compile *c, const ftl_node *node)
{
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]), *y = ftl_cpu_desc(c, node->in[1]),
                          *out = ftl_cpu_desc(c, node->out[0]);
    const ftl_attr_matmul *t = &node->attr.matmul;
    gemm_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return FTL_ENOMEM;
    if (ftl_desc_count_checked(out) == 0) return FTL_OK;
    const int64_t m = out->dim[out->rank - 2], n = out->dim[out->rank - 1];
    const int64_t k = x->dim[x->rank - (t->trans_a ? 2 : 1)];
    a->job = (ftl_gemm_job){ .kernel = c->device->gemm, .m = m, .n = n, .k = k };
    a->job.a = (ftl_gemm_operand){ .form = t->trans_a ? FTL_GEMM_COLUMNS : FTL_GEMM_ROWS,
                                   .ld = t->trans_a ? m : k };
    a->job.b = (ftl_gemm_operand){ .form = t->trans_b ? FTL_GEMM_COLUMNS : FTL_GEMM_ROWS,
                                   .ld = t->trans_b ? k : n };
    a->rank = out->rank - 2;
    a->batch = 1;
    int64_t a_step = m * k, b_step = k * n;
    for (int32_t i = a->rank - 1; i >= 0; i--) {
        const int32_t ix = i - (out->rank - x->rank), iy = i - (out->rank - y->rank);
        a->dim[i] = out->dim[i];
        a->batch *= out->dim[i];
        if (ix >= 0 && x->dim[ix] > 1) a->a_step[i] = a_step;
        if (iy >= 0 && y->dim[iy] > 1) a->b_step[i] = b_step;
        if (ix >= 0) a_step *= x->dim[ix];
        if (iy >= 0) b_step *= y->dim[iy];
    }
    return add_gemm(c, node, a);
}

static bool is_f32(const ftl_graph *graph, const ftl_node *node)
{
    return ftl_graph_peek_desc(graph, node->in[0])->dtype == FTL_DTYPE_F32;
}

static bool can_linear(const ftl_graph *graph, const ftl_node *node)
{
    return is_f32(graph, node) && ftl_cpu_epilogue_act(&node->attr.act) != FTL_EPILOGUE_N;
}

static int32_t layout_linear(const ftl_graph *graph, const ftl_node *node, int32_t i)
{
    (void)graph;
    (void)node;
    return i == 1 ? CPU_LAYOUT_LINEAR : 0;
}

static bool overwrite_residual(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    (void)graph;
    (void)node;
    return o == 0 && i == 3;
}

const cpu_op ftl_cpu_op_linear = { prepare_linear, can_linear, layout_linear, overwrite_residual };
const cpu_op ftl_cpu_op_matmul = { prepare_matmul, is_f32, NULL, NULL };
