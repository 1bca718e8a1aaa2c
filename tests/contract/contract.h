/* SPDX-License-Identifier: Apache-2.0 */
/* contract.h - what the programs of the contract suite share.  Each takes the backend's name; the
 * rules and who checks them are listed in README.md. */
#ifndef FTL_TESTS_CONTRACT_CONTRACT_H
#define FTL_TESTS_CONTRACT_CONTRACT_H

#include "core/graph.h"
#include "device/device.h"
#include "support/test.h"

/* Opens the backend that argv names, skips the program where it is absent, runs the tests. */
int contract_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n_tests);

/* The backend under test. */
extern const char *contract_name;
extern ftl_device *contract_device; /* opened without options; lives till the end */
bool contract_is(const char *backend);
uint32_t contract_caps(void);
/* A further device of the backend; to be closed. */
ftl_device *contract_open(const ftl_device_options *more);
ftl_device *contract_open_script(const char *script); /* fake alone */
/* One device of each backend that is here, the one under test among them; to be closed. */
enum { CONTRACT_BACKENDS = 4 };
int contract_open_all(ftl_device *devices[CONTRACT_BACKENDS]);

/* n bytes that depend on the seed; bool: 0 and 1. */
void contract_fill(void *out, const ftl_tensor_desc *desc, uint64_t seed);
/* n floats in [-1, 1). */
void contract_floats(float *out, size_t n, uint64_t seed);

/* A program with all that it needs to run.  Fields are free to change between runs. */
enum { RIG_CELLS = 24 };
typedef struct rig {
    ftl_device *device;
    ftl_queue *queue;
    ftl_graph *legal;
    ftl_program *program;
    int32_t n_in, n_out;
    ftl_buffer *in[RIG_CELLS], *out[RIG_CELLS], *workspace;
    bool is_state[RIG_CELLS];  /* of outputs: the cell is an input's     */
    bool is_shared[RIG_CELLS]; /* of inputs: the cell is another rig's   */
    const int64_t *params;
} rig;

/* Legalizes, compiles, makes every cell (weights row-major and zero until they are put).  On
 * failure the rig is as deinit wants it.  n_threads of program and queue; 0: theirs. */
ftl_status rig_try_init(rig *r, ftl_device *device, const ftl_graph *graph, uint32_t n_threads);
void rig_init(rig *r, ftl_device *device, const ftl_graph *graph, uint32_t n_threads);
void rig_deinit(rig *r); /* all that is there */
/* Row-major bytes into an input, packed where the program wants that. */
ftl_status rig_try_put(rig *r, int32_t input, const void *host);
void rig_put(rig *r, int32_t input, const void *host);
void rig_put_zeros(rig *r); /* into every weight */
void rig_get(rig *r, int32_t output, void *host);
ftl_run_args rig_args(const rig *r);
ftl_status rig_run(rig *r);

/* A bound graph of one linear: x [3,5], w [4,5] (WEIGHT), b [4] (WEIGHT) -> relu(x w^T + b). */
enum { DENSE_X = 15, DENSE_W = 20, DENSE_B = 4, DENSE_Y = 12 };
ftl_graph *contract_dense(void);
/* An F32 desc of rank 1. */
ftl_tensor_desc contract_vector(int64_t n);

#endif
