/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one job from a model's name to what came out: pictures and .npy files in, classes and
 * .npy files out, with what it took.  A program that keeps a model ready uses session.h instead.
 * Results are immutable. */
#ifndef FETTLE_RUN_H
#define FETTLE_RUN_H

#include "fettle/plan.h"
#include "fettle/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to change of the model's own recipe for pictures; all zero: nothing. */
typedef struct ftl_image_change {
    int32_t width, height; /* 0: as it was                                                 */
    bool has_scale, has_mean, has_std, has_resize, is_bgr;
    float scale, mean[3], std[3];
    int32_t resize_shorter; /* with has_resize; 0: squeeze                                  */
} ftl_image_change;

typedef struct ftl_run_options {
    size_t struct_size;
    const char *model; /* as for ftl_model_open(); NULL: the plan's                            */
    const char *plan;  /* path of a saved plan; what is set in `session` comes first           */
    ftl_session_options session; /* device may also be "auto" or "a,b": the first that works     */
    const char *picture; /* PNG or JPEG                                                          */
    const char *const *inputs; /* "NAME=FILE.npy"; NAME= may be left out of a lone input         */
    int32_t n_inputs;
    const char *output_folder; /* gets NAME.npy of every output; NULL: nothing is written        */
    int32_t n_runs; /* timed ones; above 1 one run comes before them.  0: 1                     */
    int32_t n_top;  /* classes to name; 0: 5 when there is a picture or a file of labels, else
                         none                                                                    */
    const char *labels; /* path of a text file, one class a line; NULL: the model's              */
    ftl_image_change image;
    bool times_nodes;
    ftl_progress progress;
    void *progress_arg;
} ftl_run_options;
#define FTL_RUN_OPTIONS_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(ftl_run_options), .session = FTL_SESSION_OPTIONS_INIT                \
    }

typedef struct ftl_run_tensor {
    const char *name;
    ftl_tensor_desc desc;
    const char *source; /* inputs: "file", "picture", "random"; outputs: "model"            */
    const char *file;   /* read or written; "" : none                                       */
} ftl_run_tensor;

typedef struct ftl_run_class {
    int64_t index;
    const char *label; /* "" : the class has no name */
    double probability;
} ftl_run_class;

typedef struct ftl_run_result {
    size_t struct_size;
    const char *model, *device;
    bool has_weights; /* false: seeded random ones */
    uint64_t seed;
    uint32_t n_threads;
    int64_t batch; /* 0: the model has no such dim */
    const ftl_run_tensor *inputs, *outputs;
    int32_t n_inputs, n_outputs;
    /* Seconds of one run.  NaN: too few runs for that percentile. */
    double p10_s, p50_s, p90_s, p99_s;
    int32_t n_runs;
    uint64_t memory_predicted_bytes;
    uint64_t memory_peak_bytes;   /* above what was resident before the model was opened; 0: the
                                   system does not say                                     */
    const char *picture;          /* "" : none                                               */
    ftl_image_prep image;         /* as it was used                                          */
    const ftl_run_class *classes; /* of the first sample, most probable first              */
    int32_t n_classes;
    int64_t n_all_classes;
    bool is_softmax_applied;
    const char *softmax_why; /* "" : there are no classes */
    const ftl_session_node *nodes;
    int32_t n_nodes;
    const ftl_passed_over *passed_over;
    int32_t n_passed_over;
} ftl_run_result;

/* FTL_ENOTFOUND, FTL_EFORMAT, FTL_EUNSUPPORTED, FTL_EINVAL: of the model, a file, a flag, named;
 * FTL_ENOFIT: does not fit the memory; FTL_EIO: an output cannot be written. */
FTL_API ftl_status ftl_run(ftl_run_result **out, const ftl_run_options *options) FTL_MUST_USE;
FTL_API void ftl_run_destroy(ftl_run_result *result);
/* One object, schema "fettle.run/1"; freed by ftl_text_free(). */
FTL_API ftl_status ftl_run_json(char **out, const ftl_run_result *result) FTL_MUST_USE;

/* --- memory of this process ----------------------------------------------------------------- */

/* What was resident when it started; one at a time a process, as the system keeps one mark. */
typedef struct ftl_peak {
    uint64_t resident_bytes, high_bytes;
} ftl_peak;
FTL_API void ftl_peak_start(ftl_peak *peak);
/* The most that was resident since, less what was resident then; 0: the system does not say. */
FTL_API uint64_t ftl_peak_bytes(const ftl_peak *peak);

#ifdef __cplusplus
}
#endif
#endif
