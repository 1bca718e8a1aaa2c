/* SPDX-License-Identifier: Apache-2.0 */
/* The text itself.  What it means is tested by running it: tests/contract/test_ops.c. */
#include "support/test.h"

#include <string.h>

#include "backend/pjrt/stablehlo.h"
#include "base/alloc.h"
#include "core/emit.h"
#include "core/op.h"

static const ftl_init zeros = { FTL_INIT_FILL, 0, 0 };

static ftl_tensor_desc f32(int32_t rank, int64_t a, int64_t b)
{
    return (ftl_tensor_desc){ .dtype = FTL_DTYPE_F32, .rank = rank, .dim = { a, b } };
}

static char *emit(const ftl_graph *graph, bool is_fast)
{
    const ftl_stablehlo_options options = { .struct_size = sizeof options, .is_fast = is_fast };
    char *text;
    size_t bytes;
    assert_ok(ftl_stablehlo_emit(&text, &bytes, graph, &options));
    assert_int_equal(strlen(text), bytes);
    return text;
}

/* y = relu(x w^T + b), s = s + y * k */
static ftl_graph *layer_with_state(const char *prefix)
{
    static const float scale[2] = { 1, -2 };
    const ftl_tensor_desc x_desc = f32(2, 1, 3), w_desc = f32(2, 2, 3), b_desc = f32(1, 2, 0),
                          s_desc = f32(2, 1, 2);
    ftl_graph *g;
    ftl_attr act = ftl_attr_blank();
    act.act.kind = FTL_ACT_RELU;
    assert_ok(ftl_graph_create(&g, prefix, true));
    ftl_graph_set_scope(g, prefix);
    const int32_t x = ftl_graph_input(g, "x", &x_desc);
    const int32_t w = ftl_graph_weight(g, "w", &w_desc, NULL, zeros);
    const int32_t b = ftl_graph_weight(g, "b", &b_desc, NULL, zeros);
    const int32_t s = ftl_graph_state(g, "s", &s_desc, zeros);
    const int32_t y = FTL_ADD(g, linear, &act, x, w, b);
    const int32_t k = ftl_graph_const(g, &b_desc, scale);
    ftl_graph_output(g, "y", y);
    ftl_graph_output_state(g, s, FTL_ADD(g, add, NULL, s, FTL_ADD(g, mul, NULL, y, k)));
    assert_ok(ftl_graph_status(g));
    return g;
}

static void a_small_slice_is_this_text(void **state)
{
    (void)state;
    static const char want[] =
        "module @fettle {\n"
        "  func.func public @main(%a0: tensor<1x3xf32>, %a1: tensor<2x3xf32>, %a2: tensor<2xf32>, "
        "%a3: tensor<1x2xf32> {tf.aliasing_output = 1 : i32}) -> (tensor<1x2xf32>, "
        "tensor<1x2xf32>) {\n"
        "    %v0 = \"stablehlo.dot_general\"(%a0, %a1) {dot_dimension_numbers = #stablehlo.dot<"
        "lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [1]>, precision_config = "
        "[#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<1x3xf32>, "
        "tensor<2x3xf32>) -> tensor<1x2xf32>\n"
        "    %v1 = \"stablehlo.broadcast_in_dim\"(%a2) {broadcast_dimensions = array<i64: 1>} : "
        "(tensor<2xf32>) -> tensor<1x2xf32>\n"
        "    %v2 = \"stablehlo.add\"(%v0, %v1) : (tensor<1x2xf32>, tensor<1x2xf32>) -> "
        "tensor<1x2xf32>\n"
        "    %v3 = \"stablehlo.constant\"() {value = dense<0x00000000> : tensor<1x2xf32>} : () -> "
        "tensor<1x2xf32>\n"
        "    %v4 = \"stablehlo.maximum\"(%v2, %v3) : (tensor<1x2xf32>, tensor<1x2xf32>) -> "
        "tensor<1x2xf32>\n"
        "    %v5 = \"stablehlo.constant\"() {value = dense<\"0x0000803F000000C0\"> : "
        "tensor<2xf32>} : () -> tensor<2xf32>\n"
        "    %v6 = \"stablehlo.broadcast_in_dim\"(%v5) {broadcast_dimensions = array<i64: 1>} : "
        "(tensor<2xf32>) -> tensor<1x2xf32>\n"
        "    %v7 = \"stablehlo.multiply\"(%v4, %v6) : (tensor<1x2xf32>, tensor<1x2xf32>) -> "
        "tensor<1x2xf32>\n"
        "    %v8 = \"stablehlo.add\"(%a3, %v7) : (tensor<1x2xf32>, tensor<1x2xf32>) -> "
        "tensor<1x2xf32>\n"
        "    \"func.return\"(%v4, %v8) : (tensor<1x2xf32>, tensor<1x2xf32>) -> ()\n"
        "  }\n"
        "}\n";
    ftl_graph *g = layer_with_state("");
    char *text = emit(g, false);
    assert_string_equal(text, want);
    ftl_free(text);
    ftl_graph_destroy(g);
}

/* Names are not part of the text: the cache on disk serves a model under any name. */
static void names_do_not_change_the_text(void **state)
{
    (void)state;
    ftl_graph *g = layer_with_state("one"), *h = layer_with_state("another");
    char *a = emit(g, false), *b = emit(h, false);
    assert_string_equal(a, b);
    ftl_free(a);
    ftl_free(b);
    ftl_graph_destroy(g);
    ftl_graph_destroy(h);
}

