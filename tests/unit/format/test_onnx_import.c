/* SPDX-License-Identifier: Apache-2.0 */
/* The importer on models made here, byte by byte: what becomes a weight, what is worked out on the
 * way, and how wrong and hostile files are refused.  Numbers are compared in tests/golden. */
#include "format_test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "format/onnx_import.h"

/* ---- a model in the making ----------------------------------------------------------------- */

typedef struct bytes {
    uint8_t data[1 << 14];
    size_t n;
} bytes;

typedef struct maker {
    bytes graph, attrs; /* attrs: of the node that is added next */
} maker;

static void put_varint(bytes *b, uint64_t value)
{
    do {
        assert_true(b->n < sizeof b->data);
        b->data[b->n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
}

static void put_int(bytes *b, uint32_t field, int64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)value);
}

static void put_bytes(bytes *b, uint32_t field, const void *data, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    assert_true(b->n + n <= sizeof b->data);
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void put_text(bytes *b, uint32_t field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static void put(bytes *b, uint32_t field, const bytes *part)
{
    put_bytes(b, field, part->data, part->n);
}

/* Attributes of the next node. */
static void attr_int(maker *m, const char *name, int64_t value)
{
    bytes a = { .n = 0 };
    put_text(&a, 1, name);
    put_int(&a, 3, value);
    put_int(&a, 20, 2);
    put(&m->attrs, 5, &a);
}

static void attr_ints(maker *m, const char *name, const int64_t *values, size_t n)
{
    bytes a = { .n = 0 };
    put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) put_int(&a, 8, values[i]);
    put_int(&a, 20, 7);
    put(&m->attrs, 5, &a);
}
#define ATTR_INTS(m, name, ...)                                                                    \
    attr_ints((m), (name), (const int64_t[]){ __VA_ARGS__ },                                       \
              sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static void attr_text(maker *m, const char *name, const char *value)
{
    bytes a = { .n = 0 };
    put_text(&a, 1, name);
    put_text(&a, 4, value);
    put_int(&a, 20, 3);
    put(&m->attrs, 5, &a);
}

/* Names in a list are separated by spaces; "-" is one left out. */
static void put_names(bytes *b, uint32_t field, const char *list)
{
    char copy[256], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", list);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        put_text(b, field, strcmp(name, "-") == 0 ? "" : name);
}

static void node_of(maker *m, const char *domain, const char *type, const char *in, const char *out)
{
    bytes b = { .n = 0 };
    put_names(&b, 1, in);
    put_names(&b, 2, out);
    put_text(&b, 3, "node");
    put_text(&b, 4, type);
    put_text(&b, 7, domain);
    memcpy(b.data + b.n, m->attrs.data, m->attrs.n);
    b.n += m->attrs.n;
    m->attrs.n = 0;
    put(&m->graph, 1, &b);
}

static void node(maker *m, const char *type, const char *in, const char *out)
{
    node_of(m, "", type, in, out);
}

/* dim -1: named N.  onnx_dtype 1: f32, 7: i64. */
static void value(maker *m, uint32_t field, const char *name, int64_t onnx_dtype, size_t rank,
                  const int64_t *dim)
{
    bytes shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 }, v = { .n = 0 };
    for (size_t i = 0; i < rank; i++) {
        bytes d = { .n = 0 };
        if (dim[i] < 0) put_text(&d, 2, "N");
        else put_int(&d, 1, dim[i]);
        put(&shape, 1, &d);
    }
    put_int(&tensor, 1, onnx_dtype);
    put(&tensor, 2, &shape);
    put(&type, 1, &tensor);
    put_text(&v, 1, name);
    put(&v, 2, &type);
    put(&m->graph, field, &v);
}
#define INPUT(m, name, ...)                                                                        \
    value((m), 11, (name), 1, sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t),                \
          (const int64_t[]){ __VA_ARGS__ })

static void initializer(maker *m, const char *name, int64_t onnx_dtype, size_t rank,
                        const int64_t *dim, const void *raw, size_t n_bytes)
{
    bytes t = { .n = 0 };
    for (size_t i = 0; i < rank; i++) put_int(&t, 1, dim[i]);
    put_int(&t, 2, onnx_dtype);
    put_text(&t, 8, name);
    put_bytes(&t, 9, raw, n_bytes);
    put(&m->graph, 5, &t);
}
#define INTS(m, name, ...)                                                                         \
    initializer((m), (name), 7, 1,                                                                 \
                (const int64_t[]){ sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t) },         \
                (const int64_t[]){ __VA_ARGS__ }, sizeof((int64_t[]){ __VA_ARGS__ }))

