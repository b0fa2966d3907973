// Times the C face beside its peers: see ../rust/src/main.rs for the method. Arguments: the groups wanted, or none for all.
#define _GNU_SOURCE
#include "bench.h"

#include <shmkit.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Rounds, and into how many of them the operations of one case are divided: see ../rust/src/main.rs.
enum { ROUNDS = 101, PARTS = 10 };

double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_of(work_t work, void *state, long count) {
    double start = now_ns();
    work(state, count);
    return (now_ns() - start) / (double)count;
}

void compare(const char *name, long count, work_t ours, void *our_state, work_t peer, void *peer_state) {
    double our_times[ROUNDS], peer_times[ROUNDS];
    count = count > PARTS ? count / PARTS : 1;
    ours(our_state, count);
    peer(peer_state, count);
    for (int round = 0; round < ROUNDS; round++) {
        our_times[round] = time_of(ours, our_state, count);
        peer_times[round] = time_of(peer, peer_state, count);
    }
    qsort(our_times, ROUNDS, sizeof *our_times, by_value);
    qsort(peer_times, ROUNDS, sizeof *peer_times, by_value);
    printf("{\"name\": \"%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n", name, our_times[ROUNDS / 2],
           peer_times[ROUNDS / 2]);
    fflush(stdout);
}

void must(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

shmkit_region_t *scratch_region(const char *tag, uint64_t len) {
    char name[64];
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_region_t *region;
    snprintf(name, sizeof name, "bench-%s-%d", tag, (int)getpid());
    must(shmkit_region_create(name, len, NULL, &region, &error) == SHMKIT_OK, error.message);
    shmkit_region_unlink(name, NULL, NULL);
    return region;
}

static void lock_region(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_region_lock(state, NULL) == SHMKIT_OK, "lock");
        shmkit_region_unlock(state, NULL);
    }
}

static void lock_mutex(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(pthread_mutex_lock(state) == 0, "pthread_mutex_lock");
        pthread_mutex_unlock(state);
    }
}

static void *shared_page(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED, "mmap");
    return page;
}

static pthread_mutex_t *new_mutex(int robust) {
    pthread_mutex_t *mutex = shared_page();
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    must(pthread_mutex_init(mutex, &attributes) == 0, "pthread_mutex_init");
    return mutex;
}

static void lock_named(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_mutex_lock(state, NULL) == SHMKIT_OK, "mutex lock");
        shmkit_mutex_unlock(state, NULL);
    }
}

static void run_lock(void) {
    shmkit_region_t *region = scratch_region("c-lock", 4096);
    shmkit_mutex_t *mutex;
    must(shmkit_mutex_open(region, "m", &mutex, NULL) == SHMKIT_OK, "open mutex");
    compare("lock.uncontended.c.vs_glibc_robust", 1000000, lock_region, region, lock_mutex, new_mutex(1));
    compare("lock.uncontended.c.vs_glibc_pshared", 1000000, lock_region, region, lock_mutex, new_mutex(0));
    compare("lock.mutex.c.vs_glibc_robust", 1000000, lock_named, mutex, lock_mutex, new_mutex(1));
    shmkit_mutex_free(mutex);
    shmkit_region_free(region);
}

static void read_named(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_rwlock_read_lock(state, NULL) == SHMKIT_OK, "read lock");
        shmkit_rwlock_read_unlock(state, NULL);
    }
}

static void write_named(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_rwlock_write_lock(state, NULL) == SHMKIT_OK, "write lock");
        shmkit_rwlock_write_unlock(state, NULL);
    }
}

static void read_pthread(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(pthread_rwlock_rdlock(state) == 0, "pthread_rwlock_rdlock");
        pthread_rwlock_unlock(state);
    }
}

static void write_pthread(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(pthread_rwlock_wrlock(state) == 0, "pthread_rwlock_wrlock");
        pthread_rwlock_unlock(state);
    }
}

