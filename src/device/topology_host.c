/* SPDX-License-Identifier: Apache-2.0 */
/* Names, instruction set, virtualization and power supply of the host, from /proc and /sys. */
#include "device/topology_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/sysfs.h"

/* What kernels and plans ask for, in /proc/cpuinfo's spelling of x86 and Arm. */
static const char *const isa_words[] = {
    "sse4_2",   "avx",      "avx2",     "fma",         "f16c",        "avx_vnni",    "avx512f",
    "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512_vbmi",
    "amx_tile", "amx_int8", "amx_bf16", "asimd",       "neon",        "fphp",        "asimdhp",
    "asimddp",  "sve",      "sve2",     "i8mm",        "bf16",        "sme",
};

/* Source: Linux arch/arm64/include/asm/cputype.h, MIDR implementer and part. */
static const struct arm_part {
    uint32_t implementer, part;
    const char *vendor, *name;
} arm_parts[] = {
    { 0x41, 0xd03, "Arm", "Cortex-A53" },   { 0x41, 0xd04, "Arm", "Cortex-A35" },
    { 0x41, 0xd05, "Arm", "Cortex-A55" },   { 0x41, 0xd07, "Arm", "Cortex-A57" },
    { 0x41, 0xd08, "Arm", "Cortex-A72" },   { 0x41, 0xd09, "Arm", "Cortex-A73" },
    { 0x41, 0xd0a, "Arm", "Cortex-A75" },   { 0x41, 0xd0b, "Arm", "Cortex-A76" },
    { 0x41, 0xd0c, "Arm", "Neoverse-N1" },  { 0x41, 0xd0d, "Arm", "Cortex-A77" },
    { 0x41, 0xd40, "Arm", "Neoverse-V1" },  { 0x41, 0xd41, "Arm", "Cortex-A78" },
    { 0x41, 0xd42, "Arm", "Cortex-A78AE" }, { 0x41, 0xd44, "Arm", "Cortex-X1" },
    { 0x41, 0xd46, "Arm", "Cortex-A510" },  { 0x41, 0xd47, "Arm", "Cortex-A710" },
    { 0x41, 0xd48, "Arm", "Cortex-X2" },    { 0x41, 0xd49, "Arm", "Neoverse-N2" },
    { 0x41, 0xd4d, "Arm", "Cortex-A715" },  { 0x41, 0xd4e, "Arm", "Cortex-X3" },
    { 0x41, 0xd4f, "Arm", "Neoverse-V2" },  { 0x48, 0xd01, "HiSilicon", "TSV110 (Kunpeng 920)" },
    { 0x46, 0x001, "Fujitsu", "A64FX" },    { 0xc0, 0xac3, "Ampere", "Ampere-1" },
    { 0xc0, 0xac4, "Ampere", "Ampere-1A" },
};

struct cpuinfo {
    uint32_t implementer;
    uint32_t parts[4]; /* distinct ones */
    uint32_t n_parts;
};

static void add_word(char *text, size_t bytes, const char *separator, const char *word)
{
    const size_t n = strlen(text);
    if (n + strlen(separator) + strlen(word) < bytes)
        snprintf(text + n, bytes - n, "%s%s", n ? separator : "", word);
}

static void pick_isa(ftl_topology *t, const char *flags)
{
    for (size_t i = 0; i < sizeof isa_words / sizeof isa_words[0]; i++) {
        const size_t n = strlen(isa_words[i]);
        for (const char *p = flags; (p = strstr(p, isa_words[i])); p += n) {
            const bool starts = p == flags || p[-1] == ' ';
            if (!starts || (p[n] != ' ' && p[n] != 0)) continue;
            add_word(t->isa, sizeof t->isa, " ", isa_words[i]);
            break;
        }
    }
}

static void set_vendor(ftl_topology *t, const char *id)
{
    const char *name = strcmp(id, "GenuineIntel") == 0   ? "Intel"
                       : strcmp(id, "AuthenticAMD") == 0 ? "AMD"
                       : strcmp(id, "HygonGenuine") == 0 ? "Hygon"
                                                         : id;
    ftl_sysfs_copy(t->cpu_vendor, sizeof t->cpu_vendor, name);
    ftl_sysfs_copy(t->arch, sizeof t->arch, "x86_64");
}

