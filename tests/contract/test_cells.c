/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, cells, transfers, queues: the rules of backend.h and device.h below programs. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "contract/contract.h"
#include "support/graphs.h"

enum { KB = 1024 };

static ftl_queue *queue_of(ftl_device *device)
{
    ftl_queue *queue;
    assert_ok(ftl_queue_create(&queue, device, 1));
    return queue;
}

static ftl_buffer *cell_of(ftl_device *device, ftl_tensor_desc desc)
{
    ftl_buffer *cell;
    assert_ok(ftl_buffer_create(&cell, device, &desc));
    assert_ptr_equal(cell->device, device);
    assert_int_equal(cell->bytes, ftl_desc_bytes_checked(&desc));
    assert_true(ftl_desc_equal(&cell->desc, &desc));
    return cell;
}

/* ---- devices ------------------------------------------------------------------------------- */

static void info_is_sane_and_caps_are_honest(void **unused)
{
    (void)unused;
    ftl_device_info info;
    assert_ok(ftl_device_get_info(contract_device, &info));
    assert_string_equal(ftl_device_backend_name(contract_device), contract_name);
    assert_int_equal(info.struct_size, sizeof info);
    assert_true(info.name[0] != 0 && memchr(info.name, 0, sizeof info.name));
    assert_int_equal(info.n_members, 1);
    assert_true(info.alignment_bytes && !(info.alignment_bytes & (info.alignment_bytes - 1)));
    assert_true(info.dtype_mask & 1u << FTL_DTYPE_F32);
    assert_false(info.dtype_mask & 1u << FTL_DTYPE_NONE);
    assert_false(info.dtype_mask >> FTL_DTYPE_COUNT);
    assert_true(!info.memory_bytes || info.free_bytes <= info.memory_bytes);
    assert_true(info.flops_per_s >= 0 && info.bytes_per_s >= 0);
    assert_int_equal((info.caps & FTL_CAP_EMULATED) != 0, contract_is("fake"));
    const ftl_backend *b = contract_device->backend;
    assert_true(!(info.caps & FTL_CAP_WRAP_HOST) || b->buffer_wrap);
    assert_true(!(info.caps & FTL_CAP_SUBBUFFER) || b->buffer_view);
    assert_true(!(info.caps & FTL_CAP_ASYNC) || (b->event_wait && b->event_destroy));
    assert_false(info.caps & FTL_CAP_COMPILE_ONLY);
    assert_null(ftl_device_extension(contract_device, "no such extension"));
}

static void backend_fills_every_slot_that_is_no_option(void **unused)
{
    (void)unused;
    const ftl_backend *b = ftl_backend_find(contract_name);
    assert_ptr_equal(b, contract_device->backend);
    assert_int_equal(b->abi, FTL_BACKEND_ABI);
    assert_int_equal(b->struct_size, sizeof *b);
    assert_true(b->count && b->open && b->close && b->info && b->buffer_create);
    assert_true(b->buffer_destroy && b->upload && b->download && b->queue_create);
    assert_true(b->queue_destroy && b->supports && b->compile && b->program_info && b->run);
    assert_non_null(b->program_destroy);
    assert_int_equal(b->pack != NULL, b->weight_layout != NULL);
}

static void wrong_spellings_are_answered(void **unused)
{
    (void)unused;
    char text[64];
    ftl_device *device;
    assert_fails(FTL_ENOTFOUND, ftl_device_open_name(&device, "nope", NULL));
    assert_null(device);
    assert_non_null(strstr(ftl_error_text(), "cpu"));
    assert_fails(FTL_ENOTFOUND,
                 ftl_device_open_name(&device, "a name longer than any backend has:0", NULL));
    snprintf(text, sizeof text, "%s:", contract_name);
    assert_fails(FTL_EINVAL, ftl_device_open_name(&device, text, NULL));
    const bool needs_path = contract_is("pjrt");
    snprintf(text, sizeof text, "%s:%s", contract_name, needs_path ? "/nowhere.so" : "77");
    assert_fails(FTL_ENOTFOUND, ftl_device_open_name(&device, text, NULL));
    assert_null(device);
    assert_null(ftl_backend_find("nope"));
    assert_null(ftl_backend_at(-1));
    ftl_device_close(NULL);
}

/* ---- cells --------------------------------------------------------------------------------- */