static void run_rwlock(void) {
    shmkit_region_t *region = scratch_region("c-rwlock", 4096);
    shmkit_rwlock_t *lock;
    must(shmkit_rwlock_open(region, "l", &lock, NULL) == SHMKIT_OK, "open rwlock");
    pthread_rwlock_t *peer = shared_page();
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    must(pthread_rwlock_init(peer, &attributes) == 0, "pthread_rwlock_init");
    compare("rwlock.read.c.vs_glibc", 1000000, read_named, lock, read_pthread, peer);
    compare("rwlock.write.c.vs_glibc", 1000000, write_named, lock, write_pthread, peer);
    shmkit_rwlock_free(lock);
    shmkit_region_free(region);
}

static void acquire_named(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_semaphore_acquire(state, NULL) == SHMKIT_OK, "acquire");
        shmkit_semaphore_release(state, 1, NULL);
    }
}

static void acquire_posix(void *state, long count) {
    for (long i = 0; i < count; i++) {
        must(sem_wait(state) == 0, "sem_wait");
        sem_post(state);
    }
}

static void run_semaphore(void) {
    const struct {
        const char *name;
        uint32_t kind;
    } kinds[] = {{"semaphore.signalling.c.vs_sem_t", SHMKIT_SEMAPHORE_KIND_SIGNALLING},
                 {"semaphore.tracked.c.vs_sem_t", SHMKIT_SEMAPHORE_KIND_TRACKED}};
    shmkit_region_t *region = scratch_region("c-semaphore", 4096);
    sem_t *peer = shared_page();
    must(sem_init(peer, 1, 1) == 0, "sem_init");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
        shmkit_semaphore_t *semaphore;
        options.initial = 1;
        options.kind = kinds[i].kind;
        must(shmkit_semaphore_open(region, kinds[i].name, &options, &semaphore, NULL) == SHMKIT_OK, "open semaphore");
        compare(kinds[i].name, 1000000, acquire_named, semaphore, acquire_posix, peer);
        shmkit_semaphore_free(semaphore);
    }
    shmkit_region_free(region);
}

// What goes there and back between two processes: `here` begins, `there` answers for ever.
struct trip {
    shmkit_event_t *ping, *pong;
    shmkit_mutex_t *mutex;
    shmkit_condvar_t *changed;
    shmkit_region_t *region;
    int there[2], back[2];
};

static void event_here(void *state, long count) {
    struct trip *trip = state;
    for (long i = 0; i < count; i++) {
        shmkit_event_set(trip->ping, NULL);
        must(shmkit_event_wait(trip->pong, SHMKIT_FOREVER, 0, NULL) == SHMKIT_OK, "wait for pong");
    }
}

static void event_there(struct trip *trip) {
    must(shmkit_event_wait(trip->ping, SHMKIT_FOREVER, 0, NULL) == SHMKIT_OK, "wait for ping");
    shmkit_event_set(trip->pong, NULL);
}

// Waits for the number in the region to be `mine`, and makes it the other's.
static void take_turn(struct trip *trip, char mine) {
    char whose, other = (char)(1 - mine);
    must(shmkit_mutex_lock(trip->mutex, NULL) == SHMKIT_OK, "mutex lock");
    while (shmkit_region_read_at(trip->region, 0, &whose, 1, NULL), whose != mine)
        must(shmkit_condvar_wait(trip->changed, trip->mutex, SHMKIT_FOREVER, 0, NULL, NULL) == SHMKIT_OK, "wait");
    shmkit_region_write_at(trip->region, 0, &other, 1, NULL);
    shmkit_mutex_unlock(trip->mutex, NULL);
    shmkit_condvar_notify_one(trip->changed, NULL);
}

static void condvar_here(void *state, long count) {
    for (long i = 0; i < count; i++) take_turn(state, 0);
}

static void condvar_there(struct trip *trip) { take_turn(trip, 1); }

