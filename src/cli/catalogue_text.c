/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue for people: a row a chip, or all that is known of one. */
#include "cli/catalogue_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "fettle/catalogue.h"

enum { TEXT = 48 };

static void rate_cell(ftl_cli_table *t, double value, const char *unit)
{
    char text[TEXT];
    ftl_cli_cell(t, "%s", value > 0 ? ftl_text_rate(text, sizeof text, value, unit) : "-");
}

static void add_row(ftl_cli_table *t, const ftl_chip *c)
{
    char text[TEXT];
    ftl_cli_cell(t, "%s", c->name);
    ftl_cli_cell(t, "%s", ftl_text_bytes_binary(text, sizeof text, (double)c->memory_bytes));
    rate_cell(t, c->memory_bytes_per_s, "B/s");
    rate_cell(t, c->f32_flops_per_s, "");
    rate_cell(t, c->f16_flops_per_s, "");
    rate_cell(t, c->i8_ops_per_s, "");
    if (c->tdp_w > 0) ftl_cli_cell(t, "%.0f W", c->tdp_w);
    else ftl_cli_cell(t, "-");
}

/* One table a kind. */
static void print_all(void)
{
    static const char *const head[] = { "CHIP",     "MEMORY", "BANDWIDTH", "F32 FLOP/S",
                                        "F16/BF16", "I8",     "POWER" };
    ftl_cli_table t;
    const char *kind = "";
    for (int32_t i = 0; ftl_catalogue_at(i); i++) {
        const ftl_chip *chip = ftl_catalogue_at(i);
        if (strcmp(kind, chip->kind) != 0) {
            if (*kind) {
                ftl_cli_table_print(&t, stdout);
                printf("\n");
            }
            kind = chip->kind;
            ftl_cli_table_start(&t, "lrrrrrr");
            for (int k = 0; k < 7; k++) ftl_cli_cell(&t, "%s", head[k]);
        }
        add_row(&t, chip);
    }
    ftl_cli_table_print(&t, stdout);
    printf("\n");
    ftl_cli_wrap(stdout,
                 "Peaks of data sheets, dense, computed by clock and units where no sheet states "
                 "them; \"-\" is not stated; CPUs: one socket, the most memory that it takes. "
                 "fettle devices --catalogue CHIP tells the source; plan --on takes these names.",
                 0);
}

static void print_fact(const char *name, const char *text)
{
    printf("%-10s ", name);
    ftl_cli_wrap(stdout, text, 11);
}

static void print_rate(const char *name, double value, const char *unit)
{
    char text[TEXT];
    print_fact(name, value > 0 ? ftl_text_rate(text, sizeof text, value, unit) : "not stated");
}

static void print_one(const ftl_chip *c)
{
    char text[TEXT];
    printf("%s: %s\n", c->name, c->title);
    print_rate("f32", c->f32_flops_per_s, "FLOP/s");
    print_rate("f16/bf16", c->f16_flops_per_s, "FLOP/s");
    print_rate("i8", c->i8_ops_per_s, "op/s");
    print_fact("memory", ftl_text_bytes_binary(text, sizeof text, (double)c->memory_bytes));
    print_rate("bandwidth", c->memory_bytes_per_s, "B/s");
    print_fact("links", c->link);
    print_rate("power", c->tdp_w, "W");
    snprintf(text, sizeof text, "%u", c->n_cores);
    print_fact("cores", text);
    print_fact("method", "data sheet: peaks, dense");
    print_fact("source", c->source);
}

int ftl_cli_catalogue(const char *name, bool as_json)
{
    const ftl_chip *chip = NULL;
    char *text = NULL;
    ftl_status s = name ? ftl_catalogue_find(&chip, name) : FTL_OK;
    if (s == FTL_OK && as_json) s = ftl_catalogue_json(&text);
    if (s != FTL_OK) return ftl_cli_failed(s);
    if (as_json) ftl_cli_print(text);
    else if (chip) print_one(chip);
    else print_all();
    ftl_text_free(text);
    return FTL_CLI_OK;
}
