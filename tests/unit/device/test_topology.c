/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "device/topology.h"

#define PROFILE(name) FTL_TEST_PROFILES "/" name
#define MIB           ((uint64_t)1 << 20)

static ftl_topology *open_profile(const char *root)
{
    ftl_topology *t = NULL;
    assert_ok(ftl_topology_create(&t, root));
    assert_non_null(t);
    return t;
}

static void assert_cache(const ftl_cpu_cache *c, uint32_t level, uint64_t bytes, uint32_t n,
                         uint32_t n_cpus)
{
    assert_int_equal(c->level, level);
    assert_int_equal(c->bytes, bytes);
    assert_int_equal(c->n_instances, n);
    assert_int_equal(c->n_cpus_each, n_cpus);
    assert_int_equal(c->line_bytes, 64);
}

static void assert_core_cpus(const ftl_topology *t, const int32_t *want, size_t n)
{
    assert_int_equal(t->n_usable_cores, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(t->cores[i].cpu, want[i]);
}

static void laptop_has_two_kinds_of_cores_and_runs_on_battery(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("laptop-hybrid"));
    assert_string_equal(t->cpu_name, "12th Gen Intel(R) Core(TM) i3-1215U");
    assert_string_equal(t->cpu_vendor, "Intel");
    assert_string_equal(t->arch, "x86_64");
    assert_string_equal(t->isa, "sse4_2 avx avx2 fma f16c avx_vnni");
    assert_string_equal(t->board, "IdeaPad 3 14IAU7");
    assert_string_equal(t->kernel, "6.8.0-45-generic");
    assert_string_equal(t->governor, "powersave");
    assert_string_equal(t->virtualization, "");
    assert_string_equal(t->container, "");
    assert_int_equal(t->n_packages, 1);
    assert_int_equal(t->n_cores, 6);
    assert_int_equal(t->n_cpus, 8);
    assert_int_equal(t->max_mhz, 4400);
    assert_int_equal(t->n_kinds, 2);
    assert_string_equal(t->kinds[0].name, "performance");
    assert_int_equal(t->kinds[0].n_cores, 2);
    assert_int_equal(t->kinds[0].n_cpus, 4);
    assert_int_equal(t->kinds[0].max_mhz, 4400);
    assert_string_equal(t->kinds[1].name, "efficient");
    assert_int_equal(t->kinds[1].n_cores, 4);
    assert_int_equal(t->kinds[1].n_cpus, 4);
    assert_int_equal(t->kinds[1].max_mhz, 3300);
    assert_int_equal(t->n_caches, 5);
    assert_cache(&t->caches[0], 1, 49152, 2, 2);
    assert_cache(&t->caches[1], 1, 32768, 4, 1);
    assert_cache(&t->caches[2], 2, 1310720, 2, 2);
    assert_cache(&t->caches[3], 2, 2097152, 1, 4);
    assert_cache(&t->caches[4], 3, 10485760, 1, 8);
    assert_ptr_equal(ftl_topology_cache(t, 2), &t->caches[2]);
    assert_null(ftl_topology_cache(t, 4));
    assert_core_cpus(t, (int32_t[]){ 0, 2, 4, 5, 6, 7 }, 6);
    assert_int_equal(t->cores[1].kind, 0);
    assert_int_equal(t->cores[2].kind, 1);
    assert_int_equal(t->memory_total_bytes, 16173124ull * 1024);
    assert_int_equal(t->memory_usable_bytes, 9437184ull * 1024);
    assert_int_equal(t->usable_cpus, 8);
    assert_true(t->cpu_quota == 0);
    /* The mouse's battery, at 20 percent, is not the laptop's. */
    assert_int_equal(t->power_source, FTL_POWER_BATTERY);
    assert_int_equal(t->battery_percent, 83);
    assert_true(t->is_discharging);
    ftl_topology_destroy(t);
}

