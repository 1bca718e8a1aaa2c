/* SPDX-License-Identifier: Apache-2.0 */
/* Vector: onnx 1.23, onnx.helper: Gemm with raw and typed initializers of five types, a Constant,
 * an operator of another domain with every kind of attribute, an If with two graphs, metadata. */
#include "format_test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "format/onnx_file.h"

static const uint8_t onnx_model[630] = {
    0x08, 0x08, 0x12, 0x05, 0x6d, 0x61, 0x6b, 0x65, 0x72, 0x1a, 0x03, 0x31, 0x2e, 0x30, 0x3a, 0xb5,
    0x04, 0x0a, 0x36, 0x0a, 0x01, 0x78, 0x0a, 0x01, 0x77, 0x0a, 0x01, 0x62, 0x12, 0x01, 0x79, 0x1a,
    0x02, 0x66, 0x63, 0x22, 0x04, 0x47, 0x65, 0x6d, 0x6d, 0x2a, 0x0f, 0x0a, 0x05, 0x61, 0x6c, 0x70,
    0x68, 0x61, 0x15, 0x00, 0x00, 0x00, 0x3f, 0xa0, 0x01, 0x01, 0x2a, 0x0d, 0x0a, 0x06, 0x74, 0x72,
    0x61, 0x6e, 0x73, 0x42, 0x18, 0x01, 0xa0, 0x01, 0x02, 0x0a, 0x2f, 0x12, 0x01, 0x63, 0x22, 0x08,
    0x43, 0x6f, 0x6e, 0x73, 0x74, 0x61, 0x6e, 0x74, 0x2a, 0x20, 0x0a, 0x05, 0x76, 0x61, 0x6c, 0x75,
    0x65, 0x2a, 0x14, 0x08, 0x02, 0x10, 0x06, 0x2a, 0x0b, 0x03, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0x01, 0x42, 0x01, 0x76, 0xa0, 0x01, 0x04, 0x0a, 0x6e, 0x0a, 0x01, 0x79, 0x12,
    0x01, 0x7a, 0x22, 0x06, 0x43, 0x75, 0x73, 0x74, 0x6f, 0x6d, 0x2a, 0x16, 0x0a, 0x04, 0x61, 0x78,
    0x65, 0x73, 0x40, 0x00, 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xa0,
    0x01, 0x07, 0x2a, 0x11, 0x0a, 0x04, 0x6d, 0x6f, 0x64, 0x65, 0x22, 0x06, 0x6c, 0x69, 0x6e, 0x65,
    0x61, 0x72, 0xa0, 0x01, 0x03, 0x2a, 0x11, 0x0a, 0x05, 0x6e, 0x61, 0x6d, 0x65, 0x73, 0x4a, 0x01,
    0x61, 0x4a, 0x02, 0x62, 0x63, 0xa0, 0x01, 0x08, 0x2a, 0x15, 0x0a, 0x06, 0x73, 0x63, 0x61, 0x6c,
    0x65, 0x73, 0x3d, 0x00, 0x00, 0xc0, 0x3f, 0x3d, 0x00, 0x00, 0x00, 0x40, 0xa0, 0x01, 0x06, 0x3a,
    0x09, 0x6d, 0x79, 0x2e, 0x64, 0x6f, 0x6d, 0x61, 0x69, 0x6e, 0x0a, 0x8b, 0x01, 0x0a, 0x04, 0x63,
    0x6f, 0x6e, 0x64, 0x12, 0x03, 0x6f, 0x75, 0x74, 0x22, 0x02, 0x49, 0x66, 0x2a, 0x3c, 0x0a, 0x0b,
    0x65, 0x6c, 0x73, 0x65, 0x5f, 0x62, 0x72, 0x61, 0x6e, 0x63, 0x68, 0x32, 0x2a, 0x0a, 0x0c, 0x0a,
    0x01, 0x79, 0x12, 0x01, 0x72, 0x22, 0x04, 0x52, 0x65, 0x6c, 0x75, 0x12, 0x04, 0x74, 0x68, 0x65,
    0x6e, 0x62, 0x14, 0x0a, 0x01, 0x72, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03,
    0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08, 0x03, 0xa0, 0x01, 0x05, 0x2a, 0x3c, 0x0a, 0x0b, 0x74, 0x68,
    0x65, 0x6e, 0x5f, 0x62, 0x72, 0x61, 0x6e, 0x63, 0x68, 0x32, 0x2a, 0x0a, 0x0c, 0x0a, 0x01, 0x79,
    0x12, 0x01, 0x72, 0x22, 0x04, 0x52, 0x65, 0x6c, 0x75, 0x12, 0x04, 0x74, 0x68, 0x65, 0x6e, 0x62,
    0x14, 0x0a, 0x01, 0x72, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03, 0x12, 0x01,
    0x4e, 0x0a, 0x02, 0x08, 0x03, 0xa0, 0x01, 0x05, 0x12, 0x01, 0x67, 0x2a, 0x23, 0x08, 0x02, 0x08,
    0x03, 0x10, 0x01, 0x42, 0x01, 0x77, 0x4a, 0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x3f,
    0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x40, 0x40, 0x00, 0x00, 0x80, 0x40, 0x00, 0x00, 0xa0, 0x40,
    0x2a, 0x15, 0x08, 0x03, 0x10, 0x01, 0x22, 0x0c, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x40,
    0x00, 0x00, 0x40, 0x40, 0x42, 0x01, 0x62, 0x2a, 0x17, 0x08, 0x02, 0x10, 0x07, 0x3a, 0x0c, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0xac, 0x02, 0x42, 0x03, 0x69, 0x64, 0x78,
    0x2a, 0x11, 0x08, 0x02, 0x10, 0x0a, 0x2a, 0x05, 0x80, 0x78, 0x80, 0x80, 0x01, 0x42, 0x04, 0x68,
    0x61, 0x6c, 0x66, 0x2a, 0x0d, 0x08, 0x02, 0x10, 0x02, 0x2a, 0x03, 0x07, 0xff, 0x01, 0x42, 0x02,
    0x75, 0x38, 0x5a, 0x14, 0x0a, 0x01, 0x78, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a,
    0x03, 0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08, 0x02, 0x5a, 0x0e, 0x0a, 0x04, 0x63, 0x6f, 0x6e, 0x64,
    0x12, 0x06, 0x0a, 0x04, 0x08, 0x09, 0x12, 0x00, 0x62, 0x16, 0x0a, 0x03, 0x6f, 0x75, 0x74, 0x12,
    0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03, 0x12, 0x01, 0x4e, 0x0a, 0x02, 0x08, 0x03,
    0x6a, 0x14, 0x0a, 0x01, 0x79, 0x12, 0x0f, 0x0a, 0x0d, 0x08, 0x01, 0x12, 0x09, 0x0a, 0x03, 0x12,
    0x01, 0x4e, 0x0a, 0x02, 0x08, 0x03, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x11, 0x42, 0x0d, 0x0a, 0x09,
    0x6d, 0x79, 0x2e, 0x64, 0x6f, 0x6d, 0x61, 0x69, 0x6e, 0x10, 0x01, 0x72, 0x0b, 0x0a, 0x04, 0x6d,
    0x65, 0x61, 0x6e, 0x12, 0x03, 0x30, 0x2e, 0x35, 0x72, 0x0c, 0x0a, 0x05, 0x6f, 0x72, 0x64, 0x65,
    0x72, 0x12, 0x03, 0x72, 0x67, 0x62,
};

