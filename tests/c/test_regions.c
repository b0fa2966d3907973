// Regions: their bytes, views, names and ends.

#include "check.h"

#include <sys/stat.h>

static shmkit_region_t *create(const char *name, uint64_t len) {
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_create(name, len, NULL, &region, &error));
    CHECK(region != NULL);
    return region;
}

static void two_handles_see_the_same_bytes(void) {
    const char *name = fresh_name();
    shmkit_region_t *first = create(name, 5000);
    shmkit_region_t *second;
    EXPECT(SHMKIT_OK, shmkit_region_open(name, NULL, &second, &error));
    CHECK(shmkit_region_len(first) == 5000 && shmkit_region_len(second) == 5000);
    CHECK(strcmp(shmkit_region_name(second), name) == 0);
    CHECK(!shmkit_region_is_read_only(second) && !shmkit_region_is_closed(second));

    uint8_t ids[2][16] = {{0}};
    EXPECT(SHMKIT_OK, shmkit_region_id(first, ids[0], &error));
    EXPECT(SHMKIT_OK, shmkit_region_id(second, ids[1], &error));
    CHECK(memcmp(ids[0], ids[1], 16) == 0);

    char text[6] = "";
    EXPECT(SHMKIT_OK, shmkit_region_write_at(first, 4995, "hello", 5, &error));
    EXPECT(SHMKIT_OK, shmkit_region_read_at(second, 4995, text, 5, &error));
    CHECK(strcmp(text, "hello") == 0);
    EXPECT(SHMKIT_OK, shmkit_region_read_at(second, 5000, NULL, 0, &error));

    finish(first, name);
    EXPECT(SHMKIT_OK, shmkit_region_read_at(second, 4995, text, 5, &error));
    shmkit_region_free(second);
}

static void open_or_create_makes_it_once(void) {
    const char *name = fresh_name();
    shmkit_region_t *first, *second, *third;
    EXPECT(SHMKIT_OK, shmkit_region_open_or_create(name, 64, NULL, &first, &error));
    EXPECT(SHMKIT_OK, shmkit_region_open_or_create(name, 64, NULL, &second, &error));
    EXPECT(SHMKIT_OK, shmkit_region_write_at(first, 0, "x", 1, &error));
    CHECK(*(char *)shmkit_region_data(second) == 'x');
    REFUSED(SHMKIT_SIZE_MISMATCH, shmkit_region_open_or_create(name, 65, NULL, &third, &error));
    CHECK(third == NULL);
    shmkit_region_free(second);
    finish(first, name);
}

