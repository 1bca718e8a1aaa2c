/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "device/sysfs.h"

static char root[256];

static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(root, sizeof root, "%s", ftl_test_temp("root"));
    mkdir(root, 0755);
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void text_is_trimmed_and_cut(void **state)
{
    (void)state;
    char text[8];
    put("word", "  performance \n\n");
    assert_true(ftl_sysfs_text(text, sizeof text, root, "/%s", "word"));
    assert_string_equal(text, "  perfo");
    put("word", "ab \t\n");
    assert_true(ftl_sysfs_text(text, sizeof text, root, "/word"));
    assert_string_equal(text, "ab");
    put("word", "");
    assert_true(ftl_sysfs_text(text, sizeof text, root, "/word"));
    assert_string_equal(text, "");
    assert_false(ftl_sysfs_text(text, sizeof text, root, "/absent"));
    assert_int_equal(errno, ENOENT);
    assert_false(ftl_sysfs_text(text, sizeof text, root, "/"));
}

static void numbers_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_number;
        uint64_t value;
    } cases[] = {
        { "0\n", true, 0 },
        { "262143328850\n", true, 262143328850ull },
        { "0x10de\n", true, 0x10de },
        { "010\n", true, 10 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "max\n", false, 0 },
        { "-1\n", false, 0 },
        { "12 W\n", false, 0 },
        { "\n", false, 0 },
        { "99999999999999999999999999999999999999999999999999999999999999999999999999", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 77;
        put("number", cases[i].text);
        assert_int_equal(ftl_sysfs_u64(&value, root, "/number"), cases[i].is_number);
        assert_int_equal(value, cases[i].value);
    }
}

static void links_give_their_last_part(void **state)
{
    (void)state;
    char path[512], text[64];
    put("word", "x");
    snprintf(path, sizeof path, "%s/driver", root);
    assert_int_equal(symlink("../../bus/pci/drivers/nvidia", path), 0);
    assert_true(ftl_sysfs_link(text, sizeof text, root, "/driver"));
    assert_string_equal(text, "nvidia");
    assert_true(ftl_sysfs_target(text, sizeof text, root, "/driver"));
    assert_string_equal(text, "../../bus/pci/drivers/nvidia");
    assert_false(ftl_sysfs_link(text, sizeof text, root, "/word"));
    assert_string_equal(text, "");
}

static void lists_are_sorted_by_number(void **state)
{
    (void)state;
    ftl_sysfs_names names;
    put("hwmon10", "");
    put("hwmon2", "");
    put(".hidden", "");
    assert_ok(ftl_sysfs_list(&names, "hwmon", root, "/"));
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "hwmon2");
    assert_string_equal(names.names[1], "hwmon10");
    ftl_sysfs_names_deinit(&names);
    assert_ok(ftl_sysfs_list(&names, "", root, "/absent"));
    assert_int_equal(names.count, 0);
    ftl_sysfs_names_deinit(&names);
    ftl_alloc_fail_at(1, true);
    const ftl_status s = ftl_sysfs_list(&names, "hwmon", root, "/");
    ftl_alloc_fail_at(0, false);
    assert_int_equal(s, FTL_ENOMEM);
    assert_int_equal(names.count, 0);
}

static void a_path_too_long_is_no_file(void **state)
{
    (void)state;
    char text[8], longest[2 * FTL_SYSFS_PATH];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_false(ftl_sysfs_text(text, sizeof text, longest, "/x"));
    assert_false(ftl_sysfs_text(text, sizeof text, "", "/%s", longest));
    assert_false(ftl_sysfs_exists("", "/%s", longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_trimmed_and_cut),    cmocka_unit_test(numbers_are_read_strictly),
        cmocka_unit_test(links_give_their_last_part), cmocka_unit_test(lists_are_sorted_by_number),
        cmocka_unit_test(a_path_too_long_is_no_file),
    };
    return ftl_test_run(tests);
}
