// Structs that grow, statuses and their texts.

#include "check.h"

// The region options of a later version, which has one field more.
struct newer_region_options {
    shmkit_region_options_t known;
    uint64_t unknown;
};

static void older_and_newer_options_are_understood_or_refused(void) {
    const char *name = fresh_name();
    shmkit_region_t *region;
    // An older caller knows only the size and the flags: nothing beyond them is read, as the sanitizer would tell.
    struct {
        size_t size;
        uint32_t flags;
        uint32_t mode;
    } *older = malloc(sizeof *older);
    older->size = sizeof *older;
    older->flags = 0;
    older->mode = 0666;
    EXPECT(SHMKIT_OK, shmkit_region_create(name, 64, (void *)older, &region, &error));
    free(older);
    shmkit_region_free(region);

    struct newer_region_options newer = {SHMKIT_REGION_OPTIONS_INIT, 0};
    newer.known.size = sizeof newer;
    EXPECT(SHMKIT_OK, shmkit_region_open(name, &newer.known, &region, &error));
    shmkit_region_free(region);
    newer.unknown = 1;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_open(name, &newer.known, &region, &error));
    CHECK(region == NULL);
    newer.unknown = 0;

    const size_t bad[] = {0, 1, 7, 12, 33, 5000, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        newer.known.size = bad[i];
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_open(name, &newer.known, &region, &error));
        shmkit_map_options_t map_options = SHMKIT_MAP_OPTIONS_INIT;
        map_options.size = bad[i];
        shmkit_mapping_t *mapping;
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_open(object_path(name), &map_options, &mapping, &error));
    }
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void options_that_contradict_each_other_are_refused(void) {
    const char *name = fresh_name();
    shmkit_region_t *region;
    const shmkit_region_options_t bad[] = {
        {sizeof(shmkit_region_options_t), 1u << 31, 0, 0, 0, 0, 0},
        {sizeof(shmkit_region_options_t), SHMKIT_REGION_READ_ONLY, 0, 0, 0, 0, 0},
        {sizeof(shmkit_region_options_t), 0, 04755, 0, 0, 0, 0},
        {sizeof(shmkit_region_options_t), 0, 0, 0, SHMKIT_MAX_SLOT_COUNT + 1, 0, 0},
        {sizeof(shmkit_region_options_t), SHMKIT_REGION_NO_ARENA, 0, 0, 0, 4096, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_create(name, 64, &bad[i], &region, &error));
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_open_or_create(name, 64, &bad[i], &region, &error));
    }
    shmkit_region_options_t endless = SHMKIT_REGION_OPTIONS_INIT;
    endless.arena_len = UINT64_MAX;
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_region_create(name, 64, &endless, &region, &error));
}

static void details_are_written_only_where_there_is_room(void) {
    shmkit_region_t *region;
    CHECK(shmkit_region_open(fresh_name(), NULL, &region, NULL) == SHMKIT_NOT_FOUND);
    shmkit_error_t smaller = SHMKIT_ERROR_INIT;
    smaller.size -= 1;
    CHECK(shmkit_region_open(fresh_name(), NULL, &region, &smaller) == SHMKIT_NOT_FOUND);
    CHECK(smaller.status == SHMKIT_OK && smaller.message[0] == '\0');

    char path[1200] = "/";
    memset(path + 1, 'y', sizeof path - 2);
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_PATH;
    CHECK(shmkit_region_open(path, &options, &region, &error) != SHMKIT_OK);
    CHECK(strlen(error.object) == sizeof error.object - 1 && strlen(error.message) == sizeof error.message - 1);
}

static void every_status_has_its_texts(void) {
    CHECK(strcmp(shmkit_status_name(SHMKIT_OK), "Ok") == 0);
    CHECK(strcmp(shmkit_status_name(SHMKIT_NOT_FOUND), "NotFound") == 0);
    CHECK(strcmp(shmkit_status_name(SHMKIT_INTERNAL), "Internal") == 0);
    CHECK(strcmp(shmkit_status_name((shmkit_status_t)UINT32_MAX), "Unknown") == 0);
    for (uint32_t status = SHMKIT_OK; status < 256; status++) {
        CHECK(strlen(shmkit_status_description(status)) > 0 && strlen(shmkit_status_advice(status)) > 0);
    }
    CHECK(strcmp(shmkit_version(), SHMKIT_VERSION) == 0);
}

const struct test option_tests[] = {
    {"older_and_newer_options_are_understood_or_refused", older_and_newer_options_are_understood_or_refused},
    {"options_that_contradict_each_other_are_refused", options_that_contradict_each_other_are_refused},
    {"details_are_written_only_where_there_is_room", details_are_written_only_where_there_is_room},
    {"every_status_has_its_texts", every_status_has_its_texts},
    {NULL, NULL},
};
