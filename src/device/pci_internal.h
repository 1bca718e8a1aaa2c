/* SPDX-License-Identifier: Apache-2.0 */
/* pci_internal.h - the parts of the accelerator scan. */
#ifndef FTL_DEVICE_PCI_INTERNAL_H
#define FTL_DEVICE_PCI_INTERNAL_H

#include "device/pci.h"

enum ftl_pci_vendor {
    FTL_PCI_AMD = 0x1002,
    FTL_PCI_AMD_CPU = 0x1022, /* NPUs of Ryzen processors */
    FTL_PCI_NVIDIA = 0x10de,
    FTL_PCI_MICROSOFT = 0x1414, /* the GPU of WSL2 */
    FTL_PCI_QUALCOMM = 0x17cb,
    FTL_PCI_HUAWEI = 0x19e5,
    FTL_PCI_GLOBAL_UNICHIP = 0x1ac1, /* Coral Edge TPU */
    FTL_PCI_GOOGLE = 0x1ae0,
    FTL_PCI_HABANA = 0x1da3,
    FTL_PCI_HAILO = 0x1e60,
    FTL_PCI_INTEL = 0x8086
};

/* With the ids and class filled: sets name and kind; false: no accelerator. */
bool ftl_pci_identify(ftl_accelerator *a);
/* With all else filled: sets is_usable and why. */
void ftl_pci_judge(ftl_accelerator *a, const char *root);

#endif