/* Reads a byte of every element, so that a bad view crashes here. */
static unsigned touch(const ftl_onnx_graph *g)
{
    unsigned sum = 0;
    for (size_t i = 0; i < g->n_initializers; i++) {
        const ftl_host_tensor *t = &g->initializers[i].host;
        for (size_t b = 0; t->data && b < t->bytes; b++) sum += ((const uint8_t *)t->data)[b];
    }
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->nodes[i].n_attrs; k++)
            if (g->nodes[i].attrs[k].g) sum += touch(g->nodes[i].attrs[k].g);
    return sum;
}

static ftl_status parse(const void *data, size_t size, const char *name)
{
    ftl_onnx_file *f;
    const ftl_status s = ftl_onnx_file_parse(&f, data, size, name);
    if (s == FTL_OK) touch(&ftl_onnx_file_model(f)->graph);
    ftl_onnx_file_close(f);
    return s;
}

static const ftl_onnx_attr *find_attr(const ftl_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    fail_msg("%s has no %s", node->op_type, name);
    return NULL;
}

static void model_and_values(void **state)
{
    (void)state;
    ftl_onnx_file *f;
    assert_ok(ftl_onnx_file_parse(&f, onnx_model, sizeof onnx_model, "m.onnx"));
    const ftl_onnx_model *m = ftl_onnx_file_model(f);
    assert_int_equal(m->ir_version, 8);
    assert_string_equal(m->producer, "maker 1.0");
    assert_int_equal(ftl_onnx_file_opset(f), 17);
    assert_int_equal(m->n_opsets, 2);
    assert_string_equal(ftl_onnx_file_metadata(f, "order"), "rgb");
    assert_null(ftl_onnx_file_metadata(f, "absent"));
    const ftl_onnx_graph *g = &m->graph;
    assert_int_equal(g->n_nodes, 4);
    assert_int_equal(g->n_inputs, 2);
    assert_string_equal(g->inputs[0].name, "x");
    assert_int_equal(g->inputs[0].rank, 2);
    assert_int_equal(g->inputs[0].dims[0].value, -1);
    assert_string_equal(g->inputs[0].dims[0].param, "N");
    assert_int_equal(g->inputs[0].dims[1].value, 2);
    assert_int_equal(g->inputs[1].dtype, FTL_DTYPE_BOOL);
    assert_true(g->inputs[1].has_shape && g->inputs[1].rank == 0);
    assert_string_equal(g->outputs[0].name, "out");
    assert_int_equal(g->n_values, 1);
    ftl_onnx_file_close(f);
}

