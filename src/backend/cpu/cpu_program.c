/* SPDX-License-Identifier: Apache-2.0 */
/* Slices into lists of steps, and the walk over a list by all threads. */
#include "backend/cpu/cpu_program.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "core/eval.h"
#include "core/pass.h"

enum { LINE = 64 };

/* ---- legality ------------------------------------------------------------------------------ */

static bool has_kernel(const ftl_graph *graph, const ftl_node *node)
{
    const cpu_op *op = ftl_cpu_op_get(node->op);
    return op && op->prepare && (!op->can || op->can(graph, node));
}

/* What has no kernel is run by the reference evaluator, if it is a primitive. */
ftl_status ftl_cpu_supports(ftl_device *device, const ftl_graph *graph, int32_t node)
{
    (void)device;
    const ftl_node *n = &ftl_graph_get_view(graph)->nodes[node];
    if (has_kernel(graph, n) || ftl_eval_knows(n->op)) return FTL_OK;
    return ftl_fail(FTL_EUNSUPPORTED, "the cpu backend has no %s for these types",
                    ftl_op_get_info(n->op)->name);
}

/* ---- compile ------------------------------------------------------------------------------- */

ftl_status ftl_cpu_add_step(cpu_compile *c, const ftl_node *node, cpu_chunk_fn run,
                            int64_t n_chunks, const void *args, size_t scratch_bytes,
                            size_t shared_bytes)
{
    cpu_program *p = c->program;
    if (p->n_steps == p->step_room) {
        const int32_t room = p->step_room ? p->step_room * 2 : 64;
        cpu_step *steps = ftl_realloc(p->steps, (size_t)room * sizeof *steps);
        if (!steps) return ftl_fail(FTL_ENOMEM, "no memory for a program's steps");
        p->steps = steps;
        p->step_room = room;
    }
    const int32_t index = (int32_t)(node - c->view->nodes);
    size_t scratch, shared, all;
    if (!ftl_add_size(scratch_bytes, LINE - 1, &scratch) ||
        !ftl_add_size(shared_bytes, LINE - 1, &shared) ||
        !ftl_mul_size(scratch / LINE * LINE, p->n_threads, &all) ||
        !ftl_add_size(all, shared / LINE * LINE, &all))
        return ftl_fail(FTL_ENOMEM, "%s %s needs more scratch than memory can address",
                        ftl_op_get_info(node->op)->name, node->name);
    scratch = scratch / LINE * LINE;
    shared = shared / LINE * LINE;
    p->steps[p->n_steps++] = (cpu_step){ .run = run,
                                         .n_chunks = n_chunks < 1 ? 1 : n_chunks,
                                         .graph = c->graph,
                                         .node = node,
                                         .args = args,
                                         .node_index = index,
                                         .shared_bytes = shared,
                                         .scratch_bytes = scratch };
    if (all > c->node_scratch[index]) c->node_scratch[index] = all;
    return FTL_OK;
}

void *ftl_cpu_args(cpu_compile *c, size_t bytes)
{
    void *args = ftl_arena_alloc(c->arena, bytes);
    if (!args) ftl_fail(FTL_ENOMEM, "no memory for a program's steps");
    return args;
}

int32_t ftl_cpu_layout_of(const cpu_compile *c, int32_t tensor)
{
    const int32_t source = ftl_graph_source_index(c->graph, tensor);
    return source >= 0 ? c->program->layout[source] : 0;
}

const ftl_tensor_desc *ftl_cpu_desc(const cpu_compile *c, int32_t tensor)
{
    return ftl_graph_peek_desc(c->graph, tensor);
}

int64_t ftl_cpu_chunks(const cpu_compile *c, int64_t units, double operations_per_unit)
{
    /* About 10 us of elementwise work: below that a barrier costs more than it gains. */
    const double grain = 20000, total = (double)units * operations_per_unit;
    const int64_t threads = c->program->n_threads;
    if (threads <= 1 || units <= 1 || total < 2 * grain) return 1;
    double n = total / grain;
    if (n > (double)threads * 4) n = (double)threads * 4;
    return n < (double)units ? (int64_t)n : units;
}

void ftl_cpu_chunk_range(int64_t units, int64_t n_chunks, int64_t chunk, int64_t *begin,
                         int64_t *end)
{
    const int64_t each = units / n_chunks, more = units % n_chunks;
    *begin = chunk * each + (chunk < more ? chunk : more);
    *end = *begin + each + (chunk < more);
}

