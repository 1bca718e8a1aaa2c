/* SPDX-License-Identifier: Apache-2.0 */
/* rates.h - the cost model's numbers out of a profile or a data sheet, and what runs teach. */
#ifndef FTL_PLAN_RATES_H
#define FTL_PLAN_RATES_H

#include "fettle/bench.h"
#include "fettle/catalogue.h"
#include "plan/cost_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* n_threads: of the candidate; between measured counts rates are interpolated.
 * FTL_EINVAL: the profile lacks the peak or the bandwidth that everything rests on. */
ftl_status ftl_rates_from_profile(ftl_rates *out, const ftl_profile *profile,
                                  uint32_t n_threads) FTL_MUST_USE;
/* A chip that nobody measured: peaks and bandwidth of its data sheet at the share that such chips
 * reach, with a wide interval.  FTL_EUNSUPPORTED: the data sheet states neither. */
ftl_status ftl_rates_from_chip(ftl_rates *out, const ftl_chip *chip) FTL_MUST_USE;

/* One node of a run: what the model said of its bound and what it took. */
typedef struct ftl_rates_sample {
    ftl_work_class work;
    double bound_s, seconds; /* without the step */
} ftl_rates_sample;
/* Rows FTL_PROFILE_LEARNED for each class that was seen with this thread count, weighed against
 * what the profile knew: so every run improves the next prediction.  FTL_ENOMEM. */
ftl_status ftl_rates_learn(ftl_profile *profile, uint32_t n_threads,
                           const ftl_rates_sample *samples, size_t n) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
