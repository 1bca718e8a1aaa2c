/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what the harnesses share: the entry that libFuzzer and replay.c call. */
#ifndef FTL_TESTS_FUZZ_H
#define FTL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "format/host_tensor.h"

/* Parses the bytes as one format and touches all that comes out.  Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte, so that a view outside its file is seen by AddressSanitizer. */
static inline void fuzz_touch(const ftl_host_tensor *tensor)
{
    volatile uint8_t sink = 0;
    for (size_t i = 0; tensor->data && i < tensor->bytes; i++)
        sink ^= ((const uint8_t *)tensor->data)[i];
    (void)sink;
}

static inline void fuzz_touch_all(const ftl_host_tensors *tensors)
{
    for (size_t i = 0; i < tensors->count; i++) {
        fuzz_touch(&tensors->items[i]);
        if (ftl_host_tensors_find(tensors, tensors->items[i].name) != &tensors->items[i])
            __builtin_trap();
    }
}

#endif
