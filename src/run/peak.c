/* SPDX-License-Identifier: Apache-2.0 */
/* Peak resident memory, as Linux counts it: VmHWM of /proc/self/status, which writing "5" to
 * /proc/self/clear_refs sets back to what is resident.  Where that is forbidden the mark from
 * before stays, and a peak below it cannot be seen: what is resident at the end then counts.
 * Source: Linux Documentation/filesystems/proc.rst. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fettle/run.h"

/* Bytes of a line "VmHWM:   1234 kB"; 0: no such line.  Nothing is allocated here: that would be
 * counted too. */
static uint64_t line_bytes(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? (uint64_t)strtoull(line + strlen(name), NULL, 10) * 1024 : 0;
}

static void read_memory(uint64_t *resident, uint64_t *high)
{
    char text[4096];
    *resident = *high = 0;
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    const ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    if (n <= 0) return;
    text[n] = 0;
    *resident = line_bytes(text, "\nVmRSS:");
    *high = line_bytes(text, "\nVmHWM:");
}

void ftl_peak_start(ftl_peak *peak)
{
    const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        const ssize_t n = write(file, "5", 1);
        (void)n; /* refused: the old mark stays */
        close(file);
    }
    read_memory(&peak->resident_bytes, &peak->high_bytes);
}

uint64_t ftl_peak_bytes(const ftl_peak *peak)
{
    uint64_t resident, high;
    read_memory(&resident, &high);
    if (high == 0 || peak->resident_bytes == 0) return 0;
    const uint64_t most = high > peak->high_bytes ? high : resident;
    return most > peak->resident_bytes ? most - peak->resident_bytes : 1;
}
