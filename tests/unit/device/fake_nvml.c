/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for libnvidia-ml.so.1 with two cards: the first has every function's answer, the
 * second is from before the energy counter.  Energy grows by 5 J a reading, power is 50 W. */
#include <stdio.h>
#include <string.h>

#define NVML_EXPORT __attribute__((visibility("default")))
enum { SUCCESS = 0, NOT_SUPPORTED = 3 };

typedef struct card card;
struct card {
    int index;
};
static card cards[2] = { { 0 }, { 1 } };
static unsigned long long millijoules = 1000000;

NVML_EXPORT int nvmlInit_v2(void);
NVML_EXPORT int nvmlShutdown(void);
NVML_EXPORT const char *nvmlErrorString(int code);
NVML_EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned bytes);
NVML_EXPORT int nvmlDeviceGetCount_v2(unsigned *count);
NVML_EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned index, card **out);
NVML_EXPORT int nvmlDeviceGetName(card *c, char *text, unsigned bytes);
NVML_EXPORT int nvmlDeviceGetMemoryInfo(card *c, unsigned long long *total_free_used);
NVML_EXPORT int nvmlDeviceGetPciInfo_v3(card *c, void *info);
NVML_EXPORT int nvmlDeviceGetEnforcedPowerLimit(card *c, unsigned *milliwatts);
NVML_EXPORT int nvmlDeviceGetPowerUsage(card *c, unsigned *milliwatts);
NVML_EXPORT int nvmlDeviceGetTotalEnergyConsumption(card *c, unsigned long long *out);
NVML_EXPORT int nvmlDeviceGetCurrPcieLinkWidth(card *c, unsigned *lanes);
NVML_EXPORT int nvmlDeviceGetMaxPcieLinkWidth(card *c, unsigned *lanes);

int nvmlInit_v2(void)
{
    return SUCCESS;
}

int nvmlShutdown(void)
{
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    return code == NOT_SUPPORTED ? "Not Supported" : "Unknown Error";
}

int nvmlSystemGetDriverVersion(char *text, unsigned bytes)
{
    snprintf(text, bytes, "550.54.15");
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, card **out)
{
    *out = &cards[index];
    return SUCCESS;
}

int nvmlDeviceGetName(card *c, char *text, unsigned bytes)
{
    snprintf(text, bytes, "Fake %d", c->index);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(card *c, unsigned long long *total_free_used)
{
    total_free_used[0] = 24ull << 30;
    total_free_used[1] = (20ull << 30) - (unsigned)c->index;
    total_free_used[2] = 4ull << 30;
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(card *c, void *info)
{
    struct {
        char legacy[16];
        unsigned domain, bus, device, ids[2];
        char bus_id[32];
    } pci = { .domain = 0, .bus = 0x41 + 0x80 * (unsigned)c->index, .device = 0 };
    memcpy(info, &pci, sizeof pci);
    return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(card *c, unsigned *milliwatts)
{
    *milliwatts = 72000;
    return c->index == 0 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(card *c, unsigned *milliwatts)
{
    (void)c;
    *milliwatts = 50000;
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(card *c, unsigned long long *out)
{
    if (c->index == 1) return NOT_SUPPORTED;
    *out = millijoules += 5000;
    return SUCCESS;
}

int nvmlDeviceGetCurrPcieLinkWidth(card *c, unsigned *lanes)
{
    *lanes = c->index == 0 ? 8 : 16;
    return SUCCESS;
}

int nvmlDeviceGetMaxPcieLinkWidth(card *c, unsigned *lanes)
{
    (void)c;
    *lanes = 16;
    return SUCCESS;
}
