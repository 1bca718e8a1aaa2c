/* SPDX-License-Identifier: Apache-2.0 */
/* NVML by dlopen, with declarations of our own: the functions used have been stable since their
 * first version.  Source: NVIDIA's NVML API reference. */
#include "device/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

enum { NVML_SUCCESS = 0 };

typedef struct nvml_device *nvml_handle;

struct nvml_memory {
    unsigned long long total, free, used;
};

/* nvmlPciInfo_t of nvmlDeviceGetPciInfo_v3. */
struct nvml_pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

struct ftl_nvml {
    void *library;
    bool is_initialized;
    unsigned count;
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error_string)(int);
    int (*driver_version)(char *, unsigned);
    int (*get_count)(unsigned *);
    int (*get_handle)(unsigned, nvml_handle *);
    int (*get_name)(nvml_handle, char *, unsigned);
    int (*get_memory)(nvml_handle, struct nvml_memory *);
    int (*get_pci)(nvml_handle, struct nvml_pci *);
    int (*get_power_limit)(nvml_handle, unsigned *);      /* milliwatts */
    int (*get_power)(nvml_handle, unsigned *);            /* milliwatts */
    int (*get_energy)(nvml_handle, unsigned long long *); /* millijoules */
    int (*get_link_generation)(nvml_handle, unsigned *);
    int (*get_link_lanes)(nvml_handle, unsigned *);
    int (*get_max_link_generation)(nvml_handle, unsigned *);
    int (*get_max_link_lanes)(nvml_handle, unsigned *);
};

static const struct symbol {
    size_t offset;
    const char *name;
} symbols[] = {
    { offsetof(ftl_nvml, init), "nvmlInit_v2" },
    { offsetof(ftl_nvml, shutdown), "nvmlShutdown" },
    { offsetof(ftl_nvml, error_string), "nvmlErrorString" },
    { offsetof(ftl_nvml, driver_version), "nvmlSystemGetDriverVersion" },
    { offsetof(ftl_nvml, get_count), "nvmlDeviceGetCount_v2" },
    { offsetof(ftl_nvml, get_handle), "nvmlDeviceGetHandleByIndex_v2" },
    { offsetof(ftl_nvml, get_name), "nvmlDeviceGetName" },
    { offsetof(ftl_nvml, get_memory), "nvmlDeviceGetMemoryInfo" },
    { offsetof(ftl_nvml, get_pci), "nvmlDeviceGetPciInfo_v3" },
    { offsetof(ftl_nvml, get_power_limit), "nvmlDeviceGetEnforcedPowerLimit" },
    { offsetof(ftl_nvml, get_power), "nvmlDeviceGetPowerUsage" },
    { offsetof(ftl_nvml, get_energy), "nvmlDeviceGetTotalEnergyConsumption" },
    { offsetof(ftl_nvml, get_link_generation), "nvmlDeviceGetCurrPcieLinkGeneration" },
    { offsetof(ftl_nvml, get_link_lanes), "nvmlDeviceGetCurrPcieLinkWidth" },
    { offsetof(ftl_nvml, get_max_link_generation), "nvmlDeviceGetMaxPcieLinkGeneration" },
    { offsetof(ftl_nvml, get_max_link_lanes), "nvmlDeviceGetMaxPcieLinkWidth" },
};

/* POSIX lets a void pointer hold a function's address; the copy avoids the cast C forbids. */
static void load_symbols(ftl_nvml *nvml)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(nvml->library, symbols[i].name);
        memcpy((char *)nvml + symbols[i].offset, &address, sizeof address);
    }
}

static const char *reason(const ftl_nvml *nvml, int code)
{
    const char *text = nvml->error_string ? nvml->error_string(code) : NULL;
    return text ? text : "unknown error";
}

static ftl_status start(ftl_nvml *nvml, const char *library)
{
    if (!nvml->init || !nvml->get_count || !nvml->get_handle)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s has no nvmlInit_v2 or device list: update NVIDIA's driver", library);
    int code = nvml->init();
    if (code != NVML_SUCCESS)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s does not start: %s (%d): check that the NVIDIA kernel module is loaded "
                        "(nvidia-smi)",
                        library, reason(nvml, code), code);
    nvml->is_initialized = true;
    code = nvml->get_count(&nvml->count);
    if (code != NVML_SUCCESS || nvml->count == 0)
        return ftl_fail(FTL_EUNSUPPORTED, "%s lists no NVIDIA device: %s", library,
                        code == NVML_SUCCESS ? "the driver sees none" : reason(nvml, code));
    return FTL_OK;
}

ftl_status ftl_nvml_open(ftl_nvml **out, const char *library)
{
    *out = NULL;
    if (!library) library = "libnvidia-ml.so.1";
    ftl_nvml *nvml = ftl_calloc(1, sizeof *nvml);
    if (!nvml) return ftl_fail(FTL_ENOMEM, "no memory for opening %s", library);
    nvml->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library) {
        const char *why = dlerror();
        ftl_nvml_close(nvml);
        return ftl_fail(FTL_ENOTFOUND, "NVIDIA's driver library is not found: %s",
                        why ? why : library);
    }
    load_symbols(nvml);
    const ftl_status s = start(nvml, library);
    if (s != FTL_OK) {
        ftl_nvml_close(nvml);
        return s;
    }
    *out = nvml;
    return FTL_OK;
}

