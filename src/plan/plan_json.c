/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as JSON, and back as far as a session needs. */
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "plan/plan_internal.h"

static json_t *bytes(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Names of files and of layers in them are any bytes, JSON is UTF-8: in a text that is not, every
 * byte over 127 becomes "?". */
static json_t *text(const char *any)
{
    json_t *string = json_string(any);
    char *copy = string ? NULL : ftl_strdup(any);
    if (!copy) return string;
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p > 127) *p = '?';
    string = json_string(copy);
    ftl_free(copy);
    return string;
}

static json_t *predicted_json(const ftl_prediction *p)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "latency_s",
        ftl_json_new_real(p->latency_s), "latency_low_s", ftl_json_new_real(p->latency_low_s),
        "latency_high_s", ftl_json_new_real(p->latency_high_s), "throughput_per_s",
        ftl_json_new_real(p->throughput_per_s), "memory_bytes", bytes(p->memory_bytes), "energy_j",
        ftl_json_new_real(p->energy_j), "energy_source", text(p->energy_source), "method",
        text(p->method), "source", text(p->source), "limit", text(p->limit));
}

static json_t *measured_json(const ftl_candidate *c)
{
    const ftl_measurement *m = &c->measured;
    if (!c->is_measured) return json_null();
    return json_pack("{s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:b}", "latency_s",
                     ftl_json_new_real(m->latency_s), "p10_s", ftl_json_new_real(m->p10_s), "p90_s",
                     ftl_json_new_real(m->p90_s), "n", (int)m->n, "throughput_per_s",
                     ftl_json_new_real(m->throughput_per_s), "memory_bytes",
                     m->memory_bytes ? bytes(m->memory_bytes) : json_null(), "energy_j",
                     ftl_json_new_real(m->energy_j), "is_disturbed", (int)m->is_disturbed);
}

static json_t *candidate_json(const ftl_candidate *c)
{
    json_t *reasons = json_array();
    if (reasons && *c->reason) json_array_append_new(reasons, text(c->reason));
    return json_pack("{s:o, s:[o], s:o, s:I, s:I, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "device",
                     text(c->device), "devices", text(c->device), "machine", text(c->machine),
                     "threads", (json_int_t)c->n_threads, "batch", (json_int_t)c->batch, "dtype",
                     c->dtype, "layout", c->layout, "fits", (int)c->fits, "missing_bytes",
                     bytes(c->missing_bytes), "reasons", reasons, "predicted",
                     predicted_json(&c->predicted), "measured", measured_json(c));
}

static json_t *node_json(const ftl_plan_node *n)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "op", n->op, "name", text(n->name), "flops",
                     ftl_json_new_real(n->flops), "bytes", ftl_json_new_real(n->bytes),
                     "predicted_s", ftl_json_new_real(n->predicted_s), "measured_s",
                     n->measured_s > 0 ? ftl_json_new_real(n->measured_s) : json_null());
}

static json_t *index_json(int32_t index)
{
    return index >= 0 ? json_integer(index) : json_null();
}

/* Appends; what could not be made or added is noted in *is_whole. */
static void append(json_t *array, json_t *item, bool *is_whole)
{
    if (!item || json_array_append_new(array, item) != 0) *is_whole = false;
}

