// Mappings: files and anonymous memory.

#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static shmkit_map_options_t options_for(uint32_t flags, uint64_t len, uint32_t protection) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = flags | (len ? SHMKIT_MAP_LEN : 0);
    options.len = len;
    options.protection = protection;
    return options;
}

static shmkit_mapping_t *map_new(const char *path, uint64_t len) {
    shmkit_map_options_t options = options_for(SHMKIT_MAP_CREATE, len, SHMKIT_PROTECTION_READ_WRITE);
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    return mapping;
}

static void a_file_holds_what_is_written(void) {
    const char *path = fresh_path();
    shmkit_mapping_t *mapping = map_new(path, 5000);
    CHECK(shmkit_mapping_len(mapping) == 5000 && shmkit_mapping_is_writable(mapping));
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 4998, "Hi", 2, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_flush(mapping, 0, 5000, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_flush(mapping, 10, 20, SHMKIT_FLUSH_ASYNC, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_flush(mapping, 0, 5000, SHMKIT_FLUSH_INVALIDATE, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_flush(mapping, 1, 5000, 0, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_flush(mapping, 0, 1, 1 << 7, &error));

    // By path without options: whole, for reading. Then by descriptor, from an odd offset.
    shmkit_mapping_t *reader;
    char text[3] = "";
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, NULL, &reader, &error));
    CHECK(shmkit_mapping_len(reader) == 5000 && !shmkit_mapping_is_writable(reader));
    EXPECT(SHMKIT_OK, shmkit_mapping_read_at(reader, 4998, text, 2, &error));
    CHECK(strcmp(text, "Hi") == 0);
    REFUSED(SHMKIT_READ_ONLY, shmkit_mapping_write_at(reader, 0, "no", 2, &error));
    shmkit_mapping_free(reader);

    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.offset = 4997;
    options.flags = SHMKIT_MAP_POPULATE;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(SHMKIT_OK, shmkit_mapping_from_fd(fd, &options, &reader, &error));
    CHECK(close(fd) == 0 && shmkit_mapping_len(reader) == 3);
    CHECK(memcmp(shmkit_mapping_data(reader), "\0Hi", 3) == 0);
    shmkit_mapping_free(reader);
    shmkit_mapping_free(mapping);
}

static void what_cannot_be_mapped_is_refused(void) {
    const char *path = fresh_path(), *empty = fresh_path();
    write_file(path, 0, "0123456789", 10);
    write_file(empty, 0, "", 0);
    shmkit_mapping_t *mapping;
    const struct {
        uint32_t flags;
        uint64_t offset, len;
        shmkit_status_t status;
    } bad[] = {
        {SHMKIT_MAP_LEN, 0, 0, SHMKIT_INVALID_LENGTH},
        {SHMKIT_MAP_LEN, 0, 11, SHMKIT_OUT_OF_RANGE},
        {SHMKIT_MAP_LEN, 9, 2, SHMKIT_OUT_OF_RANGE},
        {0, 10, 0, SHMKIT_INVALID_LENGTH},
        {SHMKIT_MAP_LEN, UINT64_MAX, UINT64_MAX, SHMKIT_INVALID_LENGTH},
        {SHMKIT_MAP_LEN, 0, UINT64_MAX, SHMKIT_INVALID_LENGTH},
        {SHMKIT_MAP_LEN | SHMKIT_MAP_GROW, 0, 1ull << 46, SHMKIT_NO_SPACE},
        {SHMKIT_MAP_GROW, 0, 0, SHMKIT_INVALID_ARGUMENT},
        {0, 0, 5, SHMKIT_INVALID_ARGUMENT},
        {1u << 30, 0, 0, SHMKIT_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
        options.flags = bad[i].flags;
        options.offset = bad[i].offset;
        options.len = bad[i].len;
        REFUSED(bad[i].status, shmkit_mapping_open(path, &options, &mapping, &error));
        CHECK(mapping == NULL && strcmp(error.object, path) == 0);
    }
    shmkit_map_options_t strange = options_for(0, 1, 2);
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_open(path, &strange, &mapping, &error));
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_mapping_open(empty, NULL, &mapping, &error));
    REFUSED(SHMKIT_NOT_FOUND, shmkit_mapping_open(fresh_path(), NULL, &mapping, &error));
    REFUSED(SHMKIT_WRONG_KIND, shmkit_mapping_open("/tmp", NULL, &mapping, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_from_fd(-1, NULL, &mapping, &error));
    REFUSED(SHMKIT_IO, shmkit_mapping_from_fd(1000000, NULL, &mapping, &error));
}

static void files_are_created_and_grown_but_never_cut(void) {
    const char *path = fresh_path();
    shmkit_map_options_t options = options_for(SHMKIT_MAP_CREATE, 100, SHMKIT_PROTECTION_READ_WRITE);
    options.mode = 0600;
    shmkit_mapping_t *mapping;
    struct stat facts;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    shmkit_mapping_free(mapping);
    CHECK(stat(path, &facts) == 0 && facts.st_size == 100 && (facts.st_mode & 0777) == 0600);
    options = options_for(SHMKIT_MAP_GROW, 300, SHMKIT_PROTECTION_READ_WRITE);
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    shmkit_mapping_free(mapping);
    CHECK(stat(path, &facts) == 0 && facts.st_size == 300);
    options = options_for(SHMKIT_MAP_CREATE, 50, SHMKIT_PROTECTION_READ_WRITE);
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    shmkit_mapping_free(mapping);
    CHECK(stat(path, &facts) == 0 && facts.st_size == 300);
}

static void private_changes_stay_private(void) {
    const char *path = fresh_path();
    write_file(path, 0, "shared", 6);
    shmkit_map_options_t options = options_for(SHMKIT_MAP_PRIVATE | SHMKIT_MAP_NO_RESERVE, 0, SHMKIT_PROTECTION_READ_WRITE);
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    uint64_t before = state_of_files();
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 0, "mine", 4, &error));
    CHECK(memcmp(shmkit_mapping_data(mapping), "mineed", 6) == 0);
    CHECK(state_of_files() == before);
    shmkit_mapping_free(mapping);
}

