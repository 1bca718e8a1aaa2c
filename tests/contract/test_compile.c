/* SPDX-License-Identifier: Apache-2.0 */
/* What may be compiled: legality, decomposition, refusals. */
#include <stdio.h>
#include <string.h>

#include "contract/contract.h"
#include "core/op.h"
#include "support/graphs.h"

static ftl_attr blank(void)
{
    ftl_attr attr;
    memset(&attr, 0, sizeof attr);
    return attr;
}

/* x [4,6], s [6], b [6] through composites of several kinds, in one type. */
static ftl_graph *composites(ftl_dtype dtype)
{
    ftl_graph *g = ftl_test_graph();
    ftl_tensor_desc wide = DESC(F32, 4, 6), row = DESC(F32, 6);
    wide.dtype = row.dtype = dtype;
    const int32_t x = ftl_test_input(g, wide), s = ftl_test_input(g, row);
    const int32_t b = ftl_test_input(g, row);
    ftl_attr norm = blank(), over = blank(), act = blank(), mean = blank();
    norm.norm.axis = over.norm.axis = 1;
    norm.norm.eps = 1e-5;
    act.act.kind = FTL_ACT_GELU;
    mean.reduce.axes = 1;
    ftl_graph_set_scope(g, "block/first");
    const int32_t layer = FTL_ADD(g, layer_norm, &norm, x, s, b);
    const int32_t rms = FTL_ADD(g, rms_norm, &norm, layer, s);
    ftl_graph_output(g, "softmax", FTL_ADD(g, softmax, &over, rms));
    ftl_graph_output(g, "log_softmax", FTL_ADD(g, log_softmax, &over, layer));
    ftl_graph_output(g, "gelu", FTL_ADD(g, activation, &act, rms));
    ftl_graph_output(g, "mean", FTL_ADD(g, reduce_mean, &mean, x));
    assert_ok(ftl_graph_status(g));
    return g;
}

static void legalized_graphs_are_legal_and_mean_the_same(void **unused)
{
    (void)unused;
    static const size_t counts[4] = { 24, 24, 24, 6 };
    ftl_graph *g = composites(FTL_DTYPE_F32);
    float x[24], s[6], b[6], want[4][24], got[24];
    contract_floats(x, 24, 1);
    contract_floats(s, 6, 2);
    contract_floats(b, 6, 3);
    void *const out[4] = { want[0], want[1], want[2], want[3] };
    FTL_TEST_EVAL(g, out, x, s, b);
    rig r;
    rig_init(&r, contract_device, g, 1);
    assert_ok(ftl_graph_check(r.legal));
    const ftl_graph_view *v = ftl_graph_get_view(r.legal), *old = ftl_graph_get_view(g);
    for (int32_t n = 0; n < v->n_nodes; n++) {
        assert_ok(ftl_device_supports(contract_device, r.legal, n));
        if (contract_is("fake")) assert_null(ftl_op_get_info(v->nodes[n].op)->lower);
    }
    assert_int_equal(v->n_sources, old->n_sources);
    assert_int_equal(v->n_outputs, old->n_outputs);
    for (int32_t i = 0; i < v->n_sources; i++)
        assert_true(v->tensors[v->sources[i]].id == old->tensors[old->sources[i]].id);
    for (int32_t i = 0; i < v->n_outputs; i++)
        assert_string_equal(v->outputs[i].name, old->outputs[i].name);
    rig_put(&r, 0, x);
    rig_put(&r, 1, s);
    rig_put(&r, 2, b);
    assert_ok(rig_run(&r));
    for (int i = 0; i < 4; i++) {
        rig_get(&r, i, got);
        ftl_test_assert_close_f32(got, want[i], counts[i], 4e-6, old->outputs[i].name);
    }
    ftl_graph_destroy(g);
    rig_deinit(&r);
}

/* Whatever supports() refuses, compile refuses in the same words; nothing is quietly replaced. */
static void illegal_nodes_are_refused_by_name(void **unused)
{
    (void)unused;
    int n_illegal = 0;
    for (ftl_dtype d = FTL_DTYPE_F32; d <= FTL_DTYPE_F64; d++) {
        ftl_graph *g = composites(d);
        const ftl_graph_view *v = ftl_graph_get_view(g);
        const char *name = NULL;
        for (int32_t n = 0; !name && n < v->n_nodes; n++) {
            const ftl_status s = ftl_device_supports(contract_device, g, n);
            assert_true(s == FTL_OK || s == FTL_EUNSUPPORTED);
            if (s != FTL_OK) name = ftl_op_get_info(v->nodes[n].op)->name;
        }
        ftl_program *program = (ftl_program *)g;
        if (name) {
            n_illegal++;
            assert_fails(FTL_EUNSUPPORTED, ftl_program_compile(&program, contract_device, g, NULL));
            assert_null(program);
            assert_non_null(strstr(ftl_error_text(), name));
        } else {
            assert_ok(ftl_program_compile(&program, contract_device, g, NULL));
            ftl_program_destroy(program);
        }
        ftl_graph_destroy(g);
    }
    assert_true(n_illegal > 0);
    ftl_program_destroy(NULL);
}