/* A dirty cell goes, a new one of the same size comes: it must not show the old bytes. */
static void fresh_cells_read_as_zeros(void **unused)
{
    (void)unused;
    ftl_queue *queue = queue_of(contract_device);
    static const int64_t sizes[] = { 0, 1, 63, 4 * KB, 300 * KB };
    for (ftl_dtype d = FTL_DTYPE_F32; d < (ftl_dtype)FTL_DTYPE_COUNT; d++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const ftl_tensor_desc desc = { d, 1, { sizes[i] } };
            const size_t bytes = ftl_desc_bytes_checked(&desc);
            unsigned char *host = malloc(bytes + 1);
            assert_non_null(host);
            for (int round = 0; round < 2; round++) {
                ftl_buffer *cell = cell_of(contract_device, desc);
                memset(host, 0xff, bytes + 1);
                assert_ok(ftl_buffer_download(queue, cell, host, bytes));
                for (size_t k = 0; k < bytes; k++) assert_int_equal(host[k], 0);
                assert_int_equal(host[bytes], 0xff);
                memset(host, 1, bytes);
                assert_ok(ftl_buffer_upload(queue, cell, host, bytes));
                ftl_buffer_destroy(cell);
            }
            free(host);
        }
    ftl_queue_destroy(queue);
}

static void round_trip(ftl_queue *queue, const ftl_tensor_desc *desc)
{
    ftl_buffer *cell = cell_of(contract_device, *desc);
    unsigned char *sent = malloc(cell->bytes + 1), *got = malloc(cell->bytes + 1);
    assert_true(sent && got);
    for (uint64_t seed = 0; seed < 2; seed++) { /* the second replaces the first */
        contract_fill(sent, desc, seed);
        memset(got, 0, cell->bytes + 1);
        assert_ok(ftl_buffer_upload(queue, cell, sent, cell->bytes));
        assert_ok(ftl_buffer_download(queue, cell, got, cell->bytes));
        assert_memory_equal(sent, got, cell->bytes);
        assert_ok(ftl_buffer_download(queue, cell, got, cell->bytes)); /* reading changes nothing */
        assert_memory_equal(sent, got, cell->bytes);
    }
    free(sent);
    free(got);
    ftl_buffer_destroy(cell);
}

/* Any bits come back, those of NaNs too. */
static void every_type_and_rank_makes_the_round_trip(void **unused)
{
    (void)unused;
    static const ftl_tensor_desc shapes[] = {
        { 0, 0, { 0 } },        { 0, 1, { 1 } },           { 0, 1, { 1021 } },
        { 0, 2, { 7, 33 } },    { 0, 4, { 2, 3, 5, 17 } }, { 0, 8, { 2, 1, 3, 1, 2, 2, 1, 5 } },
        { 0, 1, { 0 } },        { 0, 3, { 4, 0, 5 } },     { 0, 8, { 1, 1, 1, 1, 1, 1, 1, 0 } },
        { 0, 2, { 257, 513 } },
    };
    ftl_queue *queue = queue_of(contract_device);
    for (ftl_dtype d = FTL_DTYPE_F32; d < (ftl_dtype)FTL_DTYPE_COUNT; d++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            ftl_tensor_desc desc = shapes[i];
            desc.dtype = d;
            round_trip(queue, &desc);
        }
    ftl_queue_destroy(queue);
}

static void wrong_sizes_are_refused_and_change_nothing(void **unused)
{
    (void)unused;
    ftl_queue *queue = queue_of(contract_device);
    ftl_buffer *cell = cell_of(contract_device, DESC(F32, 4));
    const float sent[5] = { 1, 2, 3, 4, 5 };
    float got[5] = { 0 };
    assert_ok(ftl_buffer_upload(queue, cell, sent, 16));
    static const size_t wrong[] = { 0, 1, 15, 17, 20, SIZE_MAX };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_fails(FTL_EINVAL, ftl_buffer_upload(queue, cell, &sent[1], wrong[i]));
        assert_fails(FTL_EINVAL, ftl_buffer_download(queue, cell, got, wrong[i]));
    }
    assert_ok(ftl_buffer_download(queue, cell, got, 16));
    assert_memory_equal(sent, got, 16);
    ftl_buffer_destroy(cell);
    ftl_queue_destroy(queue);
}

static void tensors_that_cannot_be_are_refused(void **unused)
{
    (void)unused;
    const int64_t huge = INT64_MAX / 2; /* elements that int64_t counts, bytes it does not */
    const ftl_tensor_desc wrong[] = {
        { FTL_DTYPE_NONE, 1, { 4 } },     { (ftl_dtype)99, 1, { 4 } },
        { FTL_DTYPE_F32, 9, { 1 } },      { FTL_DTYPE_F32, -1, { 1 } },
        { FTL_DTYPE_F32, 1, { -1 } },     { FTL_DTYPE_F32, 1, { huge } },
        { FTL_DTYPE_U8, 2, { huge, 8 } },
    };
    ftl_buffer *cell;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cell = (ftl_buffer *)&cell;
        assert_fails(FTL_EINVAL, ftl_buffer_create(&cell, contract_device, &wrong[i]));
        assert_null(cell);
    }
    ftl_buffer_destroy(NULL);
}

