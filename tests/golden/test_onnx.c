/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models against what ONNX Runtime computed: test_onnx eval|session SCRIPT [ARGUMENT ...]
 *   eval     import, optimize, evaluate plainly: says whether the importer and the passes are right
 *   session  the way that users go, on the CPU
 * The cases lie in the folder $FETTLE_TEST_ONNX_CASES; where it is not set, SCRIPT writes them,
 * run by $FETTLE_TEST_PYTHON with the arguments and --out FOLDER.  cases.txt is described at the
 * top of make_onnx_cases.py.  One line of TAP a case. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/dtype.h"
#include "core/eval.h"
#include "core/pass.h"
#include "fettle/fettle.h"
#include "format/npy.h"
#include "format/onnx_import.h"
#include "support/test.h"

enum { TENSORS_MAX = 16, PATH_BYTES = 1024, TEXT_BYTES = 512 };

typedef struct array {
    const char *name;
    ftl_host_tensor host;
} array;

typedef struct test_case {
    const char *name, *model;
    double tolerance;
    array in[TENSORS_MAX], out[TENSORS_MAX];
    int32_t n_in, n_out;
    ftl_dim_value dims[TENSORS_MAX * FTL_MAX_RANK];
    int32_t n_dims;
    char path[PATH_BYTES];
    char why[TEXT_BYTES]; /* of a failure */
} test_case;

/* What must be refused, and with which words; NULL: in every mode. */
static const struct {
    const char *name, *mode, *words;
} refused[] = {
    /* The number of elements is decided by a graph input. */
    { "range", NULL, "known before a run" },
    { "range_down", NULL, "known before a run" },
    { "range_float", NULL, "known before a run" },
    /* An empty input can be evaluated; a device is given at least one element. */
    { "reshape_allowzero", "session", "must be at least 1" },
};

/* ---- comparing ----------------------------------------------------------------------------- */

static bool same_shape(const ftl_tensor_desc *got, const ftl_tensor_desc *want, test_case *c,
                       const char *name)
{
    char a[FTL_DESC_TEXT], b[FTL_DESC_TEXT];
    if (ftl_desc_equal(got, want)) return true;
    snprintf(c->why, sizeof c->why, "%s is %s, wanted %s", name, ftl_desc_print(got, a, sizeof a),
             ftl_desc_print(want, b, sizeof b));
    return false;
}

static bool close_enough(double got, double want, double allowed)
{
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
    return got == want || fabs(got - want) <= allowed;
}

static bool compare(test_case *c, const array *want, const void *got)
{
    const ftl_tensor_desc *d = &want->host.desc;
    const int64_t n = ftl_desc_count_checked(d);
    double scale = 1;
    for (int64_t i = 0; i < n; i++) {
        const double w = fabs(ftl_element_get(d->dtype, want->host.data, i));
        if (isfinite(w) && w > scale) scale = w;
    }
    if (!ftl_dtype_is_float(d->dtype) && memcmp(got, want->host.data, want->host.bytes) == 0)
        return true;
    for (int64_t i = 0; i < n; i++) {
        const double w = ftl_element_get(d->dtype, want->host.data, i);
        const double g = ftl_element_get(d->dtype, got, i);
        if (close_enough(g, w, ftl_dtype_is_float(d->dtype) ? c->tolerance * scale : 0)) continue;
        snprintf(c->why, sizeof c->why,
                 "%s: element %lld of %lld: got %.9g, want %.9g, allowed %.3g", want->name,
                 (long long)i, (long long)n, g, w, c->tolerance * scale);
        return false;
    }
    return true;
}

static bool failed(test_case *c, const char *what)
{
    snprintf(c->why, sizeof c->why, "%s: %.400s", what, ftl_error_text());
    return false;
}

