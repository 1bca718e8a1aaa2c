/* SPDX-License-Identifier: Apache-2.0 */
#include "run/load.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "core/eval.h"
#include "core/init.h"

typedef struct stored {
    uint64_t id;
    int32_t layout;
    bool is_wrapped;
    ftl_buffer *cell;
} stored;

struct ftl_weight_store {
    ftl_device *device;
    uint64_t seed;
    stored *rows;
    int32_t n_rows, room;
};

ftl_status ftl_weight_store_create(ftl_weight_store **out, ftl_device *device, uint64_t seed)
{
    ftl_weight_store *s = *out = ftl_calloc(1, sizeof *s);
    if (!s) return ftl_fail(FTL_ENOMEM, "no memory for a weight store");
    s->device = device;
    s->seed = seed;
    return FTL_OK;
}

void ftl_weight_store_destroy(ftl_weight_store *store)
{
    if (!store) return;
    for (int32_t i = 0; i < store->n_rows; i++) ftl_buffer_destroy(store->rows[i].cell);
    ftl_free(store->rows);
    ftl_free(store);
}

void ftl_weight_store_bytes(const ftl_weight_store *store, uint64_t *cells, uint64_t *mapped)
{
    *cells = *mapped = 0;
    for (int32_t i = 0; i < store->n_rows; i++) {
        *cells += store->rows[i].cell->bytes;
        if (store->rows[i].is_wrapped) *mapped += store->rows[i].cell->bytes;
    }
}

