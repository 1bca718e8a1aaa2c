/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling, what the compiler says about the result, and compiled programs as bytes. */
#include "backend/pjrt/pjrt_api.h"

#include <math.h>
#include <string.h>
#include "backend/pjrt/pjrt_internal.h"
#include "base/alloc.h"
#include "base/rng.h"

/* ---- options: protobuf wire format by hand, since this is all there is of it ---- */

enum wire { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static void put_varint(ftl_pjrt_build_bytes *b, uint64_t value)
{
    do {
        const uint8_t more = value > 127 ? 0x80 : 0;
        b->data[b->n++] = (uint8_t)(value & 127) | more;
        value >>= 7;
    } while (value);
}

static void put_field(ftl_pjrt_build_bytes *b, uint32_t field, int64_t value)
{
    put_varint(b, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(b, (uint64_t)value);
}

static void put_message(ftl_pjrt_build_bytes *b, uint32_t field, const ftl_pjrt_build_bytes *inner)
{
    put_varint(b, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(b, inner->n);
    memcpy(b->data + b->n, inner->data, inner->n);
    b->n += inner->n;
}

/* CompileOptionsProto { 7 overrides: map { 1 key, 2 value { 2 flag } } }. */
static void put_flag(ftl_pjrt_build_bytes *b, const char *name, bool value)
{
    ftl_pjrt_build_bytes entry = { .n = 0 }, key = { .n = strlen(name) }, flag = { .n = 0 };
    memcpy(key.data, name, key.n);
    put_field(&flag, 2, value);
    put_message(&entry, 1, &key);
    put_message(&entry, 2, &flag);
    put_message(b, 7, &entry);
}

/* CompileOptionsProto { 3 build { 4 n_replicas, 5 n_partitions, 9 assignment } };
 * assignment { 1 replicas, 2 computations, 3 { 1 ids (packed) } }. */
ftl_status ftl_pjrt_build_encode(ftl_pjrt_build_bytes *out, const ftl_pjrt_build *build)
{
    out->n = 0;
    if (build->n_replicas < 1 || build->n_partitions < 1 || build->n_replicas > INT32_MAX ||
        build->n_partitions > INT32_MAX || build->device_id < 0 || build->device_id > INT32_MAX)
        return ftl_fail(FTL_EINVAL,
                        "a program of %lld replicas and %lld partitions on device %lld is not "
                        "possible: the counts start at 1, devices at 0",
                        (long long)build->n_replicas, (long long)build->n_partitions,
                        (long long)build->device_id);
    ftl_pjrt_build_bytes body = { .n = 0 };
    put_field(&body, 4, build->n_replicas);
    put_field(&body, 5, build->n_partitions);
    if (build->device_id > 0 && build->n_replicas == 1 && build->n_partitions == 1) {
        ftl_pjrt_build_bytes id = { .n = 0 }, ids = { .n = 0 }, assignment = { .n = 0 };
        put_varint(&id, (uint64_t)build->device_id);
        put_message(&ids, 1, &id);
        put_field(&assignment, 1, 1);
        put_field(&assignment, 2, 1);
        put_message(&assignment, 3, &ids);
        put_message(&body, 9, &assignment);
    }
    put_message(out, 3, &body);
    if (build->is_cpu) put_flag(out, "xla_cpu_enable_fast_min_max", false);
    return FTL_OK;
}

/* ---- what the compiler says ---- */

static void read_memory(ftl_pjrt_program *p)
{
    ftl_pjrt_program_info *info = &p->info;
    ftl_pjrt_args_program_memory m = { .executable = p->executable };
    m.code = m.arguments = m.outputs = m.alias = m.temporary = m.peak = -1;
    if (ftl_pjrt_call_sized(p->client->plugin, FTL_PJRT_EXECUTABLE_MEMORY, &m, sizeof m, &m.head,
                            sizeof m) != FTL_OK)
        return;
    info->argument_bytes = m.arguments;
    info->output_bytes = m.outputs;
    info->alias_bytes = m.alias;
    info->temporary_bytes = m.temporary;
    info->code_bytes = m.code;
    info->peak_bytes = m.peak;
}

static double cost(const ftl_pjrt_args_values *costs, const char *name)
{
    const ftl_pjrt_named_value *v = ftl_pjrt_find_value(costs->values, costs->count, name);
    if (!v || v->kind != FTL_PJRT_VALUE_REAL || !isfinite(v->value.real)) return NAN;
    return (double)v->value.real;
}

static void read_costs(ftl_pjrt_program *p)
{
    ftl_pjrt_args_values costs = { .handle = p->executable };
    if (ftl_pjrt_call(p->client->plugin, FTL_PJRT_EXECUTABLE_COSTS, &costs, sizeof costs) != FTL_OK)
        return;
    const double flops = cost(&costs, "flops");
    const double bytes = cost(&costs, "bytes accessed");
    const double seconds = cost(&costs, "optimal_seconds");
    if (flops >= 0) p->info.flops = flops;
    if (bytes >= 0) p->info.bytes_accessed = bytes;
    if (isnan(seconds)) return;
    /* libtpu counts an instruction that its model does not know as -1 s: -3.99963 is 372 us and
     * four unknown ones. */
    p->info.is_seconds_partial = seconds < 0;
    p->info.seconds = seconds < 0 ? seconds - floor(seconds) : seconds;
}

static ftl_status read_output_shapes(ftl_pjrt_program *p)
{
    const ftl_pjrt_plugin *plugin = p->client->plugin;
    ftl_pjrt_args_array types = { .handle = p->executable };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_EXECUTABLE_OUTPUT_TYPES, &types, sizeof types));
    ftl_pjrt_args_output_dims dims = { .executable = p->executable };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_EXECUTABLE_OUTPUT_DIMS, &dims, sizeof dims));
    if (types.count != p->n_outputs || dims.n_outputs != p->n_outputs)
        return ftl_fail(FTL_EINTERNAL, "%s contradicts itself: %zu outputs, %zu types, %zu shapes",
                        p->client->platform, p->n_outputs, types.count, dims.n_outputs);
    const int32_t *type = types.items;
    const int64_t *dim = dims.dims;
    for (size_t i = 0; i < p->n_outputs; i++) {
        const size_t rank = dims.n_dims[i];
        if (rank > FTL_PJRT_RANK_MAX)
            return ftl_fail(FTL_EUNSUPPORTED,
                            "output %zu of the program has %zu dims, more than %d", i, rank,
                            FTL_PJRT_RANK_MAX);
        p->outputs[i].type = type[i];
        p->outputs[i].rank = (int32_t)rank;
        for (size_t k = 0; k < rank; k++) p->outputs[i].dims[k] = *dim++;
        size_t bytes;
        FTL_TRY(ftl_pjrt_shape_bytes(&bytes, &p->outputs[i]));
    }
    return FTL_OK;
}

