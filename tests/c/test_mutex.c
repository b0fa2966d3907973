// Mutexes: who has it, who waits, who died.

#include "check.h"

#include <pthread.h>

enum { TURNS = 3000 };

static shmkit_mutex_t *open_mutex(shmkit_region_t *region) {
    shmkit_mutex_t *mutex;
    EXPECT(SHMKIT_OK, shmkit_mutex_open(region, "m", &mutex, &error));
    CHECK(mutex != NULL && strcmp(shmkit_mutex_name(mutex), "m") == 0);
    return mutex;
}

static void hold_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_status_t status = shmkit_mutex_lock(open_mutex(region), NULL);
    CHECK(status == SHMKIT_OK || status == SHMKIT_OWNER_DIED);
    stay(region);
}

static void it_excludes_and_is_given_back(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_mutex_t *mutex = open_mutex(region), *same = open_mutex(region);
    CHECK(!shmkit_mutex_is_locked(mutex));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_mutex_unlock(mutex, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_mutex_make_consistent(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(mutex, &error));
    CHECK(shmkit_mutex_is_locked(same));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(same, &error));
    CHECK(strcmp(error.operation, "lock mutex") == 0 && strstr(error.object, name) && strstr(error.object, ":m"));
    EXPECT(SHMKIT_TIMEOUT, shmkit_mutex_lock_wait(same, 2 * MS, 0, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_mutex_lock_wait(mutex, 0, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_close(same, &error));
    EXPECT(SHMKIT_BUSY, shmkit_mutex_close(mutex, &error));
    CHECK(!shmkit_mutex_is_closed(mutex));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_try_lock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_lock_wait(mutex, SHMKIT_FOREVER, 0, &error));
    // The region's own lock is another one.
    EXPECT(SHMKIT_OK, shmkit_region_try_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    CHECK(!shmkit_mutex_is_locked(mutex));
    shmkit_mutex_free(same);
    shmkit_mutex_free(mutex);
    finish(region, name);
}

static void an_owner_that_was_killed_is_reported_until_repaired(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_mutex_t *mutex = open_mutex(region);
    for (int turn = 0; turn < 3; turn++) {
        pid_t holder = start(hold_for_ever, region, name);
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(mutex, &error));
        EXPECT(SHMKIT_TIMEOUT, shmkit_mutex_lock_wait(mutex, 30 * MS, 0, &error));
        kill_child(holder);
        EXPECT(SHMKIT_OWNER_DIED, shmkit_mutex_lock_wait(mutex, LONG_NS, 0, &error));
        CHECK(strcmp(error.operation, "lock mutex") == 0 && strstr(error.object, ":m"));
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(mutex, &error)); // it is held
        EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_mutex_try_lock(mutex, &error)); // and nobody has repaired it
        EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_mutex_lock(mutex, &error));
        EXPECT(SHMKIT_OK, shmkit_mutex_make_consistent(mutex, &error));
        EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
        EXPECT(SHMKIT_OK, shmkit_mutex_lock(mutex, &error));
        EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    }
    shmkit_mutex_free(mutex);
    finish(region, name);
}

static void *wait_without_limit(void *mutex) {
    return (void *)(uintptr_t)shmkit_mutex_lock(mutex, NULL);
}

