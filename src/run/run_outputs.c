/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of one job: files, and what a classifier says. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "core/dtype.h"
#include "format/npy.h"
#include "run/run_internal.h"

enum { LABELS_LIMIT = 64 << 20, NAME_LIMIT = 100 };

/* ---- files --------------------------------------------------------------------------------- */

/* A file name from an output's name: letters, digits, "." "-" "_"; no hidden file, no folder. */
static void name_file(char *out, size_t size, const char *name)
{
    size_t n = 0;
    for (; name[n] && n + 1 < size && n < NAME_LIMIT; n++) {
        const unsigned char c = (unsigned char)name[n];
        const bool is_plain = isalnum(c) || c == '-' || c == '_' || (c == '.' && n > 0);
        out[n] = is_plain ? (char)c : '_';
    }
    if (n == 0) out[n++] = '_';
    out[n] = 0;
}

static bool is_taken(const ftl_run_job *job, int32_t n, const char *path)
{
    for (int32_t i = 0; i < n; i++)
        if (strcmp(job->result.outputs[i].file, path) == 0) return true;
    return false;
}

/* DIR/NAME.npy, or DIR/NAME-2.npy when two names become one. */
static ftl_status choose_path(ftl_run_job *job, int32_t i, const char **out)
{
    char name[NAME_LIMIT + 1];
    name_file(name, sizeof name, job->result.outputs[i].name);
    const char *folder = job->options->output_folder;
    const char *slash = *folder && folder[strlen(folder) - 1] == '/' ? "" : "/";
    char *path = ftl_arena_printf(&job->arena, "%s%s%s.npy", folder, slash, name);
    for (int k = 2; path && is_taken(job, i, path); k++)
        path = ftl_arena_printf(&job->arena, "%s%s%s-%d.npy", folder, slash, name, k);
    *out = path;
    return path ? FTL_OK : ftl_run_no_memory(job);
}

static ftl_status write_tensor(ftl_run_job *job, ftl_run_tensor *t, const void *data, size_t bytes,
                               const char *path)
{
    ftl_host_tensor tensor;
    void *widened = NULL;
    ftl_tensor_desc desc = t->desc;
    if (desc.dtype == FTL_DTYPE_BF16) { /* npy has no bf16: every bf16 is an exact f32 */
        desc.dtype = FTL_DTYPE_F32;
        bytes = ftl_desc_bytes_checked(&desc);
        widened = ftl_pages_alloc(bytes);
        if (!widened) return ftl_run_no_memory(job);
        ftl_elements_convert(FTL_DTYPE_F32, widened, FTL_DTYPE_BF16, data,
                             ftl_desc_count_checked(&desc));
        data = widened;
    }
    ftl_status s = ftl_host_tensor_view(&tensor, t->name, &desc, data, bytes);
    if (s == FTL_OK) s = ftl_npy_write(path, &tensor);
    if (widened) ftl_pages_free(widened, bytes);
    if (s == FTL_OK) t->file = path;
    return s;
}

/* ---- classes ------------------------------------------------------------------------------- */

/* [C], [B, C] or [B, C, 1, 1] of floats with C above 1. */
static int64_t count_classes(const ftl_tensor_desc *d)
{
    if (!ftl_dtype_is_float(d->dtype) || d->rank < 1) return 0;
    const int64_t n = d->rank == 1 ? d->dim[0] : d->dim[1];
    for (int32_t i = 2; i < d->rank; i++)
        if (d->dim[i] != 1) return 0;
    return n > 1 && (d->rank == 1 || d->dim[0] > 0) ? n : 0;
}

/* Makes probabilities of scores, unless they are: all within [0, 1] with a sum of 1. */
static ftl_status make_probabilities(ftl_run_job *job, double *p, int64_t n)
{
    double sum = 0, least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(p[i]))
            return ftl_fail(FTL_EINVAL,
                            "output \"%s\" is NaN for class %lld: no class can be named",
                            job->result.outputs[0].name, (long long)i);
        sum += p[i];
        least = p[i] < least ? p[i] : least;
        most = p[i] > most ? p[i] : most;
    }
    const bool is_done = least >= -1e-6 && most <= 1 + 1e-6 && fabs(sum - 1) < 1e-3;
    job->result.is_softmax_applied = !is_done;
    job->result.softmax_why =
        ftl_arena_printf(&job->arena,
                         is_done ? "the output is probabilities: %.3g to %.3g, sum %.4g"
                                 : "softmax applied: the output is %.3g to %.3g, sum %.4g",
                         least, most, sum);
    if (!job->result.softmax_why) return ftl_run_no_memory(job);
    if (is_done) return FTL_OK;
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += p[i] = exp(p[i] - most);
    for (int64_t i = 0; i < n; i++) p[i] /= total;
    return FTL_OK;
}

