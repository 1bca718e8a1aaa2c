/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as text: JSON of schema "fettle.bench/1", out and in, and CSV.
 * jansson's calls take NULL for "failed before": a NULL value makes the one above it fail, and
 * the last look sees it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "core/dtype.h"
#include "device/sysfs.h"
#include "plan/profile.h"

static const char name_of_schema[] = "fettle.bench/1";
enum { FILE_MOST = 16 << 20, ROWS_MOST = 4096, THREADS_MOST = 1 << 16 };

/* ---- out ----------------------------------------------------------------------------------- */

typedef struct writer {
    json_t *object;
    bool bad;
} writer;

static void put(writer *w, const char *key, json_t *value)
{
    if (json_object_set_new(w->object, key, value) != 0) w->bad = true;
}

static void put_text(writer *w, const char *key, const char *text)
{
    put(w, key, json_string(text));
}

static void put_real(writer *w, const char *key, double x)
{
    put(w, key, ftl_json_new_real(x));
}

static json_t *finish(writer *w)
{
    if (!w->bad && w->object) return w->object;
    json_decref(w->object);
    return NULL;
}

static json_t *json_of_row(const ftl_profile_row *r)
{
    writer w = { json_object(), false };
    put_text(&w, "kind", ftl_profile_kind_name(r->kind));
    put_text(&w, "name", r->name);
    put_text(&w, "dtype", ftl_dtype_name(r->dtype));
    put(&w, "threads", json_integer(r->threads));
    int n_dims = FTL_PROFILE_DIMS;
    while (n_dims > 0 && r->dim[n_dims - 1] == 0) n_dims--;
    json_t *dims = json_array();
    for (int i = 0; i < n_dims; i++)
        if (json_array_append_new(dims, json_integer(r->dim[i])) != 0) w.bad = true;
    put(&w, "dims", dims);
    put_text(&w, "unit", ftl_profile_kind_unit(r->kind));
    put_real(&w, "median", r->median);
    put_real(&w, "mad", r->mad);
    put_real(&w, "min", r->min);
    put_real(&w, "max", r->max);
    put(&w, "n", json_integer(r->n));
    put_real(&w, "flops", r->flops);
    put_real(&w, "bytes", r->bytes);
    put_text(&w, "method", "measured");
    put(&w, "disturbed", json_boolean(r->flags & FTL_PROFILE_DISTURBED));
    put(&w, "fault", json_boolean(r->flags & FTL_PROFILE_FAULT));
    put_text(&w, "note", r->note);
    return finish(&w);
}

static json_t *json_of_power(const ftl_profile_power *p)
{
    writer w = { json_object(), false };
    put_text(&w, "method", p->method);
    if (p->is_available) {
        put_text(&w, "covers", p->covers);
        put_real(&w, "idle_w", p->idle_w);
        put_real(&w, "active_w", p->active_w);
        put_real(&w, "seconds", p->seconds);
    } else {
        put_text(&w, "why", p->why);
    }
    return finish(&w);
}

/* The best usable median of a kind, at memory where the kind has levels; NaN: none. */
static double headline(const ftl_profile *p, int32_t kind, ftl_dtype dtype)
{
    double best = NAN;
    for (size_t i = 0; i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        if (r->kind != kind || r->dtype != dtype || r->flags & FTL_PROFILE_FAULT) continue;
        if (kind != FTL_PROFILE_PEAK && kind != FTL_PROFILE_GEMM && strcmp(r->name, "memory") != 0)
            continue;
        if (isnan(best) || r->median > best) best = r->median;
    }
    return best;
}

/* A device without a measurement of its own has the fastest product as its peak, and says so. */
static void put_headlines(writer *w, const ftl_profile *p)
{
    const double peak = headline(p, FTL_PROFILE_PEAK, FTL_DTYPE_F32);
    writer peaks = { json_object(), false };
    put_real(&peaks, "f32", isnan(peak) ? headline(p, FTL_PROFILE_GEMM, FTL_DTYPE_F32) : peak);
    put(w, "peak_flops_per_s", finish(&peaks));
    put_text(w, "peak_method", isnan(peak) ? "fastest product measured" : "multiply-adds measured");
    put_real(w, "read_bytes_per_s", headline(p, FTL_PROFILE_READ, FTL_DTYPE_F32));
    put_real(w, "copy_bytes_per_s", headline(p, FTL_PROFILE_COPY, FTL_DTYPE_F32));
    put(w, "power", json_of_power(&p->power));
}

