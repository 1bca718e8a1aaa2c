/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/sqlite.h"

static char path[512];

static int fresh_path(void **state)
{
    (void)state;
    static int n;
    char name[32];
    snprintf(name, sizeof name, "store%d.db", n++);
    snprintf(path, sizeof path, "%s", ftl_test_temp(name));
    return 0;
}

static int lift_target; /* the version that opened() asks for */

static ftl_status lift(ftl_sqlite *db, int from, void *arg)
{
    ++*(int *)arg;
    if (from < 1)
        FTL_TRY(ftl_sqlite_exec(
            db, "CREATE TABLE m(id INTEGER PRIMARY KEY, name TEXT NOT NULL, x REAL)"));
    if (from < 2 && lift_target >= 2)
        FTL_TRY(ftl_sqlite_exec(db, "ALTER TABLE m ADD COLUMN unit TEXT"));
    return FTL_OK;
}

static ftl_status lift_badly(ftl_sqlite *db, int from, void *arg)
{
    (void)from;
    (void)arg;
    FTL_TRY(ftl_sqlite_exec(db, "CREATE TABLE half(x)"));
    return ftl_sqlite_exec(db, "CREATE TABLE nonsense(");
}

static ftl_sqlite *opened(int version, int *n_lifts)
{
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.version = lift_target = version;
    o.migrate = lift;
    o.migrate_arg = n_lifts;
    ftl_sqlite *db;
    assert_ok(ftl_sqlite_open(&db, path, &o));
    return db;
}

static int64_t count_rows(ftl_sqlite *db)
{
    ftl_sqlite_query *q;
    bool has_row;
    assert_ok(ftl_sqlite_query_open(&q, db, "SELECT count(*) FROM m"));
    assert_ok(ftl_sqlite_step(q, &has_row));
    assert_true(has_row);
    const int64_t n = ftl_sqlite_int(q, 0);
    ftl_sqlite_query_close(q);
    return n;
}

static void rows_come_back_as_they_were(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite *db = opened(2, &n_lifts);
    assert_int_equal(n_lifts, 1);
    ftl_sqlite_query *q;
    assert_ok(ftl_sqlite_query_open(&q, db, "INSERT INTO m(name, x, unit) VALUES(?, ?, ?)"));
    for (int i = 0; i < 3; i++) {
        ftl_sqlite_bind_text(q, 1, i == 0 ? "peak" : "it's");
        ftl_sqlite_bind_real(q, 2, i == 1 ? NAN : 0.1 + i);
        if (i == 2) ftl_sqlite_bind_null(q, 3);
        if (i != 2) ftl_sqlite_bind_text(q, 3, "B/s");
        assert_ok(ftl_sqlite_step(q, NULL));
        assert_int_equal(ftl_sqlite_last_id(db), i + 1);
        ftl_sqlite_reset(q);
    }
    ftl_sqlite_query_close(q);
    ftl_sqlite_close(db);
    db = opened(2, &n_lifts);
    assert_int_equal(n_lifts, 1); /* no second time */
    assert_ok(
        ftl_sqlite_query_open(&q, db, "SELECT name, x, unit, id FROM m WHERE id >= ? ORDER BY id"));
    ftl_sqlite_bind_int(q, 1, 1);
    for (int i = 0; i < 3; i++) {
        bool has_row;
        assert_ok(ftl_sqlite_step(q, &has_row));
        assert_true(has_row);
        assert_string_equal(ftl_sqlite_text(q, 0), i == 0 ? "peak" : "it's");
        assert_true(i == 1 ? isnan(ftl_sqlite_real(q, 1)) : ftl_sqlite_real(q, 1) == 0.1 + i);
        assert_string_equal(ftl_sqlite_text(q, 2), i == 2 ? "" : "B/s");
        assert_int_equal(ftl_sqlite_is_null(q, 2), i == 2);
    }
    bool has_row = true;
    assert_ok(ftl_sqlite_step(q, &has_row));
    assert_false(has_row);
    ftl_sqlite_query_close(q);
    assert_ok(ftl_sqlite_check(db));
    ftl_sqlite_close(db);
}

static void schema_is_lifted_once_and_newer_is_refused(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite_close(opened(1, &n_lifts));
    ftl_sqlite_close(opened(2, &n_lifts));
    ftl_sqlite_close(opened(2, &n_lifts));
    assert_int_equal(n_lifts, 2);
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.version = 1;
    ftl_sqlite *db = (ftl_sqlite *)1;
    assert_fails(FTL_EUNSUPPORTED, ftl_sqlite_open(&db, path, &o));
    assert_null(db);
    o.version = 3;
    o.migrate = lift_badly;
    assert_fails(FTL_EINTERNAL, ftl_sqlite_open(&db, path, &o));
    db = opened(2, &n_lifts); /* still version 2, and nothing half-made is left */
    assert_ok(ftl_sqlite_exec(db, "CREATE TABLE half(y)"));
    ftl_sqlite_close(db);
}