/* Pages of a mapped file that were read once and are not wanted again leave the resident set. */
static void drop_pages(const ftl_model *model, const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (ftl_model_is_mapped(model, data) && end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* advice: failing is fine */
}

/* ---- row-major bytes of one weight --------------------------------------------------------- */

/* Pages for a tensor's bytes: an empty one has none, and the system maps no nothing. */
static size_t page_bytes(const ftl_tensor *t)
{
    const size_t bytes = ftl_desc_bytes_checked(&t->desc);
    return bytes ? bytes : 1;
}

/* Fresh pages with what a source of the model holds when no file gives it in a readable place. */
static ftl_status fill_pages(void **out, const ftl_tensor *t, uint64_t seed)
{
    const size_t bytes = page_bytes(t);
    *out = ftl_pages_alloc(bytes);
    if (!*out) return ftl_fail(FTL_ENOMEM, "no memory for %zu bytes of weight %s", bytes, t->name);
    if (t->data) memcpy(*out, t->data, ftl_desc_bytes_checked(&t->desc));
    else ftl_init_fill(t, seed, *out);
    return FTL_OK;
}

/* Runs a recipe: sources from the file or the seed in, the derived weight out. */
static ftl_status run_recipe(const ftl_weight_store *store, const ftl_model *model,
                             const ftl_graph *recipe, void *result)
{
    const ftl_graph_view *v = ftl_graph_get_view(recipe);
    const void **in = ftl_calloc((size_t)v->n_sources + 1, sizeof *in);
    void **filled = ftl_calloc((size_t)v->n_sources + 1, sizeof *filled);
    ftl_status s = in && filled ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory to derive a weight");
    for (int32_t i = 0; s == FTL_OK && i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        if (!ftl_prepared_is_readable(t)) s = fill_pages(&filled[i], t, store->seed);
        in[i] = filled[i] ? filled[i] : t->data;
    }
    if (s == FTL_OK) s = ftl_eval_graph(recipe, in, (void *const[]){ result });
    for (int32_t i = 0; in && filled && i < v->n_sources; i++) {
        const ftl_tensor *t = &v->tensors[v->sources[i]];
        ftl_pages_free(filled[i], page_bytes(t));
        if (t->data) drop_pages(model, t->data, ftl_desc_bytes_checked(&t->desc));
    }
    ftl_free(in);
    ftl_free(filled);
    return s;
}

/* ---- cells --------------------------------------------------------------------------------- */

static ftl_status make_cell(ftl_buffer **out, const ftl_weight_store *store, ftl_queue *queue,
                            const ftl_prepared *p, const ftl_prepared_weight *w,
                            const ftl_tensor *t)
{
    const size_t bytes = ftl_desc_bytes_checked(&t->desc);
    if (w->is_wrapped) return ftl_buffer_wrap(out, store->device, &t->desc, t->data, bytes);
    if (!w->is_derived && ftl_prepared_is_readable(t)) {
        FTL_TRY(ftl_buffer_pack(out, queue, w->layout, t->data, &t->desc));
        drop_pages(p->model, t->data, bytes);
        return FTL_OK;
    }
    void *rows = NULL;
    ftl_status s = FTL_OK;
    if (w->is_derived) {
        rows = ftl_pages_alloc(page_bytes(t));
        s = rows ? run_recipe(store, p->model, w->recipe, rows)
                 : ftl_fail(FTL_ENOMEM, "no memory for %zu bytes of weight %s", bytes, t->name);
    } else {
        s = fill_pages(&rows, t, store->seed);
    }
    if (s == FTL_OK) s = ftl_buffer_pack(out, queue, w->layout, rows, &t->desc);
    ftl_pages_free(rows, page_bytes(t));
    if (!w->is_derived && t->data) drop_pages(p->model, t->data, bytes);
    return s;
}

static ftl_buffer *find_cell(const ftl_weight_store *store, uint64_t id, int32_t layout)
{
    for (int32_t i = 0; i < store->n_rows; i++)
        if (store->rows[i].id == id && store->rows[i].layout == layout) return store->rows[i].cell;
    return NULL;
}

uint64_t ftl_weight_store_held(const ftl_weight_store *store, const ftl_prepared *prepared)
{
    const ftl_graph_view *v = ftl_graph_get_view(prepared->slice);
    uint64_t held = 0;
    for (int32_t i = 0; i < prepared->n_weights; i++) {
        const ftl_prepared_weight *w = &prepared->weights[i];
        if (find_cell(store, v->tensors[v->sources[w->source]].id, w->layout))
            held += w->cell_bytes;
    }
    return held;
}

static ftl_status add_row(ftl_weight_store *store, const stored *row)
{
    if (store->n_rows == store->room) {
        const int32_t room = store->room ? store->room * 2 : 64;
        stored *rows = ftl_realloc(store->rows, (size_t)room * sizeof *rows);
        if (!rows) return ftl_fail(FTL_ENOMEM, "no memory for a weight store");
        store->rows = rows;
        store->room = room;
    }
    store->rows[store->n_rows++] = *row;
    return FTL_OK;
}

ftl_status ftl_weight_store_fill(ftl_weight_store *store, ftl_queue *queue,
                                 const ftl_prepared *prepared, ftl_buffer **cells,
                                 ftl_load_progress progress, void *arg)
{
    const ftl_graph_view *v = ftl_graph_get_view(prepared->slice);
    uint64_t total = 0, done = 0;
    for (int32_t i = 0; i < prepared->n_weights; i++) total += prepared->weights[i].cell_bytes;
    for (int32_t i = 0; i < prepared->n_weights; i++) {
        const ftl_prepared_weight *w = &prepared->weights[i];
        const ftl_tensor *t = &v->tensors[v->sources[w->source]];
        ftl_buffer *cell = find_cell(store, t->id, w->layout);
        if (!cell) {
            FTL_TRY(ftl_cancel_check());
            FTL_TRY(make_cell(&cell, store, queue, prepared, w, t));
            const ftl_status s = add_row(store, &(stored){ t->id, w->layout, w->is_wrapped, cell });
            if (s != FTL_OK) {
                ftl_buffer_destroy(cell);
                return s;
            }
        }
        cells[w->source] = cell;
        done += w->cell_bytes;
        if (progress) progress(arg, done, total);
    }
    return FTL_OK;
}