static void server_counts_both_sockets_and_respects_the_affinity_mask(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("server-2socket"));
    assert_int_equal(t->n_packages, 2);
    assert_int_equal(t->n_cores, 8);
    assert_int_equal(t->n_cpus, 16);
    assert_int_equal(t->n_kinds, 1);
    assert_int_equal(t->kinds[0].n_cores, 8);
    assert_string_equal(t->kinds[0].name, "");
    assert_int_equal(t->n_caches, 3);
    assert_cache(&t->caches[0], 1, 32768, 8, 2);
    assert_cache(&t->caches[1], 2, 1048576, 8, 2);
    assert_cache(&t->caches[2], 3, 33554432, 2, 8);
    assert_int_equal(t->n_numa_nodes, 2);
    assert_int_equal(t->numa_nodes[1].os_index, 1);
    assert_int_equal(t->numa_nodes[1].n_cpus, 8);
    assert_int_equal(t->numa_nodes[1].memory_bytes, 68719476736ull);
    /* 1-3,8-15: of core 0 only its second thread, of cores 2 and 3 nothing. */
    assert_int_equal(t->n_allowed_cpus, 11);
    assert_int_equal(t->usable_cpus, 11);
    assert_false(ftl_topology_is_allowed(t, 0));
    assert_true(ftl_topology_is_allowed(t, 15));
    assert_false(ftl_topology_is_allowed(t, 16));
    assert_false(ftl_topology_is_allowed(t, -1));
    assert_core_cpus(t, (int32_t[]){ 1, 2, 8, 10, 12, 14 }, 6);
    assert_int_equal(t->cores[1].package, 0);
    assert_int_equal(t->cores[2].package, 1);
    assert_int_equal(t->cores[2].numa_node, 1);
    assert_int_equal(t->power_source, FTL_POWER_UNKNOWN);
    assert_int_equal(t->battery_percent, -1);
    assert_non_null(strstr(t->isa, "avx512_bf16 amx_tile amx_int8 amx_bf16"));
    ftl_topology_destroy(t);
}

static void arm_board_names_both_cores(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("arm-board"));
    assert_string_equal(t->cpu_name, "Cortex-A76 + Cortex-A55");
    assert_string_equal(t->cpu_vendor, "Arm");
    assert_string_equal(t->arch, "aarch64");
    assert_string_equal(t->isa, "asimd fphp asimdhp asimddp");
    assert_string_equal(t->board, "Orange Pi 5");
    assert_string_equal(t->governor, "ondemand");
    assert_int_equal(t->max_mhz, 2400);
    assert_int_equal(t->n_kinds, 2);
    assert_int_equal(t->kinds[0].max_mhz, 2400);
    assert_int_equal(t->kinds[1].max_mhz, 1800);
    /* The fast cores have the higher numbers and come first all the same. */
    assert_core_cpus(t, (int32_t[]){ 4, 5, 6, 7, 0, 1, 2, 3 }, 8);
    assert_cache(ftl_topology_cache(t, 2), 2, 524288, 4, 1);
    assert_cache(ftl_topology_cache(t, 3), 3, 3145728, 1, 8);
    ftl_topology_destroy(t);
}

static void container_v2_takes_the_least_limit_of_all_levels(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("container-v2"));
    assert_int_equal(t->n_cpus, 8);
    assert_int_equal(t->n_allowed_cpus, 8);
    assert_float_equal(t->cpu_quota, 1.5, 1e-12);
    assert_int_equal(t->usable_cpus, 2);
    assert_int_equal(t->n_usable_cores, 8);
    assert_int_equal(t->memory_total_bytes, 32768 * MIB);
    assert_int_equal(t->memory_available_bytes, 20480 * MIB);
    assert_int_equal(t->memory_limit_bytes, 2048 * MIB);
    /* 600 MiB are used, of which the kernel can drop 100. */
    assert_int_equal(t->memory_usable_bytes, (2048 - 500) * MIB);
    assert_string_equal(t->container, "kubernetes");
    assert_string_equal(t->virtualization, "google");
    ftl_topology_destroy(t);
}

