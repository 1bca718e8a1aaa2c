/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/sqlite.h"
#include "plan/profile.h"

static char folder[512];

static void fresh_folder(const char *name)
{
    snprintf(folder, sizeof folder, "%s", ftl_test_temp(name));
}

static const char *database(void)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/profile.db", folder);
    return path;
}

static ftl_profile *sample(double peak, int64_t time_s)
{
    ftl_profile *p;
    assert_ok(ftl_profile_create(&p));
    snprintf(p->machine, sizeof p->machine, "Some CPU, 2 cores, 2 CPUs, 8 GiB");
    snprintf(p->device, sizeof p->device, "cpu");
    snprintf(p->isa, sizeof p->isa, "avx2");
    p->time_s = time_s;
    p->seconds = 6.5;
    p->threads = 2;
    p->is_quick = true;
    p->drift = 0.25;
    p->is_disturbed = true;
    ftl_profile_row r = { .kind = FTL_PROFILE_PEAK,
                          .dtype = FTL_DTYPE_F32,
                          .threads = 2,
                          .n = 5,
                          .median = peak,
                          .mad = 1,
                          .min = peak - 2,
                          .max = peak + 2,
                          .flags = FTL_PROFILE_DISTURBED };
    assert_ok(ftl_profile_put(p, &r));
    return p;
}

static void add_conv(ftl_profile *p, double median)
{
    ftl_profile_row r = { .kind = FTL_PROFILE_CONV,
                          .dtype = FTL_DTYPE_F32,
                          .threads = 1,
                          .n = 9,
                          .median = median,
                          .flops = 123,
                          .bytes = 456,
                          .dim = { 1, 64, 56, 56, 64, 3, 1, 1 },
                          .name = "resnet 56" };
    assert_ok(ftl_profile_put(p, &r));
}

static void save(const ftl_profile *p)
{
    ftl_profile_store *store;
    assert_ok(ftl_profile_store_open(&store, folder, false));
    assert_ok(ftl_profile_store_save(store, p));
    ftl_profile_store_close(store);
}

static void assert_same(const ftl_profile *a, const ftl_profile *b)
{
    assert_string_equal(a->machine, b->machine);
    assert_string_equal(a->device, b->device);
    assert_string_equal(a->version, b->version);
    assert_string_equal(a->isa, b->isa);
    assert_string_equal(a->power.method, b->power.method);
    assert_string_equal(a->power.why, b->power.why);
    assert_true(a->time_s == b->time_s && a->seconds == b->seconds && a->threads == b->threads);
    assert_true(a->is_quick == b->is_quick && a->is_disturbed == b->is_disturbed);
    assert_true(a->drift == b->drift);
    assert_int_equal(a->n_rows, b->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        const ftl_profile_row *x = &a->rows[i], *y = &b->rows[i];
        assert_true(ftl_profile_is_same(x, y));
        assert_string_equal(x->name, y->name);
        assert_true(x->median == y->median && x->mad == y->mad && x->min == y->min &&
                    x->max == y->max && x->n == y->n && x->flags == y->flags &&
                    x->flops == y->flops && x->bytes == y->bytes);
    }
}

/* ---- the store ----------------------------------------------------------------------------- */

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    fresh_folder("saved/deep/down");
    ftl_profile *p = sample(100, 1000), *got;
    add_conv(p, 50);
    save(p);
    ftl_profile_store *store;
    assert_ok(ftl_profile_store_open(&store, folder, true));
    assert_ok(ftl_profile_store_load(store, &got, p));
    assert_same(p, got);
    ftl_profile_destroy(got);
    snprintf(p->isa, sizeof p->isa, "portable"); /* another path, another profile */
    assert_fails(FTL_ENOTFOUND, ftl_profile_store_load(store, &got, p));
    assert_null(got);
    ftl_profile_store_close(store);
    ftl_profile_destroy(p);
}

static void the_latest_of_each_row_is_loaded(void **state)
{
    (void)state;
    fresh_folder("merged");
    ftl_profile *old = sample(100, 1000), *fresh = sample(120, 2000), *got;
    add_conv(old, 50);
    save(old);
    save(fresh);
    ftl_profile_store *store;
    assert_ok(ftl_profile_store_open(&store, folder, true));
    assert_ok(ftl_profile_store_load(store, &got, fresh));
    assert_int_equal(got->n_rows, 2);
    assert_true(got->time_s == 2000);
    assert_true(got->rows[0].median == 120 && got->rows[1].median == 50);
    ftl_profile_destroy(got);
    ftl_profile_store_close(store);
    assert_ok(ftl_profile_find(&got, folder, "previous"));
    assert_same(old, got);
    ftl_profile_destroy(got);
    assert_ok(ftl_profile_find(&got, folder, "latest"));
    assert_same(fresh, got);
    ftl_profile_destroy(got);
    assert_fails(FTL_ENOTFOUND, ftl_profile_find(&got, folder, "77"));
    ftl_profile_destroy(old);
    ftl_profile_destroy(fresh);
}

