/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite.h - one database file, statements and transactions; every refusal is a sentence.
 * Idea: write-ahead log and a busy time of 5 s, so that several fettle processes share the file;
 * the schema's number is user_version, and a callback lifts an older one inside a transaction.  A
 * damaged file is reported and left alone, never deleted.
 * A database and its queries are used by one thread at a time.
 * Common codes: FTL_EFORMAT damaged or no database, FTL_ETIMEOUT another process holds it too long,
 * FTL_EIO disk full, read-only or refused, FTL_ENOMEM, FTL_EINTERNAL wrong SQL. */
#ifndef FTL_BASE_SQLITE_H
#define FTL_BASE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_sqlite ftl_sqlite;
typedef struct ftl_sqlite_query ftl_sqlite_query;

/* Brings the schema from version `from` (0: empty file) to options.version; any failure undoes it.
 * It must not open or end transactions. */
typedef ftl_status (*ftl_sqlite_migrate)(ftl_sqlite *db, int from, void *arg);

typedef struct ftl_sqlite_options {
    size_t struct_size;
    int version;                /* of the schema, above 0; 0: no schema is kept        */
    ftl_sqlite_migrate migrate; /* may be NULL when version is 0                       */
    void *migrate_arg;
    bool is_read_only; /* the file must exist with the very version           */
    int busy_ms;       /* 0: 5000                                             */
} ftl_sqlite_options;
#define FTL_SQLITE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(ftl_sqlite_options)                                                  \
    }

/* Makes the file where it is absent (its folder must be there); options may be NULL.
 * FTL_ENOTFOUND: read-only and no file.  FTL_EUNSUPPORTED: the file is of a newer fettle. */
FTL_MUST_USE ftl_status ftl_sqlite_open(ftl_sqlite **out, const char *path,
                                        const ftl_sqlite_options *options);
/* NULL is fine.  All queries must be closed before; an open transaction is undone. */
void ftl_sqlite_close(ftl_sqlite *db);

/* One or more statements without results. */
FTL_MUST_USE ftl_status ftl_sqlite_exec(ftl_sqlite *db, const char *sql);
/* PRAGMA quick_check: FTL_EFORMAT with the first finding. */
FTL_MUST_USE ftl_status ftl_sqlite_check(ftl_sqlite *db);

FTL_MUST_USE ftl_status ftl_sqlite_begin(ftl_sqlite *db); /* immediate: takes the write lock */
FTL_MUST_USE ftl_status ftl_sqlite_commit(ftl_sqlite *db);
/* Keeps the sentence of the failure that led here.  Without a transaction it does nothing. */
void ftl_sqlite_rollback(ftl_sqlite *db);
/* Row id of the last insertion. */
int64_t ftl_sqlite_last_id(const ftl_sqlite *db);

/* --- queries: open, bind 1 ..., step, read columns 0 ..., reset, close ----------------------- */

FTL_MUST_USE ftl_status ftl_sqlite_query_open(ftl_sqlite_query **out, ftl_sqlite *db,
                                              const char *sql);
void ftl_sqlite_query_close(ftl_sqlite_query *query); /* NULL is fine */
/* Parameters are numbered from 1.  The first failure stays and is reported by step, so the results
 * of bind need no look of their own.  Text is copied; NULL text and NaN are SQL's NULL. */
void ftl_sqlite_bind_int(ftl_sqlite_query *query, int index, int64_t value);
void ftl_sqlite_bind_real(ftl_sqlite_query *query, int index, double value);
void ftl_sqlite_bind_text(ftl_sqlite_query *query, int index, const char *text);
void ftl_sqlite_bind_null(ftl_sqlite_query *query, int index);
/* *has_row: a row is there to read.  has_row may be NULL for statements without rows. */
FTL_MUST_USE ftl_status ftl_sqlite_step(ftl_sqlite_query *query, bool *has_row);
/* Ready to bind and step again; bindings are forgotten. */
void ftl_sqlite_reset(ftl_sqlite_query *query);
/* Of the present row; columns are numbered from 0.  NULL gives 0, NaN, "". */
bool ftl_sqlite_is_null(const ftl_sqlite_query *query, int column);
int64_t ftl_sqlite_int(const ftl_sqlite_query *query, int column);
double ftl_sqlite_real(const ftl_sqlite_query *query, int column);
/* Borrowed until the next step, reset or close. */
const char *ftl_sqlite_text(const ftl_sqlite_query *query, int column);

#ifdef __cplusplus
}
#endif
#endif
