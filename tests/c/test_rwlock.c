// Reader-writer locks: many readers or one writer, who waits, who died.

#include "check.h"

#include <pthread.h>

enum { TURNS = 2000 };

static shmkit_rwlock_t *open_lock(shmkit_region_t *region) {
    shmkit_rwlock_t *lock;
    EXPECT(SHMKIT_OK, shmkit_rwlock_open(region, "l", &lock, &error));
    CHECK(lock != NULL && strcmp(shmkit_rwlock_name(lock), "l") == 0);
    return lock;
}

static void read_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(open_lock(region), &error));
    stay(region);
}

static void write_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_status_t status = shmkit_rwlock_write_lock(open_lock(region), NULL);
    CHECK(status == SHMKIT_OK || status == SHMKIT_OWNER_DIED);
    stay(region);
}

static void readers_share_and_writers_exclude(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_rwlock_t *lock = open_lock(region), *same = open_lock(region);
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_read_unlock(lock, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_write_unlock(lock, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_make_consistent(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_try_read_lock(same, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock_wait(same, LONG_NS, 0, &error));
    CHECK(shmkit_rwlock_readers(lock) == 3 && !shmkit_rwlock_is_write_locked(lock));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_write_lock(lock, &error));
    CHECK(strcmp(error.operation, "write-lock rwlock") == 0 && strstr(error.object, ":l"));
    EXPECT(SHMKIT_TIMEOUT, shmkit_rwlock_write_lock_wait(same, 2 * MS, 0, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_make_consistent(lock, &error)); // for writers only
    EXPECT(SHMKIT_OK, shmkit_rwlock_close(same, &error));
    EXPECT(SHMKIT_BUSY, shmkit_rwlock_close(lock, &error));
    for (int i = 0; i < 3; i++) {
        EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));
    }
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_read_unlock(lock, &error));

    EXPECT(SHMKIT_OK, shmkit_rwlock_write_lock(lock, &error));
    CHECK(shmkit_rwlock_readers(lock) == 0 && shmkit_rwlock_is_write_locked(lock));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_read_lock(lock, &error));
    CHECK(strcmp(error.operation, "read-lock rwlock") == 0);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_write_lock(lock, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_rwlock_read_lock_wait(lock, 2 * MS, 0, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_rwlock_write_lock_wait(lock, 2 * MS, 0, &error));
    EXPECT(SHMKIT_BUSY, shmkit_rwlock_close(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_try_write_lock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_lock_wait(lock, SHMKIT_FOREVER, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
    shmkit_rwlock_free(same);
    shmkit_rwlock_free(lock);
    finish(region, name);
}

static void a_reader_that_was_killed_is_forgotten(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_rwlock_t *lock = open_lock(region);
    pid_t reader = start(read_for_ever, region, name);
    CHECK(shmkit_rwlock_readers(lock) == 1);
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_write_lock(lock, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_rwlock_write_lock_wait(lock, 30 * MS, 0, &error));
    kill_child(reader);
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_lock_wait(lock, LONG_NS, 0, &error));
    CHECK(shmkit_rwlock_readers(lock) == 0);
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
    shmkit_rwlock_free(lock);
    finish(region, name);
}

static void a_writer_that_was_killed_is_reported_until_repaired(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_rwlock_t *lock = open_lock(region);
    for (int turn = 0; turn < 3; turn++) {
        pid_t writer = start(write_for_ever, region, name);
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_read_lock(lock, &error));
        EXPECT(SHMKIT_TIMEOUT, shmkit_rwlock_read_lock_wait(lock, 30 * MS, 0, &error));
        kill_child(writer);
        // A reader is told and holds it, but cannot repair.
        EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_read_lock_wait(lock, LONG_NS, 0, &error));
        CHECK(shmkit_rwlock_readers(lock) == 1 && strcmp(error.operation, "read-lock rwlock") == 0);
        EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_make_consistent(lock, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_try_read_lock(lock, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_read_lock(lock, &error));
        for (int i = 0; i < 3; i++) {
            EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));
        }
        EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_try_write_lock(lock, &error));
        EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_rwlock_write_lock(lock, &error));
        CHECK(shmkit_rwlock_is_write_locked(lock) && strcmp(error.operation, "write-lock rwlock") == 0);
        EXPECT(SHMKIT_OK, shmkit_rwlock_make_consistent(lock, &error));
        EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
        EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(lock, &error));
        EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));
    }
    shmkit_rwlock_free(lock);
    finish(region, name);
}

static shmkit_rwlock_t *inherited;

