/* SPDX-License-Identifier: Apache-2.0 */
/* fettle plan - what each way to run a model costs, here or on machines that are not at hand. */
#include <string.h>

#include "cli/plan_text.h"

static const ftl_cli_option options[] = {
#define X(name, letter, kind, value, help, member)                                                 \
    { name, letter, kind, value, help, offsetof(ftl_cli_plan_values, member) },
#include "cli/plan_options.def"
#undef X
    { "--on", 0, FTL_CLI_TEXT, "A,B",
      "other machines: exported profiles (a path), chips of the "
      "catalogue (gpu:h200), here",
      offsetof(ftl_cli_plan_values, on) },
    { "--list", 'l', FTL_CLI_FLAG, NULL, "the presets", offsetof(ftl_cli_plan_values, list) },
    { NULL },
};

static void list_presets(void)
{
    ftl_cli_table t;
    ftl_cli_table_start(&t, "ll");
    for (int32_t i = 0; ftl_preset_name(i); i++) {
        ftl_cli_cell(&t, "@%s", ftl_preset_name(i));
        ftl_cli_cell(&t, "%s", ftl_preset_about(i));
    }
    ftl_cli_table_print(&t, stdout);
}

static ftl_status show(const ftl_plan *plan, const ftl_cli_plan_values *v)
{
    enum { MOST_ROWS = 16 };
    if (v->json) {
        char *text;
        const ftl_status s = ftl_plan_json(&text, plan);
        if (s == FTL_OK) ftl_cli_print(text);
        ftl_text_free(text);
        return s;
    }
    ftl_cli_plan_head(plan);
    ftl_cli_plan_candidates(plan, MOST_ROWS);
    if (v->verbose) ftl_cli_plan_nodes(plan);
    if (plan->chosen >= 0) {
        const ftl_prediction *p = &plan->candidates[plan->chosen].predicted;
        printf("* chosen for %s; method: %s from the %s\n", v->goal ? v->goal : "latency",
               p->method, p->source);
    }
    ftl_cli_plan_passed_over(plan);
    return FTL_OK;
}

static int plan_model(const ftl_cli_context *context, const ftl_cli_plan_values *v,
                      const char *name)
{
    ftl_cli_plan_room room;
    ftl_plan_options o;
    if (!ftl_cli_plan_fill(&o, v, context, &room)) return FTL_CLI_WRONG_USE;
    ftl_model *model = NULL;
    ftl_plan *plan = NULL;
    ftl_cli_progress_start(&room.progress, "plan");
    ftl_status s = ftl_model_open(&model, name);
    if (s == FTL_OK) s = ftl_plan_create(&plan, model, &o);
    ftl_cli_progress_end(&room.progress);
    if (s == FTL_OK) s = show(plan, v);
    if (s == FTL_OK && v->output) s = ftl_plan_save(plan, v->output);
    int code = s == FTL_OK ? FTL_CLI_OK : ftl_cli_failed(s);
    if (s == FTL_OK && plan->chosen < 0) code = ftl_cli_plan_no_fit(plan);
    ftl_plan_destroy(plan);
    ftl_model_close(model);
    return code;
}

static int run(const ftl_cli_context *context, int argc, char **argv)
{
    ftl_cli_plan_values v = { .max_error = -1 };
    ftl_cli_words words = { 0 };
    bool done;
    const int code = ftl_cli_start(&ftl_cli_plan, argc, argv, &v, &words, &done);
    if (done) return code;
    if (v.list) {
        list_presets();
        return FTL_CLI_OK;
    }
    if (words.n != 1)
        return ftl_cli_wrong_use("plan: a model is wanted: a file, or a preset of plan --list");
    return plan_model(context, &v, words.word[0]);
}

const ftl_cli_verb ftl_cli_plan = {
    .name = "plan",
    .summary = "what each way to run a model costs: time, memory, energy",
    .usage = "MODEL [--on A,B] [FLAGS]",
    .about = "Prices candidates (threads, batch) by the profile of this machine or of others, and "
             "chooses the best. It reads no weights and runs nothing of the model.",
    .options = options,
    .examples = { "fettle plan @resnet50", "on this machine",
                  "fettle plan @vit-b16 --on here,gpu:rtx-4090,gpu:h200",
                  "what it would take elsewhere, ranked" },
    .most_words = 1,
    .run = run,
};
