// The runner's operations on window caches.
#ifndef RUNNER_WINDOWS_H
#define RUNNER_WINDOWS_H

#include "runner_protocol.h"

enum { MAX_WINDOWS = 16 };

// Caches and views under the names that the driver gave them; a free entry has no handle, or no data.
struct window_cache {
    char name[16];
    shmkit_window_cache_t *handle;
};

struct window_view {
    char name[16];
    shmkit_window_cache_t *cache;
    unsigned char *data;
    size_t len;
    bool writable;
};

static struct window_cache window_caches[MAX_WINDOWS];
static struct window_view window_views[MAX_WINDOWS];

// The entry of this name, or else a free one; NULL when there is none.
static struct window_cache *window_cache_of(const char *name) {
    struct window_cache *free_entry = NULL;
    for (size_t i = 0; i < MAX_WINDOWS; i++) {
        struct window_cache *entry = &window_caches[i];
        if (entry->handle && strcmp(entry->name, name) == 0) {
            return entry;
        }
        free_entry = entry->handle || free_entry ? free_entry : entry;
    }
    return free_entry;
}

static struct window_view *window_view_of(const char *name) {
    struct window_view *free_entry = NULL;
    for (size_t i = 0; i < MAX_WINDOWS; i++) {
        struct window_view *entry = &window_views[i];
        if (entry->data && strcmp(entry->name, name) == 0) {
            return entry;
        }
        free_entry = entry->data || free_entry ? free_entry : entry;
    }
    return free_entry;
}

static int open_windows(const struct command *command, struct window_cache *entry) {
    shmkit_window_options_t options = SHMKIT_WINDOW_OPTIONS_INIT;
    if (!advice_of(command, "pattern", &options.pattern)) {
        return fail("unknown pattern");
    }
    options.flags = flag(command, "writable") ? SHMKIT_WINDOWS_WRITABLE : 0;
    options.window_len = number(command, "window_len", 0, 10);
    options.windows = (uint32_t)number(command, "windows", 0, 10);
    shmkit_window_cache_t *cache = NULL;
    shmkit_status_t status = shmkit_window_cache_open(text_of(command, "path", NULL), &options, &cache, &error);
    if (status == SHMKIT_OK) {
        shmkit_window_cache_free(entry->handle);
        snprintf(entry->name, sizeof entry->name, "%s", text_of(command, "w", ""));
        entry->handle = cache;
    }
    return answer(status, " len=%llu window_len=%llu windows=%zu", (unsigned long long)shmkit_window_cache_len(cache),
                  (unsigned long long)shmkit_window_cache_window_len(cache), shmkit_window_cache_window_count(cache));
}

static int read_windows(const struct command *command, const shmkit_window_cache_t *cache) {
    size_t len = number(command, "len", 0, 10);
    // No buffer is as long as the absurd lengths that must be refused: one that is never touched stands for it.
    unsigned char *buffer = malloc(len <= shmkit_window_cache_len(cache) ? len + 1 : 1);
    answer_data(shmkit_window_cache_read_at(cache, number(command, "offset", 0, 10), buffer, len, &error), buffer, len);
    free(buffer);
    return 0;
}

static int write_windows(const struct command *command, const shmkit_window_cache_t *cache) {
    unsigned char *data;
    size_t len;
    return data_of(command, &data, &len)
               ? done(shmkit_window_cache_write_at(cache, number(command, "offset", 0, 10), data, len, &error))
               : fail("data is not hexadecimal");
}

static int count_windows(const shmkit_window_cache_t *cache) {
    shmkit_window_stats_t s = SHMKIT_WINDOW_STATS_INIT;
    shmkit_status_t status = shmkit_window_cache_stats(cache, &s, &error);
    return answer(status, " hits=%llu misses=%llu evictions=%llu bypasses=%llu maps=%llu mapped=%llu views=%llu",
                  (unsigned long long)s.hits, (unsigned long long)s.misses, (unsigned long long)s.evictions,
                  (unsigned long long)s.bypasses, (unsigned long long)s.maps, (unsigned long long)s.mapped,
                  (unsigned long long)s.views);
}

static int view_window(const struct command *command, shmkit_window_cache_t *cache) {
    const char *name = text_of(command, "v", "");
    struct window_view *view = window_view_of(name);
    if (!view || view->data) {
        return fail("no place for a view");
    }
    void *data = NULL;
    bool writable = flag(command, "writable");
    size_t len = number(command, "len", 0, 10);
    shmkit_status_t status =
        shmkit_window_cache_pin(cache, number(command, "offset", 0, 10), len, writable, &data, &error);
    if (status == SHMKIT_OK) {
        *view = (struct window_view){.cache = cache, .data = data, .len = len, .writable = writable};
        snprintf(view->name, sizeof view->name, "%s", name);
    }
    return done(status);
}

static int use_window_view(const struct command *command) {
    struct window_view *view = window_view_of(text_of(command, "v", ""));
    if (!view || !view->data) {
        return fail("no such view");
    }
    if (strcmp(command->op, "windows_view_release") == 0) {
        shmkit_status_t status = shmkit_window_cache_unpin(view->cache, view->data, view->writable, &error);
        view->data = NULL;
        return done(status);
    }
    return use_bytes(command, view->data, view->len, view->writable);
}

static int use_windows(const struct command *command) {
    const char *op = command->op;
    if (strncmp(op, "windows_view_", 13) == 0) {
        return use_window_view(command);
    }
    struct window_cache *entry = window_cache_of(text_of(command, "w", ""));
    if (!entry) {
        return fail("no place for a window cache");
    }
    if (strcmp(op, "windows_open") == 0) {
        return open_windows(command, entry);
    }
    if (!entry->handle) {
        return fail("no such window cache");
    }
    if (strcmp(op, "windows_read") == 0) {
        return read_windows(command, entry->handle);
    }
    if (strcmp(op, "windows_write") == 0) {
        return write_windows(command, entry->handle);
    }
    if (strcmp(op, "windows_flush") == 0) {
        uint32_t how = flag(command, "async") ? SHMKIT_FLUSH_ASYNC : 0;
        return done(shmkit_window_cache_flush(entry->handle, how, &error));
    }
    if (strcmp(op, "windows_stats") == 0) {
        return count_windows(entry->handle);
    }
    if (strcmp(op, "windows_view") == 0) {
        return view_window(command, entry->handle);
    }
    if (strcmp(op, "windows_close") == 0) {
        return done(shmkit_window_cache_close(entry->handle, &error));
    }
    return fail("unknown operation %s", op);
}

#endif
