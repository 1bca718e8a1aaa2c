/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/probe.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/rng.h"
#include "core/op.h"

struct ftl_probe {
    ftl_device *device;
    ftl_queue *queue;
    ftl_program *program;
    ftl_buffer **in, **out; /* cells in slice order */
    ftl_buffer *workspace;
    uint32_t n_in, n_out;
    double flops, bytes;
};

/* ---- graphs -------------------------------------------------------------------------------- */

static ftl_tensor_desc shape_of(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (ftl_tensor_desc){ .dtype = FTL_DTYPE_F32, .rank = rank, .dim = { a, b, c, d } };
}

static int32_t add_weight(ftl_graph *g, const char *name, ftl_tensor_desc desc)
{
    return ftl_graph_weight(g, name, &desc, NULL, (ftl_init){ FTL_INIT_NORMAL, 1, 0 });
}

static int32_t add_input(ftl_graph *g, const char *name, ftl_tensor_desc desc)
{
    return ftl_graph_input(g, name, &desc);
}

static int32_t build_gemm(ftl_graph *g, const int64_t *dim)
{
    const int64_t m = dim[0], n = dim[1], k = dim[2];
    const int32_t x = add_input(g, "x", shape_of(2, m, k, 0, 0));
    const int32_t w = add_weight(g, "w", shape_of(2, n, k, 0, 0));
    const int32_t b = add_weight(g, "b", shape_of(1, n, 0, 0, 0));
    return FTL_ADD(g, linear, NULL, x, w, b);
}

static int32_t build_conv(ftl_graph *g, const int64_t *dim)
{
    const int64_t batch = dim[0], c = dim[1], h = dim[2], wide = dim[3], o = dim[4], k = dim[5];
    const int32_t stride = (int32_t)dim[6], groups = (int32_t)dim[7], pad = (int32_t)(k / 2);
    const ftl_attr attr = { .conv = { .stride = { stride, stride },
                                      .dilation = { 1, 1 },
                                      .pad = { pad, pad, pad, pad },
                                      .groups = groups,
                                      .act = { .kind = FTL_ACT_RELU } } };
    const int32_t x = add_input(g, "x", shape_of(4, batch, c, h, wide));
    const int32_t w = add_weight(g, "w", shape_of(4, o, c / groups, k, k));
    const int32_t b = add_weight(g, "b", shape_of(1, o, 0, 0, 0));
    return FTL_ADD(g, conv, &attr, x, w, b);
}

/* Attention of dim[0] tokens among themselves, heads of 64, dim[1] wide. */
static int32_t build_attention(ftl_graph *g, const int64_t *dim)
{
    enum { HEAD = 64, MOST_TOKENS = 4096 };
    const int64_t n = dim[0], heads = dim[1] / HEAD;
    int32_t positions[MOST_TOKENS], sequences[MOST_TOKENS] = { 0 };
    const int32_t length = (int32_t)n, block = 0;
    if (n > MOST_TOKENS || heads < 1)
        return ftl_graph_poison(g, ftl_fail(FTL_EINVAL, "attention of these sizes"));
    for (int32_t i = 0; i < length; i++) positions[i] = i;
    const ftl_attr attr = { .attention = { .block_size = length } };
    const ftl_tensor_desc rows = shape_of(3, n, heads, HEAD, 0);
    ftl_tensor_desc each = shape_of(1, n, 0, 0, 0), one = shape_of(1, 1, 0, 0, 0);
    ftl_tensor_desc table = shape_of(2, 1, 1, 0, 0);
    each.dtype = one.dtype = table.dtype = FTL_DTYPE_I32;
    const int32_t q = add_input(g, "q", rows), k = add_input(g, "k", rows);
    const int32_t v = add_input(g, "v", rows);
    return FTL_ADD(g, attention, &attr, q, k, v, ftl_graph_const(g, &table, &block),
                   ftl_graph_const(g, &each, sequences), ftl_graph_const(g, &each, positions),
                   ftl_graph_const(g, &one, &length));
}

