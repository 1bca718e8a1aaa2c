/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled programs on disk: the blob of ftl_pjrt_program_serialize(), which carries its own key
 * and checksum, under a name that adds what the plug-in does not tell. */
#include "backend/pjrt/pjrt_cache.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpuid.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"

/* Flags that change what the compiler makes, read by the plug-in from its environment. */
static uint64_t hash_flags(uint64_t seed)
{
    static const char *const names[] = { "XLA_FLAGS", "LIBTPU_INIT_ARGS" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (!value) value = "";
        seed = ftl_hash64(value, strlen(value) + 1, seed);
    }
    return seed;
}

static uint64_t hash_host_cpu(uint64_t seed)
{
    char name[128];
    const uint32_t isa = ftl_cpu_isa_detected();
    ftl_cpu_name(name, sizeof name);
    return ftl_hash64(&isa, sizeof isa, ftl_hash64(name, strlen(name), seed));
}

/* Path of the entry; owner: the caller. */
static ftl_status entry_path(char **out, const ftl_pjrt_client *client, const char *text,
                             size_t text_bytes, const ftl_pjrt_compile_options *options,
                             const char *folder)
{
    uint64_t key[2];
    *out = NULL;
    FTL_TRY(ftl_pjrt_program_key(key, client, text, text_bytes, options));
    uint64_t host = hash_flags(key[1]);
    if (strcmp(ftl_pjrt_client_peek_info(client).platform, "cpu") == 0) host = hash_host_cpu(host);
    *out = ftl_strprintf("%s/pjrt-%016" PRIx64 "%016" PRIx64 ".bin", folder, key[0], host);
    return *out ? FTL_OK : ftl_fail(FTL_ENOMEM, "no memory for the name of a cache entry");
}

static ftl_status load_entry(ftl_pjrt_program **out, ftl_pjrt_client *client, const char *text,
                             size_t text_bytes, const ftl_pjrt_compile_options *options,
                             const char *path)
{
    ftl_file file = { 0 };
    *out = NULL;
    FTL_TRY(ftl_file_map(&file, path));
    const ftl_status s =
        ftl_pjrt_program_load(out, client, text, text_bytes, options, file.data, file.size);
    ftl_file_unmap(&file);
    return s;
}

static ftl_status save_entry(const ftl_pjrt_program *program, const char *folder, const char *path)
{
    uint8_t *blob;
    size_t bytes;
    FTL_TRY(ftl_pjrt_program_serialize(&blob, &bytes, program));
    ftl_status s = ftl_file_make_folders(folder);
    if (s == FTL_OK) s = ftl_file_write_all(path, blob, bytes);
    ftl_free(blob);
    return s;
}

ftl_status ftl_pjrt_compile_cached(ftl_pjrt_program **out, ftl_pjrt_client *client,
                                   const char *text, size_t text_bytes,
                                   const ftl_pjrt_compile_options *options, const char *folder)
{
    char *path;
    *out = NULL;
    FTL_TRY(entry_path(&path, client, text, text_bytes, options, folder));
    ftl_status s = load_entry(out, client, text, text_bytes, options, path);
    if (s == FTL_OK) {
        ftl_log(FTL_LOG_DEBUG, "pjrt", "compiled program from %s", path);
        ftl_free(path);
        return FTL_OK;
    }
    if (s != FTL_ENOTFOUND)
        ftl_log(FTL_LOG_WARNING, "pjrt", "%s is compiled anew: %s", path, ftl_error_text());
    s = ftl_pjrt_compile(out, client, text, text_bytes, options);
    if (s == FTL_OK) {
        const ftl_status saved = save_entry(*out, folder, path);
        if (saved != FTL_OK)
            ftl_log(saved == FTL_EUNSUPPORTED ? FTL_LOG_INFO : FTL_LOG_WARNING, "pjrt",
                    "the compiled program is not kept: %s", ftl_error_text());
    }
    ftl_free(path);
    return s;
}
