//go:build ignore

// Reading a large file at random: a mapping for each read, beside windows that are mapped once and used again.
//
//     main data.bin 256     makes a sparse file of 256 MiB (or takes the one that is there) and reads it both ways
//
// Each mmap and munmap is a system call that changes the page table; each first touch of a page is a fault; and other
// processors must be told to forget what was unmapped. A window cache pays that once for each window.

#define _GNU_SOURCE
#include <shmkit.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, READS = 20000 };

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program when a call failed: all of them leave their reason in `error`.
static void must(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "windows: %s\n", error.message);
        exit(1);
    }
}

// How one block is read: through a map of its own from `file`, or through the cache.
struct way {
    int file;
    shmkit_window_cache_t *cache;
};

static void read_block(const struct way *way, uint64_t offset) {
    static char block[BLOCK];
    if (way->cache != NULL) {
        must(shmkit_window_cache_read_at(way->cache, offset, block, BLOCK, &error));
        return;
    }
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN;
    options.offset = offset;
    options.len = BLOCK;
    shmkit_mapping_t *mapping;
    must(shmkit_mapping_from_fd(way->file, &options, &mapping, &error));
    must(shmkit_mapping_read_at(mapping, 0, block, BLOCK, &error));
    shmkit_mapping_free(mapping);
}

struct cost {
    uint64_t faults, user_ns, kernel_ns;
    double ms;
};

// Reads blocks at random, the same in every language, and says what that cost.
static struct cost work(const struct way *way, uint64_t len) {
    shmkit_usage_t before = SHMKIT_USAGE_INIT, after = SHMKIT_USAGE_INIT;
    struct timespec start, end;
    uint64_t random = 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    must(shmkit_usage(false, &before, &error));
    for (int i = 0; i < READS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        read_block(way, (random >> 33) % (len / BLOCK) * BLOCK);
    }
    must(shmkit_usage(false, &after, &error));
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (struct cost){
        .faults = after.minor_faults + after.major_faults - before.minor_faults - before.major_faults,
        .user_ns = after.user_ns - before.user_ns,
        .kernel_ns = after.kernel_ns - before.kernel_ns,
        .ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6,
    };
}

static void row(const char *name, uint64_t maps, uint64_t unmaps, struct cost cost) {
    uint64_t all = cost.user_ns + cost.kernel_ns;
    double share = (double)cost.kernel_ns * 100 / (double)(all ? all : 1);
    printf("%-18s %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %9.1f %8.0f %%\n", name, maps, unmaps, cost.faults, cost.ms, share);
}

static int make_file(const char *path, uint64_t len) {
    // A file of holes is as good as any: the page cache holds zeros for them.
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) != 0 || ((uint64_t)facts.st_size < len && ftruncate(file, (off_t)len) != 0)) {
        fprintf(stderr, "windows: cannot make file '%s': %s\n", path, strerror(errno));
        exit(1);
    }
    return file;
}

static void run(const char *path, uint64_t len) {
    struct way each = {.file = make_file(path, len)};
    printf("%" PRIu64 " MiB, %d reads of %d bytes at random\n", len >> 20, READS, BLOCK);
    printf("%-18s %7s %7s %7s %9s %10s\n", "", "mmap", "munmap", "faults", "ms", "in kernel");

    // The first round brings the file into memory, so that both ways find it there.
    work(&each, len);
    row("a map for each", READS, READS, work(&each, len));
    close(each.file);

    struct way windows = {.file = -1};
    must(shmkit_window_cache_open(path, NULL, &windows.cache, &error));
    struct cost cost = work(&windows, len);
    shmkit_window_stats_t stats = SHMKIT_WINDOW_STATS_INIT;
    must(shmkit_window_cache_stats(windows.cache, &stats, &error));
    row("windows, reused", stats.maps, 0, cost);
    printf("%" PRIu64 " of %d reads found their window mapped; %" PRIu64 " gave their place\n", stats.hits, READS,
           stats.evictions);
    shmkit_window_cache_free(windows.cache);
}

int main(int argc, char **argv) {
    uint64_t mib = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (mib < 1 || mib > 1 << 20) {
        fprintf(stderr, "usage: windows PATH MIB\n");
        return 2;
    }
    run(argv[1], mib << 20);
    return 0;
}
