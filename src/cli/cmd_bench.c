/* SPDX-License-Identifier: Apache-2.0 */
/* fettle bench - measures a device, keeps the profile, compares two. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"

typedef struct values {
    bool json, csv, is_quick;
    const char *export_path, *power_meter;
    const char *compare[2];
    int64_t threads;
} values;

static const ftl_cli_option options[] = {
    { "--quick", 0, FTL_CLI_FLAG, NULL, "the short list of figures, in under 10 seconds",
      offsetof(values, is_quick) },
    { "--threads", 0, FTL_CLI_COUNT, "N", "N threads where all would be used",
      offsetof(values, threads) },
    { "--power-meter", 0, FTL_CLI_TEXT, "CMD", "a command that prints watts, run again and again",
      offsetof(values, power_meter) },
    { "--json", 0, FTL_CLI_FLAG, NULL, "one JSON object (schema fettle.bench/1)",
      offsetof(values, json) },
    { "--csv", 0, FTL_CLI_FLAG, NULL, "a line a figure, with commas", offsetof(values, csv) },
    { "--export", 0, FTL_CLI_TEXT, "FILE",
      "also writes the JSON to FILE, for fettle plan --on FILE", offsetof(values, export_path) },
    { "--compare", 0, FTL_CLI_PAIR, "A B",
      "measures nothing: compares two profiles, each a file, latest, previous or a number",
      offsetof(values, compare) },
    { NULL },
};

enum { FIGURE = 48, SHAPES_SHOWN = 6 };

/* ---- figures ------------------------------------------------------------------------------- */

static const ftl_profile_row *find(const ftl_profile *p, int32_t kind, int32_t threads,
                                   const char *name)
{
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        if (r->kind == kind && r->threads == threads && (!name || strcmp(r->name, name) == 0))
            return r;
    }
    return NULL;
}

/* "288 GFLOP/s", with "?" behind a disturbed figure and "!" behind an impossible one. */
static const char *figure(char *text, size_t size, const ftl_profile_row *row)
{
    if (!row) {
        snprintf(text, size, "-");
        return text;
    }
    const char *unit = ftl_profile_kind_unit(row->kind);
    if (strcmp(unit, "s") == 0) ftl_text_seconds(text, size, row->median);
    else ftl_text_rate(text, size, row->median, strcmp(unit, "byte/s") == 0 ? "B/s" : "FLOP/s");
    const size_t n = strlen(text);
    if (row->flags & FTL_PROFILE_FAULT) snprintf(text + n, size - n, " !");
    else if (row->flags & FTL_PROFILE_DISTURBED) snprintf(text + n, size - n, " ?");
    return text;
}

/* Half the width of the middle of the samples, in percent of the median. */
static const char *spread(char *text, size_t size, const ftl_profile_row *row)
{
    if (!row || !(row->median > 0)) snprintf(text, size, "-");
    else snprintf(text, size, "%.0f %%", 100 * row->mad / row->median);
    return text;
}

static int32_t all_threads(const ftl_profile *p)
{
    return p->threads > 1 ? p->threads : 1;
}

static void cell_figure(ftl_cli_table *t, const ftl_profile_row *row)
{
    char text[FIGURE];
    ftl_cli_cell(t, "%s", figure(text, sizeof text, row));
}

/* ---- tables -------------------------------------------------------------------------------- */

