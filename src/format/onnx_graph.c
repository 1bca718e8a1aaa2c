/* SPDX-License-Identifier: Apache-2.0 */
/* GraphProto, NodeProto, ValueInfoProto into plain structs.  A graph is walked twice: once to count
 * its parts, once to fill arrays of exactly that size. */
#include "format/onnx_parse.h"

#include <stdlib.h>
#include <string.h>

#include "core/dtype.h"
#include "onnx.pb-c.h"

enum {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE_INITIALIZER = 15,
    /* If inside Loop inside If happens; more is an attack on the stack. */
    GRAPH_DEPTH_MAX = 8
};

/* NULL from protobuf-c is an absent field. */
static const char *text_of(const char *text)
{
    return text ? text : "";
}

/* The standard domain has two spellings. */
static const char *domain_of(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* ---- attributes ---- */

/* Files of IR version 1 carry no type: the first field present tells it. */
static int32_t attr_type_number(const FtlOnnx__AttributeProto *a)
{
    if (a->has_type && a->type != 0) return a->type;
    if (a->has_f) return FTL_ONNX_ATTR_FLOAT;
    if (a->has_i) return FTL_ONNX_ATTR_INT;
    if (a->has_s) return FTL_ONNX_ATTR_STRING;
    if (a->has_t) return FTL_ONNX_ATTR_TENSOR;
    if (a->has_g) return FTL_ONNX_ATTR_GRAPH;
    if (a->n_floats) return FTL_ONNX_ATTR_FLOATS;
    if (a->n_ints) return FTL_ONNX_ATTR_INTS;
    if (a->n_strings) return FTL_ONNX_ATTR_STRINGS;
    return 0;
}

static ftl_status copy_strings(ftl_onnx_context *c, const FtlOnnx__AttributeProto *a,
                               ftl_onnx_attr *out)
{
    const char **strings = ftl_onnx_array(c, a->n_strings, sizeof *strings);
    if (!strings) return ftl_onnx_no_memory(c);
    for (size_t i = 0; i < a->n_strings; i++) {
        strings[i] = ftl_onnx_text(c, a->strings[i].data, a->strings[i].len);
        if (!strings[i]) return ftl_onnx_no_memory(c);
    }
    out->strings = strings;
    out->n = a->n_strings;
    return FTL_OK;
}

/* protobuf-c copied the nested message: offsets in its sentences count from its own start, which
 * the name in front of them says. */
static ftl_status nested_reader(ftl_onnx_context *c, const ProtobufCBinaryData *bytes,
                                const char *attr_name, ftl_reader *out)
{
    char *name = ftl_arena_printf(&c->arena, "%s: inside attribute \"%s\"", c->name, attr_name);
    if (!name) return ftl_onnx_no_memory(c);
    ftl_reader_init(out, bytes->data, bytes->len, name);
    return FTL_OK;
}

static ftl_status parse_attr(ftl_onnx_context *c, const FtlOnnx__AttributeProto *a, int depth,
                             ftl_onnx_attr *out)
{
    ftl_reader nested;
    *out = (ftl_onnx_attr){ .name = text_of(a->name), .s = "" };
    out->type_number = attr_type_number(a);
    out->type = out->type_number >= FTL_ONNX_ATTR_FLOAT && out->type_number <= FTL_ONNX_ATTR_STRINGS
                    ? (ftl_onnx_attr_type)out->type_number
                    : FTL_ONNX_ATTR_OTHER;
    out->f = a->f;
    out->i = a->i;
    switch (out->type) {
    case FTL_ONNX_ATTR_STRING:
        out->s = ftl_onnx_text(c, a->s.data, a->s.len);
        return out->s ? FTL_OK : ftl_onnx_no_memory(c);
    case FTL_ONNX_ATTR_TENSOR:
        out->t = ftl_onnx_array(c, 1, sizeof *out->t);
        if (!out->t) return ftl_onnx_no_memory(c);
        FTL_TRY(nested_reader(c, &a->t, out->name, &nested));
        return ftl_onnx_parse_tensor(c, nested, out->t);
    case FTL_ONNX_ATTR_GRAPH:
        out->g = ftl_onnx_array(c, 1, sizeof *out->g);
        if (!out->g) return ftl_onnx_no_memory(c);
        FTL_TRY(nested_reader(c, &a->g, out->name, &nested));
        return ftl_onnx_parse_graph(c, nested, depth + 1, out->g);
    case FTL_ONNX_ATTR_FLOATS:
        out->floats = a->floats;
        out->n = a->n_floats;
        return FTL_OK;
    case FTL_ONNX_ATTR_INTS:
        out->ints = a->ints;
        out->n = a->n_ints;
        return FTL_OK;
    case FTL_ONNX_ATTR_STRINGS: return copy_strings(c, a, out);
    default: return FTL_OK;
    }
}

/* ---- nodes and values ---- */

static ftl_status parse_node(ftl_onnx_context *c, const ftl_wire_field *field, int depth,
                             ftl_onnx_node *out)
{
    FtlOnnx__NodeProto *p;
    FTL_TRY(ftl_onnx_unpack(c, &ftl_onnx__node_proto__descriptor, field, "node", &p));
    *out = (ftl_onnx_node){ .name = text_of(p->name),
                            .op_type = text_of(p->op_type),
                            .domain = domain_of(p->domain),
                            .n_inputs = p->n_input,
                            .n_outputs = p->n_output,
                            .n_attrs = p->n_attribute,
                            .inputs = (const char *const *)p->input,
                            .outputs = (const char *const *)p->output,
                            .file_offset = ftl_reader_offset(&field->payload) };
    if (!*out->op_type)
        return ftl_reader_fail(&field->payload, "node \"%s\" names no operator", out->name);
    ftl_onnx_attr *attrs = ftl_onnx_array(c, p->n_attribute, sizeof *attrs);
    if (!attrs) return ftl_onnx_no_memory(c);
    out->attrs = attrs;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const ftl_status s = parse_attr(c, p->attribute[i], depth, &attrs[i]);
        if (s != FTL_OK) return ftl_fail_context(s, "%s node \"%s\"", out->op_type, out->name);
    }
    return FTL_OK;
}

