/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "model/model_internal.h"

static ftl_model *open_model(const char *spelling)
{
    ftl_model *m;
    assert_ok(ftl_model_open(&m, spelling));
    assert_non_null(m);
    return m;
}

static void a_preset_says_what_it_is(void **state)
{
    (void)state;
    ftl_model *m = open_model("@linear-1000");
    const ftl_model_info *i = ftl_model_get_info(m);
    assert_int_equal(i->struct_size, sizeof *i);
    assert_string_equal(i->name, "linear-1000");
    assert_string_equal(i->spelling, "@linear-1000");
    assert_string_equal(i->format, "preset");
    assert_false(i->has_weights);
    assert_int_equal(i->n_weights, 1001000);
    assert_int_equal(i->n_dims, 1);
    assert_string_equal(i->dims[0].name, "batch");
    assert_int_equal(i->dims[0].default_value, 64);
    assert_string_equal(i->batch_dim, "batch");
    assert_false(i->image.is_image);
    assert_int_equal(i->n_labels, 0);
    assert_int_equal(ftl_model_mapped_bytes(m), 0);
    assert_false(ftl_model_is_mapped(m, i));
    ftl_model_close(m);
}

static void every_preset_opens(void **state)
{
    (void)state;
    for (int32_t i = 0; ftl_preset_name(i); i++) {
        char spelling[64];
        snprintf(spelling, sizeof spelling, "@%s", ftl_preset_name(i));
        ftl_model *m = open_model(spelling);
        const ftl_model_info *info = ftl_model_get_info(m);
        assert_string_equal(info->about, ftl_preset_about(i));
        ftl_graph *g;
        assert_ok(ftl_model_bind(&g, m, &(ftl_dim_value){ "batch", 2 }, 1));
        const ftl_graph_view *v = ftl_graph_get_view(g);
        const ftl_tensor_desc *input = &v->tensors[v->sources[0]].desc;
        assert_int_equal(input->dim[0], 2);
        if (info->image.is_image) { /* what the picture becomes is what the input takes */
            assert_int_equal(input->dim[1], info->image.channels);
            assert_int_equal(input->dim[2], info->image.height);
            assert_int_equal(input->dim[3], info->image.width);
            assert_string_equal(info->image.source, "preset");
        }
        ftl_graph_destroy(g);
        ftl_model_close(m);
    }
}

static void dims_that_are_not_given_take_the_default(void **state)
{
    (void)state;
    ftl_model *m = open_model("@bert-base");
    ftl_graph *g;
    assert_ok(ftl_model_bind(&g, m, NULL, 0));
    const ftl_graph_view *v = ftl_graph_get_view(g);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[1], 128);
    ftl_graph_destroy(g);
    assert_ok(ftl_model_bind(&g, m, &(ftl_dim_value){ "tokens", 16 }, 1));
    v = ftl_graph_get_view(g);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[0], 1);
    assert_int_equal(v->tensors[v->sources[0]].desc.dim[1], 16);
    ftl_graph_destroy(g);
    assert_fails(FTL_EINVAL, ftl_model_bind(&g, m, &(ftl_dim_value){ "width", 16 }, 1));
    assert_non_null(strstr(ftl_error_text(), "\"width\""));
    assert_null(g);
    assert_fails(FTL_EINVAL, ftl_model_bind(&g, m, &(ftl_dim_value){ "tokens", 0 }, 1));
    assert_fails(FTL_EINVAL, ftl_model_bind(&g, m, &(ftl_dim_value){ "tokens", 100000 }, 1));
    ftl_model_close(m);
}

/* The failure's sentence holds `part`. */
static void assert_refused(const char *spelling, ftl_status code, const char *part)
{
    ftl_model *m;
    const ftl_status s = ftl_model_open(&m, spelling);
    if (s != code || !strstr(ftl_error_text(), part))
        fail_msg("%s gave %s: %s", spelling, ftl_status_name(s), ftl_error_text());
    assert_null(m);
}

static void mistyped_names_are_answered(void **state)
{
    (void)state;
    assert_refused("@resnet5", FTL_ENOTFOUND, "did you mean \"@resnet50\"");
    assert_refused("@mobilenetv2", FTL_ENOTFOUND, "did you mean \"@mobilenet-v2\"");
    assert_refused("@zzzzzzzzzz", FTL_ENOTFOUND, "fettle plan --list");
    assert_refused("@", FTL_ENOTFOUND, "fettle plan --list");
    assert_refused("resnet50", FTL_ENOTFOUND, "spelled \"@resnet50\"");
    assert_refused("/nowhere/at/all", FTL_ENOTFOUND, "no file /nowhere/at/all");
    ftl_model *m;
    assert_fails(FTL_EINVAL, ftl_model_open(&m, ""));
    assert_fails(FTL_EINVAL, ftl_model_open(&m, NULL));
}

static void other_formats_are_answered(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", ftl_test_temp("weights.gguf"));
    assert_ok(ftl_file_write_all(path, "GGUF\3\0\0\0", 8));
    assert_refused(path, FTL_EUNSUPPORTED, "GGUF");
    snprintf(path, sizeof path, "%s", ftl_test_temp("model.safetensors"));
    assert_ok(ftl_file_write_all(path, "\2\0\0\0\0\0\0\0{}", 10));
    assert_refused(path, FTL_EUNSUPPORTED, "without the graph");
    snprintf(path, sizeof path, "%s", ftl_test_temp("x.npy"));
    assert_ok(ftl_file_write_all(path, "\x93NUMPY\1\0", 8));
    assert_refused(path, FTL_EUNSUPPORTED, "is data, not a model");
    snprintf(path, sizeof path, "%s", ftl_test_temp("notes.txt"));
    assert_ok(ftl_file_write_all(path, "hello\n", 6));
    assert_refused(path, FTL_EUNSUPPORTED, "no format that fettle knows");
}

static void opening_survives_every_lack_of_memory(void **state)
{
    (void)state;
    ftl_status s = FTL_ENOMEM;
    uint64_t n = 0;
    while (s != FTL_OK && n < 10000) {
        ftl_model *m;
        ftl_alloc_fail_at(++n, true);
        s = ftl_model_open(&m, "@alexnet");
        ftl_alloc_fail_at(0, false);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        assert_true((s == FTL_OK) == (m != NULL));
        ftl_model_close(m);
    }
    assert_int_equal(s, FTL_OK);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preset_says_what_it_is),
        cmocka_unit_test(every_preset_opens),
        cmocka_unit_test(dims_that_are_not_given_take_the_default),
        cmocka_unit_test(mistyped_names_are_answered),
        cmocka_unit_test(other_formats_are_answered),
        cmocka_unit_test(opening_survives_every_lack_of_memory),
    };
    return ftl_test_run(tests);
}
