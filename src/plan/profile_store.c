/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles in SQLite: one table of measurements, one of their rows.  Everything of a measurement is
 * written in one transaction, so that an interruption leaves the store as it was. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/sqlite.h"
#include "device/sysfs.h"
#include "plan/profile.h"

enum { VERSION = 1, KEPT = 10, PATH = 4096, ROWS_MOST = 4096 };

struct ftl_profile_store {
    ftl_sqlite *db;
};

static const char schema[] =
    "CREATE TABLE profile (id INTEGER PRIMARY KEY, machine TEXT NOT NULL, device TEXT NOT NULL,"
    " driver TEXT NOT NULL, version TEXT NOT NULL, isa TEXT NOT NULL, device_name TEXT NOT NULL,"
    " cpu TEXT NOT NULL, time_s INTEGER NOT NULL, seconds REAL, threads INTEGER NOT NULL,"
    " is_quick INTEGER NOT NULL, is_disturbed INTEGER NOT NULL, drift REAL,"
    " why_faults TEXT NOT NULL, power_method TEXT NOT NULL, power_covers TEXT NOT NULL,"
    " idle_w REAL, active_w REAL, power_s REAL, power_why TEXT NOT NULL);"
    "CREATE INDEX profile_key ON profile (machine, device, driver, version, isa, id);"
    "CREATE TABLE row (profile INTEGER NOT NULL REFERENCES profile ON DELETE CASCADE,"
    " kind INTEGER NOT NULL, dtype INTEGER NOT NULL, threads INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, n INTEGER NOT NULL, d0 INTEGER, d1 INTEGER, d2 INTEGER, d3 INTEGER,"
    " d4 INTEGER, d5 INTEGER, d6 INTEGER, d7 INTEGER, name TEXT NOT NULL, flops REAL, bytes REAL,"
    " median REAL, mad REAL, least REAL, most REAL, note TEXT NOT NULL);"
    "CREATE INDEX row_profile ON row (profile);";

static ftl_status migrate(ftl_sqlite *db, int from, void *arg)
{
    (void)arg;
    return from == 0 ? ftl_sqlite_exec(db, schema) : FTL_OK;
}

ftl_status ftl_profile_store_open(ftl_profile_store **out, const char *folder, bool is_read_only)
{
    char path[PATH];
    *out = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/profile.db", folder) >= sizeof path)
        return ftl_fail(FTL_EINVAL, "the path of the cache folder is too long");
    if (!is_read_only) FTL_TRY(ftl_file_make_folders(folder));
    ftl_profile_store *store = ftl_calloc(1, sizeof *store);
    if (!store) return ftl_fail(FTL_ENOMEM, "no memory for the profile store");
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.version = VERSION;
    o.migrate = migrate;
    o.is_read_only = is_read_only;
    const ftl_status s = ftl_sqlite_open(&store->db, path, &o);
    if (s != FTL_OK) {
        ftl_free(store);
        return s;
    }
    *out = store;
    return FTL_OK;
}

void ftl_profile_store_close(ftl_profile_store *store)
{
    if (!store) return;
    ftl_sqlite_close(store->db);
    ftl_free(store);
}

/* ---- writing ------------------------------------------------------------------------------- */

