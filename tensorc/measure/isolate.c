/* What lets a process run code that may be wrong: buffers between forbidden pages, and a last word
   of the process when it crashes.

   A buffer ends less than 64 bytes (it starts at a cache line) before a stretch of pages that may
   not be touched, and another such stretch lies before it. What is left of its own pages holds a
   known pattern. So a write or read far outside faults, and a write just outside is found later. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include "isolate.h"

enum { LINE = 64, PATTERN = 0xC5 };
static const int64_t GUARD = 16 << 20, HUGE_FROM = 4 << 20;

typedef struct region {
    struct region *next;
    char *mapping, *pages, *start;
    int64_t mapped, writable, bytes;
    int32_t buffer;
} region_t;

static region_t *regions;
static int report_to = -1;

static region_t *find(const void *start) {
    for (region_t *r = regions; r; r = r->next)
        if (r->start == start) return r;
    return NULL;
}

/* Memory for buffer number `buffer`, or NULL. */
void *tensorc_guarded(int64_t bytes, int32_t buffer) {
    int64_t page = sysconf(_SC_PAGESIZE);
    int64_t size = (bytes + LINE - 1) / LINE * LINE;
    int64_t writable = (size + page - 1) / page * page + (size ? 0 : page);
    region_t *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->mapped = writable + 2 * GUARD;
    r->mapping = mmap(NULL, (size_t)r->mapped, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->mapping == MAP_FAILED) {
        free(r);
        return NULL;
    }
    r->pages = r->mapping + GUARD;
    r->writable = writable;
    r->start = r->pages + writable - size;
    r->bytes = bytes;
    r->buffer = buffer;
    if (mprotect(r->pages, (size_t)writable, PROT_READ | PROT_WRITE)) {
        munmap(r->mapping, (size_t)r->mapped);
        free(r);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    /* As NumPy does for its arrays, so that times here are times there. */
    if (bytes >= HUGE_FROM) madvise(r->pages, (size_t)writable, MADV_HUGEPAGE);
#endif
    memset(r->pages, PATTERN, (size_t)(r->start - r->pages));
    memset(r->start + bytes, PATTERN, (size_t)(r->pages + writable - r->start - bytes));
    r->next = regions;
    regions = r;
    return r->start;
}

int32_t tensorc_guarded_read_only(void *start) {
    region_t *r = find(start);
    return r ? mprotect(r->pages, (size_t)r->writable, PROT_READ) : -1;
}

static int64_t damage_in(const char *from, const char *to, const char *start, int64_t *offset) {
    int64_t damaged = 0;
    for (const char *p = from; p < to; p++) {
        if ((unsigned char)*p == PATTERN) continue;
        if (!damaged++ && *offset == 0) *offset = p - start;
    }
    return damaged;
}

/* How many bytes around a buffer were overwritten; `offset` from its start of the first of them. */
int64_t tensorc_guarded_damage(const void *start, int64_t bytes, int64_t *offset) {
    const region_t *r = find(start);
    *offset = 0;
    if (!r) return 0;
    const char *end = r->pages + r->writable;
    int64_t before = damage_in(r->pages, r->start, r->start, offset);
    return before + damage_in(r->start + bytes, end, r->start, offset);
}

void tensorc_guarded_free(void *start) {
    for (region_t **link = &regions; *link; link = &(*link)->next) {
        region_t *r = *link;
        if (r->start != start) continue;
        *link = r->next;
        munmap(r->mapping, (size_t)r->mapped);
        free(r);
        return;
    }
}

/* 1 or 0: the access that faulted was a write or not; -1: unknown. */
static int was_write(const void *context) {
#if defined(__x86_64__) && defined(__linux__)
    return (((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] >> 1) & 1;
#else
    (void)context;
    return -1;
#endif
}

/* Send one message in the format of `channel.py`, then fault again, this time to the end. */
static void on_crash(int number, siginfo_t *info, void *context) {
    char frame[256];
    const char *address = info->si_addr;
    const region_t *r = regions;
    while (r && !(r->mapping <= address && address < r->mapping + r->mapped)) r = r->next;
    int is_fault = number == SIGSEGV || number == SIGBUS;
    int length = snprintf(frame + 12, sizeof frame - 12,
                          "{\"event\": \"crash\", \"signal\": %d, \"write\": %d, \"buffer\": %d, "
                          "\"offset\": %lld, \"address\": %llu}",
                          number, is_fault ? was_write(context) : -1,
                          is_fault && r ? r->buffer : -1,
                          is_fault && r ? (long long)(address - r->start) : 0,
                          (unsigned long long)(uintptr_t)address);
    uint32_t header = (uint32_t)length;
    uint64_t blob = 0;
    memcpy(frame, &header, 4);
    memcpy(frame + 4, &blob, 8);
    ssize_t sent = write(report_to, frame, 12 + (size_t)length);
    (void)sent;
    if (number == SIGABRT) raise(number);
}

/* On a stack of its own, since the crash may be an overflow of the stack. */
int32_t tensorc_report_crashes(int32_t descriptor) {
    static char stack[1 << 16];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND;
    report_to = descriptor;
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    int32_t failed = sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        failed |= sigaction(signals[i], &action, NULL);
    return failed;
}

/* Be sent a signal when the thread that started this process ends. */
int32_t tensorc_signal_with_parent(int32_t number) {
#ifdef __linux__
    return prctl(PR_SET_PDEATHSIG, number);
#else
    (void)number;
    return -1;
#endif
}
