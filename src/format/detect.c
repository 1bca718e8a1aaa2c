/* SPDX-License-Identifier: Apache-2.0 */
#include "format/detect.h"

#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"

/* Enough for every magic, and for the first member's name of a zip file. */
enum { HEAD_BYTES = 4096 };

typedef struct format_kind {
    const char *name;
    bool is_read;
    const char *advice;
} format_kind;

static const format_kind kinds[FTL_FORMAT_COUNT] = {
    [FTL_FORMAT_UNKNOWN] = { "unknown format", false, NULL },
#define X(ID, name, is_read, advice) [FTL_FORMAT_##ID] = { name, is_read, advice },
#include "format/format_kinds.def"
#undef X
};

static const struct {
    const char *suffix;
    ftl_format format;
} suffixes[] = {
    { ".onnx", FTL_FORMAT_ONNX },
    { ".safetensors", FTL_FORMAT_SAFETENSORS },
    { ".npy", FTL_FORMAT_NPY },
    { ".npz", FTL_FORMAT_NPZ },
    { "-ubyte", FTL_FORMAT_IDX },
    { "-ubyte.gz", FTL_FORMAT_IDX },
    { ".idx", FTL_FORMAT_IDX },
    { ".idx.gz", FTL_FORMAT_IDX },
    { ".png", FTL_FORMAT_PNG },
    { ".jpg", FTL_FORMAT_JPEG },
    { ".jpeg", FTL_FORMAT_JPEG },
    { ".gguf", FTL_FORMAT_GGUF },
    { ".pt", FTL_FORMAT_PYTORCH },
    { ".pth", FTL_FORMAT_PYTORCH },
    { ".h5", FTL_FORMAT_KERAS_H5 },
    { ".hdf5", FTL_FORMAT_KERAS_H5 },
    { ".keras", FTL_FORMAT_KERAS },
    { ".pb", FTL_FORMAT_TF_GRAPH },
    { ".meta", FTL_FORMAT_TF_CHECKPOINT },
    { ".index", FTL_FORMAT_TF_CHECKPOINT },
    { ".data-00000-of-00001", FTL_FORMAT_TF_CHECKPOINT },
    { ".tflite", FTL_FORMAT_TFLITE },
    { ".mindir", FTL_FORMAT_MINDIR },
    { ".ckpt", FTL_FORMAT_MINDSPORE_CHECKPOINT }, /* PyTorch Lightning's are told by content */
    { ".pdmodel", FTL_FORMAT_PADDLE },
};

static const struct {
    size_t offset, bytes;
    const char *magic;
    ftl_format format;
} magics[] = {
    { 0, 6, "\x93NUMPY", FTL_FORMAT_NPY },
    { 0, 8, "\x89PNG\r\n\x1a\n", FTL_FORMAT_PNG },
    { 0, 3, "\xff\xd8\xff", FTL_FORMAT_JPEG },
    { 0, 4, "GGUF", FTL_FORMAT_GGUF },
    { 0, 8, "\x89HDF\r\n\x1a\n", FTL_FORMAT_KERAS_H5 },
    { 4, 4, "TFL3", FTL_FORMAT_TFLITE },
    { 8, 2, "{\"", FTL_FORMAT_SAFETENSORS },
    /* A pickle of protocol 2 to 5, as torch.save wrote before its zip format. */
    { 0, 2, "\x80\x02", FTL_FORMAT_PYTORCH },
    { 0, 2, "\x80\x03", FTL_FORMAT_PYTORCH },
    { 0, 2, "\x80\x04", FTL_FORMAT_PYTORCH },
    { 0, 2, "\x80\x05", FTL_FORMAT_PYTORCH },
};

static bool ends_with(const char *text, const char *suffix)
{
    const size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcasecmp(text + n - m, suffix) == 0;
}

static ftl_format by_suffix(const char *name)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (ends_with(name, suffixes[i].suffix)) return suffixes[i].format;
    return FTL_FORMAT_UNKNOWN;
}

static bool contains(const void *data, size_t size, const char *text)
{
    return data && memmem(data, size, text, strlen(text)) != NULL;
}

/* numpy, PyTorch and Keras all write zip files: the members near the start tell them apart. */
static ftl_format by_zip(const void *data, size_t size, const char *name)
{
    const ftl_format named = by_suffix(name);
    if (contains(data, size, "/code/") || contains(data, size, "/constants.pkl"))
        return FTL_FORMAT_TORCHSCRIPT;
    if (contains(data, size, "/data.pkl")) return FTL_FORMAT_PYTORCH;
    if (contains(data, size, ".npy")) return FTL_FORMAT_NPZ;
    if (contains(data, size, "metadata.json")) return FTL_FORMAT_KERAS;
    return named;
}