static const array *find_array(const array *list, int32_t n, const char *name)
{
    for (int32_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

/* ---- evaluating plainly -------------------------------------------------------------------- */

/* Aligned copies: what a file holds may stand anywhere. */
static void *copy_of(const void *data, size_t bytes)
{
    void *copy = ftl_alloc(bytes + 1);
    if (copy) memcpy(copy, data, bytes);
    return copy;
}

/* The data of a source: the case's input, the file's bytes, or what the init says. */
static void *source_data(const test_case *c, const ftl_tensor *t)
{
    const size_t bytes = ftl_desc_bytes_checked(&t->desc);
    const array *given = find_array(c->in, c->n_in, t->name);
    if (t->kind == FTL_TENSOR_INPUT)
        return given && given->host.bytes == bytes ? copy_of(given->host.data, bytes) : NULL;
    if (t->data) return copy_of(t->data, bytes);
    void *data = ftl_alloc(bytes + 1);
    for (int64_t i = 0; data && i < ftl_desc_count_checked(&t->desc); i++)
        ftl_element_set(t->desc.dtype, data, i, (double)t->init.scale);
    return data;
}

static bool eval_graph(test_case *c, const ftl_graph *graph)
{
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    void **in = ftl_calloc((size_t)v->n_sources + 1, sizeof *in);
    void **out = ftl_calloc((size_t)v->n_outputs + 1, sizeof *out);
    bool ok = in && out && v->n_outputs == c->n_out;
    for (int32_t i = 0; ok && i < v->n_sources; i++) {
        in[i] = source_data(c, &v->tensors[v->sources[i]]);
        ok = in[i] != NULL;
    }
    if (!ok) snprintf(c->why, sizeof c->why, "an input has another size, or outputs are missing");
    for (int32_t i = 0; ok && i < v->n_outputs; i++) {
        const ftl_tensor_desc *d = ftl_graph_peek_desc(graph, v->outputs[i].tensor);
        ok = same_shape(d, &c->out[i].host.desc, c, c->out[i].name);
        out[i] = ftl_alloc(ftl_desc_bytes_checked(d) + 1);
    }
    if (ok && ftl_eval_graph(graph, (const void *const *)in, out) != FTL_OK)
        ok = failed(c, "evaluating");
    for (int32_t i = 0; ok && i < v->n_outputs; i++) ok = compare(c, &c->out[i], out[i]);
    for (int32_t i = 0; in && i < v->n_sources; i++) ftl_free(in[i]);
    for (int32_t i = 0; out && i < v->n_outputs; i++) ftl_free(out[i]);
    ftl_free(in);
    ftl_free(out);
    return ok;
}

/* Names dims by what the case feeds. */
static ftl_status bind_dims(test_case *c, const ftl_onnx_file *file, ftl_arena *arena)
{
    const ftl_onnx_value *const *inputs;
    int32_t n;
    FTL_TRY(ftl_onnx_list_inputs(arena, file, &inputs, &n));
    for (int32_t i = 0; i < n; i++) {
        const array *a = find_array(c->in, c->n_in, inputs[i]->name);
        for (size_t k = 0; a && k < inputs[i]->rank; k++) {
            if (inputs[i]->dims[k].value >= 0) continue;
            char text[FTL_ONNX_DIM_TEXT];
            const char *name = ftl_arena_strdup(arena, ftl_onnx_dim_name(inputs[i], k, text));
            c->dims[c->n_dims++] = (ftl_dim_value){ name, a->host.desc.dim[k] };
        }
    }
    return FTL_OK;
}

static bool run_eval(test_case *c)
{
    ftl_onnx_file *file;
    ftl_graph *graph = NULL, *better = NULL;
    ftl_arena arena = { 0 };
    bool ok = ftl_onnx_file_open(&file, c->path) == FTL_OK &&
              ftl_onnx_file_load_all(file) == FTL_OK && bind_dims(c, file, &arena) == FTL_OK;
    if (!ok) failed(c, "reading");
    if (ok && ftl_onnx_bind(&graph, file, c->dims, c->n_dims) != FTL_OK) ok = failed(c, "import");
    if (ok) ok = eval_graph(c, graph);
    if (ok && ftl_pass_optimize(&better, graph) != FTL_OK) ok = failed(c, "optimizing");
    if (ok && !eval_graph(c, better)) {
        const size_t n = strlen(c->why);
        snprintf(c->why + n, sizeof c->why - n, " (optimized)");
        ok = false;
    }
    ftl_graph_destroy(better);
    ftl_graph_destroy(graph);
    ftl_onnx_file_close(file);
    ftl_arena_deinit(&arena);
    return ok;
}

/* ---- the session --------------------------------------------------------------------------- */

static bool session_outputs(test_case *c, ftl_session *session)
{
    bool ok = ftl_session_n_outputs(session) == c->n_out;
    if (!ok) snprintf(c->why, sizeof c->why, "%d outputs", (int)ftl_session_n_outputs(session));
    for (int32_t i = 0; ok && i < c->n_out; i++) {
        const size_t bytes = c->out[i].host.bytes;
        void *got = ftl_alloc(bytes + 1);
        ok = got && same_shape(ftl_session_output_desc(session, i), &c->out[i].host.desc, c,
                               c->out[i].name);
        if (ok && ftl_session_get_output(session, i, got, bytes) != FTL_OK)
            ok = failed(c, "reading a result");
        ok = ok && compare(c, &c->out[i], got);
        ftl_free(got);
    }
    return ok;
}

static bool run_session(test_case *c)
{
    ftl_onnx_file *file;
    ftl_arena arena = { 0 };
    ftl_model *model = NULL;
    ftl_session *session = NULL;
    bool ok = ftl_onnx_file_open(&file, c->path) == FTL_OK &&
              bind_dims(c, file, &arena) == FTL_OK && ftl_model_open(&model, c->path) == FTL_OK;
    if (!ok) failed(c, "opening");
    ftl_session_dim dims[TENSORS_MAX * FTL_MAX_RANK];
    for (int32_t i = 0; i < c->n_dims; i++)
        dims[i] = (ftl_session_dim){ c->dims[i].name, c->dims[i].value };
    ftl_session_options o = FTL_SESSION_OPTIONS_INIT;
    o.device = "cpu";
    o.n_threads = 1;
    o.dims = dims;
    o.n_dims = c->n_dims;
    if (ok && ftl_session_create(&session, model, &o) != FTL_OK) ok = failed(c, "session");
    for (int32_t i = 0; ok && i < ftl_session_n_inputs(session); i++) {
        const array *a = find_array(c->in, c->n_in, ftl_session_input_name(session, i));
        if (!a) ok = snprintf(c->why, sizeof c->why, "an input that the case lacks") < 0;
        else if (ftl_session_set_input(session, i, a->host.data, a->host.bytes) != FTL_OK)
            ok = failed(c, "giving an input");
    }
    if (ok && ftl_session_run(session, NULL) != FTL_OK) ok = failed(c, "running");
    ok = ok && session_outputs(c, session);
    ftl_session_destroy(session);
    ftl_model_close(model);
    ftl_onnx_file_close(file);
    ftl_arena_deinit(&arena);
    return ok;
}

/* ---- cases --------------------------------------------------------------------------------- */

/* "name=file" */
static bool read_array(test_case *c, char *text, const char *folder, array *out)
{
    char path[PATH_BYTES];
    char *equals = strchr(text, '=');
    if (!equals) return false;
    *equals = 0;
    snprintf(path, sizeof path, "%.500s/%.500s", folder, equals + 1);
    out->name = text;
    return ftl_npy_read(&out->host, path) == FTL_OK || failed(c, "reading a case");
}

/* Cuts the line in place. */
static bool read_case(test_case *c, char *line, const char *folder)
{
    char *rest, *fields[4];
    *c = (test_case){ .name = "?" };
    for (int i = 0; i < 4; i++) {
        fields[i] = strtok_r(i ? NULL : line, " \n", &rest);
        if (!fields[i]) return false;
    }
    c->name = fields[0];
    c->tolerance = strtod(fields[2], NULL);
    snprintf(c->path, sizeof c->path, "%.500s/%.500s", folder, fields[3]);
    bool is_out = false;
    for (char *f = strtok_r(NULL, " \n", &rest); f; f = strtok_r(NULL, " \n", &rest)) {
        if (strcmp(f, "->") == 0) {
            is_out = true;
            continue;
        }
        int32_t *n = is_out ? &c->n_out : &c->n_in;
        if (*n == TENSORS_MAX || !read_array(c, f, folder, &(is_out ? c->out : c->in)[*n]))
            return false;
        ++*n;
    }
    return c->n_out > 0;
}

static void drop_case(test_case *c)
{
    for (int32_t i = 0; i < c->n_in; i++) ftl_host_tensor_deinit(&c->in[i].host);
    for (int32_t i = 0; i < c->n_out; i++) ftl_host_tensor_deinit(&c->out[i].host);
}

/* Words of the sentence with which the case must be refused, or NULL. */
static const char *words_of(const char *name, const char *mode)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(name, refused[i].name) == 0 &&
            (!refused[i].mode || strcmp(mode, refused[i].mode) == 0))
            return refused[i].words;
    return NULL;
}

