// Bad input: each gets its own status, and nothing else changes.

#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static shmkit_region_t *create(const char *name) {
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_create(name, 4096, NULL, &region, &error));
    return region;
}

static void names_must_exist_be_free_and_be_well_formed(void) {
    const char *name = fresh_name();
    shmkit_region_t *out = NULL, *region = create(name);
    REFUSED(SHMKIT_ALREADY_EXISTS, shmkit_region_create(name, 4096, NULL, &out, &error));
    CHECK(out == NULL && strcmp(error.object, name) == 0 && strcmp(error.operation, "create region") == 0);
    REFUSED(SHMKIT_NOT_FOUND, shmkit_region_open(fresh_name(), NULL, &out, &error));
    REFUSED(SHMKIT_NOT_FOUND, shmkit_region_unlink(fresh_name(), NULL, &error));

    char longest[SHMKIT_MAX_NAME_LEN + 2];
    memset(longest, 'x', sizeof longest);
    longest[SHMKIT_MAX_NAME_LEN + 1] = '\0';
    const char *bad[] = {"", "a/b", "../a", "a b", "a\nb", "\xc3\xa4", "\xff\xfe", "a:b", longest};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(SHMKIT_INVALID_NAME, shmkit_region_create(bad[i], 4096, NULL, &out, &error));
        REFUSED(SHMKIT_INVALID_NAME, shmkit_region_open(bad[i], NULL, &out, &error));
        REFUSED(SHMKIT_INVALID_NAME, shmkit_region_open_or_create(bad[i], 4096, NULL, &out, &error));
        REFUSED(SHMKIT_INVALID_NAME, shmkit_region_unlink(bad[i], NULL, &error));
    }
    shmkit_region_options_t path = SHMKIT_REGION_OPTIONS_INIT;
    path.flags = SHMKIT_REGION_PATH;
    REFUSED(SHMKIT_INVALID_NAME, shmkit_region_create("", 4096, &path, &out, &error));
    REFUSED(SHMKIT_NOT_FOUND, shmkit_region_create("/no/such/directory/file", 4096, &path, &out, &error));
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void sizes_must_be_possible(void) {
    shmkit_region_t *out;
    const char *name = fresh_name();
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_region_create(name, 0, NULL, &out, &error));
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_region_create(name, UINT64_MAX, NULL, &out, &error));
    REFUSED(SHMKIT_NO_SPACE, shmkit_region_create(name, 1ull << 46, NULL, &out, &error));
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_region_open_or_create(name, 0, NULL, &out, &error));
}

// Opens what somebody did to a region's file: shortens it to `len`, or writes `data` at `offset`.
static void expect_damaged(shmkit_status_t expected, off_t len, uint64_t offset, const void *data, size_t data_len) {
    const char *name = fresh_name();
    shmkit_region_free(create(name));
    const char *path = object_path(name);
    if (len >= 0) {
        CHECK(truncate(path, len) == 0);
    }
    write_file(path, offset, data, data_len);
    shmkit_region_t *out;
    REFUSED(expected, shmkit_region_open(name, NULL, &out, &error));
    REFUSED(expected, shmkit_region_open_or_create(name, 4096, NULL, &out, &error));
    CHECK(out == NULL && strcmp(error.object, name) == 0);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void damaged_objects_are_called_by_their_damage(void) {
    const uint32_t newer = SHMKIT_LAYOUT_VERSION + 1, kind = 77, slots = 5;
    expect_damaged(SHMKIT_TRUNCATED, 0, 0, "", 0);
    expect_damaged(SHMKIT_BAD_MAGIC, -1, 0, "a text", 6);
    expect_damaged(SHMKIT_VERSION_MISMATCH, -1, 8, &newer, sizeof newer);
    expect_damaged(SHMKIT_WRONG_KIND, -1, 12, &kind, sizeof kind);
    expect_damaged(SHMKIT_CORRUPTED, -1, 28, &slots, sizeof slots);
    expect_damaged(SHMKIT_TRUNCATED, 50, 0, "", 0);
    expect_damaged(SHMKIT_TRUNCATED, 4096, 0, "", 0);
    expect_damaged(SHMKIT_TRUNCATED, 100000, 0, "", 0);
}

static void other_kinds_of_files_are_no_regions(void) {
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_PATH;
    shmkit_region_t *out;
    const char *fifo = fresh_path(), *target = fresh_path(), *link = fresh_path();
    CHECK(mkfifo(fifo, 0600) == 0 && symlink(target, link) == 0);
    REFUSED(SHMKIT_WRONG_KIND, shmkit_region_open("/tmp", &options, &out, &error));
    REFUSED(SHMKIT_WRONG_KIND, shmkit_region_open(fifo, &options, &out, &error));
    REFUSED(SHMKIT_WRONG_KIND, shmkit_region_open(link, &options, &out, &error));
}

static void open_as_nobody(const char *name) {
    if (geteuid() == 0) {
        CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    }
    shmkit_region_t *out;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_region_open(name, NULL, &out, &error));
    CHECK(out == NULL && strcmp(error.object, name) == 0);
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_READ_ONLY;
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_region_open(name, &options, &out, &error));
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_mapping_open(object_path(name), NULL, &mapping, &error));
    options.flags = SHMKIT_REGION_PATH;
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_region_create("/proc/nothing", 4096, &options, &out, &error));
}