static void old_profiles_go(void **state)
{
    (void)state;
    fresh_folder("pruned");
    for (int i = 0; i < 14; i++) {
        ftl_profile *p = sample(100 + i, 1000 + i);
        save(p);
        ftl_profile_destroy(p);
    }
    ftl_profile_store *store;
    ftl_profile_entry *entries;
    size_t n;
    assert_ok(ftl_profile_store_open(&store, folder, true));
    assert_ok(ftl_profile_store_list(store, &entries, &n));
    assert_int_equal(n, 10);
    assert_true(entries[0].time_s == 1013 && entries[9].time_s == 1004);
    assert_true(entries[0].n_rows == 1 && entries[0].is_quick);
    ftl_free(entries);
    ftl_profile_store_close(store);
    ftl_sqlite *db; /* the rows of the others are gone too */
    ftl_sqlite_query *q;
    bool has_row;
    assert_ok(ftl_sqlite_open(&db, database(), NULL));
    assert_ok(ftl_sqlite_query_open(&q, db, "SELECT count(*) FROM row"));
    assert_ok(ftl_sqlite_step(q, &has_row));
    assert_int_equal(ftl_sqlite_int(q, 0), 10);
    ftl_sqlite_query_close(q);
    ftl_sqlite_close(db);
}

static void a_damaged_store_is_named_and_left_alone(void **state)
{
    (void)state;
    fresh_folder("damaged");
    assert_ok(ftl_file_make_folders(folder));
    assert_ok(ftl_file_write_all(database(), "this is no database at all, but long enough", 43));
    ftl_profile_store *store;
    assert_fails(FTL_EFORMAT, ftl_profile_store_open(&store, folder, false));
    assert_null(store);
    assert_non_null(strstr(ftl_error_text(), database()));
    char *text;
    assert_ok(ftl_file_read_all(&text, NULL, database(), 1000));
    assert_non_null(strstr(text, "no database at all"));
    ftl_free(text);
}

static void a_newer_store_is_refused(void **state)
{
    (void)state;
    fresh_folder("newer");
    ftl_profile *p = sample(1, 1);
    save(p);
    ftl_profile_destroy(p);
    ftl_sqlite *db;
    assert_ok(ftl_sqlite_open(&db, database(), NULL));
    assert_ok(ftl_sqlite_exec(db, "PRAGMA user_version = 99"));
    ftl_sqlite_close(db);
    ftl_profile_store *store;
    assert_fails(FTL_EUNSUPPORTED, ftl_profile_store_open(&store, folder, false));
}

/* The other process holds the write lock for a moment: we wait for it. */
static void a_locked_store_is_waited_for(void **state)
{
    (void)state;
    fresh_folder("locked");
    ftl_profile *p = sample(1, 1);
    save(p);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ftl_sqlite *db;
        if (ftl_sqlite_open(&db, database(), NULL) != FTL_OK || ftl_sqlite_begin(db) != FTL_OK)
            _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(2);
        usleep(300000);
        _exit(ftl_sqlite_commit(db) == FTL_OK ? 0 : 3);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    save(p);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
    ftl_profile_destroy(p);
}

static void two_processes_save_at_once(void **state)
{
    (void)state;
    enum { EACH = 4, PROCESSES = 2 };
    fresh_folder("two");
    pid_t child[PROCESSES];
    for (int c = 0; c < PROCESSES; c++) {
        child[c] = fork();
        assert_true(child[c] >= 0);
        if (child[c] > 0) continue;
        for (int i = 0; i < EACH; i++) {
            ftl_profile *p = sample(c * 100 + i + 1, i);
            ftl_profile_store *store;
            if (ftl_profile_store_open(&store, folder, false) != FTL_OK) _exit(1);
            if (ftl_profile_store_save(store, p) != FTL_OK) _exit(2);
            ftl_profile_store_close(store);
            ftl_profile_destroy(p);
        }
        _exit(0);
    }
    for (int c = 0; c < PROCESSES; c++) {
        int status;
        assert_int_equal(waitpid(child[c], &status, 0), child[c]);
        assert_int_equal(status, 0);
    }
    ftl_profile_store *store;
    ftl_profile_entry *entries;
    size_t n;
    assert_ok(ftl_profile_store_open(&store, folder, true));
    assert_ok(ftl_profile_store_list(store, &entries, &n));
    assert_int_equal(n, EACH * PROCESSES);
    for (size_t i = 0; i < n; i++) assert_int_equal(entries[i].n_rows, 1);
    ftl_free(entries);
    ftl_profile_store_close(store);
}

