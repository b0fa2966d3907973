// What the benchmarks of the C face share.
#ifndef BENCH_H
#define BENCH_H

typedef void (*work_t)(void *state, long count);

// Times two kinds of work in turn, and prints the medians.
void compare(const char *name, long count, work_t ours, void *our_state, work_t peer, void *peer_state);

double now_ns(void);
int by_value(const void *a, const void *b);
void must(int good, const char *what);

void run_ipc(void);
void run_log(void);

#endif