static json_t *json_of_profile(const ftl_profile *p)
{
    writer w = { json_object(), false };
    put_text(&w, "schema", name_of_schema);
    put_text(&w, "version", p->version);
    put_text(&w, "device", p->device);
    put_text(&w, "device_name", p->device_name);
    put_text(&w, "machine", p->machine);
    put_text(&w, "cpu", p->cpu);
    put_text(&w, "driver", p->driver);
    put_text(&w, "isa", p->isa);
    put(&w, "time_s", json_integer(p->time_s));
    put_real(&w, "seconds", p->seconds);
    put(&w, "threads", json_integer(p->threads));
    put(&w, "quick", json_boolean(p->is_quick));
    put(&w, "disturbed", json_boolean(p->is_disturbed));
    put_real(&w, "drift", p->drift);
    put_text(&w, "faults", p->why_faults);
    put_headlines(&w, p);
    json_t *rows = json_array();
    for (size_t i = 0; i < p->n_rows; i++)
        if (json_array_append_new(rows, json_of_row(&p->rows[i])) != 0) w.bad = true;
    put(&w, "rows", rows);
    return finish(&w);
}

static ftl_status make_json(json_t **out, const ftl_profile *profile)
{
    json_decref(ftl_json_new_real(0)); /* has jansson take its memory from us */
    *out = json_of_profile(profile);
    return *out ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for JSON text");
}

ftl_status ftl_profile_json(char **out, const ftl_profile *profile)
{
    json_t *json;
    *out = NULL;
    FTL_TRY(make_json(&json, profile));
    const ftl_status s = ftl_json_write_text(out, json);
    json_decref(json);
    return s;
}

ftl_status ftl_profile_export(const ftl_profile *profile, const char *path)
{
    json_t *json;
    FTL_TRY(make_json(&json, profile));
    const ftl_status s = ftl_json_write_file(json, path);
    json_decref(json);
    return s;
}

/* Names are ours and hold no quote; shapes may hold a comma. */
ftl_status ftl_profile_csv(char **out, const ftl_profile *profile)
{
    enum { LINE = 512 };
    static const char head[] = "kind,name,shape,dtype,threads,unit,median,mad,min,max,n,flops,"
                               "bytes,disturbed,fault\n";
    size_t room;
    if (!ftl_mul_size(profile->n_rows, LINE, &room) || !ftl_add_size(room, sizeof head, &room))
        room = SIZE_MAX;
    char *text = *out = ftl_alloc(room);
    if (!text) return ftl_fail(FTL_ENOMEM, "no memory for the table");
    size_t used = (size_t)snprintf(text, room, "%s", head);
    for (size_t i = 0; i < profile->n_rows; i++) {
        const ftl_profile_row *r = &profile->rows[i];
        char shape[96], line[LINE];
        snprintf(
            line, sizeof line, "%s,\"%s\",\"%s\",%s,%d,%s,%.6g,%.3g,%.6g,%.6g,%u,%.6g,%.6g,%d,%d\n",
            ftl_profile_kind_name(r->kind), r->name, ftl_profile_row_text(shape, sizeof shape, r),
            ftl_dtype_name(r->dtype), r->threads, ftl_profile_kind_unit(r->kind), r->median, r->mad,
            r->min, r->max, r->n, r->flops, r->bytes, (r->flags & FTL_PROFILE_DISTURBED) != 0,
            (r->flags & FTL_PROFILE_FAULT) != 0);
        used += (size_t)snprintf(text + used, room - used, "%s", line);
    }
    return FTL_OK;
}

/* ---- in ------------------------------------------------------------------------------------ */

static ftl_status take_text(char *out, size_t size, const ftl_json *at, const char *key)
{
    const char *text;
    FTL_TRY(ftl_json_string(&text, at, key));
    ftl_sysfs_copy(out, size, text);
    for (char *c = out; *c; c++) /* it will be printed on a terminal */
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '"') *c = ' ';
    return FTL_OK;
}

/* null stands for "not available". */
static ftl_status take_real(double *out, const ftl_json *at, const char *key)
{
    *out = NAN;
    return ftl_json_has(at, key) ? ftl_json_real(out, at, key) : FTL_OK;
}

static ftl_status take_whole(int32_t *out, const ftl_json *at, const char *key, int64_t least,
                             int64_t most)
{
    int64_t x;
    FTL_TRY(ftl_json_int(&x, at, key, least, most));
    *out = (int32_t)x;
    return FTL_OK;
}

static ftl_status take_dims(ftl_profile_row *row, const ftl_json *at)
{
    ftl_json dims;
    FTL_TRY(ftl_json_array(&dims, at, "dims"));
    if (ftl_json_size(&dims) > FTL_PROFILE_DIMS)
        return ftl_json_complain(&dims, "more than %d dims", FTL_PROFILE_DIMS);
    for (size_t i = 0; i < ftl_json_size(&dims); i++) {
        const ftl_json item = ftl_json_item(&dims, i);
        FTL_TRY(ftl_json_int(&row->dim[i], &item, NULL, 0, INT64_C(1) << 50));
    }
    return FTL_OK;
}

