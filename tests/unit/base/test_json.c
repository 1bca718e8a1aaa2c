/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"

static json_t *parsed(const char *text)
{
    json_t *v;
    assert_ok(ftl_json_parse(&v, text, strlen(text), "config.json"));
    return v;
}

static void assert_says(const char *want)
{
    if (!strstr(ftl_error_text(), want))
        print_error("want \"%s\" in \"%s\"\n", want, ftl_error_text());
    assert_non_null(strstr(ftl_error_text(), want));
}

static void bad_text_names_line_and_column(void **state)
{
    (void)state;
    json_t *v = (json_t *)1;
    const char *text = "{\n  \"a\": 1,\n  \"b\": }\n";
    assert_fails(FTL_EFORMAT, ftl_json_parse(&v, text, strlen(text), "config.json"));
    assert_null(v);
    assert_says("config.json: line 3, column 8");
    static const char *const bad[] = { "",        "{",     "[1,2",       "{\"a\":1,\"a\":2}",
                                       "[1] x",   "\"\\u", "[\"\xff\"]", "99999999999999999999",
                                       "[1e999]", "nul" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(FTL_EFORMAT, ftl_json_parse(&v, bad[i], strlen(bad[i]), "x"));
}

static void depth_is_limited(void **state)
{
    (void)state;
    enum { N = 100000 };
    char *text = malloc(N);
    assert_non_null(text);
    memset(text, '[', N);
    json_t *v;
    assert_fails(FTL_EFORMAT, ftl_json_parse(&v, text, N, "deep.json"));
    assert_says("deep.json: line 1: nested deeper than 200");
    memset(text + FTL_JSON_MAX_DEPTH, ']', FTL_JSON_MAX_DEPTH);
    assert_ok(ftl_json_parse(&v, text, 2 * FTL_JSON_MAX_DEPTH, "x"));
    /* The way down to the deepest place fits. */
    ftl_json at[FTL_JSON_MAX_DEPTH];
    at[0] = ftl_json_root(v, "x");
    for (int i = 1; i < FTL_JSON_MAX_DEPTH; i++) at[i] = ftl_json_item(&at[i - 1], 0);
    int64_t n;
    assert_fails(FTL_EFORMAT, ftl_json_int(&n, &at[FTL_JSON_MAX_DEPTH - 1], NULL, 0, 1));
    json_decref(v);
    text[0] = '"'; /* brackets inside a string nest nothing */
    memset(text + 1, '[', 1000);
    text[500] = '\\', text[501] = '"', text[1001] = '"';
    text[0] = '[', text[1] = '"', text[1002] = ']';
    assert_ok(ftl_json_parse(&v, text, 1003, "x"));
    json_decref(v);
    free(text);
}

static void getters_name_the_path(void **state)
{
    (void)state;
    json_t *v = parsed("{\"layers\":[{\"size\":1},{\"size\":\"big\",\"f\":2,\"b\":true,\"n\":null}]"
                       ",\"name\":\"m\"}");
    const ftl_json root = ftl_json_root(v, "config.json");
    ftl_json layers, missing;
    assert_ok(ftl_json_array(&layers, &root, "layers"));
    assert_int_equal(ftl_json_size(&layers), 2);
    const ftl_json first = ftl_json_item(&layers, 0), second = ftl_json_item(&layers, 1);
    int64_t n;
    double x;
    bool b;
    const char *s;
    assert_ok(ftl_json_int(&n, &first, "size", 0, 10));
    assert_int_equal(n, 1);
    assert_fails(FTL_EFORMAT, ftl_json_int(&n, &first, "size", 2, 10));
    assert_says("config.json: layers[0].size: 1 is outside 2 to 10");
    assert_fails(FTL_EFORMAT, ftl_json_int(&n, &second, "size", 0, 10));
    assert_says("config.json: layers[1].size: expected an integer, found a string");
    assert_fails(FTL_EFORMAT, ftl_json_int(&n, &second, "n", 0, 10));
    assert_says("found null");
    assert_ok(ftl_json_real(&x, &second, "f"));
    assert_true(x == 2);
    assert_ok(ftl_json_bool(&b, &second, "b"));
    assert_true(b);
    assert_ok(ftl_json_string(&s, &root, "name"));
    assert_string_equal(s, "m");
    assert_fails(FTL_EFORMAT, ftl_json_string(&s, &root, "nome"));
    assert_says("config.json: the key \"nome\" is missing");
    assert_null(s);
    assert_fails(FTL_EFORMAT, ftl_json_object(&missing, &root, "layers"));
    assert_says("config.json: layers: expected an object, found an array");
    assert_fails(FTL_EFORMAT, ftl_json_member(&missing, &layers, "x"));
    assert_true(ftl_json_has(&root, "name"));
    assert_false(ftl_json_has(&second, "n"));
    assert_false(ftl_json_has(&layers, "name"));
    char small[12];
    assert_string_equal(ftl_json_path(&first, small, sizeof small), "config.json");
    json_decref(v);
}

static void written_file_reads_back_and_never_holds_nan(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", ftl_test_temp("out.json"));
    json_t *v = json_object();
    assert_int_equal(json_object_set_new(v, "z", ftl_json_new_real(0.1)), 0);
    assert_int_equal(json_object_set_new(v, "a", ftl_json_new_real(NAN)), 0);
    assert_int_equal(json_object_set_new(v, "b", ftl_json_new_real(-INFINITY)), 0);
    assert_ok(ftl_json_write_file(v, path));
    char *text, *direct;
    assert_ok(ftl_file_read_all(&text, NULL, path, 1000));
    assert_string_equal(text,
                        "{\n  \"z\": 0.10000000000000001,\n  \"a\": null,\n  \"b\": null\n}\n");
    assert_ok(ftl_json_write_text(&direct, v));
    assert_string_equal(text, direct);
    ftl_free(text);
    ftl_free(direct);
    json_t *back;
    assert_ok(ftl_json_parse_file(&back, path, 1000));
    assert_true(json_equal(v, back));
    json_decref(back);
    assert_fails(FTL_EFORMAT, ftl_json_parse_file(&back, path, 10));
    assert_fails(FTL_ENOTFOUND, ftl_json_parse_file(&back, ftl_test_temp("absent"), 10));
    assert_fails(FTL_EIO, ftl_json_write_file(v, "/dev/full"));
    assert_says("disk is full");
    json_decref(v);
}

static void failing_memory_is_a_status(void **state)
{
    (void)state;
    const char *text = "{\"a\":[1,2.5,\"text\"],\"b\":{\"c\":null}}";
    json_t *v;
    char *out;
    int n_failed = 0;
    for (uint64_t nth = 1; nth < 100; nth++) {
        ftl_alloc_fail_at(nth, true);
        const ftl_status s = ftl_json_parse(&v, text, strlen(text), "x");
        ftl_alloc_fail_at(0, false);
        if (s == FTL_OK) {
            json_decref(v);
            break;
        }
        n_failed++;
        assert_fails(FTL_ENOMEM, s);
        assert_null(v);
    }
    assert_true(n_failed > 5);
    v = parsed(text);
    n_failed = 0;
    for (uint64_t nth = 1; nth < 100; nth++) {
        ftl_alloc_fail_at(nth, true);
        const ftl_status s = ftl_json_write_text(&out, v);
        ftl_alloc_fail_at(0, false);
        ftl_free(out);
        if (s == FTL_OK) break;
        n_failed++;
        assert_fails(FTL_ENOMEM, s);
    }
    assert_true(n_failed > 0 && n_failed < 99);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_text_names_line_and_column),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(getters_name_the_path),
        cmocka_unit_test(written_file_reads_back_and_never_holds_nan),
        cmocka_unit_test(failing_memory_is_a_status),
    };
    return ftl_test_run(tests);
}