static void pipe_here(void *state, long count) {
    struct trip *trip = state;
    char byte = 0;
    for (long i = 0; i < count; i++)
        must(write(trip->there[1], &byte, 1) == 1 && read(trip->back[0], &byte, 1) == 1, "pipe");
}

static void pipe_there(struct trip *trip) {
    char byte;
    if (read(trip->there[0], &byte, 1) != 1 || write(trip->back[1], &byte, 1) != 1) _exit(1);
}

static pid_t answering(struct trip *trip, void (*there)(struct trip *)) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    while (pid == 0) there(trip);
    return pid;
}

static void run_trip(const char *name, work_t here, void (*there)(struct trip *)) {
    struct trip trip;
    trip.region = scratch_region("c-trip", 4096);
    must(shmkit_event_open(trip.region, "ping", SHMKIT_EVENT_RESET_AUTOMATIC, &trip.ping, NULL) == SHMKIT_OK, "event");
    must(shmkit_event_open(trip.region, "pong", SHMKIT_EVENT_RESET_AUTOMATIC, &trip.pong, NULL) == SHMKIT_OK, "event");
    must(shmkit_mutex_open(trip.region, "m", &trip.mutex, NULL) == SHMKIT_OK, "mutex");
    must(shmkit_condvar_open(trip.region, "c", &trip.changed, NULL) == SHMKIT_OK, "condvar");
    must(pipe(trip.there) == 0 && pipe(trip.back) == 0, "pipe");
    pid_t children[] = {answering(&trip, there), answering(&trip, pipe_there)};
    compare(name, 5000, here, &trip, pipe_here, &trip);
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    for (int end = 0; end < 2; end++) {
        close(trip.there[end]);
        close(trip.back[end]);
    }
    shmkit_event_free(trip.ping);
    shmkit_event_free(trip.pong);
    shmkit_condvar_free(trip.changed);
    shmkit_mutex_free(trip.mutex);
    shmkit_region_free(trip.region);
}

struct copy {
    shmkit_region_t *region;
    char *source, *target;
    size_t len;
};

static void write_region(void *state, long count) {
    struct copy *copy = state;
    for (long i = 0; i < count; i++)
        must(shmkit_region_write_at(copy->region, 0, copy->source, copy->len, NULL) == SHMKIT_OK, "write");
}

static void copy_memory(void *state, long count) {
    struct copy *copy = state;
    for (long i = 0; i < count; i++) {
        memcpy(copy->target, copy->source, copy->len);
        __asm__ volatile("" : : "r"(copy->target) : "memory");
    }
}

static void run_copy(void) {
    const struct {
        const char *name;
        size_t len;
        long count;
    } sizes[] = {{"copy.write_64b.c.vs_memcpy", 64, 1000000},
                 {"copy.write_4k.c.vs_memcpy", 4096, 200000},
                 {"copy.write_1m.c.vs_memcpy", 1 << 20, 400}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct copy copy = {scratch_region("c-copy", sizes[i].len), malloc(sizes[i].len), malloc(sizes[i].len),
                            sizes[i].len};
        memset(copy.source, 7, copy.len);
        memset(copy.target, 0, copy.len);
        compare(sizes[i].name, sizes[i].count, write_region, &copy, copy_memory, &copy);
        shmkit_region_free(copy.region);
        free(copy.source);
        free(copy.target);
    }
}

struct mapped {
    shmkit_mapping_t *mapping;
    char place[4096];
};

enum { MAPPED = 4 << 20 };

static void map_file(struct mapped *mapped, const char *path, uint32_t flags) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN | SHMKIT_MAP_POPULATE | flags;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    options.len = MAPPED;
    must(shmkit_mapping_open(path, &options, &mapped->mapping, NULL) == SHMKIT_OK, "map file");
}

