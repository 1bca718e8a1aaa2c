/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/graph.h"
#include "core/op.h"
#include "core/pass.h"

static ftl_tensor_desc f32(int32_t rank, int64_t a, int64_t b)
{
    return (ftl_tensor_desc){ .dtype = FTL_DTYPE_F32, .rank = rank, .dim = { a, b } };
}

/* x[batch, 6] -> linear -> reshape [batch * 2, 4 / ...] -> y, all in named dims. */
static ftl_graph *unbound_graph(void)
{
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "tiny", false));
    const int64_t batch = ftl_dim_named(g, "batch");
    const ftl_tensor_desc dx = f32(2, batch, 6), dw = f32(2, 8, 6);
    const int32_t x = ftl_graph_input(g, "x", &dx);
    const int32_t w = ftl_graph_weight(g, "w", &dw, NULL, (ftl_init){ 0 });
    ftl_graph_set_scope(g, "head");
    const int32_t y = FTL_ADD(g, linear, NULL, x, w);
    const ftl_attr shape = { .shape = { .rank = 2,
                                        .dim = { ftl_dim_mul(g, batch, 2), FTL_DIM_INFER } } };
    ftl_graph_output(g, "y", FTL_ADD(g, reshape, &shape, y));
    assert_ok(ftl_graph_status(g));
    return g;
}

static void bind_evaluates_dims_and_keeps_ids(void **s)
{
    (void)s;
    ftl_graph *g = unbound_graph(), *b3, *b5;
    assert_string_equal(ftl_graph_peek_dim(g, 0), "batch");
    assert_null(ftl_graph_peek_dim(g, 1));
    assert_ok(ftl_graph_bind(&b3, g, &(ftl_dim_value){ "batch", 3 }, 1));
    assert_ok(ftl_graph_bind(&b5, g, &(ftl_dim_value){ "batch", 5 }, 1));
    const ftl_graph_view *v3 = ftl_graph_get_view(b3), *v5 = ftl_graph_get_view(b5);
    const ftl_tensor_desc want = f32(2, 6, 4);
    assert_true(ftl_desc_equal(&want, &v3->tensors[v3->outputs[0].tensor].desc));
    assert_int_equal(v5->tensors[v5->outputs[0].tensor].desc.dim[0], 10);
    for (int32_t i = 0; i < 2; i++)
        assert_int_equal(v3->tensors[v3->sources[i]].id, v5->tensors[v5->sources[i]].id);
    assert_string_equal(v3->nodes[0].name, "head");
    assert_ok(ftl_graph_check(b3));
    assert_int_not_equal(ftl_graph_fingerprint(b3), ftl_graph_fingerprint(b5));
    ftl_graph_destroy(b3);
    ftl_graph_destroy(b5);
    ftl_graph_destroy(g);
}

static void bind_refuses_missing_and_absurd_dims(void **s)
{
    (void)s;
    ftl_graph *g = unbound_graph(), *b;
    assert_fails(FTL_EINVAL, ftl_graph_bind(&b, g, NULL, 0));
    assert_non_null(strstr(ftl_error_text(), "batch"));
    assert_null(b);
    assert_fails(FTL_EINVAL, ftl_graph_bind(&b, g, &(ftl_dim_value){ "batch", -4 }, 1));
    assert_fails(FTL_EINVAL, ftl_graph_bind(&b, g, &(ftl_dim_value){ "batch", INT64_MAX / 2 }, 1));
    ftl_graph_destroy(g);
}

static void a_failure_sticks_and_comes_back_with_its_sentence(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "bad", true));
    const ftl_tensor_desc dx = f32(2, 2, 6), dw = f32(2, 8, 5);
    const int32_t x = ftl_graph_input(g, "x", &dx);
    const int32_t w = ftl_graph_weight(g, "w", &dw, NULL, (ftl_init){ 0 });
    assert_int_equal(FTL_ADD(g, linear, NULL, x, w), -1);
    assert_int_equal(FTL_ADD(g, neg, NULL, x), -1);
    ftl_graph_output(g, "y", x);
    assert_fails(FTL_EINVAL, ftl_graph_status(g));
    assert_non_null(strstr(ftl_error_text(), "f32[8,5]"));
    assert_int_equal(ftl_graph_get_view(g)->n_nodes, 0);
    assert_int_equal(ftl_graph_get_view(g)->n_outputs, 0);
    ftl_graph_destroy(g);
}

static void hostile_arguments_are_refused(void **s)
{
    (void)s;
    static const ftl_tensor_desc bad[] = {
        { .dtype = FTL_DTYPE_NONE, .rank = 1, .dim = { 2 } },
        { .dtype = FTL_DTYPE_F32, .rank = 9 },
        { .dtype = FTL_DTYPE_F32, .rank = -1 },
        { .dtype = FTL_DTYPE_F32, .rank = 1, .dim = { -1 } },
        { .dtype = FTL_DTYPE_F32, .rank = 3, .dim = { INT64_MAX, 2, 2 } },
        { .dtype = (ftl_dtype)999, .rank = 1, .dim = { 2 } },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ftl_graph *g;
        assert_ok(ftl_graph_create(&g, "bad", true));
        assert_int_equal(ftl_graph_input(g, "x", &bad[i]), -1);
        assert_fails(FTL_EINVAL, ftl_graph_status(g));
        ftl_graph_destroy(g);
    }
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "twice", true));
    const ftl_tensor_desc d = f32(1, 4, 0);
    ftl_graph_input(g, "x", &d);
    assert_int_equal(ftl_graph_input(g, "x", &d), -1);
    assert_fails(FTL_EINVAL, ftl_graph_status(g));
    ftl_graph_destroy(g);
}

