// What the benchmarks of the C face share.
#ifndef BENCH_H
#define BENCH_H

double now_ns(void);
int by_value(const void *a, const void *b);
void must(int good, const char *what);

void run_ipc(void);

#endif
