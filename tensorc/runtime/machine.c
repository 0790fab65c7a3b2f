/* What the machine can do at best: multiply-adds, memory traffic, memory latency.

   Each figure is the best of many short samples, as in the profiler. Threads are made for the
   purpose and meet at a spinning barrier before and after each sample. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "runtime.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float floats __attribute__((vector_size(VECTOR_BYTES)));
typedef double doubles __attribute__((vector_size(VECTOR_BYTES)));

enum { CHAINS = 12, FMA_ROUNDS = 4000, MAX_THREADS = 1024, LINE = 64 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Keeps the compiler from computing a value in advance, or not at all. */
#define OPAQUE(value) __asm__ volatile("" : "+m"(value))

/* Twelve independent chains hide the latency of the multiply-add on every processor so far. */
#define DEFINE_FMA(name, vector, scalar)                                                           \
    static void name(void) {                                                                       \
        scalar start = 0.5, factor = 0.9999, term = 0.0001;                                        \
        OPAQUE(start); OPAQUE(factor); OPAQUE(term);                                               \
        vector x = factor - (vector){0}, y = term - (vector){0}, s = start - (vector){0};          \
        vector a = s, b = s + y, c = b + y, d = c + y, e = d + y, f = e + y, g = f + y, h = g + y, \
               i = h + y, j = i + y, k = j + y, l = k + y;                                         \
        for (int n = 0; n < FMA_ROUNDS; n++) {                                                     \
            a = a * x + y; b = b * x + y; c = c * x + y; d = d * x + y;                            \
            e = e * x + y; f = f * x + y; g = g * x + y; h = h * x + y;                            \
            i = i * x + y; j = j * x + y; k = k * x + y; l = l * x + y;                            \
        }                                                                                          \
        s = a + b + c + d + e + f + g + h + i + j + k + l;                                         \
        OPAQUE(s);                                                                                 \
    }
DEFINE_FMA(fma_floats, floats, float)
DEFINE_FMA(fma_doubles, doubles, double)

/* One chain: each multiply-add waits for the one before. */
static void fma_chain(void) {
    float start = 0.5, factor = 0.9999, term = 0.0001;
    OPAQUE(start); OPAQUE(factor); OPAQUE(term);
    floats x = factor - (floats){0}, y = term - (floats){0}, a = start - (floats){0};
    for (int n = 0; n < FMA_ROUNDS; n++) a = a * x + y;
    OPAQUE(a);
}

/* `bytes` is a multiple of eight vectors. Eight sums: two loads in a cycle, and an addition of four
   cycles, must not wait for them. */
static void read_memory(const char *memory, int64_t bytes) {
    floats a = {0}, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    for (const char *p = memory, *end = memory + bytes; p < end; p += 8 * VECTOR_BYTES) {
        const floats *v = (const floats *)p;
        a += v[0]; b += v[1]; c += v[2]; d += v[3]; e += v[4]; f += v[5]; g += v[6]; h += v[7];
    }
    a += b + c + d + e + f + g + h;
    OPAQUE(a);
}

static void write_memory(char *memory, int64_t bytes) {
    floats value = {1};
    for (char *p = memory, *end = memory + bytes; p < end; p += 8 * VECTOR_BYTES) {
        floats *v = (floats *)p;
        v[0] = value; v[1] = value; v[2] = value; v[3] = value;
        v[4] = value; v[5] = value; v[6] = value; v[7] = value;
        __asm__ volatile("" ::: "memory");
    }
}

typedef enum { FMA_FLOAT, FMA_DOUBLE, FMA_CHAIN, READ, WRITE } job_t;

typedef struct {
    job_t job;
    int32_t threads;
    int64_t bytes, repeats;
    double seconds, best;
    char *memory; /* `bytes` for each thread */
    atomic_int gate; /* 0: threads are still being made; 1: go; -1: not all could be made */
    atomic_int numbers, arrived, round, stop;
} team_t;

static void barrier(team_t *team) {
    int round = atomic_load(&team->round);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == team->threads) {
        atomic_store(&team->arrived, 0);
        atomic_fetch_add(&team->round, 1);
    } else {
        while (atomic_load(&team->round) == round) continue;
    }
}

static void do_job(const team_t *team, char *memory) {
    for (int64_t i = 0; i < team->repeats; i++) switch (team->job) {
        case FMA_FLOAT: fma_floats(); break;
        case FMA_DOUBLE: fma_doubles(); break;
        case FMA_CHAIN: fma_chain(); break;
        case READ: read_memory(memory, team->bytes); break;
        case WRITE: write_memory(memory, team->bytes); break;
    }
}

