typedef int32_t (*tensorc_kernel)(void *const *buffers, void *workspace);
typedef void (*tensorc_body)(void *context, int64_t begin, int64_t end, int32_t thread);

/* pool.c */
void tensorc_parallel_for(tensorc_body body, void *context, int64_t count);
int32_t tensorc_call(tensorc_kernel kernel, void *const *buffers, void *workspace, int32_t threads);
void tensorc_pool_set_default(int32_t threads);
int32_t tensorc_pool_workers(void);