/* From a loaded handle to a complete program. */
static ftl_status describe(ftl_pjrt_program *p)
{
    const ftl_pjrt_plugin *plugin = p->client->plugin;
    ftl_pjrt_args_get get = { .handle = p->loaded };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_LOADED_EXECUTABLE, &get, 32));
    p->executable = get.out.handle;
    get = (ftl_pjrt_args_get){ .handle = p->executable };
    FTL_TRY(ftl_pjrt_call(plugin, FTL_PJRT_EXECUTABLE_N_OUTPUTS, &get, 32));
    p->n_outputs = get.out.size;
    p->outputs = ftl_calloc(p->n_outputs ? p->n_outputs : 1, sizeof *p->outputs);
    if (!p->outputs) return ftl_fail(FTL_ENOMEM, "no memory to describe %zu outputs", p->n_outputs);
    FTL_TRY(read_output_shapes(p));
    read_memory(p);
    read_costs(p);
    return FTL_OK;
}

/* ---- life cycle ---- */

static ftl_status build_bytes(ftl_pjrt_build_bytes *out, const ftl_pjrt_client *client,
                              const ftl_pjrt_compile_options *options)
{
    const ftl_pjrt_device_info *device = ftl_pjrt_device_peek_info(client, options->device);
    if (!device)
        return ftl_fail(FTL_EINVAL, "device %u does not exist, %s has %zu", options->device,
                        client->platform, client->n_devices);
    const ftl_pjrt_build build = { .n_replicas = 1,
                                   .n_partitions = 1,
                                   .device_id = device->id,
                                   .is_cpu = strcmp(client->platform, "cpu") == 0 };
    return ftl_pjrt_build_encode(out, &build);
}

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return ftl_hash64(text, strlen(text) + 1, seed);
}