static bool check_case(test_case *c, const char *mode)
{
    const bool ok = strcmp(mode, "session") == 0 ? run_session(c) : run_eval(c);
    const char *words = words_of(c->name, mode);
    if (!words) return ok;
    if (ok) snprintf(c->why, sizeof c->why, "it was expected to be refused: %s", words);
    return !ok && strstr(c->why, words);
}

static int run_cases(const char *folder, const char *mode)
{
    char path[PATH_BYTES], *line = NULL;
    size_t room = 0;
    int n = 0, n_failed = 0;
    snprintf(path, sizeof path, "%.500s/cases.txt", folder);
    FILE *file = fopen(path, "r");
    if (!file) {
        printf("Bail out! %s cannot be read\n", path);
        return 1;
    }
    const char *only = getenv("FETTLE_TEST_ONNX_ONLY");
    while (getline(&line, &room, file) > 0) {
        if (line[0] == '#' || line[0] == '\n' || (only && !strstr(line, only))) continue;
        test_case *c = ftl_calloc(1, sizeof *c);
        if (!c) break;
        const bool ok = read_case(c, line, folder) && check_case(c, mode);
        printf("%s %d - %s\n", ok ? "ok" : "not ok", ++n, c->name);
        if (!ok) printf("# %s\n", c->why);
        fflush(stdout);
        n_failed += !ok;
        drop_case(c);
        ftl_free(c);
    }
    free(line);
    fclose(file);
    printf("1..%d\n", n);
    return n == 0 || n_failed > 0;
}