static void read_4k(void *state, long count) {
    struct mapped *mapped = state;
    for (long i = 0; i < count; i++)
        must(shmkit_mapping_read_at(mapped->mapping, (uint64_t)i * 4096 % MAPPED, mapped->place, 4096, NULL) ==
                 SHMKIT_OK, "read");
}

static void sum_4m(void *state, long count) {
    const unsigned char *data = shmkit_mapping_data(((struct mapped *)state)->mapping);
    unsigned long sum = 0;
    for (long i = 0; i < count; i++) {
        for (size_t at = 0; at < MAPPED; at++) sum += data[at];
        __asm__ volatile("" : "+r"(sum) : : "memory");
    }
}

// A mapping under the fault guard beside one without it.
static void run_fault(void) {
    static struct mapped guarded, unguarded;
    char path[] = "/tmp/shmkit-bench-XXXXXX";
    int file = mkstemp(path);
    must(file >= 0 && close(file) == 0, "mkstemp");
    map_file(&guarded, path, 0);
    map_file(&unguarded, path, SHMKIT_MAP_NO_FAULT_GUARD);
    compare("fault.read_4k.c.vs_unguarded", 50000, read_4k, &guarded, read_4k, &unguarded);
    compare("fault.sum_4m.c.vs_unguarded", 10, sum_4m, &guarded, sum_4m, &unguarded);
    shmkit_mapping_free(guarded.mapping);
    shmkit_mapping_free(unguarded.mapping);
    unlink(path);
}

// Random 4-KiB reads of a cached file of 1 GiB.
enum { BLOCK = 4096 };
static const uint64_t FILE_LEN = 1ull << 30;

struct blocks {
    shmkit_window_cache_t *cache;
    const char *whole;
    int file;
    uint64_t random;
    char block[BLOCK];
};

static uint64_t next_offset(struct blocks *blocks) {
    blocks->random = blocks->random * 6364136223846793005u + 1442695040888963407u;
    return (blocks->random >> 33) % (FILE_LEN / BLOCK) * BLOCK;
}

static void read_windows(void *state, long count) {
    struct blocks *blocks = state;
    for (long i = 0; i < count; i++)
        must(shmkit_window_cache_read_at(blocks->cache, next_offset(blocks), blocks->block, BLOCK, NULL) == SHMKIT_OK, "read");
}

static void read_one_mapping(void *state, long count) {
    struct blocks *blocks = state;
    for (long i = 0; i < count; i++) {
        memcpy(blocks->block, blocks->whole + next_offset(blocks), BLOCK);
        __asm__ volatile("" : : "r"(blocks->block) : "memory");
    }
}

static void read_by_pread(void *state, long count) {
    struct blocks *blocks = state;
    for (long i = 0; i < count; i++)
        must(pread(blocks->file, blocks->block, BLOCK, (off_t)next_offset(blocks)) == BLOCK, "pread");
}

static void run_windows(void) {
    struct blocks blocks = {.random = 1, .file = fileno(tmpfile())};
    must(ftruncate(blocks.file, (off_t)FILE_LEN) == 0, "ftruncate");
    shmkit_window_options_t options = SHMKIT_WINDOW_OPTIONS_INIT;
    options.window_len = FILE_LEN / 64;
    options.pattern = SHMKIT_ADVICE_RANDOM;
    must(shmkit_window_cache_from_fd(blocks.file, &options, &blocks.cache, NULL) == SHMKIT_OK, "open windows");
    blocks.whole = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED | MAP_POPULATE, blocks.file, 0);
    must(blocks.whole != MAP_FAILED, "mmap");
    for (uint64_t offset = 0; offset < FILE_LEN; offset += BLOCK)
        must(shmkit_window_cache_read_at(blocks.cache, offset, blocks.block, BLOCK, NULL) == SHMKIT_OK, "read");
    compare("windows.random_4k_fits.c.vs_one_mapping", 5000, read_windows, &blocks, read_one_mapping, &blocks);
    compare("windows.random_4k_fits.c.vs_pread", 5000, read_windows, &blocks, read_by_pread, &blocks);
    shmkit_window_cache_free(blocks.cache);
}