static void a_waiter_is_freed_by_the_death_of_the_owner(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_mutex_t *mutex = open_mutex(region);
    pid_t holder = start(hold_for_ever, region, name);
    pthread_t waiter;
    CHECK(pthread_create(&waiter, NULL, wait_without_limit, mutex) == 0);
    usleep(50 * 1000);
    kill_child(holder);
    void *status;
    CHECK(pthread_join(waiter, &status) == 0);
    CHECK((uintptr_t)status == SHMKIT_OWNER_DIED);
    // The process owns it: this thread gives back what the other one took.
    EXPECT(SHMKIT_OK, shmkit_mutex_make_consistent(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    shmkit_mutex_free(mutex);
    finish(region, name);
}

static shmkit_mutex_t *inherited;

static void child_of_a_holder(const char *name) {
    (void)name;
    EXPECT(SHMKIT_NOT_OWNER, shmkit_mutex_unlock(inherited, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(inherited, &error));
    shmkit_mutex_free(inherited);
}

static void a_forked_child_does_not_hold_what_its_parent_holds(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    inherited = open_mutex(region);
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(inherited, &error));
    join(in_child(child_of_a_holder, name));
    CHECK(shmkit_mutex_is_locked(inherited));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(inherited, &error));
    shmkit_mutex_free(inherited);
    finish(region, name);
}

static void the_words_are_those_of_the_mutex(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_mutex_t *mutex = open_mutex(region);
    uint32_t *word, *guard, free_word = 0;
    const uint32_t *me, *me_of_guard;
    EXPECT(SHMKIT_OK, shmkit_mutex_words(mutex, &word, &me, &error));
    EXPECT(SHMKIT_OK, shmkit_region_guard_words(region, &guard, &me_of_guard, &error));
    CHECK(word != guard && me == me_of_guard);
    uint32_t owner = __atomic_load_n(me, __ATOMIC_SEQ_CST);
    CHECK(owner != 0);
    CHECK(__atomic_compare_exchange_n(word, &free_word, owner, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    CHECK(shmkit_mutex_is_locked(mutex));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(mutex, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == owner);
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0);
    shmkit_mutex_free(mutex);
    finish(region, name);
}

static uint64_t *sum;

static void *add_in_place(void *mutex) {
    for (int turn = 0; turn < TURNS; turn++) {
        CHECK(shmkit_mutex_lock(mutex, NULL) == SHMKIT_OK);
        __tsan_acquire(sum);
        ++*sum;
        __tsan_release(sum);
        CHECK(shmkit_mutex_unlock(mutex, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void add_with_threads(const char *name) {
    shmkit_region_t *region = open_region(name);
    sum = shmkit_region_data(region);
    shmkit_mutex_t *mutex = open_mutex(region);
    in_threads(add_in_place, mutex);
    shmkit_mutex_free(mutex);
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

static void *lock_until_closed(void *mutex) {
    for (;;) {
        shmkit_status_t status = shmkit_mutex_lock(mutex, NULL);
        if (status == SHMKIT_CLOSED) {
            return NULL;
        }
        CHECK(status == SHMKIT_OK && shmkit_mutex_unlock(mutex, NULL) == SHMKIT_OK);
    }
}

static void a_close_among_locks_leaves_none_held(void) {
    const char *name = fresh_name();
    for (int turn = 0; turn < 100; turn++) {
        shmkit_region_t *region = open_region(name);
        shmkit_mutex_t *mutex = open_mutex(region);
        // In every other turn the mutex is the last that this process has of the region.
        if (turn % 2 == 0) {
            shmkit_region_free(region);
        }
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            CHECK(pthread_create(&threads[i], NULL, lock_until_closed, mutex) == 0);
        }
        shmkit_status_t status;
        while ((status = shmkit_mutex_close(mutex, NULL)) == SHMKIT_BUSY) {
        }
        CHECK(status == SHMKIT_OK);
        for (int i = 0; i < 2; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        shmkit_mutex_free(mutex);
        if (turn % 2 != 0) {
            shmkit_region_free(region);
        }
        region = open_region(name);
        mutex = open_mutex(region);
        EXPECT(SHMKIT_OK, shmkit_mutex_try_lock(mutex, &error));
        EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
        shmkit_mutex_free(mutex);
        shmkit_region_free(region);
    }
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void a_handle_that_was_freed_leaves_the_lock_to_the_process(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_mutex_t *mutex = open_mutex(region);
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(mutex, &error));
    shmkit_mutex_free(mutex);
    mutex = open_mutex(region);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(mutex, &error));
    // With the last that it has of the region, the process leaves, and what it held is as if it had died.
    shmkit_mutex_free(mutex);
    shmkit_region_free(region);
    region = open_region(name);
    mutex = open_mutex(region);
    EXPECT(SHMKIT_OWNER_DIED, shmkit_mutex_try_lock(mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(mutex, &error));
    shmkit_mutex_free(mutex);
    finish(region, name);
}

const struct test mutex_tests[] = {
    {"mutex_excludes_and_is_given_back", it_excludes_and_is_given_back},
    {"mutex_reports_an_owner_that_was_killed_until_repaired", an_owner_that_was_killed_is_reported_until_repaired},
    {"mutex_frees_a_waiter_by_the_death_of_the_owner", a_waiter_is_freed_by_the_death_of_the_owner},
    {"mutex_of_a_parent_is_not_held_by_its_child", a_forked_child_does_not_hold_what_its_parent_holds},
    {"mutex_has_its_words", the_words_are_those_of_the_mutex},
    {"mutex_loses_no_addition", threads_and_processes_lose_no_addition},
    {"mutex_closed_among_locks_is_not_held", a_close_among_locks_leaves_none_held},
    {"mutex_stays_held_when_its_handle_goes", a_handle_that_was_freed_leaves_the_lock_to_the_process},
    {NULL, NULL},
};