/* Which compiler and which machine, as far as the plug-in tells it. */
static uint64_t build_id(const ftl_pjrt_client *client, uint32_t device)
{
    const ftl_pjrt_plugin *plugin = client->plugin;
    uint64_t h = hash_text(client->version, plugin->file_id);
    h = hash_text(client->platform, h);
    h = hash_text(client->device_infos[device].kind, h);
    return ftl_hash64(&plugin->info.api_minor, sizeof plugin->info.api_minor, h);
}

ftl_status ftl_pjrt_program_key(uint64_t out[2], const ftl_pjrt_client *client, const char *text,
                                size_t text_bytes, const ftl_pjrt_compile_options *options)
{
    ftl_pjrt_build_bytes bytes;
    FTL_TRY(build_bytes(&bytes, client, options));
    const uint64_t id = build_id(client, options->device);
    for (uint64_t i = 0; i < 2; i++)
        out[i] = ftl_hash64(bytes.data, bytes.n, ftl_hash64(text, text_bytes, id + i));
    return FTL_OK;
}

static ftl_status make_program(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                               size_t text_bytes, const ftl_pjrt_compile_options *options)
{
    ftl_pjrt_program *p = ftl_calloc(1, sizeof *p);
    if (!p) return ftl_fail(FTL_ENOMEM, "no memory for a program");
    ftl_pjrt_client_retain(client);
    p->client = client;
    p->device = options->device;
    p->info = (ftl_pjrt_program_info){ -1, -1, -1, -1, -1, -1, -1, -1, -1, false };
    p->params = ftl_calloc(options->n_params ? options->n_params : 1, sizeof *p->params);
    ftl_status s = p->params ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for a program");
    if (s == FTL_OK) s = ftl_pjrt_program_key(p->key, client, text, text_bytes, options);
    for (size_t i = 0; s == FTL_OK && i < options->n_params; i++) {
        size_t bytes;
        p->params[i] = options->params[i];
        s = ftl_pjrt_shape_bytes(&bytes, &options->params[i]);
        if (s != FTL_OK) ftl_fail_context(s, "argument %zu of the program", i);
    }
    if (s != FTL_OK) {
        ftl_pjrt_program_destroy(p);
        return s;
    }
    p->n_params = options->n_params;
    *out = p;
    return FTL_OK;
}

void ftl_pjrt_program_destroy(ftl_pjrt_program *program)
{
    if (!program) return;
    const ftl_pjrt_plugin *plugin = program->client->plugin;
    ftl_pjrt_drop(plugin, FTL_PJRT_EXECUTABLE_DESTROY, program->executable);
    ftl_pjrt_drop(plugin, FTL_PJRT_LOADED_DESTROY, program->loaded);
    ftl_pjrt_client_destroy(program->client);
    ftl_free(program->params);
    ftl_free(program->outputs);
    ftl_free(program);
}

ftl_status ftl_pjrt_compile(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                            size_t text_bytes, const ftl_pjrt_compile_options *options)
{
    *out = NULL;
    ftl_pjrt_program *p;
    FTL_TRY(make_program(&p, client, text, text_bytes, options));
    ftl_pjrt_build_bytes bytes;
    const ftl_pjrt_program_text program = { .head.struct_size = sizeof program,
                                            .code = text,
                                            .code_bytes = text_bytes,
                                            .format = "mlir",
                                            .format_bytes = 4 };
    ftl_pjrt_args_compile args = { .client = client->handle, .program = &program };
    ftl_status s = build_bytes(&bytes, client, options);
    if (s == FTL_OK) {
        args.options = bytes.data;
        args.options_bytes = bytes.n;
        s = ftl_pjrt_call(client->plugin, FTL_PJRT_CLIENT_COMPILE, &args, sizeof args);
    }
    if (s == FTL_OK) {
        p->loaded = args.loaded;
        s = describe(p);
    }
    if (s != FTL_OK) {
        ftl_pjrt_program_destroy(p);
        const int64_t *v = client->plugin->info.stablehlo_current;
        return ftl_fail_context(s, "compiling for %s (StableHLO %lld.%lld.%lld)", client->platform,
                                (long long)v[0], (long long)v[1], (long long)v[2]);
    }
    *out = p;
    return FTL_OK;
}