static bytes finish(maker *m, int64_t opset, const char *output)
{
    bytes model = { .n = 0 }, set = { .n = 0 }, out = { .n = 0 };
    put_text(&out, 1, output);
    put(&m->graph, 12, &out);
    put_int(&set, 2, opset);
    put_int(&model, 1, 8);
    put(&model, 7, &m->graph);
    put(&model, 8, &set);
    return model;
}

static ftl_status bind_bytes(ftl_graph **graph, ftl_onnx_file **file, const bytes *model, int64_t n)
{
    const ftl_dim_value dims[] = { { "N", n } };
    *graph = NULL;
    FTL_TRY(ftl_onnx_file_parse(file, model->data, model->n, "m.onnx"));
    return ftl_onnx_bind(graph, *file, dims, 1);
}

/* The model, with y as its output, is refused with this status and these words. */
static void refused_as(maker *m, ftl_status status, const char *words)
{
    const bytes model = finish(m, 13, "y");
    ftl_onnx_file *file;
    ftl_graph *graph;
    assert_fails(status, bind_bytes(&graph, &file, &model, 2));
    assert_null(graph);
    assert_sentence("m.onnx");
    assert_sentence(words);
    ftl_onnx_file_close(file);
}

static void bound_of(maker *m, ftl_graph **graph, ftl_onnx_file **file, bytes *model, int64_t n)
{
    *model = finish(m, 13, "y");
    assert_ok(bind_bytes(graph, file, model, n));
    assert_ok(ftl_graph_check(*graph));
}

/* ---- what comes out ------------------------------------------------------------------------ */

/* x.view(x.size(0), -1): Shape, Gather, Unsqueeze and Concat leave nothing but the reshape. */
static void shape_arithmetic_is_worked_out(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    const int64_t zero = 0;
    INPUT(&m, "x", -1, 3, 4);
    initializer(&m, "first", 7, 0, NULL, &zero, sizeof zero);
    INTS(&m, "axes", 0);
    INTS(&m, "rest", -1);
    node(&m, "Shape", "x", "s");
    node(&m, "Gather", "s first", "n");
    node(&m, "Unsqueeze", "n axes", "n1");
    attr_int(&m, "axis", 0);
    node(&m, "Concat", "n1 rest", "shape");
    node(&m, "Reshape", "x shape", "y");
    ftl_graph *graph;
    ftl_onnx_file *file;
    bytes model;
    bound_of(&m, &graph, &file, &model, 5);
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    assert_int_equal(v->n_nodes, 1);
    assert_int_equal(v->nodes[0].op, FTL_OP_reshape);
    const ftl_tensor_desc *d = ftl_graph_peek_desc(graph, v->outputs[0].tensor);
    assert_int_equal(d->dim[0], 5);
    assert_int_equal(d->dim[1], 12);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
}

static void make_product(maker *m)
{
    const float w[6] = { 1, 2, 3, 4, 5, 6 };
    INPUT(m, "x", -1, 2);
    initializer(m, "w", 1, 2, (const int64_t[]){ 2, 3 }, w, sizeof w);
    node(m, "MatMul", "x w", "y");
}

static void weights_stay_in_the_file(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    make_product(&m);
    ftl_graph *graph, *other = NULL;
    ftl_onnx_file *file;
    bytes model;
    bound_of(&m, &graph, &file, &model, 4);
    const ftl_tensor *w = ftl_graph_peek(graph, ftl_graph_find_source(graph, "w"));
    assert_non_null(w);
    assert_int_equal(w->kind, FTL_TENSOR_WEIGHT);
    const uint8_t *data = w->data;
    assert_true(data > model.data && data < model.data + model.n);
    /* Another batch: the same ids. */
    const ftl_dim_value dims[] = { { "N", 7 }, { "unknown", 3 } };
    assert_ok(ftl_onnx_bind(&other, file, dims, 2));
    const ftl_tensor *again = ftl_graph_peek(other, ftl_graph_find_source(other, "w"));
    assert_true(again->id == w->id);
    assert_int_equal(ftl_graph_peek_desc(other, ftl_graph_find_source(other, "x"))->dim[0], 7);
    ftl_graph_destroy(other);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
}

