/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every file of a folder to a harness, so that the corpus runs with any compiler:
 *   replay_npy FOLDER            each file, and each of its prefixes
 *   replay_npy FOLDER -o SEEDS   writes the decoded files as seeds for libFuzzer instead
 * A file that ends in .hex holds hexadecimal digits, spaces and #-comments; others are taken
 * as they are. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { FILE_MAX = 1 << 20 };

static uint8_t raw[FILE_MAX], decoded[FILE_MAX];

static size_t decode_hex(size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t n_digits = 0;
    for (size_t i = 0; i < n; i++) {
        if (raw[i] == '#')
            while (i < n && raw[i] != '\n') i++;
        const char *digit = i < n && raw[i] ? strchr(digits, raw[i]) : NULL;
        if (!digit) continue;
        const uint8_t value = (uint8_t)(digit - digits);
        uint8_t *byte = &decoded[n_digits / 2];
        *byte = n_digits % 2 ? (uint8_t)(*byte | value) : (uint8_t)(value << 4);
        n_digits++;
    }
    return n_digits / 2;
}

/* The content of a corpus file in decoded[]; SIZE_MAX when it cannot be read. */
static size_t load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return SIZE_MAX;
    const size_t n = fread(raw, 1, sizeof raw, file);
    fclose(file);
    const size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".hex") == 0) return decode_hex(n);
    memcpy(decoded, raw, n);
    return n;
}

static int write_seed(const char *folder, const char *name, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.seed", folder, name);
    FILE *file = fopen(path, "wb");
    const int bad = !file || fwrite(decoded, 1, n, file) != n;
    return (file && fclose(file) != 0) || bad;
}

/* In memory of exactly its size, as libFuzzer does. */
static void feed(size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    memcpy(copy, decoded, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

int main(int argc, char **argv)
{
    const char *seeds = argc == 4 && strcmp(argv[2], "-o") == 0 ? argv[3] : NULL;
    DIR *folder = argc == 2 || seeds ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER [-o SEEDS]\n", argv[0]);
        return 2;
    }
    int n_files = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        const size_t size = load(path);
        if (size == SIZE_MAX || (seeds && write_seed(seeds, entry->d_name, size))) {
            perror(path);
            closedir(folder);
            return 1;
        }
        for (size_t n = 0; !seeds && n <= size; n++) feed(n);
        n_files++;
    }
    closedir(folder);
    printf("%d files replayed\n", n_files);
    return n_files ? 0 : 1;
}