/* Runs the script without a shell; false where it fails. */
static bool write_cases(const char *python, char **args, int n_args, const char *folder)
{
    char *argv[16] = { strdup(python) };
    int n = 1, status = 1;
    for (int i = 0; i < n_args && n < 12; i++) argv[n++] = args[i];
    argv[n++] = strdup("--out");
    argv[n++] = strdup(folder);
    const pid_t child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execv(python, argv);
        _exit(127);
    }
    if (child > 0) waitpid(child, &status, 0);
    free(argv[0]);
    free(argv[n - 2]);
    free(argv[n - 1]);
    return child > 0 && status == 0;
}

/* Puts paths for data:NAME; true where there was one.  Skips where the data is absent. */
static bool place_data(char **args, int n_args)
{
    static char path[PATH_BYTES];
    bool has_data = false;
    for (int i = 0; i < n_args; i++) {
        if (strncmp(args[i], "data:", 5) != 0) continue;
        snprintf(path, sizeof path, "%s", ftl_test_data(args[i] + 5));
        args[i] = path;
        has_data = true;
    }
    return has_data;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s eval|session SCRIPT [ARGUMENT ...]\n", argv[0]);
        return 2;
    }
    const char *folder = getenv("FETTLE_TEST_ONNX_CASES"), *python = getenv("FETTLE_TEST_PYTHON");
    char made[PATH_BYTES];
    const bool has_data = place_data(argv + 2, argc - 2);
    if (!folder || !*folder || has_data) {
        if (!python || !*python)
            ftl_test_skip("no Python with onnx and onnxruntime: set FETTLE_TEST_PYTHON, or "
                          "FETTLE_TEST_ONNX_CASES to a folder that the script has written");
        snprintf(made, sizeof made, "%s", ftl_test_temp("cases"));
        if (!write_cases(python, argv + 2, argc - 2, made)) {
            printf("Bail out! %s %s failed\n", python, argv[2]);
            return 1;
        }
        folder = made;
    }
    return run_cases(folder, argv[1]);
}
