/* SPDX-License-Identifier: Apache-2.0 */
/* fettle run - one run: picture in, classes out; tensors in, tensors out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plan_text.h"
#include "fettle/run.h"

typedef struct values {
    const char *output, *device, *plan, *labels;
    const char *image_size, *image_mean, *image_std;
    int64_t threads, batch, seed, repeat, top, resize;
    uint64_t max_memory;
    double image_scale;
    ftl_cli_words inputs, dims;
    bool bgr, squeeze, json, verbose;
} values;

static const ftl_cli_option options[] = {
    { "--input", 'i', FTL_CLI_LIST, "NAME=FILE",
      "an input from a .npy file; NAME= may "
      "be left out where there is one input",
      offsetof(values, inputs) },
    { "--output", 'o', FTL_CLI_TEXT, "DIR", "write every output there as NAME.npy",
      offsetof(values, output) },
    { "--device", 'd', FTL_CLI_TEXT, "D",
      "cpu (default), pjrt:PATH, auto, or a list: the first "
      "that works",
      offsetof(values, device) },
    { "--threads", 't', FTL_CLI_COUNT, "N", "instead of one a core", offsetof(values, threads) },
    { "--batch", 'b', FTL_CLI_COUNT, "N", "samples a run", offsetof(values, batch) },
    { "--dim", 0, FTL_CLI_LIST, "NAME=N", "another named dim of the model, such as tokens",
      offsetof(values, dims) },
    { "--seed", 0, FTL_CLI_WHOLE, "S", "of random weights and inputs (default 0)",
      offsetof(values, seed) },
    { "--repeat", 'r', FTL_CLI_COUNT, "R", "time R runs, after one that is not timed",
      offsetof(values, repeat) },
    { "--plan", 0, FTL_CLI_TEXT, "FILE", "device, threads and batch of a plan or fit file",
      offsetof(values, plan) },
    { "--max-memory", 0, FTL_CLI_BYTES, "SIZE", "refuse what needs more, such as 2G",
      offsetof(values, max_memory) },
    { "--top", 0, FTL_CLI_COUNT, "K", "classes to name (default 5)", offsetof(values, top) },
    { "--labels", 0, FTL_CLI_TEXT, "FILE", "names of the classes, one a line",
      offsetof(values, labels) },
    { "--image-size", 0, FTL_CLI_TEXT, "WxH", "pixels that the model takes",
      offsetof(values, image_size) },
    { "--image-scale", 0, FTL_CLI_NUMBER, "S", "value = (byte * S - mean) / std",
      offsetof(values, image_scale) },
    { "--image-mean", 0, FTL_CLI_TEXT, "A,B,C", "one number, or one a channel",
      offsetof(values, image_mean) },
    { "--image-std", 0, FTL_CLI_TEXT, "A,B,C", "one number, or one a channel",
      offsetof(values, image_std) },
    { "--resize", 0, FTL_CLI_COUNT, "N", "bring the shorter side to N, then cut out the middle",
      offsetof(values, resize) },
    { "--squeeze", 0, FTL_CLI_FLAG, NULL, "bring both sides to the model's size, cut nothing",
      offsetof(values, squeeze) },
    { "--bgr", 0, FTL_CLI_FLAG, NULL, "blue first", offsetof(values, bgr) },
    { "--json", 0, FTL_CLI_FLAG, NULL, "one JSON object (schema fettle.run/1)",
      offsetof(values, json) },
    { "--verbose", 'v', FTL_CLI_FLAG, NULL, "a row a layer, measured", offsetof(values, verbose) },
    { NULL },
};

enum { TEXT = 256, MOST_ROWS = 12 };

/* ---- flags --------------------------------------------------------------------------------- */

/* "0.5" or "0.485,0.456,0.406" */
static bool take_channels(float out[3], bool *has, const char *flag, const char *text)
{
    int n = 0;
    const char *at = text;
    if (!text) return true;
    while (n < 3) {
        char *end;
        out[n] = strtof(at, &end);
        if (end == at || !isfinite(out[n])) break;
        n++;
        at = end;
        if (*at != ',') break;
        at++;
    }
    if (*at || (n != 1 && n != 3)) {
        ftl_cli_wrong_use("run: %s \"%.40s\": one number, or three with commas, are wanted", flag,
                          text);
        return false;
    }
    if (n == 1) out[1] = out[2] = out[0];
    *has = true;
    return true;
}

static bool take_size(ftl_image_change *image, const char *text)
{
    char rest;
    int w, h;
    if (!text) return true;
    if (sscanf(text, "%5dx%5d%c", &w, &h, &rest) != 2 || w < 1 || h < 1) {
        ftl_cli_wrong_use("run: --image-size \"%.40s\": WIDTHxHEIGHT is wanted, such as 224x224",
                          text);
        return false;
    }
    image->width = w;
    image->height = h;
    return true;
}