static void container_v1_finds_its_groups_without_a_namespace(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("container-v1"));
    assert_int_equal(t->n_allowed_cpus, 4);
    assert_float_equal(t->cpu_quota, 1.5, 1e-12);
    assert_int_equal(t->usable_cpus, 2);
    assert_core_cpus(t, (int32_t[]){ 2, 3, 4, 5 }, 4);
    assert_int_equal(t->memory_limit_bytes, 2048 * MIB);
    assert_int_equal(t->memory_usable_bytes, (2048 - 500) * MIB);
    assert_string_equal(t->container, "docker");
    ftl_topology_destroy(t);
}

static void wsl_is_told_apart_and_lives_without_hwloc(void **state)
{
    (void)state;
    ftl_topology *t = open_profile(PROFILE("wsl2"));
    assert_true(t->is_wsl);
    assert_string_equal(t->virtualization, "wsl2");
    assert_int_equal(t->n_cpus, 4);
    assert_int_equal(t->n_usable_cores, 4);
    assert_int_equal(t->cores[3].cpu, 3);
    assert_int_equal(t->n_caches, 0);
    assert_int_equal(t->power_source, FTL_POWER_MAINS);
    assert_int_equal(t->battery_percent, 100);
    assert_false(t->is_discharging);
    ftl_topology_destroy(t);
}

static void an_empty_root_gives_unknowns(void **state)
{
    (void)state;
    ftl_topology *t = open_profile("/nonexistent");
    assert_string_equal(t->cpu_name, "");
    assert_int_equal(t->n_cpus, 0);
    assert_int_equal(t->usable_cpus, 1);
    assert_int_equal(t->n_usable_cores, 0);
    assert_int_equal(t->memory_total_bytes, 0);
    assert_int_equal(t->memory_usable_bytes, 0);
    assert_int_equal(t->battery_percent, -1);
    ftl_topology_destroy(t);
}

static void this_machine_makes_sense(void **state)
{
    (void)state;
    ftl_topology *t = open_profile("");
    assert_true(t->n_cpus >= 1 && t->n_cores >= 1 && t->n_cores <= t->n_cpus);
    assert_true(t->n_allowed_cpus >= 1 && t->n_allowed_cpus <= t->n_cpus);
    assert_true(t->usable_cpus >= 1 && t->usable_cpus <= t->n_allowed_cpus);
    assert_true(t->n_usable_cores >= 1 && t->n_usable_cores <= t->n_cores);
    for (size_t i = 0; i < t->n_usable_cores; i++)
        assert_true(ftl_topology_is_allowed(t, t->cores[i].cpu));
    assert_true(t->memory_total_bytes > 16 * MIB);
    assert_true(t->memory_usable_bytes <= t->memory_total_bytes);
    assert_true(t->kernel[0] != 0);
    if (t->n_numa_nodes == 1)
        assert_int_equal(t->numa_nodes[0].memory_bytes, t->memory_total_bytes);
    ftl_topology_destroy(t);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    uint64_t nth = 0;
    ftl_status s = FTL_ENOMEM;
    while (s == FTL_ENOMEM && nth < 1000) {
        ftl_topology *t = NULL;
        ftl_alloc_fail_at(++nth, true);
        s = ftl_topology_create(&t, PROFILE("laptop-hybrid"));
        ftl_alloc_fail_at(0, false);
        assert_true((s == FTL_OK) == (t != NULL));
        ftl_topology_destroy(t);
    }
    assert_ok(s);
    assert_true(nth > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laptop_has_two_kinds_of_cores_and_runs_on_battery),
        cmocka_unit_test(server_counts_both_sockets_and_respects_the_affinity_mask),
        cmocka_unit_test(arm_board_names_both_cores),
        cmocka_unit_test(container_v2_takes_the_least_limit_of_all_levels),
        cmocka_unit_test(container_v1_finds_its_groups_without_a_namespace),
        cmocka_unit_test(wsl_is_told_apart_and_lives_without_hwloc),
        cmocka_unit_test(an_empty_root_gives_unknowns),
        cmocka_unit_test(this_machine_makes_sense),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return ftl_test_run(tests);
}
