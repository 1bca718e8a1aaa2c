/* SPDX-License-Identifier: Apache-2.0 */
/* Primitives for which there is no kernel (rare types and combinations): the reference evaluator
 * on one thread.  Right everywhere, fast nowhere; `plan --verbose` names such nodes. */
#include "backend/cpu/cpu_internal.h"
#include "core/eval.h"

enum { MOST_OUTPUTS = 4 };

static void run_eval(const cpu_step *s, cpu_run *r, int64_t chunk, void *scratch)
{
    (void)chunk;
    const void **in = scratch; /* room for n_in pointers: a program may run in several queues */
    void *out[MOST_OUTPUTS];
    for (int32_t i = 0; i < s->node->n_in; i++) in[i] = cpu_in(s, r, i);
    for (int32_t o = 0; o < s->node->n_out; o++) out[o] = cpu_out(s, r, o);
    const ftl_status status = ftl_eval_node(s->graph, s->node, in, out);
    if (status != FTL_OK) ftl_cpu_run_fail(r, status);
}

ftl_status ftl_cpu_prepare_eval(cpu_compile *c, const ftl_node *node)
{
    return ftl_cpu_add_step(c, node, run_eval, 1, NULL, ((size_t)node->n_in + 1) * sizeof(void *),
                            0);
}
