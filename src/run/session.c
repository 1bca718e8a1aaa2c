/* SPDX-License-Identifier: Apache-2.0 */
/* A prepared model with its cells, and the run. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "core/init.h"
#include "core/op.h"
#include "run/pick.h"
#include "run/session_internal.h"

struct ftl_session {
    ftl_device *device;
    ftl_weight_store *store;
    bool owns_device; /* and the store */
    ftl_prepared prepared;
    ftl_queue *queue;
    ftl_buffer **inputs, **outputs; /* slice order */
    bool *owns_input;               /* weights belong to the store */
    ftl_buffer *workspace;
    int64_t *host_params;
    int32_t *input_source; /* of each input that a user sees: source of the slice */
    int32_t *input_param;  /* of each: first element in host_params, or -1        */
    int32_t *output_index; /* of each output that a user sees: output of the slice */
    int32_t n_inputs, n_outputs;
    ftl_session_memory memory;
    ftl_session_node *nodes; /* of the last profile */
};

/* ---- life cycle ---------------------------------------------------------------------------- */

static const ftl_graph_view *view_of(const ftl_session *s)
{
    return ftl_graph_get_view(s->prepared.slice);
}

void ftl_session_destroy(ftl_session *s)
{
    if (!s) return;
    if (s->prepared.slice) {
        const ftl_graph_view *v = view_of(s);
        for (int32_t i = 0; s->inputs && s->owns_input && i < v->n_sources; i++)
            if (s->owns_input[i]) ftl_buffer_destroy(s->inputs[i]);
        for (int32_t i = 0; s->outputs && i < v->n_outputs; i++) {
            bool is_state = false;
            for (int32_t a = 0; a < v->n_aliases; a++) is_state |= v->aliases[a].output == i;
            if (!is_state) ftl_buffer_destroy(s->outputs[i]);
        }
    }
    ftl_buffer_destroy(s->workspace);
    ftl_queue_destroy(s->queue);
    ftl_prepared_deinit(&s->prepared);
    ftl_free(s->inputs);
    ftl_free(s->outputs);
    ftl_free(s->owns_input);
    ftl_free(s->host_params);
    ftl_free(s->input_source);
    ftl_free(s->input_param);
    ftl_free(s->output_index);
    ftl_free(s->nodes);
    if (s->owns_device) {
        ftl_weight_store_destroy(s->store);
        ftl_device_close(s->device);
    }
    ftl_free(s);
}

/* FTL_ENOFIT with the number of bytes that are missing.  held: of weights that are loaded already,
 * for which nothing that is free now is needed. */
static ftl_status check_fit(const ftl_session_memory *memory, const ftl_session_options *options,
                            ftl_device *device, uint64_t held)
{
    ftl_device_info info;
    FTL_TRY(ftl_device_get_info(device, &info));
    uint64_t limit = options->max_memory_bytes;
    const uint64_t have_free = info.free_bytes ? info.free_bytes + held : 0;
    if (!limit || (have_free && have_free < limit)) limit = have_free;
    if (!limit || memory->total_bytes <= limit) return FTL_OK;
    char need[32], have[32], missing[32];
    return ftl_fail(FTL_ENOFIT, "does not fit: needs %s, %s may be used, %s are missing",
                    ftl_text_bytes(need, sizeof need, memory->total_bytes),
                    ftl_text_bytes(have, sizeof have, limit),
                    ftl_text_bytes(missing, sizeof missing, memory->total_bytes - limit));
}

/* Tables of what a user sees: inputs and parameters, outputs that are no state. */
static ftl_status list_interface(ftl_session *s)
{
    const ftl_graph_view *v = view_of(s);
    const size_t sources = (size_t)v->n_sources + 1, outputs = (size_t)v->n_outputs + 1;
    int64_t n_params = 0;
    s->input_source = ftl_calloc(sources, sizeof *s->input_source);
    s->input_param = ftl_calloc(sources, sizeof *s->input_param);
    s->output_index = ftl_calloc(outputs, sizeof *s->output_index);
    s->inputs = ftl_calloc(sources, sizeof(ftl_buffer *));
    s->outputs = ftl_calloc(outputs, sizeof(ftl_buffer *));
    s->owns_input = ftl_calloc(sources, sizeof *s->owns_input);
    if (!s->input_source || !s->input_param || !s->output_index || !s->inputs || !s->outputs ||
        !s->owns_input)
        return ftl_fail(FTL_ENOMEM, "no memory for a session");
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        if (t->kind != FTL_TENSOR_INPUT && t->kind != FTL_TENSOR_PARAM) continue;
        const bool is_param = t->kind == FTL_TENSOR_PARAM;
        s->input_source[s->n_inputs] = i;
        s->input_param[s->n_inputs++] = is_param ? (int32_t)n_params : -1;
        if (is_param) n_params += ftl_desc_count_checked(&t->desc);
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        bool is_state = false;
        for (int32_t a = 0; a < v->n_aliases; a++) is_state |= v->aliases[a].output == i;
        if (!is_state) s->output_index[s->n_outputs++] = i;
    }
    s->host_params = ftl_calloc((size_t)n_params + 1, sizeof *s->host_params);
    return s->host_params ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a session");
}

