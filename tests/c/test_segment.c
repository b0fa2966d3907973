// Segments: created, sealed, mapped, and passed between processes. Regions without a name.

#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static shmkit_mapping_t *map_writable(const shmkit_segment_t *segment) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_segment_map(segment, &options, &mapping, &error));
    return mapping;
}

static void a_segment_lives_until_it_is_unlinked(void) {
    const char *name = fresh_name();
    shmkit_segment_options_t options = SHMKIT_SEGMENT_OPTIONS_INIT;
    shmkit_segment_t *segment, *again;
    uint64_t len;
    options.mode = 0640;
    EXPECT(SHMKIT_OK, shmkit_segment_create(name, 5000, &options, &segment, &error));
    REFUSED(SHMKIT_ALREADY_EXISTS, shmkit_segment_create(name, 5000, NULL, &again, &error));
    CHECK(again == NULL);
    EXPECT(SHMKIT_OK, shmkit_segment_len(segment, &len, &error));
    CHECK(len == 5000 && shmkit_segment_is_writable(segment));
    shmkit_mapping_t *mapping = map_writable(segment);
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 4998, "Hi", 2, &error));

    options.flags = SHMKIT_SEGMENT_READ_ONLY;
    EXPECT(SHMKIT_OK, shmkit_segment_open(name, &options, &again, &error));
    CHECK(!shmkit_segment_is_writable(again));
    shmkit_map_options_t write = SHMKIT_MAP_OPTIONS_INIT;
    write.protection = SHMKIT_PROTECTION_READ_WRITE;
    shmkit_mapping_t *reader;
    EXPECT(SHMKIT_READ_ONLY, shmkit_segment_map(again, &write, &reader, &error));
    EXPECT(SHMKIT_OK, shmkit_segment_map(again, NULL, &reader, &error));
    shmkit_segment_free(again);
    shmkit_segment_free(segment);
    char text[3] = "";
    EXPECT(SHMKIT_OK, shmkit_mapping_read_at(reader, 4998, text, 2, &error));
    CHECK(strcmp(text, "Hi") == 0);
    shmkit_mapping_free(reader);
    shmkit_mapping_free(mapping);
    EXPECT(SHMKIT_OK, shmkit_segment_unlink(name, NULL, &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_segment_open(name, NULL, &again, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_create(NULL, 1, NULL, &again, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_create(name, 1, &options, &again, &error));
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_segment_memfd("label", 0, &again, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_from_fd(-1, &again, &error));
    CHECK(shmkit_segment_fileno(NULL) == -1);
    shmkit_segment_free(NULL);
}

static void seals_hold(void) {
    shmkit_segment_t *segment;
    uint32_t seals = 0;
    EXPECT(SHMKIT_OK, shmkit_segment_memfd("test-seals", 4096, &segment, &error));
    shmkit_mapping_t *mapping = map_writable(segment);
    EXPECT(SHMKIT_OK, shmkit_segment_seal(segment, SHMKIT_SEAL_SHRINK | SHMKIT_SEAL_GROW, &error));
    CHECK(ftruncate(shmkit_segment_fileno(segment), 10) == -1);
    CHECK(ftruncate(shmkit_segment_fileno(segment), 9000) == -1);
    EXPECT(SHMKIT_BUSY, shmkit_segment_seal(segment, SHMKIT_SEAL_WRITE, &error));
    shmkit_mapping_free(mapping);
    EXPECT(SHMKIT_OK, shmkit_segment_seal(segment, SHMKIT_SEAL_WRITE | SHMKIT_SEAL_SEAL, &error));
    EXPECT(SHMKIT_OK, shmkit_segment_seals(segment, &seals, &error));
    CHECK((seals & 0xf) == 0xf);
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_segment_seal(segment, SHMKIT_SEAL_FUTURE_WRITE, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_seal(segment, 0x40, &error));
    shmkit_map_options_t write = SHMKIT_MAP_OPTIONS_INIT;
    write.protection = SHMKIT_PROTECTION_READ_WRITE;
    EXPECT(SHMKIT_READ_ONLY, shmkit_segment_map(segment, &write, &mapping, &error));
    shmkit_segment_free(segment);
}

static int sockets[2];

static void answer_with_a_segment(const char *name) {
    (void)name;
    shmkit_segment_t *segment;
    EXPECT(SHMKIT_OK, shmkit_segment_receive_wait(sockets[1], LONG_NS, 0, &segment, &error));
    shmkit_mapping_t *mapping = map_writable(segment);
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 0, "Hi", 2, &error));
    EXPECT(SHMKIT_OK, shmkit_segment_send_wait(segment, sockets[1], LONG_NS, 0, &error));
}

static void a_segment_goes_to_another_process_and_back(void) {
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    shmkit_segment_t *segment, *back;
    EXPECT(SHMKIT_OK, shmkit_segment_memfd("test-passing", 4096, &segment, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_segment_receive_wait(sockets[0], MS, 0, &back, &error));
    pid_t child = in_child(answer_with_a_segment, "");
    EXPECT(SHMKIT_OK, shmkit_segment_send_wait(segment, sockets[0], LONG_NS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_segment_receive_wait(sockets[0], LONG_NS, 0, &back, &error));
    join(child);
    char text[3] = "";
    shmkit_mapping_t *mapping = map_writable(back);
    EXPECT(SHMKIT_OK, shmkit_mapping_read_at(mapping, 0, text, 2, &error));
    CHECK(strcmp(text, "Hi") == 0);
    shmkit_mapping_free(mapping);
    shmkit_segment_free(back);
    shmkit_segment_free(segment);
    CHECK(write(sockets[1], "x", 1) == 1);
    EXPECT(SHMKIT_WRONG_KIND, shmkit_segment_receive_wait(sockets[0], LONG_NS, 0, &back, &error));
    close(sockets[1]);
    EXPECT(SHMKIT_IO, shmkit_segment_receive_wait(sockets[0], LONG_NS, 0, &back, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_receive_wait(-1, LONG_NS, 0, &back, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_segment_receive_wait(sockets[0], LONG_NS, 8, &back, &error));
    close(sockets[0]);
}

static int region_fd;

static void lock_and_die(const char *name) {
    (void)name;
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_from_fd(region_fd, &region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_write_at(region, 0, "Hi", 2, &error));
    _exit(0);
}

static void a_region_without_a_name_has_all_that_others_have(void) {
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_create_unnamed(4096, NULL, &region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_fd(region, &region_fd, &error));
    CHECK(ftruncate(region_fd, 100) == -1);
    join(in_child(lock_and_die, ""));
    EXPECT(SHMKIT_OWNER_DIED, shmkit_region_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_make_consistent(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    char text[3] = "";
    EXPECT(SHMKIT_OK, shmkit_region_read_at(region, 0, text, 2, &error));
    CHECK(strcmp(text, "Hi") == 0);
    shmkit_region_t *other;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT(SHMKIT_WRONG_KIND, shmkit_region_from_fd(file, &other, &error));
    close(file);
    close(region_fd);
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_region_fd(region, &region_fd, &error));
    shmkit_region_free(region);
}

const struct test segment_tests[] = {
    {"a segment lives until it is unlinked", a_segment_lives_until_it_is_unlinked},
    {"seals hold", seals_hold},
    {"a segment goes to another process and back", a_segment_goes_to_another_process_and_back},
    {"a region without a name has all that others have", a_region_without_a_name_has_all_that_others_have},
    {NULL, NULL},
};
