/* SPDX-License-Identifier: Apache-2.0 */
/* fettle devices - what this machine has, and what of it can be used. */
#include <stdio.h>
#include <string.h>

#include "cli/catalogue_text.h"
#include "cli/cli.h"
#include "cli/out.h"

typedef struct values {
    bool json, catalogue;
    const char *power_meter;
} values;

static const ftl_cli_option options[] = {
    { "--json", 0, FTL_CLI_FLAG, NULL, "one JSON object (schema fettle.devices/1)",
      offsetof(values, json) },
    { "--catalogue", 0, FTL_CLI_FLAG, NULL, "chips that can be planned for; with CHIP all of one",
      offsetof(values, catalogue) },
    { "--power-meter", 0, FTL_CLI_TEXT, "CMD", "a command that prints watts",
      offsetof(values, power_meter) },
    { NULL },
};

enum { TEXT = 256 };

static void print_fact(const char *name, const char *text)
{
    printf("%-9s ", name);
    ftl_cli_wrap(stdout, text, 10);
}

static void print_cpu(const ftl_host *h)
{
    char text[TEXT * 2], number[32];
    size_t n = (size_t)snprintf(text, sizeof text, "%s, %s", h->cpu, h->arch);
    n += (size_t)snprintf(text + n, sizeof text - n, ", %u core%s", h->n_cores,
                          h->n_cores == 1 ? "" : "s");
    if (h->n_cpus != h->n_cores)
        n += (size_t)snprintf(text + n, sizeof text - n, " (%u threads)", h->n_cpus);
    for (uint32_t i = 0; h->n_kinds > 1 && i < h->n_kinds && i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ", %u %s", h->kinds[i].n_cores,
                              h->kinds[i].kind);
    if (h->max_mhz > 0)
        n += (size_t)snprintf(text + n, sizeof text - n, ", up to %.2f GHz", h->max_mhz / 1e3);
    print_fact("CPU", text);
    print_fact("ISA", h->isa);
    n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < h->n_caches && i < 16 && n < sizeof text; i++)
        n += (size_t)snprintf(
            text + n, sizeof text - n, "%sL%u %s x %u", i ? ", " : "", h->caches[i].level,
            ftl_text_bytes_binary(number, sizeof number, (double)h->caches[i].bytes),
            h->caches[i].n_instances);
    print_fact("Caches", n ? text : "not available: the system does not say");
}

static void print_memory(const ftl_host *h)
{
    char text[TEXT], total[32], usable[32], limit[32];
    snprintf(text, sizeof text, "%s, %s usable now, %u NUMA node%s",
             ftl_text_bytes_binary(total, sizeof total, (double)h->memory_bytes),
             ftl_text_bytes_binary(usable, sizeof usable, (double)h->memory_usable_bytes),
             h->n_numa_nodes, h->n_numa_nodes == 1 ? "" : "s");
    print_fact("Memory", text);
    size_t n = (size_t)snprintf(text, sizeof text, "%u of %u CPUs", h->usable_cpus, h->n_cpus);
    if (h->cpu_quota > 0)
        n += (size_t)snprintf(text + n, sizeof text - n, " (quota of %.2f)", h->cpu_quota);
    if (h->memory_limit_bytes > 0)
        snprintf(text + n, sizeof text - n, ", memory %s",
                 ftl_text_bytes_binary(limit, sizeof limit, (double)h->memory_limit_bytes));
    else snprintf(text + n, sizeof text - n, ", memory not limited");
    print_fact("Limits", text);
}

static void print_system(const ftl_host *h)
{
    char text[TEXT];
    size_t n = (size_t)snprintf(text, sizeof text, "power source %s", h->power_source);
    if (h->battery_percent >= 0)
        n += (size_t)snprintf(text + n, sizeof text - n, " (battery %d %%)", h->battery_percent);
    snprintf(text + n, sizeof text - n, ", governor %s",
             *h->governor ? h->governor : "not available: the system does not say");
    print_fact("Power", text);
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s", h->kernel, *h->board ? ", " : "", h->board,
             *h->virtualization ? ", virtual machine: " : "", h->virtualization,
             *h->container ? ", container: " : "", h->container);
    print_fact("System", text);
}

static void print_devices(const ftl_devices *d)
{
    ftl_cli_table t;
    printf("\n");
    ftl_cli_table_start(&t, "lll");
    ftl_cli_cell(&t, "DEVICE");
    ftl_cli_cell(&t, "USABLE");
    ftl_cli_cell(&t, "WHAT");
    for (size_t i = 0; i < d->n_devices; i++) {
        const ftl_device_entry *e = &d->devices[i];
        char memory[32], available[32];
        ftl_text_bytes_binary(memory, sizeof memory, (double)e->memory_bytes);
        ftl_text_bytes_binary(available, sizeof available, (double)e->free_bytes);
        ftl_cli_cell(&t, "%s", e->spelling);
        ftl_cli_cell(&t, e->is_usable ? "yes" : "no");
        if (!e->is_usable) ftl_cli_cell(&t, "%s", e->why);
        else if (e->memory_bytes == 0) ftl_cli_cell(&t, "%s", e->name);
        else ftl_cli_cell(&t, "%s, %s, %s free", e->name, memory, available);
    }
    ftl_cli_table_print(&t, stdout);
}

