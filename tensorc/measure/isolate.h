void *tensorc_guarded(int64_t bytes, int32_t buffer);
int32_t tensorc_guarded_read_only(void *start);
int64_t tensorc_guarded_damage(const void *start, int64_t bytes, int64_t *offset);
void tensorc_guarded_free(void *start);
int32_t tensorc_report_crashes(int32_t descriptor);
int32_t tensorc_signal_with_parent(int32_t number);