/* State begins with what its init says: zeros mostly, which a fresh cell has already. */
static ftl_status fill_state(ftl_session *s, ftl_buffer *cell, const ftl_tensor *t, uint64_t seed)
{
    if (t->init.kind == FTL_INIT_FILL && t->init.scale == 0) return FTL_OK;
    const size_t room = cell->bytes ? cell->bytes : 1; /* the system maps no nothing */
    void *bytes = ftl_pages_alloc(room);
    if (!bytes) return ftl_fail(FTL_ENOMEM, "no memory for the state %s", t->name);
    ftl_init_fill(t, seed, bytes);
    const ftl_status status = ftl_buffer_upload(s->queue, cell, bytes, cell->bytes);
    ftl_pages_free(bytes, room);
    return status;
}

static ftl_status make_cells(ftl_session *s, uint64_t seed)
{
    const ftl_graph_view *v = view_of(s);
    for (int32_t i = 0; i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        if (t->kind == FTL_TENSOR_WEIGHT) continue;
        FTL_TRY(ftl_buffer_create(&s->inputs[i], s->device, &t->desc));
        s->owns_input[i] = true;
        if (t->kind == FTL_TENSOR_STATE) FTL_TRY(fill_state(s, s->inputs[i], t, seed));
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        int32_t state = -1;
        for (int32_t a = 0; a < v->n_aliases; a++)
            if (v->aliases[a].output == i) state = v->aliases[a].state;
        if (state >= 0) {
            s->outputs[i] = s->inputs[ftl_graph_source_index(s->prepared.slice, state)];
            continue;
        }
        const ftl_tensor_desc *d = &v->tensors[v->outputs[i].tensor].desc;
        FTL_TRY(ftl_buffer_create(&s->outputs[i], s->device, d));
    }
    ftl_program_info info;
    FTL_TRY(ftl_program_get_info(s->prepared.program, &info));
    if (!info.workspace_bytes) return FTL_OK;
    const ftl_tensor_desc d = { .dtype = FTL_DTYPE_U8,
                                .rank = 1,
                                .dim = { (int64_t)info.workspace_bytes } };
    return ftl_buffer_create(&s->workspace, s->device, &d);
}

/* Graphs, program and memory figures; nothing is loaded. */
static ftl_status prepare(ftl_prepared *out, ftl_session_memory *memory, const ftl_model *model,
                          ftl_device *device, const ftl_session_options *options,
                          uint32_t n_threads)
{
    ftl_dim_value *dims = ftl_calloc((size_t)options->n_dims + 1, sizeof *dims);
    int32_t n_dims = 0;
    if (!dims) return ftl_fail(FTL_ENOMEM, "no memory for a session");
    ftl_status s = ftl_prepare_dims(dims, &n_dims, model, options);
    if (s == FTL_OK) s = ftl_prepared_init(out, model, device, dims, n_dims);
    if (s == FTL_OK) s = ftl_prepared_compile(out, n_threads, options->cache_folder);
    if (s == FTL_OK) s = ftl_prepared_memory(out, memory);
    ftl_free(dims);
    return s;
}

ftl_status ftl_session_create_on(ftl_session **out, ftl_model *model, ftl_device *device,
                                 ftl_weight_store *store, const ftl_session_options *options,
                                 ftl_load_progress progress, void *arg)
{
    *out = NULL;
    ftl_session *s = ftl_calloc(1, sizeof *s);
    if (!s) return ftl_fail(FTL_ENOMEM, "no memory for a session");
    s->device = device;
    s->store = store;
    ftl_status status = ftl_queue_create(&s->queue, device, options->n_threads);
    const uint32_t threads = status == FTL_OK ? ftl_queue_threads(s->queue) : 0;
    if (status == FTL_OK)
        status = prepare(&s->prepared, &s->memory, model, device, options, threads);
    if (status == FTL_OK)
        status = check_fit(&s->memory, options, device, ftl_weight_store_held(store, &s->prepared));
    if (status == FTL_OK) status = list_interface(s);
    if (status == FTL_OK)
        status = ftl_weight_store_fill(store, s->queue, &s->prepared, s->inputs, progress, arg);
    if (status == FTL_OK) status = make_cells(s, options->seed);
    if (status != FTL_OK) {
        ftl_session_destroy(s);
        return status;
    }
    *out = s;
    return FTL_OK;
}

