/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sqlite.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { DEFAULT_BUSY_MS = 5000 };

struct ftl_sqlite {
    sqlite3 *handle;
    char *path;
};

struct ftl_sqlite_query {
    ftl_sqlite *db;
    sqlite3_stmt *statement;
    int failed; /* result code of the first bind that failed, else SQLITE_OK */
};

/* The sentence for a result code. */
static ftl_status say(const ftl_sqlite *db, int code, const char *doing)
{
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ftl_fail(FTL_EFORMAT,
                        "the database %s is damaged or is none (%s, while %s); move it away and "
                        "start a new one",
                        db->path, text, doing);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ftl_fail(FTL_ETIMEOUT,
                        "the database %s is held by another process (while %s); try again when "
                        "it has ended",
                        db->path, doing);
    case SQLITE_FULL:
        return ftl_fail(FTL_EIO, "cannot write the database %s: the disk is full; free some space",
                        db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ftl_fail(FTL_EIO,
                        "the database %s or its folder is not writable; change its permissions or "
                        "choose another cache folder",
                        db->path);
    case SQLITE_CANTOPEN:
        return ftl_fail(FTL_EIO, "cannot open the database %s: %s", db->path, text);
    case SQLITE_IOERR:
        return ftl_fail(FTL_EIO, "the system refused the database %s (%s, while %s)", db->path,
                        sqlite3_errstr(code), doing);
    case SQLITE_NOMEM: return ftl_fail(FTL_ENOMEM, "no memory for the database %s", db->path);
    case SQLITE_CONSTRAINT:
        return ftl_fail(FTL_EINVAL, "the database %s refuses a row: %s", db->path, text);
    default:
        return ftl_fail(FTL_EINTERNAL, "database %s: %s (code %d, while %s)", db->path, text, code,
                        doing);
    }
}

ftl_status ftl_sqlite_exec(ftl_sqlite *db, const char *sql)
{
    const int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? FTL_OK : say(db, code, sql);
}

/* The single integer that a pragma answers with. */
static ftl_status read_int(ftl_sqlite *db, const char *sql, int64_t *out)
{
    *out = 0;
    ftl_sqlite_query *q;
    bool has_row;
    FTL_TRY(ftl_sqlite_query_open(&q, db, sql));
    const ftl_status s = ftl_sqlite_step(q, &has_row);
    if (s == FTL_OK && has_row) *out = ftl_sqlite_int(q, 0);
    ftl_sqlite_query_close(q);
    return s;
}

static ftl_status too_new(const ftl_sqlite *db, int64_t found, int known)
{
    return ftl_fail(FTL_EUNSUPPORTED,
                    "the database %s has version %lld, this fettle knows %d; use the newer "
                    "fettle that wrote it, or another cache folder",
                    db->path, (long long)found, known);
}

/* Lifts the schema.  The version is read again under the write lock: another process may have been
 * faster. */
static ftl_status lift(ftl_sqlite *db, const ftl_sqlite_options *o)
{
    int64_t found;
    FTL_TRY(ftl_sqlite_begin(db));
    ftl_status s = read_int(db, "PRAGMA user_version", &found);
    if (s == FTL_OK && found > o->version) s = too_new(db, found, o->version);
    if (s == FTL_OK && found < o->version) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA user_version = %d", o->version);
        s = o->migrate ? o->migrate(db, (int)found, o->migrate_arg) : FTL_OK;
        if (s == FTL_OK) s = ftl_sqlite_exec(db, sql);
    }
    if (s == FTL_OK) s = ftl_sqlite_commit(db);
    if (s != FTL_OK) ftl_sqlite_rollback(db);
    return s;
}

/* SQLite does not ask its busy handler when two connections change the journal at once: the first
 * opening of a new database by two processes.  So the wait is ours.  File systems without shared
 * memory keep the old journal, which is right too, only slower. */
static ftl_status use_wal(ftl_sqlite *db, int busy_ms)
{
    const char *sql = "PRAGMA journal_mode = WAL";
    const int64_t until = ftl_clock_ns() + (int64_t)busy_ms * 1000000;
    int code;
    while ((code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL) & 0xff) == SQLITE_BUSY &&
           ftl_clock_ns() < until)
        ftl_clock_sleep(2000000);
    return code == SQLITE_OK ? FTL_OK : say(db, code, sql);
}

static ftl_status set_up(ftl_sqlite *db, const ftl_sqlite_options *o)
{
    sqlite3_extended_result_codes(db->handle, 1);
    const int busy_ms = o->busy_ms > 0 ? o->busy_ms : DEFAULT_BUSY_MS;
    sqlite3_busy_timeout(db->handle, busy_ms);
    int64_t found;
    /* The first page is read here, so a foreign file is met before anything is written. */
    FTL_TRY(read_int(db, "PRAGMA user_version", &found));
    if (found > o->version && o->version > 0) return too_new(db, found, o->version);
    if (o->is_read_only) {
        if (o->version > 0 && found != o->version)
            return ftl_fail(FTL_EUNSUPPORTED,
                            "the database %s has version %lld, not %d; open it once for "
                            "writing",
                            db->path, (long long)found, o->version);
        return FTL_OK;
    }
    FTL_TRY(use_wal(db, busy_ms));
    FTL_TRY(ftl_sqlite_exec(db, "PRAGMA synchronous = NORMAL"));
    FTL_TRY(ftl_sqlite_exec(db, "PRAGMA foreign_keys = ON"));
    return found < o->version ? lift(db, o) : FTL_OK;
}