struct flushed {
    shmkit_mapping_t *mapping;
    int file;
    char page[4096];
};

static void flush_page(void *state, long count) {
    struct flushed *flushed = state;
    for (long i = 0; i < count; i++) {
        flushed->page[0]++;
        must(shmkit_mapping_write_at(flushed->mapping, 4096, flushed->page, 4096, NULL) == SHMKIT_OK, "write");
        must(shmkit_mapping_flush(flushed->mapping, 4096, 4096, 0, NULL) == SHMKIT_OK, "flush");
    }
}

static void write_and_sync(void *state, long count) {
    struct flushed *flushed = state;
    for (long i = 0; i < count; i++) {
        flushed->page[0]++;
        must(pwrite(flushed->file, flushed->page, 4096, 8192) == 4096 && fdatasync(flushed->file) == 0, "pwrite");
    }
}

static void run_flush(void) {
    struct flushed flushed = {.file = fileno(tmpfile())};
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_GROW | SHMKIT_MAP_LEN;
    options.len = 1 << 20;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    must(shmkit_mapping_from_fd(flushed.file, &options, &flushed.mapping, NULL) == SHMKIT_OK, "map");
    compare("flush.one_page.c.vs_pwrite_fdatasync", 10, flush_page, &flushed, write_and_sync, &flushed);
    shmkit_mapping_free(flushed.mapping);
}

static void look_at_pages(void *state, long count) {
    static uint8_t states[65536];
    for (long i = 0; i < count; i++)
        must(shmkit_mapping_residency(state, 0, 256 << 20, states, sizeof states, NULL, NULL, NULL) == SHMKIT_OK, "look");
}

static void ask_mincore(void *state, long count) {
    static unsigned char states[65536];
    for (long i = 0; i < count; i++)
        must(mincore(shmkit_mapping_data(state), 256 << 20, states) == 0, "mincore");
}

static void run_pages(void) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN | SHMKIT_MAP_PRIVATE;
    options.len = 256 << 20;
    options.huge_pages = SHMKIT_HUGE_PAGES_NEVER;
    shmkit_mapping_t *mapping;
    must(shmkit_mapping_anonymous(&options, &mapping, NULL) == SHMKIT_OK, "map memory");
    must(shmkit_mapping_advise(mapping, 0, 256 << 20, SHMKIT_ADVICE_POPULATE_WRITE, NULL) == SHMKIT_OK, "populate");
    compare("pages.residency_256m.c.vs_mincore", 20, look_at_pages, mapping, ask_mincore, mapping);
    shmkit_mapping_free(mapping);
}

static int wanted(int argc, char **argv, const char *group) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], group) == 0) return 1;
    return argc == 1;
}

int main(int argc, char **argv) {
    if (wanted(argc, argv, "lock")) run_lock();
    if (wanted(argc, argv, "rwlock")) run_rwlock();
    if (wanted(argc, argv, "semaphore")) run_semaphore();
    if (wanted(argc, argv, "ipc")) run_ipc();
    if (wanted(argc, argv, "log")) run_log();
    if (wanted(argc, argv, "pool")) run_pool();
    if (wanted(argc, argv, "value")) run_value();
    if (wanted(argc, argv, "event")) run_trip("event.round_trip.c.vs_pipe", event_here, event_there);
    if (wanted(argc, argv, "condvar")) run_trip("condvar.round_trip.c.vs_pipe", condvar_here, condvar_there);
    if (wanted(argc, argv, "copy")) run_copy();
    if (wanted(argc, argv, "windows")) run_windows();
    if (wanted(argc, argv, "flush")) run_flush();
    if (wanted(argc, argv, "pages")) run_pages();
    if (wanted(argc, argv, "fault")) run_fault();
    return 0;
}
