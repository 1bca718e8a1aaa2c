/* SPDX-License-Identifier: Apache-2.0 */
/* pjrt_abi.h - the binary interface of a PJRT plug-in, as far as fettle calls it.
 * Idea: a plug-in exports GetPjrtApi(), which returns a table: 40 bytes of header, then function
 * pointers in an order that has been fixed since API 0.57.  Every function takes one pointer to an
 * argument struct and returns an error handle or NULL.  An argument struct opens with its own
 * size, which is how both sides find out what the other one knows.  Handles are opaque: newer
 * plug-ins put a table pointer inside, which must never be followed.
 *
 *     offset 0          8            16                  40       48
 *     table  | size     | extension  | version (24)      | fn[0]  | fn[1] ...
 *     args   | size     | extension  | handle | in ... out ...
 *
 * Structs that have equal shape for several functions are declared once; each call states the
 * size that the function's own struct has (offset of the last field plus its width, which is not
 * sizeof).  Layouts hold for API 0.57 to 0.117; they were compared field by field with the C header
 * that ships with the CPU plug-in 0.81.  Source of the facts: openxla.org, "PJRT C API". */
#ifndef FTL_BACKEND_PJRT_ABI_H
#define FTL_BACKEND_PJRT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FTL_PJRT_MAJOR = 0,      /* another major number is another binary interface */
    FTL_PJRT_MINOR_MIN = 57, /* the table was last reordered in 0.57             */
    FTL_PJRT_TABLE_HEAD_BYTES = 40
};

typedef enum ftl_pjrt_function {
#define X(name, index, text) FTL_PJRT_##name = index,
#include "backend/pjrt/pjrt_functions.def"
#undef X
} ftl_pjrt_function;

/* Error codes are those of gRPC and absl. */
enum ftl_pjrt_code {
    FTL_PJRT_CANCELLED = 1,
    FTL_PJRT_UNKNOWN = 2, /* program text that does not parse, link errors */
    FTL_PJRT_INVALID_ARGUMENT = 3,
    FTL_PJRT_DEADLINE_EXCEEDED = 4,
    FTL_PJRT_NOT_FOUND = 5,
    FTL_PJRT_PERMISSION_DENIED = 7,
    FTL_PJRT_RESOURCE_EXHAUSTED = 8,
    FTL_PJRT_FAILED_PRECONDITION = 9,
    FTL_PJRT_ABORTED = 10,
    FTL_PJRT_OUT_OF_RANGE = 11,
    FTL_PJRT_UNIMPLEMENTED = 12,
    FTL_PJRT_INTERNAL = 13,
    FTL_PJRT_UNAVAILABLE = 14,
    FTL_PJRT_DATA_LOSS = 15
};

typedef struct ftl_pjrt_head {
    size_t struct_size;
    void *extension; /* always NULL from us */
} ftl_pjrt_head;

typedef void *(*ftl_pjrt_entry)(void *args);     /* an error handle, or NULL     */
typedef void (*ftl_pjrt_void_entry)(void *args); /* Error_Destroy, Error_Message */

typedef struct ftl_pjrt_table {
    ftl_pjrt_head head; /* struct_size covers header and entries */
    struct {
        ftl_pjrt_head head;
        int32_t major, minor;
    } version;
    ftl_pjrt_entry entry[]; /* (struct_size - 40) / 8 of them, any may be NULL */
} ftl_pjrt_table;

/* Attributes, costs and options.  An array of them is stepped by the element's own struct_size. */
typedef struct ftl_pjrt_named_value {
    ftl_pjrt_head head;
    const char *name; /* not NUL-ended */
    size_t name_bytes;
    int32_t kind; /* enum ftl_pjrt_value_kind */
    union {
        const char *text;
        int64_t integer;
        const int64_t *list;
        float real;
        bool flag;
    } value;
    size_t count; /* characters of a text, elements of a list, else 1 */
} ftl_pjrt_named_value;

/* One handle in, nothing out: every *_Destroy, Event_Await, Buffer_Delete.  Size 24. */
typedef struct ftl_pjrt_args_handle {
    ftl_pjrt_head head;
    void *handle;
} ftl_pjrt_args_handle;

/* One handle in, one small value out.  The size is 24 plus the width of the value. */
typedef struct ftl_pjrt_args_get {
    ftl_pjrt_head head;
    void *handle;
    union {
        void *handle;
        size_t size;
        int32_t i32;
        bool flag;
    } out;
} ftl_pjrt_args_get;

/* One handle in, borrowed text out (not NUL-ended).  Size 40. */
typedef struct ftl_pjrt_args_text {
    ftl_pjrt_head head;
    void *handle;
    const char *text;
    size_t bytes;
} ftl_pjrt_args_text;

/* Plugin_Attributes: pointer before count, no handle.  Size 32. */
typedef struct ftl_pjrt_args_attributes {
    ftl_pjrt_head head;
    const ftl_pjrt_named_value *values;
    size_t count;
} ftl_pjrt_args_attributes;

/* DeviceDescription_Attributes, Executable_GetCostAnalysis: count before pointer.  Size 40. */
typedef struct ftl_pjrt_args_values {
    ftl_pjrt_head head;
    void *handle;
    size_t count;
    const ftl_pjrt_named_value *values;
} ftl_pjrt_args_values;

/* Client_AddressableDevices, Executable_OutputElementTypes: borrowed array out.  Size 40. */
typedef struct ftl_pjrt_args_array {
    ftl_pjrt_head head;
    void *handle;
    const void *items;
    size_t count;
} ftl_pjrt_args_array;