static void initializers(void **state)
{
    (void)state;
    ftl_onnx_file *f;
    assert_ok(ftl_onnx_file_parse(&f, onnx_model, sizeof onnx_model, "m.onnx"));
    const ftl_onnx_graph *g = &ftl_onnx_file_model(f)->graph;
    assert_int_equal(g->n_initializers, 5);
    const ftl_host_tensor *w = &g->initializers[0].host, *b = &g->initializers[1].host;
    const uint8_t *raw = w->data;
    assert_true(raw >= onnx_model && raw < onnx_model + sizeof onnx_model); /* not copied */
    assert_int_equal(w->bytes, 24);
    raw = b->data;
    assert_true(raw >= onnx_model && raw < onnx_model + sizeof onnx_model); /* packed floats */
    float third;
    memcpy(&third, raw + 8, 4);
    assert_true(third == 3);
    const int64_t *idx = g->initializers[2].host.data;
    assert_true(idx[0] == -1 && idx[1] == 300);
    const uint16_t *half = g->initializers[3].host.data;
    assert_true(half[0] == 0x3c00 && half[1] == 0x4000);
    const uint8_t *u8 = g->initializers[4].host.data;
    assert_true(u8[0] == 7 && u8[1] == 255);
    ftl_onnx_file_close(f);
}