/* x may say so at the node, but what has no decomposition ends the matter. */
static void a_missing_primitive_names_itself(void **unused)
{
    (void)unused;
    if (!contract_is("fake")) return; /* no other backend can be made to lack one */
    ftl_device *device = contract_open_script("only=add+mul");
    ftl_graph *g = ftl_test_graph(), *legal = g;
    const int32_t a = ftl_test_input(g, DESC(F32, 3, 3));
    ftl_graph_set_scope(g, "block7/product");
    ftl_graph_output(g, "y", FTL_ADD(g, matmul, NULL, FTL_ADD(g, add, NULL, a, a), a));
    assert_fails(FTL_EUNSUPPORTED, ftl_device_legalize(&legal, device, g));
    assert_null(legal);
    assert_non_null(strstr(ftl_error_text(), "matmul"));
    assert_non_null(strstr(ftl_error_text(), "block7/product"));
    assert_non_null(strstr(ftl_error_text(), "fake"));
    ftl_program *program;
    assert_fails(FTL_EUNSUPPORTED, ftl_program_compile(&program, device, g, NULL));
    assert_non_null(strstr(ftl_error_text(), "matmul"));
    ftl_graph_destroy(g);
    ftl_graph *composite = composites(FTL_DTYPE_F32); /* its decomposition lacks something */
    assert_fails(FTL_EUNSUPPORTED, ftl_device_legalize(&legal, device, composite));
    ftl_graph_destroy(composite);
    ftl_device_close(device);
}

static void unbound_graphs_are_refused_and_bound_ones_run(void **unused)
{
    (void)unused;
    ftl_graph *g, *bound;
    ftl_program *program;
    assert_ok(ftl_graph_create(&g, "open", false));
    const ftl_tensor_desc desc = { FTL_DTYPE_F32, 2, { ftl_dim_named(g, "batch"), 3 } };
    const int32_t x = ftl_graph_input(g, "x", &desc);
    ftl_graph_output(g, "y", FTL_ADD(g, add, NULL, x, x));
    assert_ok(ftl_graph_status(g));
    assert_fails(FTL_EINVAL, ftl_program_compile(&program, contract_device, g, NULL));
    assert_null(program);
    assert_non_null(strstr(ftl_error_text(), "open"));
    const ftl_dim_value two = { "batch", 2 };
    assert_ok(ftl_graph_bind(&bound, g, &two, 1));
    ftl_graph_destroy(g);
    rig r;
    rig_init(&r, contract_device, bound, 1);
    const float in[6] = { 1, 2, 3, 4, 5, 6 };
    float got[6];
    rig_put(&r, 0, in);
    assert_ok(rig_run(&r));
    rig_get(&r, 0, got);
    for (int i = 0; i < 6; i++) assert_true(got[i] == 2 * in[i]);
    ftl_graph_destroy(bound);
    rig_deinit(&r);
}

static void graphs_that_failed_are_refused_with_their_reason(void **unused)
{
    (void)unused;
    ftl_program *program;
    ftl_graph *g = ftl_test_graph();
    const int32_t a = ftl_test_input(g, DESC(F32, 2, 3)), b = ftl_test_input(g, DESC(F32, 4, 5));
    ftl_graph_output(g, "y", FTL_ADD(g, add, NULL, a, b));
    const ftl_status s = ftl_graph_status(g);
    assert_int_equal(s, FTL_EINVAL);
    assert_fails(FTL_EINVAL, ftl_program_compile(&program, contract_device, g, NULL));
    assert_null(program);
    ftl_graph_destroy(g);
}

/* The slice is not kept: it may go before the program runs (test_programs.c), and compiling twice
 * gives two programs that know nothing of each other. */
static void programs_of_one_slice_are_apart(void **unused)
{
    (void)unused;
    rig a, b;
    ftl_graph *g = contract_dense();
    rig_init(&a, contract_device, g, 1);
    rig_init(&b, contract_device, g, 1);
    assert_ptr_not_equal(a.program, b.program);
    rig_deinit(&a);
    rig_put_zeros(&b);
    assert_ok(rig_run(&b));
    ftl_graph_destroy(g);
    rig_deinit(&b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legalized_graphs_are_legal_and_mean_the_same),
        cmocka_unit_test(illegal_nodes_are_refused_by_name),
        cmocka_unit_test(a_missing_primitive_names_itself),
        cmocka_unit_test(unbound_graphs_are_refused_and_bound_ones_run),
        cmocka_unit_test(graphs_that_failed_are_refused_with_their_reason),
        cmocka_unit_test(programs_of_one_slice_are_apart),
    };
    return contract_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
