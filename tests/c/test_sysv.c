// System V segments and semaphores, beside the system calls themselves.

#include "check.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>

// Keys of this run; nobody else's begin so.
static int32_t fresh_key(void) {
    static int32_t next = 1;
    return 0x43000000 | (int32_t)(getpid() & 0x3fff) << 10 | next++;
}

static void a_segment_is_what_shmat_sees(void) {
    int32_t key = fresh_key();
    shmkit_sysv_segment_t *segment, *other;
    EXPECT(SHMKIT_NOT_FOUND, shmkit_sysv_segment_open(key, &other, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_segment_create(key, 5000, 0640, &segment, &error));
    EXPECT(SHMKIT_ALREADY_EXISTS, shmkit_sysv_segment_create(key, 5000, 0, &other, &error));
    EXPECT(SHMKIT_SIZE_MISMATCH, shmkit_sysv_segment_open_or_create(key, 4999, 0, &other, &error));
    CHECK(shmkit_sysv_segment_len(segment) == 5000 && shmkit_sysv_segment_key(segment) == key);

    int id = shmget(key, 0, 0);
    CHECK(id == shmkit_sysv_segment_id(segment));
    char *bytes = shmat(id, NULL, 0);
    CHECK(bytes != (char *)-1);
    strcpy(bytes + 4990, "plain");
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_sysv_segment_map(segment, NULL, &mapping, &error));
    char text[6] = "";
    EXPECT(SHMKIT_OK, shmkit_mapping_read_at(mapping, 4990, text, 5, &error));
    CHECK(strcmp(text, "plain") == 0);
    EXPECT(SHMKIT_READ_ONLY, shmkit_mapping_write_at(mapping, 0, "x", 1, &error));

    shmkit_sysv_segment_status_t status = SHMKIT_SYSV_SEGMENT_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_sysv_segment_status(segment, &status, &error));
    CHECK(status.attached == 2 && status.len == 5000 && status.mode == 0640 && status.removed == 0);
    CHECK(status.creator_pid == (int32_t)getpid() && status.owner == geteuid());
    EXPECT(SHMKIT_OK, shmkit_mapping_close(mapping, &error));
    shmkit_mapping_free(mapping);
    CHECK(shmdt(bytes) == 0);
    EXPECT(SHMKIT_OK, shmkit_sysv_segment_status(segment, &status, &error));
    CHECK(status.attached == 0);
    EXPECT(SHMKIT_OK, shmkit_sysv_segment_remove(segment, &error));
    CHECK(shmget(key, 0, 0) == -1 && errno == ENOENT);
    EXPECT(SHMKIT_NOT_FOUND, shmkit_sysv_segment_status(segment, &status, &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_sysv_segment_map(segment, NULL, &mapping, &error));
    status.size = 8;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_sysv_segment_status(segment, &status, &error));
    shmkit_sysv_segment_free(segment);
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_sysv_segment_create(SHMKIT_SYSV_PRIVATE, 0, 0, &segment, &error));
}

static int32_t shared_id;

static void take_and_die(const char *name) {
    (void)name;
    shmkit_sysv_semaphore_t *semaphore;
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_from_id(shared_id, NULL, &semaphore, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_acquire(semaphore, 2, &error));
    raise(SIGKILL);
}

static void permits_of_the_dead_come_back(void) {
    shmkit_sysv_semaphore_t *semaphore;
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_create(SHMKIT_SYSV_PRIVATE, 2, NULL, &semaphore, &error));
    shared_id = shmkit_sysv_semaphore_id(semaphore);
    pid_t child = in_child(take_and_die, "");
    CHECK(waitpid(child, NULL, 0) == child);
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_acquire_wait(semaphore, 2, LONG_NS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_remove(semaphore, &error));
    shmkit_sysv_semaphore_free(semaphore);
}

static void a_semaphore_is_what_semop_sees(void) {
    int32_t key = fresh_key();
    shmkit_sysv_semaphore_options_t options = SHMKIT_SYSV_SEMAPHORE_OPTIONS_INIT;
    shmkit_sysv_semaphore_t *semaphore, *other;
    options.count = 2;
    options.index = 1;
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_create(key, 1, &options, &semaphore, &error));
    EXPECT(SHMKIT_ALREADY_EXISTS, shmkit_sysv_semaphore_create(key, 1, NULL, &other, &error));
    int id = semget(key, 0, 0);
    CHECK(id == shmkit_sysv_semaphore_id(semaphore) && shmkit_sysv_semaphore_key(semaphore) == key);
    struct sembuf down = {1, -1, IPC_NOWAIT};
    CHECK(semop(id, &down, 1) == 0);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_sysv_semaphore_try_acquire(semaphore, 1, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_sysv_semaphore_acquire_wait(semaphore, 1, MS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_zero_wait(semaphore, LONG_NS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_release(semaphore, 3, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_sysv_semaphore_zero_wait(semaphore, MS, 0, &error));
    CHECK(semctl(id, 1, GETVAL) == 3 && semctl(id, 0, GETVAL) == 1);
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_set_value(semaphore, 7, &error));
    shmkit_sysv_semaphore_status_t status = SHMKIT_SYSV_SEMAPHORE_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_status(semaphore, &status, &error));
    CHECK(status.value == 7 && status.waiting == 0 && status.mode == 0600);
    CHECK(status.last_pid == (int32_t)getpid());
    options.index = 2;
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_sysv_semaphore_open(key, &options, &other, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_open_or_create(key, 1, NULL, &other, &error));
    shmkit_sysv_semaphore_free(other);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_sysv_semaphore_release(semaphore, 0, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_sysv_semaphore_release(semaphore, 32767, &error));
    EXPECT(SHMKIT_OK, shmkit_sysv_semaphore_remove(semaphore, &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_sysv_semaphore_acquire(semaphore, 1, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_sysv_semaphore_acquire(NULL, 1, &error));
    shmkit_sysv_semaphore_free(semaphore);
}

const struct test sysv_tests[] = {
    {"a segment is what shmat sees", a_segment_is_what_shmat_sees},
    {"permits of the dead come back", permits_of_the_dead_come_back},
    {"a semaphore is what semop sees", a_semaphore_is_what_semop_sees},
    {NULL, NULL},
};
