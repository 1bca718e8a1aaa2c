/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX file as a model: its named dims, what its metadata says of pictures and labels, and the
 * graph, whose weights stay in the mapped file. */
#include <string.h>

#include "format/onnx_import.h"
#include "core/dtype.h"
#include "model/model_impl.h"
#include "model/picture.h"

/* What is run when nothing is asked for: one picture or sentence. */
enum { DEFAULT_BATCH = 1, DEFAULT_TOKENS = 128, DEFAULT_SIDE = 224, LABELS_MAX = 1 << 20 };

/* Height and width of pictures, length of sequences. */
static int64_t default_of(const ftl_onnx_value *input, size_t axis)
{
    if (axis == 0) return DEFAULT_BATCH;
    if (input->rank == 4) return axis == 1 ? 3 : DEFAULT_SIDE;
    return axis == 1 ? DEFAULT_TOKENS : 1;
}

static ftl_status list_dims(ftl_model *m)
{
    char text[FTL_ONNX_DIM_TEXT];
    for (int32_t i = 0; i < m->n_inputs; i++) {
        const ftl_onnx_value *v = m->inputs[i];
        for (size_t a = 0; v->has_shape && a < v->rank; a++)
            if (v->dims[a].value < 0)
                FTL_TRY(ftl_model_add_dim(m, ftl_onnx_dim_name(v, a, text), default_of(v, a)));
    }
    const ftl_onnx_value *first = m->n_inputs ? m->inputs[0] : NULL;
    if (first && first->has_shape && first->rank > 0 && first->dims[0].value < 0)
        m->info.batch_dim = m->dims[0].name; /* listed first */
    return FTL_OK;
}

/* ---- metadata ------------------------------------------------------------------------------ */

static void blank_ends(char **from, char **to)
{
    while (*from < *to && (**from == ' ' || **from == '\n')) (*from)++;
    while (*from < *to && ((*to)[-1] == ' ' || (*to)[-1] == '\n')) (*to)--;
}

/* "zero,one,two". */
static ftl_status read_labels(ftl_model *m, const char *text)
{
    if (!text || !*text) return FTL_OK;
    char *copy = ftl_arena_strdup(&m->arena, text);
    size_t n = 1;
    for (const char *c = text; *c; c++) n += *c == ',';
    if (n > LABELS_MAX)
        return ftl_fail(FTL_EFORMAT, "%s: its metadata names %zu labels, over %d", m->info.spelling,
                        n, LABELS_MAX);
    const char **labels = ftl_arena_array(&m->arena, n, sizeof *labels);
    if (!copy || !labels) return ftl_model_no_memory(m);
    char *from = copy;
    for (size_t i = 0; i < n; i++) {
        char *to = from + strcspn(from, ","), *next = to + 1;
        blank_ends(&from, &to);
        *to = 0;
        labels[i] = from;
        from = next;
    }
    m->info.n_labels = (int32_t)n;
    m->info.labels = labels;
    return FTL_OK;
}

static ftl_status read_metadata(ftl_model *m)
{
    const ftl_onnx_value *input = m->n_inputs ? m->inputs[0] : NULL;
    ftl_tensor_desc desc = { .dtype = FTL_DTYPE_NONE };
    if (input && input->has_shape && input->rank <= FTL_MAX_RANK) {
        desc.dtype = input->dtype;
        desc.rank = (int32_t)input->rank;
        for (size_t i = 0; i < input->rank; i++) desc.dim[i] = input->dims[i].value;
    }
    const ftl_picture_metadata metadata = {
        .size = ftl_onnx_file_metadata(m->onnx, "fettle.image.size"),
        .channels = ftl_onnx_file_metadata(m->onnx, "fettle.image.channels"),
        .scale = ftl_onnx_file_metadata(m->onnx, "fettle.image.scale"),
        .mean = ftl_onnx_file_metadata(m->onnx, "fettle.image.mean"),
        .std = ftl_onnx_file_metadata(m->onnx, "fettle.image.std"),
    };
    m->info.image = ftl_picture_prep_guess(&desc);
    FTL_TRY(ftl_picture_prep_apply(&m->info.image, &metadata, &desc, m->info.spelling));
    return read_labels(m, ftl_onnx_file_metadata(m->onnx, "fettle.labels"));
}

/* ---- life cycle ---------------------------------------------------------------------------- */

ftl_status ftl_model_open_onnx(ftl_model *model, const char *path)
{
    const char *slash = strrchr(path, '/');
    model->info.name = slash ? slash + 1 : path;
    model->info.format = "onnx";
    FTL_TRY(ftl_onnx_file_open(&model->onnx, path));
    FTL_TRY(ftl_onnx_file_load_all(model->onnx));
    FTL_TRY(ftl_onnx_list_inputs(&model->arena, model->onnx, &model->inputs, &model->n_inputs));
    FTL_TRY(list_dims(model));
    return read_metadata(model);
}

ftl_status ftl_model_bind_onnx(ftl_graph **out, const ftl_model *model, const ftl_dim_value *dims)
{
    return ftl_onnx_bind(out, model->onnx, dims, model->info.n_dims);
}

void ftl_model_count_onnx(ftl_model *model)
{
    const ftl_onnx_graph *g = &ftl_onnx_file_model(model->onnx)->graph;
    for (size_t i = 0; i < g->n_initializers; i++) {
        const ftl_tensor_desc *d = &g->initializers[i].host.desc;
        if (!ftl_dtype_is_float(d->dtype)) continue;
        model->info.n_weights += ftl_desc_count_checked(d);
        model->info.has_weights = true;
    }
}

void ftl_model_close_onnx(ftl_model *model)
{
    ftl_onnx_file_close(model->onnx);
    model->onnx = NULL;
}

uint64_t ftl_model_mapped_bytes(const ftl_model *model)
{
    return model->onnx ? ftl_onnx_file_mapped_bytes(model->onnx) : 0;
}

bool ftl_model_is_mapped(const ftl_model *model, const void *data)
{
    return model->onnx && ftl_onnx_file_is_mapped(model->onnx, data);
}