/* The whole object; NULL when memory is used up. */
static json_t *plan_object(const ftl_plan *plan)
{
    const bool is_fit = ((const ftl_plan_box *)plan)->is_fit;
    json_t *candidates = json_array(), *passed = json_array(), *nodes = json_array();
    bool is_whole = true;
    for (int32_t i = 0; i < plan->n_candidates; i++)
        append(candidates, candidate_json(&plan->candidates[i]), &is_whole);
    for (int32_t i = 0; i < plan->n_passed_over; i++)
        append(passed,
               json_pack("{s:o, s:o}", "device", text(plan->passed_over[i].device), "why",
                         text(plan->passed_over[i].why)),
               &is_whole);
    for (int32_t i = 0; i < plan->n_nodes; i++)
        append(nodes, node_json(&plan->nodes[i]), &is_whole);
    json_t *root = json_pack(
        "{s:s, s:o, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
        is_fit ? "fettle.fit/1" : "fettle.plan/1", "model", text(plan->model), "weights",
        plan->has_weights ? "file" : "random", "for", ftl_goal_name(plan->goal), "n_weights",
        (json_int_t)plan->n_weights, "flops", ftl_json_new_real(plan->flops), "candidates",
        candidates, "chosen", index_json(plan->chosen), "baseline", index_json(plan->baseline),
        "gain", plan->gain > 0 ? ftl_json_new_real(plan->gain) : json_null(), "output_error",
        plan->output_error >= 0 ? ftl_json_new_real(plan->output_error) : json_null(),
        "passed_over", passed, "nodes", nodes);
    /* json_pack() takes its arguments over even where it fails. */
    if (is_whole) return root;
    json_decref(root);
    return NULL;
}

ftl_status ftl_plan_json(char **out, const ftl_plan *plan)
{
    *out = NULL;
    json_t *root = plan_object(plan);
    if (!root) return ftl_fail(FTL_ENOMEM, "no memory for a plan's JSON");
    const ftl_status s = ftl_json_write_text(out, root);
    json_decref(root);
    return s;
}

ftl_status ftl_plan_save(const ftl_plan *plan, const char *path)
{
    json_t *root = plan_object(plan);
    if (!root) return ftl_fail(FTL_ENOMEM, "no memory for a plan's JSON");
    const ftl_status s = ftl_json_write_file(root, path);
    json_decref(root);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------- */

static ftl_status copy_string(char *out, size_t size, const ftl_json *at, const char *key)
{
    const char *text;
    FTL_TRY(ftl_json_string(&text, at, key));
    if (strlen(text) >= size) return ftl_json_complain(at, "%s is too long", key);
    memcpy(out, text, strlen(text) + 1);
    return FTL_OK;
}

static ftl_status read_plan(ftl_saved_plan *out, const ftl_json *root)
{
    const char *schema;
    int64_t chosen, threads;
    ftl_json candidates;
    FTL_TRY(ftl_json_string(&schema, root, "schema"));
    if (strncmp(schema, "fettle.plan/", 12) != 0 && strncmp(schema, "fettle.fit/", 11) != 0)
        return ftl_json_complain(root, "\"%s\" is no plan", schema);
    FTL_TRY(copy_string(out->model, sizeof out->model, root, "model"));
    FTL_TRY(ftl_json_array(&candidates, root, "candidates"));
    if (!ftl_json_has(root, "chosen"))
        return ftl_json_complain(root, "nothing was chosen in this plan: nothing fitted");
    FTL_TRY(ftl_json_int(&chosen, root, "chosen", 0, (int64_t)ftl_json_size(&candidates) - 1));
    const ftl_json best = ftl_json_item(&candidates, (size_t)chosen);
    FTL_TRY(copy_string(out->device, sizeof out->device, &best, "device"));
    FTL_TRY(ftl_json_int(&threads, &best, "threads", 0, 1 << 16));
    FTL_TRY(ftl_json_int(&out->batch, &best, "batch", 1, INT32_MAX));
    out->n_threads = (uint32_t)threads;
    return FTL_OK;
}

ftl_status ftl_plan_load(ftl_saved_plan *out, const char *path)
{
    enum { LARGEST_PLAN = 64 << 20 };
    json_t *tree = NULL;
    *out = (ftl_saved_plan){ 0 };
    FTL_TRY(ftl_json_parse_file(&tree, path, LARGEST_PLAN));
    const ftl_json root = ftl_json_root(tree, path);
    const ftl_status s = read_plan(out, &root);
    json_decref(tree);
    return s;
}