static shmkit_mapping_t *inherited;

static void write_as_child(const char *text) {
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(inherited, 0, text, strlen(text), &error));
}

static void anonymous_memory_reaches_children_unless_private(void) {
    for (uint32_t flags = 0; flags <= SHMKIT_MAP_PRIVATE; flags += SHMKIT_MAP_PRIVATE) {
        shmkit_map_options_t options = options_for(flags, 64, SHMKIT_PROTECTION_READ);
        EXPECT(SHMKIT_OK, shmkit_mapping_anonymous(&options, &inherited, &error));
        CHECK(shmkit_mapping_is_writable(inherited) && *(char *)shmkit_mapping_data(inherited) == '\0');
        join(in_child(write_as_child, "from the child"));
        CHECK(*(char *)shmkit_mapping_data(inherited) == (flags ? '\0' : 'f'));
        shmkit_mapping_free(inherited);
    }
    shmkit_map_options_t options = options_for(SHMKIT_MAP_GROW, 64, SHMKIT_PROTECTION_READ);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_anonymous(&options, &inherited, &error));
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_mapping_anonymous(NULL, &inherited, &error));
    CHECK(inherited == NULL);
}

static void protection_is_kept_and_views_are_respected(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const char *path = fresh_path();
    shmkit_mapping_t *mapping = map_new(path, 2 * page);
    void *view;
    EXPECT(SHMKIT_OK, shmkit_mapping_pin(mapping, 0, 4, true, &view, &error));
    EXPECT(SHMKIT_BUSY, shmkit_mapping_protect(mapping, 0, page, SHMKIT_PROTECTION_READ, &error));
    EXPECT(SHMKIT_BUSY, shmkit_mapping_close(mapping, &error));
    memcpy(view, "view", 4);
    EXPECT(SHMKIT_OK, shmkit_mapping_unpin(mapping, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_unpin(mapping, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_unpin(mapping, false, &error));

    EXPECT(SHMKIT_OK, shmkit_mapping_protect(mapping, 0, page, SHMKIT_PROTECTION_READ, &error));
    CHECK(!shmkit_mapping_is_writable(mapping));
    REFUSED(SHMKIT_READ_ONLY, shmkit_mapping_write_at(mapping, 0, "x", 1, &error));
    REFUSED(SHMKIT_READ_ONLY, shmkit_mapping_pin(mapping, page - 1, 2, true, &view, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, page, "x", 1, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_protect(mapping, page, page, SHMKIT_PROTECTION_NONE, &error));
    char byte;
    REFUSED(SHMKIT_PERMISSION_DENIED, shmkit_mapping_read_at(mapping, page, &byte, 1, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_protect(mapping, 1, page, SHMKIT_PROTECTION_READ, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_protect(mapping, 0, page, 7, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_protect(mapping, page, 2 * page, SHMKIT_PROTECTION_READ, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_protect(mapping, 0, 2 * page, SHMKIT_PROTECTION_READ_WRITE, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_read_at(mapping, 0, &byte, 1, &error));
    CHECK(byte == 'v');
    shmkit_mapping_free(mapping);

    shmkit_mapping_t *reader;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, NULL, &reader, &error));
    REFUSED(SHMKIT_READ_ONLY, shmkit_mapping_protect(reader, 0, page, SHMKIT_PROTECTION_READ_WRITE, &error));
    shmkit_mapping_free(reader);
}

static void every_advice_is_taken(void) {
    shmkit_mapping_t *mapping = map_new(fresh_path(), 3 * 65536);
    for (uint32_t advice = SHMKIT_ADVICE_NORMAL; advice <= SHMKIT_ADVICE_DONT_NEED; advice++) {
        EXPECT(SHMKIT_OK, shmkit_mapping_advise(mapping, 65536, 65536, advice, &error));
    }
    EXPECT(SHMKIT_OK, shmkit_mapping_advise(mapping, 1, 10, SHMKIT_ADVICE_RANDOM, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_advise(mapping, 1, 10, SHMKIT_ADVICE_DONT_NEED, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_advise(mapping, 0, 10, 99, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_advise(mapping, 0, 4 * 65536, SHMKIT_ADVICE_NORMAL, &error));
    shmkit_mapping_free(mapping);
}

static void ranges_never_leave_the_mapping(void) {
    shmkit_mapping_t *mapping = map_new(fresh_path(), 100);
    char buffer[128] = "untouched";
    void *view;
    const uint64_t offsets[] = {100, 101, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_mapping_read_at(mapping, offsets[i], buffer, 1, &error));
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_mapping_write_at(mapping, offsets[i], buffer, 1, &error));
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_mapping_pin(mapping, offsets[i], SIZE_MAX, false, &view, &error));
    }
    REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_mapping_read_at(mapping, 0, buffer, SIZE_MAX, &error));
    CHECK(view == NULL && strcmp(buffer, "untouched") == 0);
    shmkit_mapping_free(mapping);
}

static void a_closed_mapping_answers_closed(void) {
    shmkit_mapping_t *mapping = map_new(fresh_path(), 100);
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 0, "x", 1, &error));
    const char *data = shmkit_mapping_data(mapping);
    EXPECT(SHMKIT_OK, shmkit_mapping_close(mapping, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_close(mapping, &error));
    CHECK(shmkit_mapping_is_closed(mapping) && *data == '\0');
    char byte;
    void *view;
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_read_at(mapping, 0, &byte, 1, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_write_at(mapping, 0, "y", 1, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_pin(mapping, 0, 1, false, &view, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_flush(mapping, 0, 1, 0, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_protect(mapping, 0, 100, SHMKIT_PROTECTION_READ, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_mapping_advise(mapping, 0, 100, SHMKIT_ADVICE_NORMAL, &error));
    shmkit_mapping_free(mapping);
}

const struct test mapping_tests[] = {
    {"a_file_holds_what_is_written", a_file_holds_what_is_written},
    {"what_cannot_be_mapped_is_refused", what_cannot_be_mapped_is_refused},
    {"files_are_created_and_grown_but_never_cut", files_are_created_and_grown_but_never_cut},
    {"private_changes_stay_private", private_changes_stay_private},
    {"anonymous_memory_reaches_children_unless_private", anonymous_memory_reaches_children_unless_private},
    {"protection_is_kept_and_views_are_respected", protection_is_kept_and_views_are_respected},
    {"every_advice_is_taken", every_advice_is_taken},
    {"ranges_never_leave_the_mapping", ranges_never_leave_the_mapping},
    {"a_closed_mapping_answers_closed", a_closed_mapping_answers_closed},
    {NULL, NULL},
};