void ftl_nvml_close(ftl_nvml *nvml)
{
    if (!nvml) return;
    if (nvml->is_initialized && nvml->shutdown) nvml->shutdown();
    if (nvml->library) dlclose(nvml->library);
    ftl_free(nvml);
}

uint32_t ftl_nvml_count(const ftl_nvml *nvml)
{
    return nvml->count;
}

static ftl_status get_handle(nvml_handle *out, ftl_nvml *nvml, uint32_t index)
{
    *out = NULL;
    if (index >= nvml->count)
        return ftl_fail(FTL_EINVAL, "there is no NVIDIA device %u: the last is %u", index,
                        nvml->count - 1);
    const int code = nvml->get_handle(index, out);
    if (code != NVML_SUCCESS)
        return ftl_fail(FTL_ELOST, "NVIDIA device %u does not answer: %s", index,
                        reason(nvml, code));
    return FTL_OK;
}

/* One number that may be unsupported: 0 then. */
static uint32_t get_u32(int (*function)(nvml_handle, unsigned *), nvml_handle handle)
{
    unsigned value = 0;
    return function && function(handle, &value) == NVML_SUCCESS ? value : 0;
}

/* NVML writes "00000000:01:00.0", sysfs "0000:01:00.0", both hexadecimal. */
static void get_address(char address[16], ftl_nvml *nvml, nvml_handle handle)
{
    struct nvml_pci pci = { 0 };
    address[0] = 0;
    if (!nvml->get_pci || nvml->get_pci(handle, &pci) != NVML_SUCCESS) return;
    snprintf(address, 16, "%04x:%02x:%02x.0", pci.domain & 0xffff, pci.bus & 0xff,
             pci.device & 0xff);
}

ftl_status ftl_nvml_read_info(ftl_nvml_info *out, ftl_nvml *nvml, uint32_t index)
{
    *out = (ftl_nvml_info){ 0 };
    nvml_handle handle;
    FTL_TRY(get_handle(&handle, nvml, index));
    struct nvml_memory memory = { 0 };
    if (nvml->get_name) nvml->get_name(handle, out->name, sizeof out->name - 1);
    if (nvml->driver_version)
        nvml->driver_version(out->driver_version, sizeof out->driver_version - 1);
    if (nvml->get_memory && nvml->get_memory(handle, &memory) == NVML_SUCCESS) {
        out->memory_bytes = memory.total;
        out->memory_free_bytes = memory.free;
    }
    get_address(out->address, nvml, handle);
    out->power_limit_w = get_u32(nvml->get_power_limit, handle) * 1e-3;
    out->power_w = get_u32(nvml->get_power, handle) * 1e-3;
    out->link_generation = get_u32(nvml->get_link_generation, handle);
    out->link_lanes = get_u32(nvml->get_link_lanes, handle);
    out->link_max_generation = get_u32(nvml->get_max_link_generation, handle);
    out->link_max_lanes = get_u32(nvml->get_max_link_lanes, handle);
    unsigned long long millijoules = 0;
    out->has_energy = nvml->get_energy && nvml->get_energy(handle, &millijoules) == NVML_SUCCESS;
    return FTL_OK;
}

ftl_status ftl_nvml_find(uint32_t *index, ftl_nvml *nvml, const char *address)
{
    *index = 0;
    for (uint32_t i = 0; i < nvml->count; i++) {
        nvml_handle handle;
        char found[16];
        if (nvml->get_handle(i, &handle) != NVML_SUCCESS) continue;
        get_address(found, nvml, handle);
        if (strcasecmp(found, address) != 0) continue;
        *index = i;
        return FTL_OK;
    }
    return ftl_fail(FTL_ENOTFOUND, "NVIDIA's driver lists no device at PCI address %s", address);
}

ftl_status ftl_nvml_read_energy(double *joules, ftl_nvml *nvml, uint32_t index)
{
    *joules = 0;
    nvml_handle handle;
    FTL_TRY(get_handle(&handle, nvml, index));
    unsigned long long millijoules = 0;
    if (!nvml->get_energy || nvml->get_energy(handle, &millijoules) != NVML_SUCCESS)
        return ftl_fail(FTL_EUNSUPPORTED,
                        "NVIDIA device %u has no energy counter: cards before Volta have none",
                        index);
    *joules = (double)millijoules * 1e-3;
    return FTL_OK;
}

ftl_status ftl_nvml_read_power(double *watts, ftl_nvml *nvml, uint32_t index)
{
    *watts = 0;
    nvml_handle handle;
    FTL_TRY(get_handle(&handle, nvml, index));
    unsigned milliwatts = 0;
    if (!nvml->get_power || nvml->get_power(handle, &milliwatts) != NVML_SUCCESS)
        return ftl_fail(FTL_EUNSUPPORTED, "NVIDIA device %u does not tell its power", index);
    *watts = milliwatts * 1e-3;
    return FTL_OK;
}
