/* SPDX-License-Identifier: Apache-2.0 */
#include "format_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "format/detect.h"

#define KIND(text, name) ftl_format_detect_bytes(text, sizeof(text) - 1, name)

static void content_wins_over_the_name(void **state)
{
    (void)state;
    assert_int_equal(KIND("\x93NUMPY\1\0", "a.onnx"), FTL_FORMAT_NPY);
    assert_int_equal(KIND("\x89PNG\r\n\x1a\n", "a.jpg"), FTL_FORMAT_PNG);
    assert_int_equal(KIND("\xff\xd8\xff\xe0", "a"), FTL_FORMAT_JPEG);
    assert_int_equal(KIND("GGUF\3\0\0\0", "a.bin"), FTL_FORMAT_GGUF);
    assert_int_equal(KIND("\x89HDF\r\n\x1a\n", "model.keras"), FTL_FORMAT_KERAS_H5);
    assert_int_equal(KIND("\x1c\0\0\0TFL3", "a"), FTL_FORMAT_TFLITE);
    assert_int_equal(KIND("\x10\0\0\0\0\0\0\0{\"a\":", "model"), FTL_FORMAT_SAFETENSORS);
    assert_int_equal(KIND("\x08\x08\x12\x07pytorch", "model"), FTL_FORMAT_ONNX);
    assert_int_equal(KIND("\0\0\x08\x03\0\0\0\x0a", "images"), FTL_FORMAT_IDX);
    assert_int_equal(KIND("PK\3\4........archive/data.pkl", "a.ckpt"), FTL_FORMAT_PYTORCH);
    assert_int_equal(KIND("PK\3\4......m/data.pkl..m/code/__torch__.py", "a.pt"),
                     FTL_FORMAT_TORCHSCRIPT);
    assert_int_equal(KIND("PK\3\4........arr_0.npy", "a.zip"), FTL_FORMAT_NPZ);
    assert_int_equal(KIND("PK\3\4........metadata.json", "a.keras"), FTL_FORMAT_KERAS);
    assert_int_equal(KIND("\x80\x02}q", "a.pth"), FTL_FORMAT_PYTORCH);
    assert_int_equal(KIND("whatever", "a.mindir"), FTL_FORMAT_MINDIR);
    assert_int_equal(KIND("whatever", "A.CKPT"), FTL_FORMAT_MINDSPORE_CHECKPOINT);
    assert_int_equal(KIND("", "train-images-idx3-ubyte.gz"), FTL_FORMAT_IDX);
    assert_int_equal(KIND("whatever", "notes.txt"), FTL_FORMAT_UNKNOWN);
    assert_int_equal(KIND("", ""), FTL_FORMAT_UNKNOWN);
}

static void folders_and_names(void **state)
{
    (void)state;
    ftl_format format;
    char folder[512], member[600];
    snprintf(folder, sizeof folder, "%s", ftl_test_temp("saved"));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_ok(ftl_format_detect(&format, folder));
    assert_int_equal(format, FTL_FORMAT_UNKNOWN);
    snprintf(member, sizeof member, "%s/config.json", folder);
    assert_ok(ftl_file_write_all(member, "{}", 2));
    assert_ok(ftl_format_detect(&format, folder));
    assert_int_equal(format, FTL_FORMAT_HF_FOLDER);
    snprintf(member, sizeof member, "%s/saved_model.pb", folder);
    assert_ok(ftl_file_write_all(member, "", 0));
    assert_ok(ftl_format_detect(&format, folder));
    assert_int_equal(format, FTL_FORMAT_SAVED_MODEL);
    assert_fails(FTL_EUNSUPPORTED, ftl_format_need_read(format, "saved/"));
    assert_sentence("--saved-model 'saved/' --output 'saved.onnx'");
    assert_ok(ftl_format_detect(&format, "meta-llama/Llama-3.2-1B"));
    assert_int_equal(format, FTL_FORMAT_HUB_NAME);
    assert_fails(FTL_EUNSUPPORTED, ftl_format_need_read(format, "meta-llama/Llama-3.2-1B"));
    assert_sentence("hf download meta-llama/Llama-3.2-1B --local-dir 'Llama-3.2-1B'");
    assert_fails(FTL_ENOTFOUND, ftl_format_detect(&format, "no/such/model.onnx"));
    assert_fails(FTL_ENOTFOUND, ftl_format_detect(&format, "models/digits.onnx"));
    assert_fails(FTL_ENOTFOUND, ftl_format_detect(&format, "./digits"));
    assert_fails(FTL_ENOTFOUND, ftl_format_detect(&format, "digits"));
}

static void every_unread_format_has_one_line(void **state)
{
    (void)state;
    for (int i = 1; i < FTL_FORMAT_COUNT; i++) {
        const ftl_format format = (ftl_format)i;
        assert_true(strlen(ftl_format_name(format)) > 2);
        if (ftl_format_is_read(format)) {
            assert_ok(ftl_format_need_read(format, "dir/model.x"));
            continue;
        }
        assert_fails(FTL_EUNSUPPORTED, ftl_format_need_read(format, "dir/model.x"));
        assert_sentence("dir/model.x");
        assert_null(strchr(ftl_error_text(), '\n'));
        assert_null(strstr(ftl_error_text(), "$s"));
    }
    assert_fails(FTL_EUNSUPPORTED, ftl_format_need_read(FTL_FORMAT_UNKNOWN, "notes.txt"));
    assert_sentence("notes.txt");
    assert_fails(FTL_EUNSUPPORTED, ftl_format_need_read(FTL_FORMAT_KERAS_H5, "a.b/net.h5"));
    assert_sentence("--output 'a.b/net.onnx'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_wins_over_the_name),
        cmocka_unit_test(folders_and_names),
        cmocka_unit_test(every_unread_format_has_one_line),
    };
    return ftl_test_run(tests);
}
