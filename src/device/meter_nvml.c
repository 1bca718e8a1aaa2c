/* SPDX-License-Identifier: Apache-2.0 */
/* NVIDIA cards through NVML: the energy counter of Volta and later, else polled power. */
#include "device/meter_source.h"

#include "base/alloc.h"
#include "device/nvml.h"

struct meter {
    ftl_nvml *nvml;
    uint32_t index;
};

static void nvml_close(void *state)
{
    struct meter *m = state;
    if (!m) return;
    ftl_nvml_close(m->nvml);
    ftl_free(m);
}

static ftl_status nvml_open(void **state, char *method, const ftl_meter_options *options)
{
    (void)method;
    *state = NULL;
    struct meter *m = ftl_calloc(1, sizeof *m);
    if (!m) return ftl_fail(FTL_ENOMEM, "no memory for the NVML meter");
    ftl_status s = ftl_nvml_open(&m->nvml, options->nvml_library);
    if (s == FTL_OK) s = ftl_nvml_find(&m->index, m->nvml, options->pci_address);
    if (s != FTL_OK) {
        nvml_close(m);
        return s;
    }
    *state = m;
    return FTL_OK;
}

static ftl_status read_energy(double *value, void *state)
{
    const struct meter *m = state;
    return ftl_nvml_read_energy(value, m->nvml, m->index);
}

static ftl_status read_power(double *value, void *state)
{
    const struct meter *m = state;
    return ftl_nvml_read_power(value, m->nvml, m->index);
}

/* The counter moves about every 100 ms (ml.energy's measurements of A100 and H100). */
const ftl_meter_source ftl_meter_nvml_energy = {
    .method = "nvml energy",
    .covers = "device",
    .use = FTL_METER_FOR_DEVICE,
    .is_counter = true,
    .resolution_s = 0.1,
    .open = nvml_open,
    .read = read_energy,
    .close = nvml_close,
};

const ftl_meter_source ftl_meter_nvml_power = {
    .method = "nvml power",
    .covers = "device",
    .use = FTL_METER_FOR_DEVICE,
    .resolution_s = 0.1,
    .open = nvml_open,
    .read = read_power,
    .close = nvml_close,
};
