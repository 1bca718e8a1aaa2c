/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "format/onnx_file.h"

static size_t touch_graph(const ftl_onnx_graph *g)
{
    size_t n = strlen(g->name);
    for (size_t i = 0; i < g->n_initializers; i++) fuzz_touch(&g->initializers[i].host);
    for (size_t i = 0; i < g->n_inputs; i++)
        for (size_t k = 0; k < g->inputs[i].rank; k++) n += strlen(g->inputs[i].dims[k].param);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const ftl_onnx_node *node = &g->nodes[i];
        n += strlen(node->name) + strlen(node->op_type) + strlen(node->domain);
        for (size_t k = 0; k < node->n_inputs; k++) n += strlen(node->inputs[k]);
        for (size_t k = 0; k < node->n_outputs; k++) n += strlen(node->outputs[k]);
        for (size_t k = 0; k < node->n_attrs; k++) {
            const ftl_onnx_attr *a = &node->attrs[k];
            n += strlen(a->name) + strlen(a->s);
            if (a->t) fuzz_touch(&a->t->host);
            if (a->g) n += touch_graph(a->g);
            for (size_t j = 0; j < a->n; j++)
                n += a->strings ? strlen(a->strings[j])
                     : a->ints  ? a->ints[j] != 0
                                : a->floats[j] != 0;
        }
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ftl_onnx_file *f;
    if (ftl_onnx_file_parse(&f, data, size, "fuzz.onnx") == FTL_OK) {
        const volatile size_t n = touch_graph(&ftl_onnx_file_model(f)->graph);
        (void)n;
        ftl_onnx_file_metadata(f, "mean");
    }
    ftl_onnx_file_close(f);
    return 0;
}
