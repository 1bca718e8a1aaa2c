/* SPDX-License-Identifier: Apache-2.0 */
/* A model by its spelling: "@name" is a preset, everything else a path whose content says what it
 * is.  Opening binds the graph once, so that a model that cannot run is refused at once. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "format/detect.h"
#include "model/model_impl.h"
#include "model/picture.h"

/* ---- presets ------------------------------------------------------------------------------- */

static ftl_status open_preset(ftl_model *m, const char *name)
{
    FTL_TRY(ftl_preset_find(&m->preset, name));
    const ftl_preset *p = m->preset;
    m->info.name = p->name;
    m->info.about = p->about;
    m->info.format = "preset";
    FTL_TRY(ftl_model_add_dim(m, "batch", p->defaults.batch));
    if (p->tokens_max) FTL_TRY(ftl_model_add_dim(m, "tokens", p->defaults.tokens));
    m->info.batch_dim = m->dims[0].name;
    if (p->image_side)
        m->info.image = ftl_picture_prep_imagenet(p->image_side, p->resize_shorter, "preset");
    return FTL_OK;
}

static ftl_status bind_preset(ftl_graph **out, const ftl_model *m, const ftl_dim_value *dims)
{
    /* In the order of open_preset. */
    const ftl_preset_dims sizes = { dims[0].value, m->info.n_dims > 1 ? dims[1].value : 0 };
    return ftl_preset_build(out, m->preset, &sizes);
}

/* ---- files --------------------------------------------------------------------------------- */

/* A path that is not there, but a preset of that name is. */
static ftl_status no_such_file(const char *path)
{
    const ftl_preset *preset;
    if (ftl_preset_find(&preset, path) == FTL_OK)
        return ftl_fail(FTL_ENOTFOUND, "there is no file %s: the preset is spelled \"@%s\"", path,
                        preset->name);
    return ftl_fail(FTL_ENOTFOUND,
                    "there is no file %s (a model is a path, or a preset such as \"@resnet50\")",
                    path);
}

/* Formats that src/format reads but that are no models, or not yet. */
static ftl_status no_model(ftl_format format, const char *path)
{
    switch (format) {
    case FTL_FORMAT_SAFETENSORS:
    case FTL_FORMAT_HF_FOLDER:
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s (%s) holds weights without the graph, which this version of fettle "
                        "cannot run yet: optimum-cli export onnx --model FOLDER OUT, then give "
                        "fettle OUT/model.onnx",
                        path, ftl_format_name(format));
    case FTL_FORMAT_NPY:
    case FTL_FORMAT_NPZ:
    case FTL_FORMAT_IDX:
    case FTL_FORMAT_PNG:
    case FTL_FORMAT_JPEG:
        return ftl_fail(FTL_EUNSUPPORTED,
                        "%s (%s) is data, not a model: give the model first, as in fettle run "
                        "MODEL %s",
                        path, ftl_format_name(format), path);
    default:
        return ftl_fail(
            FTL_EUNSUPPORTED,
            "%s is of no format that fettle knows: a model is an ONNX file, or a preset "
            "such as \"@resnet50\"",
            path);
    }
}

static ftl_status open_file(ftl_model *m, const char *path)
{
    ftl_format format;
    const ftl_status s = ftl_format_detect(&format, path);
    if (s == FTL_ENOTFOUND) return no_such_file(path);
    if (s != FTL_OK) return s;
    if (format == FTL_FORMAT_ONNX) return ftl_model_open_onnx(m, path);
    if (format != FTL_FORMAT_UNKNOWN) FTL_TRY(ftl_format_need_read(format, path));
    return no_model(format, path);
}

/* ---- life cycle ---------------------------------------------------------------------------- */

ftl_status ftl_model_no_memory(const ftl_model *m)
{
    return ftl_fail(FTL_ENOMEM, "no memory to open %s",
                    m->info.spelling ? m->info.spelling : "a model");
}

ftl_status ftl_model_add_dim(ftl_model *m, const char *name, int64_t default_value)
{
    for (int32_t i = 0; i < m->info.n_dims; i++)
        if (strcmp(m->dims[i].name, name) == 0) return FTL_OK;
    if (m->info.n_dims == FTL_MODEL_DIMS_MAX)
        return ftl_fail(FTL_EUNSUPPORTED, "%s: more than %d named dims", m->info.spelling,
                        FTL_MODEL_DIMS_MAX);
    const char *copy = ftl_arena_strdup(&m->arena, name);
    if (!copy) return ftl_model_no_memory(m);
    m->dims[m->info.n_dims++] = (ftl_model_dim){ copy, default_value };
    return FTL_OK;
}

