/* SPDX-License-Identifier: Apache-2.0 */
/* ModelProto, the limited memory under everything, and external data. */
#include "format/onnx_file.h"

#include <stdint.h>
#include <string.h>
#include <protobuf-c/protobuf-c.h>

#include "base/alloc.h"
#include "base/file.h"
#include "format/onnx_parse.h"
#include "onnx.pb-c.h"

enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_METADATA_PROPS = 14,
    MODEL_FUNCTIONS = 25,
    IR_MIN = 3,  /* the first with opset imports            */
    IR_MAX = 14, /* onnx 1.20; later ones may mean otherwise */
    /* Structs need more room than the bytes they come from: 16 times in DenseNet-121 without
     * weights (measured), at most this many times. */
    MEMORY_PER_FILE_BYTE = 32
};
/* Room for a file of any small size. */
static const size_t memory_base_bytes = (size_t)64 << 20;

typedef struct external_file {
    struct external_file *next;
    const char *location;
    ftl_file map;
} external_file;

struct ftl_onnx_file {
    ftl_onnx_context context;
    ftl_onnx_model model;
    ftl_file map;            /* of the model itself, empty when parsed from memory */
    bool has_folder;         /* external data can be looked for                    */
    external_file *external; /* in the arena                                       */
};

/* ---- memory with a limit ---- */

void *ftl_onnx_array(ftl_onnx_context *c, size_t count, size_t bytes)
{
    size_t total;
    const bool is_over = !ftl_mul_size(count, bytes, &total) || total > c->limit_bytes ||
                         c->arena.used_bytes > c->limit_bytes - total;
    void *memory = is_over ? NULL : ftl_arena_alloc(&c->arena, total);
    if (memory) return memory;
    c->n_failed++;
    c->is_over_limit = is_over;
    return NULL;
}

char *ftl_onnx_text(ftl_onnx_context *c, const void *text, size_t n)
{
    char *copy = n < SIZE_MAX ? ftl_onnx_array(c, n + 1, 1) : NULL;
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

ftl_status ftl_onnx_no_memory(const ftl_onnx_context *c)
{
    if (c->is_over_limit)
        return ftl_fail(
            FTL_EFORMAT,
            "%s: its description takes more than %zu MB of memory, which no real model of "
            "this file size does",
            c->name, c->limit_bytes >> 20);
    return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", c->name);
}

static void *unpack_alloc(void *context, size_t bytes)
{
    return ftl_onnx_array(context, bytes, 1);
}

/* The arena frees all at once. */
static void unpack_free(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

ftl_status ftl_onnx_unpack(ftl_onnx_context *c, const ProtobufCMessageDescriptor *type,
                           const ftl_wire_field *field, const char *what, void *out)
{
    FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, what));
    ProtobufCAllocator allocator = { unpack_alloc, unpack_free, c };
    const uint64_t failed_before = c->n_failed;
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, field->payload.size, field->payload.data);
    if (!message && c->n_failed != failed_before) return ftl_onnx_no_memory(c);
    if (!message)
        return ftl_reader_fail(&field->payload, "%s is no valid %s", what, type->short_name);
    memcpy(out, &message, sizeof message);
    return FTL_OK;
}

ftl_status ftl_onnx_text_field(ftl_onnx_context *c, const ftl_wire_field *field, const char *what,
                               const char **out)
{
    FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, what));
    const char *text = ftl_onnx_text(c, field->payload.data, field->payload.size);
    if (!text) return ftl_onnx_no_memory(c);
    *out = text;
    return FTL_OK;
}

/* ---- the model ---- */

typedef struct model_walk {
    ftl_onnx_context *context;
    ftl_onnx_model *model;
    const char *producer_name, *producer_version;
    bool has_graph;
    ftl_reader graph;
} model_walk;

static ftl_status count_model(ftl_reader message, ftl_onnx_model *m)
{
    for (;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&message, &field, &has));
        if (!has) return FTL_OK;
        m->n_opsets += field.number == MODEL_OPSET_IMPORT;
        m->n_metadata += field.number == MODEL_METADATA_PROPS;
        m->n_functions += field.number == MODEL_FUNCTIONS;
    }
}

static ftl_status add_opset(ftl_onnx_context *c, ftl_onnx_model *m, const ftl_wire_field *field)
{
    FtlOnnx__OperatorSetIdProto *p;
    FTL_TRY(ftl_onnx_unpack(c, &ftl_onnx__operator_set_id_proto__descriptor, field, "opset_import",
                            &p));
    const char *domain = p->domain && strcmp(p->domain, "ai.onnx") != 0 ? p->domain : "";
    if (p->version < 1)
        return ftl_reader_fail(&field->payload, "opset version %lld of domain \"%s\"",
                               (long long)p->version, domain);
    for (size_t i = 0; i < m->n_opsets; i++)
        if (strcmp(m->opsets[i].domain, domain) == 0 && m->opsets[i].version != p->version)
            return ftl_reader_fail(&field->payload,
                                   "domain \"%s\" is imported as version %lld and %lld", domain,
                                   (long long)m->opsets[i].version, (long long)p->version);
    m->opsets[m->n_opsets++] = (ftl_onnx_opset){ domain, p->version };
    return FTL_OK;
}

