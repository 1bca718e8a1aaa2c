/* SPDX-License-Identifier: Apache-2.0 */
/* Which PCI functions are accelerators, and what they are called.
 * Sources of the ids: the public pci.ids list; Linux drivers/accel/{habanalabs,ivpu,amdxdna,qaic};
 * Google's ids as ZML's metrics.zig has them; Huawei's as the Ascend log collector has them
 * (d100 310, d500 310P, d801 910, d802 910B, d803 910C).  Only common chips are named: a driver
 * usually tells the name itself, and the rest shows its ids. */
#include "device/pci_internal.h"

#include <stdio.h>

#include "device/sysfs.h"

static const struct known {
    uint16_t vendor, device, subsystem; /* subsystem 0: any */
    ftl_accelerator_kind kind;
    const char *name;
} known_devices[] = {
    { FTL_PCI_NVIDIA, 0x15f8, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla P100 PCIe 16GB" },
    { FTL_PCI_NVIDIA, 0x1b06, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce GTX 1080 Ti" },
    { FTL_PCI_NVIDIA, 0x1b38, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla P40" },
    { FTL_PCI_NVIDIA, 0x1db1, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla V100 SXM2 16GB" },
    { FTL_PCI_NVIDIA, 0x1db4, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla V100 PCIe 16GB" },
    { FTL_PCI_NVIDIA, 0x1db5, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla V100 SXM2 32GB" },
    { FTL_PCI_NVIDIA, 0x1e04, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 2080 Ti" },
    { FTL_PCI_NVIDIA, 0x1eb8, 0, FTL_ACCELERATOR_GPU, "NVIDIA Tesla T4" },
    { FTL_PCI_NVIDIA, 0x20b0, 0, FTL_ACCELERATOR_GPU, "NVIDIA A100 SXM4 40GB" },
    { FTL_PCI_NVIDIA, 0x20b2, 0, FTL_ACCELERATOR_GPU, "NVIDIA A100 SXM4 80GB" },
    { FTL_PCI_NVIDIA, 0x20b5, 0, FTL_ACCELERATOR_GPU, "NVIDIA A100 PCIe 80GB" },
    { FTL_PCI_NVIDIA, 0x20f1, 0, FTL_ACCELERATOR_GPU, "NVIDIA A100 PCIe 40GB" },
    { FTL_PCI_NVIDIA, 0x2204, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 3090" },
    { FTL_PCI_NVIDIA, 0x2206, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 3080" },
    { FTL_PCI_NVIDIA, 0x2235, 0, FTL_ACCELERATOR_GPU, "NVIDIA A40" },
    { FTL_PCI_NVIDIA, 0x2236, 0, FTL_ACCELERATOR_GPU, "NVIDIA A10" },
    { FTL_PCI_NVIDIA, 0x2237, 0, FTL_ACCELERATOR_GPU, "NVIDIA A10G" },
    { FTL_PCI_NVIDIA, 0x2322, 0, FTL_ACCELERATOR_GPU, "NVIDIA H800 PCIe" },
    { FTL_PCI_NVIDIA, 0x2330, 0, FTL_ACCELERATOR_GPU, "NVIDIA H100 SXM5 80GB" },
    { FTL_PCI_NVIDIA, 0x2331, 0, FTL_ACCELERATOR_GPU, "NVIDIA H100 PCIe" },
    { FTL_PCI_NVIDIA, 0x2482, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 3070 Ti" },
    { FTL_PCI_NVIDIA, 0x2503, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 3060" },
    { FTL_PCI_NVIDIA, 0x2684, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4090" },
    { FTL_PCI_NVIDIA, 0x26b5, 0, FTL_ACCELERATOR_GPU, "NVIDIA L40" },
    { FTL_PCI_NVIDIA, 0x2704, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4080" },
    { FTL_PCI_NVIDIA, 0x2717, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4090 Laptop" },
    { FTL_PCI_NVIDIA, 0x2782, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4070 Ti" },
    { FTL_PCI_NVIDIA, 0x2786, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4070" },
    { FTL_PCI_NVIDIA, 0x27b8, 0, FTL_ACCELERATOR_GPU, "NVIDIA L4" },
    { FTL_PCI_NVIDIA, 0x27e0, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4080 Laptop" },
    { FTL_PCI_NVIDIA, 0x2860, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4070 Laptop" },
    { FTL_PCI_NVIDIA, 0x28a0, 0, FTL_ACCELERATOR_GPU, "NVIDIA GeForce RTX 4060 Laptop" },
    { FTL_PCI_AMD, 0x15bf, 0, FTL_ACCELERATOR_GPU, "AMD Radeon 780M / 760M (Phoenix)" },
    { FTL_PCI_AMD, 0x1681, 0, FTL_ACCELERATOR_GPU, "AMD Radeon 680M (Rembrandt)" },
    { FTL_PCI_AMD, 0x164e, 0, FTL_ACCELERATOR_GPU, "AMD Radeon Graphics (Raphael)" },
    { FTL_PCI_AMD, 0x66a1, 0, FTL_ACCELERATOR_GPU, "AMD Instinct MI50 / Radeon Pro VII" },
    { FTL_PCI_AMD, 0x66af, 0, FTL_ACCELERATOR_GPU, "AMD Radeon VII" },
    { FTL_PCI_AMD, 0x738c, 0, FTL_ACCELERATOR_GPU, "AMD Instinct MI100" },
    { FTL_PCI_AMD, 0x73bf, 0, FTL_ACCELERATOR_GPU, "AMD Radeon RX 6800 / 6900 XT" },
    { FTL_PCI_AMD, 0x73df, 0, FTL_ACCELERATOR_GPU, "AMD Radeon RX 6700 / 6750 XT" },
    { FTL_PCI_AMD, 0x73ff, 0, FTL_ACCELERATOR_GPU, "AMD Radeon RX 6600 / 6600 XT" },
    { FTL_PCI_AMD, 0x7408, 0, FTL_ACCELERATOR_GPU, "AMD Instinct MI250X" },
    { FTL_PCI_AMD, 0x740c, 0, FTL_ACCELERATOR_GPU, "AMD Instinct MI250X / MI250" },
    { FTL_PCI_AMD, 0x740f, 0, FTL_ACCELERATOR_GPU, "AMD Instinct MI210" },
    { FTL_PCI_AMD, 0x744c, 0, FTL_ACCELERATOR_GPU, "AMD Radeon RX 7900 XT / XTX" },
    { FTL_PCI_AMD, 0x7480, 0, FTL_ACCELERATOR_GPU, "AMD Radeon RX 7600 / 7700S" },
    { FTL_PCI_AMD_CPU, 0x1502, 0, FTL_ACCELERATOR_NPU, "AMD XDNA NPU (Phoenix)" },
    { FTL_PCI_AMD_CPU, 0x17f0, 0, FTL_ACCELERATOR_NPU, "AMD XDNA 2 NPU (Strix)" },
    { FTL_PCI_INTEL, 0x46a6, 0, FTL_ACCELERATOR_GPU, "Intel Iris Xe Graphics (Alder Lake)" },
    { FTL_PCI_INTEL, 0x9a49, 0, FTL_ACCELERATOR_GPU, "Intel Iris Xe Graphics (Tiger Lake)" },
    { FTL_PCI_INTEL, 0xa7a0, 0, FTL_ACCELERATOR_GPU, "Intel Iris Xe Graphics (Raptor Lake)" },
    { FTL_PCI_INTEL, 0x5690, 0, FTL_ACCELERATOR_GPU, "Intel Arc A770M" },
    { FTL_PCI_INTEL, 0x56a0, 0, FTL_ACCELERATOR_GPU, "Intel Arc A770" },
    { FTL_PCI_INTEL, 0x56a1, 0, FTL_ACCELERATOR_GPU, "Intel Arc A750" },
    { FTL_PCI_INTEL, 0x56a5, 0, FTL_ACCELERATOR_GPU, "Intel Arc A380" },
    { FTL_PCI_INTEL, 0x56c0, 0, FTL_ACCELERATOR_GPU, "Intel Data Center GPU Flex 170" },
    { FTL_PCI_INTEL, 0x0bd5, 0, FTL_ACCELERATOR_GPU, "Intel Data Center GPU Max 1550" },
    { FTL_PCI_INTEL, 0x0bda, 0, FTL_ACCELERATOR_GPU, "Intel Data Center GPU Max 1100" },
    { FTL_PCI_INTEL, 0x7d1d, 0, FTL_ACCELERATOR_NPU, "Intel NPU (Meteor Lake)" },
    { FTL_PCI_INTEL, 0xad1d, 0, FTL_ACCELERATOR_NPU, "Intel NPU (Arrow Lake)" },
    { FTL_PCI_INTEL, 0x643e, 0, FTL_ACCELERATOR_NPU, "Intel NPU (Lunar Lake)" },
    { FTL_PCI_INTEL, 0xb03e, 0, FTL_ACCELERATOR_NPU, "Intel NPU (Panther Lake)" },
    { FTL_PCI_GOOGLE, 0x0027, 0x004e, FTL_ACCELERATOR_TPU, "Google TPU v2" },
    { FTL_PCI_GOOGLE, 0x0027, 0x004f, FTL_ACCELERATOR_TPU, "Google TPU v3" },
    { FTL_PCI_GOOGLE, 0x0027, 0, FTL_ACCELERATOR_TPU, "Google TPU v2 / v3" },
    { FTL_PCI_GOOGLE, 0x005e, 0, FTL_ACCELERATOR_TPU, "Google TPU v4" },
    { FTL_PCI_GOOGLE, 0x0062, 0, FTL_ACCELERATOR_TPU, "Google TPU v5p" },
    { FTL_PCI_GOOGLE, 0x0063, 0, FTL_ACCELERATOR_TPU, "Google TPU v5e" },
    { FTL_PCI_GOOGLE, 0x006f, 0, FTL_ACCELERATOR_TPU, "Google TPU v6e" },
    { FTL_PCI_GOOGLE, 0x0076, 0, FTL_ACCELERATOR_TPU, "Google TPU 7x" },
    { FTL_PCI_HUAWEI, 0xd100, 0, FTL_ACCELERATOR_NPU, "Huawei Ascend 310" },
    { FTL_PCI_HUAWEI, 0xd500, 0, FTL_ACCELERATOR_NPU, "Huawei Ascend 310P" },
    { FTL_PCI_HUAWEI, 0xd801, 0, FTL_ACCELERATOR_NPU, "Huawei Ascend 910" },
    { FTL_PCI_HUAWEI, 0xd802, 0, FTL_ACCELERATOR_NPU, "Huawei Ascend 910B" },
    { FTL_PCI_HUAWEI, 0xd803, 0, FTL_ACCELERATOR_NPU, "Huawei Ascend 910C" },
    { FTL_PCI_HABANA, 0x1000, 0, FTL_ACCELERATOR_NPU, "Intel Gaudi" },
    { FTL_PCI_HABANA, 0x1010, 0, FTL_ACCELERATOR_NPU, "Intel Gaudi" },
    { FTL_PCI_HABANA, 0x1020, 0, FTL_ACCELERATOR_NPU, "Intel Gaudi 2" },
    { FTL_PCI_QUALCOMM, 0xa100, 0, FTL_ACCELERATOR_NPU, "Qualcomm Cloud AI 100" },
    { FTL_PCI_HAILO, 0x2864, 0, FTL_ACCELERATOR_NPU, "Hailo-8" },
    { FTL_PCI_GLOBAL_UNICHIP, 0x089a, 0, FTL_ACCELERATOR_TPU, "Coral Edge TPU" },
    { FTL_PCI_MICROSOFT, 0x008e, 0, FTL_ACCELERATOR_GPU, "GPU of the Windows host (WSL)" },
};

static bool find_known(ftl_accelerator *a)
{
    for (size_t i = 0; i < sizeof known_devices / sizeof known_devices[0]; i++) {
        const struct known *k = &known_devices[i];
        if (k->vendor != a->vendor_id || k->device != a->device_id) continue;
        if (k->subsystem && k->subsystem != a->subsystem_id) continue;
        a->kind = k->kind;
        ftl_sysfs_copy(a->name, sizeof a->name, k->name);
        return true;
    }
    return false;
}

bool ftl_pci_identify(ftl_accelerator *a)
{
    if (find_known(a)) return true;
    const uint32_t base = a->class_code >> 16;
    const char *vendor = a->vendor_id == FTL_PCI_NVIDIA   ? "NVIDIA "
                         : a->vendor_id == FTL_PCI_AMD    ? "AMD "
                         : a->vendor_id == FTL_PCI_INTEL  ? "Intel "
                         : a->vendor_id == FTL_PCI_HUAWEI ? "Huawei "
                                                          : "";
    /* Of display controllers only these vendors' compute: the others are consoles of servers and
     * of virtual machines (ASPEED, Matrox, Huawei iBMC, virtio, QXL). */
    const bool is_gpu =
        base == 0x03 && (a->vendor_id == FTL_PCI_NVIDIA || a->vendor_id == FTL_PCI_AMD ||
                         a->vendor_id == FTL_PCI_INTEL);
    if (!is_gpu && base != 0x12) return false;
    a->kind = is_gpu ? FTL_ACCELERATOR_GPU : FTL_ACCELERATOR_NPU;
    snprintf(a->name, sizeof a->name, "%s%s %04x:%04x", vendor, is_gpu ? "GPU" : "accelerator",
             a->vendor_id, a->device_id);
    return true;
}
