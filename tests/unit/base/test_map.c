/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

enum { MANY = 20000 };

static void many_names(ftl_arena *arena)
{
    ftl_map *map;
    assert_ok(ftl_map_create(&map, arena));
    char key[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "layer.%d.weight", i);
        assert_ok(ftl_map_insert_number(map, key, i * 3));
    }
    assert_int_equal(ftl_map_size(map), MANY);
    for (int i = 0; i < MANY; i++) {
        int64_t number = -1;
        snprintf(key, sizeof key, "layer.%d.weight", i);
        assert_true(ftl_map_find_number(map, key, &number));
        assert_int_equal(number, i * 3);
        assert_string_equal(ftl_map_at(map, (size_t)i)->key, key); /* order of insertion */
        snprintf(key, sizeof key, "layer.%d.bias", i);
        assert_false(ftl_map_find_number(map, key, &number));
    }
    assert_null(ftl_map_at(map, MANY));
    ftl_map_destroy(map);
}

static void many_names_are_found_in_order(void **state)
{
    (void)state;
    many_names(NULL);
    ftl_arena arena = { 0 };
    many_names(&arena);
    ftl_arena_deinit(&arena);
    ftl_map_destroy(NULL);
}

static void second_insertion_is_refused_or_replaces(void **state)
{
    (void)state;
    ftl_map *map;
    int a = 1, b = 2;
    assert_ok(ftl_map_create(&map, NULL));
    assert_null(ftl_map_find(map, "x"));
    assert_ok(ftl_map_insert(map, "x", &a));
    assert_ok(ftl_map_insert(map, "y", &a));
    assert_fails(FTL_EINVAL, ftl_map_insert(map, "x", &b));
    assert_non_null(strstr(ftl_error_text(), "\"x\" is given twice"));
    assert_ptr_equal(ftl_map_find(map, "x"), &a);
    assert_ok(ftl_map_put(map, "x", 1, (ftl_map_value){ .pointer = &b }, true));
    assert_ptr_equal(ftl_map_find(map, "x"), &b);
    assert_int_equal(ftl_map_size(map), 2);
    assert_string_equal(ftl_map_at(map, 0)->key, "x");
    ftl_map_destroy(map);
}

static void keys_are_any_bytes(void **state)
{
    (void)state;
    ftl_map *map;
    assert_ok(ftl_map_create(&map, NULL));
    static const char zeros[40] = { 0 };
    for (size_t n = 0; n <= 40; n++)
        assert_ok(ftl_map_put(map, zeros, n, (ftl_map_value){ .number = (int64_t)n }, false));
    for (size_t n = 0; n <= 40; n++) assert_int_equal(ftl_map_get(map, zeros, n)->value.number, n);
    assert_int_equal(ftl_map_at(map, 17)->key_bytes, 17);
    ftl_map_destroy(map);
}

static void failing_memory_changes_nothing(void **state)
{
    (void)state;
    ftl_map *map;
    ftl_alloc_fail_at(1, false);
    assert_fails(FTL_ENOMEM, ftl_map_create(&map, NULL));
    assert_null(map);
    for (uint64_t nth = 1; nth <= 30; nth++) {
        ftl_alloc_fail_at(0, false);
        assert_ok(ftl_map_create(&map, NULL));
        ftl_alloc_fail_at(nth, false);
        int n_failed = 0;
        char key[16];
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "%d", i);
            if (ftl_map_insert_number(map, key, i) != FTL_OK) {
                n_failed++;
                assert_null(ftl_map_get(map, key, strlen(key)));
                assert_ok(ftl_map_insert_number(map, key, i));
            }
        }
        ftl_alloc_fail_at(0, false);
        assert_int_equal(n_failed, nth <= 29 ? 1 : 0); /* 20 keys, 3 times 3 arrays */
        assert_int_equal(ftl_map_size(map), 20);
        for (int64_t i = 0; i < 20; i++)
            assert_int_equal(ftl_map_at(map, (size_t)i)->value.number, i);
        ftl_map_destroy(map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_names_are_found_in_order),
        cmocka_unit_test(second_insertion_is_refused_or_replaces),
        cmocka_unit_test(keys_are_any_bytes),
        cmocka_unit_test(failing_memory_changes_nothing),
    };
    return ftl_test_run(tests);
}