static bool take_image(ftl_image_change *image, const values *v)
{
    if (v->squeeze && v->resize) {
        ftl_cli_wrong_use("run: --squeeze and --resize exclude each other");
        return false;
    }
    image->has_scale = v->image_scale >= 0;
    image->scale = (float)v->image_scale;
    image->has_resize = v->squeeze || v->resize;
    image->resize_shorter = v->resize > 65500 ? 65500 : (int32_t)v->resize;
    image->is_bgr = v->bgr;
    if (!take_size(image, v->image_size) ||
        !take_channels(image->mean, &image->has_mean, "--image-mean", v->image_mean) ||
        !take_channels(image->std, &image->has_std, "--image-std", v->image_std))
        return false;
    for (int c = 0; image->has_std && c < 3; c++)
        if (!(image->std[c] > 0)) {
            ftl_cli_wrong_use("run: --image-std must be above 0");
            return false;
        }
    return true;
}

/* ---- for people ---------------------------------------------------------------------------- */

static char *print_desc(char *out, size_t size, const ftl_tensor_desc *d)
{
    size_t n = (size_t)snprintf(out, size, "%s", ftl_dtype_text(d->dtype));
    for (int32_t i = 0; i < d->rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? " x " : " ", (long long)d->dim[i]);
    return out;
}

static void add_tensor(ftl_cli_table *t, const char *what, const ftl_run_tensor *tensor,
                       const char *note)
{
    char desc[TEXT];
    ftl_cli_cell(t, "%-7s", what);
    ftl_cli_cell(t, "%s", tensor->name);
    ftl_cli_cell(t, "%s", print_desc(desc, sizeof desc, &tensor->desc));
    ftl_cli_cell(t, "%s", note);
}

/* Long lists are cut: the JSON has them all. */
static void print_tensors(const ftl_run_result *r)
{
    ftl_cli_table t;
    char note[TEXT * 4];
    ftl_cli_table_start(&t, "llll");
    for (int32_t i = 0; i < r->n_inputs && i < MOST_ROWS; i++) {
        const ftl_run_tensor *x = &r->inputs[i];
        if (*x->file) snprintf(note, sizeof note, "%s", x->file);
        else snprintf(note, sizeof note, "random, seed %llu", (unsigned long long)r->seed);
        add_tensor(&t, "input", x, note);
    }
    for (int32_t i = 0; i < r->n_outputs && i < MOST_ROWS; i++)
        add_tensor(&t, "output", &r->outputs[i],
                   *r->outputs[i].file ? r->outputs[i].file : "not written (-o DIR writes it)");
    ftl_cli_table_print(&t, stdout);
    if (r->n_inputs > MOST_ROWS || r->n_outputs > MOST_ROWS)
        printf("and more: %d inputs, %d outputs (--json lists them)\n", (int)r->n_inputs,
               (int)r->n_outputs);
}

/* "(byte / 255 - [0.5 0.5 0.5]) / [0.2 0.2 0.2]", without what changes nothing. */
static void print_formula(char *out, size_t size, const ftl_image_prep *p)
{
    char byte[32], mean[64] = "", std[64] = "";
    const double inverse = 1 / (double)p->scale;
    const int n = p->channels == 1 ? 1 : 3;
    bool has_mean = false, has_std = false;
    size_t m = 0, s = 0;
    if (fabs(inverse - round(inverse)) < 1e-3 && inverse > 1.5)
        snprintf(byte, sizeof byte, "byte / %.0f", inverse);
    else if (p->scale == 1) snprintf(byte, sizeof byte, "byte");
    else snprintf(byte, sizeof byte, "byte * %.4g", (double)p->scale);
    for (int c = 0; c < n; c++) {
        const char *gap = c ? " " : "";
        has_mean |= p->mean[c] != 0;
        has_std |= p->std[c] != 1;
        m += (size_t)snprintf(mean + m, sizeof mean - m, "%s%.4g", gap, (double)p->mean[c]);
        s += (size_t)snprintf(std + s, sizeof std - s, "%s%.4g", gap, (double)p->std[c]);
    }
    if (has_mean && has_std) snprintf(out, size, "(%s - [%s]) / [%s]", byte, mean, std);
    else if (has_mean) snprintf(out, size, "%s - [%s]", byte, mean);
    else if (has_std) snprintf(out, size, "%s / [%s]", byte, std);
    else snprintf(out, size, "%s", byte);
}

