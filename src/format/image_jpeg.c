/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG through libjpeg-turbo.  The one place of fettle with setjmp: libjpeg's error handler must
 * not return, and its interface knows no other way out.  Nothing but plain locals of decode() lives
 * across the jump, and those it reads afterwards are in the struct.  A damaged file that libjpeg
 * would patch up with grey (a warning) is refused. */
#include "format/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>

#include "base/alloc.h"

/* Progressive files may hold thousands of scans, each costing a pass over the picture. */
enum { SCANS_MAX = 100 };

typedef struct jpeg_state {
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
    ftl_image *out;
    const char *name;
    ftl_status status;
} jpeg_state;

static void on_error(j_common_ptr jpeg)
{
    jpeg_state *s = jpeg->client_data;
    jpeg->err->format_message(jpeg, s->text);
    longjmp(s->escape, 1);
}

/* Level -1 is a warning: the data is corrupt. */
static void on_message(j_common_ptr jpeg, int level)
{
    if (level < 0) on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg)
{
    jpeg_state *s = jpeg->client_data;
    if (s->jpeg.input_scan_number <= SCANS_MAX) return;
    snprintf(s->text, sizeof s->text, "more than %d scans", SCANS_MAX);
    longjmp(s->escape, 1);
}

/* Runs under the setjmp of ftl_image_parse_jpeg. */
static void decode(jpeg_state *s, const void *data, size_t size)
{
    struct jpeg_decompress_struct *jpeg = &s->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &s->progress;
    jpeg->mem->max_memory_to_use = 1L << 30;
    jpeg_mem_src(jpeg, data, (unsigned long)size);
    jpeg_read_header(jpeg, TRUE);
    s->status = ftl_image_create(s->out, jpeg->image_width, jpeg->image_height, s->name);
    if (s->status != FTL_OK) return;
    if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK) {
        s->status = ftl_fail(FTL_EUNSUPPORTED, "%s: a CMYK JPEG; convert it to RGB first", s->name);
        return;
    }
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = s->out->rgb + (size_t)jpeg->output_scanline * jpeg->output_width * 3;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
}

ftl_status ftl_image_parse_jpeg(ftl_image *out, const void *data, size_t size, const char *name)
{
    *out = (ftl_image){ 0 };
    jpeg_state *s = ftl_calloc(1, sizeof *s);
    if (!s) return ftl_fail(FTL_ENOMEM, "%s: no memory to decode it", name);
    s->jpeg.err = jpeg_std_error(&s->errors);
    s->jpeg.client_data = s;
    s->errors.error_exit = on_error;
    s->errors.emit_message = on_message;
    s->progress.progress_monitor = on_progress;
    s->out = out;
    s->name = name;
    if (setjmp(s->escape) == 0) decode(s, data, size);
    else
        s->status = ftl_fail(strstr(s->text, "memory") ? FTL_ENOMEM : FTL_EFORMAT,
                             "%s: damaged JPEG: %s", name, s->text);
    const ftl_status status = s->status;
    jpeg_destroy_decompress(&s->jpeg);
    ftl_free(s);
    if (status != FTL_OK) ftl_image_deinit(out);
    return status;
}
