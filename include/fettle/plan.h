/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what can be done with a model on a machine, what each way costs, and which is best.
 * A plan is made from a profile (measured here, exported elsewhere, or a data sheet) and the
 * model's graph; it reads no weights.  fit() makes one, measures the best few and fills in what
 * was measured.  Both give the same object, which is immutable afterwards. */
#ifndef FETTLE_PLAN_H
#define FETTLE_PLAN_H

#include "fettle/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_goal {
    FTL_GOAL_LATENCY,    /* seconds of one run                  */
    FTL_GOAL_THROUGHPUT, /* samples a second                    */
    FTL_GOAL_ENERGY,     /* joules a sample                     */
    FTL_GOAL_MEMORY      /* peak bytes, then latency            */
} ftl_goal;

/* Told what is going on and how far it is, 0 to 1; from the calling thread.  May be NULL. */
typedef void (*ftl_progress)(void *arg, const char *what, double done);

typedef struct ftl_plan_options {
    size_t struct_size;
    const char *device;    /* "auto", "cpu", "a,b", "pjrt:PATH"; NULL: "auto"              */
    const char *const *on; /* machines that are not at hand: exported profiles by path,
                                  catalogue names ("gpu:h200"); NULL: this machine             */
    int32_t n_on;
    ftl_goal goal;
    int64_t batch;      /* 0: the model's default; throughput and energy try more       */
    uint32_t n_threads; /* 0: several are tried                                         */
    const struct ftl_session_dim *dims; /* other named dims                                    */
    int32_t n_dims;
    uint64_t max_memory_bytes; /* 0: what the machine has free                                 */
    double max_latency_s;      /* 0: none                                                      */
    double max_error;          /* of max|y - y_f32| / max|y_f32|; < 0: the default, 0.01       */
    uint64_t seed;
    bool is_quick;            /* no profile stored: measure for 2 seconds only                */
    const char *cache_folder; /* of the profile store; NULL: nothing is stored                */
    const char *power_meter;  /* command that prints watts; NULL: what the machine has        */
    ftl_progress progress;
    void *progress_arg;
} ftl_plan_options;
#define FTL_PLAN_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(ftl_plan_options), .max_error = -1                                   \
    }

typedef struct ftl_prediction {
    double latency_s, latency_low_s, latency_high_s; /* 90 % of measurements lie between       */
    double throughput_per_s;                         /* samples                                */
    uint64_t memory_bytes;                           /* peak, exact for what fettle allocates  */
    double energy_j;                                 /* a run; NaN: not available              */
    const char *energy_source;                       /* "rapl package", "catalogue power model",
                                                        or why it is not available             */
    const char *method;                              /* "predicted"                            */
    const char *source;                              /* "profile of this machine, 2026-..."    */
    const char *limit; /* "arithmetic", "memory bandwidth", "overhead" */
} ftl_prediction;

typedef struct ftl_measurement {
    double latency_s, p10_s, p90_s; /* median and percentiles of n runs */
    int32_t n;
    double throughput_per_s;
    uint64_t memory_bytes; /* peak resident minus resident after start-up; 0: not taken        */
    double energy_j;       /* NaN: not available */
    bool is_disturbed;     /* the machine did something else meanwhile                         */
} ftl_measurement;

typedef struct ftl_candidate {
    const char *device;  /* "cpu", "gpu:h200"                                               */
    const char *machine; /* "this machine", a profile's name, "data sheet"                  */
    uint32_t n_threads;  /* 0: not a CPU                                                    */
    int64_t batch;
    const char *dtype;  /* of arithmetic and weights: "f32"                                */
    const char *layout; /* "packed"                                                        */
    bool fits;
    uint64_t missing_bytes; /* when it does not                                                */
    const char *reason;     /* why it is out, and the smallest change that would help; "" : in */
    ftl_prediction predicted;
    bool is_measured;
    ftl_measurement measured;
} ftl_candidate;

typedef struct ftl_passed_over {
    const char *device, *why;
} ftl_passed_over;

/* One row a node of the chosen program. */
typedef struct ftl_plan_node {
    const char *op, *name;
    double flops, bytes, predicted_s, measured_s; /* measured 0: not measured */
} ftl_plan_node;

typedef struct ftl_plan {
    size_t struct_size;
    const char *model; /* as it was opened */
    bool has_weights;
    ftl_goal goal;
    int64_t n_weights;
    double flops;                    /* of one run at the chosen batch */
    const ftl_candidate *candidates; /* best first */
    int32_t n_candidates;
    int32_t chosen;   /* index, or -1: nothing fits */
    int32_t baseline; /* one thread a core, f32, batch as given; -1: none */
    double gain; /* of the chosen over the baseline in the goal, measured by fit; 0: not measured */
    const ftl_passed_over *passed_over;
    int32_t n_passed_over;
    const ftl_plan_node *nodes; /* of the chosen */
    int32_t n_nodes;
    double output_error; /* fit: of the chosen against f32 without any pass; -1: not checked */
} ftl_plan;

/* FTL_OK also when nothing fits (chosen is -1).  FTL_ENOTFOUND: a device, profile or catalogue name
 * that does not exist (nearest name).  Owner of *out: the caller. */
FTL_API ftl_status ftl_plan_create(ftl_plan **out, ftl_model *model,
                                   const ftl_plan_options *options) FTL_MUST_USE;
/* Plans, measures the best few and the baseline in turn, corrects the cost model from what it saw,
 * and checks the winner's numbers. */
FTL_API ftl_status ftl_fit(ftl_plan **out, ftl_model *model,
                           const ftl_plan_options *options) FTL_MUST_USE;
FTL_API void ftl_plan_destroy(ftl_plan *plan);

/* One JSON object, schema "fettle.plan/1" or "fettle.fit/1"; owner: the caller, ftl_text_free(). */
FTL_API ftl_status ftl_plan_json(char **out, const ftl_plan *plan) FTL_MUST_USE;
/* Writes that JSON, complete or not at all. */
FTL_API ftl_status ftl_plan_save(const ftl_plan *plan, const char *path) FTL_MUST_USE;

/* What a saved plan says a session should be; strings are owned by the object. */
typedef struct ftl_saved_plan {
    char device[128], model[1024];
    uint32_t n_threads;
    int64_t batch;
} ftl_saved_plan;
/* FTL_EFORMAT: no plan, or one in which nothing was chosen. */
FTL_API ftl_status ftl_plan_load(ftl_saved_plan *out, const char *path) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
