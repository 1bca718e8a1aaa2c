/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files as models: the digit network of examples/, and small files written here. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "core/eval.h"
#include "model/model_internal.h"
#include "model/picture.h"

/* ---- a writer for the few protobuf fields that are needed ---------------------------------- */

typedef struct message {
    uint8_t bytes[2048];
    size_t n;
} message;

static void put_byte(message *m, uint64_t byte)
{
    assert_true(m->n < sizeof m->bytes);
    m->bytes[m->n++] = (uint8_t)byte;
}

static void put_varint(message *m, uint64_t value)
{
    for (; value > 127; value >>= 7) put_byte(m, value | 128);
    put_byte(m, value);
}

static void put_number(message *m, int field, uint64_t value)
{
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, int field, const void *data, size_t n)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, n);
    for (size_t i = 0; i < n; i++) put_byte(m, ((const uint8_t *)data)[i]);
}

static void put_text(message *m, int field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

static void put_message(message *m, int field, const message *part)
{
    put_bytes(m, field, part->bytes, part->n);
}

/* ValueInfoProto, f32; a dim is a number, a name, or "" for one without a name. */
static message value_info(const char *name, const char *const *dims)
{
    message shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 }, value = { .n = 0 };
    for (; *dims; dims++) {
        message dim = { .n = 0 };
        if (**dims >= '0' && **dims <= '9') put_number(&dim, 1, strtoull(*dims, NULL, 10));
        else if (**dims) put_text(&dim, 2, *dims);
        put_message(&shape, 1, &dim);
    }
    put_number(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &type);
    return value;
}

/* A model "y = <op>(x)" of the given input shape, in a fresh file; the path lives until the next
 * call.  metadata: key, value, ..., NULL. */
static const char *onnx_file(const char *op, const char *const *dims, const char *const *metadata)
{
    message node = { .n = 0 }, graph = { .n = 0 }, opset = { .n = 0 }, model = { .n = 0 };
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 4, op);
    const message x = value_info("x", dims), y = value_info("y", dims);
    put_message(&graph, 1, &node);
    put_text(&graph, 2, "g");
    put_message(&graph, 11, &x);
    put_message(&graph, 12, &y);
    put_number(&opset, 2, 13);
    put_number(&model, 1, 8);
    put_message(&model, 7, &graph);
    put_message(&model, 8, &opset);
    for (; metadata && *metadata; metadata += 2) {
        message pair = { .n = 0 };
        put_text(&pair, 1, metadata[0]);
        put_text(&pair, 2, metadata[1]);
        put_message(&model, 14, &pair);
    }
    const char *path = ftl_test_temp("small.onnx");
    assert_ok(ftl_file_write_all(path, model.bytes, model.n));
    return path;
}
#define DIMS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- dims ---------------------------------------------------------------------------------- */

static ftl_model *open_small(const char *const *dims)
{
    ftl_model *m;
    assert_ok(ftl_model_open(&m, onnx_file("Relu", dims, NULL)));
    assert_string_equal(ftl_model_get_info(m)->name, "small.onnx");
    assert_string_equal(ftl_model_get_info(m)->format, "onnx");
    return m;
}

static void the_first_dim_is_the_batch_whatever_its_name(void **state)
{
    (void)state;
    static const char *const names[] = { "N", "batch", "batch_size", "unk__1" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ftl_model *m = open_small(DIMS(names[i], "3", "H", "W"));
        const ftl_model_info *info = ftl_model_get_info(m);
        assert_string_equal(info->batch_dim, names[i]);
        assert_int_equal(info->n_dims, 3);
        assert_int_equal(info->dims[0].default_value, 1);
        assert_int_equal(info->dims[1].default_value, 224);
        assert_true(info->image.is_image);
        assert_int_equal(info->image.width, 224);
        ftl_graph *g;
        const ftl_dim_value dims[] = { { names[i], 5 }, { "W", 32 } };
        assert_ok(ftl_model_bind(&g, m, dims, 2));
        const ftl_graph_view *v = ftl_graph_get_view(g);
        const ftl_tensor_desc want = { FTL_DTYPE_F32, 4, { 5, 3, 224, 32 } };
        assert_true(ftl_desc_equal(&v->tensors[v->sources[0]].desc, &want));
        assert_true(ftl_desc_equal(&v->tensors[v->outputs[0].tensor].desc, &want));
        ftl_graph_destroy(g);
        ftl_model_close(m);
    }
}

