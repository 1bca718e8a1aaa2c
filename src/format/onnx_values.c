/* SPDX-License-Identifier: Apache-2.0 */
/* What importers read: inputs as tensors or as numbers that are known now; and the working out of
 * nodes whose inputs are all known. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "core/eval.h"
#include "core/op.h"
#include "format/onnx_import_internal.h"

enum {
    /* A float of more elements is a weight: it can be prepared for the device. */
    CONST_FLOATS_MAX = 4,
    /* Anything larger is a weight, and no result larger than this is worked out here. */
    CONST_BYTES_MAX = 64 << 10,
    ALIGNMENT = 16
};

/* ---- refusals ------------------------------------------------------------------------------ */

int32_t ftl_onnx_refuse(ftl_onnx_call *c, ftl_status status, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ftl_graph_poison(c->g, ftl_fail(status, "%s", text));
}

bool ftl_onnx_failed(const ftl_onnx_call *c)
{
    return ftl_graph_status(c->g) != FTL_OK;
}

/* ---- inputs -------------------------------------------------------------------------------- */

bool ftl_onnx_has(const ftl_onnx_call *c, size_t i)
{
    return i < c->node->n_inputs && *c->node->inputs[i];
}

static ftl_onnx_value_state *state_of(const ftl_onnx_call *c, size_t i)
{
    return ftl_onnx_has(c, i) ? ftl_onnx_find_value(c->import, c->node->inputs[i]) : NULL;
}

int32_t ftl_onnx_in(ftl_onnx_call *c, size_t i)
{
    ftl_onnx_value_state *s = state_of(c, i);
    if (!s) return -1;
    if (s->tensor < 0)
        s->tensor = ftl_onnx_stored(c, s->initializer->host.name, &s->initializer->host);
    return s->tensor;
}

ftl_tensor_desc ftl_onnx_desc(ftl_onnx_call *c, size_t i)
{
    return ftl_emit_desc(c->g, ftl_onnx_in(c, i));
}

bool ftl_onnx_is_static(const ftl_onnx_call *c, size_t i)
{
    const ftl_onnx_value_state *s = state_of(c, i);
    return s && s->is_static;
}

bool ftl_onnx_wants(const ftl_onnx_call *c, size_t output)
{
    return output < c->node->n_outputs && *c->node->outputs[output];
}

int32_t ftl_onnx_stored(ftl_onnx_call *c, const char *name, const ftl_host_tensor *host)
{
    const ftl_tensor_desc *d = &host->desc;
    if (!host->data)
        return ftl_onnx_refuse(c, FTL_EINVAL, "the external data of \"%.100s\" is not loaded",
                               name);
    const bool is_many =
        ftl_dtype_is_float(d->dtype) && host->bytes > CONST_FLOATS_MAX * ftl_dtype_bytes(d->dtype);
    if (is_many || host->bytes > CONST_BYTES_MAX)
        return ftl_graph_weight(c->g, name, d, host->data, (ftl_init){ .kind = FTL_INIT_FILL });
    return ftl_graph_const(c->g, d, host->data);
}

/* ---- known numbers ------------------------------------------------------------------------- */

/* File bytes may have any alignment. */
static const void *aligned(ftl_onnx_call *c, const void *data, size_t bytes)
{
    if ((uintptr_t)data % ALIGNMENT == 0) return data;
    void *copy = ftl_onnx_scratch(c, (int64_t)bytes, 1);
    if (copy) memcpy(copy, data, bytes);
    return copy;
}

bool ftl_onnx_peek_known(ftl_onnx_call *c, size_t i, ftl_onnx_known *out)
{
    *out = (ftl_onnx_known){ .desc.dtype = FTL_DTYPE_NONE };
    const ftl_onnx_value_state *s = state_of(c, i);
    if (!s) return false;
    const ftl_tensor *t = ftl_graph_peek(c->g, s->tensor);
    const void *data = t ? t->data : s->initializer ? s->initializer->host.data : NULL;
    size_t bytes;
    if (!data) return false;
    out->desc = t ? t->desc : s->initializer->host.desc;
    if (ftl_desc_bytes(&out->desc, &bytes) != FTL_OK || bytes > CONST_BYTES_MAX) return false;
    out->count = ftl_desc_count_checked(&out->desc);
    out->data = aligned(c, data, bytes);
    return out->data != NULL;
}