static void a_state_has_one_new_value_of_its_shape(void **s)
{
    (void)s;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "state", true));
    const ftl_tensor_desc d = f32(1, 4, 0);
    const int32_t st = ftl_graph_state(g, "s", &d, (ftl_init){ 0 });
    ftl_graph_output_state(g, st, FTL_ADD(g, neg, NULL, st));
    assert_ok(ftl_graph_status(g));
    assert_ok(ftl_graph_check(g));
    assert_int_equal(ftl_graph_get_view(g)->n_aliases, 1);
    ftl_graph_output_state(g, st, FTL_ADD(g, abs, NULL, st));
    assert_fails(FTL_EINVAL, ftl_graph_status(g));
    ftl_graph_destroy(g);
}

static void every_failing_allocation_is_reported(void **s)
{
    (void)s;
    ftl_graph *g = unbound_graph();
    for (uint64_t n = 1;; n++) {
        ftl_graph *b = NULL;
        ftl_alloc_fail_at(n, false);
        const ftl_status status = ftl_graph_bind(&b, g, &(ftl_dim_value){ "batch", 3 }, 1);
        ftl_alloc_fail_at(0, false);
        ftl_graph_destroy(b);
        if (status == FTL_OK) break;
        assert_int_equal(status, FTL_ENOMEM);
        assert_null(b);
        assert_true(n < 1000);
    }
    ftl_graph_destroy(g);
}

static void names_and_rows_agree(void **s)
{
    (void)s;
    for (int op = 0; op < FTL_OP_COUNT; op++) {
        const ftl_op_info *info = ftl_op_get_info((ftl_op)op);
        assert_int_equal(ftl_op_from_name(info->name), op);
        assert_true(info->in_min <= info->in_max && info->n_out >= 1);
        assert_non_null(info->infer);
        assert_non_null(info->cost);
    }
    assert_int_equal(ftl_op_from_name("no such op"), FTL_OP_COUNT);
}

/* Sizes that only overflow beside a 0, and a step as large as int64 goes. */
static void hostile_shapes_are_refused_or_exact(void **s)
{
    (void)s;
    int64_t count;
    const int64_t big = (int64_t)1 << 62;
    const ftl_tensor_desc hidden = { .dtype = FTL_DTYPE_F32, .rank = 3, .dim = { 0, big, big } };
    assert_false(ftl_desc_count(&hidden, &count));
    const ftl_tensor_desc empty = { .dtype = FTL_DTYPE_F32, .rank = 2, .dim = { big, 0 } };
    assert_true(ftl_desc_count(&empty, &count));
    assert_int_equal(count, 0);
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "hostile", true));
    const ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = 1, .dim = { 10 } };
    const int32_t x = ftl_graph_input(g, "x", &d);
    const ftl_attr a = { .slice = { .start = { 1 }, .limit = { 10 }, .step = { INT64_MAX } } };
    const int32_t y = FTL_ADD(g, slice, &a, x);
    assert_int_equal(ftl_graph_peek_desc(g, y)->dim[0], 1);
    ftl_graph_destroy(g);
}

/* Looked up by name and by number: among many, and what is none. */
static void sources_are_found(void **s)
{
    (void)s;
    ftl_graph *g;
    char name[32];
    int32_t tensor[100];
    assert_ok(ftl_graph_create(&g, "many", true));
    assert_int_equal(ftl_graph_find_source(g, "w0"), -1);
    assert_int_equal(ftl_graph_source_index(g, 0), -1);
    const ftl_tensor_desc d = { .dtype = FTL_DTYPE_F32, .rank = 1, .dim = { 2 } };
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "w%d", i);
        tensor[i] = ftl_graph_weight(g, name, &d, NULL, (ftl_init){ 0 });
        const int32_t value = FTL_ADD(g, neg, NULL, tensor[i]);
        assert_int_equal(ftl_graph_source_index(g, value), -1);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "w%d", i);
        assert_int_equal(ftl_graph_find_source(g, name), tensor[i]);
        assert_int_equal(ftl_graph_source_index(g, tensor[i]), i);
    }
    assert_int_equal(ftl_graph_find_source(g, "w100"), -1);
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bind_evaluates_dims_and_keeps_ids),
        cmocka_unit_test(bind_refuses_missing_and_absurd_dims),
        cmocka_unit_test(a_failure_sticks_and_comes_back_with_its_sentence),
        cmocka_unit_test(hostile_arguments_are_refused),
        cmocka_unit_test(a_state_has_one_new_value_of_its_shape),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(names_and_rows_agree),
        cmocka_unit_test(hostile_shapes_are_refused_or_exact),
        cmocka_unit_test(sources_are_found),
    };
    return ftl_test_run(tests);
}
