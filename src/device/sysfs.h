/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs.h - small text files of /proc and /sys, read below a root prefix.
 * Idea: every path is <root><path>, so a recorded tree (tests/profiles/) replays as if it were
 * this machine; root "" is the live one.  The kernel gives these files no size and lets them
 * change under the reader, so they are read, never mapped, and only their first part.
 * What is missing or unreadable is an answer (false), not a failure.  Thread-safe. */
#ifndef FTL_DEVICE_SYSFS_H
#define FTL_DEVICE_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FTL_SYSFS_PATH = 1024, FTL_SYSFS_NAME = 64 };

/* Names of one folder, sorted so that a2 stands before a10. */
typedef struct ftl_sysfs_names {
    char (*names)[FTL_SYSFS_NAME];
    size_t count;
} ftl_sysfs_names;

/* The first bytes - 1 bytes of a file, NUL behind them, white space at the end removed.  false
 * and "" when it cannot be read; errno tells why. */
bool ftl_sysfs_text(char *text, size_t bytes, const char *root, const char *format, ...)
    FTL_PRINTF(4, 5);
/* A number, decimal or 0x...; false and *out = 0 when there is none (the word "max" is none). */
bool ftl_sysfs_u64(uint64_t *out, const char *root, const char *format, ...) FTL_PRINTF(3, 4);
bool ftl_sysfs_exists(const char *root, const char *format, ...) FTL_PRINTF(2, 3);
/* Target of a symbolic link, whole or its last part ("nvidia" of ../../bus/pci/drivers/nvidia). */
bool ftl_sysfs_target(char *text, size_t bytes, const char *root, const char *format, ...)
    FTL_PRINTF(4, 5);
bool ftl_sysfs_link(char *text, size_t bytes, const char *root, const char *format, ...)
    FTL_PRINTF(4, 5);
/* The entries whose name starts with `prefix`, hidden ones left out; none when the folder is
 * absent.  FTL_ENOMEM.  Owner of the names: the caller, by ftl_sysfs_names_deinit(). */
ftl_status ftl_sysfs_list(ftl_sysfs_names *out, const char *prefix, const char *root,
                          const char *format, ...) FTL_PRINTF(4, 5);
void ftl_sysfs_names_deinit(ftl_sysfs_names *names);

/* Copies as much as fits; always ends with NUL. */
void ftl_sysfs_copy(char *to, size_t bytes, const char *from);

#ifdef __cplusplus
}
#endif
#endif