/* Size 88.  Key-value callbacks serve several processes and stay NULL. */
typedef struct ftl_pjrt_args_client_create {
    ftl_pjrt_head head;
    const ftl_pjrt_named_value *options;
    size_t n_options;
    void *callbacks[4];
    void *client; /* out */
    void *more_callbacks[2];
} ftl_pjrt_args_client_create;

/* bytes_in_use, then optional figures: peak, n_allocs, largest, limit, reserved, peak reserved,
 * reservable, largest free, pool, peak pool; one more in 0.114.  Size 185, 201 since 0.114. */
typedef struct ftl_pjrt_args_device_memory {
    ftl_pjrt_head head;
    void *device;
    int64_t used_bytes;
    struct {
        int64_t value;
        bool is_set;
    } figure[11];
} ftl_pjrt_args_device_memory;
enum { FTL_PJRT_FIGURE_PEAK = 0, FTL_PJRT_FIGURE_LIMIT = 3 };

typedef struct ftl_pjrt_program_text { /* size 48 */
    ftl_pjrt_head head;
    const char *code;
    size_t code_bytes;
    const char *format; /* "mlir": StableHLO text or bytecode */
    size_t format_bytes;
} ftl_pjrt_program_text;

typedef struct ftl_pjrt_args_compile { /* size 56 */
    ftl_pjrt_head head;
    void *client;
    const ftl_pjrt_program_text *program;
    const uint8_t *options; /* serialized CompileOptionsProto */
    size_t options_bytes;
    void *loaded; /* out */
} ftl_pjrt_args_compile;

/* Sizes in bytes.  112 up to 0.81, 120 with `total`, 144 in 0.114; an older plug-in leaves the
 * later fields as they were. */
typedef struct ftl_pjrt_args_program_memory {
    ftl_pjrt_head head;
    void *executable;
    int64_t code, arguments, outputs, alias, temporary;
    int64_t host[5];
    int64_t peak;
    int64_t total;
    int64_t later[3];
} ftl_pjrt_args_program_memory;

typedef struct ftl_pjrt_args_output_dims { /* size 48 */
    ftl_pjrt_head head;
    void *executable;
    size_t n_outputs;
    const int64_t *dims;  /* all outputs' dims one after the other */
    const size_t *n_dims; /* how many of them each output has      */
} ftl_pjrt_args_output_dims;

typedef struct ftl_pjrt_args_serialize { /* size 56 */
    ftl_pjrt_head head;
    void *executable;
    const char *data;
    size_t bytes;
    void *owner;                  /* what `data` points into */
    void (*release)(void *owner); /* the caller calls it     */
} ftl_pjrt_args_serialize;

typedef struct ftl_pjrt_args_load { /* size 64, 72 in 0.114 */
    ftl_pjrt_head head;
    void *client;
    const void *data;
    size_t bytes;
    void *loaded; /* out */
    const void *options;
    size_t options_bytes;
    void *later;
} ftl_pjrt_args_load;

/* Who may touch the host bytes of an upload, and until when. */
enum ftl_pjrt_host_semantics {
    FTL_PJRT_HOST_DURING_CALL = 0,
    FTL_PJRT_HOST_UNTIL_DONE = 1 /* borrowed until the done event fires */
};

typedef struct ftl_pjrt_args_upload { /* size 120 */
    ftl_pjrt_head head;
    void *client;
    const void *data;
    int32_t type; /* ftl_pjrt_type */
    const int64_t *dims;
    size_t n_dims;
    const int64_t *strides; /* NULL: dense row-major */
    size_t n_strides;
    int32_t semantics;
    void *device;
    void *memory;
    void *layout; /* NULL: the plug-in's own choice on the device */
    void *done;   /* out: event                                  */
    void *buffer; /* out                                         */
} ftl_pjrt_args_upload;

/* Host layout of a download: tiled without tiles is a plain order of dims.  Size 76; inner 56. */
typedef struct ftl_pjrt_layout {
    ftl_pjrt_head head;
    ftl_pjrt_head tiled;
    const int64_t *minor_to_major;
    size_t n_minor_to_major;
    const int64_t *tile_dims;
    const size_t *tile_sizes;
    size_t n_tiles;
    int32_t kind; /* 0: tiled */
} ftl_pjrt_layout;

typedef struct ftl_pjrt_args_download { /* size 56 */
    ftl_pjrt_head head;
    void *buffer;
    const ftl_pjrt_layout *layout;
    void *data;   /* NULL: `bytes` comes back as the size needed */
    size_t bytes; /* in, or out                                  */
    void *done;   /* out: event                                  */
} ftl_pjrt_args_download;

/* Size 112 up to 0.81, 120 since 0.97, 144 since 0.114.  What is later is zero from us. */
typedef struct ftl_pjrt_execute_options {
    ftl_pjrt_head head;
    void *callbacks[2];
    size_t n_callbacks[2];
    int32_t launch_id;
    const int64_t *keep; /* arguments that must not be donated */
    size_t n_keep;
    void *context;
    const char *call_location;
    size_t n_tasks;
    void *tasks[2];
    void *later[4];
} ftl_pjrt_execute_options;

typedef struct ftl_pjrt_args_execute { /* size 80 */
    ftl_pjrt_head head;
    void *loaded;
    ftl_pjrt_execute_options *options;
    void *const *const *arguments; /* [device][argument]                   */
    size_t n_devices;
    size_t n_arguments;
    void **const *outputs; /* [device][output], storage of the caller */
    void **done;           /* [device], out: events                   */
    void *device;          /* NULL unless the program is portable     */
} ftl_pjrt_args_execute;

#endif