/* dim[0] square planes of dim[1] elements each, windows of 3, steps of 2. */
static int32_t build_pool(ftl_graph *g, const int64_t *dim, bool is_max)
{
    const ftl_attr attr = { .pool = { .kernel = { 3, 3 },
                                      .stride = { 2, 2 },
                                      .dilation = { 1, 1 },
                                      .pad = { 1, 1, 1, 1 } } };
    const int64_t side = (int64_t)sqrt((double)dim[1]);
    const int32_t x = add_input(g, "x", shape_of(4, 1, dim[0], side, side));
    return is_max ? FTL_ADD(g, max_pool2d, &attr, x) : FTL_ADD(g, avg_pool2d, &attr, x);
}

/* One op over [rows, cols]. */
static int32_t build_stream(ftl_graph *g, const char *name, const int64_t *dim)
{
    const ftl_tensor_desc desc = shape_of(2, dim[0], dim[1], 0, 0);
    const ftl_tensor_desc row = shape_of(1, dim[1], 0, 0, 0);
    const ftl_attr by_column = { .axis = { .axis = 0 } };
    if (strcmp(name, "attention") == 0) return build_attention(g, dim);
    if (strcmp(name, "max_pool2d") == 0) return build_pool(g, dim, true);
    if (strcmp(name, "avg_pool2d") == 0) return build_pool(g, dim, false);
    const int32_t x = add_input(g, "x", desc);
    if (strcmp(name, "add") == 0) return FTL_ADD(g, add, NULL, x, add_input(g, "y", desc));
    if (strcmp(name, "concat") == 0)
        return FTL_ADD(g, concat, &by_column, x, add_input(g, "y", desc));
    if (strcmp(name, "neg") == 0) return FTL_ADD(g, neg, NULL, x);
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    if (strcmp(name, "gelu") == 0 || strcmp(name, "relu") == 0) {
        attr.act.kind = *name == 'g' ? FTL_ACT_GELU : FTL_ACT_RELU;
        return FTL_ADD(g, activation, &attr, x);
    }
    if (strcmp(name, "softmax") == 0) {
        attr.norm.axis = 1;
        return FTL_ADD(g, softmax, &attr, x);
    }
    if (strcmp(name, "layer_norm") == 0) {
        attr.norm = (ftl_attr_norm){ .eps = 1e-5, .axis = 1 };
        const int32_t scale = add_weight(g, "scale", row);
        return FTL_ADD(g, layer_norm, &attr, x, scale, add_weight(g, "bias", row));
    }
    if (strcmp(name, "transpose") == 0) {
        attr.perm.perm[0] = 1;
        return FTL_ADD(g, transpose, &attr, x);
    }
    if (strcmp(name, "reduce_sum") == 0) {
        attr.reduce.axes = 2;
        return FTL_ADD(g, reduce_sum, &attr, x);
    }
    return ftl_graph_poison(
        g, ftl_fail(FTL_EUNSUPPORTED, "no stream measurement is named \"%.40s\"", name));
}

static int32_t build_chain(ftl_graph *g, int32_t n)
{
    int32_t x = add_input(g, "x", shape_of(1, 64, 0, 0, 0));
    for (int32_t i = 0; i < n; i++) x = FTL_ADD(g, neg, NULL, x);
    return x;
}

/* The largest dim that makes sense in a measurement; above it a product of dims could overflow. */
static ftl_status check_dims(const ftl_profile_row *row)
{
    static const int n_dims[] = {
        [FTL_PROFILE_GEMM] = 3, [FTL_PROFILE_CONV] = 8, [FTL_PROFILE_STREAM] = 2
    };
    double product = 1;
    if (row->kind < FTL_PROFILE_GEMM) return FTL_OK;
    for (int i = 0; i < n_dims[row->kind]; i++) {
        if (row->dim[i] < 1 || row->dim[i] > 1 << 30)
            return ftl_fail(FTL_EINVAL, "a measurement with a size of %lld",
                            (long long)row->dim[i]);
        product *= (double)row->dim[i];
    }
    if (product > 0x1p50 ||
        (row->kind == FTL_PROFILE_CONV && (row->dim[1] % row->dim[7] || row->dim[4] % row->dim[7])))
        return ftl_fail(FTL_EINVAL, "a measurement whose sizes do not go together");
    return FTL_OK;
}

