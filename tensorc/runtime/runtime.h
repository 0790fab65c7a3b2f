typedef int32_t (*tensorc_kernel)(void *const *buffers, void *workspace);
typedef void (*tensorc_body)(void *context, int64_t begin, int64_t end, int32_t thread);

/* pool.c */
void tensorc_parallel_for(tensorc_body body, void *context, int64_t count);
int32_t tensorc_call(tensorc_kernel kernel, void *const *buffers, void *workspace, int32_t threads);
void tensorc_pool_set_default(int32_t threads);
int32_t tensorc_pool_workers(void);

/* profiler.c */
typedef struct {
    int32_t threads;      /* for the kernel's parallel loops */
    int32_t max_windows;  /* room in `samples` */
    int32_t min_windows;  /* at least so many, unless time runs out */
    int32_t agreeing;     /* stop when so many windows agree with the fastest … */
    double tolerance;     /* … within this fraction */
    double window;        /* aimed length of a window in seconds */
    double budget;        /* stop after so many seconds */
    double cutoff;        /* of a slower kernel `few` windows will do, and none if a single call is
                             longer than a window and a core has had time to wake up; 0 for none */
    double contender;     /* of a slower kernel `few` windows, the last not the fastest, will do; 0
                             for none */
    int32_t few;
    int64_t flush_bytes;  /* memory to read between calls; 0 for none */
    int32_t counters;     /* whether to read hardware counters */
} tensorc_profile_options;

typedef struct {
    int32_t windows; /* samples taken */
    int32_t cut;     /* whether `cutoff` ended it */
    int64_t calls;   /* in each window */
    double elapsed;  /* seconds in all */
    double counters[5]; /* cycles, instructions, L1 misses, last-level misses, branch misses of the
                           calling thread, for each call; -1 where there is no such counter */
} tensorc_profile_result;

int32_t tensorc_profile(tensorc_kernel kernel, void *const *buffers, void *workspace,
                        const tensorc_profile_options *options, double *samples,
                        tensorc_profile_result *result);

/* machine.c */
double tensorc_fma_peak(int32_t threads, int32_t is_double, double seconds);
double tensorc_fma_latency(double seconds);
int32_t tensorc_vector_bytes(void);
double tensorc_bandwidth(int32_t threads, int64_t bytes, int32_t is_write, double seconds);
double tensorc_latency(int64_t bytes, double seconds);
