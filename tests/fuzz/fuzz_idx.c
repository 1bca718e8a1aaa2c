/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_host_tensor t;
    if (ftl_idx_parse(&t, data, size, "fuzz.idx") == FTL_OK) fuzz_touch(&t);
    ftl_host_tensor_deinit(&t);
    return 0;
}