/* Lines of the file, which stays in the arena. */
static ftl_status read_labels(ftl_run_job *job, const char ***out, int64_t *n)
{
    char *text;
    size_t size;
    const char *path = job->options->labels;
    FTL_TRY(ftl_file_read_all(&text, &size, path, LABELS_LIMIT));
    char *copy = ftl_arena_strndup(&job->arena, text, size);
    ftl_free(text);
    if (!copy) return ftl_run_no_memory(job);
    if (strlen(copy) != size)
        return ftl_fail(FTL_EFORMAT, "%s is no text: one class a line is wanted", path);
    int64_t lines = 0;
    for (size_t i = 0; i < size; i++) lines += copy[i] == '\n' || i + 1 == size;
    const char **list = ftl_arena_array(&job->arena, (size_t)lines + 1, sizeof *list);
    if (!list) return ftl_run_no_memory(job);
    *n = 0;
    for (char *at = copy; *at;) {
        char *end = at + strcspn(at, "\n");
        char *next = *end ? end + 1 : end;
        while (end > at && (end[-1] == '\r' || end[-1] == ' ')) end--;
        *end = 0;
        list[(*n)++] = at;
        at = next;
    }
    *out = list;
    return FTL_OK;
}

static ftl_status find_labels(ftl_run_job *job, int64_t n_classes, const char *const **labels)
{
    const ftl_model_info *info = ftl_model_get_info(job->model);
    *labels = info->n_labels == n_classes ? info->labels : NULL;
    if (!job->options->labels) return FTL_OK;
    const char **lines = NULL;
    int64_t n = 0;
    FTL_TRY(read_labels(job, &lines, &n));
    if (n != n_classes)
        return ftl_fail(FTL_EFORMAT, "%s has %lld lines, but the model has %lld classes",
                        job->options->labels, (long long)n, (long long)n_classes);
    *labels = lines;
    return FTL_OK;
}

/* The n_top highest of p, the lower index first among equals; p is used up. */
static ftl_status rank(ftl_run_job *job, double *p, int64_t n, const char *const *labels)
{
    int64_t most = job->options->n_top > 0 ? job->options->n_top : 5;
    if (most > n) most = n;
    ftl_run_class *list = ftl_arena_array(&job->arena, (size_t)most, sizeof *list);
    if (!list) return ftl_run_no_memory(job);
    for (int64_t k = 0; k < most; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (p[i] > p[best]) best = i;
        list[k] = (ftl_run_class){ best, "", p[best] };
        if (labels) FTL_TRY(ftl_run_keep(job, &list[k].label, labels[best]));
        p[best] = -1;
    }
    job->result.classes = list;
    job->result.n_classes = (int32_t)most;
    job->result.n_all_classes = n;
    return FTL_OK;
}

static ftl_status name_classes(ftl_run_job *job, const void *data)
{
    const ftl_run_options *o = job->options;
    const ftl_tensor_desc *d = &job->result.outputs[0].desc;
    if (!o->picture && !o->labels && o->n_top <= 0) return FTL_OK;
    const int64_t n = count_classes(d);
    if (n == 0 && !o->labels && o->n_top <= 0) return FTL_OK; /* a picture, but no classifier */
    if (n == 0) {
        char text[FTL_DESC_TEXT];
        return ftl_fail(FTL_EINVAL, "classes were asked for, but output \"%s\" is %s",
                        job->result.outputs[0].name, ftl_desc_print(d, text, sizeof text));
    }
    double *p = ftl_calloc((size_t)n, sizeof *p);
    if (!p) return ftl_run_no_memory(job);
    for (int64_t i = 0; i < n; i++) p[i] = ftl_element_get(d->dtype, data, i);
    const char *const *labels = NULL;
    ftl_status s = make_probabilities(job, p, n);
    if (s == FTL_OK) s = find_labels(job, n, &labels);
    if (s == FTL_OK) s = rank(job, p, n, labels);
    ftl_free(p);
    return s;
}

/* ---- all of them --------------------------------------------------------------------------- */

static ftl_status take_output(ftl_run_job *job, int32_t i, ftl_run_tensor *t)
{
    const bool is_wanted = job->options->output_folder || i == 0;
    if (!is_wanted) return FTL_OK;
    const size_t bytes = ftl_desc_bytes_checked(&t->desc);
    void *data = ftl_pages_alloc(bytes);
    if (!data) return ftl_run_no_memory(job);
    const char *path;
    ftl_status s = ftl_session_get_output(job->runner, i, data, bytes);
    if (s == FTL_OK && job->options->output_folder) {
        s = choose_path(job, i, &path);
        if (s == FTL_OK) s = write_tensor(job, t, data, bytes, path);
    }
    if (s == FTL_OK && i == 0) s = name_classes(job, data);
    ftl_pages_free(data, bytes);
    return s;
}

ftl_status ftl_run_take_outputs(ftl_run_job *job)
{
    const int32_t n = ftl_session_n_outputs(job->runner);
    ftl_run_tensor *list = ftl_arena_array(&job->arena, (size_t)n + 1, sizeof *list);
    if (!list) return ftl_run_no_memory(job);
    job->result.outputs = list;
    for (int32_t i = 0; i < n; i++) {
        list[i] = (ftl_run_tensor){ .desc = *ftl_session_output_desc(job->runner, i),
                                    .source = "model",
                                    .file = "" };
        FTL_TRY(ftl_run_keep(job, &list[i].name, ftl_session_output_name(job->runner, i)));
        job->result.n_outputs++;
    }
    for (int32_t i = 0; i < n; i++) FTL_TRY(take_output(job, i, &list[i]));
    return FTL_OK;
}