ftl_status ftl_probe_graph(ftl_graph **out, const ftl_profile_row *row)
{
    *out = NULL;
    if (row->kind < FTL_PROFILE_LAUNCH || row->kind > FTL_PROFILE_STREAM)
        return ftl_fail(FTL_EUNSUPPORTED, "no program measures %s",
                        ftl_profile_kind_name(row->kind));
    if (row->dtype != FTL_DTYPE_F32)
        return ftl_fail(FTL_EUNSUPPORTED, "measurements of programs are in f32");
    FTL_TRY(check_dims(row));
    ftl_graph *g;
    FTL_TRY(ftl_graph_create(&g, "probe", true));
    int32_t y = -1;
    switch (row->kind) {
    case FTL_PROFILE_GEMM: y = build_gemm(g, row->dim); break;
    case FTL_PROFILE_CONV: y = build_conv(g, row->dim); break;
    case FTL_PROFILE_STREAM: y = build_stream(g, row->name, row->dim); break;
    default: y = build_chain(g, row->kind == FTL_PROFILE_LAUNCH ? 1 : FTL_PROBE_CHAIN); break;
    }
    ftl_graph_output(g, "y", y);
    const ftl_status s = ftl_graph_status(g);
    if (s == FTL_OK) *out = g;
    else ftl_graph_destroy(g);
    return s;
}

/* ---- cells --------------------------------------------------------------------------------- */

/* Random values, the same few thousand over and over: neither zeros nor slow to make. */
static float *random_values(size_t bytes)
{
    enum { MOST = 8191 };
    const size_t n = bytes / sizeof(float), first = n < MOST ? n : MOST;
    float *x = ftl_pages_alloc(bytes);
    if (!x) return NULL;
    ftl_rng_fill_uniform_f32((ftl_rng){ .seed = 3, .id = n }, 0, x, first, -0.1f, 0.1f);
    for (size_t p = first; p < n; p += first)
        memcpy(x + p, x, (n - p < first ? n - p : first) * sizeof *x);
    return x;
}

static ftl_status fill_cell(ftl_probe *p, uint32_t i, const ftl_tensor *tensor)
{
    size_t bytes, cell_bytes;
    int32_t layout;
    FTL_TRY(ftl_desc_bytes(&tensor->desc, &bytes));
    FTL_TRY(ftl_program_weight_layout(p->program, i, &layout, &cell_bytes));
    float *x = random_values(bytes);
    if (!x) return ftl_fail(FTL_ENOMEM, "no %zu bytes for a measurement", bytes);
    const ftl_status s = ftl_buffer_pack(&p->in[i], p->queue, layout, x, &tensor->desc);
    ftl_pages_free(x, bytes);
    return s;
}

static ftl_status make_cells(ftl_probe *p, const ftl_graph *slice)
{
    const ftl_graph_view *v = ftl_graph_get_view(slice);
    p->n_in = (uint32_t)v->n_sources;
    p->n_out = (uint32_t)v->n_outputs;
    p->in = ftl_calloc((size_t)p->n_in + 1, sizeof *p->in);
    p->out = ftl_calloc((size_t)p->n_out + 1, sizeof *p->out);
    if (!p->in || !p->out) return ftl_fail(FTL_ENOMEM, "no memory for a measurement");
    for (uint32_t i = 0; i < p->n_in; i++) FTL_TRY(fill_cell(p, i, &v->tensors[v->sources[i]]));
    for (uint32_t i = 0; i < p->n_out; i++)
        FTL_TRY(ftl_buffer_create(&p->out[i], p->device, &v->tensors[v->outputs[i].tensor].desc));
    ftl_program_info info;
    FTL_TRY(ftl_program_get_info(p->program, &info));
    if (info.workspace_bytes == 0) return FTL_OK;
    const ftl_tensor_desc desc = { .dtype = FTL_DTYPE_U8,
                                   .rank = 1,
                                   .dim = { (int64_t)info.workspace_bytes } };
    return ftl_buffer_create(&p->workspace, p->device, &desc);
}

