/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_safetensors *f;
    if (ftl_safetensors_parse(&f, data, size, "fuzz.safetensors") == FTL_OK)
        fuzz_touch_all(ftl_safetensors_tensors(f));
    ftl_safetensors_close(f);
    return 0;
}