/* Columns of which nothing was measured are left out. */
static void print_levels(const ftl_profile *p)
{
    static const char *const levels[] = { "L1", "L2", "L3", "memory" };
    const struct {
        int32_t kind, threads;
        const char *title;
    } columns[] = {
        { FTL_PROFILE_READ, 1, "READ, 1" },         { FTL_PROFILE_READ, p->threads, "READ" },
        { FTL_PROFILE_COPY, p->threads, "COPY" },   { FTL_PROFILE_WRITE, p->threads, "WRITE" },
        { FTL_PROFILE_TRIAD, p->threads, "TRIAD" }, { FTL_PROFILE_LATENCY, 1, "LATENCY" }
    };
    enum { N = sizeof columns / sizeof columns[0] };
    char align[N + 2] = "lrrrrrr";
    int shown[N], n = 0;
    ftl_cli_table t;
    for (int c = p->threads > 1 ? 0 : 1; c < N; c++)
        if (find(p, columns[c].kind, columns[c].threads, "memory")) shown[n++] = c;
    align[n + 1] = 0;
    ftl_cli_table_start(&t, align);
    ftl_cli_cell(&t, "BANDWIDTH");
    for (int i = 0; i < n; i++) {
        const bool is_single = columns[shown[i]].threads == 1 || p->threads <= 1;
        if (is_single) ftl_cli_cell(&t, "%s", columns[shown[i]].title);
        else ftl_cli_cell(&t, "%s, %d", columns[shown[i]].title, p->threads);
    }
    for (int l = 0; l < 4; l++) {
        if (!find(p, FTL_PROFILE_READ, 1, levels[l])) continue;
        ftl_cli_cell(&t, "%s", levels[l]);
        for (int i = 0; i < n; i++)
            cell_figure(&t, find(p, columns[shown[i]].kind, columns[shown[i]].threads, levels[l]));
    }
    ftl_cli_table_print(&t, stdout);
}

static void add_shape(ftl_cli_table *t, const ftl_profile *p, const ftl_profile_row *all)
{
    char text[96], spread_text[16], peak_text[16] = "";
    const ftl_profile_row *one = NULL;
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        if (r->kind == all->kind && r->threads == 1 && r->dtype == all->dtype &&
            memcmp(r->dim, all->dim, sizeof r->dim) == 0 && strcmp(r->name, all->name) == 0)
            one = r;
    }
    const ftl_profile_row *peak = find(p, FTL_PROFILE_PEAK, all->threads, NULL);
    if (all->kind != FTL_PROFILE_STREAM && peak && peak->median > 0)
        snprintf(peak_text, sizeof peak_text, "%.0f", 100 * all->median / peak->median);
    ftl_cli_cell(t, "%s %s", ftl_profile_kind_name(all->kind),
                 ftl_profile_row_text(text, sizeof text, all));
    if (p->threads > 1) cell_figure(t, one);
    cell_figure(t, all);
    ftl_cli_cell(t, "%s", peak_text);
    ftl_cli_cell(t, "%s", spread(spread_text, sizeof spread_text, all));
}

/* Returns how many shapes are left out. */
static int print_shapes(const ftl_profile *p)
{
    ftl_cli_table t;
    int left_out = 0;
    ftl_cli_table_start(&t, p->threads > 1 ? "lrrrr" : "lrrr");
    ftl_cli_cell(&t, "PROGRAM");
    ftl_cli_cell(&t, "1 THREAD");
    if (p->threads > 1) ftl_cli_cell(&t, "%d THREADS", p->threads);
    ftl_cli_cell(&t, "%% PEAK");
    ftl_cli_cell(&t, "SPREAD");
    for (int32_t kind = FTL_PROFILE_GEMM; kind <= FTL_PROFILE_STREAM; kind++) {
        int shown = 0;
        for (size_t i = 0; i < p->n_rows; i++) {
            const ftl_profile_row *r = &p->rows[i];
            if (r->kind != kind || r->threads != all_threads(p)) continue;
            if (shown++ < SHAPES_SHOWN) add_shape(&t, p, r);
            else left_out++;
        }
    }
    ftl_cli_table_print(&t, stdout);
    return left_out;
}

static void print_overheads(const ftl_profile *p)
{
    static const struct {
        int32_t kind;
        const char *text;
    } rows[] = { { FTL_PROFILE_LAUNCH, "smallest program" },
                 { FTL_PROFILE_STEP, "one more node" },
                 { FTL_PROFILE_FORK, "start all threads" },
                 { FTL_PROFILE_BARRIER, "barrier" },
                 { FTL_PROFILE_WAKE, "wake all threads" } };
    char line[512] = "", text[FIGURE];
    size_t n = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && n < sizeof line; i++) {
        const ftl_profile_row *r = find(p, rows[i].kind, all_threads(p), NULL);
        if (r)
            n += (size_t)snprintf(line + n, sizeof line - n, "%s%s %s", n ? ", " : "", rows[i].text,
                                  figure(text, sizeof text, r));
    }
    if (n == 0) return;
    printf("Overheads ");
    ftl_cli_wrap(stdout, line, 10);
}

