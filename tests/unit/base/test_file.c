/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

/* Names in the test's folder that look like temporaries. */
static int count_temporaries(void)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", ftl_test_temp(""));
    DIR *d = opendir(folder);
    assert_non_null(d);
    int n = 0;
    for (const struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, ".tmp.") != NULL;
    closedir(d);
    return n;
}

static void assert_content(const char *path, const char *want)
{
    char *text;
    size_t size;
    assert_ok(ftl_file_read_all(&text, &size, path, 1000));
    assert_int_equal(size, strlen(want));
    assert_string_equal(text, want);
    ftl_free(text);
}

static char path_a[512];

static int make_path(void **state)
{
    (void)state;
    snprintf(path_a, sizeof path_a, "%s", ftl_test_temp("a.txt"));
    return 0;
}

static void written_file_maps_and_reads(void **state)
{
    (void)state;
    ftl_file_writer *w;
    assert_ok(ftl_file_writer_open(&w, path_a));
    assert_int_equal(access(path_a, F_OK), -1); /* not there before the commit */
    assert_int_equal(count_temporaries(), 1);
    assert_ok(ftl_file_writer_write(w, "hello ", 6));
    assert_ok(ftl_file_writer_printf(w, "%d %s", 42, "x"));
    assert_int_equal(ftl_file_writer_bytes(w), 10);
    assert_ok(ftl_file_writer_commit(w));
    assert_int_equal(count_temporaries(), 0);
    assert_content(path_a, "hello 42 x");
    ftl_file f;
    assert_ok(ftl_file_map(&f, path_a));
    assert_int_equal(f.size, 10);
    assert_memory_equal(f.data, "hello 42 x", 10);
    ftl_file_unmap(&f);
    assert_null(f.data);
    ftl_file_unmap(&f);
}

static void large_writes_keep_order(void **state)
{
    (void)state;
    enum { N = 300000 };
    unsigned char *data = malloc(N);
    char *text = malloc(5000);
    assert_non_null(data);
    assert_non_null(text);
    for (int i = 0; i < N; i++) data[i] = (unsigned char)(i * 31 >> 3);
    memset(text, 'y', 4999);
    text[4999] = 0;
    ftl_file_writer *w;
    assert_ok(ftl_file_writer_open(&w, path_a));
    for (int at = 0, n = 1; at < N; at += n, n = n * 3 % 100003) {
        if (n > N - at) n = N - at;
        assert_ok(ftl_file_writer_write(w, data + at, (size_t)n));
    }
    assert_ok(ftl_file_writer_printf(w, "%s", text)); /* longer than its own buffer */
    assert_ok(ftl_file_writer_commit(w));
    ftl_file f;
    assert_ok(ftl_file_map(&f, path_a));
    assert_int_equal(f.size, N + 4999);
    assert_memory_equal(f.data, data, N);
    assert_memory_equal(f.data + N, text, 4999);
    ftl_file_unmap(&f);
    free(data);
    free(text);
}

static void abort_leaves_the_old_file(void **state)
{
    (void)state;
    assert_ok(ftl_file_write_all(path_a, "old", 3));
    ftl_file_writer *w;
    assert_ok(ftl_file_writer_open(&w, path_a));
    assert_ok(ftl_file_writer_write(w, "new", 3));
    ftl_file_writer_abort(w);
    ftl_file_writer_abort(NULL);
    assert_content(path_a, "old");
    assert_int_equal(count_temporaries(), 0);
}

