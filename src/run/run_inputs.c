/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of one job: .npy files by name, a picture by the model's recipe, the rest by the seed. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/dtype.h"
#include "format/npy.h"
#include "model/picture.h"
#include "run/run_internal.h"

/* ---- files --------------------------------------------------------------------------------- */

/* Splits "NAME=FILE"; a path alone belongs to input 0.  -1: no input has that name. */
static int32_t input_of(const ftl_run_job *job, const char *text, const char **path)
{
    const char *equals = strchr(text, '=');
    *path = equals ? equals + 1 : text;
    if (!equals) return ftl_session_n_inputs(job->runner) == 1 ? 0 : -1;
    const size_t length = (size_t)(equals - text);
    for (int32_t i = 0; i < ftl_session_n_inputs(job->runner); i++) {
        const char *name = ftl_session_input_name(job->runner, i);
        if (strlen(name) == length && memcmp(name, text, length) == 0) return i;
    }
    return -1;
}

static ftl_status no_such_input(const ftl_run_job *job, const char *text)
{
    char names[512];
    size_t n = 0;
    names[0] = 0;
    for (int32_t i = 0; i < ftl_session_n_inputs(job->runner); i++) {
        const char *name = ftl_session_input_name(job->runner, i);
        if (n + strlen(name) + 3 >= sizeof names) break;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", name);
    }
    return ftl_fail(FTL_EINVAL, "--input %.80s: the model's inputs are %s, write NAME=FILE.npy",
                    text, names);
}

/* Elements as the input wants them.  Floats are rounded; whole numbers must stay what they are. */
static ftl_status convert(void *to, const ftl_tensor_desc *want, const ftl_host_tensor *from,
                          const char *path)
{
    const int64_t n = ftl_desc_count_checked(want);
    const bool is_rounding =
        ftl_dtype_is_float(want->dtype) && ftl_dtype_is_float(from->desc.dtype);
    ftl_elements_convert(want->dtype, to, from->desc.dtype, from->data, n);
    for (int64_t i = 0; !is_rounding && i < n; i++)
        if (ftl_element_get(want->dtype, to, i) != ftl_element_get(from->desc.dtype, from->data, i))
            return ftl_fail(FTL_EINVAL, "%s: element %lld has no exact %s, which the input wants",
                            path, (long long)i, ftl_dtype_name(want->dtype));
    return FTL_OK;
}

