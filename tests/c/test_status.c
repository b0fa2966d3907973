// What goes on in a region, and which regions there are.

#include "check.h"

// As much as any status here takes.
enum { ROOM = 1 << 16 };

static char text[ROOM];

static bool says(shmkit_region_t *region, const char *part) {
    size_t needed;
    EXPECT(SHMKIT_OK, shmkit_region_status(region, text, sizeof text, &needed, &error));
    CHECK(needed == strlen(text) + 1);
    return strstr(text, part) != NULL;
}

static void a_status_tells_who_holds_what(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name), *watcher;
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_READ_ONLY;
    EXPECT(SHMKIT_OK, shmkit_region_open(name, &options, &watcher, &error));
    CHECK(says(watcher, "\"kind\":\"guard\",\"holder\":null"));
    EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
    char holder[64];
    snprintf(holder, sizeof holder, "\"kind\":\"guard\",\"holder\":{\"slot\":0,\"pid\":%d,\"alive\":true", (int)getpid());
    CHECK(says(watcher, holder));
    CHECK(text[0] == '{' && text[strlen(text) - 1] == '}' && strstr(text, name));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    CHECK(says(region, "\"holder\":null"));
    EXPECT(SHMKIT_OK, shmkit_region_close(watcher, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_region_status(watcher, text, sizeof text, NULL, &error));
    shmkit_region_free(watcher);
    finish(region, name);
}

static void a_buffer_too_small_is_told_how_much_it_takes(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    size_t needed = 0, again = 0;
    EXPECT(SHMKIT_OK, shmkit_region_status(region, NULL, 0, &needed, &error));
    CHECK(needed > 100 && needed < ROOM);

    // A byte too few writes an empty text, and nothing else. The text may grow a little: it holds the time.
    memset(text, 'x', sizeof text);
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_status(region, text, needed / 2, &again, &error));
    CHECK(text[0] == '\0' && text[1] == 'x' && text[needed / 2] == 'x' && again >= needed && again <= needed + 2);
    EXPECT(SHMKIT_OK, shmkit_region_status(region, text, sizeof text, NULL, &error));

    EXPECT(SHMKIT_OK, shmkit_region_list(NULL, 0, &needed, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_list(text, 1, NULL, &error));
    CHECK(text[0] == '\0' && needed > strlen(name) + 1);

    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_status(NULL, text, sizeof text, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_status(region, NULL, 1, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_list(NULL, 1, NULL, &error));
    finish(region, name);
}

static bool is_listed(const char *name) {
    size_t needed;
    EXPECT(SHMKIT_OK, shmkit_region_list(text, sizeof text, &needed, &error));
    const char *before = "", *listed = text;
    bool found = false;
    for (; *listed != '\0'; listed += strlen(listed) + 1) {
        CHECK(strcmp(before, listed) < 0);
        found = found || strcmp(listed, name) == 0;
        before = listed;
    }
    CHECK((size_t)(listed - text) + 1 == needed);
    return found;
}

static void the_list_has_every_region_by_name(void) {
    const char *name = fresh_name(), *path = fresh_path();
    CHECK(!is_listed(name));
    shmkit_region_t *region = open_region(name), *file;
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_PATH;
    EXPECT(SHMKIT_OK, shmkit_region_create(path, 64, &options, &file, &error));
    CHECK(is_listed(name) && !is_listed(path));
    shmkit_region_free(file);
    finish(region, name);
    CHECK(!is_listed(name));
}

const struct test status_tests[] = {
    {"a_status_tells_who_holds_what", a_status_tells_who_holds_what},
    {"a_buffer_too_small_is_told_how_much_it_takes", a_buffer_too_small_is_told_how_much_it_takes},
    {"the_list_has_every_region_by_name", the_list_has_every_region_by_name},
    {NULL, NULL},
};