/* A shape that the file fixes makes a weight of any size, without memory; one of dims does not. */
static void filled_tensors_become_weights(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", -1, 8);
    INTS(&m, "s", 1 << 20, 1 << 20, 8);
    node(&m, "Shape", "x", "sx");
    node(&m, "ConstantOfShape", "s", "big");
    node(&m, "ConstantOfShape", "sx", "small");
    node(&m, "Add", "x small", "z");
    node(&m, "Add", "z big", "y");
    ftl_graph *graph;
    ftl_onnx_file *file;
    bytes model;
    bound_of(&m, &graph, &file, &model, 1);
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    assert_int_equal(v->n_sources, 2);
    const ftl_tensor *big = ftl_graph_peek(graph, ftl_graph_find_source(graph, "big"));
    assert_non_null(big);
    assert_int_equal(big->init.kind, FTL_INIT_FILL);
    assert_null(big->data);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
}

static void dims_and_inputs_are_listed(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    make_product(&m);
    INPUT(&m, "w", 2, 3); /* before IR 4 weights are inputs as well */
    INPUT(&m, "z", -1, 0);
    const bytes model = finish(&m, 13, "y");
    ftl_onnx_file *file;
    ftl_arena arena = { 0 };
    const ftl_onnx_value *const *inputs;
    ftl_dim_value *dims;
    int32_t n;
    assert_ok(ftl_onnx_file_parse(&file, model.data, model.n, "m.onnx"));
    assert_ok(ftl_onnx_list_inputs(&arena, file, &inputs, &n));
    assert_int_equal(n, 2);
    assert_string_equal(inputs[0]->name, "x");
    assert_string_equal(inputs[1]->name, "z");
    assert_ok(ftl_onnx_list_dims(&arena, file, &dims, &n));
    assert_int_equal(n, 2);
    assert_string_equal(dims[0].name, "N");
    assert_string_equal(dims[1].name, "z.1");
    assert_int_equal(dims[1].value, 1);
    ftl_arena_deinit(&arena);
    ftl_onnx_file_close(file);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void all_missing_operators_are_named(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 1);
    node(&m, "Loop", "x", "a");
    node(&m, "NonZero", "a", "b");
    node(&m, "Loop", "b", "c");
    node_of(&m, "com.example", "Relu", "c", "d");
    node(&m, "GroupNormalization", "d", "y"); /* of opset 18 */
    refused_as(
        &m, FTL_EUNSUPPORTED,
        "lacks these operators: Loop, NonZero, com.example.Relu, GroupNormalization (opset 13)");
}

static void opsets_outside_are_refused(void **state)
{
    (void)state;
    for (int64_t opset = 6; opset <= 22; opset += 16) {
        maker m = { .graph.n = 0 };
        INPUT(&m, "x", 1);
        node(&m, "Relu", "x", "y");
        const bytes model = finish(&m, opset, "y");
        ftl_onnx_file *file;
        ftl_graph *graph;
        assert_fails(FTL_EUNSUPPORTED, bind_bytes(&graph, &file, &model, 1));
        assert_sentence("7 to 21");
        ftl_onnx_file_close(file);
    }
}

static void names_must_be_defined(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 1);
    node(&m, "Relu", "later", "y");
    node(&m, "Relu", "x", "later");
    refused_as(&m, FTL_EFORMAT, "node \"node\" (Relu): its input \"later\" is not defined before");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 1);
    node(&m, "Relu", "x", "z");
    refused_as(&m, FTL_EFORMAT, "nothing computes its output \"y\"");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 1);
    node(&m, "Add", "x -", "y");
    refused_as(&m, FTL_EFORMAT, "input 1 is missing");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 1);
    node(&m, "Relu", "x x", "y");
    refused_as(&m, FTL_EFORMAT, "it has 2 inputs; 1 at most");
}

static void shapes_must_be_known(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 4);
    value(&m, 11, "s", 7, 1, (const int64_t[]){ 2 });
    node(&m, "Reshape", "x s", "y");
    refused_as(&m, FTL_EUNSUPPORTED, "input 1 (\"s\") decides a shape");
}