static void dims_without_names_get_some(void **state)
{
    (void)state;
    ftl_model *m = open_small(DIMS("", "", "8"));
    const ftl_model_info *info = ftl_model_get_info(m);
    assert_int_equal(info->n_dims, 2);
    assert_string_equal(info->batch_dim, info->dims[0].name);
    assert_string_not_equal(info->dims[0].name, info->dims[1].name);
    assert_int_equal(info->dims[1].default_value, 128);
    ftl_graph *g;
    assert_ok(ftl_model_bind(&g, m, &(ftl_dim_value){ info->dims[1].name, 7 }, 1));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[0], 1);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[1], 7);
    ftl_graph_destroy(g);
    ftl_model_close(m);
}

static void fixed_sizes_have_no_batch(void **state)
{
    (void)state;
    ftl_model *m = open_small(DIMS("2", "10"));
    assert_null(ftl_model_get_info(m)->batch_dim);
    assert_int_equal(ftl_model_get_info(m)->n_dims, 0);
    assert_false(ftl_model_get_info(m)->image.is_image);
    ftl_graph *g;
    assert_fails(FTL_EINVAL, ftl_model_bind(&g, m, &(ftl_dim_value){ "batch", 2 }, 1));
    assert_non_null(strstr(ftl_error_text(), "all its sizes are fixed"));
    ftl_model_close(m);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void assert_refused(const char *path, ftl_status code, const char *part)
{
    ftl_model *m;
    const ftl_status s = ftl_model_open(&m, path);
    if (s != code || !strstr(ftl_error_text(), part))
        fail_msg("gave %s: %s", ftl_status_name(s), ftl_error_text());
    assert_null(m);
}

static void what_cannot_run_is_refused_at_once(void **state)
{
    (void)state;
    assert_refused(onnx_file("FlyToTheMoon", DIMS("N", "3"), NULL), FTL_EUNSUPPORTED,
                   "FlyToTheMoon");
    assert_refused(onnx_file("Relu", DIMS("N", "1", "8", "8"), DIMS("fettle.image.size", "9x8")),
                   FTL_EFORMAT, "9 x 8");
    assert_refused(onnx_file("Relu", DIMS("N", "1", "8", "8"), DIMS("fettle.image.std", "zero")),
                   FTL_EFORMAT, "fettle.image.std = \"zero\"");
    const char *path = ftl_test_temp("cut.onnx");
    assert_ok(ftl_file_write_all(path, "\x08\x08\x3a\x7f", 4));
    assert_refused(path, FTL_EFORMAT, "cut.onnx");
}

static void labels_are_split(void **state)
{
    (void)state;
    ftl_model *m;
    assert_ok(ftl_model_open(
        &m, onnx_file("Relu", DIMS("N", "3"), DIMS("fettle.labels", "cat, big dog,,owl"))));
    const ftl_model_info *info = ftl_model_get_info(m);
    static const char *const want[4] = { "cat", "big dog", "", "owl" };
    assert_int_equal(info->n_labels, 4);
    for (int i = 0; i < 4; i++) assert_string_equal(info->labels[i], want[i]);
    ftl_model_close(m);
}

/* ---- the digit network --------------------------------------------------------------------- */

static const char digits[] = FTL_EXAMPLES "/digits/digits.onnx";

static void a_file_says_what_it_is(void **state)
{
    (void)state;
    ftl_model *m;
    assert_ok(ftl_model_open(&m, digits));
    const ftl_model_info *i = ftl_model_get_info(m);
    assert_string_equal(i->name, "digits.onnx");
    assert_true(i->has_weights);
    assert_int_equal(i->n_weights, 54314);
    assert_string_equal(i->batch_dim, "N");
    assert_int_equal(i->n_labels, 10);
    assert_string_equal(i->labels[7], "7");
    assert_string_equal(i->image.source, "model metadata");
    assert_int_equal(i->image.width, 28);
    assert_int_equal(i->image.channels, 1);
    ftl_file file;
    assert_ok(ftl_file_map(&file, digits));
    assert_int_equal(ftl_model_mapped_bytes(m), file.size);
    ftl_file_unmap(&file);
    ftl_graph *g;
    assert_ok(ftl_model_bind(&g, m, &(ftl_dim_value){ "N", 3 }, 1));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    for (int32_t s = 0; s < v->n_sources; s++) {
        const ftl_tensor *t = &v->tensors[v->sources[s]];
        if (t->kind == FTL_TENSOR_WEIGHT) assert_true(ftl_model_is_mapped(m, t->data));
        if (t->kind == FTL_TENSOR_INPUT) assert_int_equal(t->desc.dim[0], 3);
    }
    ftl_graph_destroy(g);
    ftl_model_close(m);
}

/* Which digit the network sees in a picture of examples/digits. */
static int32_t read_digit(const ftl_model *m, const ftl_graph *g, int32_t digit)
{
    char path[512];
    float image[28 * 28], probability[10];
    snprintf(path, sizeof path, "%s/digits/pictures/%d.png", FTL_EXAMPLES, (int)digit);
    assert_ok(ftl_picture_read(image, 28 * 28, path, &ftl_model_get_info(m)->image));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    const void **in = ftl_calloc((size_t)v->n_sources, sizeof *in);
    assert_non_null(in);
    for (int32_t s = 0; s < v->n_sources; s++) {
        const ftl_tensor *t = &v->tensors[v->sources[s]];
        if (t->kind == FTL_TENSOR_INPUT) {
            in[s] = image;
            continue;
        }
        const size_t bytes = ftl_desc_bytes_checked(&t->desc);
        void *aligned = ftl_alloc(bytes); /* in the file they stand anywhere */
        assert_non_null(aligned);
        memcpy(aligned, t->data, bytes);
        in[s] = aligned;
    }
    assert_ok(ftl_eval_graph(g, in, (void *const[]){ probability }));
    int32_t best = 0;
    for (int32_t i = 1; i < 10; i++)
        if (probability[i] > probability[best]) best = i;
    assert_true(probability[best] > 0.9);
    for (int32_t s = 0; s < v->n_sources; s++)
        if (in[s] != image) ftl_free((void *)in[s]);
    ftl_free(in);
    return best;
}

static void ten_pictures_are_named(void **state)
{
    (void)state;
    ftl_model *m;
    ftl_graph *g;
    assert_ok(ftl_model_open(&m, digits));
    assert_ok(ftl_model_bind(&g, m, NULL, 0));
    for (int32_t digit = 0; digit < 10; digit++) assert_int_equal(read_digit(m, g, digit), digit);
    ftl_graph_destroy(g);
    ftl_model_close(m);
}

static void opening_survives_every_lack_of_memory(void **state)
{
    (void)state;
    ftl_status s = FTL_ENOMEM;
    uint64_t n = 0;
    while (s != FTL_OK && n < 10000) {
        ftl_model *m;
        ftl_alloc_fail_at(++n, true);
        s = ftl_model_open(&m, digits);
        ftl_alloc_fail_at(0, false);
        if (s != FTL_OK && s != FTL_ENOMEM) fail_msg("request %d: %s", (int)n, ftl_error_text());
        assert_true((s == FTL_OK) == (m != NULL));
        ftl_model_close(m);
    }
    assert_int_equal(s, FTL_OK);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_dim_is_the_batch_whatever_its_name),
        cmocka_unit_test(dims_without_names_get_some),
        cmocka_unit_test(fixed_sizes_have_no_batch),
        cmocka_unit_test(what_cannot_run_is_refused_at_once),
        cmocka_unit_test(labels_are_split),
        cmocka_unit_test(a_file_says_what_it_is),
        cmocka_unit_test(ten_pictures_are_named),
        cmocka_unit_test(opening_survives_every_lack_of_memory),
    };
    return ftl_test_run(tests);
}