static void print_accelerators(const ftl_devices *d)
{
    ftl_cli_table t;
    if (d->n_accelerators == 0) {
        printf("\nNo accelerator is on the PCI bus.\n");
        return;
    }
    printf("\n");
    ftl_cli_table_start(&t, "lll");
    ftl_cli_cell(&t, "ON THE PCI BUS");
    ftl_cli_cell(&t, "USABLE");
    ftl_cli_cell(&t, "WHAT");
    for (size_t i = 0; i < d->n_accelerators; i++) {
        const ftl_accelerator_entry *e = &d->accelerators[i];
        char text[TEXT * 4], memory[32];
        size_t n = (size_t)snprintf(text, sizeof text, "%s", e->name);
        if (e->memory_bytes > 0)
            n += (size_t)snprintf(
                text + n, sizeof text - n, ", %s",
                ftl_text_bytes_binary(memory, sizeof memory, (double)e->memory_bytes));
        if (*e->link) n += (size_t)snprintf(text + n, sizeof text - n, ", %s", e->link);
        n += (size_t)snprintf(text + n, sizeof text - n, ", driver %s%s%s",
                              *e->driver ? e->driver : "none", *e->driver_version ? " " : "",
                              e->driver_version);
        if (e->power_limit_w > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, ", %.0f W at most", e->power_limit_w);
        if (!e->is_usable) snprintf(text + n, sizeof text - n, ": %s", e->why);
        ftl_cli_cell(&t, "%s", e->address);
        ftl_cli_cell(&t, e->is_usable ? "yes" : "no");
        ftl_cli_cell(&t, "%s", text);
    }
    ftl_cli_table_print(&t, stdout);
}

/* The best meter, or what would permit one. */
static void print_meters(const ftl_devices *d)
{
    ftl_cli_table t;
    printf("\n");
    for (size_t i = 0; i < d->n_meters; i++)
        if (d->meters[i].is_available) {
            printf("Power meter: %s (%s)\n", d->meters[i].method, d->meters[i].covers);
            return;
        }
    ftl_cli_table_start(&t, "ll");
    ftl_cli_cell(&t, "POWER METER");
    ftl_cli_cell(&t, "NOT AVAILABLE, BECAUSE");
    for (size_t i = 0; i < d->n_meters; i++) {
        ftl_cli_cell(&t, "%s", d->meters[i].method);
        ftl_cli_cell(&t, "%s", d->meters[i].why);
    }
    ftl_cli_cell(&t, "--power-meter CMD");
    ftl_cli_cell(&t, "takes watts from any meter that a command can print");
    ftl_cli_table_print(&t, stdout);
}

static int run(const ftl_cli_context *context, int argc, char **argv)
{
    values v = { 0 };
    ftl_cli_words words;
    bool done;
    const int code = ftl_cli_start(&ftl_cli_devices, argc, argv, &v, &words, &done);
    if (done) return code;
    if (v.catalogue) return ftl_cli_catalogue(words.n ? words.word[0] : NULL, v.json);
    if (words.n > 0)
        return ftl_cli_wrong_use("devices: a chip's name goes with --catalogue, as in fettle "
                                 "devices --catalogue %.60s",
                                 words.word[0]);
    ftl_devices_options o = FTL_DEVICES_OPTIONS_INIT;
    o.pjrt_plugins = context->environment.pjrt_plugins;
    o.power_meter_command = v.power_meter;
    ftl_devices *d;
    ftl_status s = ftl_devices_read(&d, &o);
    if (s != FTL_OK) return ftl_cli_failed(s);
    if (v.json) {
        char *text;
        s = ftl_devices_json(&text, d);
        if (s == FTL_OK) ftl_cli_print(text);
        ftl_text_free(text);
    } else {
        print_cpu(&d->host);
        print_memory(&d->host);
        print_system(&d->host);
        print_devices(d);
        print_accelerators(d);
        print_meters(d);
    }
    ftl_devices_destroy(d);
    return s == FTL_OK ? FTL_CLI_OK : ftl_cli_failed(s);
}

const ftl_cli_verb ftl_cli_devices = {
    .name = "devices",
    .summary = "what this machine has, and what of it can be used or why not",
    .usage = "[--catalogue [CHIP]] [FLAGS]",
    .most_words = 1,
    .about = "Shows the CPU, its caches, the memory and the limits of this process, every device "
             "that fettle can open, the accelerators on the PCI bus, and the power meters; what "
             "cannot be used comes with the reason. FETTLE_PJRT_PLUGINS names PJRT plug-ins "
             "(PATH:PATH).",
    .options = options,
    .examples = { "fettle devices", "a page for people", "fettle devices --json",
                  "one JSON object for programs" },
    .run = run,
};