static void fast_products_ask_for_less_precision(void **state)
{
    (void)state;
    ftl_graph *g = layer_with_state("");
    char *text = emit(g, true);
    assert_non_null(strstr(text, "<precision DEFAULT>"));
    assert_null(strstr(text, "HIGHEST"));
    ftl_free(text);
    ftl_graph_destroy(g);
}

/* Output of one constant, in the type and with the bytes given. */
static char *emit_constant(ftl_tensor_desc desc, const void *data)
{
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "", true));
    ftl_graph_output(g, "y", ftl_graph_const(g, &desc, data));
    char *text = emit(g, false);
    ftl_graph_destroy(g);
    return text;
}

static void constants_keep_every_bit(void **state)
{
    (void)state;
    static const uint8_t nan_bits[4] = { 1, 0, 0xc0, 0x7f };
    static const int8_t bytes[2] = { -128, -128 };
    static const uint64_t top[1] = { UINT64_MAX };
    static const uint8_t flags[3] = { 1, 0, 1 };
    static const uint16_t half[2] = { 0x3c00, 0x3c00 };
    const struct {
        ftl_tensor_desc desc;
        const void *data;
        const char *part;
    } rows[] = {
        { { FTL_DTYPE_F32, 0, { 0 } }, nan_bits, "dense<0x7FC00001> : tensor<f32>" },
        { { FTL_DTYPE_I8, 1, { 2 } }, bytes, "dense<-128> : tensor<2xi8>" },
        { { FTL_DTYPE_U64, 1, { 1 } }, top, "dense<18446744073709551615> : tensor<1xui64>" },
        { { FTL_DTYPE_F16, 2, { 1, 2 } }, half, "dense<0x3C00> : tensor<1x2xf16>" },
        { { FTL_DTYPE_F32, 2, { 0, 2 } }, nan_bits, "dense<> : tensor<0x2xf32>" },
        /* the bits of an i1 blob would be packed */
        { { FTL_DTYPE_BOOL, 1, { 3 } }, flags, "dense<\"0x010001\"> : tensor<3xui8>" },
        { { FTL_DTYPE_BOOL, 1, { 1 } }, flags, "dense<true> : tensor<1xi1>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = emit_constant(rows[i].desc, rows[i].data);
        if (!strstr(text, rows[i].part)) print_error("%s\nlacks %s\n", text, rows[i].part);
        assert_non_null(strstr(text, rows[i].part));
        ftl_free(text);
    }
}

static void composites_are_left_to_their_decomposition(void **state)
{
    (void)state;
    const ftl_tensor_desc desc = f32(2, 2, 3);
    ftl_graph *g;
    char *text;
    size_t bytes;
    const ftl_stablehlo_options options = { .struct_size = sizeof options };
    assert_ok(ftl_graph_create(&g, "", true));
    const int32_t x = ftl_graph_input(g, "x", &desc);
    ftl_attr attr = ftl_attr_blank();
    attr.norm.axis = 1;
    ftl_graph_output(g, "y", FTL_ADD(g, softmax, &attr, FTL_ADD(g, exp, NULL, x)));
    assert_ok(ftl_stablehlo_supports(g, 0));
    assert_fails(FTL_EUNSUPPORTED, ftl_stablehlo_supports(g, 1));
    assert_fails(FTL_EUNSUPPORTED, ftl_stablehlo_emit(&text, &bytes, g, &options));
    assert_null(text);
    ftl_graph_destroy(g);
}

/* Whatever has no decomposition must have a form of its own. */
static void every_primitive_has_a_form(void **state)
{
    (void)state;
    ftl_graph *g;
    assert_ok(ftl_graph_create(&g, "", false));
    const ftl_tensor_desc desc = f32(2, 2, 2);
    const int32_t x = ftl_graph_input(g, "x", &desc);
    const int32_t in[8] = { x, x, x, x, x, x, x, x };
    for (int op = 0; op < FTL_OP_COUNT; op++) {
        const ftl_op_info *info = ftl_op_get_info((ftl_op)op);
        const int32_t n = ftl_graph_get_view(g)->n_nodes;
        if (info->lower) continue;
        ftl_graph_add(g, (ftl_op)op, NULL, in,
                      info->in_min); /* unbound: shapes are not looked at */
        assert_ok(ftl_graph_status(g));
        if (ftl_stablehlo_supports(g, n) != FTL_OK) print_error("%s\n", ftl_error_text());
        assert_ok(ftl_stablehlo_supports(g, n));
    }
    ftl_graph_destroy(g);
}

/* The n-th request for memory fails, for every n. */
static void no_memory_is_a_status(void **state)
{
    (void)state;
    ftl_graph *g = layer_with_state("");
    const ftl_stablehlo_options options = { .struct_size = sizeof options };
    for (uint64_t n = 1;; n++) {
        char *text;
        size_t bytes;
        ftl_alloc_fail_at(n, true);
        const ftl_status s = ftl_stablehlo_emit(&text, &bytes, g, &options);
        ftl_alloc_fail_at(0, false);
        if (s == FTL_OK) {
            assert_in_range(n, 3, 100);
            ftl_free(text);
            break;
        }
        assert_int_equal(s, FTL_ENOMEM);
        assert_null(text);
    }
    ftl_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_slice_is_this_text),
        cmocka_unit_test(names_do_not_change_the_text),
        cmocka_unit_test(fast_products_ask_for_less_precision),
        cmocka_unit_test(constants_keep_every_bit),
        cmocka_unit_test(composites_are_left_to_their_decomposition),
        cmocka_unit_test(every_primitive_has_a_form),
        cmocka_unit_test(no_memory_is_a_status),
    };
    return ftl_test_run(tests);
}