static uint64_t free_bytes(ftl_device *device)
{
    ftl_device_info info;
    assert_ok(ftl_device_get_info(device, &info));
    return info.free_bytes;
}

static void memory_limit_is_kept_and_given_back(void **unused)
{
    (void)unused;
    enum { LIMIT = 1024 * KB, CELL = 100 * KB, MOST = LIMIT / CELL + 1 };
    const ftl_device_options o = { .struct_size = sizeof o, .memory_limit_bytes = LIMIT };
    ftl_device *device = contract_open(&o);
    const uint64_t before = free_bytes(device);
    const int64_t live = ftl_alloc_live();
    assert_true(before <= LIMIT);
    ftl_buffer *cells[MOST + 1] = { NULL };
    const ftl_tensor_desc desc = DESC(U8, CELL), all = DESC(U8, LIMIT + 1);
    int n = 0;
    while (n < MOST && ftl_buffer_create(&cells[n], device, &desc) == FTL_OK) n++;
    assert_int_equal(n, LIMIT / CELL);
    assert_fails(FTL_ENOMEM, ftl_buffer_create(&cells[n], device, &desc));
    assert_null(cells[n]);
    assert_true(free_bytes(device) <= before - (uint64_t)n * CELL);
    ftl_buffer_destroy(cells[--n]);
    assert_ok(ftl_buffer_create(&cells[n], device, &desc)); /* there is room again */
    for (int i = 0; i <= n; i++) ftl_buffer_destroy(cells[i]);
    assert_fails(FTL_ENOMEM, ftl_buffer_create(&cells[0], device, &all));
    for (uint64_t nth = 1; nth <= 2; nth++) { /* the host has no memory: nothing stays counted */
        ftl_alloc_fail_at(nth, true);
        if (ftl_buffer_create(&cells[0], device, &desc) == FTL_OK) ftl_buffer_destroy(cells[0]);
        ftl_alloc_fail_at(0, false);
        assert_int_equal(free_bytes(device), before);
    }
    assert_int_equal(free_bytes(device), before);
    assert_int_equal(ftl_alloc_live(), live);
    ftl_device_close(device);
}

/* ---- wrapped host memory ------------------------------------------------------------------- */

static void host_memory_is_wrapped_or_refused(void **unused)
{
    (void)unused;
    ftl_queue *queue = queue_of(contract_device);
    static const float host[6] = { 1, -2, 3, -4, 5, -6 };
    const ftl_tensor_desc desc = DESC(F32, 2, 3);
    float got[6] = { 0 };
    ftl_buffer *cell;
    if (!(contract_caps() & FTL_CAP_WRAP_HOST)) {
        assert_fails(FTL_EUNSUPPORTED,
                     ftl_buffer_wrap(&cell, contract_device, &desc, host, sizeof host));
        assert_null(cell);
        ftl_queue_destroy(queue);
        return;
    }
    assert_fails(FTL_EINVAL, ftl_buffer_wrap(&cell, contract_device, &desc, host, 20));
    assert_null(cell);
    assert_fails(FTL_EINVAL, ftl_buffer_wrap(&cell, contract_device, &desc, NULL, sizeof host));
    assert_null(cell);
    const int64_t live = ftl_alloc_live();
    assert_ok(ftl_buffer_wrap(&cell, contract_device, &desc, host, sizeof host));
    assert_ok(ftl_buffer_download(queue, cell, got, sizeof got));
    assert_memory_equal(host, got, sizeof got);
    /* `host` lies in read-only memory: a write would end the program. */
    assert_fails(FTL_EINVAL, ftl_buffer_upload(queue, cell, got, sizeof got));
    ftl_buffer *own = cell_of(contract_device, desc);
    assert_fails(FTL_EINVAL, ftl_buffer_copy(queue, cell, queue, own));
    assert_ok(ftl_buffer_copy(queue, own, queue, cell));
    ftl_buffer_destroy(own);
    ftl_buffer_destroy(cell);
    assert_int_equal(ftl_alloc_live(), live);
    ftl_queue_destroy(queue);
}

/* ---- copies -------------------------------------------------------------------------------- */

