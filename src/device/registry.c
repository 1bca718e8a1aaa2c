/* SPDX-License-Identifier: Apache-2.0 */
/* The list of backends: backends.def made into an array.  A list, not constructors: a static
 * library would lose those. */
#include <stddef.h>
#include <string.h>

#include "device/device.h"

#define X(name) extern const ftl_backend ftl_backend_##name;
#include "device/backends.def"
#undef X

static const ftl_backend *const backends[] = {
#define X(name) &ftl_backend_##name,
#include "device/backends.def"
#undef X
};

const ftl_backend *ftl_backend_at(int32_t i)
{
    return i >= 0 && (size_t)i < sizeof backends / sizeof backends[0] ? backends[i] : NULL;
}

const ftl_backend *ftl_backend_find(const char *name)
{
    for (int32_t i = 0; ftl_backend_at(i); i++)
        if (strcmp(ftl_backend_at(i)->name, name) == 0) return ftl_backend_at(i);
    return NULL;
}
