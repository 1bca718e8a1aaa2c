/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plan_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 48 };

/* ---- flags --------------------------------------------------------------------------------- */

static bool take_goal(ftl_plan_options *options, const char *word)
{
    static const char *const names[] = { "latency", "throughput", "energy", "memory" };
    if (!word) return true;
    for (int i = 0; i < 4; i++)
        if (strcmp(word, names[i]) == 0) {
            options->goal = (ftl_goal)i;
            return true;
        }
    const char *nearest = ftl_text_nearest(word, names, 4);
    ftl_cli_wrong_use("--for \"%.40s\": latency, throughput, energy or memory%s%s%s", word,
                      nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return false;
}

bool ftl_cli_take_dim(ftl_session_dim *dim, char *name, size_t size, const char *word)
{
    const char *equals = strchr(word, '=');
    char *end = NULL;
    const size_t length = equals ? (size_t)(equals - word) : 0;
    dim->value = equals ? strtoll(equals + 1, &end, 10) : 0;
    if (length == 0 || length >= size || end == equals + 1 || *end || dim->value < 1) {
        ftl_cli_wrong_use("--dim \"%.60s\": a name and a number are wanted, such as tokens=128",
                          word);
        return false;
    }
    memcpy(name, word, length);
    name[length] = 0;
    dim->name = name;
    return true;
}

static bool take_machines(ftl_plan_options *options, ftl_cli_plan_room *room, const char *list)
{
    if (!list) return true;
    if (strlen(list) >= sizeof room->on_text) {
        ftl_cli_wrong_use("--on: the list is too long");
        return false;
    }
    strcpy(room->on_text, list);
    char *rest = NULL;
    for (char *one = strtok_r(room->on_text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        if (options->n_on == FTL_CLI_MOST_ON) {
            ftl_cli_wrong_use("--on: %d machines at most", FTL_CLI_MOST_ON);
            return false;
        }
        room->on[options->n_on++] = one;
    }
    options->on = room->on;
    return true;
}

static void show_progress(void *arg, const char *what, double done)
{
    ftl_cli_progress_show(arg, done, what);
}

bool ftl_cli_plan_fill(ftl_plan_options *o, const ftl_cli_plan_values *v,
                       const ftl_cli_context *context, ftl_cli_plan_room *room)
{
    *o = (ftl_plan_options)FTL_PLAN_OPTIONS_INIT;
    o->device = v->device;
    o->batch = v->batch;
    o->n_threads = v->threads > UINT32_MAX ? UINT32_MAX : (uint32_t)v->threads;
    o->max_memory_bytes = v->max_memory;
    o->max_latency_s = v->max_latency;
    o->max_error = v->max_error;
    o->seed = (uint64_t)v->seed;
    o->is_quick = v->quick;
    o->cache_folder = *context->cache_folder ? context->cache_folder : NULL;
    o->power_meter = v->power_meter;
    o->progress = show_progress;
    o->progress_arg = &room->progress;
    for (int i = 0; i < v->dims.n; i++)
        if (!ftl_cli_take_dim(&room->dims[i], room->names[i], sizeof room->names[i],
                              v->dims.word[i]))
            return false;
    o->dims = room->dims;
    o->n_dims = v->dims.n;
    return take_goal(o, v->goal) && take_machines(o, room, v->on);
}

/* ---- a plan for people --------------------------------------------------------------------- */

void ftl_cli_plan_head(const ftl_plan *plan)
{
    char weights[TEXT], flops[TEXT], text[TEXT * 4];
    const int64_t batch = plan->n_candidates ? plan->candidates[0].batch : 0;
    printf("%s: ", plan->model);
    snprintf(text, sizeof text, "%s weights%s, %s a run of batch %lld",
             ftl_text_rate(weights, sizeof weights, (double)plan->n_weights, ""),
             plan->has_weights || plan->n_weights == 0
                 ? ""
                 : " (seeded random ones: speed is real, results are not)",
             ftl_text_rate(flops, sizeof flops, plan->flops, "FLOP"), (long long)batch);
    ftl_cli_wrap(stdout, text, ftl_text_width(plan->model) + 2);
}

/* Three digits without an exponent. */
static char *print_digits(char *out, size_t size, double x)
{
    snprintf(out, size, "%.*f", x < 9.995 ? 2 : x < 99.95 ? 1 : 0, x);
    return out;
}

char *ftl_cli_plan_time(char *out, size_t size, const ftl_prediction *p)
{
    char middle[TEXT], low[TEXT], high[TEXT];
    const double scale = p->latency_s < 1e-3 ? 1e6 : p->latency_s < 1 ? 1e3 : 1;
    snprintf(out, size, "%s (%s-%s)", ftl_text_seconds(middle, sizeof middle, p->latency_s),
             print_digits(low, sizeof low, p->latency_low_s * scale),
             print_digits(high, sizeof high, p->latency_high_s * scale));
    return out;
}

static bool has_other_machines(const ftl_plan *plan)
{
    for (int32_t i = 0; i < plan->n_candidates; i++)
        if (strcmp(plan->candidates[i].machine, "this machine") != 0) return true;
    return false;
}

static void print_energy(char *out, size_t size, double joules)
{
    if (isnan(joules)) snprintf(out, size, "-");
    else ftl_text_rate(out, size, joules, "J");
}

/* In a table every column counts. */
static const char *short_limit(const char *limit)
{
    return strcmp(limit, "memory bandwidth") == 0 ? "memory" : limit;
}

void ftl_cli_plan_candidates(const ftl_plan *plan, int most)
{
    ftl_cli_table t;
    const bool names_machines = has_other_machines(plan);
    ftl_cli_table_start(&t, names_machines ? "lrrrrrl" : "lrrrrrl");
    ftl_cli_cell(&t, names_machines ? "MACHINE" : "DEVICE");
    ftl_cli_cell(&t, "THREADS");
    ftl_cli_cell(&t, "BATCH");
    ftl_cli_cell(&t, "TIME (90 %% INTERVAL)");
    ftl_cli_cell(&t, "MEMORY");
    ftl_cli_cell(&t, "ENERGY");
    ftl_cli_cell(&t, "LIMITED BY");
    for (int32_t i = 0; i < plan->n_candidates && i < most; i++) {
        const ftl_candidate *c = &plan->candidates[i];
        char time[TEXT * 2], memory[TEXT], energy[TEXT];
        ftl_cli_plan_time(time, sizeof time, &c->predicted);
        print_energy(energy, sizeof energy, c->predicted.energy_j);
        ftl_cli_cell(&t, "%s%s", names_machines ? c->machine : c->device,
                     i == plan->chosen ? " *" : "");
        if (c->n_threads) ftl_cli_cell(&t, "%u", c->n_threads);
        else ftl_cli_cell(&t, "-");
        ftl_cli_cell(&t, "%lld", (long long)c->batch);
        ftl_cli_cell(&t, "%s", time);
        ftl_cli_cell(&t, "%s",
                     ftl_text_bytes(memory, sizeof memory, (double)c->predicted.memory_bytes));
        ftl_cli_cell(&t, "%s", energy);
        ftl_cli_cell(&t, "%s", c->fits ? short_limit(c->predicted.limit) : c->reason);
    }
    ftl_cli_table_print(&t, stdout);
    if (plan->n_candidates > most)
        printf("(%d more in --json)\n", (int)(plan->n_candidates - most));
}

void ftl_cli_plan_nodes(const ftl_plan *plan)
{
    ftl_cli_table t;
    ftl_cli_table_start(&t, "lrrrrl");
    static const char *const heads[] = { "OP", "FLOP", "BYTES", "PREDICTED", "MEASURED", "LAYER" };
    for (int i = 0; i < 6; i++) ftl_cli_cell(&t, "%s", heads[i]);
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const ftl_plan_node *n = &plan->nodes[i];
        char flops[TEXT], bytes[TEXT], predicted[TEXT], measured[TEXT] = "-";
        if (n->measured_s > 0) ftl_text_seconds(measured, sizeof measured, n->measured_s);
        ftl_cli_cell(&t, "%s", n->op);
        ftl_cli_cell(&t, "%s", ftl_text_rate(flops, sizeof flops, n->flops, ""));
        ftl_cli_cell(&t, "%s", ftl_text_bytes(bytes, sizeof bytes, n->bytes));
        ftl_cli_cell(&t, "%s", ftl_text_seconds(predicted, sizeof predicted, n->predicted_s));
        ftl_cli_cell(&t, "%s", measured);
        ftl_cli_cell_tail(&t, n->name, 29);
        if (i % 64 == 63) ftl_cli_table_print(&t, stdout); /* a table holds 100 rows */
    }
    ftl_cli_table_print(&t, stdout);
}

void ftl_cli_plan_passed_over(const ftl_plan *plan)
{
    for (int32_t i = 0; i < plan->n_passed_over; i++) {
        /* The first half of the sentence; what to do about it is a page of its own. */
        const char *why = plan->passed_over[i].why;
        char text[TEXT * 4];
        snprintf(text, sizeof text, "%.*s (fettle devices says more)", (int)strcspn(why, ":"), why);
        const int at = printf("passed over: %s: ", plan->passed_over[i].device);
        ftl_cli_wrap(stdout, text, at);
    }
}

int ftl_cli_plan_no_fit(const ftl_plan *plan)
{
    if (plan->n_candidates == 0) return ftl_cli_error("%s: nothing could be planned", plan->model);
    char missing[TEXT];
    const ftl_candidate *c = &plan->candidates[0];
    if (c->missing_bytes == 0)
        return ftl_cli_error("%s does not fit the limits: %s", plan->model, c->reason);
    return ftl_cli_error("%s does not fit: %s are missing: %s", plan->model,
                         ftl_text_bytes(missing, sizeof missing, (double)c->missing_bytes),
                         c->reason);
}