static void nodes_and_attributes(void **state)
{
    (void)state;
    ftl_onnx_file *f;
    assert_ok(ftl_onnx_file_parse(&f, onnx_model, sizeof onnx_model, "m.onnx"));
    const ftl_onnx_node *n = ftl_onnx_file_model(f)->graph.nodes;
    assert_string_equal(n[0].op_type, "Gemm");
    assert_string_equal(n[0].name, "fc");
    assert_string_equal(n[0].inputs[2], "b");
    assert_true(find_attr(&n[0], "alpha")->f == 0.5f);
    assert_int_equal(find_attr(&n[0], "transB")->i, 1);
    const ftl_onnx_attr *value = find_attr(&n[1], "value");
    assert_int_equal(value->type, FTL_ONNX_ATTR_TENSOR);
    assert_int_equal(((const int32_t *)value->t->host.data)[1], -4);
    assert_string_equal(n[2].domain, "my.domain");
    assert_string_equal(find_attr(&n[2], "mode")->s, "linear");
    const ftl_onnx_attr *axes = find_attr(&n[2], "axes"), *names = find_attr(&n[2], "names");
    assert_true(axes->n == 2 && axes->ints[1] == -1);
    assert_true(find_attr(&n[2], "scales")->floats[0] == 1.5f);
    assert_string_equal(names->strings[1], "bc");
    const ftl_onnx_attr *then = find_attr(&n[3], "then_branch");
    assert_int_equal(then->type, FTL_ONNX_ATTR_GRAPH);
    assert_string_equal(then->g->nodes[0].op_type, "Relu");
    ftl_onnx_file_close(f);
}

/* ---- messages made by hand ---- */

typedef struct message {
    uint8_t bytes[4096];
    size_t n;
} message;

static void put_varint(message *m, uint64_t value)
{
    for (; value > 127; value >>= 7) m->bytes[m->n++] = (uint8_t)(value | 0x80);
    m->bytes[m->n++] = (uint8_t)value;
}

static void put_number(message *m, uint32_t field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, uint32_t field, const void *data, size_t n)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, n);
    assert_true(m->n + n < sizeof m->bytes);
    if (n) memcpy(m->bytes + m->n, data, n);
    m->n += n;
}

