/* SPDX-License-Identifier: Apache-2.0 */
/* NVIDIA's figures for cards that the bus scan found. */
#include "device/pci_internal.h"

#include <string.h>
#include <strings.h>

#include "device/nvml.h"
#include "device/sysfs.h"

static bool is_nvidia(const ftl_accelerator *a)
{
    return a->vendor_id == FTL_PCI_NVIDIA && strcmp(a->driver, "nvidia") == 0;
}

/* WSL shows the host's adapter under an address of its own: only a single one can be matched. */
static ftl_accelerator *find_wsl(ftl_accelerator_list *list)
{
    ftl_accelerator *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].vendor_id != FTL_PCI_MICROSOFT) continue;
        if (found) return NULL;
        found = &list->items[i];
    }
    return found;
}

static ftl_accelerator *find(ftl_accelerator_list *list, const char *address)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_nvidia(&list->items[i]) && strcasecmp(list->items[i].address, address) == 0)
            return &list->items[i];
    return NULL;
}

static void take(ftl_accelerator *a, const ftl_nvml_info *info)
{
    if (info->name[0]) ftl_sysfs_copy(a->name, sizeof a->name, info->name);
    if (info->driver_version[0])
        ftl_sysfs_copy(a->driver_version, sizeof a->driver_version, info->driver_version);
    if (info->memory_bytes) a->memory_bytes = info->memory_bytes;
    if (info->power_limit_w > 0) a->power_limit_w = info->power_limit_w;
}

static void mark_broken(ftl_accelerator_list *list, const char *why)
{
    for (size_t i = 0; i < list->count; i++) {
        ftl_accelerator *a = &list->items[i];
        if (!is_nvidia(a) || !a->is_usable) continue;
        a->is_usable = false;
        ftl_sysfs_copy(a->why, sizeof a->why, why);
    }
}

ftl_status ftl_accelerator_add_nvml(ftl_accelerator_list *list, const char *library)
{
    ftl_accelerator *wsl = find_wsl(list);
    bool is_any = wsl != NULL;
    for (size_t i = 0; i < list->count; i++) is_any |= is_nvidia(&list->items[i]);
    if (!is_any) return FTL_OK;
    ftl_nvml *nvml = NULL;
    const ftl_status s = ftl_nvml_open(&nvml, library);
    if (s == FTL_ENOMEM) return s;
    if (s == FTL_EUNSUPPORTED) mark_broken(list, ftl_error_text());
    if (s != FTL_OK) return FTL_OK;
    const uint32_t n = ftl_nvml_count(nvml);
    for (uint32_t i = 0; i < n; i++) {
        ftl_nvml_info info;
        if (ftl_nvml_read_info(&info, nvml, i) != FTL_OK) continue;
        ftl_accelerator *a = find(list, info.address);
        if (!a && n == 1) a = wsl;
        if (a) take(a, &info);
    }
    ftl_nvml_close(nvml);
    return FTL_OK;
}