static ftl_status add_metadata(ftl_onnx_context *c, ftl_onnx_model *m, const ftl_wire_field *field)
{
    FtlOnnx__StringStringEntryProto *p;
    FTL_TRY(ftl_onnx_unpack(c, &ftl_onnx__string_string_entry_proto__descriptor, field,
                            "metadata_props", &p));
    m->metadata[m->n_metadata++] =
        (ftl_onnx_pair){ p->key ? p->key : "", p->value ? p->value : "" };
    return FTL_OK;
}

static ftl_status walk_field(model_walk *w, const ftl_wire_field *field)
{
    ftl_onnx_context *c = w->context;
    switch (field->number) {
    case MODEL_IR_VERSION:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_VARINT, "ir_version"));
        w->model->ir_version = (int64_t)field->value;
        return FTL_OK;
    case MODEL_PRODUCER_NAME:
        return ftl_onnx_text_field(c, field, "producer_name", &w->producer_name);
    case MODEL_PRODUCER_VERSION:
        return ftl_onnx_text_field(c, field, "producer_version", &w->producer_version);
    case MODEL_GRAPH:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, "graph"));
        if (w->has_graph) return ftl_reader_fail(&field->payload, "a second graph");
        w->has_graph = true;
        w->graph = field->payload;
        return FTL_OK;
    case MODEL_OPSET_IMPORT: return add_opset(c, w->model, field);
    case MODEL_METADATA_PROPS: return add_metadata(c, w->model, field);
    default: return FTL_OK;
    }
}

static ftl_status check_model(const model_walk *w)
{
    const ftl_onnx_model *m = w->model;
    const char *name = w->context->name;
    if (!w->has_graph || m->ir_version == 0)
        return ftl_fail(FTL_EFORMAT,
                        "%s: it has no %s, so it is no ONNX model (or it was cut short)", name,
                        w->has_graph ? "ir_version" : "graph");
    if (m->ir_version < IR_MIN || m->ir_version > IR_MAX)
        return ftl_fail(
            FTL_EUNSUPPORTED,
            "%s: field ir_version: %lld; %d to %d are read: export it again with another "
            "version of onnx",
            name, (long long)m->ir_version, IR_MIN, IR_MAX);
    if (m->n_opsets == 0)
        return ftl_fail(FTL_EFORMAT, "%s: field opset_import: no operator set is imported", name);
    return FTL_OK;
}

static ftl_status parse_model(ftl_onnx_context *c, ftl_reader message, ftl_onnx_model *m)
{
    *m = (ftl_onnx_model){ .producer = "" };
    FTL_TRY(count_model(message, m));
    m->opsets = ftl_onnx_array(c, m->n_opsets, sizeof *m->opsets);
    m->metadata = ftl_onnx_array(c, m->n_metadata, sizeof *m->metadata);
    if (!m->opsets || !m->metadata) return ftl_onnx_no_memory(c);
    m->n_opsets = m->n_metadata = 0;
    model_walk w = { .context = c, .model = m, .producer_name = "", .producer_version = "" };
    for (ftl_reader cursor = message;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&cursor, &field, &has));
        if (!has) break;
        FTL_TRY(walk_field(&w, &field));
    }
    FTL_TRY(check_model(&w));
    m->producer = ftl_arena_printf(&c->arena, "%s%s%s", w.producer_name,
                                   *w.producer_version ? " " : "", w.producer_version);
    if (!m->producer) return ftl_onnx_no_memory(c);
    return ftl_onnx_parse_graph(c, w.graph, 0, &m->graph);
}

static ftl_status parse_file(ftl_onnx_file *file, const void *data, size_t size, const char *name)
{
    ftl_onnx_context *c = &file->context;
    c->name = name;
    if (!ftl_mul_size(size, MEMORY_PER_FILE_BYTE, &c->limit_bytes) ||
        !ftl_add_size(c->limit_bytes, memory_base_bytes, &c->limit_bytes))
        c->limit_bytes = SIZE_MAX;
    if (size == 0) return ftl_fail(FTL_EFORMAT, "%s: the file is empty", name);
    ftl_reader message;
    ftl_reader_init(&message, data, size, name);
    return parse_model(c, message, &file->model);
}

ftl_status ftl_onnx_file_parse(ftl_onnx_file **out, const void *data, size_t size, const char *name)
{
    *out = NULL;
    ftl_onnx_file *file = ftl_calloc(1, sizeof *file);
    if (!file) return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", name);
    const ftl_status s = parse_file(file, data, size, name);
    if (s != FTL_OK) {
        ftl_onnx_file_close(file);
        return s;
    }
    *out = file;
    return FTL_OK;
}

