/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - the way to every device: the backends behind one set of calls.
 * Each call checks its arguments once for all backends (sizes, signatures, aliases, caps) and
 * supplies what a backend leaves out.  Ownership and thread-safety as in backend.h. */
#ifndef FTL_DEVICE_DEVICE_H
#define FTL_DEVICE_DEVICE_H

#include "device/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Backends in the order of backends.def; NULL past the end. */
const ftl_backend *ftl_backend_at(int32_t i);
const ftl_backend *ftl_backend_find(const char *name);

/* "cpu", "cpu:0", "fake", "pjrt:PATH": one device by its spelling.  FTL_ENOTFOUND: no such backend
 * (with the nearest name) or no such device (with the reason). */
ftl_status ftl_device_open_name(ftl_device **out, const char *spelling,
                                const ftl_device_options *more) FTL_MUST_USE;
ftl_status ftl_device_open(ftl_device **out, const ftl_backend *backend,
                           const ftl_device_options *options) FTL_MUST_USE;
void ftl_device_close(ftl_device *device);
ftl_status ftl_device_get_info(ftl_device *device, ftl_device_info *out) FTL_MUST_USE;
const char *ftl_device_backend_name(const ftl_device *device);
/* NULL when the backend has no such extension. */
const void *ftl_device_extension(ftl_device *device, const char *name);

ftl_status ftl_buffer_create(ftl_buffer **out, ftl_device *device,
                             const ftl_tensor_desc *desc) FTL_MUST_USE;
/* Without FTL_CAP_WRAP_HOST: FTL_EUNSUPPORTED.  `host` outlives the cell and is not written: such a
 * cell is no target of uploads, copies and runs. */
ftl_status ftl_buffer_wrap(ftl_buffer **out, ftl_device *device, const ftl_tensor_desc *desc,
                           const void *host, size_t bytes) FTL_MUST_USE;
void ftl_buffer_destroy(ftl_buffer *buffer);
/* Whole cell, blocking.  FTL_EINVAL: `bytes` is not the cell's, or a packed or wrapped cell would
 * be written. */
ftl_status ftl_buffer_upload(ftl_queue *queue, ftl_buffer *buffer, const void *host,
                             size_t bytes) FTL_MUST_USE;
ftl_status ftl_buffer_download(ftl_queue *queue, ftl_buffer *buffer, void *host,
                               size_t bytes) FTL_MUST_USE;
/* Between any two cells of as many bytes and one layout; staged through host memory when the
 * devices differ.  Blocking. */
ftl_status ftl_buffer_copy(ftl_queue *to_queue, ftl_buffer *to, ftl_queue *from_queue,
                           ftl_buffer *from) FTL_MUST_USE;

/* n_threads 0: the backend chooses. */
ftl_status ftl_queue_create(ftl_queue **out, ftl_device *device, uint32_t n_threads) FTL_MUST_USE;
void ftl_queue_destroy(ftl_queue *queue);
/* Host threads that work for it: what was asked for, or what the backend chose; at least 1. */
uint32_t ftl_queue_threads(const ftl_queue *queue);
/* timeout_ns < 0: for ever.  FTL_ETIMEOUT: not yet, the event lives on.  The late error of the
 * work is the status. */
ftl_status ftl_event_wait(ftl_event *event, int64_t timeout_ns) FTL_MUST_USE;
void ftl_event_destroy(ftl_event *event);

/* FTL_OK or FTL_EUNSUPPORTED with the reason. */
ftl_status ftl_device_supports(ftl_device *device, const ftl_graph *graph,
                               int32_t node) FTL_MUST_USE;
/* The graph with every node the device lacks replaced by its decomposition, again and again.
 * FTL_EUNSUPPORTED: names the first primitive that is lacking.  Owner of *out: the caller. */
ftl_status ftl_device_legalize(ftl_graph **out, ftl_device *device,
                               const ftl_graph *graph) FTL_MUST_USE;
/* Compiles a legal slice.  The slice is not kept.  FTL_EINVAL: not bound, or the backend does not
 * store a weight as options->weight_layout says.  FTL_EUNSUPPORTED: names a node that is not
 * legal. */
ftl_status ftl_program_compile(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                               const ftl_compile_options *options) FTL_MUST_USE;
void ftl_program_destroy(ftl_program *program);
ftl_status ftl_program_get_info(const ftl_program *program, ftl_program_info *out) FTL_MUST_USE;
/* How input `i` of the slice wants to be stored. */
ftl_status ftl_program_weight_layout(const ftl_program *program, uint32_t input, int32_t *layout,
                                     size_t *bytes) FTL_MUST_USE;
/* A cell with the weight in that layout, from row-major host bytes; blocking. */
ftl_status ftl_buffer_pack(ftl_buffer **out, ftl_queue *queue, int32_t layout, const void *host,
                           const ftl_tensor_desc *desc) FTL_MUST_USE;
/* Checks every cell against the slice's signature, then runs; done NULL: blocks to the end.
 * FTL_EINVAL: a cell is missing, wrong or given twice, and nothing was touched.  After another
 * failure the aliased cells are invalid (FTL_ELOST or the cause) until they are uploaded again.
 * Cells, workspace and program outlive the work; *done may be NULL when all is done. */
ftl_status ftl_program_run(const ftl_program *program, ftl_queue *queue, const ftl_run_args *args,
                           ftl_event **done) FTL_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