static void print_image(const ftl_run_result *r)
{
    const ftl_image_prep *p = &r->image;
    char text[TEXT * 2], crop[64], formula[TEXT];
    if (!*r->picture) return;
    if (p->resize_shorter)
        snprintf(crop, sizeof crop, "the middle of shorter side %d", (int)p->resize_shorter);
    else snprintf(crop, sizeof crop, "squeezed");
    print_formula(formula, sizeof formula, p);
    snprintf(text, sizeof text, "%dx%d, %s, %s, %s; source: %s", (int)p->width, (int)p->height,
             crop,
             p->channels == 1 ? "gray"
             : p->is_bgr      ? "BGR"
                              : "RGB",
             formula, p->source);
    printf("picture  ");
    ftl_cli_wrap(stdout, text, 9);
}

static void print_classes(const ftl_run_result *r)
{
    ftl_cli_table t;
    if (r->n_classes == 0) return;
    printf("\n");
    ftl_cli_table_start(&t, "rrl");
    ftl_cli_cell(&t, "CLASS");
    ftl_cli_cell(&t, "PROBABILITY");
    ftl_cli_cell(&t, "NAME");
    for (int32_t i = 0; i < r->n_classes; i++) {
        ftl_cli_cell(&t, "%lld", (long long)r->classes[i].index);
        ftl_cli_cell(&t, "%.2f %%", r->classes[i].probability * 100);
        ftl_cli_cell(&t, "%s", *r->classes[i].label ? r->classes[i].label : "-");
    }
    ftl_cli_table_print(&t, stdout);
    ftl_cli_wrap(stdout, r->softmax_why, 0);
    printf("\n");
}

static char *print_percentile(char *out, size_t size, double seconds)
{
    if (isnan(seconds)) snprintf(out, size, "-");
    else ftl_text_seconds(out, size, seconds);
    return out;
}

static void print_cost(const ftl_run_result *r)
{
    char a[48], b[48], c[48], d[48];
    ftl_text_seconds(a, sizeof a, r->p50_s);
    if (r->n_runs == 1) {
        printf("time     %s measured, the first run (--repeat R times more)\n", a);
    } else {
        print_percentile(b, sizeof b, r->p10_s);
        print_percentile(c, sizeof c, r->p90_s);
        print_percentile(d, sizeof d, r->p99_s);
        printf("time     %s measured, median of %d runs; p10 %s, p90 %s, p99 %s%s\n", a,
               (int)r->n_runs, b, c, d,
               isnan(r->p10_s)   ? "\n         (p10 and p90 want 10 runs, p99 100)"
               : isnan(r->p99_s) ? "\n         (p99 wants 100 runs)"
                                 : "");
        if (r->batch > 1)
            printf("         %s\n",
                   ftl_text_rate(b, sizeof b, (double)r->batch / r->p50_s, "samples/s"));
    }
    ftl_text_bytes(a, sizeof a, (double)r->memory_predicted_bytes);
    if (r->memory_peak_bytes)
        printf("memory   %s predicted, %s measured at the peak\n", a,
               ftl_text_bytes(b, sizeof b, (double)r->memory_peak_bytes));
    else printf("memory   %s predicted; peak not available: the system does not say\n", a);
}

static void print_nodes(const ftl_run_result *r)
{
    ftl_cli_table t;
    char a[48], b[48];
    if (r->n_nodes == 0) return;
    printf("\n");
    ftl_cli_table_start(&t, "lrrrrl");
    static const char *const head[] = { "OP", "TIME", "FLOP", "BYTES", "FLOP/S", "NAME" };
    for (int i = 0; i < 6; i++) ftl_cli_cell(&t, "%s", head[i]);
    for (int32_t i = 0; i < r->n_nodes; i++) {
        const ftl_session_node *n = &r->nodes[i];
        ftl_cli_cell(&t, "%s", n->op);
        ftl_cli_cell(&t, "%s", ftl_text_seconds(a, sizeof a, n->seconds));
        ftl_cli_cell(&t, "%s", ftl_text_rate(a, sizeof a, n->flops, ""));
        ftl_cli_cell(&t, "%s", ftl_text_bytes(a, sizeof a, n->bytes));
        ftl_cli_cell(&t, "%s",
                     n->seconds > 0 ? ftl_text_rate(b, sizeof b, n->flops / n->seconds, "") : "-");
        ftl_cli_cell_tail(&t, n->name, 32);
    }
    ftl_cli_table_print(&t, stdout);
}