static ftl_status parse_dims(ftl_onnx_context *c, const FtlOnnx__TensorShapeProto *shape,
                             const ftl_wire_field *field, ftl_onnx_value *out)
{
    if (shape->n_dim > FTL_MAX_RANK)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s: byte %llu: value \"%s\" has %zu dimensions; at most %d "
                        "are read",
                        c->name, (unsigned long long)ftl_reader_offset(&field->payload), out->name,
                        shape->n_dim, FTL_MAX_RANK);
    ftl_onnx_dim *dims = ftl_onnx_array(c, shape->n_dim, sizeof *dims);
    if (!dims) return ftl_onnx_no_memory(c);
    for (size_t i = 0; i < shape->n_dim; i++) {
        const FtlOnnx__TensorShapeProto__Dimension *d = shape->dim[i];
        dims[i] = (ftl_onnx_dim){ -1, text_of(d->dim_param) };
        /* Exporters write 0 or -1 for "not known"; a real 0 would be an empty tensor. */
        if (d->has_dim_value && d->dim_value > 0) dims[i].value = d->dim_value;
        if (d->has_dim_value && d->dim_value < -1)
            return ftl_reader_fail(&field->payload, "dimension %zu of value \"%s\" is %lld", i,
                                   out->name, (long long)d->dim_value);
    }
    out->has_shape = true;
    out->rank = shape->n_dim;
    out->dims = dims;
    return FTL_OK;
}

static ftl_status parse_value(ftl_onnx_context *c, const ftl_wire_field *field, ftl_onnx_value *out)
{
    FtlOnnx__ValueInfoProto *p;
    FTL_TRY(ftl_onnx_unpack(c, &ftl_onnx__value_info_proto__descriptor, field, "value", &p));
    *out = (ftl_onnx_value){ .name = text_of(p->name) };
    if (!*out->name) return ftl_reader_fail(&field->payload, "a value without a name");
    if (!p->type || !p->type->tensor_type) return FTL_OK;
    out->is_tensor = true;
    out->onnx_dtype = p->type->tensor_type->elem_type;
    out->dtype = ftl_dtype_from_onnx(out->onnx_dtype);
    const FtlOnnx__TensorShapeProto *shape = p->type->tensor_type->shape;
    return shape ? parse_dims(c, shape, field, out) : FTL_OK;
}

/* ---- no value twice ---- */

typedef enum definition_kind {
    DEFINED_BY_NODE,
    DEFINED_AS_INPUT,
    DEFINED_AS_INITIALIZER
} definition_kind;

typedef struct definition {
    const char *name;
    definition_kind kind;
} definition;

static int compare_definitions(const void *a, const void *b)
{
    const definition *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (int)x->kind - (int)y->kind;
}

static size_t collect_definitions(const ftl_onnx_graph *g, definition *out)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_inputs; i++)
        out[n++] = (definition){ g->inputs[i].name, DEFINED_AS_INPUT };
    for (size_t i = 0; i < g->n_initializers; i++)
        out[n++] = (definition){ g->initializers[i].host.name, DEFINED_AS_INITIALIZER };
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t j = 0; j < g->nodes[i].n_outputs; j++)
            if (*g->nodes[i].outputs[j]) /* "" is an output that nobody wants */
                out[n++] = (definition){ g->nodes[i].outputs[j], DEFINED_BY_NODE };
    return n;
}

