/* SPDX-License-Identifier: Apache-2.0 */
/* fettle fit - the main job: plan, measure, choose, and show prediction beside measurement. */
#include <math.h>
#include <string.h>

#include "cli/plan_text.h"

enum { TEXT = 48, PATH = 4096 };

static const ftl_cli_option options[] = {
#define X(name, letter, kind, value, help, member)                                                 \
    { name, letter, kind, value, help, offsetof(ftl_cli_plan_values, member) },
#include "cli/plan_options.def"
#undef X
    { "--seed", 0, FTL_CLI_WHOLE, "S", "of random weights and inputs",
      offsetof(ftl_cli_plan_values, seed) },
    { "--power-meter", 0, FTL_CLI_TEXT, "CMD", "a command that prints watts",
      offsetof(ftl_cli_plan_values, power_meter) },
    { NULL },
};

/* MODEL.fit.json; of a preset NAME.fit.json in this folder. */
static bool default_output(char *path, size_t size, const char *model)
{
    const int n = snprintf(path, size, "%s.fit.json", *model == '@' ? model + 1 : model);
    return n > 0 && (size_t)n < size;
}

static void add_row(ftl_cli_table *t, const char *what, const char *predicted, const char *measured,
                    const char *note)
{
    ftl_cli_cell(t, "%s", what);
    ftl_cli_cell(t, "%s", predicted);
    ftl_cli_cell(t, "%s", measured);
    ftl_cli_cell(t, "%s", note);
}

/* "+4 %" of the measurement over the prediction. */
static void print_off(char *out, size_t size, double predicted, double measured, const char *more)
{
    snprintf(out, size, "%+.0f %%%s", (measured / predicted - 1) * 100, more);
}

/* Prediction beside measurement of the chosen candidate. */
static void print_comparison(const ftl_candidate *c)
{
    const ftl_prediction *p = &c->predicted;
    const ftl_measurement *m = &c->measured;
    ftl_cli_table t;
    char a[TEXT * 2], b[TEXT], note[TEXT * 2];
    ftl_cli_table_start(&t, "lrrl");
    add_row(&t, "", "PREDICTED", "MEASURED", "");
    const bool is_inside = m->latency_s >= p->latency_low_s && m->latency_s <= p->latency_high_s;
    print_off(note, sizeof note, p->latency_s, m->latency_s,
              is_inside ? ", inside the interval" : ", OUTSIDE the interval");
    ftl_cli_plan_time(a, sizeof a, p);
    add_row(&t, "time of a run", a, ftl_text_seconds(b, sizeof b, m->latency_s), note);
    char c1[TEXT], c2[TEXT];
    add_row(&t, "throughput", ftl_text_rate(c1, sizeof c1, p->throughput_per_s, "samples/s"),
            ftl_text_rate(c2, sizeof c2, m->throughput_per_s, "samples/s"), "");
    ftl_text_bytes(c1, sizeof c1, (double)p->memory_bytes);
    if (m->memory_bytes) {
        print_off(note, sizeof note, (double)p->memory_bytes, (double)m->memory_bytes, "");
        ftl_text_bytes(c2, sizeof c2, (double)m->memory_bytes);
    } else {
        snprintf(note, sizeof note, "exact for what fettle allocates");
        snprintf(c2, sizeof c2, "-");
    }
    add_row(&t, "memory", c1, c2, note);
    if (isnan(p->energy_j) && isnan(m->energy_j)) {
        add_row(&t, "energy", "-", "-", "not available: no meter (fettle devices says why)");
    } else {
        if (isnan(p->energy_j)) snprintf(c1, sizeof c1, "-");
        else ftl_text_rate(c1, sizeof c1, p->energy_j, "J");
        if (isnan(m->energy_j)) snprintf(c2, sizeof c2, "-");
        else ftl_text_rate(c2, sizeof c2, m->energy_j, "J");
        add_row(&t, "energy", c1, c2, p->energy_source);
    }
    ftl_cli_table_print(&t, stdout);
}