static void put_text(message *m, uint32_t field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static void put_message(message *m, uint32_t field, const message *inner)
{
    put_bytes(m, field, inner->bytes, inner->n);
}

/* ir_version 8, opset 13, and this graph. */
static message model_of(const message *graph)
{
    message m = { .n = 0 }, opset = { .n = 0 };
    put_number(&m, 1, 8);
    put_number(&opset, 2, 13);
    put_message(&m, 8, &opset);
    put_message(&m, 7, graph);
    return m;
}

static ftl_status parse_graph(const message *graph)
{
    const message m = model_of(graph);
    return parse(m.bytes, m.n, "lie.onnx");
}

static ftl_status parse_initializer(const message *tensor)
{
    message graph = { .n = 0 };
    put_message(&graph, 5, tensor);
    return parse_graph(&graph);
}

/* f32 tensor "t" of n elements, without data. */
static message tensor_of(uint64_t n)
{
    message t = { .n = 0 };
    put_number(&t, 1, n);
    put_number(&t, 2, 1);
    put_text(&t, 8, "t");
    return t;
}

static void lying_tensors(void **state)
{
    (void)state;
    message t = tensor_of(2);
    put_bytes(&t, 9, "12345678", 8);
    assert_ok(parse_initializer(&t));
    put_bytes(&t, 4, "1234", 4);
    assert_fails(FTL_EFORMAT, parse_initializer(&t)); /* raw and typed */
    t = tensor_of(2);
    put_bytes(&t, 9, "1234567", 7);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    assert_sentence("tensor \"t\" f32[2] needs 8 bytes but has 7");
    t = tensor_of(2);
    put_bytes(&t, 4, "1234", 4);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    assert_sentence("needs 2 elements but has 1 in field 4");
    t = tensor_of(2);
    put_bytes(&t, 4, "1234", 4);
    put_bytes(&t, 4, "1234", 4); /* two chunks are joined */
    assert_ok(parse_initializer(&t));
    t = tensor_of(2);
    put_bytes(&t, 7, "\1\2", 2);
    assert_fails(FTL_EFORMAT, parse_initializer(&t)); /* wrong typed field */
    t = tensor_of((uint64_t)1 << 62);
    put_number(&t, 1, (uint64_t)1 << 62);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    t = tensor_of(UINT64_MAX);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    t = tensor_of(1);
    for (int i = 0; i < 8; i++) put_number(&t, 1, 1);
    assert_fails(FTL_EUNSUPPORTED, parse_initializer(&t));
    t = tensor_of(1);
    put_number(&t, 2, 8); /* strings */
    assert_fails(FTL_EUNSUPPORTED, parse_initializer(&t));
    assert_sentence("data type 8");
    t = tensor_of(1);
    put_number(&t, 2, 3); /* i8 */
    put_bytes(&t, 5, "\x80\1", 2);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    assert_sentence("element 0 is 128, outside i8");
}

static void lying_models(void **state)
{
    (void)state;
    message graph = { .n = 0 }, node = { .n = 0 }, m;
    assert_ok(parse_graph(&graph));
    put_text(&node, 4, "Relu");
    put_text(&node, 2, "y");
    put_message(&graph, 1, &node);
    assert_ok(parse_graph(&graph));
    put_message(&graph, 1, &node);
    assert_fails(FTL_EFORMAT, parse_graph(&graph));
    assert_sentence("\"y\" is defined twice");
    m = model_of(&node);
    put_number(&m, 1, 99);
    assert_int_not_equal(parse(m.bytes, m.n, "lie.onnx"), FTL_OK);
    graph.n = 0;
    m = model_of(&graph);
    put_message(&m, 7, &graph);
    assert_fails(FTL_EFORMAT, parse(m.bytes, m.n, "lie.onnx"));
    assert_sentence("a second graph");
    m = model_of(&graph);
    put_number(&m, 1, 99);
    assert_fails(FTL_EUNSUPPORTED, parse(m.bytes, m.n, "lie.onnx"));
    assert_sentence("ir_version: 99");
    m.n = 0;
    put_number(&m, 1, 8);
    put_message(&m, 7, &graph);
    assert_fails(FTL_EFORMAT, parse(m.bytes, m.n, "lie.onnx"));
    assert_sentence("opset_import");
    node.n = 0;
    put_message(&graph, 1, &node);
    assert_fails(FTL_EFORMAT, parse_graph(&graph));
    assert_sentence("names no operator");
    /* Memory: 2-byte nodes that unpack to hundreds of bytes each. */
    assert_fails(FTL_EFORMAT, parse("", 0, "lie.onnx"));
}

static void nesting_is_limited(void **state)
{
    (void)state;
    message graph = { .n = 0 };
    for (int depth = 0; depth < 12; depth++) {
        message attr = { .n = 0 }, node = { .n = 0 };
        put_text(&attr, 1, "body");
        put_message(&attr, 6, &graph);
        put_number(&attr, 20, 5);
        put_text(&node, 4, "Loop");
        put_message(&node, 5, &attr);
        graph.n = 0;
        put_message(&graph, 1, &node);
        if (depth < 7) assert_ok(parse_graph(&graph));
        else assert_fails(FTL_EUNSUPPORTED, parse_graph(&graph));
    }
    assert_sentence("nested");
}

/* ---- external data ---- */

static message external_tensor(const char *location, const char *offset, const char *length)
{
    message t = tensor_of(2);
    const char *const keys[] = { "location", "offset", "length" };
    const char *const values[] = { location, offset, length };
    for (int i = 0; i < 3; i++) {
        message entry = { .n = 0 };
        if (!values[i]) continue;
        put_text(&entry, 1, keys[i]);
        put_text(&entry, 2, values[i]);
        put_message(&t, 13, &entry);
    }
    put_number(&t, 14, 1);
    return t;
}

static void external_paths_stay_inside(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "/etc/passwd", "..",         "../w.bin", "a/../../w",
                                       "a/..", "a\\w",        "./../w.bin", "//w" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const message t = external_tensor(bad[i], NULL, NULL);
        assert_fails(FTL_EFORMAT, parse_initializer(&t));
        assert_sentence("inside the model's own folder");
    }
    static const char *const good[] = { "w.bin", "a/w.bin", "..w", "a..b/w..", "..." };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const message t = external_tensor(good[i], "0", NULL);
        assert_ok(parse_initializer(&t));
    }
    message t = external_tensor("w", "-1", NULL);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    t = external_tensor("w", "0", "7");
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
    t = external_tensor("w", "99999999999999999999", NULL);
    assert_fails(FTL_EFORMAT, parse_initializer(&t));
}

