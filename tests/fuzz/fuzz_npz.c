/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_npz *npz;
    if (ftl_npz_parse(&npz, data, size, "fuzz.npz") == FTL_OK) fuzz_touch_all(ftl_npz_tensors(npz));
    ftl_npz_close(npz);
    return 0;
}
