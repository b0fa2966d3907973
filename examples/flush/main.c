//go:build ignore

// Carrying changes to the disk: what each way of flushing a mapped file promises, and what it costs.
//
//     main data.bin     makes a file of 16 MiB, changes it through a mapping, and flushes it in each way
//
// - SHMKIT_FLUSH_ASYNC hands the pages to the kernel's write-back and returns: quick, and a power cut may still lose them.
// - 0 (sync) returns when they are on the disk, or tells what the device reported.
// - SHMKIT_FLUSH_INVALIDATE also drops cached copies that differ from the file.
//
// Without any of them the kernel writes changes back in its own time: other processes see them at once, the disk later.

#define _GNU_SOURCE
#include <shmkit.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LEN = 16 << 20 };

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static shmkit_status_t timed(const char *name, shmkit_mapping_t *mapping, size_t len, uint32_t flags) {
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    shmkit_status_t status = shmkit_mapping_flush(mapping, 0, len, flags, &error);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status == SHMKIT_OK) {
        double ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
        printf("%-14s %9.3f ms\n", name, ms);
    }
    return status;
}

static shmkit_status_t run(shmkit_mapping_t *mapping) {
    shmkit_status_t status;
    printf("a flush reaches a device: %s\n", shmkit_mapping_is_persistent(mapping) ? "yes" : "no");

    memset(shmkit_mapping_data(mapping), 1, LEN);
    if ((status = timed("async", mapping, LEN, SHMKIT_FLUSH_ASYNC)) != SHMKIT_OK) return status;
    if ((status = timed("sync", mapping, LEN, 0)) != SHMKIT_OK) return status;
    if ((status = timed("sync again", mapping, LEN, 0)) != SHMKIT_OK) return status;
    memset(shmkit_mapping_data(mapping), 2, LEN);
    if ((status = timed("sync, one page", mapping, shmkit_mapping_page_size(mapping), 0)) != SHMKIT_OK) return status;
    if ((status = timed("invalidate", mapping, LEN, SHMKIT_FLUSH_INVALIDATE)) != SHMKIT_OK) return status;

    shmkit_page_counts_t counts;
    uint32_t known;
    status = shmkit_mapping_page_counts(mapping, 0, LEN, &counts, 1, &known, &error);
    if (status == SHMKIT_OK && (known & SHMKIT_PAGE_DIRTY)) {
        printf("pages not on the disk: %" PRIu64 "\n", counts.dirty);
    } else if (status == SHMKIT_OK) {
        printf("pages not on the disk: unknown\n");
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: flush PATH\n");
        return 2;
    }
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN;
    options.len = LEN;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    shmkit_mapping_t *mapping;
    shmkit_status_t status = shmkit_mapping_open(argv[1], &options, &mapping, &error);
    if (status == SHMKIT_OK) {
        status = run(mapping);
    }
    shmkit_mapping_free(mapping);
    if (status != SHMKIT_OK) {
        fprintf(stderr, "flush: %s\n", error.message);
        return 1;
    }
    return 0;
}