/* Whatever allocation fails, the store is what it was before or has the whole profile. */
static void a_failing_save_changes_nothing(void **state)
{
    (void)state;
    fresh_folder("failing");
    ftl_profile *p = sample(1, 1);
    add_conv(p, 5);
    save(p);
    size_t n_before = 1;
    ftl_status s = FTL_ENOMEM;
    for (uint64_t nth = 1; s != FTL_OK && nth < 200; nth++) {
        ftl_profile_store *store;
        ftl_profile_entry *entries;
        size_t n;
        ftl_alloc_fail_at(nth, false);
        s = ftl_profile_store_open(&store, folder, false);
        if (s == FTL_OK) {
            s = ftl_profile_store_save(store, p);
            ftl_profile_store_close(store);
        }
        ftl_alloc_fail_at(0, false);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        assert_ok(ftl_profile_store_open(&store, folder, true));
        assert_ok(ftl_profile_store_list(store, &entries, &n));
        assert_int_equal(n, n_before + (s == FTL_OK));
        for (size_t i = 0; i < n; i++) assert_int_equal(entries[i].n_rows, 2);
        n_before = n;
        ftl_free(entries);
        ftl_profile_store_close(store);
    }
    assert_int_equal(s, FTL_OK);
    ftl_profile_destroy(p);
}

static void a_bench_without_a_writable_folder_still_gives_figures(void **state)
{
    (void)state;
    fresh_folder("file");
    assert_ok(ftl_file_write_all(folder, "x", 1)); /* a file where the folder would be */
    ftl_bench_options o = FTL_BENCH_OPTIONS_INIT;
    o.is_quick = true;
    o.seconds = 0.2;
    o.n_threads = 1;
    o.cache_folder = folder;
    ftl_profile *p;
    char *note;
    assert_ok(ftl_bench(&p, &note, &o));
    assert_true(p->n_rows > 0);
    assert_true(*note != 0);
    ftl_text_free(note);
    ftl_profile_destroy(p);
    o.cache_folder = NULL;
    assert_ok(ftl_bench(&p, &note, &o));
    assert_non_null(strstr(note, "not stored"));
    ftl_text_free(note);
    ftl_profile_destroy(p);
    o.device = "nothing";
    assert_fails(FTL_ENOTFOUND, ftl_bench(&p, &note, &o));
    assert_null(p);
    assert_null(note);
}

/* ---- files --------------------------------------------------------------------------------- */

static void an_exported_profile_comes_back(void **state)
{
    (void)state;
    ftl_profile *p = sample(100, 1000), *got;
    add_conv(p, 50);
    p->power = (ftl_profile_power){ .is_available = true,
                                    .method = "rapl package",
                                    .covers = "processor",
                                    .idle_w = 5,
                                    .active_w = 42.5,
                                    .seconds = 5 };
    const char *path = ftl_test_temp("profile.json");
    assert_ok(ftl_profile_export(p, path));
    assert_ok(ftl_profile_import(&got, path));
    assert_same(p, got);
    assert_true(got->power.is_available && got->power.active_w == 42.5);
    ftl_profile_destroy(got);
    ftl_profile_destroy(p);
}

static void csv_has_a_line_a_row(void **state)
{
    (void)state;
    ftl_profile *p = sample(100, 1000);
    add_conv(p, 50);
    char *text;
    assert_ok(ftl_profile_csv(&text, p));
    assert_non_null(strstr(text, "\nconv,\"resnet 56\",\"64x56x56 -> 64, 3x3\",f32,1,flop/s,50,"));
    size_t lines = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 3);
    ftl_text_free(text);
    ftl_profile_destroy(p);
}

