/* SPDX-License-Identifier: Apache-2.0 */
/* Usable, or why not: the driver that must hold a device, the library that talks to it, and the
 * package that brings what is missing.  Rows, first match wins; a new vendor is a new row. */
#include "device/pci_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device/sysfs.h"

static const struct rule {
    uint16_t vendor;
    ftl_accelerator_kind kind;
    const char *drivers;      /* kernel modules that will do, separated by blanks; NULL: any */
    const char *get_driver;   /* how to get one                                             */
    const char *libraries[3]; /* any of these will do; none: fettle cannot drive the device */
    const char *get_library;
    /* The library is OpenCL's dispatcher: one of these must be registered with it. */
    const char *opencl_vendors[3];
    const char *permit; /* what lets a user open the device file */
} rules[] = {
    { FTL_PCI_NVIDIA,
      FTL_ACCELERATOR_GPU,
      "nvidia",
      "install NVIDIA's driver (Debian: nvidia-driver, Ubuntu: sudo ubuntu-drivers install)",
      { "libcuda.so.1" },
      "install the driver's user part (Debian: libcuda1, Ubuntu: libnvidia-compute-<version>; in "
      "a container: start it with --gpus all)",
      { NULL },
      "sudo chmod a+rw on it" },
    { FTL_PCI_MICROSOFT,
      FTL_ACCELERATOR_GPU,
      "dxgkrnl",
      "update WSL: wsl --update",
      { "libcuda.so.1" },
      "install a current NVIDIA driver in Windows, which puts it into /usr/lib/wsl/lib",
      { NULL },
      "sudo chmod a+rw on it" },
    { FTL_PCI_AMD,
      FTL_ACCELERATOR_GPU,
      "amdgpu",
      "load it: sudo modprobe amdgpu (firmware: firmware-amd-graphics)",
      { "libOpenCL.so.1" },
      "install ocl-icd-libopencl1 with mesa-opencl-icd or AMD's rocm-opencl-runtime",
      { "amdocl", "mesa", "rusticl" },
      "sudo usermod -aG render $USER, then log in again" },
    { FTL_PCI_INTEL,
      FTL_ACCELERATOR_GPU,
      "i915 xe",
      "load it: sudo modprobe i915 (or xe)",
      { "libOpenCL.so.1" },
      "install ocl-icd-libopencl1 with intel-opencl-icd",
      { "intel", "mesa", "rusticl" },
      "sudo usermod -aG render $USER, then log in again" },
    { FTL_PCI_GOOGLE,
      FTL_ACCELERATOR_TPU,
      NULL,
      "use a TPU VM image, which binds it",
      { "libtpu.so" },
      "pip install libtpu, then name the file: --device pjrt:PATH/libtpu.so",
      { NULL },
      "run as root (sudo)" },
    { FTL_PCI_HUAWEI,
      FTL_ACCELERATOR_NPU,
      "devdrv_device_driver",
      "install the Ascend HDK driver (Ascend-hdk-<chip>-npu-driver)",
      { "libacl_rt.so", "libascendcl.so" },
      "install the CANN toolkit and source its set_env.sh",
      { NULL },
      "sudo usermod -aG HwHiAiUser $USER, then log in again" },
};

static const char *const library_folders[] = {
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
    "/usr/lib/wsl/lib",
    "/usr/local/cuda/lib64",
    "/usr/local/Ascend/ascend-toolkit/latest/lib64",
    "/usr/local/Ascend/cann/lib64",
};

/* As a file in the usual folders; on this machine also wherever the loader finds it. */
static bool has_library(const char *name, const char *root)
{
    for (size_t i = 0; i < sizeof library_folders / sizeof library_folders[0]; i++)
        if (ftl_sysfs_exists(root, "%s/%s", library_folders[i], name)) return true;
    if (root[0]) return false;
    void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (handle) dlclose(handle);
    return handle != NULL;
}