ftl_status ftl_sqlite_open(ftl_sqlite **out, const char *path, const ftl_sqlite_options *options)
{
    *out = NULL;
    const ftl_sqlite_options none = FTL_SQLITE_OPTIONS_INIT;
    const ftl_sqlite_options *o = options ? options : &none;
    ftl_sqlite *db = ftl_calloc(1, sizeof *db);
    if (db) db->path = ftl_strdup(path);
    if (!db || !db->path) {
        ftl_sqlite_close(db);
        return ftl_fail(FTL_ENOMEM, "no memory for the database %s", path);
    }
    const int flags =
        o->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    ftl_status s = code == SQLITE_OK ? set_up(db, o) : say(db, code, "opening it");
    if ((code & 0xff) == SQLITE_CANTOPEN && o->is_read_only)
        s = ftl_fail(FTL_ENOTFOUND, "there is no database %s", path);
    if (s != FTL_OK) {
        ftl_sqlite_close(db);
        return s;
    }
    *out = db;
    return FTL_OK;
}

void ftl_sqlite_close(ftl_sqlite *db)
{
    if (!db) return;
    sqlite3_close_v2(db->handle);
    ftl_free(db->path);
    ftl_free(db);
}

ftl_status ftl_sqlite_check(ftl_sqlite *db)
{
    ftl_sqlite_query *q;
    bool has_row;
    FTL_TRY(ftl_sqlite_query_open(&q, db, "PRAGMA quick_check(1)"));
    ftl_status s = ftl_sqlite_step(q, &has_row);
    if (s == FTL_OK && has_row && strcmp(ftl_sqlite_text(q, 0), "ok") != 0)
        s = ftl_fail(FTL_EFORMAT,
                     "the database %s is damaged (%s); move it away and start a new one", db->path,
                     ftl_sqlite_text(q, 0));
    ftl_sqlite_query_close(q);
    return s;
}

ftl_status ftl_sqlite_begin(ftl_sqlite *db)
{
    return ftl_sqlite_exec(db, "BEGIN IMMEDIATE");
}

ftl_status ftl_sqlite_commit(ftl_sqlite *db)
{
    return ftl_sqlite_exec(db, "COMMIT");
}

void ftl_sqlite_rollback(ftl_sqlite *db)
{
    /* Some failures (disk full) have undone it already. */
    if (!sqlite3_get_autocommit(db->handle)) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int64_t ftl_sqlite_last_id(const ftl_sqlite *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

/* --- queries ------------------------------------------------------------------------------- */

ftl_status ftl_sqlite_query_open(ftl_sqlite_query **out, ftl_sqlite *db, const char *sql)
{
    *out = NULL;
    ftl_sqlite_query *q = ftl_calloc(1, sizeof *q);
    if (!q) return ftl_fail(FTL_ENOMEM, "no memory for a query of %s", db->path);
    q->db = db;
    const int code = sqlite3_prepare_v2(db->handle, sql, -1, &q->statement, NULL);
    if (code != SQLITE_OK || !q->statement) {
        const ftl_status s = code != SQLITE_OK
                                 ? say(db, code, sql)
                                 : ftl_fail(FTL_EINTERNAL, "database %s: an empty query", db->path);
        ftl_free(q);
        return s;
    }
    *out = q;
    return FTL_OK;
}

void ftl_sqlite_query_close(ftl_sqlite_query *q)
{
    if (!q) return;
    sqlite3_finalize(q->statement);
    ftl_free(q);
}

static void keep(ftl_sqlite_query *q, int code)
{
    if (q->failed == SQLITE_OK) q->failed = code;
}

void ftl_sqlite_bind_int(ftl_sqlite_query *q, int index, int64_t value)
{
    keep(q, sqlite3_bind_int64(q->statement, index, value));
}

void ftl_sqlite_bind_real(ftl_sqlite_query *q, int index, double value)
{
    keep(q, sqlite3_bind_double(q->statement, index, value)); /* NaN becomes NULL inside */
}

void ftl_sqlite_bind_text(ftl_sqlite_query *q, int index, const char *text)
{
    keep(q, sqlite3_bind_text(q->statement, index, text, -1, SQLITE_TRANSIENT));
}

void ftl_sqlite_bind_null(ftl_sqlite_query *q, int index)
{
    keep(q, sqlite3_bind_null(q->statement, index));
}

ftl_status ftl_sqlite_step(ftl_sqlite_query *q, bool *has_row)
{
    if (has_row) *has_row = false;
    const char *sql = sqlite3_sql(q->statement);
    if (q->failed != SQLITE_OK)
        return ftl_fail(q->failed == SQLITE_NOMEM ? FTL_ENOMEM : FTL_EINTERNAL,
                        "database %s: a value cannot be bound: %s (%s)", q->db->path,
                        sqlite3_errstr(q->failed), sql);
    const int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW && has_row) *has_row = true;
    if (code == SQLITE_ROW || code == SQLITE_DONE) return FTL_OK;
    return say(q->db, code, sql);
}

void ftl_sqlite_reset(ftl_sqlite_query *q)
{
    sqlite3_reset(q->statement);
    sqlite3_clear_bindings(q->statement);
    q->failed = SQLITE_OK;
}

bool ftl_sqlite_is_null(const ftl_sqlite_query *q, int column)
{
    return sqlite3_column_type(q->statement, column) == SQLITE_NULL;
}

int64_t ftl_sqlite_int(const ftl_sqlite_query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

double ftl_sqlite_real(const ftl_sqlite_query *q, int column)
{
    return ftl_sqlite_is_null(q, column) ? NAN : sqlite3_column_double(q->statement, column);
}

const char *ftl_sqlite_text(const ftl_sqlite_query *q, int column)
{
    const unsigned char *text = sqlite3_column_text(q->statement, column);
    return text ? (const char *)text : "";
}
