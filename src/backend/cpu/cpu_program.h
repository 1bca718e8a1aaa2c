/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_program.h - the slots of the backend that deal with programs and layouts (cpu_program.c,
 * cpu_layout.c); cpu.c puts them into its table. */
#ifndef FTL_BACKEND_CPU_CPU_PROGRAM_H
#define FTL_BACKEND_CPU_CPU_PROGRAM_H

#include "backend/cpu/cpu_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

ftl_status ftl_cpu_supports(ftl_device *device, const ftl_graph *graph, int32_t node);
ftl_status ftl_cpu_compile_slice(ftl_program **out, ftl_device *device, const ftl_graph *slice,
                                 const ftl_compile_options *options);
ftl_status ftl_cpu_program_info(const ftl_program *program, ftl_program_info *out);
ftl_status ftl_cpu_weight_layout(const ftl_program *program, uint32_t input, int32_t *layout,
                                 size_t *bytes);
ftl_status ftl_cpu_program_run(const ftl_program *program, ftl_queue *queue,
                               const ftl_run_args *args, ftl_event **done);
void ftl_cpu_program_destroy(ftl_program *program);
extern const ftl_profile_extension ftl_cpu_profile_extension;
extern const ftl_bench_extension ftl_cpu_bench_extension; /* cpu_bench.c */

/* Bytes of a weight in a packed layout, and the packing (src: row-major). */
ftl_status ftl_cpu_layout_bytes(const cpu_device *device, int32_t layout,
                                const ftl_tensor_desc *desc, size_t *bytes);
void ftl_cpu_layout_pack(const cpu_device *device, int32_t layout, const ftl_tensor_desc *desc,
                         void *dst, const void *src);

#ifdef __cplusplus
}
#endif
#endif