static void transaction_is_all_or_nothing(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite *db = opened(2, &n_lifts);
    assert_ok(ftl_sqlite_begin(db));
    assert_ok(ftl_sqlite_exec(db, "INSERT INTO m(name) VALUES('a')"));
    assert_fails(FTL_EINVAL, ftl_sqlite_exec(db, "INSERT INTO m(name) VALUES(NULL)"));
    ftl_sqlite_rollback(db);
    assert_non_null(strstr(ftl_error_text(), "refuses a row"));
    ftl_sqlite_rollback(db);
    assert_int_equal(count_rows(db), 0);
    assert_ok(ftl_sqlite_begin(db));
    assert_ok(ftl_sqlite_exec(db, "INSERT INTO m(name) VALUES('a')"));
    assert_ok(ftl_sqlite_commit(db));
    assert_int_equal(count_rows(db), 1);
    ftl_sqlite_close(db);
}

static void damaged_file_is_named_and_kept(void **state)
{
    (void)state;
    char text[9000];
    memset(text, 'x', sizeof text);
    assert_ok(ftl_file_write_all(path, text, sizeof text));
    ftl_sqlite *db = NULL;
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.version = 1;
    assert_fails(FTL_EFORMAT, ftl_sqlite_open(&db, path, &o));
    assert_null(db);
    assert_non_null(strstr(ftl_error_text(), path));
    char *back;
    size_t size;
    assert_ok(ftl_file_read_all(&back, &size, path, 100000));
    assert_int_equal(size, sizeof text);
    assert_memory_equal(back, text, sizeof text);
    ftl_free(back);
}

static void damaged_page_is_found(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite *db = opened(2, &n_lifts);
    assert_ok(ftl_sqlite_begin(db));
    for (int i = 0; i < 2000; i++)
        assert_ok(ftl_sqlite_exec(db, "INSERT INTO m(name, x) VALUES('name', 1)"));
    assert_ok(ftl_sqlite_commit(db));
    ftl_sqlite_close(db);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 4096 * 2, SEEK_SET);
    for (int i = 0; i < 4096 * 3; i++) fputc(0xa5, f);
    fclose(f);
    db = opened(2, &n_lifts);
    assert_fails(FTL_EFORMAT, ftl_sqlite_check(db));
    assert_non_null(strstr(ftl_error_text(), path));
    ftl_sqlite_close(db);
}

static void second_writer_times_out_with_a_sentence(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite *db = opened(2, &n_lifts), *other;
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.version = 2;
    o.busy_ms = 30;
    assert_ok(ftl_sqlite_open(&other, path, &o));
    assert_ok(ftl_sqlite_begin(db));
    assert_fails(FTL_ETIMEOUT, ftl_sqlite_begin(other));
    assert_int_equal(count_rows(other), 0); /* reading goes on */
    assert_ok(ftl_sqlite_commit(db));
    assert_ok(ftl_sqlite_begin(other));
    ftl_sqlite_close(other);
    ftl_sqlite_close(db);
}

static void wrong_use_is_a_sentence(void **state)
{
    (void)state;
    int n_lifts = 0;
    ftl_sqlite *db;
    ftl_sqlite_query *q;
    ftl_sqlite_options o = FTL_SQLITE_OPTIONS_INIT;
    o.is_read_only = true;
    assert_fails(FTL_ENOTFOUND, ftl_sqlite_open(&db, path, &o));
    assert_fails(FTL_EIO, ftl_sqlite_open(&db, ftl_test_temp("no/folder.db"), NULL));
    ftl_sqlite_close(opened(2, &n_lifts));
    assert_ok(ftl_sqlite_open(&db, path, &o));
    assert_fails(FTL_EIO, ftl_sqlite_exec(db, "INSERT INTO m(name) VALUES('a')"));
    assert_fails(FTL_EINTERNAL, ftl_sqlite_query_open(&q, db, "SELEKT 1"));
    assert_fails(FTL_EINTERNAL, ftl_sqlite_query_open(&q, db, ""));
    assert_null(q);
    assert_ok(ftl_sqlite_query_open(&q, db, "SELECT ?"));
    ftl_sqlite_bind_int(q, 2, 1); /* there is no second parameter */
    assert_fails(FTL_EINTERNAL, ftl_sqlite_step(q, NULL));
    ftl_sqlite_query_close(q);
    ftl_sqlite_query_close(NULL);
    ftl_sqlite_close(db);
    ftl_sqlite_close(NULL);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        ftl_alloc_fail_at(nth, false);
        assert_fails(FTL_ENOMEM, ftl_sqlite_open(&db, path, NULL));
    }
    ftl_alloc_fail_at(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rows_come_back_as_they_were, fresh_path),
        cmocka_unit_test_setup(schema_is_lifted_once_and_newer_is_refused, fresh_path),
        cmocka_unit_test_setup(transaction_is_all_or_nothing, fresh_path),
        cmocka_unit_test_setup(damaged_file_is_named_and_kept, fresh_path),
        cmocka_unit_test_setup(damaged_page_is_found, fresh_path),
        cmocka_unit_test_setup(second_writer_times_out_with_a_sentence, fresh_path),
        cmocka_unit_test_setup(wrong_use_is_a_sentence, fresh_path),
    };
    return ftl_test_run(tests);
}
