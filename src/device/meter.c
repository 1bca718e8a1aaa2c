/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a meter, and turning its readings into joules.
 * A counter is read at start and stop; a thread reads it once a second in between, so that no
 * wrap is missed.  Polled power is read by the same thread and integrated by trapezoids. */
#include "device/meter_source.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "device/sysfs.h"

enum { MILLISECOND = 1000000, COUNTER_PERIOD = 1000 * MILLISECOND, IDLE_POINTS_MAX = 4096 };

/* Best first. */
static const ftl_meter_source *const sources[] = {
    &ftl_meter_command,    &ftl_meter_rapl,          &ftl_meter_amd_energy,
    &ftl_meter_hwmon,      &ftl_meter_battery,       &ftl_meter_nvml_energy,
    &ftl_meter_nvml_power, &ftl_meter_device_energy, &ftl_meter_device_power,
};
enum { N_SOURCES = sizeof sources / sizeof sources[0] };

struct ftl_meter {
    const ftl_meter_source *source;
    void *state;
    ftl_meter_candidate info;
    ftl_meter_options options; /* its strings are ours */
    bool is_running;
    int64_t start_ns;
    /* The integral so far; of the sampler thread while it runs. */
    int64_t last_ns;
    double joules, last_value;
    uint32_t n_samples;
    ftl_status failure;
    char failure_text[512];
    pthread_t sampler;
    pthread_mutex_t lock; /* guards stop_ns */
    pthread_cond_t wake;
    int64_t stop_ns; /* 0: go on */
};

/* --- choosing --------------------------------------------------------------------------------- */

static ftl_status check_options(const ftl_meter_options *o)
{
    if (o && o->struct_size == sizeof *o) return FTL_OK;
    return ftl_fail(FTL_EINVAL, "the meter options have a wrong struct_size: start from "
                                "FTL_METER_OPTIONS_INIT");
}

static bool is_tried(const ftl_meter_source *source, const ftl_meter_options *o)
{
    switch (source->use) {
    case FTL_METER_FOR_COMMAND: return o->command != NULL;
    case FTL_METER_FOR_DEVICE: return o->pci_address != NULL;
    default: return o->pci_address == NULL;
    }
}

/* Opens one and reads it once.  On failure *state is NULL and c->why has the sentence. */
static ftl_status try_source(void **state, ftl_meter_candidate *c, const ftl_meter_source *source,
                             const ftl_meter_options *o)
{
    double value = 0;
    *c = (ftl_meter_candidate){ .is_counter = source->is_counter,
                                .resolution_s = source->resolution_s };
    ftl_sysfs_copy(c->method, sizeof c->method, source->method);
    ftl_sysfs_copy(c->covers, sizeof c->covers, source->covers);
    ftl_status s = source->open(state, c->method, o);
    if (s == FTL_OK) s = source->read(&value, *state);
    c->is_available = s == FTL_OK;
    if (s == FTL_OK) return FTL_OK;
    ftl_sysfs_copy(c->why, sizeof c->why, ftl_error_text());
    source->close(*state);
    *state = NULL;
    return s;
}

static ftl_meter_options with_root(const ftl_meter_options *options)
{
    ftl_meter_options o = *options;
    if (!o.root) o.root = "";
    return o;
}

ftl_status ftl_meter_probe(ftl_meter_report *out, const ftl_meter_options *options)
{
    *out = (ftl_meter_report){ 0 };
    FTL_TRY(check_options(options));
    const ftl_meter_options o = with_root(options);
    for (size_t i = 0; i < N_SOURCES && out->count < FTL_METER_CANDIDATES; i++) {
        if (!is_tried(sources[i], &o)) continue;
        void *state = NULL;
        const ftl_status s = try_source(&state, &out->items[out->count++], sources[i], &o);
        if (s == FTL_ENOMEM) return s;
        sources[i]->close(state);
    }
    return FTL_OK;
}