/* ---- life cycle ---------------------------------------------------------------------------- */

void ftl_probe_destroy(ftl_probe *probe)
{
    if (!probe) return;
    for (uint32_t i = 0; probe->in && i < probe->n_in; i++) ftl_buffer_destroy(probe->in[i]);
    for (uint32_t i = 0; probe->out && i < probe->n_out; i++) ftl_buffer_destroy(probe->out[i]);
    ftl_buffer_destroy(probe->workspace);
    ftl_program_destroy(probe->program);
    ftl_free(probe->in);
    ftl_free(probe->out);
    ftl_free(probe);
}

ftl_status ftl_probe_create(ftl_probe **out, ftl_device *device, ftl_queue *queue,
                            const ftl_graph *graph)
{
    *out = NULL;
    ftl_probe *p = ftl_calloc(1, sizeof *p);
    if (!p) return ftl_fail(FTL_ENOMEM, "no memory for a measurement");
    p->device = device;
    p->queue = queue;
    ftl_op_cost cost = { 0 };
    ftl_graph_cost(graph, NULL, &cost);
    p->flops = cost.flops;
    p->bytes = cost.bytes_read + cost.bytes_written;
    const ftl_compile_options o = { .struct_size = sizeof o,
                                    .n_threads = ftl_queue_threads(queue) };
    ftl_graph *slice = NULL;
    ftl_status s = ftl_device_legalize(&slice, device, graph);
    if (s == FTL_OK) s = ftl_program_compile(&p->program, device, slice, &o);
    if (s == FTL_OK) s = make_cells(p, slice);
    ftl_graph_destroy(slice);
    if (s != FTL_OK) {
        ftl_probe_destroy(p);
        return s;
    }
    *out = p;
    return FTL_OK;
}

double ftl_probe_flops(const ftl_probe *probe)
{
    return probe->flops;
}

double ftl_probe_bytes(const ftl_probe *probe)
{
    return probe->bytes;
}

/* ---- timing -------------------------------------------------------------------------------- */

ftl_status ftl_probe_run(ftl_probe *probe)
{
    const ftl_run_args args = { .struct_size = sizeof args,
                                .inputs = probe->in,
                                .outputs = probe->out,
                                .workspace = probe->workspace };
    return ftl_program_run(probe->program, probe->queue, &args, NULL);
}

static ftl_status run_many(ftl_probe *p, int64_t n, double *seconds)
{
    const int64_t begin = ftl_clock_ns();
    for (int64_t i = 0; i < n; i++) FTL_TRY(ftl_probe_run(p));
    *seconds = (double)(ftl_clock_ns() - begin) * 1e-9;
    return ftl_cancel_check();
}

ftl_status ftl_probe_measure(ftl_probe *probe, double seconds, double *samples, uint32_t n)
{
    int64_t each = 1;
    double took;
    /* The first run touches every page for the first time; the loop warms up the rest. */
    FTL_TRY(run_many(probe, 1, &took));
    for (;;) {
        FTL_TRY(run_many(probe, each, &took));
        if (took >= seconds / 4) break;
        each *= 2;
    }
    const double wanted = (double)each * seconds / took;
    each = wanted > 1 ? (int64_t)wanted : 1;
    for (uint32_t i = 0; i < n; i++) {
        FTL_TRY(run_many(probe, each, &took));
        samples[i] = took / (double)each;
    }
    return FTL_OK;
}