static void print_result(const ftl_run_result *r)
{
    char batch[48] = "";
    if (r->batch > 0) snprintf(batch, sizeof batch, ", batch %lld", (long long)r->batch);
    printf("%s on %s, %u thread%s%s\n", r->model, r->device, r->n_threads,
           r->n_threads == 1 ? "" : "s", batch);
    for (int32_t i = 0; i < r->n_passed_over; i++) {
        char text[TEXT * 4];
        snprintf(text, sizeof text, "%s was passed over: %s", r->passed_over[i].device,
                 r->passed_over[i].why);
        ftl_cli_wrap(stdout, text, 0);
    }
    if (!r->has_weights)
        printf("weights are random (seed %llu): speed is real, results are not\n",
               (unsigned long long)r->seed);
    print_tensors(r);
    print_image(r);
    print_classes(r);
    print_cost(r);
    print_nodes(r);
}

/* ---- the verb ------------------------------------------------------------------------------ */

static void show_progress(void *arg, const char *what, double done)
{
    ftl_cli_progress_show(arg, done, what);
}

static int show(const ftl_run_result *result, bool as_json)
{
    if (!as_json) {
        print_result(result);
        return FTL_CLI_OK;
    }
    char *text;
    const ftl_status s = ftl_run_json(&text, result);
    if (s != FTL_OK) return ftl_cli_failed(s);
    ftl_cli_print(text);
    ftl_text_free(text);
    return FTL_CLI_OK;
}

static int run_model(const ftl_cli_context *context, const values *v, const ftl_cli_words *words)
{
    ftl_run_options o = FTL_RUN_OPTIONS_INIT;
    ftl_session_dim dims[FTL_CLI_WORDS];
    char names[FTL_CLI_WORDS][64];
    ftl_cli_progress progress;
    o.model = words->n > 0 ? words->word[0] : NULL;
    o.picture = words->n > 1 ? words->word[1] : NULL;
    o.plan = v->plan;
    o.session.device = v->device;
    o.session.n_threads = v->threads > UINT32_MAX ? UINT32_MAX : (uint32_t)v->threads;
    o.session.batch = v->batch;
    o.session.seed = (uint64_t)v->seed;
    o.session.max_memory_bytes = v->max_memory;
    o.session.cache_folder = *context->cache_folder ? context->cache_folder : NULL;
    for (int i = 0; i < v->dims.n; i++)
        if (!ftl_cli_take_dim(&dims[i], names[i], sizeof names[i], v->dims.word[i]))
            return FTL_CLI_WRONG_USE;
    o.session.dims = dims;
    o.session.n_dims = v->dims.n;
    o.inputs = v->inputs.word;
    o.n_inputs = v->inputs.n;
    o.output_folder = v->output;
    o.n_runs = v->repeat > 1000000 ? 1000000 : (int32_t)v->repeat;
    o.n_top = v->top > 1000 ? 1000 : (int32_t)v->top;
    o.labels = v->labels;
    o.times_nodes = v->verbose;
    o.progress = show_progress;
    o.progress_arg = &progress;
    if (!take_image(&o.image, v)) return FTL_CLI_WRONG_USE;
    ftl_run_result *result;
    ftl_cli_progress_start(&progress, "run");
    const ftl_status s = ftl_run(&result, &o);
    ftl_cli_progress_end(&progress);
    if (s != FTL_OK) return ftl_cli_failed(s);
    const int code = show(result, v->json);
    ftl_run_destroy(result);
    return code;
}

static int run(const ftl_cli_context *context, int argc, char **argv)
{
    values v = { .image_scale = -1 };
    ftl_cli_words words;
    bool done;
    const int code = ftl_cli_start(&ftl_cli_run, argc, argv, &v, &words, &done);
    if (done) return code;
    if (words.n == 0 && !v.plan)
        return ftl_cli_wrong_use(
            "run: a model is wanted: a file, or a preset of plan --list (run --help tells more)");
    return run_model(context, &v, &words);
}

const ftl_cli_verb ftl_cli_run = {
    .name = "run",
    .summary = "one run: picture in, classes out; tensors in, tensors out",
    .usage = "MODEL [PICTURE] [FLAGS]",
    .about = "Runs a model once, or R times. A picture (PNG, JPEG) is brought into the form that "
             "the model's metadata, the preset or flags say, and the most probable classes are "
             "printed. Inputs that are not given are random ones, the same for the same seed on "
             "every device. With --plan, the file that fit or plan -o wrote, MODEL may be left "
             "out.",
    .options = options,
    .examples = { "fettle run examples/digits/digits.onnx examples/digits/pictures/7.png",
                  "names the digit on a picture", "fettle run @resnet50 --repeat 20 -o outputs",
                  "times 20 runs, writes the outputs" },
    .most_words = 2,
    .run = run,
};
