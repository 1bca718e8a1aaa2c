/* SPDX-License-Identifier: Apache-2.0 */
/* The command: finds the verb, reads the environment, handles signals. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/out.h"

/* A new verb is one line here and one file cmd_<verb>.c. */
static const ftl_cli_verb *const verbs[] = {
    &ftl_cli_devices, &ftl_cli_bench, &ftl_cli_plan, &ftl_cli_fit, &ftl_cli_run,
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

/* The first asks, and the work ends by itself, with whole files; the second ends at once. */
static void on_signal(int number)
{
    if (ftl_interrupt() == 0) return;
    signal(number, SIG_DFL);
    raise(number);
}

/* A job that was started with a signal ignored (in the background of a script) keeps it so. */
static void handle_signal(int number)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* no SA_RESTART: a sleep ends early */
    sigemptyset(&action.sa_mask);
    struct sigaction before;
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static ftl_status read_environment(ftl_cli_context *context)
{
    ftl_environment e = FTL_ENVIRONMENT_INIT;
    e.isa = getenv("FETTLE_ISA");
    e.cache = getenv("FETTLE_CACHE");
    e.xdg_cache_home = getenv("XDG_CACHE_HOME");
    e.home = getenv("HOME");
    e.pjrt_plugins = getenv("FETTLE_PJRT_PLUGINS");
    e.fail_allocation = getenv("FETTLE_TEST_FAIL_ALLOC");
    context->environment = e;
    context->cache_folder[0] = context->cache_why[0] = 0;
    if (ftl_environment_cache_folder(context->cache_folder, sizeof context->cache_folder, &e) !=
        FTL_OK) {
        context->cache_folder[0] = 0;
        snprintf(context->cache_why, sizeof context->cache_why, "%s", ftl_error_text());
    }
    return ftl_environment_apply(&e);
}

static void print_usage(FILE *file)
{
    fputs("fettle makes AI models ready for the hardware at hand.\n\n"
          "usage: fettle VERB [WORDS] [FLAGS]\n\n",
          file);
    for (int i = 0; i < N_VERBS; i++)
        fprintf(file, "  %-9s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\nfettle VERB --help tells more; fettle --version prints the version.\n\nexamples:\n",
          file);
    for (int i = 0; i < N_VERBS && i < 2; i++) fprintf(file, "  %s\n", verbs[i]->examples[0]);
    fputs("\nexit codes: 0 done, 1 failed or does not fit, 2 wrong use\n", file);
}

static void print_help(const ftl_cli_verb *verb)
{
    const int indent = printf("usage: fettle %s%s", verb->name, *verb->usage ? " " : "");
    ftl_cli_wrap(stdout, verb->usage, indent);
    printf("\n");
    ftl_cli_wrap(stdout, verb->about, 0);
    printf("\n");
    for (const ftl_cli_option *o = verb->options; o->name; o++) {
        char letter[8] = "", flag[48];
        if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(flag, sizeof flag, "%s%s%s%s", letter, o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-24s ", flag);
        ftl_cli_wrap(stdout, o->help, 27);
    }
    printf("\nexamples:\n");
    for (int i = 0; i + 1 < 4 && verb->examples[i]; i += 2)
        printf("  %s\n      %s\n", verb->examples[i], verb->examples[i + 1]);
}

int ftl_cli_start(const ftl_cli_verb *verb, int argc, char **argv, void *values,
                  ftl_cli_words *words, bool *done)
{
    char why[512];
    *done = true;
    bool is_help = false;
    if (!ftl_cli_parse(verb->options, verb->most_words, argc, argv, values, words, &is_help, why,
                       sizeof why))
        return ftl_cli_wrong_use("%s: %s", verb->name, why);
    if (is_help) print_help(verb);
    *done = is_help;
    return FTL_CLI_OK;
}

static int unknown_verb(const char *word)
{
    const char *names[N_VERBS + 2] = { "--help", "--version" };
    for (int i = 0; i < N_VERBS; i++) names[i + 2] = verbs[i]->name;
    const char *nearest = ftl_text_nearest(word, names, N_VERBS + 2);
    if (nearest)
        return ftl_cli_wrong_use("there is no verb \"%.60s\"; did you mean %s?", word, nearest);
    return ftl_cli_wrong_use("there is no verb \"%.60s\"; fettle --help lists those there are",
                             word);
}

static const ftl_cli_verb *find_verb(const char *word)
{
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i]->name, word) == 0) return verbs[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static const char *const help_words[] = { "--help", "-h", "help" };
    if (argc < 2) {
        print_usage(stderr);
        return FTL_CLI_WRONG_USE;
    }
    for (int i = 0; i < 3; i++)
        if (strcmp(argv[1], help_words[i]) == 0) {
            print_usage(stdout);
            return ftl_cli_finish_output();
        }
    if (strcmp(argv[1], "--version") == 0) {
        printf("fettle %s\n", ftl_version());
        return ftl_cli_finish_output();
    }
    const ftl_cli_verb *verb = find_verb(argv[1]);
    if (!verb) return unknown_verb(argv[1]);
    handle_signal(SIGINT);
    handle_signal(SIGTERM);
    ftl_cli_context context;
    if (read_environment(&context) != FTL_OK) return ftl_cli_wrong_use("%s", ftl_error_text());
    const int code = verb->run(&context, argc - 1, argv + 1);
    const int written = ftl_cli_finish_output();
    return code != FTL_CLI_OK ? code : written;
}
