/* SPDX-License-Identifier: Apache-2.0 */
/* The accelerator scan: one pass over /sys/bus/pci/devices. */
#include "device/pci_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "device/sysfs.h"

#define DEVICES "/sys/bus/pci/devices"

/* Per lane and generation, transfers a second and the share that is payload after line coding. */
static const struct speed {
    double gt_per_s, payload;
} speeds[] = {
    { 0, 0 },
    { 2.5, 8.0 / 10 },
    { 5, 8.0 / 10 },
    { 8, 128.0 / 130 },
    { 16, 128.0 / 130 },
    { 32, 128.0 / 130 },
    { 64, 242.0 / 256 },
};
enum { N_GENERATIONS = sizeof speeds / sizeof speeds[0] };

double ftl_pci_link_bytes_per_s(ftl_pci_link link)
{
    if (link.generation >= N_GENERATIONS) return 0;
    const struct speed *s = &speeds[link.generation];
    return s->gt_per_s * 1e9 / 8 * s->payload * link.lanes;
}

void ftl_pci_link_text(char *text, size_t bytes, const ftl_accelerator *a)
{
    text[0] = 0;
    if (!a->link.generation || !a->link.lanes) return;
    const int n = snprintf(text, bytes, "PCIe %u.0 x%u", a->link.generation, a->link.lanes);
    if (n > 0 && (size_t)n < bytes && a->link_max.lanes > a->link.lanes)
        snprintf(text + n, bytes - (size_t)n, " of x%u", a->link_max.lanes);
}

/* "16.0 GT/s PCIe" and "4"; a function inside the processor says "Unknown" or 255 lanes. */
static ftl_pci_link read_link(const char *root, const char *address, const char *which)
{
    ftl_pci_link link = { 0 };
    char text[64];
    uint64_t lanes = 0;
    if (ftl_sysfs_text(text, sizeof text, root, DEVICES "/%s/%s_link_speed", address, which)) {
        const double gt_per_s = strtod(text, NULL);
        for (uint32_t g = 1; g < N_GENERATIONS; g++)
            if (gt_per_s == speeds[g].gt_per_s) link.generation = g;
    }
    if (ftl_sysfs_u64(&lanes, root, DEVICES "/%s/%s_link_width", address, which) && lanes <= 32)
        link.lanes = (uint32_t)lanes;
    return link;
}

static bool is_slower(ftl_pci_link a, ftl_pci_link b)
{
    if (!a.generation || !a.lanes) return false;
    if (!b.generation || !b.lanes) return true;
    return ftl_pci_link_bytes_per_s(a) < ftl_pci_link_bytes_per_s(b);
}