/* One "key : value" of /proc/cpuinfo; the first CPU that has a key sets it. */
static void take_cpuinfo(ftl_topology *t, struct cpuinfo *c, const char *key, const char *value)
{
    if (!strcmp(key, "model name") && !t->cpu_name[0])
        ftl_sysfs_copy(t->cpu_name, sizeof t->cpu_name, value);
    else if (!strcmp(key, "vendor_id") && !t->cpu_vendor[0]) set_vendor(t, value);
    else if ((!strcmp(key, "flags") || !strcmp(key, "Features")) && !t->isa[0]) {
        pick_isa(t, value);
        if (key[0] == 'f' && strstr(value, "hypervisor"))
            ftl_sysfs_copy(t->virtualization, sizeof t->virtualization, "unknown kind");
    } else if (!strcmp(key, "CPU implementer")) c->implementer = (uint32_t)strtoul(value, NULL, 16);
    else if (!strcmp(key, "isa") && !t->isa[0]) {
        ftl_sysfs_copy(t->isa, sizeof t->isa, value);
        ftl_sysfs_copy(t->arch, sizeof t->arch, strncmp(value, "rv64", 4) ? "" : "riscv64");
    } else if (!strcmp(key, "CPU part")) {
        const uint32_t part = (uint32_t)strtoul(value, NULL, 16);
        for (uint32_t i = 0; i < c->n_parts; i++)
            if (c->parts[i] == part) return;
        if (c->n_parts < 4) c->parts[c->n_parts++] = part;
    }
}

static void name_arm(ftl_topology *t, const struct cpuinfo *c)
{
    if (c->n_parts == 0) return;
    ftl_sysfs_copy(t->arch, sizeof t->arch, "aarch64");
    /* Newer boards number the small cores first; people name the big ones first. */
    for (uint32_t i = c->n_parts; i-- > 0;) {
        const struct arm_part *known = NULL;
        for (size_t k = 0; k < sizeof arm_parts / sizeof arm_parts[0]; k++)
            if (arm_parts[k].implementer == c->implementer && arm_parts[k].part == c->parts[i])
                known = &arm_parts[k];
        char ids[48];
        snprintf(ids, sizeof ids, "Arm implementer 0x%x part 0x%x", c->implementer, c->parts[i]);
        add_word(t->cpu_name, sizeof t->cpu_name, " + ", known ? known->name : ids);
        if (known) ftl_sysfs_copy(t->cpu_vendor, sizeof t->cpu_vendor, known->vendor);
    }
}

static void read_cpuinfo(ftl_topology *t, const char *root)
{
    char path[FTL_SYSFS_PATH], line[8192];
    const int n = snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    FILE *file = n > 0 && n < (int)sizeof path ? fopen(path, "re") : NULL;
    if (!file) return;
    struct cpuinfo c = { 0 };
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        line[strcspn(line, "\n")] = 0;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        while (colon > line && strchr(" \t", colon[-1])) colon--;
        *colon = 0;
        take_cpuinfo(t, &c, line, value);
    }
    fclose(file);
    name_arm(t, &c);
}