ftl_format ftl_format_detect_bytes(const void *data, size_t size, const char *name)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (size < magics[i].offset + magics[i].bytes) continue;
        if (memcmp(bytes + magics[i].offset, magics[i].magic, magics[i].bytes) == 0)
            return magics[i].format;
    }
    if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0) return by_zip(data, size, name);
    const ftl_format named = by_suffix(name);
    if (named != FTL_FORMAT_UNKNOWN) return named;
    /* ir_version (field 1, a small varint), then a text or message of ModelProto. */
    if (size >= 3 && bytes[0] == 0x08 && bytes[1] >= 3 && bytes[1] < 32 && (bytes[2] & 7) == 2)
        return FTL_FORMAT_ONNX;
    if (size >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 8 && bytes[2] <= 14 && bytes[3])
        return FTL_FORMAT_IDX;
    return FTL_FORMAT_UNKNOWN;
}

/* "org/name" of letters, digits and -_. with one slash inside. */
static bool looks_like_hub_name(const char *path)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    const char *slash = strchr(path, '/');
    if (!slash || slash == path || !slash[1] || strchr(slash + 1, '/')) return false;
    if (path[0] == '.' || slash[1] == '.') return false;
    return strspn(path, allowed) == strlen(path) && by_suffix(path) == FTL_FORMAT_UNKNOWN;
}

static bool has_member(const char *folder, const char *member)
{
    char *path = ftl_strprintf("%s/%s", folder, member);
    const bool has = path && access(path, F_OK) == 0;
    ftl_free(path);
    return has;
}

static ftl_format by_folder(const char *path)
{
    if (has_member(path, "saved_model.pb")) return FTL_FORMAT_SAVED_MODEL;
    if (has_member(path, "config.json")) return FTL_FORMAT_HF_FOLDER;
    if (has_member(path, "checkpoint")) return FTL_FORMAT_TF_CHECKPOINT;
    return FTL_FORMAT_UNKNOWN;
}

ftl_status ftl_format_detect(ftl_format *out, const char *path)
{
    *out = FTL_FORMAT_UNKNOWN;
    struct stat info;
    if (stat(path, &info) != 0) {
        const int why = errno;
        if (why == ENOENT && looks_like_hub_name(path)) {
            *out = FTL_FORMAT_HUB_NAME;
            return FTL_OK;
        }
        return ftl_fail(why == ENOENT || why == ENOTDIR ? FTL_ENOTFOUND : FTL_EIO, "%s: %s", path,
                        strerror(why));
    }
    if (S_ISDIR(info.st_mode)) {
        *out = by_folder(path);
        return FTL_OK;
    }
    /* O_NONBLOCK: a named pipe must not hang the program before it is known to be no file. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ftl_fail(FTL_EIO, "%s: %s", path, strerror(errno));
    uint8_t head[HEAD_BYTES];
    const ssize_t n = read(fd, head, sizeof head);
    const int why = errno;
    close(fd);
    if (n < 0) return ftl_fail(FTL_EIO, "%s: %s", path, strerror(why));
    *out = ftl_format_detect_bytes(head, (size_t)n, path);
    return FTL_OK;
}

const char *ftl_format_name(ftl_format format)
{
    return kinds[(unsigned)format < FTL_FORMAT_COUNT ? format : FTL_FORMAT_UNKNOWN].name;
}

bool ftl_format_is_read(ftl_format format)
{
    return (unsigned)format < FTL_FORMAT_COUNT && kinds[format].is_read;
}

/* The path up to its suffix; a folder without its last slashes; of a hub name the part behind the
 * slash. */
static int stem_of(ftl_format format, const char *path, const char **start)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    *start = format == FTL_FORMAT_HUB_NAME && slash ? slash + 1 : path;
    size_t n = strlen(*start);
    if (format == FTL_FORMAT_HUB_NAME) return (int)n;
    if (dot && dot > path && (!slash || dot > slash + 1)) n = (size_t)(dot - path);
    while (n > 1 && path[n - 1] == '/') n--;
    return (int)n;
}

ftl_status ftl_format_need_read(ftl_format format, const char *path)
{
    if (ftl_format_is_read(format)) return FTL_OK;
    const format_kind *kind =
        &kinds[(unsigned)format < FTL_FORMAT_COUNT ? format : FTL_FORMAT_UNKNOWN];
    if (!kind->advice)
        return ftl_fail(
            FTL_EUNSUPPORTED,
            "%s: no format that fettle knows; it reads ONNX and safetensors models, npy, "
            "npz and idx tensors, PNG and JPEG pictures",
            path);
    const char *start;
    const int n = stem_of(format, path, &start);
    char *stem = ftl_strprintf("%.*s", n, start);
    if (!stem) return ftl_fail(FTL_ENOMEM, "%s is %s, which is not read", path, kind->name);
    char text[900];
    /* The formats are the literals of format_kinds.def. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, kind->advice, path, stem);
#pragma GCC diagnostic pop
    ftl_free(stem);
    return ftl_fail(FTL_EUNSUPPORTED, "%s", text);
}
