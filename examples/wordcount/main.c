//go:build ignore

// The C worker of the word count: see README.md in this folder for what the workers share.
//
//     wordcount CORPUS REGION [--doomed]
#define _POSIX_C_SOURCE 200809L // nanosleep
#include <shmkit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ME = 2, WORKERS = 4 };
enum {
    CHUNK_COUNT = 0, CHUNK_SIZE = 8, ACTIVE = 16, CURSOR = 24, INSIDE = 32, READY = 40, WAITING = 48,
    GIVEN_BACK = 56, GIVEN_BACK_BY = 64, TAKEN = 4096, RESULTS = 32768, RESULT_LEN = 32768,
    BY_WORKER = 24, BY_LENGTH = 64, DONE = 4096
};

struct counts {
    uint64_t words, lines, by_length[32];
};

// The user bytes of the region. Touched only while the guard is held, so plain loads and stores will do.
static unsigned char *shared;

static void must(shmkit_status_t status, const shmkit_error_t *error) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "wordcount: %s\n", error->message);
        exit(1);
    }
}

static uint64_t *number(size_t offset) { return (uint64_t *)(void *)(shared + offset); }

static int is_word(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
}

static void sleep_ms(long ms) {
    struct timespec duration = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&duration, NULL);
}

// Counts the words that begin between start and end, and the lines that end there.
static struct counts count(const unsigned char *text, size_t len, size_t start, size_t end) {
    struct counts counts = {0};
    size_t at = start;
    if (start > 0 && is_word(text[start - 1]))
        while (at < end && is_word(text[at])) at++;
    while (at < end) {
        size_t begin = at;
        while (at < len && is_word(text[at])) at++;
        if (at == begin) {
            at++;
            continue;
        }
        size_t length = at - begin;
        counts.words++;
        counts.by_length[(length < 32 ? length : 32) - 1]++;
    }
    for (at = start; at < end; at++) counts.lines += text[at] == '\n';
    return counts;
}

// Takes the guard. If its last owner died, frees the chunk that it was merging first.
static void lock(shmkit_region_t *region) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_status_t status = shmkit_region_lock(region, &error);
    if (status != SHMKIT_OWNER_DIED) {
        must(status, &error);
        return;
    }
    uint64_t dead = *number(INSIDE);
    unsigned char *done = shared + RESULTS + *number(ACTIVE) * RESULT_LEN + DONE;
    for (size_t chunk = 0; chunk < *number(CHUNK_COUNT); chunk++) {
        if (dead == 0 || shared[TAKEN + chunk] != dead || done[chunk]) continue;
        shared[TAKEN + chunk] = 0;
        if (chunk < *number(CURSOR)) *number(CURSOR) = chunk;
        ++*number(GIVEN_BACK);
        *number(GIVEN_BACK_BY) = ME;
    }
    *number(INSIDE) = 0;
    must(shmkit_region_make_consistent(region, &error), &error);
}

static void unlock(shmkit_region_t *region) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    must(shmkit_region_unlock(region, &error), &error);
}

// The next free chunk, or -1 when there is none at the moment, or -2 when all are done.
static long take_chunk(shmkit_region_t *region) {
    lock(region);
    uint64_t chunk_count = *number(CHUNK_COUNT), chunk = *number(CURSOR);
    while (chunk < chunk_count && shared[TAKEN + chunk]) chunk++;
    *number(CURSOR) = chunk;
    long taken;
    if (chunk < chunk_count) {
        shared[TAKEN + chunk] = ME;
        taken = (long)chunk;
    } else {
        taken = *number(RESULTS + *number(ACTIVE) * RESULT_LEN + 16) == chunk_count ? -2 : -1;
    }
    unlock(region);
    return taken;
}

// Adds a chunk's counts to the results; the store to ACTIVE is what makes them count.
static void merge(shmkit_region_t *region, size_t chunk, const struct counts *counts, int doomed) {
    lock(region);
    *number(INSIDE) = ME;
    uint64_t active = *number(ACTIVE);
    size_t old = RESULTS + active * RESULT_LEN, new = RESULTS + (1 - active) * RESULT_LEN;
    memcpy(shared + new, shared + old, RESULT_LEN);
    *number(new) += counts->words;
    if (doomed) {
        *(volatile uint64_t *)number(WAITING) = 1;
        sleep_ms(60000);
    }
    *number(new + 8) += counts->lines;
    *number(new + 16) += 1;
    *number(new + BY_WORKER + (ME - 1) * 8) += 1;
    for (size_t i = 0; i < 32; i++) *number(new + BY_LENGTH + i * 8) += counts->by_length[i];
    shared[new + DONE + chunk] = 1;
    // Release: whoever sees the new block as active sees all of it.
    __atomic_store_n(number(ACTIVE), 1 - active, __ATOMIC_RELEASE);
    *number(INSIDE) = 0;
    unlock(region);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s CORPUS REGION [--doomed]\n", argv[0]);
        return 2;
    }
    int doomed = argc > 3 && strcmp(argv[3], "--doomed") == 0;
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_mapping_t *corpus;
    shmkit_region_t *region;
    void *text, *data;
    must(shmkit_mapping_open(argv[1], NULL, &corpus, &error), &error);
    size_t len = shmkit_mapping_len(corpus);
    must(shmkit_mapping_pin(corpus, 0, len, false, &text, &error), &error);
    must(shmkit_region_open(argv[2], NULL, &region, &error), &error);
    must(shmkit_region_pin(region, 0, shmkit_region_len(region), true, &data, &error), &error);
    shared = data;

    lock(region);
    ++*number(READY);
    size_t chunk_size = *number(CHUNK_SIZE);
    unlock(region);
    while (__atomic_load_n(number(READY), __ATOMIC_ACQUIRE) < WORKERS) sleep_ms(1);

    int taken = 0;
    for (long chunk; (chunk = take_chunk(region)) != -2;) {
        if (chunk == -1) {
            sleep_ms(1);
            continue;
        }
        size_t start = (size_t)chunk * chunk_size, end = start + chunk_size < len ? start + chunk_size : len;
        struct counts counts = count(text, len, start, end);
        merge(region, (size_t)chunk, &counts, doomed && ++taken == 3);
    }

    shmkit_region_unpin(region, true, NULL);
    shmkit_mapping_unpin(corpus, false, NULL);
    shmkit_region_free(region);
    shmkit_mapping_free(corpus);
    return 0;
}
