/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "device/pci.h"

#define PROFILE(name) FTL_TEST_PROFILES "/" name

static const ftl_accelerator *at(const ftl_accelerator_list *list, const char *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].address, address) == 0) return &list->items[i];
    print_error("no accelerator at %s\n", address);
    fail();
    return NULL;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part)) print_error("'%s' does not contain '%s'\n", text, part);
    assert_non_null(strstr(text, part));
}

static void server_cards_are_described(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    char link[32];
    assert_ok(ftl_accelerator_scan(&list, PROFILE("server-2socket")));
    assert_int_equal(list.count, 2); /* the console and the bridge are none */
    const ftl_accelerator *a = &list.items[0];
    assert_string_equal(a->address, "0000:41:00.0");
    assert_string_equal(a->name, "NVIDIA L4");
    assert_string_equal(a->driver, "nvidia");
    assert_string_equal(a->driver_version, "550.54.14");
    assert_string_equal(a->nodes, "/dev/nvidia0");
    assert_int_equal(a->vendor_id, 0x10de);
    assert_int_equal(a->device_id, 0x27b8);
    assert_int_equal(a->subsystem_id, 0x16ca);
    assert_int_equal(a->class_code, 0x030200);
    assert_int_equal(a->kind, FTL_ACCELERATOR_GPU);
    assert_int_equal(a->numa_node, 0);
    ftl_pci_link_text(link, sizeof link, a);
    assert_string_equal(link, "PCIe 4.0 x8 of x16");
    assert_string_equal(a->why, "");
    assert_true(a->is_usable);
    ftl_accelerator_list_deinit(&list);
}

static void the_slowest_port_above_a_card_is_its_link(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    char link[32];
    assert_ok(ftl_accelerator_scan(&list, PROFILE("server-2socket")));
    const ftl_accelerator *a = at(&list, "0000:c1:00.0");
    assert_string_equal(a->name, "AMD Instinct MI210");
    assert_string_equal(a->nodes, "/dev/dri/renderD128");
    assert_int_equal(a->memory_bytes, 68702699520ull);
    assert_float_equal(a->power_limit_w, 300, 1e-9);
    assert_int_equal(a->numa_node, 1);
    ftl_pci_link_text(link, sizeof link, a);
    assert_string_equal(link, "PCIe 3.0 x8 of x16");
    /* 8 GT/s x 8 lanes / 8 bits x 128/130 */
    assert_float_equal(ftl_pci_link_bytes_per_s(a->link), 8e9 * 128 / 130, 1);
    assert_true(a->is_usable);
    ftl_accelerator_list_deinit(&list);
}

static void nvml_adds_its_figures(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    assert_ok(ftl_accelerator_scan(&list, PROFILE("server-2socket")));
    const ftl_accelerator *a = at(&list, "0000:41:00.0");
    assert_ok(ftl_accelerator_add_nvml(&list, "libno-such-nvml.so.1"));
    assert_string_equal(a->name, "NVIDIA L4");
    assert_true(a->is_usable);
    assert_ok(ftl_accelerator_add_nvml(&list, FTL_TEST_NVML));
    assert_string_equal(a->name, "Fake 0");
    assert_string_equal(a->driver_version, "550.54.15");
    assert_int_equal(a->memory_bytes, 24ull << 30);
    assert_float_equal(a->power_limit_w, 72, 1e-9);
    /* The stand-in's second card sits where an AMD card is: that one stays as it was. */
    assert_string_equal(at(&list, "0000:c1:00.0")->name, "AMD Instinct MI210");
    /* A library that is no NVML stands for a driver that does not work. */
    assert_ok(ftl_accelerator_add_nvml(&list, "libm.so.6"));
    assert_false(a->is_usable);
    assert_contains(a->why, "update NVIDIA's driver");
    assert_true(at(&list, "0000:c1:00.0")->is_usable);
    ftl_accelerator_list_deinit(&list);
}