bool ftl_onnx_need_known(ftl_onnx_call *c, size_t i, int64_t max, ftl_onnx_known *out)
{
    if (ftl_onnx_failed(c)) return false;
    const char *name = ftl_onnx_has(c, i) ? c->node->inputs[i] : "";
    if (!ftl_onnx_peek_known(c, i, out)) {
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                        "input %zu (\"%.100s\") decides a shape, so it has to be known before a "
                        "run, but is computed from the model's inputs",
                        i, name);
        return false;
    }
    if (out->desc.rank <= 1 && out->count <= max) return true;
    char text[FTL_DESC_TEXT];
    ftl_onnx_refuse(c, FTL_EFORMAT,
                    "input %zu (\"%.100s\") is %s; a list of at most %lld is wanted", i, name,
                    ftl_desc_print(&out->desc, text, sizeof text), (long long)max);
    return false;
}

static bool need_whole(ftl_onnx_call *c, size_t i, const ftl_onnx_known *k)
{
    if (ftl_dtype_is_int(k->desc.dtype)) return true;
    ftl_onnx_refuse(c, FTL_EFORMAT, "input %zu (\"%.100s\") holds %s; whole numbers are wanted", i,
                    c->node->inputs[i], ftl_dtype_name(k->desc.dtype));
    return false;
}

static int64_t whole_at(const ftl_onnx_known *k, int64_t i)
{
    /* i64 does not fit a double. */
    if (k->desc.dtype == FTL_DTYPE_I64) return ((const int64_t *)k->data)[i];
    int64_t value;
    const double number = ftl_element_get(k->desc.dtype, k->data, i);
    ftl_element_set(FTL_DTYPE_I64, &value, 0, number);
    return value;
}

int32_t ftl_onnx_need_ints(ftl_onnx_call *c, size_t i, int64_t *out, int32_t max)
{
    ftl_onnx_known k;
    if (!ftl_onnx_need_known(c, i, max, &k) || !need_whole(c, i, &k)) return 0;
    for (int64_t j = 0; j < k.count; j++) out[j] = whole_at(&k, j);
    return (int32_t)k.count;
}

static bool need_one(ftl_onnx_call *c, size_t i, ftl_onnx_known *k)
{
    if (!ftl_onnx_need_known(c, i, 1, k)) return false;
    if (k->count == 1) return true;
    ftl_onnx_refuse(c, FTL_EFORMAT, "input %zu (\"%.100s\") is empty; one number is wanted", i,
                    c->node->inputs[i]);
    return false;
}

double ftl_onnx_need_number(ftl_onnx_call *c, size_t i, double absent)
{
    ftl_onnx_known k;
    if (!ftl_onnx_has(c, i)) return absent;
    return need_one(c, i, &k) ? ftl_element_get(k.desc.dtype, k.data, 0) : absent;
}

int64_t ftl_onnx_need_int(ftl_onnx_call *c, size_t i, int64_t absent)
{
    ftl_onnx_known k;
    if (!ftl_onnx_has(c, i)) return absent;
    return need_one(c, i, &k) && need_whole(c, i, &k) ? whole_at(&k, 0) : absent;
}

/* ---- constants ----------------------------------------------------------------------------- */

void *ftl_onnx_scratch(ftl_onnx_call *c, int64_t count, size_t bytes)
{
    size_t total = 0;
    if (ftl_onnx_failed(c)) return NULL;
    if (count < 0 || !ftl_mul_size((size_t)count, bytes, &total) || total > c->import->fold_left) {
        ftl_onnx_refuse(c, FTL_EUNSUPPORTED,
                        "its constants take more memory than the importer spends on one file");
        return NULL;
    }
    c->import->fold_left -= total;
    void *memory = ftl_arena_alloc(&c->import->arena, total ? total : 1);
    if (!memory) ftl_onnx_refuse(c, FTL_ENOMEM, "no memory for its constants");
    return memory;
}