static bool same_shape(const ftl_tensor_desc *a, const ftl_tensor_desc *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

static ftl_status set_tensor(ftl_run_job *job, int32_t i, const ftl_host_tensor *from,
                             const char *path)
{
    const ftl_tensor_desc *want = ftl_session_input_desc(job->runner, i);
    if (!same_shape(want, &from->desc)) {
        char wanted[FTL_DESC_TEXT], given[FTL_DESC_TEXT];
        return ftl_fail(
            FTL_EINVAL, "%s holds %s, but input \"%s\" is %s (--batch and --dim change that)", path,
            ftl_desc_print(&from->desc, given, sizeof given),
            ftl_session_input_name(job->runner, i), ftl_desc_print(want, wanted, sizeof wanted));
    }
    if (want->dtype == from->desc.dtype)
        return ftl_session_set_input(job->runner, i, from->data, from->bytes);
    const size_t bytes = ftl_desc_bytes_checked(want);
    void *to = ftl_pages_alloc(bytes);
    if (!to) return ftl_run_no_memory(job);
    ftl_status s = convert(to, want, from, path);
    if (s == FTL_OK) s = ftl_session_set_input(job->runner, i, to, bytes);
    ftl_pages_free(to, bytes);
    return s;
}

static ftl_status set_file(ftl_run_job *job, const char *text, ftl_run_tensor *list)
{
    const char *path;
    const int32_t i = input_of(job, text, &path);
    if (i < 0) return no_such_input(job, text);
    if (strcmp(list[i].source, "random") != 0)
        return ftl_fail(FTL_EINVAL, "input \"%s\" is given twice", list[i].name);
    ftl_host_tensor tensor;
    FTL_TRY(ftl_npy_read(&tensor, path));
    const ftl_status s = set_tensor(job, i, &tensor, path);
    ftl_host_tensor_deinit(&tensor);
    list[i].source = "file";
    return s == FTL_OK ? ftl_run_keep(job, &list[i].file, path) : s;
}

/* The first extent of the first file is the batch, as in every format that fettle reads. */
ftl_status ftl_run_infer_batch(ftl_run_job *job)
{
    const ftl_run_options *o = job->options;
    if (job->session.batch || !ftl_model_get_info(job->model)->batch_dim) return FTL_OK;
    if (o->picture) job->session.batch = 1;
    if (o->picture || o->n_inputs == 0) return FTL_OK;
    const char *equals = strchr(o->inputs[0], '=');
    ftl_host_tensor tensor;
    FTL_TRY(ftl_npy_read(&tensor, equals ? equals + 1 : o->inputs[0]));
    if (tensor.desc.rank > 0 && tensor.desc.dim[0] > 0) job->session.batch = tensor.desc.dim[0];
    ftl_host_tensor_deinit(&tensor);
    return FTL_OK;
}

/* ---- the picture --------------------------------------------------------------------------- */

/* The model's recipe with the user's changes, for an input [B, C, H, W]. */
static ftl_status prepare_recipe(ftl_run_job *job, const ftl_tensor_desc *input)
{
    const ftl_image_change *c = &job->options->image;
    ftl_image_prep *p = &job->result.image;
    *p = ftl_model_get_info(job->model)->image;
    if (!p->is_image)
        return ftl_fail(FTL_EINVAL,
                        "%s: this model takes no picture; give its inputs by --input NAME=FILE.npy",
                        job->options->picture);
    const int64_t height = input->dim[2], width = input->dim[3];
    if (p->resize_shorter > 0 && p->width > 0) /* the same share of another size is cut out */
        p->resize_shorter = (int32_t)((int64_t)p->resize_shorter * width / p->width);
    p->width = c->width ? c->width : (int32_t)width;
    p->height = c->height ? c->height : (int32_t)height;
    if (p->width != width || p->height != height)
        return ftl_fail(FTL_EINVAL, "--image-size %dx%d: the model's input is %lldx%lld",
                        (int)p->width, (int)p->height, (long long)width, (long long)height);
    if (c->has_scale) p->scale = c->scale;
    if (c->has_mean) memcpy(p->mean, c->mean, sizeof p->mean);
    if (c->has_std) memcpy(p->std, c->std, sizeof p->std);
    if (c->has_resize) p->resize_shorter = c->resize_shorter;
    p->is_bgr |= c->is_bgr;
    if (c->width || c->has_scale || c->has_mean || c->has_std || c->has_resize || c->is_bgr) {
        const size_t n = strlen(p->source);
        snprintf(p->source + n, sizeof p->source - n, " and flags");
    }
    return FTL_OK;
}

/* The same picture for every sample of the batch. */
static ftl_status set_picture(ftl_run_job *job, ftl_run_tensor *list)
{
    int32_t i = 0;
    while (i < job->result.n_inputs &&
           (list[i].desc.rank != 4 || list[i].desc.dtype != FTL_DTYPE_F32))
        i++;
    if (i == job->result.n_inputs)
        return ftl_fail(FTL_EINVAL,
                        "%s: this model takes no picture; give its inputs by --input NAME=FILE.npy",
                        job->options->picture);
    FTL_TRY(prepare_recipe(job, &list[i].desc));
    const size_t bytes = ftl_desc_bytes_checked(&list[i].desc);
    const size_t samples = (size_t)list[i].desc.dim[0];
    float *data = ftl_pages_alloc(bytes);
    if (!data) return ftl_run_no_memory(job);
    const size_t one = samples ? bytes / samples : 0;
    ftl_status s =
        ftl_picture_read(data, one / sizeof *data, job->options->picture, &job->result.image);
    for (size_t k = 1; s == FTL_OK && k < samples; k++) memcpy((char *)data + k * one, data, one);
    if (s == FTL_OK) s = ftl_session_set_input(job->runner, i, data, bytes);
    ftl_pages_free(data, bytes);
    if (s != FTL_OK) return s;
    list[i].source = "picture";
    FTL_TRY(ftl_run_keep(job, &list[i].file, job->options->picture));
    job->result.picture = list[i].file;
    return FTL_OK;
}

/* ---- all of them --------------------------------------------------------------------------- */

ftl_status ftl_run_set_inputs(ftl_run_job *job)
{
    const int32_t n = ftl_session_n_inputs(job->runner);
    ftl_run_tensor *list = ftl_arena_array(&job->arena, (size_t)n + 1, sizeof *list);
    if (!list) return ftl_run_no_memory(job);
    job->result.inputs = list;
    for (int32_t i = 0; i < n; i++) {
        list[i] = (ftl_run_tensor){ .desc = *ftl_session_input_desc(job->runner, i),
                                    .source = "random",
                                    .file = "" };
        FTL_TRY(ftl_run_keep(job, &list[i].name, ftl_session_input_name(job->runner, i)));
        job->result.n_inputs++;
    }
    const int32_t n_given = job->options->n_inputs + (job->options->picture ? 1 : 0);
    if (n_given < n) FTL_TRY(ftl_session_set_random_inputs(job->runner, job->session.seed));
    for (int32_t k = 0; k < job->options->n_inputs; k++)
        FTL_TRY(set_file(job, job->options->inputs[k], list));
    return job->options->picture ? set_picture(job, list) : FTL_OK;
}