static ftl_status take_row(ftl_profile *p, const ftl_json *at)
{
    ftl_profile_row row = { 0 };
    const char *kind, *dtype;
    int32_t n;
    bool is_disturbed, is_fault;
    FTL_TRY(ftl_json_string(&kind, at, "kind"));
    FTL_TRY(ftl_json_string(&dtype, at, "dtype"));
    row.kind = ftl_profile_kind_from_name(kind);
    if (row.kind == 0) return FTL_OK; /* of a newer fettle: nothing here could use it */
    row.dtype = ftl_dtype_from_name(dtype);
    if (row.dtype == FTL_DTYPE_NONE) return ftl_json_complain(at, "unknown dtype \"%.20s\"", dtype);
    FTL_TRY(take_text(row.name, sizeof row.name, at, "name"));
    FTL_TRY(take_text(row.note, sizeof row.note, at, "note"));
    FTL_TRY(take_whole(&row.threads, at, "threads", 0, THREADS_MOST));
    FTL_TRY(take_whole(&n, at, "n", 0, INT32_MAX));
    FTL_TRY(take_dims(&row, at));
    FTL_TRY(take_real(&row.median, at, "median"));
    FTL_TRY(take_real(&row.mad, at, "mad"));
    FTL_TRY(take_real(&row.min, at, "min"));
    FTL_TRY(take_real(&row.max, at, "max"));
    FTL_TRY(take_real(&row.flops, at, "flops"));
    FTL_TRY(take_real(&row.bytes, at, "bytes"));
    FTL_TRY(ftl_json_bool(&is_disturbed, at, "disturbed"));
    FTL_TRY(ftl_json_bool(&is_fault, at, "fault"));
    if (!is_fault && !(row.median > 0))
        return ftl_json_complain(at, "a median that is not above 0");
    row.n = (uint32_t)n;
    row.flags = (is_disturbed ? FTL_PROFILE_DISTURBED : 0u) | (is_fault ? FTL_PROFILE_FAULT : 0u);
    return ftl_profile_put(p, &row);
}

static ftl_status take_power(ftl_profile_power *power, const ftl_json *root)
{
    ftl_json at;
    FTL_TRY(ftl_json_object(&at, root, "power"));
    FTL_TRY(take_text(power->method, sizeof power->method, &at, "method"));
    power->is_available = strcmp(power->method, "not available") != 0;
    power->why[0] = 0;
    if (!power->is_available) return take_text(power->why, sizeof power->why, &at, "why");
    FTL_TRY(take_text(power->covers, sizeof power->covers, &at, "covers"));
    FTL_TRY(take_real(&power->idle_w, &at, "idle_w"));
    FTL_TRY(take_real(&power->active_w, &at, "active_w"));
    return take_real(&power->seconds, &at, "seconds");
}

static ftl_status take_profile(ftl_profile *p, const ftl_json *root)
{
    const char *schema;
    ftl_json rows;
    FTL_TRY(ftl_json_string(&schema, root, "schema"));
    if (strcmp(schema, name_of_schema) != 0)
        return ftl_json_complain(root, "no profile: its schema is \"%.60s\", wanted %s", schema,
                                 name_of_schema);
    FTL_TRY(take_text(p->version, sizeof p->version, root, "version"));
    FTL_TRY(take_text(p->device, sizeof p->device, root, "device"));
    FTL_TRY(take_text(p->device_name, sizeof p->device_name, root, "device_name"));
    FTL_TRY(take_text(p->machine, sizeof p->machine, root, "machine"));
    FTL_TRY(take_text(p->cpu, sizeof p->cpu, root, "cpu"));
    FTL_TRY(take_text(p->driver, sizeof p->driver, root, "driver"));
    FTL_TRY(take_text(p->isa, sizeof p->isa, root, "isa"));
    FTL_TRY(ftl_json_int(&p->time_s, root, "time_s", 0, INT64_MAX));
    FTL_TRY(take_real(&p->seconds, root, "seconds"));
    FTL_TRY(take_whole(&p->threads, root, "threads", 1, THREADS_MOST));
    FTL_TRY(ftl_json_bool(&p->is_quick, root, "quick"));
    FTL_TRY(ftl_json_bool(&p->is_disturbed, root, "disturbed"));
    FTL_TRY(take_real(&p->drift, root, "drift"));
    FTL_TRY(take_text(p->why_faults, sizeof p->why_faults, root, "faults"));
    FTL_TRY(take_power(&p->power, root));
    FTL_TRY(ftl_json_array(&rows, root, "rows"));
    if (ftl_json_size(&rows) > ROWS_MOST)
        return ftl_json_complain(&rows, "more than %d rows", ROWS_MOST);
    for (size_t i = 0; i < ftl_json_size(&rows); i++) {
        const ftl_json item = ftl_json_item(&rows, i);
        FTL_TRY(take_row(p, &item));
    }
    return FTL_OK;
}

ftl_status ftl_profile_import(ftl_profile **out, const char *path)
{
    json_t *json;
    ftl_profile *p = NULL;
    *out = NULL;
    FTL_TRY(ftl_json_parse_file(&json, path, FILE_MOST));
    const ftl_json root = ftl_json_root(json, path);
    ftl_status s = ftl_profile_create(&p);
    if (s == FTL_OK) s = take_profile(p, &root);
    json_decref(json);
    if (s == FTL_OK) *out = p;
    else ftl_profile_destroy(p);
    return s;
}
