/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - mapped files, whole reads, and files that appear complete or not at all.
 * Idea: a writer fills PATH.tmp.<pid>.<n> in the folder of PATH, syncs it, renames it over PATH and
 * syncs the folder.  Every way out but a commit removes the temporary name; a signal handler
 * removes those of the whole process.  Different objects may be used by different threads; one
 * object by one thread at a time.  FTL_EIO everywhere: the system refused, the sentence says
 * why. */
#ifndef FTL_BASE_FILE_H
#define FTL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- reading ------------------------------------------------------------------------------- */

/* A file in memory, read-only, shared with the page cache.  Immutable once mapped, so thread-safe.
 * A file that another process shortens meanwhile gives SIGBUS, as with every mapping. */
typedef struct ftl_file {
    const unsigned char *data; /* never NULL after success, also for an empty file */
    size_t size;               /* bytes */
} ftl_file;

/* The caller unmaps.  FTL_ENOTFOUND: no such file.  FTL_EINVAL: a folder, a pipe or a device. */
FTL_MUST_USE ftl_status ftl_file_map(ftl_file *out, const char *path);
/* Fine on an all-zero object, which it leaves behind. */
void ftl_file_unmap(ftl_file *file);

/* The whole content, of pipes too, with a NUL behind it; owner: the caller, by ftl_free().
 * size may be NULL.  FTL_ENOTFOUND, FTL_EINVAL (a folder), FTL_EFORMAT: more than limit_bytes. */
FTL_MUST_USE ftl_status ftl_file_read_all(char **out, size_t *size, const char *path,
                                          size_t limit_bytes);

/* --- writing ------------------------------------------------------------------------------- */

typedef struct ftl_file_writer ftl_file_writer;

/* A link is followed, an existing file keeps its mode.  What is no regular file (/dev/stdout, a
 * pipe) is written directly.  FTL_EINVAL: a folder. */
FTL_MUST_USE ftl_status ftl_file_writer_open(ftl_file_writer **out, const char *path);
/* The first failure stays: later calls and the commit report it again. */
FTL_MUST_USE ftl_status ftl_file_writer_write(ftl_file_writer *writer, const void *data,
                                              size_t bytes);
FTL_MUST_USE ftl_status ftl_file_writer_printf(ftl_file_writer *writer, const char *format, ...)
    FTL_PRINTF(2, 3);
/* Bytes written so far. */
uint64_t ftl_file_writer_bytes(const ftl_file_writer *writer);
/* Makes PATH the new file.  Takes the writer, also on failure; then PATH is what it was before. */
FTL_MUST_USE ftl_status ftl_file_writer_commit(ftl_file_writer *writer);
/* Removes the temporary and takes the writer.  NULL is fine. */
void ftl_file_writer_abort(ftl_file_writer *writer);

/* Whole file in one call. */
FTL_MUST_USE ftl_status ftl_file_write_all(const char *path, const void *data, size_t bytes);

/* Removes the temporaries of all open writers of this process.  Async-signal-safe: for the handler
 * of SIGINT and SIGTERM, right before the process ends.  Returns their number. */
int ftl_file_remove_temporaries(void);

/* --- folders ------------------------------------------------------------------------------- */

/* mkdir -p with mode 0777 less the umask. */
FTL_MUST_USE ftl_status ftl_file_make_folders(const char *path);
/* Puts "<XDG cache folder>/fettle" into `out`: $XDG_CACHE_HOME where it is an absolute path, else
 * $HOME/.cache (XDG base directory specification 0.8).  The values come from the caller and may be
 * NULL.  Makes no folder.  FTL_ENOTFOUND: neither is usable.  FTL_EINVAL: out is too small. */
FTL_MUST_USE ftl_status ftl_file_cache_folder(char *out, size_t size, const char *home,
                                              const char *xdg_cache_home);

#ifdef __cplusplus
}
#endif
#endif