static void without_permission_nothing_happens(void) {
    const char *name = fresh_name();
    shmkit_region_free(create(name));
    // Mode 0 keeps out an ordinary owner; root becomes somebody else first.
    CHECK(chmod(object_path(name), 0) == 0);
    uint64_t before = geteuid() == 0 ? state_of_files() : 0;
    join(in_child(open_as_nobody, name));
    CHECK(geteuid() != 0 || state_of_files() == before);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void null_is_refused_everywhere(void) {
    const char *name = fresh_name();
    shmkit_region_t *out, *region = create(name);
    shmkit_mapping_t *mapping_out;
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN;
    options.len = 64;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_anonymous(&options, &mapping, &error));
    char byte;
    void *data;
    uint32_t *word;
    const uint32_t *me;
    uint8_t id[16];
#define REFUSES(call) REFUSED(SHMKIT_INVALID_ARGUMENT, call)
    REFUSES(shmkit_region_create(NULL, 64, NULL, &out, &error));
    REFUSES(shmkit_region_create(name, 64, NULL, NULL, &error));
    REFUSES(shmkit_region_open(NULL, NULL, &out, &error));
    REFUSES(shmkit_region_open(name, NULL, NULL, &error));
    REFUSES(shmkit_region_open_or_create(NULL, 64, NULL, &out, &error));
    REFUSES(shmkit_region_open_or_create(name, 64, NULL, NULL, &error));
    REFUSES(shmkit_region_unlink(NULL, NULL, &error));
    REFUSES(shmkit_region_close(NULL, &error));
    REFUSES(shmkit_region_id(NULL, id, &error));
    REFUSES(shmkit_region_id(region, NULL, &error));
    REFUSES(shmkit_region_read_at(NULL, 0, &byte, 1, &error));
    REFUSES(shmkit_region_read_at(region, 0, NULL, 1, &error));
    REFUSES(shmkit_region_write_at(NULL, 0, "x", 1, &error));
    REFUSES(shmkit_region_write_at(region, 0, NULL, 1, &error));
    REFUSES(shmkit_region_pin(NULL, 0, 1, false, &data, &error));
    REFUSES(shmkit_region_pin(region, 0, 1, false, NULL, &error));
    REFUSES(shmkit_region_unpin(NULL, false, &error));
    REFUSES(shmkit_region_lock(NULL, &error));
    REFUSES(shmkit_region_try_lock(NULL, &error));
    REFUSES(shmkit_region_lock_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_region_unlock(NULL, &error));
    REFUSES(shmkit_region_make_consistent(NULL, &error));
    REFUSES(shmkit_region_guard_words(NULL, &word, &me, &error));
    REFUSES(shmkit_region_guard_words(region, NULL, &me, &error));
    REFUSES(shmkit_region_guard_words(region, &word, NULL, &error));
    REFUSES(shmkit_region_flush(NULL, 0, 1, 0, &error));
    REFUSES(shmkit_mapping_open(NULL, NULL, &mapping_out, &error));
    REFUSES(shmkit_mapping_open("/tmp/x", NULL, NULL, &error));
    REFUSES(shmkit_mapping_from_fd(0, NULL, NULL, &error));
    REFUSES(shmkit_mapping_anonymous(NULL, NULL, &error));
    REFUSES(shmkit_mapping_close(NULL, &error));
    REFUSES(shmkit_mapping_read_at(NULL, 0, &byte, 1, &error));
    REFUSES(shmkit_mapping_read_at(mapping, 0, NULL, 1, &error));
    REFUSES(shmkit_mapping_write_at(NULL, 0, "x", 1, &error));
    REFUSES(shmkit_mapping_write_at(mapping, 0, NULL, 1, &error));
    REFUSES(shmkit_mapping_pin(NULL, 0, 1, false, &data, &error));
    REFUSES(shmkit_mapping_pin(mapping, 0, 1, false, NULL, &error));
    REFUSES(shmkit_mapping_unpin(NULL, false, &error));
    REFUSES(shmkit_mapping_flush(NULL, 0, 1, 0, &error));
    REFUSES(shmkit_mapping_protect(NULL, 0, 1, SHMKIT_PROTECTION_READ, &error));
    REFUSES(shmkit_mapping_advise(NULL, 0, 1, SHMKIT_ADVICE_NORMAL, &error));
#undef REFUSES
    CHECK(shmkit_region_len(NULL) == 0 && shmkit_mapping_len(NULL) == 0);
    CHECK(!shmkit_region_is_read_only(NULL) && !shmkit_region_is_locked(NULL) && !shmkit_mapping_is_writable(NULL));
    CHECK(shmkit_region_is_closed(NULL) && shmkit_mapping_is_closed(NULL));
    CHECK(shmkit_region_data(NULL) == NULL && shmkit_mapping_data(NULL) == NULL);
    CHECK(strcmp(shmkit_region_name(NULL), "") == 0);
    shmkit_region_free(NULL);
    shmkit_mapping_free(NULL);
    shmkit_mapping_free(mapping);
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

const struct test refusal_tests[] = {
    {"names_must_exist_be_free_and_be_well_formed", names_must_exist_be_free_and_be_well_formed},
    {"sizes_must_be_possible", sizes_must_be_possible},
    {"damaged_objects_are_called_by_their_damage", damaged_objects_are_called_by_their_damage},
    {"other_kinds_of_files_are_no_regions", other_kinds_of_files_are_no_regions},
    {"without_permission_nothing_happens", without_permission_nothing_happens},
    {"null_is_refused_everywhere", null_is_refused_everywhere},
    {NULL, NULL},
};
