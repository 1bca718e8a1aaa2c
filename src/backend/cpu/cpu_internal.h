/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_internal.h - how a slice becomes a list of steps, and what a step may rely on.
 *
 *   compile:  node --prepare()--> steps (args, chunks, scratch)   then the memory plan
 *   run:      every thread of the queue's pool walks the list; a step's chunks are shared out by a
 *             counter; a barrier ends each step that more than one thread works on
 *
 * Pointers are resolved once a run into a table indexed by tensor, which lies in the workspace, so
 * that a run allocates nothing and a program stays immutable. */
#ifndef FTL_BACKEND_CPU_CPU_INTERNAL_H
#define FTL_BACKEND_CPU_CPU_INTERNAL_H

#include "backend/cpu/gemm.h"
#include "base/pool.h"
#include "core/memplan.h"
#include "core/op.h"
#include "device/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cpu_device {
    ftl_device base;
    ftl_gemm_kernel gemm;          /* of the best ISA allowed when the device was opened */
    const struct ftl_ops_f32 *ops; /* likewise: everything that is no product */
    ftl_gemm_caches caches;
    uint32_t isa;
    uint32_t n_cores;            /* threads when nobody says otherwise */
    uint64_t memory_limit_bytes; /* of cells; 0: none */
    uint64_t used_bytes;         /* by cells of our own; atomic */
} cpu_device;

typedef struct cpu_buffer {
    ftl_buffer base;
    void *data;
    void *owned; /* heap block behind data, or NULL */
    bool is_pages, is_wrapped;
} cpu_buffer;

typedef struct cpu_queue {
    ftl_queue base;
    ftl_pool *pool;
} cpu_queue;

/* One run, shared by all threads. */
typedef struct cpu_run {
    void *const *data; /* of each tensor of the slice */
    char *workspace;
    ftl_pool *pool;
    const int64_t *host_params;
    int status; /* first failure; written by the thread that ran the step (ftl_cpu_run_fail) */
} cpu_run;

typedef struct cpu_step cpu_step;
/* Does chunk `chunk` of the step.  scratch: this thread's own, 64-byte aligned, or NULL. */
typedef void (*cpu_chunk_fn)(const cpu_step *step, cpu_run *run, int64_t chunk, void *scratch);

struct cpu_step {
    cpu_chunk_fn run;
    int64_t n_chunks;
    const ftl_graph *graph; /* of the program */
    const ftl_node *node;
    const void *args; /* in the program's arena; the step's own */
    int32_t node_index;
    size_t shared_bytes;   /* scratch of all threads together, in front       */
    size_t scratch_bytes;  /* of each thread, one behind the other, behind it */
    size_t scratch_offset; /* of the shared part, in the workspace            */
};

typedef struct cpu_program {
    ftl_program base;
    ftl_graph *slice;
    ftl_memplan plan;
    ftl_arena arena;
    cpu_step *steps;
    int32_t n_steps, step_room;
    int32_t *layout; /* of each source: 0 row-major, else cpu_layout */
    uint32_t n_threads;
    size_t table_offset, workspace_bytes;
    double flops, bytes;
} cpu_program;

/* What prepare() works with. */
typedef struct cpu_compile {
    cpu_device *device;
    cpu_program *program;
    const ftl_graph *graph;
    const ftl_graph_view *view;
    ftl_arena *arena;
    const int32_t *wanted_layout; /* of each source, already chosen; NULL: free */
    size_t *node_scratch;         /* most bytes any step of the node needs, all threads together */
} cpu_compile;

/* Records the first failure of a run; any thread. */
void ftl_cpu_run_fail(cpu_run *run, ftl_status status);

/* Appends a step for `node`.  n_chunks >= 1.  shared_bytes: scratch that all steps of the node
 * see (cpu_shared); every step of a node gives the same number. */
ftl_status ftl_cpu_add_step(cpu_compile *c, const ftl_node *node, cpu_chunk_fn run,
                            int64_t n_chunks, const void *args, size_t scratch_bytes,
                            size_t shared_bytes) FTL_MUST_USE;
/* Room for a step's args; NULL and a recorded failure when there is none. */
void *ftl_cpu_args(cpu_compile *c, size_t bytes);
/* Layout that was chosen for the weight in `tensor`; 0 for everything else. */
int32_t ftl_cpu_layout_of(const cpu_compile *c, int32_t tensor);
const ftl_tensor_desc *ftl_cpu_desc(const cpu_compile *c, int32_t tensor);

/* How many pieces to cut `units` of work into: about `grain` operations each at least, and a few
 * for each thread at most. */
int64_t ftl_cpu_chunks(const cpu_compile *c, int64_t units, double operations_per_unit);
/* Tiles that cover `size`. */
static inline int64_t ftl_cpu_tiles(int64_t size, int64_t tile)
{
    return (size + tile - 1) / tile;
}
/* Units [*begin, *end) of chunk `chunk` of `n_chunks`. */
void ftl_cpu_chunk_range(int64_t units, int64_t n_chunks, int64_t chunk, int64_t *begin,
                         int64_t *end);

/* Data of input i, or NULL when it is absent; of output o. */
static inline void *cpu_in(const cpu_step *s, const cpu_run *r, int32_t i)
{
    return i < s->node->n_in && s->node->in[i] >= 0 ? r->data[s->node->in[i]] : NULL;
}
static inline void *cpu_out(const cpu_step *s, const cpu_run *r, int32_t o)
{
    return r->data[s->node->out[o]];
}

static inline void *cpu_shared(const cpu_step *s, const cpu_run *r)
{
    return r->workspace + s->scratch_offset;
}

/* Packed forms of weights.  The number goes through weight_layout() and pack(). */
typedef enum cpu_layout_kind {
    CPU_LAYOUT_ROWS = 0,
    CPU_LAYOUT_LINEAR = 1, /* [N, K] as panels of the gemm's B                       */
    CPU_LAYOUT_CONV = 2    /* [O, I, KH, KW] as panels of the gemm's A; groups above */
} cpu_layout_kind;
enum { CPU_LAYOUT_SHIFT = 4 };

/* The row of an op: all three may be NULL.
 * layout: the form that the node wants for its weight input i, or 0.
 * can: FTL_OK when prepare() takes the node; else the reference evaluator runs it.
 * may_overwrite: as in memplan.h. */
typedef struct cpu_op {
    ftl_status (*prepare)(cpu_compile *c, const ftl_node *node);
    bool (*can)(const ftl_graph *graph, const ftl_node *node);
    int32_t (*layout)(const ftl_graph *graph, const ftl_node *node, int32_t i);
    bool (*may_overwrite)(const ftl_graph *graph, const ftl_node *node, int32_t o, int32_t i);
} cpu_op;
const cpu_op *ftl_cpu_op_get(ftl_op op);

/* What no row takes (op_eval.c). */
ftl_status ftl_cpu_prepare_eval(cpu_compile *c, const ftl_node *node); /* op_eval.c */

/* Epilogue of a node's activation; FTL_EPILOGUE_N when the kernels have none for it. */
ftl_epilogue_act ftl_cpu_epilogue_act(const ftl_attr_act *act);

#ifdef __cplusplus
}
#endif
#endif