ftl_status ftl_session_create(ftl_session **out, ftl_model *model,
                              const ftl_session_options *options)
{
    ftl_device *device = NULL;
    ftl_weight_store *store = NULL;
    char name[FTL_PICK_NAME];
    *out = NULL;
    ftl_status s = ftl_pick_device(&device, name, options->device, NULL, NULL);
    if (s == FTL_OK) s = ftl_weight_store_create(&store, device, options->seed);
    if (s == FTL_OK) s = ftl_session_create_on(out, model, device, store, options, NULL, NULL);
    if (s == FTL_OK) {
        (*out)->owns_device = true;
        return FTL_OK;
    }
    ftl_weight_store_destroy(store);
    ftl_device_close(device);
    return s;
}

ftl_status ftl_session_predict_memory(ftl_session_memory *out, ftl_model *model,
                                      const ftl_session_options *options)
{
    ftl_device *device = NULL;
    ftl_queue *queue = NULL;
    ftl_prepared prepared = { 0 };
    char name[FTL_PICK_NAME];
    *out = (ftl_session_memory){ .struct_size = sizeof *out };
    ftl_status s = ftl_pick_device(&device, name, options->device, NULL, NULL);
    if (s == FTL_OK) s = ftl_queue_create(&queue, device, options->n_threads);
    if (s == FTL_OK) s = prepare(&prepared, out, model, device, options, ftl_queue_threads(queue));
    ftl_prepared_deinit(&prepared);
    ftl_queue_destroy(queue);
    ftl_device_close(device);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------- */

void ftl_session_get_memory(const ftl_session *session, ftl_session_memory *out)
{
    *out = session->memory;
}

const ftl_prepared *ftl_session_get_prepared(const ftl_session *session)
{
    return &session->prepared;
}

const char *ftl_session_device(const ftl_session *session)
{
    return ftl_device_backend_name(session->device);
}

uint32_t ftl_session_n_threads(const ftl_session *session)
{
    return session->prepared.n_threads;
}

int32_t ftl_session_n_inputs(const ftl_session *session)
{
    return session->n_inputs;
}

int32_t ftl_session_n_outputs(const ftl_session *session)
{
    return session->n_outputs;
}

static const ftl_tensor *input_tensor(const ftl_session *s, int32_t i)
{
    if (i < 0 || i >= s->n_inputs) return NULL;
    return &view_of(s)->tensors[view_of(s)->sources[s->input_source[i]]];
}

const char *ftl_session_input_name(const ftl_session *session, int32_t i)
{
    const ftl_tensor *t = input_tensor(session, i);
    return t ? t->name : NULL;
}

const ftl_tensor_desc *ftl_session_input_desc(const ftl_session *session, int32_t i)
{
    const ftl_tensor *t = input_tensor(session, i);
    return t ? &t->desc : NULL;
}

const char *ftl_session_output_name(const ftl_session *session, int32_t i)
{
    if (i < 0 || i >= session->n_outputs) return NULL;
    return view_of(session)->outputs[session->output_index[i]].name;
}

const ftl_tensor_desc *ftl_session_output_desc(const ftl_session *session, int32_t i)
{
    if (i < 0 || i >= session->n_outputs) return NULL;
    return &session->outputs[session->output_index[i]]->desc;
}

/* ---- running ------------------------------------------------------------------------------- */

ftl_status ftl_session_set_input(ftl_session *session, int32_t i, const void *data, size_t bytes)
{
    const ftl_tensor *t = input_tensor(session, i);
    if (!t) return ftl_fail(FTL_EINVAL, "the model has no input %d", (int)i);
    ftl_buffer *cell = session->inputs[session->input_source[i]];
    if (bytes != cell->bytes) {
        char text[FTL_DESC_TEXT];
        return ftl_fail(FTL_EINVAL, "input \"%s\" is %s, %zu bytes; %zu were given", t->name,
                        ftl_desc_print(&t->desc, text, sizeof text), cell->bytes, bytes);
    }
    if (session->input_param[i] >= 0) {
        int64_t *host = session->host_params + session->input_param[i];
        const int64_t n = ftl_desc_count_checked(&t->desc);
        for (int64_t k = 0; k < n; k++) { /* an f32 travels as its bits */
            int32_t bits;
            memcpy(&bits, (const char *)data + k * 4, sizeof bits);
            host[k] = t->desc.dtype == FTL_DTYPE_F32 ? (int64_t)(uint32_t)bits : bits;
        }
    }
    return ftl_buffer_upload(session->queue, cell, data, bytes);
}

ftl_status ftl_session_set_random_inputs(ftl_session *session, uint64_t seed)
{
    for (int32_t i = 0; i < session->n_inputs; i++) {
        const ftl_tensor *t = input_tensor(session, i);
        const size_t bytes = ftl_desc_bytes_checked(&t->desc);
        const size_t room = bytes ? bytes : 1;
        void *data = ftl_pages_alloc(room);
        if (!data) return ftl_fail(FTL_ENOMEM, "no memory for input \"%s\"", t->name);
        ftl_init_fill(t, seed, data);
        const ftl_status s = ftl_session_set_input(session, i, data, bytes);
        ftl_pages_free(data, room);
        FTL_TRY(s);
    }
    return FTL_OK;
}

ftl_status ftl_session_get_output(ftl_session *session, int32_t i, void *data, size_t bytes)
{
    if (i < 0 || i >= session->n_outputs)
        return ftl_fail(FTL_EINVAL, "the model has no output %d", (int)i);
    ftl_buffer *cell = session->outputs[session->output_index[i]];
    if (bytes != cell->bytes)
        return ftl_fail(FTL_EINVAL, "output \"%s\" has %zu bytes, not %zu",
                        ftl_session_output_name(session, i), cell->bytes, bytes);
    return ftl_buffer_download(session->queue, cell, data, bytes);
}

static ftl_run_args args_of(const ftl_session *s)
{
    return (ftl_run_args){ .struct_size = sizeof(ftl_run_args),
                           .inputs = s->inputs,
                           .outputs = s->outputs,
                           .workspace = s->workspace,
                           .host_params = s->host_params };
}

ftl_status ftl_session_run(ftl_session *session, double *seconds)
{
    const ftl_run_args args = args_of(session);
    const int64_t began = ftl_clock_ns();
    FTL_TRY(ftl_program_run(session->prepared.program, session->queue, &args, NULL));
    if (seconds) *seconds = (double)(ftl_clock_ns() - began) * 1e-9;
    return FTL_OK;
}

/* ---- per node ------------------------------------------------------------------------------ */

/* Medians over n_runs of each node's seconds. */
static ftl_status time_nodes(ftl_session *s, const ftl_profile_extension *profile, int32_t n_runs)
{
    const int32_t n_nodes = view_of(s)->n_nodes;
    const ftl_run_args args = args_of(s);
    double *all = ftl_calloc((size_t)n_nodes * (size_t)n_runs + 1, sizeof *all);
    double *one = ftl_calloc((size_t)n_runs, sizeof *one);
    ftl_status status = all && one ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory to time nodes");
    for (int32_t r = 0; status == FTL_OK && r < n_runs; r++)
        status = profile->run_timed(s->prepared.program, s->queue, &args,
                                    all + (size_t)r * (size_t)n_nodes);
    for (int32_t n = 0; status == FTL_OK && n < n_nodes; n++) {
        for (int32_t r = 0; r < n_runs; r++) one[r] = all[(size_t)r * (size_t)n_nodes + (size_t)n];
        s->nodes[n].seconds = ftl_stats_of(one, (size_t)n_runs).median;
    }
    ftl_free(all);
    ftl_free(one);
    return status;
}

ftl_status ftl_session_profile(ftl_session *session, int32_t n_runs, const ftl_session_node **rows,
                               int32_t *n_rows)
{
    const ftl_graph_view *v = view_of(session);
    *rows = NULL;
    *n_rows = 0;
    ftl_free(session->nodes);
    session->nodes = ftl_calloc((size_t)v->n_nodes + 1, sizeof *session->nodes);
    if (!session->nodes) return ftl_fail(FTL_ENOMEM, "no memory to list nodes");
    for (int32_t n = 0; n < v->n_nodes; n++) {
        ftl_op_cost cost;
        ftl_node_cost(session->prepared.slice, &v->nodes[n], NULL, &cost);
        session->nodes[n] = (ftl_session_node){ .op = ftl_op_get_info(v->nodes[n].op)->name,
                                                .name = v->nodes[n].name,
                                                .flops = cost.flops,
                                                .bytes = cost.bytes_read + cost.bytes_written };
    }
    if (n_runs > 0) {
        const ftl_profile_extension *profile = ftl_device_extension(session->device, "profile");
        if (!profile)
            return ftl_fail(FTL_EUNSUPPORTED, "%s cannot time single nodes",
                            ftl_device_backend_name(session->device));
        FTL_TRY(time_nodes(session, profile, n_runs));
    }
    *rows = session->nodes;
    *n_rows = v->n_nodes;
    return FTL_OK;
}
