/* The thread pool that parallel loops run on.

   A loop is cut into chunks. `state` holds the number of the loop (high half) and how many chunks
   nobody has taken yet (low half) in one word, so that a chunk is taken by one compare-and-swap
   that fails for whoever comes late, from an earlier loop. The caller works too and leaves when all
   chunks are done; it never waits for a worker that has nothing to do. Workers spin a little for
   the next loop, then sleep on a futex.

   One loop runs on the pool at a time. A loop inside a loop, or one that is started while another
   thread's loop is running, runs serially in its own thread: never wrong, never a deadlock, and no
   more threads than cores. After a fork the child starts with an empty pool and makes its own. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <signal.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#include "runtime.h"

enum { MAX_THREADS = 4096, SPINS = 4000, CHUNKS_PER_THREAD = 8 };

#define LINE _Alignas(64)

static struct {
    LINE atomic_ullong state; /* loop number << 32 | chunks left to take */
    LINE atomic_uint done;    /* chunks finished */
    atomic_int caller_sleeps;
    LINE atomic_uint ticket; /* what sleeping workers wait on */
    atomic_int sleepers;
    LINE atomic_int busy;
    atomic_int workers;
    /* The loop in progress; written before `state` is, read after a chunk was taken. */
    LINE tensorc_body body;
    void *context;
    int64_t count;
    uint32_t chunks;
    atomic_int threads; /* how many may take part */
} pool;

static atomic_int default_threads = 1;
static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;
static _Thread_local int32_t thread_limit = 0;  /* of the kernel that runs; 0 for the default */
static _Thread_local int32_t inside_thread = -1; /* number in the loop that runs; -1 outside */

static inline void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void sleep_while(atomic_uint *word, unsigned value) {
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
#else
    (void)word, (void)value;
    usleep(50);
#endif
}

static void wake(atomic_uint *word, int how_many) {
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, 0, 0, 0);
#else
    (void)word, (void)how_many;
#endif
}

static inline uint32_t loop_of(unsigned long long state) { return (uint32_t)(state >> 32); }

static void run_chunk(uint32_t chunk, uint32_t chunks, int32_t thread) {
    int64_t size = pool.count / chunks, rest = pool.count % chunks;
    int64_t begin = chunk * size + (chunk < rest ? chunk : rest);
    pool.body(pool.context, begin, begin + size + (chunk < rest), thread);
}

/* Take chunks of loop number `loop` until none is left. */
static void take_part(uint32_t loop, int32_t thread) {
    unsigned long long state = atomic_load_explicit(&pool.state, memory_order_acquire);
    while (loop_of(state) == loop && (uint32_t)state != 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool.state, &state, state - 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        /* The loop cannot end before this chunk is counted, so its fields stand still. */
        uint32_t chunks = pool.chunks;
        run_chunk(chunks - (uint32_t)state, chunks, thread);
        if (atomic_fetch_add(&pool.done, 1) + 1 == chunks && atomic_load(&pool.caller_sleeps))
            wake(&pool.done, 1);
        state = atomic_load_explicit(&pool.state, memory_order_acquire);
    }
}

static uint32_t wait_for_loop(uint32_t seen) {
    for (int spins = SPINS;;) {
        uint32_t loop = loop_of(atomic_load_explicit(&pool.state, memory_order_acquire));
        if (loop != seen) return loop;
        if (spins-- > 0) {
            pause_cpu();
            continue;
        }
        unsigned ticket = atomic_load(&pool.ticket);
        atomic_fetch_add(&pool.sleepers, 1);
        if (loop_of(atomic_load(&pool.state)) == seen) sleep_while(&pool.ticket, ticket);
        atomic_fetch_sub(&pool.sleepers, 1);
        spins = SPINS;
    }
}

static void *worker(void *argument) {
    int32_t thread = (int32_t)(intptr_t)argument;
    uint32_t seen = 0;
    inside_thread = thread;
    for (;;) {
        seen = wait_for_loop(seen);
        if (thread < atomic_load_explicit(&pool.threads, memory_order_relaxed))
            take_part(seen, thread);
    }
    return NULL;
}