static ftl_status insert_profile(ftl_sqlite *db, const ftl_profile *p)
{
    ftl_sqlite_query *q;
    FTL_TRY(ftl_sqlite_query_open(
        &q, db,
        "INSERT INTO profile (machine, device, driver, version, isa, device_name, cpu, time_s,"
        " seconds, threads, is_quick, is_disturbed, drift, why_faults, power_method, power_covers,"
        " idle_w, active_w, power_s, power_why)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    const char *const key[] = { p->machine, p->device,      p->driver, p->version,
                                p->isa,     p->device_name, p->cpu };
    for (int i = 0; i < 7; i++) ftl_sqlite_bind_text(q, i + 1, key[i]);
    ftl_sqlite_bind_int(q, 8, p->time_s);
    ftl_sqlite_bind_real(q, 9, p->seconds);
    ftl_sqlite_bind_int(q, 10, p->threads);
    ftl_sqlite_bind_int(q, 11, p->is_quick);
    ftl_sqlite_bind_int(q, 12, p->is_disturbed);
    ftl_sqlite_bind_real(q, 13, p->drift);
    ftl_sqlite_bind_text(q, 14, p->why_faults);
    ftl_sqlite_bind_text(q, 15, p->power.method);
    ftl_sqlite_bind_text(q, 16, p->power.covers);
    ftl_sqlite_bind_real(q, 17, p->power.idle_w);
    ftl_sqlite_bind_real(q, 18, p->power.active_w);
    ftl_sqlite_bind_real(q, 19, p->power.seconds);
    ftl_sqlite_bind_text(q, 20, p->power.why);
    const ftl_status s = ftl_sqlite_step(q, NULL);
    ftl_sqlite_query_close(q);
    return s;
}

static ftl_status insert_rows(ftl_sqlite *db, const ftl_profile *p, int64_t id)
{
    ftl_sqlite_query *q;
    FTL_TRY(ftl_sqlite_query_open(
        &q, db, "INSERT INTO row VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    ftl_status s = FTL_OK;
    for (size_t i = 0; s == FTL_OK && i < p->n_rows; i++) {
        const ftl_profile_row *r = &p->rows[i];
        const int64_t head[] = { id, r->kind, r->dtype, r->threads, r->flags, r->n };
        const double tail[] = { r->flops, r->bytes, r->median, r->mad, r->min, r->max };
        for (int k = 0; k < 6; k++) ftl_sqlite_bind_int(q, 1 + k, head[k]);
        for (int k = 0; k < FTL_PROFILE_DIMS; k++) ftl_sqlite_bind_int(q, 7 + k, r->dim[k]);
        ftl_sqlite_bind_text(q, 15, r->name);
        for (int k = 0; k < 6; k++) ftl_sqlite_bind_real(q, 16 + k, tail[k]);
        ftl_sqlite_bind_text(q, 22, r->note);
        s = ftl_sqlite_step(q, NULL);
        ftl_sqlite_reset(q);
    }
    ftl_sqlite_query_close(q);
    return s;
}

static void bind_key(ftl_sqlite_query *q, const ftl_profile *key)
{
    const char *const parts[] = { key->machine, key->device, key->driver, key->version, key->isa };
    for (int i = 0; i < 5; i++) ftl_sqlite_bind_text(q, i + 1, parts[i]);
}

#define KEY "machine = ? AND device = ? AND driver = ? AND version = ? AND isa = ?"

static ftl_status drop_old(ftl_sqlite *db, const ftl_profile *key)
{
    ftl_sqlite_query *q;
    FTL_TRY(
        ftl_sqlite_query_open(&q, db,
                              "DELETE FROM profile WHERE id IN (SELECT id FROM profile WHERE " KEY
                              " ORDER BY id DESC LIMIT -1 OFFSET ?)"));
    bind_key(q, key);
    ftl_sqlite_bind_int(q, 6, KEPT);
    const ftl_status s = ftl_sqlite_step(q, NULL);
    ftl_sqlite_query_close(q);
    return s;
}

ftl_status ftl_profile_store_save(ftl_profile_store *store, const ftl_profile *profile)
{
    FTL_TRY(ftl_sqlite_begin(store->db));
    ftl_status s = insert_profile(store->db, profile);
    if (s == FTL_OK) s = insert_rows(store->db, profile, ftl_sqlite_last_id(store->db));
    if (s == FTL_OK) s = drop_old(store->db, profile);
    if (s == FTL_OK) s = ftl_sqlite_commit(store->db);
    if (s != FTL_OK) ftl_sqlite_rollback(store->db);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void copy_column(char *to, size_t size, const ftl_sqlite_query *q, int column)
{
    ftl_sysfs_copy(to, size, ftl_sqlite_text(q, column));
}

static double real_or(const ftl_sqlite_query *q, int column, double when_null)
{
    return ftl_sqlite_is_null(q, column) ? when_null : ftl_sqlite_real(q, column);
}

static void read_profile(ftl_profile *p, const ftl_sqlite_query *q)
{
    copy_column(p->machine, sizeof p->machine, q, 1);
    copy_column(p->device, sizeof p->device, q, 2);
    copy_column(p->driver, sizeof p->driver, q, 3);
    copy_column(p->version, sizeof p->version, q, 4);
    copy_column(p->isa, sizeof p->isa, q, 5);
    copy_column(p->device_name, sizeof p->device_name, q, 6);
    copy_column(p->cpu, sizeof p->cpu, q, 7);
    p->time_s = ftl_sqlite_int(q, 8);
    p->seconds = real_or(q, 9, 0);
    p->threads = (int32_t)ftl_sqlite_int(q, 10);
    p->is_quick = ftl_sqlite_int(q, 11) != 0;
    p->is_disturbed = ftl_sqlite_int(q, 12) != 0;
    p->drift = real_or(q, 13, 0);
    copy_column(p->why_faults, sizeof p->why_faults, q, 14);
    copy_column(p->power.method, sizeof p->power.method, q, 15);
    copy_column(p->power.covers, sizeof p->power.covers, q, 16);
    p->power.idle_w = real_or(q, 17, NAN);
    p->power.active_w = real_or(q, 18, NAN);
    p->power.seconds = real_or(q, 19, 0);
    copy_column(p->power.why, sizeof p->power.why, q, 20);
    p->power.is_available = !isnan(p->power.active_w);
}

/* The rows of one measurement that `p` has not got. */
static ftl_status read_rows(ftl_sqlite *db, ftl_profile *p, int64_t id)
{
    ftl_sqlite_query *q;
    bool has_row = false;
    FTL_TRY(ftl_sqlite_query_open(&q, db, "SELECT * FROM row WHERE profile = ? ORDER BY rowid"));
    ftl_sqlite_bind_int(q, 1, id);
    ftl_status s = ftl_sqlite_step(q, &has_row);
    while (s == FTL_OK && has_row && p->n_rows < ROWS_MOST) {
        ftl_profile_row r = { .kind = (int32_t)ftl_sqlite_int(q, 1),
                              .dtype = (ftl_dtype)ftl_sqlite_int(q, 2),
                              .threads = (int32_t)ftl_sqlite_int(q, 3),
                              .flags = (uint32_t)ftl_sqlite_int(q, 4),
                              .n = (uint32_t)ftl_sqlite_int(q, 5),
                              .flops = ftl_sqlite_real(q, 15),
                              .bytes = ftl_sqlite_real(q, 16),
                              .median = ftl_sqlite_real(q, 17),
                              .mad = ftl_sqlite_real(q, 18),
                              .min = ftl_sqlite_real(q, 19),
                              .max = ftl_sqlite_real(q, 20) };
        for (int k = 0; k < FTL_PROFILE_DIMS; k++) r.dim[k] = ftl_sqlite_int(q, 6 + k);
        copy_column(r.name, sizeof r.name, q, 14);
        copy_column(r.note, sizeof r.note, q, 21);
        if (!ftl_profile_get(p, &r)) s = ftl_profile_put(p, &r);
        if (s == FTL_OK) s = ftl_sqlite_step(q, &has_row);
    }
    ftl_sqlite_query_close(q);
    return s;
}

/* The measurements that the query finds, newest first, in one profile: what the newest lacks comes
 * from the one before. */
static ftl_status load(ftl_profile_store *store, ftl_profile **out, ftl_sqlite_query *q)
{
    bool has_row = false;
    ftl_profile *p = NULL;
    ftl_status s = ftl_sqlite_step(q, &has_row);
    if (s == FTL_OK && !has_row) s = ftl_fail(FTL_ENOTFOUND, "no such profile is stored");
    while (s == FTL_OK && has_row) {
        if (!p) {
            s = ftl_profile_create(&p);
            if (s == FTL_OK) read_profile(p, q);
        } else if (!p->power.is_available && !ftl_sqlite_is_null(q, 18)) {
            ftl_profile older = { .n_rows = 0 };
            read_profile(&older, q);
            p->power = older.power;
        }
        if (s == FTL_OK) s = read_rows(store->db, p, ftl_sqlite_int(q, 0));
        if (s == FTL_OK) s = ftl_sqlite_step(q, &has_row);
    }
    if (s == FTL_OK) *out = p;
    else ftl_profile_destroy(p);
    return s;
}

ftl_status ftl_profile_store_load(ftl_profile_store *store, ftl_profile **out,
                                  const ftl_profile *key)
{
    ftl_sqlite_query *q;
    *out = NULL;
    FTL_TRY(ftl_sqlite_query_open(&q, store->db,
                                  "SELECT * FROM profile WHERE " KEY " ORDER BY id DESC"));
    bind_key(q, key);
    const ftl_status s = load(store, out, q);
    ftl_sqlite_query_close(q);
    return s;
}

ftl_status ftl_profile_store_get(ftl_profile_store *store, ftl_profile **out, int64_t id)
{
    ftl_sqlite_query *q;
    *out = NULL;
    FTL_TRY(ftl_sqlite_query_open(&q, store->db, "SELECT * FROM profile WHERE id = ?"));
    ftl_sqlite_bind_int(q, 1, id);
    const ftl_status s = load(store, out, q);
    ftl_sqlite_query_close(q);
    return s;
}

static ftl_status add_entry(ftl_profile_entry **entries, size_t *n, const ftl_sqlite_query *q)
{
    ftl_profile_entry *grown = ftl_realloc(*entries, (*n + 1) * sizeof *grown);
    if (!grown) return ftl_fail(FTL_ENOMEM, "no memory for the list of profiles");
    *entries = grown;
    ftl_profile_entry *e = &grown[(*n)++];
    *e = (ftl_profile_entry){ .id = ftl_sqlite_int(q, 0),
                              .time_s = ftl_sqlite_int(q, 1),
                              .is_quick = ftl_sqlite_int(q, 6) != 0,
                              .n_rows = ftl_sqlite_int(q, 7) };
    copy_column(e->machine, sizeof e->machine, q, 2);
    copy_column(e->device, sizeof e->device, q, 3);
    copy_column(e->version, sizeof e->version, q, 4);
    copy_column(e->isa, sizeof e->isa, q, 5);
    return FTL_OK;
}

ftl_status ftl_profile_store_list(ftl_profile_store *store, ftl_profile_entry **out, size_t *n)
{
    ftl_sqlite_query *q;
    bool has_row = false;
    *out = NULL;
    *n = 0;
    FTL_TRY(ftl_sqlite_query_open(&q, store->db,
                                  "SELECT id, time_s, machine, device, version, isa, is_quick,"
                                  " (SELECT count(*) FROM row WHERE row.profile = profile.id)"
                                  " FROM profile ORDER BY id DESC"));
    ftl_status s = ftl_sqlite_step(q, &has_row);
    while (s == FTL_OK && has_row) {
        s = add_entry(out, n, q);
        if (s == FTL_OK) s = ftl_sqlite_step(q, &has_row);
    }
    ftl_sqlite_query_close(q);
    if (s != FTL_OK) {
        ftl_free(*out);
        *out = NULL;
        *n = 0;
    }
    return s;
}