static void a_view_keeps_the_region_open(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = create(name, 64);
    void *data, *other;
    EXPECT(SHMKIT_OK, shmkit_region_pin(region, 8, 16, true, &data, &error));
    EXPECT(SHMKIT_OK, shmkit_region_pin(region, 0, 64, false, &other, &error));
    CHECK((char *)data == (char *)shmkit_region_data(region) + 8);
    memcpy(data, "in place", 8);
    EXPECT(SHMKIT_BUSY, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unpin(region, false, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_unpin(region, false, &error));
    EXPECT(SHMKIT_BUSY, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unpin(region, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_unpin(region, true, &error));

    char text[9] = "";
    EXPECT(SHMKIT_OK, shmkit_region_read_at(region, 8, text, 8, &error));
    CHECK(strcmp(text, "in place") == 0);
    finish(region, name);
}

static void a_closed_handle_answers_closed(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = create(name, 64);
    EXPECT(SHMKIT_OK, shmkit_region_write_at(region, 0, "x", 1, &error));
    const char *data = shmkit_region_data(region);
    CHECK(*data == 'x');
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    CHECK(shmkit_region_is_closed(region) && shmkit_region_len(region) == 64);
    CHECK(*data == '\0'); // zeros, not a fault and not somebody else's bytes

    char byte;
    void *view;
    uint32_t *word;
    const uint32_t *me;
    REFUSED(SHMKIT_CLOSED, shmkit_region_read_at(region, 0, &byte, 1, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_write_at(region, 0, "y", 1, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_pin(region, 0, 1, false, &view, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_lock(region, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_try_lock(region, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_lock_wait(region, 1000, 0, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_unlock(region, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_make_consistent(region, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_flush(region, 0, 64, 0, &error));
    REFUSED(SHMKIT_CLOSED, shmkit_region_guard_words(region, &word, &me, &error));
    CHECK(view == NULL && word == NULL && me == NULL);
    CHECK(strcmp(error.object, name) == 0);
    finish(region, name);
}

static void a_read_only_handle_only_reads(void) {
    const char *name = fresh_name();
    shmkit_region_t *writer = create(name, 64);
    EXPECT(SHMKIT_OK, shmkit_region_write_at(writer, 0, "x", 1, &error));
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_READ_ONLY;
    shmkit_region_t *reader;
    uint64_t before = state_of_files();
    EXPECT(SHMKIT_OK, shmkit_region_open(name, &options, &reader, &error));
    CHECK(shmkit_region_is_read_only(reader));
    char byte = 0;
    void *view;
    uint32_t *word;
    const uint32_t *me;
    EXPECT(SHMKIT_OK, shmkit_region_read_at(reader, 0, &byte, 1, &error));
    CHECK(byte == 'x');
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_write_at(reader, 0, "y", 1, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_pin(reader, 0, 1, true, &view, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_lock(reader, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_try_lock(reader, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_unlock(reader, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_make_consistent(reader, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_region_guard_words(reader, &word, &me, &error));
    EXPECT(SHMKIT_OK, shmkit_region_pin(reader, 0, 1, false, &view, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unpin(reader, false, &error));
    EXPECT(SHMKIT_OK, shmkit_region_close(reader, &error));
    CHECK(state_of_files() == before);
    shmkit_region_free(reader);
    finish(writer, name);
}

static void a_path_makes_it_a_file(void) {
    const char *path = fresh_path();
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_PATH | SHMKIT_REGION_GROUP | SHMKIT_REGION_NO_ARENA;
    options.mode = 0640;
    options.group = (uint32_t)getgid();
    options.attachments = 3;
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_create(path, 4096, &options, &region, &error));
    struct stat facts;
    CHECK(stat(path, &facts) == 0 && (facts.st_mode & 07777) == 0640 && facts.st_gid == getgid());
    CHECK(facts.st_size == 3 * 4096); // the header, the slots, no arena, the user bytes
    EXPECT(SHMKIT_OK, shmkit_region_write_at(region, 0, "durable", 7, &error));
    EXPECT(SHMKIT_OK, shmkit_region_flush(region, 0, 4096, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_region_flush(region, 1, 10, SHMKIT_FLUSH_ASYNC | SHMKIT_FLUSH_INVALIDATE, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_flush(region, 1, 4096, 0, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_flush(region, UINT64_MAX, SIZE_MAX, 0, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_flush(region, 0, 1, 1 << 9, &error));
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(path, &options, &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_region_unlink(path, &options, &error));
}

static void ranges_never_leave_the_user_bytes(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = create(name, 100);
    const struct {
        uint64_t offset;
        size_t len;
    } bad[] = {{100, 1}, {0, 101}, {99, 2}, {101, 0}, {UINT64_MAX, 1}, {UINT64_MAX, 0},
               {UINT64_MAX - 7, 16}, {1, SIZE_MAX}, {0, SIZE_MAX / 2 + 1}, {1ull << 63, 8}};
    char buffer[128] = "untouched";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *view;
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_region_read_at(region, bad[i].offset, buffer, bad[i].len, &error));
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_region_write_at(region, bad[i].offset, buffer, bad[i].len, &error));
        REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_region_pin(region, bad[i].offset, bad[i].len, true, &view, &error));
        CHECK(view == NULL && strcmp(buffer, "untouched") == 0);
    }
    finish(region, name);
}

const struct test region_tests[] = {
    {"two_handles_see_the_same_bytes", two_handles_see_the_same_bytes},
    {"open_or_create_makes_it_once", open_or_create_makes_it_once},
    {"a_view_keeps_the_region_open", a_view_keeps_the_region_open},
    {"a_closed_handle_answers_closed", a_closed_handle_answers_closed},
    {"a_read_only_handle_only_reads", a_read_only_handle_only_reads},
    {"a_path_makes_it_a_file", a_path_makes_it_a_file},
    {"ranges_never_leave_the_user_bytes", ranges_never_leave_the_user_bytes},
    {NULL, NULL},
};
