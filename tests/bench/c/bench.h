// What the benchmarks of the C face share.
#ifndef BENCH_H
#define BENCH_H

#include <shmkit.h>

typedef void (*work_t)(void *state, long count);

// Times two kinds of work in turn, and prints the medians.
void compare(const char *name, long count, work_t ours, void *our_state, work_t peer, void *peer_state);

double now_ns(void);
int by_value(const void *a, const void *b);
void must(int good, const char *what);

// A region of `len` user bytes whose name is gone: nothing is left of it, however the program ends.
shmkit_region_t *scratch_region(const char *tag, uint64_t len);

void run_ipc(void);
void run_log(void);
void run_pool(void);
void run_value(void);

#endif
