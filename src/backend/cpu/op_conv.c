/* SPDX-License-Identifier: Apache-2.0 */
/* conv and conv2d: images x groups x pieces of the output, over conv.h. */
#include "backend/cpu/conv.h"
#include "backend/cpu/cpu_internal.h"

typedef struct conv_args {
    ftl_conv2d_job job; /* pointers are filled in at the run */
    int64_t batch, m_pieces, n_pieces, m_tiles, n_tiles;
    bool is_depthwise;
    size_t packed_bytes; /* of weights that are packed at each run, else 0 */
} conv_args;

static void fill_job(const cpu_step *s, const cpu_run *r, ftl_conv2d_job *job)
{
    const conv_args *a = s->args;
    *job = a->job;
    job->x = cpu_in(s, r, 0);
    job->weights = cpu_in(s, r, 1);
    job->y = cpu_out(s, r, 0);
    job->ending.bias_m = cpu_in(s, r, 2);
    job->ending.residual = cpu_in(s, r, 3);
    /* Weights that are no weights (an input, a value) were packed into the shared scratch. */
    if (a->packed_bytes) job->weights = cpu_shared(s, r);
}

static void run_depthwise(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    const conv_args *a = s->args;
    ftl_conv2d_job job;
    fill_job(s, r, &job);
    int64_t c0, c1;
    ftl_cpu_chunk_range(job.shape.oc, a->m_pieces, chunk % a->m_pieces, &c0, &c1);
    ftl_conv2d_f32_depthwise_range(&job, chunk / a->m_pieces, c0, c1, 0, job.shape.oh, scratch);
}

static void run_conv(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    const conv_args *a = s->args;
    ftl_conv2d_job job;
    fill_job(s, r, &job);
    const int64_t pieces = a->m_pieces * a->n_pieces, piece = chunk % pieces;
    const int64_t product = chunk / pieces; /* image, group */
    const int64_t rows = job.shape.oc / job.shape.groups, pixels = job.shape.oh * job.shape.ow;
    int64_t m0, m1, n0, n1;
    ftl_cpu_chunk_range(a->m_tiles, a->m_pieces, piece / a->n_pieces, &m0, &m1);
    ftl_cpu_chunk_range(a->n_tiles, a->n_pieces, piece % a->n_pieces, &n0, &n1);
    m0 *= job.kernel.tile_m;
    m1 *= job.kernel.tile_m;
    n0 *= job.kernel.tile_n;
    n1 *= job.kernel.tile_n;
    ftl_conv2d_f32_range(&job, product / job.shape.groups, product % job.shape.groups, m0,
                         m1 < rows ? m1 : rows, n0, n1 < pixels ? n1 : pixels, scratch);
}

static void run_pack(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)chunk;
    (void)scratch;
    const conv_args *a = s->args;
    ftl_conv2d_f32_pack(&a->job.kernel, &a->job.shape, cpu_shared(s, r), cpu_in(s, r, 1));
}

static ftl_conv2d_shape shape_of(const ftl_tensor_desc *x, const ftl_tensor_desc *w,
                                 const ftl_tensor_desc *y, const ftl_attr_conv *t)
{
    return (ftl_conv2d_shape){ .ic = x->dim[1],
                               .ih = x->dim[2],
                               .iw = x->dim[3],
                               .oc = y->dim[1],
                               .oh = y->dim[2],
                               .ow = y->dim[3],
                               .kh = w->dim[2],
                               .kw = w->dim[3],
                               .stride_h = t->stride[0],
                               .stride_w = t->stride[1],
                               .pad_top = t->pad[0],
                               .pad_left = t->pad[1],
                               .dilation_h = t->dilation[0],
                               .dilation_w = t->dilation[1],
                               .groups = t->groups };
}

/* Pixels first: a piece of pixels builds its panels once for all channels. */
static void cut_conv(const cpu_compile *c, conv_args *a)
{
    const ftl_conv2d_shape *s = &a->job.shape;
    const int64_t products = a->batch * (a->is_depthwise ? 1 : s->groups);
    const int64_t threads = c->program->n_threads;
    const double work = 2.0 * (double)a->batch * (double)s->oc * (double)(s->oh * s->ow) *
                        (double)(s->ic / s->groups * s->kh * s->kw);
    const int64_t wanted = work < 200e3 || threads == 1 ? 1 : threads * 2;
    const int64_t each = ftl_cpu_tiles(wanted, products);
    a->m_pieces = a->n_pieces = 1;
    if (a->is_depthwise) {
        a->m_pieces = each < s->oc ? each : s->oc;
        return;
    }
    a->m_tiles = ftl_cpu_tiles(s->oc / s->groups, a->job.kernel.tile_m);
    a->n_tiles = ftl_cpu_tiles(s->oh * s->ow, a->job.kernel.tile_n);
    a->n_pieces = each < a->n_tiles ? each : a->n_tiles;
    const int64_t left = ftl_cpu_tiles(each, a->n_pieces);
    a->m_pieces = left < a->m_tiles ? left : a->m_tiles;
}

