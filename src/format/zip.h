/* SPDX-License-Identifier: Apache-2.0 */
/* zip.h - the members of a zip file in memory: stored and deflated, as numpy writes them.
 * Idea: only the central directory at the end is believed; sizes in local headers are ignored,
 * because writers that stream leave them empty.  Refused with a reason: zip64, encryption,
 * several disks, other methods.  Source: PKWARE APPNOTE 6.3.10.  Immutable once open. */
#ifndef FTL_FORMAT_ZIP_H
#define FTL_FORMAT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ftl_zip_member {
    const char *name;    /* NUL-terminated, in the arena           */
    const uint8_t *data; /* stored or deflated bytes, in the file  */
    size_t packed_bytes; /* of data                                */
    size_t bytes;        /* of the content                         */
    uint32_t crc;        /* CRC-32 of the content                  */
    bool is_deflated;
} ftl_zip_member;

typedef struct ftl_zip {
    ftl_zip_member *members; /* [n_members], in the arena */
    size_t n_members;
    const char *name; /* of the file, borrowed     */
} ftl_zip;

/* Lists the members.  Borrows data and name as long as the list is used. */
ftl_status ftl_zip_parse(ftl_zip *out, ftl_arena *arena, const void *data, size_t size,
                         const char *name);
/* The content of a member, its CRC checked: a view into the file where it is stored, else
 * inflated into the arena. */
ftl_status ftl_zip_content(const ftl_zip *zip, const ftl_zip_member *member, ftl_arena *arena,
                           const uint8_t **out);

#ifdef __cplusplus
}
#endif
#endif