static void lying_files_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"schema\": 5}",
        "{\"schema\": \"fettle.plan/1\"}",
        "{\"schema\": \"fettle.bench/1\"}",
    };
    ftl_profile *p;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *path = ftl_test_temp("lie.json");
        assert_ok(ftl_file_write_all(path, texts[i], strlen(texts[i])));
        assert_fails(FTL_EFORMAT, ftl_profile_import(&p, path));
        assert_null(p);
    }
    assert_fails(FTL_ENOTFOUND, ftl_profile_import(&p, ftl_test_temp("absent.json")));
    /* A good file with one member changed. */
    static const char *const changes[][2] = {
        { "\"threads\": 2,", "\"threads\": -1,     " },
        { "\"median\": 100.0", "\"median\": -100" },
        { "\"n\": 5,", "\"n\": \"5\"," },
        { "\"dims\": [", "\"dims\": {}, \"x\": [" },
        { "\"dtype\": \"f32\"", "\"dtype\": \"x32\"" },
    };
    ftl_profile *good = sample(100, 1000);
    char *text;
    assert_ok(ftl_profile_json(&text, good));
    ftl_profile_destroy(good);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const char *at = strstr(text, changes[i][0]);
        assert_non_null(at);
        char *bad = ftl_strprintf("%.*s%s%s", (int)(at - text), text, changes[i][1],
                                  at + strlen(changes[i][0]));
        const char *path = ftl_test_temp("lie.json");
        assert_ok(ftl_file_write_all(path, bad, strlen(bad)));
        assert_fails(FTL_EFORMAT, ftl_profile_import(&p, path));
        ftl_free(bad);
    }
    ftl_text_free(text);
}

static void json_survives_any_failing_allocation(void **state)
{
    (void)state;
    ftl_profile *p = sample(100, 1000), *got = NULL;
    char path[600];
    snprintf(path, sizeof path, "%s", ftl_test_temp("whole.json"));
    ftl_status s = FTL_ENOMEM;
    for (uint64_t nth = 1; s != FTL_OK && nth < 5000; nth++) {
        ftl_alloc_fail_at(nth, false);
        s = ftl_profile_export(p, path);
        ftl_alloc_fail_at(0, false);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
        assert_int_equal(access(path, F_OK), s == FTL_OK ? 0 : -1);
    }
    s = FTL_ENOMEM;
    for (uint64_t nth = 1; s != FTL_OK && nth < 5000; nth++) {
        ftl_alloc_fail_at(nth, false);
        s = ftl_profile_import(&got, path);
        ftl_alloc_fail_at(0, false);
        assert_true(s == FTL_OK || s == FTL_ENOMEM);
    }
    assert_int_equal(s, FTL_OK);
    ftl_profile_destroy(got);
    ftl_profile_destroy(p);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void changes_beyond_noise_are_told_from_noise(void **state)
{
    (void)state;
    ftl_profile *a = sample(100, 1), *b = sample(104, 2);
    add_conv(a, 50);
    add_conv(b, 100);
    ftl_profile_row wait = {
        .kind = FTL_PROFILE_LATENCY, .dtype = FTL_DTYPE_F32, .threads = 1, .median = 2, .name = "L1"
    };
    assert_ok(ftl_profile_put(a, &wait));
    wait.median = 1;
    assert_ok(ftl_profile_put(b, &wait));
    b->threads = b->rows[0].threads = 4; /* all threads of another machine */
    ftl_profile_change *changes;
    size_t n;
    assert_ok(ftl_profile_compare(&changes, &n, a, b));
    assert_int_equal(n, 3);
    assert_false(changes[0].is_beyond_noise); /* 4 apart, mad 1 each */
    assert_true(changes[1].is_beyond_noise && changes[1].ratio == 2);
    assert_true(changes[2].is_beyond_noise && changes[2].ratio == 2); /* half the wait is faster */
    ftl_text_free(changes);
    ftl_profile_destroy(a);
    ftl_profile_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(the_latest_of_each_row_is_loaded),
        cmocka_unit_test(old_profiles_go),
        cmocka_unit_test(a_damaged_store_is_named_and_left_alone),
        cmocka_unit_test(a_newer_store_is_refused),
        cmocka_unit_test(a_locked_store_is_waited_for),
        cmocka_unit_test(two_processes_save_at_once),
        cmocka_unit_test(a_failing_save_changes_nothing),
        cmocka_unit_test(a_bench_without_a_writable_folder_still_gives_figures),
        cmocka_unit_test(an_exported_profile_comes_back),
        cmocka_unit_test(csv_has_a_line_a_row),
        cmocka_unit_test(lying_files_are_refused),
        cmocka_unit_test(json_survives_any_failing_allocation),
        cmocka_unit_test(changes_beyond_noise_are_told_from_noise),
    };
    return ftl_test_run(tests);
}
