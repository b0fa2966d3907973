// Window caches: the right bytes, the right window evicted, views that keep theirs.

#include "check.h"

#include <fcntl.h>

enum { WINDOW = 16384, COUNT = 5 };

static const char *new_file(void) {
    const char *path = fresh_path();
    char *content = malloc(COUNT * WINDOW);
    for (size_t i = 0; i < COUNT * WINDOW; i++) {
        content[i] = (char)(i / 7 + i / WINDOW);
    }
    write_file(path, 0, content, COUNT * WINDOW);
    free(content);
    return path;
}

static shmkit_window_cache_t *open_cache(const char *path, uint32_t windows, uint32_t flags) {
    shmkit_window_options_t options = SHMKIT_WINDOW_OPTIONS_INIT;
    options.window_len = WINDOW;
    options.windows = windows;
    options.flags = flags;
    shmkit_window_cache_t *cache;
    EXPECT(SHMKIT_OK, shmkit_window_cache_open(path, &options, &cache, &error));
    return cache;
}

static shmkit_window_stats_t stats_of(const shmkit_window_cache_t *cache) {
    shmkit_window_stats_t stats = SHMKIT_WINDOW_STATS_INIT;
    EXPECT(SHMKIT_OK, shmkit_window_cache_stats(cache, &stats, &error));
    return stats;
}

static void bytes_are_those_of_the_file(void) {
    const char *path = new_file();
    shmkit_window_cache_t *cache = open_cache(path, 2, SHMKIT_WINDOWS_WRITABLE);
    CHECK(shmkit_window_cache_len(cache) == COUNT * WINDOW);
    CHECK(shmkit_window_cache_window_len(cache) == WINDOW && shmkit_window_cache_window_count(cache) == 2);
    char *got = malloc(COUNT * WINDOW);
    EXPECT(SHMKIT_OK, shmkit_window_cache_read_at(cache, 0, got, COUNT * WINDOW, &error));
    for (size_t i = 0; i < COUNT * WINDOW; i++) {
        CHECK(got[i] == (char)(i / 7 + i / WINDOW));
    }
    free(got);
    EXPECT(SHMKIT_OK, shmkit_window_cache_write_at(cache, WINDOW - 3, "across", 6, &error));
    char byte;
    EXPECT(SHMKIT_OK, shmkit_window_cache_read_at(cache, WINDOW, &byte, 1, &error));
    CHECK(byte == 'o');
    EXPECT(SHMKIT_OK, shmkit_window_cache_flush(cache, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_window_cache_flush(cache, SHMKIT_FLUSH_ASYNC, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_flush(cache, SHMKIT_FLUSH_INVALIDATE, &error));
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, NULL, &mapping, &error));
    CHECK(memcmp((char *)shmkit_mapping_data(mapping) + WINDOW - 3, "across", 6) == 0);
    shmkit_mapping_free(mapping);
    shmkit_window_stats_t stats = stats_of(cache);
    CHECK(stats.misses == stats.maps && stats.mapped == 2 && stats.evictions == stats.misses - 2 && stats.hits == 1);
    shmkit_window_cache_free(cache);
}

static void views_keep_their_window(void) {
    shmkit_window_cache_t *cache = open_cache(new_file(), 1, SHMKIT_WINDOWS_WRITABLE);
    void *view, *other;
    char byte;
    EXPECT(SHMKIT_OK, shmkit_window_cache_pin(cache, 10, WINDOW - 10, true, &view, &error));
    memcpy(view, "view", 4);
    EXPECT(SHMKIT_BUSY, shmkit_window_cache_pin(cache, WINDOW, 1, false, &other, &error));
    CHECK(other == NULL);
    EXPECT(SHMKIT_OK, shmkit_window_cache_read_at(cache, WINDOW, &byte, 1, &error));
    CHECK(stats_of(cache).bypasses == 1 && stats_of(cache).views == 1);
    EXPECT(SHMKIT_BUSY, shmkit_window_cache_close(cache, &error));
    CHECK(!shmkit_window_cache_is_closed(cache) && shmkit_window_cache_is_closed(NULL));
    EXPECT(SHMKIT_OK, shmkit_window_cache_unpin(cache, view, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_unpin(cache, view, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_unpin(cache, &byte, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_pin(cache, WINDOW - 1, 2, false, &view, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_window_cache_pin(cache, COUNT * WINDOW, 1, false, &view, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_window_cache_read_at(cache, UINT64_MAX, &byte, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_window_cache_close(cache, &error));
    EXPECT(SHMKIT_OK, shmkit_window_cache_close(cache, &error));
    CHECK(shmkit_window_cache_is_closed(cache));
    EXPECT(SHMKIT_CLOSED, shmkit_window_cache_read_at(cache, 0, &byte, 1, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_window_cache_pin(cache, 0, 1, false, &view, &error));
    shmkit_window_cache_free(cache);
    shmkit_window_cache_free(NULL);
}

static void what_has_no_windows_is_refused(void) {
    const char *path = new_file();
    shmkit_window_cache_t *cache;
    const shmkit_window_options_t bad[] = {
        {sizeof(shmkit_window_options_t), 2, 0, 0, 0, 0},
        {sizeof(shmkit_window_options_t), 0, SHMKIT_ADVICE_FREE, 0, 0, 0},
        {sizeof(shmkit_window_options_t), 0, 99, 0, 0, 0},
        {sizeof(shmkit_window_options_t), 0, 0, 5000, 0, 0},
        {sizeof(shmkit_window_options_t), 0, 0, 0, 5000, 0},
        {sizeof(shmkit_window_options_t), 0, 0, 0, 0, 1},
        {12, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_open(path, &bad[i], &cache, &error));
        CHECK(cache == NULL);
    }
    REFUSED(SHMKIT_NOT_FOUND, shmkit_window_cache_open(fresh_path(), NULL, &cache, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_window_cache_from_fd(-1, NULL, &cache, &error));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(SHMKIT_OK, shmkit_window_cache_from_fd(fd, NULL, &cache, &error));
    CHECK(close(fd) == 0);
    REFUSED(SHMKIT_READ_ONLY, shmkit_window_cache_write_at(cache, 0, "x", 1, &error));
    char byte;
    EXPECT(SHMKIT_OK, shmkit_window_cache_read_at(cache, 3 * WINDOW, &byte, 1, &error));
    shmkit_window_cache_free(cache);
}

static shmkit_window_cache_t *shared_cache;

static void *read_everywhere(void *argument) {
    char got[64];
    uint64_t random = (uintptr_t)&got;
    for (int i = 0; i < 5000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t offset = (size_t)(random >> 33) % (COUNT * WINDOW - sizeof got);
        CHECK(shmkit_window_cache_read_at(shared_cache, offset, got, sizeof got, NULL) == SHMKIT_OK);
        CHECK(got[63] == (char)((offset + 63) / 7 + (offset + 63) / WINDOW));
    }
    return argument;
}

static void threads_share_windows(void) {
    shared_cache = open_cache(new_file(), 2, 0);
    in_threads(read_everywhere, NULL);
    CHECK(stats_of(shared_cache).evictions > 0);
    EXPECT(SHMKIT_OK, shmkit_window_cache_close(shared_cache, &error));
    shmkit_window_cache_free(shared_cache);
}

const struct test window_tests[] = {
    {"bytes_are_those_of_the_file", bytes_are_those_of_the_file},
    {"views_keep_their_window", views_keep_their_window},
    {"what_has_no_windows_is_refused", what_has_no_windows_is_refused},
    {"threads_share_windows", threads_share_windows},
    {NULL, NULL},
};