static void print_gain(const ftl_plan *plan)
{
    const ftl_candidate *c = &plan->candidates[plan->chosen];
    printf("chosen: %s, %u thread%s, batch %lld, %s, weights %s", c->device, c->n_threads,
           c->n_threads == 1 ? "" : "s", (long long)c->batch, c->dtype, c->layout);
    if (plan->baseline >= 0 && plan->gain > 0) {
        const ftl_candidate *base = &plan->candidates[plan->baseline];
        if (plan->chosen == plan->baseline || plan->gain < 1.01)
            printf("\n1.0x: nothing better than the default (%u threads) exists here",
                   base->n_threads);
        else
            printf("\n%.2fx the default (%u threads, batch %lld), measured in turn with it",
                   plan->gain, base->n_threads, (long long)base->batch);
    }
    if (plan->output_error >= 0)
        printf("\noutputs differ from the default's by %.1g of their scale", plan->output_error);
    printf("\n");
    if (c->measured.is_disturbed)
        printf("the machine was busy meanwhile: the runs scatter by over 15 %%\n");
}

static ftl_status show(const ftl_plan *plan, const ftl_cli_plan_values *v)
{
    enum { MOST_ROWS = 6 };
    if (v->json) {
        char *text;
        const ftl_status s = ftl_plan_json(&text, plan);
        if (s == FTL_OK) ftl_cli_print(text);
        ftl_text_free(text);
        return s;
    }
    ftl_cli_plan_head(plan);
    if (plan->chosen >= 0) {
        print_comparison(&plan->candidates[plan->chosen]);
        print_gain(plan);
    } else {
        ftl_cli_plan_candidates(plan, MOST_ROWS);
    }
    if (v->verbose) ftl_cli_plan_nodes(plan);
    ftl_cli_plan_passed_over(plan);
    return FTL_OK;
}

static int fit_model(const ftl_cli_context *context, const ftl_cli_plan_values *v, const char *name)
{
    ftl_cli_plan_room room;
    ftl_plan_options o;
    char path[PATH];
    if (!ftl_cli_plan_fill(&o, v, context, &room)) return FTL_CLI_WRONG_USE;
    if (!v->output && !default_output(path, sizeof path, name))
        return ftl_cli_wrong_use("fit: the model's path is too long to put .fit.json behind it; "
                                 "name the plan with -o PATH");
    const char *output = v->output ? v->output : path;
    ftl_model *model = NULL;
    ftl_plan *plan = NULL;
    ftl_cli_progress_start(&room.progress, "fit");
    ftl_status s = ftl_model_open(&model, name);
    if (s == FTL_OK) s = ftl_fit(&plan, model, &o);
    ftl_cli_progress_end(&room.progress);
    if (s == FTL_OK) s = show(plan, v);
    if (s == FTL_OK) s = ftl_plan_save(plan, output);
    int code = s == FTL_OK ? FTL_CLI_OK : ftl_cli_failed(s);
    if (s == FTL_OK && plan->chosen < 0) code = ftl_cli_plan_no_fit(plan);
    else if (s == FTL_OK && !v->json)
        printf("written: %s (fettle run --plan %s)\n", output, output);
    ftl_plan_destroy(plan);
    ftl_model_close(model);
    return code;
}

static int run(const ftl_cli_context *context, int argc, char **argv)
{
    ftl_cli_plan_values v = { .max_error = -1 };
    ftl_cli_words words = { 0 };
    bool done;
    const int code = ftl_cli_start(&ftl_cli_fit, argc, argv, &v, &words, &done);
    if (done) return code;
    if (words.n != 1)
        return ftl_cli_wrong_use("fit: a model is wanted: a file, or a preset of plan --list");
    return fit_model(context, &v, words.word[0]);
}

const ftl_cli_verb ftl_cli_fit = {
    .name = "fit",
    .summary = "the main job: plan, measure, choose; prediction beside measurement",
    .usage = "MODEL [FLAGS]",
    .about = "Measures this machine where no profile is stored (10 seconds at most), plans, loads "
             "the model, measures the best few candidates and the default in turn, corrects the "
             "cost model by what it saw, and writes MODEL.fit.json for run --plan.",
    .options = options,
    .examples = { "fettle fit @densenet121", "an architecture with random weights",
                  "fettle fit model.onnx --for throughput --max-memory 2G",
                  "a file, for samples a second, within 2 GB" },
    .most_words = 1,
    .run = run,
};