static void attributes_are_checked(void **state)
{
    (void)state;
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 1, 2, 8, 8);
    INPUT(&m, "w", 4, 2, 3, 3);
    attr_text(&m, "group", "two");
    node(&m, "Conv", "x w", "y");
    refused_as(&m, FTL_EFORMAT, "(Conv): attribute \"group\" is of type 3, not 2");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 1, 2, 8, 8);
    INPUT(&m, "w", 4, 2, 3, 3);
    ATTR_INTS(&m, "strides", 0, 1);
    node(&m, "Conv", "x w", "y");
    refused_as(&m, FTL_EFORMAT, "attribute \"strides\" does not hold 2 numbers from 1");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 1, 2, 8, 8);
    INPUT(&m, "w", 4, 3, 3, 3);
    node(&m, "Conv", "x w", "y");
    refused_as(&m, FTL_EFORMAT, "channels and groups do not fit");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 2, 3);
    attr_int(&m, "axis", 2);
    node(&m, "Softmax", "x", "y");
    refused_as(&m, FTL_EFORMAT, "no axis 2 in a tensor of 2 dimensions");
    m = (maker){ .graph.n = 0 };
    INPUT(&m, "x", 2, 3);
    attr_text(&m, "equation", "ii->i");
    node(&m, "Einsum", "x", "y");
    refused_as(&m, FTL_EUNSUPPORTED, "equation \"ii->i\"");
}

/* ---- hostile sizes ------------------------------------------------------------------------- */

static const int64_t huge = INT64_C(1) << 61;

/* One node whose second input is a list of numbers. */
static void refused_list(const char *type, const char *in, int64_t a, int64_t b, const char *words)
{
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 2, 3);
    INTS(&m, "s", a, b);
    INTS(&m, "p", a, a, b, b);
    node(&m, type, in, "y");
    refused_as(&m, FTL_EFORMAT, words);
}

static void huge_claims_are_refused(void **state)
{
    (void)state;
    refused_list("Expand", "x s", huge, 3, "does not expand");
    refused_list("Tile", "x s", huge, huge, "(Tile): ");
    refused_list("Pad", "x p", huge, huge, "(Pad): ");
    refused_list("Reshape", "x s", huge, huge, "Reshape");
    refused_list("Reshape", "x s", -1, -1, "Reshape");
    refused_list("Tile", "x s", -1, 1, "negative");
    maker m = { .graph.n = 0 };
    INPUT(&m, "x", 2, 3);
    INTS(&m, "s", huge, 1, 1);
    node(&m, "Expand", "x s", "y");
    refused_as(&m, FTL_EFORMAT, "Expand");
    m = (maker){ .graph.n = 0 };
    const int64_t ends[3] = { 0, huge, 1 };
    INPUT(&m, "x", 1);
    for (int i = 0; i < 3; i++)
        initializer(&m, i == 0 ? "a" : i == 1 ? "b" : "c", 7, 0, NULL, &ends[i], 8);
    node(&m, "Range", "a b c", "y");
    refused_as(&m, FTL_EFORMAT, "is no range");
    m = (maker){ .graph.n = 0 };
    const float scales[4] = { 1, 1, 1e8f, 1e8f };
    INPUT(&m, "x", 1, 1, 2, 2);
    initializer(&m, "scales", 1, 1, (const int64_t[]){ 4 }, scales, sizeof scales);
    node(&m, "Resize", "x - scales", "y");
    refused_as(&m, FTL_EUNSUPPORTED, "more memory than the importer spends");
}

/* Four hundred sums of 64 kB each: what exceeds the budget stays in the graph as nodes. */
static void working_out_is_limited(void **state)
{
    (void)state;
    enum { SUMS = 400 };
    maker m = { .graph.n = 0 };
    const int64_t ends[3] = { 0, 8192, 1 };
    for (int i = 0; i < 3; i++)
        initializer(&m, i == 0 ? "a" : i == 1 ? "b" : "c", 7, 0, NULL, &ends[i], 8);
    node(&m, "Range", "a b c", "v0");
    for (int i = 0; i < SUMS; i++) {
        char in[32], out[16];
        snprintf(in, sizeof in, "v%d v%d", i, i);
        snprintf(out, sizeof out, i + 1 < SUMS ? "v%d" : "y", i + 1);
        node(&m, "Add", in, out);
    }
    ftl_graph *graph;
    ftl_onnx_file *file;
    bytes model;
    bound_of(&m, &graph, &file, &model, 1);
    const int32_t left = ftl_graph_get_view(graph)->n_nodes;
    assert_true(left > SUMS / 10 && left < SUMS);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
}