/* In the child there are no workers, and whatever the parent's threads did is gone. */
static void after_fork_in_child(void) {
    atomic_store(&pool.state, 0);
    atomic_store(&pool.done, 0);
    atomic_store(&pool.caller_sleeps, 0);
    atomic_store(&pool.ticket, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.workers, 0);
    atomic_store(&pool.busy, 0);
}

static void install_fork_handler(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

/* Workers leave all signals but those of their own faults to the program's threads. */
static void block_signals(sigset_t *before) {
    sigset_t blocked;
    sigfillset(&blocked);
    const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* Make workers until `threads` can take part; returns how many can. Called by the pool's owner. */
static int32_t grow(int32_t threads) {
    int32_t have = atomic_load(&pool.workers) + 1;
    if (have >= threads) return threads;
    pthread_once(&fork_handler_once, install_fork_handler);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigset_t signals;
    block_signals(&signals);
    for (; have < threads; have++) {
        pthread_t handle;
        if (pthread_create(&handle, &attributes, worker, (void *)(intptr_t)have)) break;
        atomic_fetch_add(&pool.workers, 1);
    }
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
    pthread_attr_destroy(&attributes);
    return have;
}

static void run_serially(tensorc_body body, void *context, int64_t count) {
    int32_t before = inside_thread;
    inside_thread = before < 0 ? 0 : before;
    body(context, 0, count, inside_thread);
    inside_thread = before;
}

static void wait_until_done(uint32_t chunks) {
    for (int spins = SPINS;;) {
        unsigned done = atomic_load_explicit(&pool.done, memory_order_acquire);
        if (done == chunks) return;
        if (spins-- > 0) {
            pause_cpu();
            continue;
        }
        atomic_store(&pool.caller_sleeps, 1);
        done = atomic_load(&pool.done);
        if (done != chunks) sleep_while(&pool.done, done);
        atomic_store(&pool.caller_sleeps, 0);
    }
}

static void run_on_pool(tensorc_body body, void *context, int64_t count, int32_t threads) {
    int64_t most = (int64_t)threads * CHUNKS_PER_THREAD;
    uint32_t chunks = (uint32_t)(count < most ? count : most);
    pool.body = body;
    pool.context = context;
    pool.count = count;
    pool.chunks = chunks;
    atomic_store_explicit(&pool.threads, threads, memory_order_relaxed);
    atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
    uint32_t loop = loop_of(atomic_load(&pool.state)) + 1;
    atomic_store(&pool.state, (unsigned long long)loop << 32 | chunks);
    if (atomic_load(&pool.sleepers) > 0) {
        atomic_fetch_add(&pool.ticket, 1);
        wake(&pool.ticket, MAX_THREADS);
    }
    inside_thread = 0;
    take_part(loop, 0);
    inside_thread = -1;
    wait_until_done(chunks);
}

void tensorc_parallel_for(tensorc_body body, void *context, int64_t count) {
    if (count <= 0) return;
    int32_t threads = thread_limit > 0 ? thread_limit : atomic_load(&default_threads);
    if (threads <= 1 || count == 1 || inside_thread >= 0 || atomic_exchange(&pool.busy, 1)) {
        run_serially(body, context, count);
        return;
    }
    threads = grow(threads);
    run_on_pool(body, context, count, threads);
    atomic_store(&pool.busy, 0);
}

/* Run a kernel whose loops may use at most `threads` threads. */
int32_t tensorc_call(tensorc_kernel kernel, void *const *buffers, void *workspace,
                     int32_t threads) {
    int32_t before = thread_limit;
    thread_limit = threads < MAX_THREADS ? threads : MAX_THREADS;
    int32_t status = kernel(buffers, workspace);
    thread_limit = before;
    return status;
}

/* How many threads a loop uses when it is not started by `tensorc_call`. */
void tensorc_pool_set_default(int32_t threads) { atomic_store(&default_threads, threads); }

int32_t tensorc_pool_workers(void) { return atomic_load(&pool.workers); }