void ftl_meter_explain(char *text, size_t bytes, const ftl_meter_report *report)
{
    size_t n = (size_t)snprintf(text, bytes, "no power meter can be read:");
    for (uint32_t i = 0; i < report->count && n < bytes; i++) {
        const ftl_meter_candidate *c = &report->items[i];
        if (!c->is_available)
            n += (size_t)snprintf(text + n, bytes - n, "\n  %s: %s", c->method, c->why);
    }
    for (uint32_t i = 0; i < report->count; i++)
        if (strcmp(report->items[i].method, ftl_meter_command.method) == 0) return;
    if (n < bytes)
        snprintf(text + n, bytes - n,
                 "\n  command: none given; --power-meter CMD takes watts from any meter that a "
                 "command can print");
}

/* --- life cycle ------------------------------------------------------------------------------- */

static ftl_status copy_text(const char **out, const char *text)
{
    *out = text ? ftl_strdup(text) : NULL;
    return text && !*out ? ftl_fail(FTL_ENOMEM, "no memory for the power meter") : FTL_OK;
}

/* The states of the sources point into these, so the caller's strings may go. */
static ftl_status copy_options(ftl_meter *m, const ftl_meter_options *options)
{
    const ftl_meter_options from = with_root(options);
    m->options = from;
    m->options.root = m->options.command = m->options.pci_address = m->options.nvml_library = NULL;
    FTL_TRY(copy_text(&m->options.root, from.root));
    FTL_TRY(copy_text(&m->options.command, from.command));
    FTL_TRY(copy_text(&m->options.pci_address, from.pci_address));
    return copy_text(&m->options.nvml_library, from.nvml_library);
}

static ftl_status choose(ftl_meter *m)
{
    ftl_meter_report tried = { 0 };
    for (size_t i = 0; i < N_SOURCES && tried.count < FTL_METER_CANDIDATES; i++) {
        if (!is_tried(sources[i], &m->options)) continue;
        ftl_meter_candidate *c = &tried.items[tried.count++];
        const ftl_status s = try_source(&m->state, c, sources[i], &m->options);
        if (s == FTL_ENOMEM) return s;
        if (s == FTL_OK) {
            m->source = sources[i];
            m->info = *c;
            return FTL_OK;
        }
        /* Another meter in place of the one that the user named would be a silent change. */
        if (sources[i] == &ftl_meter_command) break;
    }
    char text[FTL_METER_WHY];
    ftl_meter_explain(text, sizeof text, &tried);
    return ftl_fail(FTL_ENOTFOUND, "%s", text);
}

static void init_lock(ftl_meter *m)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&m->lock, NULL);
}

ftl_status ftl_meter_open(ftl_meter **out, const ftl_meter_options *options)
{
    *out = NULL;
    FTL_TRY(check_options(options));
    ftl_meter *m = ftl_calloc(1, sizeof *m);
    if (!m) return ftl_fail(FTL_ENOMEM, "no memory for the power meter");
    init_lock(m);
    ftl_status s = copy_options(m, options);
    if (s == FTL_OK) s = choose(m);
    if (s != FTL_OK) {
        ftl_meter_close(m);
        return s;
    }
    *out = m;
    return FTL_OK;
}

static void stop_sampler(ftl_meter *m, int64_t stop_ns)
{
    pthread_mutex_lock(&m->lock);
    m->stop_ns = stop_ns;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->sampler, NULL);
    m->is_running = false;
}

void ftl_meter_close(ftl_meter *meter)
{
    if (!meter) return;
    if (meter->is_running) stop_sampler(meter, ftl_clock_ns());
    if (meter->source) meter->source->close(meter->state);
    pthread_cond_destroy(&meter->wake);
    pthread_mutex_destroy(&meter->lock);
    ftl_free((void *)meter->options.root);
    ftl_free((void *)meter->options.command);
    ftl_free((void *)meter->options.pci_address);
    ftl_free((void *)meter->options.nvml_library);
    ftl_free(meter);
}