static ftl_status prepare_conv(cpu_compile *c, const ftl_node *node)
{
    const ftl_tensor_desc *x = ftl_cpu_desc(c, node->in[0]), *w = ftl_cpu_desc(c, node->in[1]),
                          *y = ftl_cpu_desc(c, node->out[0]);
    conv_args *a = ftl_cpu_args(c, sizeof *a);
    if (!a) return FTL_ENOMEM;
    if (ftl_desc_count_checked(y) == 0) return FTL_OK;
    a->job.kernel = c->device->gemm;
    a->job.shape = shape_of(x, w, y, &node->attr.conv);
    a->job.ending.ld_residual = y->dim[2] * y->dim[3];
    a->job.ending.act = ftl_cpu_epilogue_act(&node->attr.conv.act);
    a->job.ending.alpha = node->attr.conv.act.alpha;
    a->job.ending.beta = node->attr.conv.act.beta;
    a->job.blocks = ftl_conv2d_blocks_pick(&a->job, &c->device->caches);
    a->batch = x->dim[0];
    a->is_depthwise = ftl_conv2d_is_depthwise(&a->job.shape);
    if (!a->is_depthwise && !ftl_cpu_layout_of(c, node->in[1]))
        a->packed_bytes =
            (size_t)ftl_conv2d_f32_packed_floats(&a->job.kernel, &a->job.shape) * sizeof(float);
    cut_conv(c, a);
    size_t scratch = (size_t)ftl_conv2d_f32_scratch_floats(&a->job) * sizeof(float);
    if (a->packed_bytes) FTL_TRY(ftl_cpu_add_step(c, node, run_pack, 1, a, 0, a->packed_bytes));
    if (a->is_depthwise)
        return ftl_cpu_add_step(c, node, run_depthwise, a->batch * a->m_pieces, a, scratch, 0);
    return ftl_cpu_add_step(c, node, run_conv,
                            a->batch * a->job.shape.groups * a->m_pieces * a->n_pieces, a, scratch,
                            a->packed_bytes);
}

/* The window holds padding and the reach of dilated taps, which no tensor stands for: a file can
 * make it larger than any number.  Such a node is the evaluator's, which has no window. */
static bool has_sane_window(const ftl_tensor_desc *w, const ftl_tensor_desc *y,
                            const ftl_attr_conv *t)
{
    static const double most_floats = 1e12; /* x 4 bytes x all threads still fit 63 bits */
    double floats = (double)w->dim[1] + 1;
    for (int i = 0; i < 2; i++) {
        const double taps = (double)w->dim[2 + i], stride = t->stride[i];
        floats *= (taps < stride ? taps : stride) *
                  ((double)y->dim[2 + i] + (taps - 1) * t->dilation[i] / stride);
    }
    return floats < most_floats;
}

static bool can_conv(const ftl_graph *graph, const ftl_node *node)
{
    const ftl_attr_conv *t = &node->attr.conv;
    return ftl_graph_peek_desc(graph, node->in[0])->dtype == FTL_DTYPE_F32 &&
           ftl_cpu_epilogue_act(&t->act) != FTL_EPILOGUE_N &&
           t->groups <= INT32_MAX >> CPU_LAYOUT_SHIFT &&
           has_sane_window(ftl_graph_peek_desc(graph, node->in[1]),
                           ftl_graph_peek_desc(graph, node->out[0]), t);
}

static int32_t layout_conv(const ftl_graph *graph, const ftl_node *node, int32_t i)
{
    const ftl_tensor_desc *w = ftl_graph_peek_desc(graph, node->in[1]);
    const bool is_depthwise = w->dim[1] == 1; /* plain copy: stays as it is in the file */
    if (i != 1 || is_depthwise) return 0;
    return CPU_LAYOUT_CONV | node->attr.conv.groups << CPU_LAYOUT_SHIFT;
}

const cpu_op ftl_cpu_op_conv = { prepare_conv, can_conv, layout_conv, NULL };