static void link_is_followed_and_mode_is_kept(void **state)
{
    (void)state;
    char link[512];
    snprintf(link, sizeof link, "%s", ftl_test_temp("link"));
    assert_ok(ftl_file_write_all(path_a, "1", 1));
    assert_int_equal(chmod(path_a, 0640), 0);
    assert_int_equal(symlink(path_a, link), 0);
    assert_ok(ftl_file_write_all(link, "2", 1));
    assert_content(path_a, "2");
    struct stat info;
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(path_a, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    unlink(link);
}

static void full_disk_is_one_sentence_and_leaves_nothing(void **state)
{
    (void)state;
    char block[70000] = { 0 };
    ftl_file_writer *w;
    assert_ok(ftl_file_writer_open(&w, "/dev/full"));
    assert_ok(ftl_file_writer_write(w, "x", 1));
    assert_fails(FTL_EIO, ftl_file_writer_commit(w));
    assert_non_null(strstr(ftl_error_text(), "/dev/full: the disk is full"));
    /* A limit on file size is the nearest thing to a full disk for a real temporary. */
    assert_ok(ftl_file_write_all(path_a, "old", 3));
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){ 1000, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const ftl_status opened = ftl_file_writer_open(&w, path_a);
    const ftl_status first = opened ? opened : ftl_file_writer_write(w, block, sizeof block);
    const ftl_status again = opened ? opened : ftl_file_writer_printf(w, "more");
    const ftl_status end = opened ? opened : ftl_file_writer_commit(w);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(opened, FTL_OK);
    assert_int_equal(first, FTL_EIO);
    assert_int_equal(again, FTL_EIO);
    assert_fails(FTL_EIO, end);
    assert_int_equal(count_temporaries(), 0);
    assert_content(path_a, "old");
}

/* As another user, since root may write everywhere. */
static void read_only_folder_is_one_sentence(void **state)
{
    (void)state;
    char folder[512], file[600];
    snprintf(folder, sizeof folder, "%s", ftl_test_temp("locked"));
    snprintf(file, sizeof file, "%s/b.txt", folder);
    assert_int_equal(mkdir(folder, 0555), 0);
    chmod(ftl_test_temp(""), 0755);
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(3);
        ftl_file_writer *w;
        const ftl_status s = ftl_file_writer_open(&w, file);
        const int is_clear =
            strstr(ftl_error_text(), "is not writable") && strstr(ftl_error_text(), folder);
        _exit(s != FTL_EIO ? 1 : !is_clear ? 2 : 0);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 0);
    rmdir(folder);
}

