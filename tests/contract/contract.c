/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/contract.h"

#include <stdio.h>
#include <string.h>

#include "support/graphs.h"

const char *contract_name;
ftl_device *contract_device;

/* ---- devices ------------------------------------------------------------------------------- */

bool contract_is(const char *backend)
{
    return strcmp(contract_name, backend) == 0;
}

/* pjrt is here when a plug-in is named. */
static const char *plugin(void)
{
    const char *path = getenv("FETTLE_TEST_PJRT_CPU");
    return path && *path ? path : NULL;
}

static ftl_status open_named(ftl_device **out, const char *name, const ftl_device_options *more)
{
    ftl_device_options options = { .struct_size = sizeof options };
    if (more) options = *more;
    if (strcmp(name, "pjrt") == 0) options.library = plugin();
    return ftl_device_open_name(out, name, &options);
}

ftl_device *contract_open(const ftl_device_options *more)
{
    ftl_device *device;
    assert_ok(open_named(&device, contract_name, more));
    return device;
}

ftl_device *contract_open_script(const char *script)
{
    const ftl_device_options options = { .struct_size = sizeof options, .script = script };
    return contract_open(&options);
}

int contract_open_all(ftl_device *devices[CONTRACT_BACKENDS])
{
    int n = 0;
    for (int32_t i = 0; ftl_backend_at(i) && n < CONTRACT_BACKENDS; i++) {
        const char *name = ftl_backend_at(i)->name;
        if (strcmp(name, "pjrt") == 0 && !plugin()) continue;
        assert_ok(open_named(&devices[n], name, NULL));
        n++;
    }
    return n;
}

uint32_t contract_caps(void)
{
    ftl_device_info info;
    assert_ok(ftl_device_get_info(contract_device, &info));
    return info.caps;
}

int contract_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s BACKEND\n", argv[0]);
        return 2;
    }
    contract_name = argv[1];
    if (contract_is("pjrt") && !plugin()) ftl_test_skip("FETTLE_TEST_PJRT_CPU names no plug-in");
    if (open_named(&contract_device, contract_name, NULL) != FTL_OK) {
        printf("1..1\nnot ok 1 - open %s: %s\n", contract_name, ftl_error_text());
        return 1;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = _cmocka_run_group_tests(contract_name, tests, n_tests, NULL, NULL);
    ftl_device_close(contract_device);
    return failed;
}

/* ---- data ---------------------------------------------------------------------------------- */

void contract_fill(void *out, const ftl_tensor_desc *desc, uint64_t seed)
{
    const size_t n = ftl_desc_bytes_checked(desc);
    uint64_t state = seed * 2654435761u + 12345; /* Knuth's MMIX generator */
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const unsigned char byte = (unsigned char)(state >> 56);
        ((unsigned char *)out)[i] = desc->dtype == FTL_DTYPE_BOOL ? byte & 1 : byte;
    }
}

void contract_floats(float *out, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        double value;
        ftl_test_random(&value, 1, seed + i * 7919, -1, 1);
        out[i] = (float)value;
    }
}

ftl_tensor_desc contract_vector(int64_t n)
{
    return DESC(F32, n);
}

ftl_graph *contract_dense(void)
{
    static const ftl_init zero = { .kind = FTL_INIT_FILL };
    ftl_graph *g = ftl_test_graph();
    const ftl_tensor_desc weight = DESC(F32, 4, 5), bias = DESC(F32, 4);
    const int32_t x = ftl_test_input(g, DESC(F32, 3, 5));
    const int32_t w = ftl_graph_weight(g, "w", &weight, NULL, zero);
    const int32_t b = ftl_graph_weight(g, "b", &bias, NULL, zero);
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.act.kind = FTL_ACT_RELU;
    ftl_graph_output(g, "y", FTL_ADD(g, linear, &attr, x, w, b));
    assert_ok(ftl_graph_status(g));
    return g;
}

/* ---- rigs ---------------------------------------------------------------------------------- */

