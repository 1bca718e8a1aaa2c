/* SPDX-License-Identifier: Apache-2.0 */
/* Meters of the hwmon class: AMD's socket energy (amd_energy), boards with a power sensor (ACPI
 * power_meter, TI ina2xx, Corsair power supplies), and the sensors of amdgpu, i915 and xe cards.
 * Units: energyN_input microjoules, powerN_* microwatts.
 * Source: Linux Documentation/hwmon/{sysfs-interface,amd_energy,acpi_power_meter,ina2xx}.rst. */
#include "device/meter_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "device/sysfs.h"

#define HWMON "/sys/class/hwmon"

enum { FILES_MAX = 16, FILE_PATH = 256 };

/* Files whose values add up. */
struct hwmon {
    const char *root;
    uint32_t n_files;
    char files[FILES_MAX][FILE_PATH];
    double last; /* counters only */
};

static ftl_status refuse(const char *file, int error)
{
    if (error == EACCES || error == EPERM)
        return ftl_fail(FTL_EIO, "only root may read %s; permit it with: sudo chmod a+r %s", file,
                        file);
    return ftl_fail(FTL_EIO, "cannot read %s: %s", file, strerror(error));
}

static ftl_status read_sum(double *out, const struct hwmon *h)
{
    *out = 0;
    for (uint32_t i = 0; i < h->n_files; i++) {
        uint64_t micro = 0;
        if (!ftl_sysfs_u64(&micro, h->root, "%s", h->files[i])) return refuse(h->files[i], errno);
        *out += (double)micro * 1e-6;
    }
    return FTL_OK;
}

static ftl_status read_power(double *value, void *state)
{
    return read_sum(value, state);
}

static ftl_status read_counter(double *value, void *state)
{
    struct hwmon *h = state;
    FTL_TRY(read_sum(value, h));
    if (*value < h->last)
        return ftl_fail(FTL_EIO, "the energy counter %s went back: measure again", h->files[0]);
    h->last = *value;
    return FTL_OK;
}

static void hwmon_close(void *state)
{
    ftl_free(state);
}

static void add_file(struct hwmon *h, const char *folder, const char *chip, const char *file)
{
    if (h->n_files == FILES_MAX) return;
    const int n = snprintf(h->files[h->n_files], FILE_PATH, "%s/%s/%s", folder, chip, file);
    if (n > 0 && n < FILE_PATH) h->n_files++;
}

/* The two things a driver file differs in: which chips, and which of their files. */
typedef ftl_status add_chip(struct hwmon *h, const char *folder, const char *chip, char *method);

static ftl_status open_chips(void **state, char *method, const ftl_meter_options *options,
                             const char *folder, add_chip *add)
{
    *state = NULL;
    struct hwmon *h = ftl_calloc(1, sizeof *h);
    if (!h) return ftl_fail(FTL_ENOMEM, "no memory for the hwmon meter");
    h->root = options->root;
    ftl_sysfs_names chips;
    ftl_status s = ftl_sysfs_list(&chips, "hwmon", h->root, "%s", folder);
    for (size_t i = 0; i < chips.count && s == FTL_OK; i++)
        s = add(h, folder, chips.names[i], method);
    ftl_sysfs_names_deinit(&chips);
    if (s != FTL_OK || h->n_files == 0) {
        hwmon_close(h);
        return s; /* FTL_OK with *state NULL: nothing there, the caller has the words for it */
    }
    *state = h;
    return FTL_OK;
}

static ftl_status add_amd_energy(struct hwmon *h, const char *folder, const char *chip,
                                 char *method)
{
    (void)method;
    char name[32], label[32], file[FTL_SYSFS_NAME + 8];
    ftl_sysfs_text(name, sizeof name, h->root, "%s/%s/name", folder, chip);
    if (strcmp(name, "amd_energy") != 0) return FTL_OK;
    /* energyN_label is Ecore000 ... for the cores, then Esocket0 ... */
    ftl_sysfs_names names;
    FTL_TRY(ftl_sysfs_list(&names, "energy", h->root, "%s/%s", folder, chip));
    for (size_t i = 0; i < names.count; i++) {
        const char *end = strstr(names.names[i], "_label");
        if (!end ||
            !ftl_sysfs_text(label, sizeof label, h->root, "%s/%s/%s", folder, chip, names.names[i]))
            continue;
        if (strncmp(label, "Esocket", 7) != 0) continue;
        snprintf(file, sizeof file, "%.*s_input", (int)(end - names.names[i]), names.names[i]);
        add_file(h, folder, chip, file);
    }
    ftl_sysfs_names_deinit(&names);
    return FTL_OK;
}