/* ---- torture ------------------------------------------------------------------------------- */

/* Every operator with inputs of shapes that it may not expect: any status, with a sentence that
 * names the file, and a sound graph where it is taken. */
static void every_operator_takes_odd_inputs(void **state)
{
    (void)state;
    static const int64_t dims[][5] = {
        { 0 }, { 3 }, { 2, 3 }, { 2, 4, 6 }, { 1, 4, 5, 5 }, { 0, 4, 0, 2 }, { 1, 2, 3, 4, 2 }
    };
    static const size_t ranks[] = { 0, 1, 2, 3, 4, 4, 5 };
    static const char *const lists[] = { "-",     "x",         "x x",      "x s",   "x i",
                                         "x x x", "x s s",     "i x x",    "x i x", "x - s",
                                         "x s x", "x x x x x", "x s s s s" };
    for (int32_t op = 0; ftl_onnx_operator_name(op); op++)
        for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++)
            for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
                maker m = { .graph.n = 0 };
                value(&m, 11, "x", 1, ranks[r], dims[r]);
                value(&m, 11, "i", 7, ranks[r], dims[r]);
                INTS(&m, "s", 1, 0);
                if (l % 2) attr_int(&m, "axis", 1);
                if (l % 3 == 1) ATTR_INTS(&m, "kernel_shape", 2, 2);
                if (l % 3 == 2) ATTR_INTS(&m, "axes", 0);
                node(&m, ftl_onnx_operator_name(op), lists[l], "y z");
                const bytes model = finish(&m, 7 + (int64_t)(r + l) % 15, "y");
                ftl_onnx_file *file;
                ftl_graph *graph;
                if (bind_bytes(&graph, &file, &model, 1) == FTL_OK)
                    assert_ok(ftl_graph_check(graph));
                else assert_sentence("m.onnx");
                ftl_graph_destroy(graph);
                ftl_onnx_file_close(file);
            }
}

static ftl_status parse_and_bind(const void *data, size_t size, const char *name)
{
    ftl_onnx_file *file;
    ftl_graph *graph = NULL;
    ftl_status s = ftl_onnx_file_parse(&file, data, size, name);
    if (s == FTL_OK) s = ftl_onnx_bind(&graph, file, NULL, 0);
    if (s == FTL_OK) s = ftl_graph_check(graph);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
    return s;
}

static bytes sample(void)
{
    maker m = { .graph.n = 0 };
    make_product(&m);
    INTS(&m, "shape", 0, -1, 1);
    node(&m, "Shape", "y", "s");
    node(&m, "ConstantOfShape", "s", "c");
    node(&m, "Add", "y c", "z");
    attr_int(&m, "axis", -1);
    node(&m, "Softmax", "z", "p");
    node(&m, "Reshape", "p shape", "q");
    ATTR_INTS(&m, "perm", 2, 0, 1);
    node(&m, "Transpose", "q", "t");
    return finish(&m, 13, "t");
}

static void damaged_and_short_of_memory(void **state)
{
    (void)state;
    const bytes b = sample();
    torture_flipped(parse_and_bind, b.data, b.n);
    torture_no_memory(parse_and_bind, b.data, b.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_arithmetic_is_worked_out),
        cmocka_unit_test(weights_stay_in_the_file),
        cmocka_unit_test(filled_tensors_become_weights),
        cmocka_unit_test(dims_and_inputs_are_listed),
        cmocka_unit_test(all_missing_operators_are_named),
        cmocka_unit_test(opsets_outside_are_refused),
        cmocka_unit_test(names_must_be_defined),
        cmocka_unit_test(shapes_must_be_known),
        cmocka_unit_test(attributes_are_checked),
        cmocka_unit_test(huge_claims_are_refused),
        cmocka_unit_test(working_out_is_limited),
        cmocka_unit_test(every_operator_takes_odd_inputs),
        cmocka_unit_test(damaged_and_short_of_memory),
    };
    return ftl_test_run(tests);
}