/* The layout that all readers of a weight agree on; row-major where they do not. */
static void choose_layouts(cpu_compile *c)
{
    const ftl_graph_view *v = c->view;
    int32_t *layout = c->program->layout;
    for (int32_t s = 0; s < v->n_sources; s++) layout[s] = -1;
    for (int32_t n = 0; n < v->n_nodes; n++) {
        const ftl_node *node = &v->nodes[n];
        const cpu_op *op = ftl_cpu_op_get(node->op);
        const bool packs = op && op->layout && has_kernel(c->graph, node);
        for (int32_t i = 0; i < node->n_in; i++) {
            const int32_t s = ftl_graph_source_index(c->graph, node->in[i]);
            if (s < 0) continue;
            const int32_t wanted = packs ? op->layout(c->graph, node, i) : 0;
            layout[s] = layout[s] < 0 || layout[s] == wanted ? wanted : 0;
        }
    }
    for (int32_t o = 0; o < v->n_outputs; o++) {
        const int32_t s = ftl_graph_source_index(c->graph, v->outputs[o].tensor);
        if (s >= 0) layout[s] = 0;
    }
    for (int32_t s = 0; s < v->n_sources; s++) {
        /* Row-major is always read; device.h refuses any other wish that is not ours. */
        const bool is_fixed = c->wanted_layout && c->wanted_layout[s] == 0;
        const bool is_weight = v->tensors[v->sources[s]].kind == FTL_TENSOR_WEIGHT;
        if (!is_weight || is_fixed || layout[s] < 0) layout[s] = 0;
    }
}

static bool may_overwrite(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i)
{
    const cpu_op *op = ftl_cpu_op_get(node->op);
    return op && op->may_overwrite && has_kernel(graph, node) &&
           op->may_overwrite(graph, node, o, i);
}

static size_t node_scratch(void *arg, const ftl_graph *graph, int32_t node)
{
    (void)graph;
    return ((const cpu_compile *)arg)->node_scratch[node];
}

static ftl_status prepare_steps(cpu_compile *c)
{
    for (int32_t n = 0; n < c->view->n_nodes; n++) {
        const ftl_node *node = &c->view->nodes[n];
        FTL_TRY(has_kernel(c->graph, node) ? ftl_cpu_op_get(node->op)->prepare(c, node)
                                           : ftl_cpu_prepare_eval(c, node));
    }
    return FTL_OK;
}

/* Steps stand in the order of the nodes; the plan has another order and leaves some out. */
static ftl_status order_steps(cpu_program *p)
{
    cpu_step *ordered = ftl_calloc((size_t)p->n_steps + 1, sizeof *ordered);
    if (!ordered) return ftl_fail(FTL_ENOMEM, "no memory for a program's steps");
    int32_t n = 0, *first = ftl_calloc((size_t)p->plan.n_nodes + 1, sizeof *first);
    if (!first) {
        ftl_free(ordered);
        return ftl_fail(FTL_ENOMEM, "no memory for a program's steps");
    }
    for (int32_t s = p->n_steps - 1; s >= 0; s--) first[p->steps[s].node_index] = s;
    for (int32_t k = 0; k < p->plan.n_nodes; k++) {
        const int32_t node = p->plan.order[k];
        if (p->plan.is_elided[node]) continue;
        for (int32_t s = first[node]; s < p->n_steps && p->steps[s].node_index == node; s++) {
            ordered[n] = p->steps[s];
            ordered[n++].scratch_offset = p->plan.scratch_offset[node];
        }
    }
    ftl_free(first);
    ftl_free(p->steps);
    p->steps = ordered;
    p->n_steps = n;
    return FTL_OK;
}

static ftl_status build_program(cpu_device *d, cpu_program *p, const int32_t *wanted_layout)
{
    cpu_compile c = { .device = d,
                      .program = p,
                      .graph = p->slice,
                      .view = ftl_graph_get_view(p->slice),
                      .arena = &p->arena,
                      .wanted_layout = wanted_layout };
    p->layout = ftl_arena_array(&p->arena, (size_t)c.view->n_sources + 1, sizeof *p->layout);
    c.node_scratch = ftl_calloc((size_t)c.view->n_nodes + 1, sizeof *c.node_scratch);
    ftl_status s = FTL_OK;
    if (!p->layout || !c.node_scratch) s = ftl_fail(FTL_ENOMEM, "no memory for a program");
    if (s == FTL_OK) {
        choose_layouts(&c);
        s = prepare_steps(&c);
    }
    const ftl_memplan_options o = { .struct_size = sizeof o,
                                    .alignment = LINE,
                                    .may_overwrite = may_overwrite,
                                    .scratch_bytes = node_scratch,
                                    .arg = &c,
                                    .concat_in_place = true };
    if (s == FTL_OK) s = ftl_memplan_init(&p->plan, p->slice, &o);
    if (s == FTL_OK) s = order_steps(p);
    ftl_free(c.node_scratch);
    if (s != FTL_OK) return s;
    ftl_op_cost cost;
    ftl_graph_cost(p->slice, NULL, &cost);
    p->flops = cost.flops;
    p->bytes = cost.bytes_read + cost.bytes_written;
    p->table_offset = p->plan.workspace_bytes;
    const size_t table = (size_t)c.view->n_tensors * sizeof(void *) + LINE;
    if (!ftl_add_size(p->table_offset, table, &p->workspace_bytes) ||
        p->workspace_bytes > PTRDIFF_MAX)
        return ftl_fail(FTL_ENOMEM, "a workspace that is more than memory can address");
    return FTL_OK;
}