static bool has_any_library(const struct rule *r, const char *root)
{
    for (size_t i = 0; i < 3 && r->libraries[i]; i++)
        if (has_library(r->libraries[i], root)) return true;
    return false;
}

static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);
    if (n == 0) return false;
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0)) return true;
    return false;
}

/* Some .icd file of this vendor; PoCL's does not count, it runs on the CPU. */
static bool has_opencl_vendor(const struct rule *r, const char *root)
{
    if (!r->opencl_vendors[0]) return true;
    ftl_sysfs_names names;
    bool is_found = false;
    if (ftl_sysfs_list(&names, "", root, "/etc/OpenCL/vendors") != FTL_OK) return false;
    for (size_t i = 0; i < names.count; i++)
        for (size_t k = 0; k < 3 && r->opencl_vendors[k]; k++)
            if (strstr(names.names[i], r->opencl_vendors[k])) is_found = true;
    ftl_sysfs_names_deinit(&names);
    return is_found;
}

/* The first device file that this user may not open, "" when there is none. */
static void find_forbidden_node(char node[96], const ftl_accelerator *a)
{
    char nodes[sizeof a->nodes], *rest = NULL;
    ftl_sysfs_copy(nodes, sizeof nodes, a->nodes);
    node[0] = 0;
    for (char *p = strtok_r(nodes, " ", &rest); p; p = strtok_r(NULL, " ", &rest))
        if (access(p, R_OK | W_OK) != 0) {
            ftl_sysfs_copy(node, 96, p);
            return;
        }
}

static const struct rule *find_rule(const ftl_accelerator *a)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].vendor == a->vendor_id && rules[i].kind == a->kind) return &rules[i];
    return NULL;
}

static bool is_driver_right(const ftl_accelerator *a, const struct rule *r)
{
    return a->driver[0] != 0 && (!r->drivers || has_word(r->drivers, a->driver));
}

static void judge_driver(ftl_accelerator *a, const struct rule *r)
{
    if (a->driver[0] == 0)
        snprintf(a->why, sizeof a->why, "no driver is bound to it: %s", r->get_driver);
    else if (strcmp(a->driver, "vfio-pci") == 0)
        snprintf(a->why, sizeof a->why,
                 "vfio-pci holds it for a virtual machine: give it back to %.24s first",
                 r->drivers);
    else if (strcmp(a->driver, "nouveau") == 0)
        snprintf(a->why, sizeof a->why, "the driver nouveau cannot compute: %s", r->get_driver);
    else
        snprintf(a->why, sizeof a->why, "the driver %s is bound to it, wanted is %s: %s", a->driver,
                 r->drivers, r->get_driver);
}

void ftl_pci_judge(ftl_accelerator *a, const char *root)
{
    const struct rule *r = find_rule(a);
    char node[96] = "";
    a->why[0] = 0;
    if (!r) snprintf(a->why, sizeof a->why, "fettle has no backend for this kind of device");
    else if (!is_driver_right(a, r)) judge_driver(a, r);
    else if (!has_any_library(r, root))
        snprintf(a->why, sizeof a->why, "the driver %s is loaded, but %s is not found: %s",
                 a->driver, r->libraries[0], r->get_library);
    else if (!has_opencl_vendor(r, root))
        snprintf(a->why, sizeof a->why,
                 "the driver %s is loaded, but no OpenCL driver is registered in "
                 "/etc/OpenCL/vendors: %s",
                 a->driver, r->get_library);
    else if (a->nodes[0] == 0)
        snprintf(a->why, sizeof a->why,
                 "the driver %s is loaded, but its device file is not here: in a container, pass "
                 "the device in",
                 a->driver);
    else if (root[0] == 0) find_forbidden_node(node, a);
    if (node[0]) snprintf(a->why, sizeof a->why, "no permission to open %s: %s", node, r->permit);
    a->is_usable = a->why[0] == 0;
}