static void print_power(const ftl_profile_power *power)
{
    char text[1200];
    if (power->is_available)
        snprintf(text, sizeof text, "%s (%s): idle %.1f W, busy %.1f W, %.1f W more than idle",
                 power->method, power->covers, power->idle_w, power->active_w,
                 power->active_w - power->idle_w);
    else snprintf(text, sizeof text, "not available: %s", power->why);
    printf("Power     ");
    ftl_cli_wrap(stdout, text, 10);
}

static void print_profile(const ftl_profile *p, const char *store_note)
{
    char text[FIGURE], took[32];
    bool has_disturbed = false, has_fault = false;
    for (size_t i = 0; i < p->n_rows; i++) {
        has_disturbed |= (p->rows[i].flags & FTL_PROFILE_DISTURBED) != 0;
        has_fault |= (p->rows[i].flags & FTL_PROFILE_FAULT) != 0;
    }
    printf("%s: %s, %d thread%s, %s\n", p->device, p->device_name, p->threads,
           p->threads == 1 ? "" : "s", p->isa);
    printf("Peak f32  %s with 1 thread",
           figure(text, sizeof text, find(p, FTL_PROFILE_PEAK, 1, NULL)));
    if (p->threads > 1)
        printf(", %s with %d",
               figure(text, sizeof text, find(p, FTL_PROFILE_PEAK, p->threads, NULL)), p->threads);
    printf("\n");
    print_overheads(p);
    printf("\n");
    print_levels(p);
    printf("\n");
    const int left_out = print_shapes(p);
    printf("\n");
    print_power(&p->power);
    printf("Measured  %zu figures in %s, medians of 5 or more", p->n_rows,
           ftl_text_seconds(took, sizeof took, p->seconds));
    if (left_out > 0) printf("; %d more shapes: --csv", left_out);
    printf("\n");
    if (has_disturbed)
        printf("?         something else used the machine: the reference moved by %.0f %%\n",
               100 * p->drift);
    if (has_fault) printf("!         %s\n", p->why_faults);
    if (*store_note) {
        printf("Stored    no: ");
        ftl_cli_wrap(stdout, store_note, 14);
    }
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void print_changes(const ftl_profile *a, const ftl_profile *b,
                          const ftl_profile_change *changes, size_t n)
{
    ftl_cli_table t;
    char text[96], figure_text[FIGURE];
    size_t within = 0;
    printf("A: %s (%s), fettle %s\nB: %s (%s), fettle %s\n\n", a->device, a->machine, a->version,
           b->device, b->machine, b->version);
    ftl_cli_table_start(&t, "llrrrr");
    ftl_cli_cell(&t, "WHAT");
    ftl_cli_cell(&t, "SHAPE");
    ftl_cli_cell(&t, "THREADS");
    ftl_cli_cell(&t, "A");
    ftl_cli_cell(&t, "B");
    ftl_cli_cell(&t, "B IS");
    for (size_t i = 0; i < n; i++) {
        const ftl_profile_change *c = &changes[i];
        if (!c->is_beyond_noise) {
            within++;
            continue;
        }
        ftl_cli_cell(&t, "%s", ftl_profile_kind_name(c->a->kind));
        ftl_cli_cell(&t, "%s", ftl_profile_row_text(text, sizeof text, c->a));
        ftl_cli_cell(&t, "%d", c->a->threads);
        ftl_cli_cell(&t, "%s", figure(figure_text, sizeof figure_text, c->a));
        ftl_cli_cell(&t, "%s", figure(figure_text, sizeof figure_text, c->b));
        ftl_cli_cell(&t, "%.2fx", c->ratio);
    }
    if (within < n) {
        ftl_cli_table_print(&t, stdout);
        printf("\n");
    }
    printf("%zu figures in both: %zu differ beyond noise, %zu do not. Above 1x, B is faster.\n", n,
           n - within, within);
}

static int compare(const ftl_cli_context *context, const values *v)
{
    ftl_profile *a = NULL, *b = NULL;
    ftl_profile_change *changes = NULL;
    size_t n = 0;
    ftl_status s = ftl_profile_find(&a, context->cache_folder, v->compare[0]);
    if (s == FTL_OK) s = ftl_profile_find(&b, context->cache_folder, v->compare[1]);
    if (s == FTL_OK) s = ftl_profile_compare(&changes, &n, a, b);
    if (s == FTL_OK) print_changes(a, b, changes, n);
    ftl_text_free(changes);
    ftl_profile_destroy(a);
    ftl_profile_destroy(b);
    return s == FTL_OK ? FTL_CLI_OK : ftl_cli_failed(s);
}

/* ---- the verb ------------------------------------------------------------------------------ */

static int print_result(const ftl_profile *p, const char *store_note, const values *v)
{
    char *text = NULL;
    ftl_status s = FTL_OK;
    if (v->export_path) s = ftl_profile_export(p, v->export_path);
    if (s == FTL_OK && v->json) s = ftl_profile_json(&text, p);
    else if (s == FTL_OK && v->csv) s = ftl_profile_csv(&text, p);
    else if (s == FTL_OK) print_profile(p, store_note);
    if (text) ftl_cli_print(text);
    ftl_text_free(text);
    return s == FTL_OK ? FTL_CLI_OK : ftl_cli_failed(s);
}

static int run(const ftl_cli_context *context, int argc, char **argv)
{
    values v = { 0 };
    ftl_cli_words words;
    bool done;
    int code = ftl_cli_start(&ftl_cli_bench, argc, argv, &v, &words, &done);
    if (done) return code;
    if (v.json && v.csv) return ftl_cli_wrong_use("bench: --json and --csv exclude each other");
    if (v.compare[0]) {
        if (words.n > 0 || v.json || v.csv || v.export_path)
            return ftl_cli_wrong_use("bench: --compare A B stands alone");
        return compare(context, &v);
    }
    if (v.threads > 1024) return ftl_cli_wrong_use("bench: --threads may be 1024 at most");
    ftl_cli_progress progress;
    ftl_bench_options o = FTL_BENCH_OPTIONS_INIT;
    o.device = words.n > 0 ? words.word[0] : NULL;
    o.is_quick = v.is_quick;
    o.n_threads = (int32_t)v.threads;
    o.cache_folder = context->cache_folder;
    o.power_meter_command = v.power_meter;
    o.progress = ftl_cli_progress_show;
    o.user = &progress;
    ftl_profile *p = NULL;
    char *note = NULL;
    ftl_cli_progress_start(&progress, "measuring");
    const ftl_status s = ftl_bench(&p, &note, &o);
    ftl_cli_progress_end(&progress);
    code = s == FTL_OK ? print_result(p, note, &v) : ftl_cli_failed(s);
    ftl_text_free(note);
    ftl_profile_destroy(p);
    return code;
}

const ftl_cli_verb ftl_cli_bench = {
    .name = "bench",
    .summary = "measures a device: arithmetic, bandwidth, latency, power",
    .usage = "[DEVICE] [--quick] [--json | --csv] [--export FILE] | --compare A B",
    .about = "Measures what DEVICE (default: cpu) can do, in under a minute, and stores it for "
             "fettle plan and fettle fit. Figures are medians of at least 5 repetitions after a "
             "warm-up, on random data; what was disturbed is measured again or marked with ?, what "
             "is faster than physics allows is marked with ! and never used.",
    .options = options,
    .examples = { "fettle bench --quick", "the most important figures in under 10 seconds",
                  "fettle bench --compare previous latest", "what changed since the last time" },
    .most_words = 1,
    .run = run,
};