/* An initializer may also be an input (its default value); everything else is defined once. */
static ftl_status check_definitions(ftl_onnx_context *c, const ftl_reader *message,
                                    const ftl_onnx_graph *g)
{
    size_t n = g->n_inputs + g->n_initializers;
    for (size_t i = 0; i < g->n_nodes; i++) n += g->nodes[i].n_outputs;
    definition *all = ftl_onnx_array(c, n, sizeof *all);
    if (!all) return ftl_onnx_no_memory(c);
    n = collect_definitions(g, all);
    if (n) qsort(all, n, sizeof *all, compare_definitions);
    for (size_t i = 0; i < n; i++) {
        if (!*all[i].name) return ftl_reader_fail(message, "an initializer without a name");
        if (i == 0 || strcmp(all[i].name, all[i - 1].name) != 0) continue;
        if (all[i].kind == DEFINED_AS_INITIALIZER && all[i - 1].kind == DEFINED_AS_INPUT) continue;
        return ftl_reader_fail(message, "value \"%s\" is defined twice", all[i].name);
    }
    return FTL_OK;
}

/* ---- the graph ---- */

static ftl_status count_parts(ftl_reader message, ftl_onnx_graph *g)
{
    for (;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&message, &field, &has));
        if (!has) return FTL_OK;
        g->n_nodes += field.number == GRAPH_NODE;
        g->n_initializers += field.number == GRAPH_INITIALIZER;
        g->n_inputs += field.number == GRAPH_INPUT;
        g->n_outputs += field.number == GRAPH_OUTPUT;
        g->n_values += field.number == GRAPH_VALUE_INFO;
    }
}

static ftl_status alloc_parts(ftl_onnx_context *c, ftl_onnx_graph *g)
{
    g->nodes = ftl_onnx_array(c, g->n_nodes, sizeof *g->nodes);
    g->initializers = ftl_onnx_array(c, g->n_initializers, sizeof *g->initializers);
    g->inputs = ftl_onnx_array(c, g->n_inputs, sizeof *g->inputs);
    g->outputs = ftl_onnx_array(c, g->n_outputs, sizeof *g->outputs);
    g->values = ftl_onnx_array(c, g->n_values, sizeof *g->values);
    return g->nodes && g->initializers && g->inputs && g->outputs && g->values
               ? FTL_OK
               : ftl_onnx_no_memory(c);
}

static ftl_status parse_part(ftl_onnx_context *c, const ftl_wire_field *field, int depth,
                             ftl_onnx_graph *g)
{
    switch (field->number) {
    case GRAPH_NODE: return parse_node(c, field, depth, &g->nodes[g->n_nodes++]);
    case GRAPH_NAME: return ftl_onnx_text_field(c, field, "the graph's name", &g->name);
    case GRAPH_INITIALIZER:
        FTL_TRY(ftl_wire_want(field, FTL_WIRE_BYTES, "initializer"));
        return ftl_onnx_parse_tensor(c, field->payload, &g->initializers[g->n_initializers++]);
    case GRAPH_INPUT: return parse_value(c, field, &g->inputs[g->n_inputs++]);
    case GRAPH_OUTPUT: return parse_value(c, field, &g->outputs[g->n_outputs++]);
    case GRAPH_VALUE_INFO: return parse_value(c, field, &g->values[g->n_values++]);
    case GRAPH_SPARSE_INITIALIZER:
        return ftl_fail(FTL_EUNSUPPORTED, "%s: byte %llu: a sparse initializer; export it dense",
                        c->name, (unsigned long long)ftl_reader_offset(&field->payload));
    default: return FTL_OK;
    }
}

ftl_status ftl_onnx_parse_graph(ftl_onnx_context *c, ftl_reader message, int depth,
                                ftl_onnx_graph *g)
{
    *g = (ftl_onnx_graph){ .name = "" };
    if (depth >= GRAPH_DEPTH_MAX)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: graphs nested more than %d deep", message.name,
                        GRAPH_DEPTH_MAX);
    FTL_TRY(count_parts(message, g));
    FTL_TRY(alloc_parts(c, g));
    g->n_nodes = g->n_initializers = g->n_inputs = g->n_outputs = g->n_values = 0;
    for (ftl_reader cursor = message;;) {
        ftl_wire_field field;
        bool has;
        FTL_TRY(ftl_wire_next(&cursor, &field, &has));
        if (!has) break;
        FTL_TRY(parse_part(c, &field, depth, g));
    }
    return check_definitions(c, &message, g);
}