const ftl_meter_candidate *ftl_meter_info(const ftl_meter *meter)
{
    return &meter->info;
}

/* --- measuring -------------------------------------------------------------------------------- */

static int64_t period_ns(const ftl_meter *m)
{
    if (m->source->is_counter) return COUNTER_PERIOD;
    const uint32_t ms = m->options.period_ms ? m->options.period_ms : 20;
    const int64_t wanted = (int64_t)ms * MILLISECOND;
    return wanted > m->source->period_ns ? wanted : m->source->period_ns;
}

/* One reading that stands for the moment `at_ns`.  FTL_OK or a failure, kept for stop(). */
static ftl_status take_sample(ftl_meter *m, int64_t at_ns)
{
    double value = 0;
    const ftl_status s = m->source->read(&value, m->state);
    if (s != FTL_OK) {
        m->failure = s;
        ftl_sysfs_copy(m->failure_text, sizeof m->failure_text, ftl_error_text());
        return s;
    }
    if (m->n_samples > 0)
        m->joules += m->source->is_counter
                         ? value - m->last_value
                         : 0.5 * (value + m->last_value) * (double)(at_ns - m->last_ns) * 1e-9;
    m->last_value = value;
    m->last_ns = at_ns;
    m->n_samples++;
    return FTL_OK;
}

/* true: stop was asked for. */
static bool sleep_until(ftl_meter *m, int64_t wake_ns)
{
    const struct timespec until = { .tv_sec = wake_ns / 1000000000,
                                    .tv_nsec = wake_ns % 1000000000 };
    pthread_mutex_lock(&m->lock);
    int code = 0;
    while (m->stop_ns == 0 && code == 0) code = pthread_cond_timedwait(&m->wake, &m->lock, &until);
    const bool is_stopped = m->stop_ns != 0;
    pthread_mutex_unlock(&m->lock);
    return is_stopped;
}

static void *sample_until_stopped(void *argument)
{
    ftl_meter *m = argument;
    const int64_t period = period_ns(m);
    int64_t next_ns = m->start_ns + period;
    while (!sleep_until(m, next_ns)) {
        const int64_t now_ns = ftl_clock_ns();
        if (take_sample(m, now_ns) != FTL_OK) return NULL;
        /* A slow meter skips beats instead of falling behind. */
        next_ns += period;
        if (next_ns < now_ns) next_ns = now_ns + period;
    }
    return NULL;
}

ftl_status ftl_meter_start(ftl_meter *meter)
{
    if (meter->is_running) return ftl_fail(FTL_EINVAL, "the power meter is running already");
    meter->joules = 0;
    meter->n_samples = 0;
    meter->failure = FTL_OK;
    meter->stop_ns = 0;
    FTL_TRY(take_sample(meter, 0));
    meter->start_ns = meter->last_ns = ftl_clock_ns();
    const int error = pthread_create(&meter->sampler, NULL, sample_until_stopped, meter);
    if (error) return ftl_fail(FTL_ENOMEM, "no thread for the power meter: %s", strerror(error));
    meter->is_running = true;
    return FTL_OK;
}

ftl_status ftl_meter_stop(ftl_meter *meter, ftl_energy *out)
{
    *out = (ftl_energy){ 0 };
    if (!meter->is_running) return ftl_fail(FTL_EINVAL, "the power meter was not started");
    const int64_t stop_ns = ftl_clock_ns();
    /* The sampler may be reading this moment: only the join makes the state ours. */
    stop_sampler(meter, stop_ns);
    if (meter->failure == FTL_OK) take_sample(meter, stop_ns);
    if (meter->failure != FTL_OK)
        return ftl_fail(meter->failure, "%s (while measuring)", meter->failure_text);
    out->joules = meter->joules;
    out->seconds = (double)(stop_ns - meter->start_ns) * 1e-9;
    out->n_samples = meter->n_samples;
    return FTL_OK;
}