int32_t ftl_onnx_const_f64(ftl_onnx_call *c, ftl_dtype dtype, int32_t rank, const int64_t *dim,
                           const double *values)
{
    ftl_tensor_desc desc = { .dtype = dtype, .rank = rank };
    for (int32_t i = 0; i < rank; i++) desc.dim[i] = dim[i];
    int64_t count;
    if (ftl_onnx_failed(c) || !ftl_desc_count(&desc, &count)) return -1;
    void *data = ftl_onnx_scratch(c, count, ftl_dtype_bytes(dtype));
    if (!data) return -1;
    ftl_elements_convert(dtype, data, FTL_DTYPE_F64, values, count);
    return ftl_graph_const(c->g, &desc, data);
}

/* ---- working out --------------------------------------------------------------------------- */

int32_t ftl_onnx_fold_find(const ftl_onnx_import *m, int32_t tensor)
{
    const bool is_known = tensor >= 0 && tensor < m->n_folded && m->folded[tensor] >= 0;
    return is_known ? m->folded[tensor] : tensor;
}

static ftl_status grow_folded(ftl_onnx_import *m)
{
    const int32_t n = ftl_graph_get_view(m->graph)->n_tensors;
    if (n > m->folded_room) {
        const int32_t room = n + n / 2 + 64;
        int32_t *grown = ftl_realloc(m->folded, (size_t)room * sizeof *grown);
        if (!grown) return ftl_fail(FTL_ENOMEM, "no memory to import it");
        m->folded = grown;
        m->folded_room = room;
    }
    while (m->n_folded < n) m->folded[m->n_folded++] = -1;
    return FTL_OK;
}

/* Cheap for every element of the result. */
static bool is_cheap(ftl_op op)
{
    return ftl_eval_knows(op) && op != FTL_OP_keep && op != FTL_OP_matmul && op != FTL_OP_conv2d &&
           op != FTL_OP_max_pool2d && op != FTL_OP_avg_pool2d;
}

/* True when all inputs are constants and the node's result may be paid for. */
static bool can_fold(ftl_onnx_import *m, const ftl_node *node, size_t *bytes)
{
    if (!is_cheap(node->op) || node->n_out != 1) return false;
    const ftl_tensor_desc *desc = ftl_graph_peek_desc(m->graph, node->out[0]);
    if (ftl_desc_bytes(desc, bytes) != FTL_OK || *bytes > CONST_BYTES_MAX) return false;
    size_t cost = *bytes;
    for (int32_t i = 0; i < node->n_in; i++) {
        const ftl_tensor *t = ftl_graph_peek(m->graph, ftl_onnx_fold_find(m, node->in[i]));
        if (!t || t->kind != FTL_TENSOR_CONST) return false;
        cost += ftl_desc_bytes_checked(&t->desc);
    }
    if (cost > m->fold_left) return false;
    m->fold_left -= cost;
    return true;
}

static ftl_status fold_node(ftl_onnx_import *m, const ftl_node *node, size_t bytes)
{
    const void **in = ftl_calloc((size_t)node->n_in + 1, sizeof *in);
    void *result = ftl_calloc(1, bytes + 1);
    ftl_status s = in && result ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory to work out a value");
    for (int32_t i = 0; s == FTL_OK && i < node->n_in; i++)
        in[i] = ftl_graph_peek(m->graph, ftl_onnx_fold_find(m, node->in[i]))->data;
    if (s == FTL_OK) s = ftl_eval_node(m->graph, node, in, &result);
    const int32_t out = node->out[0];
    if (s == FTL_OK) {
        const ftl_tensor_desc desc = *ftl_graph_peek_desc(m->graph, out);
        const int32_t known = ftl_graph_const(m->graph, &desc, result);
        s = ftl_graph_status(m->graph);
        if (s == FTL_OK) s = grow_folded(m);
        if (s == FTL_OK) m->folded[out] = known;
    }
    ftl_free(result);
    ftl_free(in);
    return s;
}

ftl_status ftl_onnx_fold_nodes(ftl_onnx_import *m, int32_t first)
{
    FTL_TRY(grow_folded(m));
    for (int32_t i = first; i < ftl_graph_get_view(m->graph)->n_nodes; i++) {
        const ftl_node node = ftl_graph_get_view(m->graph)->nodes[i];
        size_t bytes;
        if (can_fold(m, &node, &bytes)) FTL_TRY(fold_node(m, &node, bytes));
    }
    return FTL_OK;
}