static void every_reason_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *address, *name, *why; /* why "" : usable */
    } want[] = {
        { "0000:01:00.0", "NVIDIA H100 PCIe", "no driver is bound to it: install NVIDIA" },
        { "0000:02:00.0", "NVIDIA GPU 10de:1234", "nouveau cannot compute" },
        { "0000:03:00.0", "NVIDIA A100 PCIe 80GB", "vfio-pci holds it for a virtual machine" },
        { "0000:04:00.0", "NVIDIA Tesla T4", "libcuda.so.1 is not found: install" },
        { "0000:05:00.0", "Google TPU v5e", "" },
        { "0000:07:00.0", "Huawei Ascend 910B", "libacl_rt.so is not found: install the CANN" },
        { "0000:09:00.0", "Intel NPU (Meteor Lake)", "fettle has no backend" },
        { "0000:0a:00.0", "accelerator beef:0001", "fettle has no backend" },
        { "0000:0b:00.0", "AMD XDNA NPU (Phoenix)", "fettle has no backend" },
        { "0000:0d:00.0", "Google TPU v3", "device file is not here" },
    };
    ftl_accelerator_list list;
    assert_ok(ftl_accelerator_scan(&list, PROFILE("accelerators")));
    assert_int_equal(list.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < list.count; i++) {
        const ftl_accelerator *a = &list.items[i];
        assert_string_equal(a->address, want[i].address);
        assert_string_equal(a->name, want[i].name);
        assert_contains(a->why, want[i].why);
        assert_int_equal(a->is_usable, want[i].why[0] == 0);
        assert_int_equal(a->is_usable, a->why[0] == 0);
    }
    assert_string_equal(at(&list, "0000:05:00.0")->nodes, "/dev/vfio/3");
    assert_string_equal(at(&list, "0000:07:00.0")->nodes, "/dev/davinci2");
    assert_string_equal(at(&list, "0000:09:00.0")->nodes, "/dev/accel/accel0");
    assert_int_equal(at(&list, "0000:05:00.0")->kind, FTL_ACCELERATOR_TPU);
    assert_int_equal(at(&list, "0000:07:00.0")->kind, FTL_ACCELERATOR_NPU);
    assert_int_equal(at(&list, "0000:01:00.0")->link.generation, 1); /* idle, 5 at best */
    assert_int_equal(at(&list, "0000:01:00.0")->link_max.generation, 5);
    ftl_accelerator_list_deinit(&list);
}

static void laptop_gpu_wants_opencl(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    char link[32];
    assert_ok(ftl_accelerator_scan(&list, PROFILE("laptop-hybrid")));
    assert_int_equal(list.count, 1);
    const ftl_accelerator *a = &list.items[0];
    assert_string_equal(a->name, "Intel GPU 8086:46b3");
    assert_string_equal(a->driver, "i915");
    assert_int_equal(a->numa_node, -1);
    ftl_pci_link_text(link, sizeof link, a);
    assert_string_equal(link, "");
    assert_false(a->is_usable);
    assert_contains(a->why, "intel-opencl-icd");
    ftl_accelerator_list_deinit(&list);
}

static void wsl_gpu_is_found(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    assert_ok(ftl_accelerator_scan(&list, PROFILE("wsl2")));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].nodes, "/dev/dxg");
    assert_true(list.items[0].is_usable);
    ftl_accelerator_list_deinit(&list);
}

static void no_bus_and_this_machine_are_fine(void **state)
{
    (void)state;
    ftl_accelerator_list list;
    assert_ok(ftl_accelerator_scan(&list, "/nonexistent"));
    assert_int_equal(list.count, 0);
    ftl_accelerator_list_deinit(&list);
    assert_ok(ftl_accelerator_scan(&list, ""));
    for (size_t i = 0; i < list.count; i++)
        assert_true(list.items[i].is_usable == (list.items[i].why[0] == 0));
    ftl_accelerator_list_deinit(&list);
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    uint64_t nth = 0;
    ftl_status s = FTL_ENOMEM;
    while (s == FTL_ENOMEM && nth < 1000) {
        ftl_accelerator_list list;
        ftl_alloc_fail_at(++nth, true);
        s = ftl_accelerator_scan(&list, PROFILE("server-2socket"));
        ftl_alloc_fail_at(0, false);
        assert_int_equal(list.count, s == FTL_OK ? 2 : 0);
        ftl_accelerator_list_deinit(&list);
    }
    assert_ok(s);
    assert_true(nth > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_cards_are_described),
        cmocka_unit_test(the_slowest_port_above_a_card_is_its_link),
        cmocka_unit_test(nvml_adds_its_figures),
        cmocka_unit_test(every_reason_has_its_sentence),
        cmocka_unit_test(laptop_gpu_wants_opencl),
        cmocka_unit_test(wsl_gpu_is_found),
        cmocka_unit_test(no_bus_and_this_machine_are_fine),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return ftl_test_run(tests);
}