static ftl_status load_external(const message *tensor, float *second)
{
    message graph = { .n = 0 };
    put_message(&graph, 5, tensor);
    const message m = model_of(&graph);
    assert_ok(ftl_file_write_all(ftl_test_temp("external.onnx"), m.bytes, m.n));
    ftl_onnx_file *f;
    assert_ok(ftl_onnx_file_open(&f, ftl_test_temp("external.onnx")));
    ftl_onnx_tensor *t = &ftl_onnx_file_model(f)->graph.initializers[0];
    assert_null(t->host.data);
    ftl_status s = ftl_onnx_file_load(f, t);
    if (s == FTL_OK) s = ftl_onnx_file_load(f, t); /* again: nothing to do */
    if (s == FTL_OK) memcpy(second, (const char *)t->host.data + 4, 4);
    ftl_onnx_file_close(f);
    return s;
}

static void external_data_is_mapped_when_asked_for(void **state)
{
    (void)state;
    static const float weights[4] = { 1, 2, 3, 4 };
    float second = 0;
    assert_ok(ftl_file_write_all(ftl_test_temp("w.bin"), weights, sizeof weights));
    message t = external_tensor("w.bin", "8", "8");
    assert_ok(load_external(&t, &second));
    assert_true(second == 4);
    t = external_tensor("w.bin", "12", NULL);
    assert_fails(FTL_EFORMAT, load_external(&t, &second));
    assert_sentence("the file ends at 16");
    t = external_tensor("w.bin", "18446744073709551615", NULL);
    assert_fails(FTL_EFORMAT, load_external(&t, &second));
    t = external_tensor("absent.bin", "0", NULL);
    assert_fails(FTL_ENOTFOUND, load_external(&t, &second));
    assert_sentence("absent.bin");
    ftl_onnx_file *f;
    message graph = { .n = 0 };
    put_message(&graph, 5, &t);
    const message m = model_of(&graph);
    assert_ok(ftl_onnx_file_parse(&f, m.bytes, m.n, "memory"));
    assert_fails(FTL_ENOTFOUND,
                 ftl_onnx_file_load(f, &ftl_onnx_file_model(f)->graph.initializers[0]));
    ftl_onnx_file_close(f);
}

/* 4 MB of nodes with attributes of 2 bytes each would unpack to a hundred times as much. */
static void memory_is_limited(void **state)
{
    (void)state;
    message node = { .n = 0 }, part = { .n = 0 }, m = { .n = 0 };
    put_text(&node, 4, "a");
    for (int i = 0; i < 100; i++) put_bytes(&node, 5, "", 0);
    put_message(&part, 1, &node);
    const size_t n = 20 * 1000, graph_bytes = n * part.n;
    put_number(&m, 1, 8);
    put_bytes(&m, 8, "\x10\x0d", 2);
    put_varint(&m, 7 << 3 | 2);
    put_varint(&m, graph_bytes);
    uint8_t *file = malloc(m.n + graph_bytes);
    assert_non_null(file);
    memcpy(file, m.bytes, m.n);
    for (size_t i = 0; i < n; i++) memcpy(file + m.n + i * part.n, part.bytes, part.n);
    const ftl_status s = parse(file, m.n + graph_bytes, "bomb.onnx");
    free(file);
    assert_int_equal(s, FTL_EFORMAT);
    assert_sentence("no real model");
}

static void tortures(void **state)
{
    (void)state;
    /* From 588 on only metadata_props is missing, and protobuf has no end mark. */
    torture_truncated(parse, onnx_model, sizeof onnx_model, 588);
    torture_flipped(parse, onnx_model, sizeof onnx_model);
    torture_no_memory(parse, onnx_model, sizeof onnx_model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_and_values),
        cmocka_unit_test(initializers),
        cmocka_unit_test(nodes_and_attributes),
        cmocka_unit_test(lying_tensors),
        cmocka_unit_test(lying_models),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(external_paths_stay_inside),
        cmocka_unit_test(external_data_is_mapped_when_asked_for),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(tortures),
    };
    return ftl_test_run(tests);
}
