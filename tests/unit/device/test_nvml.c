/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "device/nvml.h"

static void a_missing_library_is_named(void **state)
{
    (void)state;
    ftl_nvml *nvml = NULL;
    assert_fails(FTL_ENOTFOUND, ftl_nvml_open(&nvml, "libno-such-nvml.so.1"));
    assert_null(nvml);
    assert_non_null(strstr(ftl_error_text(), "libno-such-nvml.so.1"));
}

static void another_library_is_refused(void **state)
{
    (void)state;
    ftl_nvml *nvml = NULL;
    assert_fails(FTL_EUNSUPPORTED, ftl_nvml_open(&nvml, "libm.so.6"));
    assert_null(nvml);
}

static void a_card_is_described(void **state)
{
    (void)state;
    ftl_nvml *nvml = NULL;
    ftl_nvml_info info;
    assert_ok(ftl_nvml_open(&nvml, FTL_TEST_NVML));
    assert_int_equal(ftl_nvml_count(nvml), 2);
    assert_ok(ftl_nvml_read_info(&info, nvml, 0));
    assert_string_equal(info.name, "Fake 0");
    assert_string_equal(info.address, "0000:41:00.0");
    assert_string_equal(info.driver_version, "550.54.15");
    assert_int_equal(info.memory_bytes, 24ull << 30);
    assert_int_equal(info.memory_free_bytes, 20ull << 30);
    assert_float_equal(info.power_limit_w, 72, 1e-9);
    assert_float_equal(info.power_w, 50, 1e-9);
    assert_int_equal(info.link_lanes, 8);
    assert_int_equal(info.link_max_lanes, 16);
    assert_int_equal(info.link_generation, 0); /* this library has no such function */
    assert_true(info.has_energy);
    ftl_nvml_close(nvml);
}

static void an_old_card_has_power_but_no_energy(void **state)
{
    (void)state;
    ftl_nvml *nvml = NULL;
    ftl_nvml_info info;
    uint32_t index = 7;
    double value = 0;
    assert_ok(ftl_nvml_open(&nvml, FTL_TEST_NVML));
    assert_ok(ftl_nvml_find(&index, nvml, "0000:C1:00.0"));
    assert_int_equal(index, 1);
    assert_fails(FTL_ENOTFOUND, ftl_nvml_find(&index, nvml, "0000:42:00.0"));
    assert_ok(ftl_nvml_read_info(&info, nvml, 1));
    assert_false(info.has_energy);
    assert_true(info.power_limit_w == 0);
    assert_fails(FTL_EUNSUPPORTED, ftl_nvml_read_energy(&value, nvml, 1));
    assert_ok(ftl_nvml_read_power(&value, nvml, 1));
    assert_float_equal(value, 50, 1e-9);
    assert_fails(FTL_EINVAL, ftl_nvml_read_info(&info, nvml, 2));
    ftl_nvml_close(nvml);
}

static void no_memory_is_reported(void **state)
{
    (void)state;
    ftl_nvml *nvml = NULL;
    ftl_alloc_fail_at(1, true);
    const ftl_status s = ftl_nvml_open(&nvml, FTL_TEST_NVML);
    ftl_alloc_fail_at(0, false);
    assert_int_equal(s, FTL_ENOMEM);
    assert_null(nvml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_library_is_named),
        cmocka_unit_test(another_library_is_refused),
        cmocka_unit_test(a_card_is_described),
        cmocka_unit_test(an_old_card_has_power_but_no_energy),
        cmocka_unit_test(no_memory_is_reported),
    };
    return ftl_test_run(tests);
}