static bool is_address(const char *text)
{
    unsigned domain, bus, slot, function;
    int n = 0;
    return sscanf(text, "%x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &n) == 4 &&
           text[n] == 0;
}

/* Cards with a switch on board (most AMD ones) always report a full link to that switch: the
 * ports above it tell the truth.  The folder's link reads ".../0000:00:01.0/0000:01:00.0/...". */
static void read_links(ftl_accelerator *a, const char *root)
{
    a->link = read_link(root, a->address, "current");
    a->link_max = read_link(root, a->address, "max");
    char path[FTL_SYSFS_PATH];
    if (!ftl_sysfs_target(path, sizeof path, root, DEVICES "/%s", a->address)) return;
    char *rest = NULL;
    for (char *part = strtok_r(path, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (!is_address(part) || strcmp(part, a->address) == 0) continue;
        const ftl_pci_link above = read_link(root, part, "current");
        if (is_slower(above, a->link)) a->link = above;
    }
}

static void add_node(ftl_accelerator *a, const char *root, const char *node)
{
    if (!ftl_sysfs_exists(root, "%s", node)) return;
    const size_t n = strlen(a->nodes);
    if (n + 1 + strlen(node) < sizeof a->nodes)
        snprintf(a->nodes + n, sizeof a->nodes - n, "%s%s", n ? " " : "", node);
}

/* /sys/bus/pci/devices/A/<folder>/<prefix>N names the device file <place>/<prefix>N. */
static ftl_status add_class_nodes(ftl_accelerator *a, const char *root, const char *folder,
                                  const char *prefix, const char *place)
{
    ftl_sysfs_names names;
    FTL_TRY(ftl_sysfs_list(&names, prefix, root, DEVICES "/%s/%s", a->address, folder));
    for (size_t i = 0; i < names.count; i++) {
        char node[FTL_SYSFS_NAME + 32];
        snprintf(node, sizeof node, "%s/%s", place, names.names[i]);
        add_node(a, root, node);
    }
    ftl_sysfs_names_deinit(&names);
    return FTL_OK;
}

/* The value behind "key:" in a text of lines, without the blanks around it. */
static bool line_value(char *value, size_t bytes, const char *text, const char *key)
{
    const char *line = strstr(text, key);
    value[0] = 0;
    if (!line) return false;
    line += strlen(key);
    line += strspn(line, " \t");
    const size_t n = strcspn(line, "\n");
    snprintf(value, bytes, "%.*s", (int)(n < bytes ? n : bytes - 1), line);
    return value[0] != 0;
}

/* The NVIDIA module lists each GPU with its name and the number of its device file. */
static void read_nvidia(ftl_accelerator *a, const char *root)
{
    char text[2048], value[64], node[96];
    if (!ftl_sysfs_text(text, sizeof text, root, "/proc/driver/nvidia/gpus/%s/information",
                        a->address))
        return;
    if (line_value(value, sizeof value, text, "Model:"))
        ftl_sysfs_copy(a->name, sizeof a->name, value);
    if (line_value(value, sizeof value, text, "Device Minor:")) {
        snprintf(node, sizeof node, "/dev/nvidia%s", value);
        add_node(a, root, node);
    }
}

static ftl_status read_nodes(ftl_accelerator *a, const char *root)
{
    char group[32], node[FTL_SYSFS_NAME];
    uint64_t index = 0;
    if (a->vendor_id == FTL_PCI_NVIDIA) read_nvidia(a, root);
    FTL_TRY(add_class_nodes(a, root, "drm", "renderD", "/dev/dri"));
    FTL_TRY(add_class_nodes(a, root, "accel", "accel", "/dev/accel"));
    if (a->vendor_id == FTL_PCI_GOOGLE) {
        /* TPU v2 to v4 VMs have the files right in /dev, later ones use VFIO. */
        FTL_TRY(add_class_nodes(a, root, "accel", "accel", "/dev"));
        if (ftl_sysfs_link(group, sizeof group, root, DEVICES "/%s/iommu_group", a->address)) {
            snprintf(node, sizeof node, "/dev/vfio/%s", group);
            add_node(a, root, node);
        }
    }
    if (a->vendor_id == FTL_PCI_HUAWEI &&
        ftl_sysfs_u64(&index, root, DEVICES "/%s/dev_id", a->address)) {
        snprintf(node, sizeof node, "/dev/davinci%llu", (unsigned long long)index);
        add_node(a, root, node);
    }
    if (a->vendor_id == FTL_PCI_MICROSOFT) add_node(a, root, "/dev/dxg");
    return FTL_OK;
}

/* What amdgpu, i915 and xe publish; the other drivers tell through their libraries. */
static ftl_status read_memory_and_power(ftl_accelerator *a, const char *root)
{
    ftl_sysfs_u64(&a->memory_bytes, root, DEVICES "/%s/mem_info_vram_total", a->address);
    ftl_sysfs_names chips;
    FTL_TRY(ftl_sysfs_list(&chips, "hwmon", root, DEVICES "/%s/hwmon", a->address));
    for (size_t i = 0; i < chips.count && a->power_limit_w == 0; i++) {
        static const char *const files[] = { "power1_cap", "power1_max" };
        uint64_t microwatts = 0;
        for (size_t k = 0; k < 2 && microwatts == 0; k++)
            ftl_sysfs_u64(&microwatts, root, DEVICES "/%s/hwmon/%s/%s", a->address, chips.names[i],
                          files[k]);
        a->power_limit_w = (double)microwatts * 1e-6;
    }
    ftl_sysfs_names_deinit(&chips);
    return FTL_OK;
}

static uint32_t read_id(const char *root, const char *address, const char *file)
{
    uint64_t value = 0;
    ftl_sysfs_u64(&value, root, DEVICES "/%s/%s", address, file);
    return (uint32_t)value;
}

/* *is_one is false for what is no accelerator. */
static ftl_status read_device(ftl_accelerator *a, bool *is_one, const char *root,
                              const char *address)
{
    *a = (ftl_accelerator){ .numa_node = -1 };
    *is_one = false;
    if (!is_address(address) || strlen(address) >= sizeof a->address) return FTL_OK;
    ftl_sysfs_copy(a->address, sizeof a->address, address);
    a->class_code = read_id(root, address, "class");
    a->vendor_id = (uint16_t)read_id(root, address, "vendor");
    a->device_id = (uint16_t)read_id(root, address, "device");
    a->subsystem_vendor_id = (uint16_t)read_id(root, address, "subsystem_vendor");
    a->subsystem_id = (uint16_t)read_id(root, address, "subsystem_device");
    if (!ftl_pci_identify(a)) return FTL_OK;
    *is_one = true;
    ftl_sysfs_link(a->driver, sizeof a->driver, root, DEVICES "/%s/driver", address);
    if (a->driver[0])
        ftl_sysfs_text(a->driver_version, sizeof a->driver_version, root, "/sys/module/%s/version",
                       a->driver);
    uint64_t node = 0;
    /* -1 where the firmware does not say is no number here and stays -1. */
    if (ftl_sysfs_u64(&node, root, DEVICES "/%s/numa_node", address) && node < INT32_MAX)
        a->numa_node = (int32_t)node;
    read_links(a, root);
    FTL_TRY(read_nodes(a, root));
    FTL_TRY(read_memory_and_power(a, root));
    ftl_pci_judge(a, root);
    return FTL_OK;
}

ftl_status ftl_accelerator_scan(ftl_accelerator_list *out, const char *root)
{
    *out = (ftl_accelerator_list){ 0 };
    ftl_sysfs_names names;
    FTL_TRY(ftl_sysfs_list(&names, "", root, DEVICES));
    ftl_status s = FTL_OK;
    for (size_t i = 0; i < names.count && s == FTL_OK; i++) {
        ftl_accelerator a;
        bool is_one = false;
        s = read_device(&a, &is_one, root, names.names[i]);
        if (s != FTL_OK || !is_one) continue;
        void *grown = ftl_realloc(out->items, (out->count + 1) * sizeof a);
        if (!grown) {
            s = ftl_fail(FTL_ENOMEM, "no memory for the list of %zu accelerators", out->count + 1);
            continue;
        }
        out->items = grown;
        out->items[out->count++] = a;
    }
    ftl_sysfs_names_deinit(&names);
    if (s != FTL_OK) ftl_accelerator_list_deinit(out);
    return s;
}

void ftl_accelerator_list_deinit(ftl_accelerator_list *list)
{
    if (!list) return;
    ftl_free(list->items);
    *list = (ftl_accelerator_list){ 0 };
}