static ftl_status make_cells(rig *r)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    assert_true(v->n_sources <= RIG_CELLS && v->n_outputs <= RIG_CELLS);
    for (r->n_in = 0; r->n_in < v->n_sources; r->n_in++) {
        const ftl_tensor *t = &v->tensors[v->sources[r->n_in]];
        FTL_TRY(ftl_buffer_create(&r->in[r->n_in], r->device, &t->desc));
    }
    for (int32_t i = 0; i < v->n_outputs; i++) {
        for (int32_t a = 0; a < v->n_aliases; a++)
            if (v->aliases[a].output == i) {
                r->is_state[i] = true;
                r->out[i] = r->in[ftl_graph_source_index(r->legal, v->aliases[a].state)];
            }
        r->n_out = i + 1;
        if (r->is_state[i]) continue;
        const ftl_tensor_desc *d = &v->tensors[v->outputs[i].tensor].desc;
        FTL_TRY(ftl_buffer_create(&r->out[i], r->device, d));
    }
    ftl_program_info info;
    FTL_TRY(ftl_program_get_info(r->program, &info));
    const ftl_tensor_desc room = { FTL_DTYPE_U8, 1, { (int64_t)info.workspace_bytes } };
    return info.workspace_bytes ? ftl_buffer_create(&r->workspace, r->device, &room) : FTL_OK;
}

ftl_status rig_try_init(rig *r, ftl_device *device, const ftl_graph *graph, uint32_t n_threads)
{
    *r = (rig){ .device = device };
    FTL_TRY(ftl_device_legalize(&r->legal, device, graph));
    FTL_TRY(ftl_queue_create(&r->queue, device, n_threads));
    const ftl_compile_options o = { .struct_size = sizeof o,
                                    .n_threads = ftl_queue_threads(r->queue) };
    FTL_TRY(ftl_program_compile(&r->program, device, r->legal, &o));
    return make_cells(r);
}

void rig_init(rig *r, ftl_device *device, const ftl_graph *graph, uint32_t n_threads)
{
    assert_ok(rig_try_init(r, device, graph, n_threads));
}

void rig_deinit(rig *r)
{
    for (int32_t i = 0; i < RIG_CELLS; i++) {
        if (!r->is_shared[i]) ftl_buffer_destroy(r->in[i]);
        if (!r->is_state[i]) ftl_buffer_destroy(r->out[i]);
    }
    ftl_buffer_destroy(r->workspace);
    ftl_program_destroy(r->program);
    ftl_queue_destroy(r->queue);
    ftl_graph_destroy(r->legal);
}

ftl_status rig_try_put(rig *r, int32_t input, const void *host)
{
    int32_t layout;
    size_t bytes;
    ftl_buffer *old = r->in[input], *packed;
    FTL_TRY(ftl_program_weight_layout(r->program, (uint32_t)input, &layout, &bytes));
    if (layout == 0) return ftl_buffer_upload(r->queue, old, host, old->bytes);
    FTL_TRY(ftl_buffer_pack(&packed, r->queue, layout, host, &old->desc));
    assert_int_equal(packed->bytes, bytes);
    ftl_buffer_destroy(old);
    r->in[input] = packed;
    return FTL_OK;
}

void rig_put(rig *r, int32_t input, const void *host)
{
    assert_ok(rig_try_put(r, input, host));
}

void rig_put_zeros(rig *r)
{
    const ftl_graph_view *v = ftl_graph_get_view(r->legal);
    for (int32_t i = 0; i < r->n_in; i++) {
        if (v->tensors[v->sources[i]].kind != FTL_TENSOR_WEIGHT) continue;
        void *zeros = calloc(1, ftl_desc_bytes_checked(&r->in[i]->desc) + 1);
        assert_non_null(zeros);
        rig_put(r, i, zeros);
        free(zeros);
    }
}

void rig_get(rig *r, int32_t output, void *host)
{
    assert_ok(ftl_buffer_download(r->queue, r->out[output], host, r->out[output]->bytes));
}

ftl_run_args rig_args(const rig *r)
{
    return (ftl_run_args){ .struct_size = sizeof(ftl_run_args),
                           .inputs = r->in,
                           .outputs = r->out,
                           .workspace = r->workspace,
                           .host_params = r->params };
}

ftl_status rig_run(rig *r)
{
    const ftl_run_args args = rig_args(r);
    return ftl_program_run(r->program, r->queue, &args, NULL);
}
