/* Times a kernel from outside Python.

   After two warm-up calls the kernel runs in short windows of many calls. What disturbs a
   measurement (preemption, another program's cache misses) only ever adds time and comes in bursts,
   so the fastest window is the estimate, and it is trusted once several windows agree with it. */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#endif
#include "runtime.h"

enum { COUNTERS = 5, CLOCK_TRIALS = 50 };

/* Seconds after which a core that woke up is as fast as it gets; 1 to 5 ms have been seen. */
static const double AWAKE = 0.01;

typedef struct {
    tensorc_kernel kernel;
    void *const *buffers;
    void *workspace;
    int32_t threads;
    int32_t status; /* the first that was not 0 */
} call_t;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run(call_t *call, int64_t times) {
    for (int64_t i = 0; i < times && !call->status; i++)
        call->status = tensorc_call(call->kernel, call->buffers, call->workspace, call->threads);
}

static double clock_cost(void) {
    double least = 1;
    for (int i = 0; i < CLOCK_TRIALS; i++) {
        double start = now(), cost = now() - start;
        if (cost < least) least = cost;
    }
    return least;
}

/* Push everything else out of the caches. */
static void flush(volatile char *memory, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) memory[i]++;
}

static double time_window(call_t *call, int64_t calls, char *memory, int64_t flush_bytes,
                          double overhead) {
    if (memory) flush(memory, flush_bytes);
    double start = now();
    run(call, calls);
    double seconds = (now() - start - overhead) / (double)calls;
    return seconds > 0 ? seconds : 0;
}

static double least_of(const double *samples, int32_t count) {
    double least = samples[0];
    for (int32_t i = 1; i < count; i++) least = samples[i] < least ? samples[i] : least;
    return least;
}

static int32_t count_agreeing(const double *samples, int32_t count, double tolerance) {
    double least = least_of(samples, count);
    int32_t agreeing = 0;
    for (int32_t i = 0; i < count; i++) agreeing += samples[i] <= least * (1 + tolerance);
    return agreeing;
}

/* A slow kernel needs no certainty. But a core that wakes up runs several times slower for some
   milliseconds: while windows become faster still, nothing is known. */
static int32_t is_enough(const tensorc_profile_options *options, const double *samples,
                         int32_t count) {
    double least = least_of(samples, count), slow = options->contender;
    if (options->cutoff > 0 && (slow <= 0 || options->cutoff < slow)) slow = options->cutoff;
    if (slow > 0 && count >= options->few && least > slow && samples[count - 1] > least) return 1;
    return count >= options->min_windows &&
           count_agreeing(samples, count, options->tolerance) >= options->agreeing;
}

#ifdef __linux__
static int open_counter(uint32_t type, uint64_t config) {
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = type;
    attributes.config = config;
    attributes.disabled = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static void count_events(call_t *call, int64_t calls, double *counters) {
    const uint64_t l1_read_misses = PERF_COUNT_HW_CACHE_L1D | PERF_COUNT_HW_CACHE_OP_READ << 8 |
                                    PERF_COUNT_HW_CACHE_RESULT_MISS << 16;
    const struct { uint32_t type; uint64_t config; } events[COUNTERS] = {
        {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
        {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
        {PERF_TYPE_HW_CACHE, l1_read_misses},
        {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
        {PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    };
    int handles[COUNTERS], open = 0;
    for (int i = 0; i < COUNTERS; i++) {
        handles[i] = open_counter(events[i].type, events[i].config);
        open += handles[i] >= 0;
    }
    for (int i = 0; i < COUNTERS; i++)
        if (handles[i] >= 0) ioctl(handles[i], PERF_EVENT_IOC_ENABLE, 0);
    if (open) run(call, calls);
    for (int i = 0; i < COUNTERS; i++) {
        if (handles[i] < 0) continue;
        uint64_t value = 0;
        ioctl(handles[i], PERF_EVENT_IOC_DISABLE, 0);
        if (read(handles[i], &value, sizeof value) == sizeof value)
            counters[i] = (double)value / (double)calls;
        close(handles[i]);
    }
}
#else
static void count_events(call_t *call, int64_t calls, double *counters) {
    (void)call, (void)calls, (void)counters;
}
#endif

/* Returns the kernel's status, or -1 if there is no memory to flush with. */
int32_t tensorc_profile(tensorc_kernel kernel, void *const *buffers, void *workspace,
                        const tensorc_profile_options *options, double *samples,
                        tensorc_profile_result *result) {
    call_t call = {kernel, buffers, workspace, options->threads, 0};
    char *memory = NULL;
    memset(result, 0, sizeof *result);
    for (int i = 0; i < COUNTERS; i++) result->counters[i] = -1;
    if (options->flush_bytes && !(memory = calloc(1, (size_t)options->flush_bytes))) return -1;

    double start = now(), overhead = clock_cost();
    double cold = time_window(&call, 1, NULL, 0, overhead), warm = cold;
    if (cold < options->budget && !call.status)
        warm = time_window(&call, 1, memory, options->flush_bytes, overhead);
    double guess = warm > 1e-9 ? warm : 1e-9;
    double calls = memory ? 1 : options->window / guess;
    result->calls = calls < 1 ? 1 : calls > 1e7 ? 10000000 : (int64_t)calls;

    int32_t windows = 0;
    double fastest = warm < cold ? warm : cold;
    result->cut = options->cutoff > 0 && fastest > options->cutoff;
    double passed = now() - start;
    int certain = result->cut && fastest > options->window && passed >= AWAKE;
    if (passed >= options->budget || certain) {
        result->calls = 1;
        samples[windows++] = fastest;
    } else {
        do {
            samples[windows++] =
                time_window(&call, result->calls, memory, options->flush_bytes, overhead);
        } while (windows < options->max_windows && !call.status &&
                 now() - start < options->budget && !is_enough(options, samples, windows));
        result->cut = options->cutoff > 0 && least_of(samples, windows) > options->cutoff;
    }
    result->windows = windows;
    if (options->counters && !call.status) count_events(&call, result->calls, result->counters);
    result->elapsed = now() - start;
    free(memory);
    return call.status;
}
