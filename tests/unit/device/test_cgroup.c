/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "device/cgroup.h"

#define PROFILE(name) FTL_TEST_PROFILES "/" name
#define MIB           ((uint64_t)1 << 20)

static char root[256];

static void put(const char *file, const char *text)
{
    char path[512], command[600];
    snprintf(root, sizeof root, "%s", ftl_test_temp("root"));
    snprintf(path, sizeof path, "%s%s", root, file);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    assert_int_equal(system(command), 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void version_2_walks_up(void **state)
{
    (void)state;
    ftl_cgroup_limits l;
    ftl_cgroup_read(&l, PROFILE("container-v2"));
    assert_string_equal(l.path, "/kubepods.slice/pod1.slice/c1.scope");
    assert_float_equal(l.cpu_quota, 1.5, 1e-12);
    assert_int_equal(l.memory_limit_bytes, 2048 * MIB);
    assert_int_equal(l.memory_free_bytes, 1548 * MIB);
}

static void version_1_is_read_per_controller(void **state)
{
    (void)state;
    ftl_cgroup_limits l;
    ftl_cgroup_read(&l, PROFILE("container-v1"));
    assert_string_equal(l.path, "/docker/f00d/job");
    assert_float_equal(l.cpu_quota, 1.5, 1e-12);
    assert_int_equal(l.memory_limit_bytes, 2048 * MIB);
    assert_int_equal(l.memory_free_bytes, 1548 * MIB);
}

static void no_groups_are_no_limits(void **state)
{
    (void)state;
    static const char *const roots[] = { "/nonexistent", PROFILE("laptop-hybrid"),
                                         PROFILE("arm-board") };
    for (size_t i = 0; i < 3; i++) {
        ftl_cgroup_limits l;
        ftl_cgroup_read(&l, roots[i]);
        assert_true(l.cpu_quota == 0);
        assert_int_equal(l.memory_limit_bytes, 0);
        assert_int_equal(l.memory_free_bytes, UINT64_MAX);
    }
}

static void a_fuller_parent_leaves_less(void **state)
{
    (void)state;
    ftl_cgroup_limits l;
    put("/proc/self/cgroup", "0::/a/b\n");
    put("/sys/fs/cgroup/a/memory.max", "1000000000\n");
    put("/sys/fs/cgroup/a/memory.current", "990000000\n");
    put("/sys/fs/cgroup/a/b/memory.max", "500000000\n");
    put("/sys/fs/cgroup/a/b/memory.high", "400000000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "100000000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    ftl_cgroup_read(&l, root);
    assert_int_equal(l.memory_limit_bytes, 400000000);
    assert_int_equal(l.memory_free_bytes, 10000000);
    assert_float_equal(l.cpu_quota, 0.5, 1e-12);
}

static void hostile_text_is_survived(void **state)
{
    (void)state;
    ftl_cgroup_limits l;
    char wide[3000];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = 0;
    wide[0] = '0';
    wide[1] = wide[2] = ':';
    wide[3] = '/';
    put("/proc/self/cgroup", wide);
    put("/proc/self/mountinfo", " - cgroup\n1 2 3\n4 5 6 / /sys/fs/cgroup rw - cgroup2\n");
    ftl_cgroup_read(&l, root);
    assert_int_equal(l.memory_limit_bytes, 0);
    put("/proc/self/mountinfo", "4 5 6 / /sys/fs/cgroup rw - cgroup2 c rw\n");
    put("/proc/self/cgroup", "0::/../../etc\n:\n::\n0:cpu\n");
    put("/sys/fs/cgroup/cpu.max", "-5 0\n");
    put("/sys/fs/cgroup/memory.max", "99999999999999999999999\n");
    ftl_cgroup_read(&l, root);
    assert_true(l.cpu_quota == 0);
    assert_int_equal(l.memory_limit_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2_walks_up),
        cmocka_unit_test(version_1_is_read_per_controller),
        cmocka_unit_test(no_groups_are_no_limits),
        cmocka_unit_test(a_fuller_parent_leaves_less),
        cmocka_unit_test(hostile_text_is_survived),
    };
    return ftl_test_run(tests);
}