static void child_of_a_reader(const char *name) {
    (void)name;
    EXPECT(SHMKIT_NOT_OWNER, shmkit_rwlock_read_unlock(inherited, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_write_lock(inherited, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(inherited, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(inherited, &error));
    shmkit_rwlock_free(inherited);
}

static void a_forked_child_does_not_hold_what_its_parent_holds(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    inherited = open_lock(region);
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(inherited, &error));
    join(in_child(child_of_a_reader, name));
    CHECK(shmkit_rwlock_readers(inherited) == 1);
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(inherited, &error));
    shmkit_rwlock_free(inherited);
    finish(region, name);
}

static void *write_without_limit(void *lock) {
    return (void *)(uintptr_t)shmkit_rwlock_write_lock(lock, NULL);
}

// Reads as another language does: by the words alone.
static void the_words_are_those_of_the_lock(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_rwlock_t *lock = open_lock(region);
    uint32_t *writer;
    uint64_t *marks;
    const uint32_t *me;
    EXPECT(SHMKIT_OK, shmkit_rwlock_words(lock, &writer, &marks, &me, &error));
    uint32_t owner = *me;
    uint32_t slot = ((owner >> SHMKIT_OWNER_SLOT_SHIFT) &
                     ((1u << (SHMKIT_OWNER_GENERATION_SHIFT - SHMKIT_OWNER_SLOT_SHIFT)) - 1)) - 1;
    uint64_t *mark = (uint64_t *)((char *)marks + (size_t)slot * SHMKIT_MARK_STRIDE);
    uint64_t one = (uint64_t)(owner >> SHMKIT_OWNER_GENERATION_SHIFT) << SHMKIT_MARK_GENERATION_SHIFT | 1;

    EXPECT(SHMKIT_OK, shmkit_rwlock_read_lock(lock, &error));
    CHECK(__atomic_load_n(mark, __ATOMIC_SEQ_CST) == one);
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));
    CHECK((uint32_t)__atomic_load_n(mark, __ATOMIC_SEQ_CST) == 0);

    __atomic_store_n(mark, one, __ATOMIC_SEQ_CST);
    CHECK(shmkit_rwlock_readers(lock) == 1);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_rwlock_try_write_lock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_read_unlock(lock, &error));

    __atomic_store_n(mark, one, __ATOMIC_SEQ_CST);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, write_without_limit, lock) == 0);
    while (!(__atomic_load_n(writer, __ATOMIC_SEQ_CST) & SHMKIT_WORD_DRAIN)) {
        usleep(500);
    }
    __atomic_store_n(mark, one - 1, __ATOMIC_SEQ_CST);
    shmkit_rwlock_wake_writer(lock);
    void *status;
    CHECK(pthread_join(thread, &status) == 0 && (uintptr_t)status == SHMKIT_OK);
    CHECK((__atomic_load_n(writer, __ATOMIC_SEQ_CST) & SHMKIT_WORD_OWNER_MASK) == owner);
    __atomic_store_n(writer, 0, __ATOMIC_SEQ_CST);
    EXPECT(SHMKIT_OK, shmkit_rwlock_try_write_lock(lock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(lock, &error));
    shmkit_rwlock_free(lock);
    finish(region, name);
}

static uint64_t *sums;

// Two numbers that are the same whenever no writer is inside.
static void *add_and_compare(void *lock) {
    for (int turn = 0; turn < TURNS; turn++) {
        CHECK(shmkit_rwlock_write_lock(lock, NULL) == SHMKIT_OK);
        __tsan_acquire(sums);
        sums[0]++;
        sums[1]++;
        __tsan_release(sums);
        CHECK(shmkit_rwlock_write_unlock(lock, NULL) == SHMKIT_OK);
        CHECK(shmkit_rwlock_read_lock(lock, NULL) == SHMKIT_OK);
        __tsan_acquire(sums);
        CHECK(sums[0] == sums[1]);
        __tsan_release(sums);
        CHECK(shmkit_rwlock_read_unlock(lock, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void add_with_threads(const char *name) {
    shmkit_region_t *region = open_region(name);
    sums = shmkit_region_data(region);
    shmkit_rwlock_t *lock = open_lock(region);
    in_threads(add_and_compare, lock);
    shmkit_rwlock_free(lock);
    shmkit_region_free(region);
}

static void threads_and_processes_lose_no_addition(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t child = in_child(add_with_threads, name);
    add_with_threads(name);
    join(child);
    CHECK(*(uint64_t *)shmkit_region_data(region) == 2 * THREADS * TURNS);
    finish(region, name);
}

const struct test rwlock_tests[] = {
    {"rwlock_readers_share_and_writers_exclude", readers_share_and_writers_exclude},
    {"rwlock_forgets_a_reader_that_was_killed", a_reader_that_was_killed_is_forgotten},
    {"rwlock_reports_a_writer_that_was_killed_until_repaired", a_writer_that_was_killed_is_reported_until_repaired},
    {"rwlock_of_a_parent_is_not_held_by_its_child", a_forked_child_does_not_hold_what_its_parent_holds},
    {"rwlock_has_its_words", the_words_are_those_of_the_lock},
    {"rwlock_loses_no_addition", threads_and_processes_lose_no_addition},
    {NULL, NULL},
};