static void *member(void *argument) {
    team_t *team = argument;
    int number = atomic_fetch_add(&team->numbers, 1);
    char *memory = team->memory + number * team->bytes;
    while (!atomic_load(&team->gate)) continue;
    if (atomic_load(&team->gate) < 0) return NULL;
    memset(memory, 0, (size_t)team->bytes);
    double end = now() + team->seconds;
    while (!atomic_load(&team->stop)) {
        barrier(team);
        double start = now();
        do_job(team, memory);
        barrier(team);
        double taken = now() - start;
        if (number == 0) {
            if (taken < team->best) team->best = taken;
            atomic_store(&team->stop, now() > end);
        }
        barrier(team);
    }
    return NULL;
}

/* Seconds of the fastest sample; all threads start and end together. Negative if memory or threads
   are refused. */
static double best_time(team_t *team) {
    pthread_t handles[MAX_THREADS];
    void *memory = NULL;
    if (team->threads > MAX_THREADS) return -1;
    if (team->bytes && posix_memalign(&memory, 4096, (size_t)(team->bytes * team->threads)))
        return -1;
    team->memory = memory;
    team->best = 1e9;
    int32_t made = 1;
    while (made < team->threads && !pthread_create(&handles[made], NULL, member, team)) made++;
    atomic_store(&team->gate, made == team->threads ? 1 : -1);
    member(team);
    while (--made > 0) pthread_join(handles[made], NULL);
    free(memory);
    return atomic_load(&team->gate) < 0 ? -1 : team->best;
}

/* Floating-point operations in a second. */
double tensorc_fma_peak(int32_t threads, int32_t is_double, double seconds) {
    team_t team = {.job = is_double ? FMA_DOUBLE : FMA_FLOAT, .threads = threads, .repeats = 4,
                   .seconds = seconds};
    double lanes = VECTOR_BYTES / (is_double ? sizeof(double) : sizeof(float));
    return 2.0 * lanes * CHAINS * FMA_ROUNDS * (double)team.repeats * threads / best_time(&team);
}

/* Seconds of a multiply-add of vectors of floats that waits for the one before. */
double tensorc_fma_latency(double seconds) {
    team_t team = {.job = FMA_CHAIN, .threads = 1, .repeats = 4, .seconds = seconds};
    return best_time(&team) / ((double)FMA_ROUNDS * (double)team.repeats);
}

/* Bytes of the vectors that everything here computes with. */
int32_t tensorc_vector_bytes(void) { return VECTOR_BYTES; }

/* Bytes in a second that all threads read or write, each in `bytes` of its own. */
double tensorc_bandwidth(int32_t threads, int64_t bytes, int32_t is_write, double seconds) {
    int64_t step = 8 * VECTOR_BYTES, size = bytes < step ? step : bytes / step * step;
    int64_t repeats = (1 << 20) / size + 1;
    team_t team = {.job = is_write ? WRITE : READ, .threads = threads, .bytes = size,
                   .repeats = repeats, .seconds = seconds};
    return (double)size * (double)repeats * threads / best_time(&team);
}

/* Seconds of a load whose address is the value of the load before; lines in random order. */
double tensorc_latency(int64_t bytes, double seconds) {
    enum { LOADS = 4096 };
    int64_t lines = bytes / LINE < 2 ? 2 : bytes / LINE;
    char *memory;
    int64_t *order = malloc((size_t)lines * sizeof *order);
    if (!order || posix_memalign((void **)&memory, 4096, (size_t)lines * LINE)) return -1;
    uint64_t random = 88172645463325252u;
    for (int64_t i = 0; i < lines; i++) order[i] = i;
    for (int64_t i = lines - 1; i > 0; i--) {
        random ^= random << 13; random ^= random >> 7; random ^= random << 17;
        int64_t j = (int64_t)(random % (uint64_t)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int64_t i = 0; i < lines; i++)
        *(void **)(memory + order[i] * LINE) = memory + order[(i + 1) % lines] * LINE;
    void **p = (void **)(memory + order[0] * LINE);
    for (int64_t i = 0; i < lines; i++) p = *p;
    double best = 1e9, end = now() + seconds;
    do {
        double start = now();
        for (int i = 0; i < LOADS; i++) p = *p;
        OPAQUE(p);
        double taken = (now() - start) / LOADS;
        if (taken < best) best = taken;
    } while (now() < end);
    free(order);
    free(memory);
    return best;
}