/* Watts of one window of the idle measurement. */
static ftl_status idle_point(ftl_meter *m, double *watts, int64_t window_ns)
{
    double before = 0, after = 0;
    if (m->source->is_counter) FTL_TRY(m->source->read(&before, m->state));
    const int64_t start_ns = ftl_clock_ns();
    ftl_clock_sleep(window_ns);
    FTL_TRY(m->source->read(&after, m->state));
    const double seconds = (double)(ftl_clock_ns() - start_ns) * 1e-9;
    *watts = m->source->is_counter ? (after - before) / seconds : after;
    return FTL_OK;
}

ftl_status ftl_meter_idle(ftl_meter *meter, double seconds, double *watts)
{
    *watts = 0;
    if (!(seconds >= 2 && seconds <= 60))
        return ftl_fail(FTL_EINVAL, "idle power over %g s: the range is 2 to 60 s", seconds);
    if (meter->is_running) return ftl_fail(FTL_EINVAL, "the power meter is running already");
    /* Windows of a counter span several of its steps. */
    const double step = meter->source->resolution_s * 5;
    const int64_t window_ns = !meter->source->is_counter ? period_ns(meter)
                              : step > 0.1               ? (int64_t)(step * 1e9)
                                                         : 100 * MILLISECOND;
    double *points = ftl_calloc(IDLE_POINTS_MAX, sizeof *points);
    if (!points) return ftl_fail(FTL_ENOMEM, "no memory for the idle power points");
    const int64_t end_ns = ftl_clock_ns() + (int64_t)(seconds * 1e9);
    size_t n = 0;
    ftl_status s = FTL_OK;
    do {
        s = idle_point(meter, &points[n++], window_ns);
        if (s == FTL_OK) s = ftl_cancel_check();
    } while (s == FTL_OK && n < IDLE_POINTS_MAX && ftl_clock_ns() < end_ns);
    if (s == FTL_OK) *watts = ftl_stats_of(points, n).median;
    ftl_free(points);
    return s;
}

/* --- the whole figure ------------------------------------------------------------------------- */

static void set_unavailable(ftl_power *out, const char *why)
{
    *out = (ftl_power){ .joules = NAN, .seconds = NAN, .idle_w = NAN, .active_w = NAN };
    ftl_sysfs_copy(out->method, sizeof out->method, "not available");
    ftl_sysfs_copy(out->why, sizeof out->why, why);
}

static void finish(ftl_power *out, ftl_meter *m, double idle_w)
{
    ftl_energy energy;
    if (ftl_meter_stop(m, &energy) != FTL_OK) {
        set_unavailable(out, ftl_error_text());
        return;
    }
    *out = (ftl_power){ .is_available = true,
                        .joules = energy.joules,
                        .seconds = energy.seconds,
                        .idle_w = idle_w,
                        .active_w = energy.seconds > 0 ? energy.joules / energy.seconds : NAN };
    ftl_sysfs_copy(out->method, sizeof out->method, m->info.method);
    ftl_sysfs_copy(out->covers, sizeof out->covers, m->info.covers);
}

ftl_status ftl_power_measure(ftl_power *out, const ftl_meter_options *options, double idle_seconds,
                             ftl_status (*work)(void *context), void *context)
{
    set_unavailable(out, "");
    ftl_meter *m = NULL;
    double idle_w = 0;
    ftl_status s = ftl_meter_open(&m, options);
    if (s == FTL_OK) s = ftl_meter_idle(m, idle_seconds, &idle_w);
    if (s == FTL_OK) s = ftl_meter_start(m);
    if (s == FTL_EINVAL || s == FTL_ENOMEM || s == FTL_ECANCELED) {
        ftl_meter_close(m);
        return s;
    }
    if (s != FTL_OK) set_unavailable(out, ftl_error_text());
    const ftl_status worked = work(context);
    if (worked != FTL_OK) set_unavailable(out, "the work failed before it could be measured");
    else if (s == FTL_OK) finish(out, m, idle_w);
    ftl_meter_close(m);
    return worked;
}