void ftl_cpu_program_destroy(ftl_program *program)
{
    cpu_program *p = (cpu_program *)program;
    ftl_memplan_deinit(&p->plan);
    ftl_free(p->steps);
    ftl_arena_deinit(&p->arena);
    ftl_graph_destroy(p->slice);
    ftl_free(p);
}

ftl_status ftl_cpu_compile_slice(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                                 const ftl_compile_options *options)
{
    cpu_device *d = (cpu_device *)device;
    *out = NULL;
    if (options->n_threads > FTL_POOL_MAX_THREADS)
        return ftl_fail(FTL_EINVAL, "%u threads are more than %d", options->n_threads,
                        FTL_POOL_MAX_THREADS);
    for (int32_t n = 0; n < ftl_graph_get_view(slice)->n_nodes; n++)
        FTL_TRY(ftl_cpu_supports(device, slice, n));
    cpu_program *p = ftl_calloc(1, sizeof *p);
    if (!p) return ftl_fail(FTL_ENOMEM, "no memory for a program");
    p->base.device = device;
    p->n_threads = options->n_threads ? options->n_threads : d->n_cores;
    ftl_status s = ftl_pass_dead(&p->slice, slice, false); /* a copy of our own */
    if (s == FTL_OK) s = build_program(d, p, options->weight_layout);
    if (s != FTL_OK) {
        ftl_cpu_program_destroy(&p->base);
        return s;
    }
    *out = &p->base;
    return FTL_OK;
}

ftl_status ftl_cpu_program_info(const ftl_program *program, ftl_program_info *out)
{
    const cpu_program *p = (const cpu_program *)program;
    out->workspace_bytes = p->workspace_bytes;
    out->workspace_lower_bound_bytes = p->plan.lower_bound_bytes;
    out->resident_bytes = p->arena.used_bytes + (size_t)p->n_steps * sizeof *p->steps;
    out->peak_bytes = p->workspace_bytes;
    out->flops = p->flops;
    out->bytes = p->bytes;
    out->seconds = -1;
    return FTL_OK;
}

ftl_status ftl_cpu_weight_layout(const ftl_program *program, uint32_t input, int32_t *layout,
                                 size_t *bytes)
{
    const cpu_program *p = (const cpu_program *)program;
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    *layout = p->layout[input];
    return ftl_cpu_layout_bytes((const cpu_device *)program->device, *layout,
                                &v->tensors[v->sources[input]].desc, bytes);
}

/* ---- run ----------------------------------------------------------------------------------- */

typedef struct walk {
    const cpu_program *program;
    cpu_run run;
    double *seconds_of_node; /* NULL: nobody asks */
} walk;

typedef struct chunk_call {
    const cpu_step *step;
    cpu_run *run;
} chunk_call;

static void run_chunk(void *arg, int64_t chunk, int thread)
{
    const chunk_call *call = arg;
    const cpu_step *s = call->step;
    char *scratch = call->run->workspace + s->scratch_offset + s->shared_bytes +
                    (size_t)thread * s->scratch_bytes;
    s->run(s, call->run, chunk, s->scratch_bytes ? scratch : NULL);
}

void ftl_cpu_run_fail(cpu_run *run, ftl_status status)
{
    int fine = FTL_OK;
    __atomic_compare_exchange_n(&run->status, &fine, (int)status, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED); /* the join orders the reading */
}