static ftl_status amd_energy_open(void **state, char *method, const ftl_meter_options *options)
{
    FTL_TRY(open_chips(state, method, options, HWMON, add_amd_energy));
    if (!*state)
        return ftl_fail(FTL_ENOTFOUND, "no amd_energy sensor (AMD servers: sudo modprobe "
                                       "amd_energy)");
    return FTL_OK;
}

/* power1_average is what the sensor averaged, power1_input what it saw last. */
static void add_power(struct hwmon *h, const char *folder, const char *chip, char *method)
{
    static const char *const files[] = { "power1_average", "power1_input" };
    for (size_t i = 0; i < 2; i++) {
        if (!ftl_sysfs_exists(h->root, "%s/%s/%s", folder, chip, files[i])) continue;
        add_file(h, folder, chip, files[i]);
        snprintf(method, FTL_METER_METHOD, "hwmon %s", files[i]);
        return;
    }
}

static ftl_status add_board_power(struct hwmon *h, const char *folder, const char *chip,
                                  char *method)
{
    char name[32];
    ftl_sysfs_text(name, sizeof name, h->root, "%s/%s/name", folder, chip);
    /* Sensors of the whole board only: other chips' power1 may be one rail or a network card.
     * Of several the first, because rails may feed each other. */
    const bool is_board = strcmp(name, "power_meter") == 0 || strncmp(name, "ina2", 4) == 0 ||
                          strcmp(name, "corsairpsu") == 0;
    if (is_board && h->n_files == 0) add_power(h, folder, chip, method);
    return FTL_OK;
}

static ftl_status hwmon_open(void **state, char *method, const ftl_meter_options *options)
{
    FTL_TRY(open_chips(state, method, options, HWMON, add_board_power));
    if (!*state)
        return ftl_fail(FTL_ENOTFOUND,
                        "no board power sensor in " HWMON " (power_meter, ina2xx or corsairpsu)");
    return FTL_OK;
}

static ftl_status add_device_power(struct hwmon *h, const char *folder, const char *chip,
                                   char *method)
{
    if (h->n_files == 0) add_power(h, folder, chip, method);
    return FTL_OK;
}

static ftl_status add_device_energy(struct hwmon *h, const char *folder, const char *chip,
                                    char *method)
{
    (void)method;
    if (h->n_files == 0 && ftl_sysfs_exists(h->root, "%s/%s/energy1_input", folder, chip))
        add_file(h, folder, chip, "energy1_input");
    return FTL_OK;
}

static ftl_status open_device(void **state, char *method, const ftl_meter_options *options,
                              add_chip *add, const char *what)
{
    char folder[128];
    *state = NULL;
    const int n =
        snprintf(folder, sizeof folder, "/sys/bus/pci/devices/%s/hwmon", options->pci_address);
    if (n < 0 || n >= (int)sizeof folder)
        return ftl_fail(FTL_EINVAL, "%.64s... is no PCI address", options->pci_address);
    FTL_TRY(open_chips(state, method, options, folder, add));
    if (!*state)
        return ftl_fail(FTL_ENOTFOUND, "the driver of %s gives no %s in hwmon",
                        options->pci_address, what);
    return FTL_OK;
}

static ftl_status device_energy_open(void **state, char *method, const ftl_meter_options *options)
{
    return open_device(state, method, options, add_device_energy, "energy1_input");
}

static ftl_status device_power_open(void **state, char *method, const ftl_meter_options *options)
{
    return open_device(state, method, options, add_device_power, "power1_average or power1_input");
}

const ftl_meter_source ftl_meter_amd_energy = {
    .method = "hwmon amd_energy",
    .covers = "processor",
    .use = FTL_METER_FOR_HOST,
    .is_counter = true,
    .resolution_s = 0.001,
    .open = amd_energy_open,
    .read = read_counter,
    .close = hwmon_close,
};

const ftl_meter_source ftl_meter_hwmon = {
    .method = "hwmon power",
    .covers = "machine",
    .use = FTL_METER_FOR_HOST,
    .resolution_s = 0.1,
    .open = hwmon_open,
    .read = read_power,
    .close = hwmon_close,
};

const ftl_meter_source ftl_meter_device_energy = {
    .method = "hwmon energy1_input",
    .covers = "device",
    .use = FTL_METER_FOR_DEVICE,
    .is_counter = true,
    .resolution_s = 0.01,
    .open = device_energy_open,
    .read = read_counter,
    .close = hwmon_close,
};

const ftl_meter_source ftl_meter_device_power = {
    .method = "hwmon power",
    .covers = "device",
    .use = FTL_METER_FOR_DEVICE,
    .resolution_s = 0.02,
    .open = device_power_open,
    .read = read_power,
    .close = hwmon_close,
};
