// The pool beside a mutex and malloc, a value beside a copy under a mutex. Beside Boost.Interprocess: ../cpp.
#define _GNU_SOURCE
#include "bench.h"

#include <shmkit.h>

#include <stdlib.h>
#include <string.h>

// What one case after the other uses.
struct state {
    shmkit_region_t *region;
    shmkit_mutex_t *mutex;
    shmkit_pool_t *pool;
    shmkit_value_t *value;
    char bytes[64];
};

static struct state open_state(const char *tag) {
    struct state state = {.region = scratch_region(tag, 4096)};
    must(shmkit_mutex_open(state.region, "m", &state.mutex, NULL) == SHMKIT_OK, "open mutex");
    return state;
}

static void free_state(struct state *state) {
    shmkit_value_free(state->value);
    shmkit_pool_free(state->pool);
    shmkit_mutex_free(state->mutex);
    shmkit_region_free(state->region);
}

static void allocate_and_free(void *state, long count) {
    const shmkit_pool_t *pool = ((struct state *)state)->pool;
    for (long i = 0; i < count; i++) {
        shmkit_pool_block_t block;
        must(shmkit_pool_allocate(pool, &block, NULL) == SHMKIT_OK, "allocate");
        must(shmkit_pool_free_block(pool, block.handle, NULL) == SHMKIT_OK, "free");
    }
}

static void lock_and_unlock(void *state, long count) {
    const shmkit_mutex_t *mutex = ((struct state *)state)->mutex;
    for (long i = 0; i < count; i++) {
        must(shmkit_mutex_lock(mutex, NULL) == SHMKIT_OK, "lock");
        shmkit_mutex_unlock(mutex, NULL);
    }
}

static void malloc_and_free(void *state, long count) {
    (void)state;
    for (long i = 0; i < count; i++) {
        void *block = malloc(64);
        __asm__ volatile("" : : "r"(block) : "memory");
        free(block);
    }
}

void run_pool(void) {
    struct state state = open_state("c-pool");
    shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
    options.block_size = 64;
    options.count = 1024;
    must(shmkit_pool_open(state.region, "p", &options, &state.pool, NULL) == SHMKIT_OK, "open pool");
    compare("pool.allocate_free.c.vs_mutex", 300000, allocate_and_free, &state, lock_and_unlock, &state);
    compare("pool.allocate_free.c.vs_malloc", 300000, allocate_and_free, &state, malloc_and_free, &state);
    free_state(&state);
}

static void load(void *state, long count) {
    struct state *with = state;
    for (long i = 0; i < count; i++)
        must(shmkit_value_load(with->value, with->bytes, sizeof with->bytes, NULL, NULL) == SHMKIT_OK, "load");
}

static void store(void *state, long count) {
    struct state *with = state;
    for (long i = 0; i < count; i++)
        must(shmkit_value_store(with->value, with->bytes, sizeof with->bytes, NULL) == SHMKIT_OK, "store");
}

static void read_under_mutex(void *state, long count) {
    struct state *with = state;
    for (long i = 0; i < count; i++) {
        must(shmkit_mutex_lock(with->mutex, NULL) == SHMKIT_OK, "lock");
        must(shmkit_region_read_at(with->region, 0, with->bytes, sizeof with->bytes, NULL) == SHMKIT_OK, "read");
        shmkit_mutex_unlock(with->mutex, NULL);
    }
}

static void write_under_mutex(void *state, long count) {
    struct state *with = state;
    for (long i = 0; i < count; i++) {
        must(shmkit_mutex_lock(with->mutex, NULL) == SHMKIT_OK, "lock");
        must(shmkit_region_write_at(with->region, 0, with->bytes, sizeof with->bytes, NULL) == SHMKIT_OK, "write");
        shmkit_mutex_unlock(with->mutex, NULL);
    }
}

void run_value(void) {
    struct state state = open_state("c-value");
    must(shmkit_value_open(state.region, "v", 64, "8Q", NULL, &state.value, NULL) == SHMKIT_OK, "open value");
    compare("value.load_64_bytes.c.vs_mutex_and_copy", 300000, load, &state, read_under_mutex, &state);
    compare("value.store_64_bytes.c.vs_mutex_and_copy", 300000, store, &state, write_under_mutex, &state);
    free_state(&state);
}