static void wrong_places_are_refused(void **state)
{
    (void)state;
    ftl_file f;
    ftl_file_writer *w;
    char *text, fifo[512];
    assert_fails(FTL_EINVAL, ftl_file_map(&f, ftl_test_temp("")));
    assert_fails(FTL_ENOTFOUND, ftl_file_map(&f, ftl_test_temp("absent")));
    assert_non_null(strstr(ftl_error_text(), "absent"));
    assert_fails(FTL_EINVAL, ftl_file_map(&f, "/dev/zero"));
    snprintf(fifo, sizeof fifo, "%s", ftl_test_temp("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(FTL_EINVAL, ftl_file_map(&f, fifo)); /* and does not wait */
    assert_null(f.data);
    assert_fails(FTL_EINVAL, ftl_file_read_all(&text, NULL, ftl_test_temp(""), 10));
    assert_fails(FTL_ENOTFOUND, ftl_file_read_all(&text, NULL, ftl_test_temp("absent"), 10));
    assert_fails(FTL_EINVAL, ftl_file_writer_open(&w, ftl_test_temp("")));
    assert_fails(FTL_EINVAL, ftl_file_writer_open(&w, ""));
    assert_fails(FTL_EIO, ftl_file_writer_open(&w, ftl_test_temp("no/such/file")));
    assert_non_null(strstr(ftl_error_text(), "does not exist"));
    assert_null(w);
    unlink(fifo);
}

static void limits_and_empty_files(void **state)
{
    (void)state;
    char *text;
    size_t size;
    ftl_file f;
    assert_ok(ftl_file_write_all(path_a, "", 0));
    assert_ok(ftl_file_map(&f, path_a));
    assert_int_equal(f.size, 0);
    assert_non_null(f.data);
    ftl_file_unmap(&f);
    assert_content(path_a, "");
    assert_ok(ftl_file_write_all(path_a, "12345", 5));
    assert_ok(ftl_file_read_all(&text, &size, path_a, 5));
    ftl_free(text);
    assert_fails(FTL_EFORMAT, ftl_file_read_all(&text, &size, path_a, 4));
    assert_null(text);
    assert_fails(FTL_EFORMAT,
                 ftl_file_read_all(&text, &size, "/dev/zero", 200000)); /* without a size */
}

static void failing_memory_leaves_nothing(void **state)
{
    (void)state;
    char *text;
    ftl_file_writer *w;
    ftl_alloc_fail_at(1, false);
    assert_fails(FTL_ENOMEM, ftl_file_writer_open(&w, path_a));
    ftl_alloc_fail_at(1, false);
    assert_fails(FTL_ENOMEM, ftl_file_read_all(&text, NULL, path_a, 100));
    ftl_alloc_fail_at(2, false);
    assert_fails(FTL_ENOMEM, ftl_file_read_all(&text, NULL, "/dev/zero", 1 << 20));
    ftl_alloc_fail_at(0, false);
    assert_int_equal(count_temporaries(), 0);
}

static void on_signal(int number)
{
    (void)number;
    ftl_file_remove_temporaries();
    _exit(9);
}

static void signal_handler_removes_temporaries(void **state)
{
    (void)state;
    assert_int_equal(count_temporaries(), 0);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, on_signal);
        ftl_file_writer *one, *two, *done;
        if (ftl_file_writer_open(&done, path_a) || ftl_file_writer_commit(done)) _exit(1);
        if (ftl_file_writer_open(&one, path_a) || ftl_file_writer_open(&two, path_a)) _exit(1);
        if (ftl_file_writer_write(one, "x", 1)) _exit(1);
        if (count_temporaries() != 2) _exit(2);
        raise(SIGINT);
        _exit(3);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(WEXITSTATUS(code), 9);
    assert_int_equal(count_temporaries(), 0);
    assert_int_equal(ftl_file_remove_temporaries(), 0);
}

static void too_many_open_writers_are_refused(void **state)
{
    (void)state;
    ftl_file_writer *all[64], *more;
    for (int i = 0; i < 64; i++) assert_ok(ftl_file_writer_open(&all[i], path_a));
    assert_fails(FTL_ENOMEM, ftl_file_writer_open(&more, path_a));
    for (int i = 0; i < 64; i++) ftl_file_writer_abort(all[i]);
    assert_int_equal(count_temporaries(), 0);
    assert_ok(ftl_file_write_all(path_a, "x", 1));
}

static void folders_are_made_and_named(void **state)
{
    (void)state;
    char out[600];
    assert_ok(ftl_file_make_folders(ftl_test_temp("d/e//f/")));
    assert_ok(ftl_file_make_folders(ftl_test_temp("d/e/f")));
    struct stat info;
    assert_int_equal(stat(ftl_test_temp("d/e/f"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_ok(ftl_file_make_folders("/"));
    assert_ok(ftl_file_write_all(path_a, "x", 1));
    assert_fails(FTL_EIO, ftl_file_make_folders(path_a));
    snprintf(out, sizeof out, "%s/x", path_a);
    assert_fails(FTL_EIO, ftl_file_make_folders(out));
    assert_fails(FTL_EINVAL, ftl_file_make_folders(""));
    assert_ok(ftl_file_cache_folder(out, sizeof out, "/home/u", "/c"));
    assert_string_equal(out, "/c/fettle");
    assert_ok(ftl_file_cache_folder(out, sizeof out, "/home/u", "relative"));
    assert_string_equal(out, "/home/u/.cache/fettle");
    assert_ok(ftl_file_cache_folder(out, sizeof out, "/home/u", NULL));
    assert_string_equal(out, "/home/u/.cache/fettle");
    assert_fails(FTL_ENOTFOUND, ftl_file_cache_folder(out, sizeof out, NULL, ""));
    assert_fails(FTL_EINVAL, ftl_file_cache_folder(out, 8, "/home/u", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(written_file_maps_and_reads, make_path),
        cmocka_unit_test(large_writes_keep_order),
        cmocka_unit_test(abort_leaves_the_old_file),
        cmocka_unit_test(link_is_followed_and_mode_is_kept),
        cmocka_unit_test(full_disk_is_one_sentence_and_leaves_nothing),
        cmocka_unit_test(read_only_folder_is_one_sentence),
        cmocka_unit_test(wrong_places_are_refused),
        cmocka_unit_test(limits_and_empty_files),
        cmocka_unit_test(failing_memory_leaves_nothing),
        cmocka_unit_test(signal_handler_removes_temporaries),
        cmocka_unit_test(too_many_open_writers_are_refused),
        cmocka_unit_test(folders_are_made_and_named),
    };
    return ftl_test_run(tests);
}