const ftl_pjrt_program_info *ftl_pjrt_program_peek_info(const ftl_pjrt_program *program)
{
    return &program->info;
}

size_t ftl_pjrt_program_n_outputs(const ftl_pjrt_program *program)
{
    return program->n_outputs;
}

const ftl_pjrt_shape *ftl_pjrt_program_peek_output(const ftl_pjrt_program *program, size_t output)
{
    return output < program->n_outputs ? &program->outputs[output] : NULL;
}

/* ---- programs as bytes ----
 * offset 0 magic (8) | 8 key (16) | 24 payload bytes (8) | 32 checksum of payload (8) | 40 payload
 * Host byte order: compiled code does not travel either.  A plug-in parses a damaged payload with
 * luck at best, hence the checksum. */
enum { BLOB_HEAD_BYTES = 40 };
static const char blob_magic[8] = { 'F', 'T', 'L', 'P', 'J', 'R', 'T', '1' };

ftl_status ftl_pjrt_program_serialize(uint8_t **out, size_t *out_bytes,
                                      const ftl_pjrt_program *program)
{
    *out = NULL;
    *out_bytes = 0;
    ftl_pjrt_args_serialize args = { .executable = program->executable };
    FTL_TRY(
        ftl_pjrt_call(program->client->plugin, FTL_PJRT_EXECUTABLE_SERIALIZE, &args, sizeof args));
    size_t total = 0;
    uint8_t *blob = ftl_add_size(args.bytes, BLOB_HEAD_BYTES, &total) ? ftl_alloc(total) : NULL;
    if (blob) {
        const uint64_t head[2] = { args.bytes, ftl_hash64(args.data, args.bytes, 0) };
        memcpy(blob, blob_magic, 8);
        memcpy(blob + 8, program->key, 16);
        memcpy(blob + 24, head, 16);
        if (args.bytes) memcpy(blob + BLOB_HEAD_BYTES, args.data, args.bytes);
    }
    if (args.release) args.release(args.owner);
    if (!blob) return ftl_fail(FTL_ENOMEM, "no memory for a compiled program of %zu bytes", total);
    *out = blob;
    *out_bytes = total;
    return FTL_OK;
}

static ftl_status check_blob(const ftl_pjrt_program *p, const uint8_t *blob, size_t blob_bytes)
{
    if (blob_bytes < BLOB_HEAD_BYTES || memcmp(blob, blob_magic, 8))
        return ftl_fail(FTL_EFORMAT, "not a compiled PJRT program: it does not start as one");
    uint64_t head[2];
    memcpy(head, blob + 24, 16);
    if (head[0] != blob_bytes - BLOB_HEAD_BYTES)
        return ftl_fail(FTL_EFORMAT, "the compiled program should have %llu bytes and has %zu",
                        (unsigned long long)head[0], blob_bytes - BLOB_HEAD_BYTES);
    if (head[1] != ftl_hash64(blob + BLOB_HEAD_BYTES, blob_bytes - BLOB_HEAD_BYTES, 0))
        return ftl_fail(FTL_EFORMAT,
                        "the compiled program is damaged: its checksum does not match");
    if (memcmp(blob + 8, p->key, 16))
        return ftl_fail(FTL_ENOTFOUND,
                        "the compiled program is of another model, plug-in build or device");
    return FTL_OK;
}

ftl_status ftl_pjrt_program_load(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                                 size_t text_bytes, const ftl_pjrt_compile_options *options,
                                 const uint8_t *blob, size_t blob_bytes)
{
    *out = NULL;
    ftl_pjrt_program *p;
    FTL_TRY(make_program(&p, client, text, text_bytes, options));
    ftl_status s = check_blob(p, blob, blob_bytes);
    if (s == FTL_OK) {
        ftl_pjrt_args_load args = { .client = client->handle,
                                    .data = blob + BLOB_HEAD_BYTES,
                                    .bytes = blob_bytes - BLOB_HEAD_BYTES };
        s = ftl_pjrt_call_sized(client->plugin, FTL_PJRT_EXECUTABLE_LOAD, &args, sizeof args,
                                &args.head, sizeof args);
        p->loaded = args.loaded;
    }
    if (s == FTL_OK) s = describe(p);
    if (s != FTL_OK) {
        ftl_pjrt_program_destroy(p);
        return s;
    }
    *out = p;
    return FTL_OK;
}
