/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"

static void items_are_zero_aligned_and_stay(void **state)
{
    (void)state;
    ftl_arena arena = { 0 };
    char *items[500];
    for (size_t i = 0; i < 500; i++) {
        items[i] = ftl_arena_alloc(&arena, i);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        for (size_t j = 0; j < i; j++) assert_int_equal(items[i][j], 0);
        memset(items[i], (int)i, i);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < i; j++) assert_int_equal((unsigned char)items[i][j], i & 255);
    ftl_arena_deinit(&arena);
    assert_null(arena.head);
}

static void overflow_and_no_memory_give_null(void **state)
{
    (void)state;
    ftl_arena arena = { 0 };
    assert_null(ftl_arena_array(&arena, SIZE_MAX / 2, 4));
    assert_null(ftl_arena_alloc(&arena, SIZE_MAX - 3));
    ftl_alloc_fail_at(1, false);
    assert_null(ftl_arena_alloc(&arena, 10));
    ftl_alloc_fail_at(0, false);
    assert_string_equal(ftl_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    ftl_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_zero_aligned_and_stay),
        cmocka_unit_test(overflow_and_no_memory_give_null),
    };
    return ftl_test_run(tests);
}