static void copy_between(ftl_device *from_device, ftl_device *to_device,
                         const ftl_tensor_desc *desc)
{
    ftl_queue *from_queue = queue_of(from_device), *to_queue = queue_of(to_device);
    ftl_buffer *from = cell_of(from_device, *desc), *to = cell_of(to_device, *desc);
    unsigned char *sent = malloc(from->bytes + 1), *got = calloc(1, from->bytes + 1);
    assert_true(sent && got);
    contract_fill(sent, desc, 3);
    assert_ok(ftl_buffer_upload(from_queue, from, sent, from->bytes));
    assert_ok(ftl_buffer_copy(to_queue, to, from_queue, from));
    memset(sent, 0, from->bytes); /* the copy is its own: the original may change */
    assert_ok(ftl_buffer_upload(from_queue, from, sent, from->bytes));
    contract_fill(sent, desc, 3);
    assert_ok(ftl_buffer_download(to_queue, to, got, to->bytes));
    assert_memory_equal(sent, got, to->bytes);
    assert_ok(ftl_buffer_copy(to_queue, to, to_queue, to));
    assert_ok(ftl_buffer_download(to_queue, to, got, to->bytes));
    assert_memory_equal(sent, got, to->bytes);
    free(sent);
    free(got);
    ftl_buffer_destroy(from);
    ftl_buffer_destroy(to);
    ftl_queue_destroy(from_queue);
    ftl_queue_destroy(to_queue);
}

static void copies_between_all_backends_keep_the_bytes(void **unused)
{
    (void)unused;
    const ftl_tensor_desc shapes[] = { DESC(F32, 33, 7), DESC0(I64), DESC(BOOL, 0, 3), DESC(F16, 5),
                                       DESC(U8, 200 * KB) };
    ftl_device *devices[CONTRACT_BACKENDS];
    const int n = contract_open_all(devices);
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
            copy_between(contract_device, devices[i], &shapes[k]);
            copy_between(devices[i], contract_device, &shapes[k]);
        }
    copy_between(contract_device, contract_device, &shapes[0]);
    for (int i = 0; i < n; i++) ftl_device_close(devices[i]);
}

static void wrong_copies_and_queues_are_refused(void **unused)
{
    (void)unused;
    ftl_device *other = contract_open(NULL);
    ftl_queue *queue = queue_of(contract_device), *other_queue = queue_of(other);
    ftl_buffer *four = cell_of(contract_device, DESC(F32, 4));
    ftl_buffer *five = cell_of(contract_device, DESC(F32, 5));
    float host[4] = { 0 };
    assert_fails(FTL_EINVAL, ftl_buffer_copy(queue, four, queue, five));
    assert_fails(FTL_EINVAL, ftl_buffer_copy(other_queue, four, queue, five));
    assert_fails(FTL_EINVAL, ftl_buffer_copy(queue, four, other_queue, four));
    assert_fails(FTL_EINVAL, ftl_buffer_upload(other_queue, four, host, sizeof host));
    assert_fails(FTL_EINVAL, ftl_buffer_download(other_queue, four, host, sizeof host));
    ftl_buffer_destroy(four);
    ftl_buffer_destroy(five);
    ftl_queue_destroy(queue);
    ftl_queue_destroy(other_queue);
    ftl_device_close(other);
}

static void queue_has_the_threads_that_were_asked_for(void **unused)
{
    (void)unused;
    for (uint32_t n = 0; n <= 3; n++) {
        ftl_queue *queue;
        assert_ok(ftl_queue_create(&queue, contract_device, n));
        assert_true(ftl_queue_threads(queue) >= 1);
        if (n) assert_int_equal(ftl_queue_threads(queue), n);
        assert_ptr_equal(queue->device, contract_device);
        ftl_queue_destroy(queue);
    }
    ftl_queue_destroy(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_is_sane_and_caps_are_honest),
        cmocka_unit_test(backend_fills_every_slot_that_is_no_option),
        cmocka_unit_test(wrong_spellings_are_answered),
        cmocka_unit_test(fresh_cells_read_as_zeros),
        cmocka_unit_test(every_type_and_rank_makes_the_round_trip),
        cmocka_unit_test(wrong_sizes_are_refused_and_change_nothing),
        cmocka_unit_test(tensors_that_cannot_be_are_refused),
        cmocka_unit_test(memory_limit_is_kept_and_given_back),
        cmocka_unit_test(host_memory_is_wrapped_or_refused),
        cmocka_unit_test(copies_between_all_backends_keep_the_bytes),
        cmocka_unit_test(wrong_copies_and_queues_are_refused),
        cmocka_unit_test(queue_has_the_threads_that_were_asked_for),
    };
    return contract_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
