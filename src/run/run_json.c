/* SPDX-License-Identifier: Apache-2.0 */
/* A run's result as JSON, schema "fettle.run/1".  jansson gives NULL when memory is used up, and
 * adding NULL to an object or array fails, so one look at the end of each object is enough. */
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "core/dtype.h"
#include "fettle/run.h"

typedef struct writer {
    json_t *object;
    bool bad;
} writer;

static void put(writer *w, const char *key, json_t *value)
{
    if (json_object_set_new(w->object, key, value) != 0) w->bad = true;
}

/* Takes the object; NULL when anything was lost. */
static json_t *finish(writer *w)
{
    if (!w->bad && w->object) return w->object;
    json_decref(w->object);
    return NULL;
}

/* Names and paths may hold any bytes; JSON holds UTF-8: others become "?". */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;
    char safe[1024];
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof safe; n++)
        safe[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    safe[n] = 0;
    return json_string(safe);
}

static json_t *optional_text(const char *text)
{
    return text && *text ? text_json(text) : json_null();
}

static json_t *count_json(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *tensors_json(const ftl_run_tensor *list, int32_t n, bool are_inputs)
{
    json_t *array = json_array();
    bool bad = !array;
    for (int32_t i = 0; i < n && !bad; i++) {
        writer w = { json_object(), false }, shape = { json_array(), false };
        for (int32_t k = 0; k < list[i].desc.rank; k++)
            shape.bad |=
                json_array_append_new(shape.object, json_integer(list[i].desc.dim[k])) != 0;
        put(&w, "name", text_json(list[i].name));
        put(&w, "shape", finish(&shape));
        put(&w, "dtype", json_string(ftl_dtype_name(list[i].desc.dtype)));
        put(&w, "file", optional_text(list[i].file));
        if (are_inputs) put(&w, "source", json_string(list[i].source));
        bad = json_array_append_new(array, finish(&w)) != 0;
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static json_t *latency_json(const ftl_run_result *r)
{
    writer w = { json_object(), false };
    put(&w, "p50", ftl_json_new_real(r->p50_s));
    put(&w, "p10", ftl_json_new_real(r->p10_s));
    put(&w, "p90", ftl_json_new_real(r->p90_s));
    put(&w, "p99", ftl_json_new_real(r->p99_s));
    put(&w, "n", json_integer(r->n_runs));
    return finish(&w);
}

static json_t *memory_json(const ftl_run_result *r)
{
    writer w = { json_object(), false };
    put(&w, "predicted", count_json(r->memory_predicted_bytes));
    put(&w, "peak", r->memory_peak_bytes ? count_json(r->memory_peak_bytes) : json_null());
    return finish(&w);
}

static json_t *reals_json(const float *values, int32_t n)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < n; i++)
        if (json_array_append_new(array, ftl_json_new_real((double)values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *image_json(const ftl_run_result *r)
{
    const ftl_image_prep *p = &r->image;
    if (!*r->picture) return json_null();
    writer w = { json_object(), false };
    put(&w, "file", text_json(r->picture));
    put(&w, "width", json_integer(p->width));
    put(&w, "height", json_integer(p->height));
    put(&w, "channels", json_integer(p->channels));
    put(&w, "resize_shorter", p->resize_shorter ? json_integer(p->resize_shorter) : json_null());
    put(&w, "order", json_string(p->channels == 1 ? "luma" : p->is_bgr ? "bgr" : "rgb"));
    put(&w, "scale", ftl_json_new_real((double)p->scale));
    put(&w, "mean", reals_json(p->mean, p->channels == 1 ? 1 : 3));
    put(&w, "std", reals_json(p->std, p->channels == 1 ? 1 : 3));
    put(&w, "source", json_string(p->source));
    return finish(&w);
}

static json_t *classes_json(const ftl_run_result *r)
{
    json_t *array = json_array();
    bool bad = !array;
    for (int32_t i = 0; i < r->n_classes && !bad; i++) {
        writer w = { json_object(), false };
        put(&w, "index", json_integer(r->classes[i].index));
        put(&w, "label", optional_text(r->classes[i].label));
        put(&w, "probability", ftl_json_new_real(r->classes[i].probability));
        bad = json_array_append_new(array, finish(&w)) != 0;
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static json_t *nodes_json(const ftl_run_result *r)
{
    json_t *array = json_array();
    bool bad = !array;
    for (int32_t i = 0; i < r->n_nodes && !bad; i++) {
        writer w = { json_object(), false };
        put(&w, "op", text_json(r->nodes[i].op));
        put(&w, "name", text_json(r->nodes[i].name));
        put(&w, "flops", ftl_json_new_real(r->nodes[i].flops));
        put(&w, "bytes", ftl_json_new_real(r->nodes[i].bytes));
        put(&w, "measured_s", ftl_json_new_real(r->nodes[i].seconds));
        bad = json_array_append_new(array, finish(&w)) != 0;
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

static json_t *passed_over_json(const ftl_run_result *r)
{
    json_t *array = json_array();
    bool bad = !array;
    for (int32_t i = 0; i < r->n_passed_over && !bad; i++) {
        writer w = { json_object(), false };
        put(&w, "device", text_json(r->passed_over[i].device));
        put(&w, "why", text_json(r->passed_over[i].why));
        bad = json_array_append_new(array, finish(&w)) != 0;
    }
    if (!bad) return array;
    json_decref(array);
    return NULL;
}

ftl_status ftl_run_json(char **out, const ftl_run_result *r)
{
    *out = NULL;
    writer w = { json_object(), false };
    put(&w, "schema", json_string("fettle.run/1"));
    put(&w, "model", text_json(r->model));
    put(&w, "device", text_json(r->device));
    put(&w, "threads", json_integer(r->n_threads));
    put(&w, "weights", json_string(r->has_weights ? "file" : "random"));
    put(&w, "seed", count_json(r->seed));
    put(&w, "batch", r->batch ? json_integer(r->batch) : json_null());
    put(&w, "inputs", tensors_json(r->inputs, r->n_inputs, true));
    put(&w, "outputs", tensors_json(r->outputs, r->n_outputs, false));
    put(&w, "latency_s", latency_json(r));
    put(&w, "memory_bytes", memory_json(r));
    put(&w, "image", image_json(r));
    put(&w, "classes", classes_json(r));
    put(&w, "softmax_applied", r->n_classes ? json_boolean(r->is_softmax_applied) : json_null());
    put(&w, "passed_over", passed_over_json(r));
    if (r->n_nodes) put(&w, "nodes", nodes_json(r));
    json_t *root = finish(&w);
    if (!root) return ftl_fail(FTL_ENOMEM, "no memory for the JSON of a run");
    const ftl_status s = ftl_json_write_text(out, root);
    json_decref(root);
    return s;
}