static ftl_status read_frequency(ftl_topology *t, const char *root)
{
    ftl_sysfs_text(t->governor, sizeof t->governor, root,
                   "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    ftl_sysfs_names names;
    FTL_TRY(ftl_sysfs_list(&names, "policy", root, "/sys/devices/system/cpu/cpufreq"));
    for (size_t i = 0; i < names.count; i++) {
        uint64_t khz = 0;
        ftl_sysfs_u64(&khz, root, "/sys/devices/system/cpu/cpufreq/%s/cpuinfo_max_freq",
                      names.names[i]);
        if (khz / 1000 > t->max_mhz && khz / 1000 < UINT32_MAX) t->max_mhz = (uint32_t)(khz / 1000);
    }
    ftl_sysfs_names_deinit(&names);
    return FTL_OK;
}

/* Source of the words: systemd-detect-virt(1) reads the same DMI fields. */
static void read_virtualization(ftl_topology *t, const char *root)
{
    static const char *const words[][2] = {
        { "KVM", "kvm" },
        { "QEMU", "kvm" },
        { "VMware", "vmware" },
        { "VirtualBox", "virtualbox" },
        { "Xen", "xen" },
        { "Microsoft", "hyper-v" },
        { "Amazon EC2", "amazon" },
        { "Google Compute", "google" },
        { "OpenStack", "openstack" },
    };
    char vendor[64], product[64];
    ftl_sysfs_text(vendor, sizeof vendor, root, "/sys/class/dmi/id/sys_vendor");
    if (ftl_sysfs_text(product, sizeof product, root, "/sys/class/dmi/id/product_name") ||
        ftl_sysfs_text(product, sizeof product, root, "/proc/device-tree/model"))
        ftl_sysfs_copy(t->board, sizeof t->board, product);
    for (size_t i = 0; t->virtualization[0] && i < sizeof words / sizeof words[0]; i++)
        if (strstr(vendor, words[i][0]) || strstr(product, words[i][0])) {
            ftl_sysfs_copy(t->virtualization, sizeof t->virtualization, words[i][1]);
            break;
        }
    t->is_wsl = strstr(t->kernel, "microsoft") != NULL || strstr(t->kernel, "WSL") != NULL;
    if (t->is_wsl)
        ftl_sysfs_copy(t->virtualization, sizeof t->virtualization,
                       strstr(t->kernel, "WSL2") ? "wsl2" : "wsl");
}

static void read_container(ftl_topology *t, const char *root)
{
    static const char *const words[][2] = {
        { "kubepods", "kubernetes" }, { "docker", "docker" },
        { "libpod", "podman" },       { "lxc", "lxc" },
        { "slurm", "slurm" },
    };
    char text[2048];
    ftl_sysfs_text(text, sizeof text, root, "/proc/self/cgroup");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!t->container[0] && strstr(text, words[i][0]))
            ftl_sysfs_copy(t->container, sizeof t->container, words[i][1]);
    if (!t->container[0] && ftl_sysfs_exists(root, "/.dockerenv"))
        ftl_sysfs_copy(t->container, sizeof t->container, "docker");
    if (!t->container[0] && ftl_sysfs_exists(root, "/run/.containerenv"))
        ftl_sysfs_copy(t->container, sizeof t->container, "podman");
}

static void take_supply(ftl_topology *t, const char *root, const char *name)
{
    char type[32], scope[32], status[32];
    uint64_t value = 0;
    ftl_sysfs_text(type, sizeof type, root, "/sys/class/power_supply/%s/type", name);
    /* A mouse has a battery too; its scope is "Device". */
    ftl_sysfs_text(scope, sizeof scope, root, "/sys/class/power_supply/%s/scope", name);
    if (strcmp(scope, "Device") == 0) return;
    if (strcmp(type, "Battery") == 0) {
        if (ftl_sysfs_u64(&value, root, "/sys/class/power_supply/%s/capacity", name) &&
            value <= 100 && t->battery_percent < 0)
            t->battery_percent = (int32_t)value;
        ftl_sysfs_text(status, sizeof status, root, "/sys/class/power_supply/%s/status", name);
        if (strcmp(status, "Discharging") == 0) t->is_discharging = true;
    } else if (ftl_sysfs_u64(&value, root, "/sys/class/power_supply/%s/online", name) && value) {
        t->power_source = FTL_POWER_MAINS;
    }
}

static ftl_status read_power_supply(ftl_topology *t, const char *root)
{
    ftl_sysfs_names names;
    FTL_TRY(ftl_sysfs_list(&names, "", root, "/sys/class/power_supply"));
    for (size_t i = 0; i < names.count; i++) take_supply(t, root, names.names[i]);
    ftl_sysfs_names_deinit(&names);
    /* A weak charger is on line while the battery drains: what drains decides. */
    if (t->is_discharging) t->power_source = FTL_POWER_BATTERY;
    return FTL_OK;
}

ftl_status ftl_topology_read_host(ftl_topology *t, const char *root)
{
    ftl_sysfs_text(t->kernel, sizeof t->kernel, root, "/proc/sys/kernel/osrelease");
    read_cpuinfo(t, root);
    FTL_TRY(read_frequency(t, root));
    read_virtualization(t, root);
    read_container(t, root);
    return read_power_supply(t, root);
}