/* Steps of one chunk are thread 0's; a barrier stands where work crosses threads. */
static void walk_steps(void *arg, int thread, int n_threads)
{
    walk *w = arg;
    const cpu_program *p = w->program;
    bool is_apart = false; /* thread 0 has written what others have not waited for */
    for (int32_t i = 0; i < p->n_steps; i++) {
        chunk_call call = { &p->steps[i], &w->run };
        const int64_t began = w->seconds_of_node && thread == 0 ? ftl_clock_ns() : 0;
        if (p->steps[i].n_chunks == 1 || n_threads == 1) {
            for (int64_t k = 0; thread == 0 && k < p->steps[i].n_chunks; k++)
                run_chunk(&call, k, thread);
            is_apart = true;
        } else {
            if (is_apart) ftl_pool_barrier(w->run.pool, thread);
            is_apart = false;
            ftl_pool_share(w->run.pool, thread, p->steps[i].n_chunks, run_chunk, &call);
        }
        if (w->seconds_of_node && thread == 0)
            w->seconds_of_node[p->steps[i].node_index] += (double)(ftl_clock_ns() - began) * 1e-9;
    }
}

static void *resolve(const cpu_program *p, const ftl_run_args *args, char *workspace,
                     int32_t tensor)
{
    const ftl_place *place = &p->plan.place[tensor];
    const ftl_tensor *t = ftl_graph_peek(p->slice, tensor);
    switch (place->kind) {
    case FTL_PLACE_WORKSPACE: return workspace + place->offset;
    case FTL_PLACE_OUTPUT:
        return (char *)((cpu_buffer *)args->outputs[place->index])->data + place->offset;
    case FTL_PLACE_SOURCE:
        t = ftl_graph_peek(p->slice, place->index);
        if (t->kind == FTL_TENSOR_CONST) return (void *)(uintptr_t)t->data;
        return NULL; /* filled from the inputs, which know their order */
    case FTL_PLACE_NONE: break;
    }
    return NULL;
}

static void resolve_all(const cpu_program *p, const ftl_run_args *args, char *workspace,
                        void **data)
{
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    for (int32_t t = 0; t < v->n_tensors; t++) data[t] = resolve(p, args, workspace, t);
    for (int32_t s = 0; s < v->n_sources; s++)
        data[v->sources[s]] = ((cpu_buffer *)args->inputs[s])->data;
    for (int32_t t = 0; t < v->n_tensors; t++) { /* views of sources */
        const ftl_place *place = &p->plan.place[t];
        if (place->kind == FTL_PLACE_SOURCE && !data[t]) data[t] = data[place->index];
    }
}

static ftl_status run_program(const ftl_program *program, ftl_queue *queue,
                              const ftl_run_args *args, double *seconds_of_node)
{
    const cpu_program *p = (const cpu_program *)program;
    const cpu_queue *q = (const cpu_queue *)queue;
    const ftl_graph_view *v = ftl_graph_get_view(p->slice);
    if (q->base.n_threads != p->n_threads)
        return ftl_fail(FTL_EINVAL, "the program was compiled for %u threads, the queue has %u",
                        p->n_threads, q->base.n_threads);
    char *workspace = ((cpu_buffer *)args->workspace)->data;
    void **data = (void **)(workspace + p->table_offset);
    resolve_all(p, args, workspace, data);
    walk w = { .program = p,
               .seconds_of_node = seconds_of_node,
               .run = { .data = data,
                        .workspace = workspace,
                        .pool = q->pool,
                        .host_params = args->host_params } };
    ftl_pool_run(q->pool, walk_steps, &w);
    if (w.run.status != FTL_OK) return (ftl_status)w.run.status;
    for (int32_t i = 0; i < p->plan.n_copies; i++) {
        const ftl_memplan_copy *copy = &p->plan.copies[i];
        const cpu_buffer *to = (const cpu_buffer *)args->outputs[copy->output];
        memcpy(to->data, data[copy->tensor],
               ftl_desc_bytes_checked(&v->tensors[copy->tensor].desc));
    }
    return FTL_OK;
}

ftl_status ftl_cpu_program_run(const ftl_program *program, ftl_queue *queue,
                               const ftl_run_args *args, ftl_event **done)
{
    if (done) *done = NULL; /* all is done on return */
    return run_program(program, queue, args, NULL);
}

static ftl_status run_timed(const ftl_program *program, ftl_queue *queue, const ftl_run_args *args,
                            double *seconds_of_node)
{
    const cpu_program *p = (const cpu_program *)program;
    memset(seconds_of_node, 0, (size_t)p->plan.n_nodes * sizeof *seconds_of_node);
    return run_program(program, queue, args, seconds_of_node);
}

const ftl_profile_extension ftl_cpu_profile_extension = { run_timed };