/* Binds at the default dims and counts what the file or the preset brings. */
static ftl_status count_weights(ftl_model *m)
{
    ftl_graph *graph;
    const ftl_status s = ftl_model_bind(&graph, m, NULL, 0);
    if (s == FTL_EFORMAT && m->onnx && m->info.n_dims > 0) {
        /* The defaults need not suit a file: it may have fewer positions than tokens.  Those that
         * are asked for are checked when it is bound to them. */
        ftl_model_count_onnx(m);
        return FTL_OK;
    }
    FTL_TRY(s);
    const ftl_graph_view *view = ftl_graph_get_view(graph);
    for (int32_t i = 0; i < view->n_sources; i++) {
        const ftl_tensor *t = &view->tensors[view->sources[i]];
        if (t->kind != FTL_TENSOR_WEIGHT) continue;
        m->info.n_weights += ftl_desc_count_checked(&t->desc);
        m->info.has_weights |= t->data != NULL;
    }
    ftl_graph_destroy(graph);
    return FTL_OK;
}

ftl_status ftl_model_open(ftl_model **out, const char *spelling)
{
    *out = NULL;
    if (!spelling || !*spelling)
        return ftl_fail(FTL_EINVAL,
                        "no model is named: give a path, or a preset such as \"@resnet50\"");
    ftl_model *m = ftl_calloc(1, sizeof *m);
    if (!m) return ftl_fail(FTL_ENOMEM, "no memory to open %s", spelling);
    m->info.struct_size = sizeof m->info;
    m->info.about = "";
    m->info.dims = m->dims;
    m->info.spelling = ftl_arena_strdup(&m->arena, spelling);
    ftl_status s = m->info.spelling ? FTL_OK : ftl_model_no_memory(m);
    if (s == FTL_OK)
        s = *spelling == '@' ? open_preset(m, spelling + 1) : open_file(m, m->info.spelling);
    if (s == FTL_OK) s = count_weights(m);
    if (s != FTL_OK) {
        ftl_model_close(m);
        return s;
    }
    *out = m;
    return FTL_OK;
}

void ftl_model_close(ftl_model *model)
{
    if (!model) return;
    ftl_model_close_onnx(model);
    ftl_arena_deinit(&model->arena);
    ftl_free(model);
}

const ftl_model_info *ftl_model_get_info(const ftl_model *model)
{
    return &model->info;
}

/* ---- bind ---------------------------------------------------------------------------------- */

/* What is given over the defaults, in the order of info.dims. */
static ftl_status complete_dims(ftl_dim_value *out, const ftl_model *m, const ftl_dim_value *dims,
                                int32_t n_dims)
{
    for (int32_t i = 0; i < m->info.n_dims; i++)
        out[i] = (ftl_dim_value){ m->dims[i].name, m->dims[i].default_value };
    for (int32_t k = 0; k < n_dims; k++) {
        int32_t i = 0;
        while (i < m->info.n_dims && strcmp(m->dims[i].name, dims[k].name) != 0) i++;
        if (i == m->info.n_dims)
            return ftl_fail(FTL_EINVAL, "%s has no dim \"%s\"%s%s", m->info.spelling, dims[k].name,
                            i ? "; its first is " : ": all its sizes are fixed",
                            i ? m->dims[0].name : "");
        if (dims[k].value < 1)
            return ftl_fail(FTL_EINVAL, "%s: dim \"%s\" is %lld, but must be at least 1",
                            m->info.spelling, dims[k].name, (long long)dims[k].value);
        out[i].value = dims[k].value;
    }
    return FTL_OK;
}

ftl_status ftl_model_bind(ftl_graph **out, const ftl_model *model, const ftl_dim_value *dims,
                          int32_t n_dims)
{
    ftl_dim_value all[FTL_MODEL_DIMS_MAX];
    *out = NULL;
    FTL_TRY(complete_dims(all, model, dims, n_dims));
    if (model->preset) return bind_preset(out, model, all);
    return ftl_model_bind_onnx(out, model, all);
}
