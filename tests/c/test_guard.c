// The guard: who has it, who waits, who died.

#include "check.h"

#include <pthread.h>

enum { TURNS = 5000 };

static void hold_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_status_t status = shmkit_region_lock(region, NULL);
    CHECK(status == SHMKIT_OK || status == SHMKIT_OWNER_DIED);
    stay(region);
}

static void it_excludes_and_is_given_back(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    CHECK(!shmkit_region_is_locked(region));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_region_make_consistent(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
    CHECK(shmkit_region_is_locked(region));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_region_try_lock(region, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_region_lock_wait(region, 2 * MS, 0, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_region_lock_wait(region, 0, 0, &error));
    EXPECT(SHMKIT_BUSY, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_try_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_lock_wait(region, SHMKIT_FOREVER, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_lock_wait(region, 0, 1 << 5, &error));
    CHECK(!shmkit_region_is_locked(region));
    finish(region, name);
}

static void an_owner_that_was_killed_is_reported_until_repaired(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    for (int turn = 0; turn < 3; turn++) {
        pid_t holder = start(hold_for_ever, region, name);
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_region_try_lock(region, &error));
        EXPECT(SHMKIT_TIMEOUT, shmkit_region_lock_wait(region, 30 * MS, 0, &error));
        kill_child(holder);
        EXPECT(SHMKIT_OWNER_DIED, shmkit_region_lock_wait(region, LONG_NS, 0, &error));
        CHECK(strcmp(error.operation, "lock region") == 0 && strcmp(error.object, name) == 0);
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_region_try_lock(region, &error)); // it is held
        EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
        EXPECT(SHMKIT_OWNER_DIED, shmkit_region_try_lock(region, &error)); // and nobody has repaired it
        EXPECT(SHMKIT_OK, shmkit_region_make_consistent(region, &error));
        EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
        EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
        EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    }
    finish(region, name);
}

static void *wait_without_limit(void *region) {
    return (void *)(uintptr_t)shmkit_region_lock(region, NULL);
}

static void a_waiter_is_freed_by_the_death_of_the_owner(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t holder = start(hold_for_ever, region, name);
    pthread_t waiter;
    CHECK(pthread_create(&waiter, NULL, wait_without_limit, region) == 0);
    usleep(50 * 1000);
    kill_child(holder);
    void *status;
    CHECK(pthread_join(waiter, &status) == 0);
    CHECK((uintptr_t)status == SHMKIT_OWNER_DIED);
    // The process owns it: this thread gives back what the other one took.
    EXPECT(SHMKIT_OK, shmkit_region_make_consistent(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    finish(region, name);
}

static void a_signal_ends_only_a_wait_that_asked_for_it(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t holder = start(hold_for_ever, region, name);
    start_signals();
    EXPECT(SHMKIT_TIMEOUT, shmkit_region_lock_wait(region, 60 * MS, 0, &error));
    EXPECT(SHMKIT_INTERRUPTED, shmkit_region_lock_wait(region, LONG_NS, SHMKIT_WAIT_INTERRUPTIBLE, &error));
    stop_signals();
    kill_child(holder);
    EXPECT(SHMKIT_OWNER_DIED, shmkit_region_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    finish(region, name);
}

static shmkit_region_t *inherited;

static void child_of_a_holder(const char *name) {
    (void)name;
    EXPECT(SHMKIT_NOT_OWNER, shmkit_region_unlock(inherited, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_region_try_lock(inherited, &error));
    shmkit_region_free(inherited);
}

static void a_forked_child_does_not_hold_what_its_parent_holds(void) {
    const char *name = fresh_name();
    inherited = open_region(name);
    EXPECT(SHMKIT_OK, shmkit_region_lock(inherited, &error));
    join(in_child(child_of_a_holder, name));
    CHECK(shmkit_region_is_locked(inherited));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(inherited, &error));
    finish(inherited, name);
}

static void the_words_are_those_of_the_guard(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    uint32_t *word, free_word = 0;
    const uint32_t *me;
    EXPECT(SHMKIT_OK, shmkit_region_guard_words(region, &word, &me, &error));
    uint32_t owner = __atomic_load_n(me, __ATOMIC_SEQ_CST);
    uint32_t slot = (owner >> SHMKIT_OWNER_SLOT_SHIFT) & ((1u << (SHMKIT_OWNER_GENERATION_SHIFT - SHMKIT_OWNER_SLOT_SHIFT)) - 1);
    CHECK((owner & ~(uint32_t)SHMKIT_WORD_OWNER_MASK) == 0);
    CHECK(slot >= 1 && slot <= SHMKIT_DEFAULT_SLOT_COUNT && owner >> SHMKIT_OWNER_GENERATION_SHIFT != 0);

    CHECK(__atomic_compare_exchange_n(word, &free_word, owner, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    CHECK(shmkit_region_is_locked(region));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_region_try_lock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == owner);
    EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0);
    finish(region, name);
}

static void *add_in_place(void *argument) {
    shmkit_region_t *region = argument;
    uint64_t *sum = shmkit_region_data(region);
    for (int turn = 0; turn < TURNS; turn++) {
        CHECK(shmkit_region_lock(region, NULL) == SHMKIT_OK);
        __tsan_acquire(sum);
        ++*sum;
        __tsan_release(sum);
        CHECK(shmkit_region_unlock(region, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void add_with_threads(const char *name) {
    shmkit_region_t *region = open_region(name);
    in_threads(add_in_place, region);
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

static void *lock_until_closed(void *region) {
    for (;;) {
        shmkit_status_t status = shmkit_region_lock(region, NULL);
        if (status == SHMKIT_CLOSED) {
            return NULL;
        }
        CHECK(status == SHMKIT_OK && shmkit_region_unlock(region, NULL) == SHMKIT_OK);
    }
}

static void a_close_among_locks_leaves_none_held(void) {
    for (int turn = 0; turn < 100; turn++) {
        const char *name = fresh_name();
        shmkit_region_t *region = open_region(name);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++) {
            CHECK(pthread_create(&threads[i], NULL, lock_until_closed, region) == 0);
        }
        shmkit_status_t status;
        while ((status = shmkit_region_close(region, NULL)) == SHMKIT_BUSY) {
        }
        CHECK(status == SHMKIT_OK);
        for (int i = 0; i < 2; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        shmkit_region_free(region);
        region = open_region(name);
        EXPECT(SHMKIT_OK, shmkit_region_try_lock(region, &error));
        EXPECT(SHMKIT_OK, shmkit_region_unlock(region, &error));
        finish(region, name);
    }
}

const struct test guard_tests[] = {
    {"it_excludes_and_is_given_back", it_excludes_and_is_given_back},
    {"an_owner_that_was_killed_is_reported_until_repaired", an_owner_that_was_killed_is_reported_until_repaired},
    {"a_waiter_is_freed_by_the_death_of_the_owner", a_waiter_is_freed_by_the_death_of_the_owner},
    {"a_signal_ends_only_a_wait_that_asked_for_it", a_signal_ends_only_a_wait_that_asked_for_it},
    {"a_forked_child_does_not_hold_what_its_parent_holds", a_forked_child_does_not_hold_what_its_parent_holds},
    {"the_words_are_those_of_the_guard", the_words_are_those_of_the_guard},
    {"threads_and_processes_lose_no_addition", threads_and_processes_lose_no_addition},
    {"a_close_among_locks_leaves_none_held", a_close_among_locks_leaves_none_held},
    {NULL, NULL},
};