ftl_status ftl_onnx_file_open(ftl_onnx_file **out, const char *path)
{
    *out = NULL;
    ftl_onnx_file *file = ftl_calloc(1, sizeof *file);
    if (!file) return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", path);
    file->has_folder = true;
    ftl_status s = ftl_file_map(&file->map, path);
    const char *name = s == FTL_OK ? ftl_arena_strdup(&file->context.arena, path) : NULL;
    if (s == FTL_OK && !name) s = ftl_fail(FTL_ENOMEM, "%s: no memory to read it", path);
    if (s == FTL_OK) s = parse_file(file, file->map.data, file->map.size, name);
    if (s != FTL_OK) {
        ftl_onnx_file_close(file);
        return s;
    }
    *out = file;
    return FTL_OK;
}

void ftl_onnx_file_close(ftl_onnx_file *file)
{
    if (!file) return;
    for (external_file *e = file->external; e; e = e->next) ftl_file_unmap(&e->map);
    ftl_file_unmap(&file->map);
    ftl_arena_deinit(&file->context.arena);
    ftl_free(file);
}

uint64_t ftl_onnx_file_mapped_bytes(const ftl_onnx_file *file)
{
    uint64_t sum = file->map.size;
    for (const external_file *e = file->external; e; e = e->next) sum += e->map.size;
    return sum;
}

static bool lies_in(const ftl_file *map, const void *data)
{
    const uintptr_t start = (uintptr_t)map->data, at = (uintptr_t)data;
    return map->size > 0 && at >= start && at - start < map->size;
}

bool ftl_onnx_file_is_mapped(const ftl_onnx_file *file, const void *data)
{
    bool is_in = lies_in(&file->map, data);
    for (const external_file *e = file->external; e; e = e->next) is_in |= lies_in(&e->map, data);
    return is_in;
}

const char *ftl_onnx_file_name(const ftl_onnx_file *file)
{
    return file->context.name;
}

const ftl_onnx_model *ftl_onnx_file_model(const ftl_onnx_file *file)
{
    return &file->model;
}

int64_t ftl_onnx_file_opset(const ftl_onnx_file *file)
{
    for (size_t i = 0; i < file->model.n_opsets; i++)
        if (!*file->model.opsets[i].domain) return file->model.opsets[i].version;
    return 0;
}

const char *ftl_onnx_file_metadata(const ftl_onnx_file *file, const char *key)
{
    for (size_t i = 0; i < file->model.n_metadata; i++)
        if (strcmp(file->model.metadata[i].key, key) == 0) return file->model.metadata[i].value;
    return NULL;
}

/* ---- external data ---- */

static ftl_status map_external(ftl_onnx_file *file, const char *location, external_file **out)
{
    ftl_onnx_context *c = &file->context;
    for (external_file *e = file->external; e; e = e->next)
        if (strcmp(e->location, location) == 0) {
            *out = e;
            return FTL_OK;
        }
    const char *slash = strrchr(c->name, '/');
    const int folder_bytes = slash ? (int)(slash - c->name + 1) : 0;
    char *path = ftl_arena_printf(&c->arena, "%.*s%s", folder_bytes, c->name, location);
    external_file *e = ftl_arena_alloc(&c->arena, sizeof *e);
    if (!path || !e) return ftl_fail(FTL_ENOMEM, "%s: no memory to read it", c->name);
    FTL_TRY(ftl_file_map(&e->map, path));
    e->location = location;
    e->next = file->external;
    file->external = e;
    *out = e;
    return FTL_OK;
}

ftl_status ftl_onnx_file_load(ftl_onnx_file *file, ftl_onnx_tensor *tensor)
{
    if (tensor->host.data) return FTL_OK;
    if (!file->has_folder)
        return ftl_fail(
            FTL_ENOTFOUND,
            "%s: tensor \"%s\" stands in \"%s\", which a model read from memory has not",
            file->context.name, tensor->host.name, tensor->location);
    external_file *e = NULL;
    const ftl_status s = map_external(file, tensor->location, &e);
    if (s != FTL_OK)
        return ftl_fail_context(s, "%s: weights of \"%s\"", file->context.name, tensor->host.name);
    if (tensor->offset > e->map.size || tensor->host.bytes > e->map.size - tensor->offset)
        return ftl_fail(
            FTL_EFORMAT,
            "%s: byte %llu: tensor \"%s\" needs %zu bytes from here, but the file ends at "
            "%zu",
            tensor->location, (unsigned long long)tensor->offset, tensor->host.name,
            tensor->host.bytes, e->map.size);
    tensor->host.data =
        tensor->host.bytes ? (const uint8_t *)e->map.data + tensor->offset : (const uint8_t *)"";
    return FTL_OK;
}

ftl_status ftl_onnx_file_load_all(ftl_onnx_file *file)
{
    const ftl_onnx_graph *g = &file->model.graph;
    for (size_t i = 0; i < g->n_initializers; i++)
        FTL_TRY(ftl_onnx_file_load(file, &g->initializers[i]));
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i].n_attrs; k++)
            if (g->nodes[i].attrs[k].t) FTL_TRY(ftl_onnx_file_load(file, g->nodes[i].attrs[k].t));
    return FTL_OK;
}
