/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cancel.h"

#include <stdatomic.h>

#include "base/status.h"

static atomic_int n_requests; /* lock-free on every target, so fine inside a signal handler */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler needs a lock-free int");

int ftl_cancel_request(void)
{
    return atomic_fetch_add(&n_requests, 1);
}

bool ftl_cancel_is_requested(void)
{
    return atomic_load_explicit(&n_requests, memory_order_relaxed) != 0;
}

ftl_status ftl_cancel_check(void)
{
    if (!ftl_cancel_is_requested()) return FTL_OK;
    return ftl_fail(FTL_ECANCELED,
                    "interrupted; finished files are kept, half-written ones removed");
}

void ftl_cancel_reset(void)
{
    atomic_store(&n_requests, 0);
}
