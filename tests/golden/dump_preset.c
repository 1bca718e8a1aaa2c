/* SPDX-License-Identifier: Apache-2.0 */
/* dump_preset PRESET FOLDER: writes the seeded inputs and weights of a preset, for
 * make_preset_cases.py.  FOLDER/index.txt has a line a tensor: kind, name, type, dims; their
 * little-endian bytes stand one after the other in FOLDER/data.bin. */
#include <stdio.h>

#include "golden/preset_sources.h"

static int write_source(FILE *index, FILE *bytes, const ftl_tensor *t)
{
    const size_t size = ftl_desc_bytes_checked(&t->desc);
    void *data = golden_source(t);
    const int ok = data && fwrite(data, 1, size, bytes) == size;
    ftl_free(data);
    fprintf(index, "%s %s %s", t->kind == FTL_TENSOR_WEIGHT ? "weight" : "input", t->name,
            ftl_dtype_name(t->desc.dtype));
    for (int32_t i = 0; i < t->desc.rank; i++) fprintf(index, " %lld", (long long)t->desc.dim[i]);
    return fprintf(index, "\n") > 0 && ok;
}

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "wb");
}

int main(int argc, char **argv)
{
    ftl_graph *graph;
    if (argc != 3 || golden_preset(&graph, argv[1]) != FTL_OK) {
        fprintf(stderr, "usage: dump_preset PRESET FOLDER\n%s\n", ftl_error_text());
        return 2;
    }
    FILE *index = create(argv[2], "index.txt"), *bytes = create(argv[2], "data.bin");
    const ftl_graph_view *v = ftl_graph_get_view(graph);
    int ok = index && bytes;
    for (int32_t i = 0; ok && i < v->n_sources; i++)
        ok = write_source(index, bytes, &v->tensors[v->sources[i]]);
    if (index && fclose(index) != 0) ok = 0;
    if (bytes && fclose(bytes) != 0) ok = 0;
    ftl_graph_destroy(graph);
    if (!ok) perror(argv[2]);
    return ok ? 0 : 1;
}
