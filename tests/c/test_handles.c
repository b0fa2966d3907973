// What the handles of named objects answer when there is nothing behind them: NULL, and those that were closed.

#include "objects.h"

static void null_handles_are_refused(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region);
    uint32_t *word;
    uint64_t *value;
    const uint32_t *me;
#define REFUSES(call) REFUSED(SHMKIT_INVALID_ARGUMENT, call)
    REFUSES(shmkit_mutex_lock(NULL, &error));
    REFUSES(shmkit_mutex_try_lock(NULL, &error));
    REFUSES(shmkit_mutex_lock_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_mutex_unlock(NULL, &error));
    REFUSES(shmkit_mutex_make_consistent(NULL, &error));
    REFUSES(shmkit_mutex_words(NULL, &word, &me, &error));
    REFUSES(shmkit_mutex_words(all.mutex, NULL, &me, &error));
    REFUSES(shmkit_mutex_words(all.mutex, &word, NULL, &error));
    REFUSES(shmkit_mutex_close(NULL, &error));
    REFUSES(shmkit_rwlock_read_lock(NULL, &error));
    REFUSES(shmkit_rwlock_try_read_lock(NULL, &error));
    REFUSES(shmkit_rwlock_read_lock_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_rwlock_read_unlock(NULL, &error));
    REFUSES(shmkit_rwlock_write_lock(NULL, &error));
    REFUSES(shmkit_rwlock_try_write_lock(NULL, &error));
    REFUSES(shmkit_rwlock_write_lock_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_rwlock_write_unlock(NULL, &error));
    REFUSES(shmkit_rwlock_make_consistent(NULL, &error));
    REFUSES(shmkit_rwlock_words(NULL, &word, &value, &me, &error));
    REFUSES(shmkit_rwlock_words(all.rwlock, NULL, &value, &me, &error));
    REFUSES(shmkit_rwlock_words(all.rwlock, &word, NULL, &me, &error));
    REFUSES(shmkit_rwlock_words(all.rwlock, &word, &value, NULL, &error));
    REFUSES(shmkit_rwlock_close(NULL, &error));
    REFUSES(shmkit_semaphore_acquire(NULL, &error));
    REFUSES(shmkit_semaphore_try_acquire(NULL, &error));
    REFUSES(shmkit_semaphore_acquire_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_semaphore_release(NULL, 1, &error));
    REFUSES(shmkit_semaphore_word(NULL, &word, &error));
    REFUSES(shmkit_semaphore_word(all.semaphore, NULL, &error));
    REFUSES(shmkit_semaphore_close(NULL, &error));
    REFUSES(shmkit_condvar_wait(NULL, all.mutex, 0, 0, NULL, &error));
    REFUSES(shmkit_condvar_wait(all.condvar, NULL, 0, 0, NULL, &error));
    REFUSES(shmkit_condvar_notify_one(NULL, &error));
    REFUSES(shmkit_condvar_notify_all(NULL, &error));
    REFUSES(shmkit_condvar_word(NULL, &word, &error));
    REFUSES(shmkit_condvar_word(all.condvar, NULL, &error));
    REFUSES(shmkit_condvar_close(NULL, &error));
    REFUSES(shmkit_event_set(NULL, &error));
    REFUSES(shmkit_event_reset(NULL, &error));
    REFUSES(shmkit_event_wait(NULL, 0, 0, &error));
    REFUSES(shmkit_event_try_wait(NULL, &error));
    REFUSES(shmkit_event_word(NULL, &word, &error));
    REFUSES(shmkit_event_word(all.event, NULL, &error));
    REFUSES(shmkit_event_close(NULL, &error));
    REFUSES(shmkit_barrier_wait(NULL, 0, 0, NULL, &error));
    REFUSES(shmkit_barrier_abort(NULL, &error));
    REFUSES(shmkit_barrier_reset(NULL, &error));
    REFUSES(shmkit_barrier_close(NULL, &error));
    REFUSES(shmkit_atomic_wait(NULL, 0, 0, 0, &error));
    REFUSES(shmkit_atomic_words(NULL, &value, &word, &error));
    REFUSES(shmkit_atomic_words(all.atomic, NULL, &word, &error));
    REFUSES(shmkit_atomic_words(all.atomic, &value, NULL, &error));
    REFUSES(shmkit_atomic_close(NULL, &error));
#undef REFUSES
    free_all(&all);
    finish(region, name);
}

static void questions_to_null_have_an_answer(void) {
    CHECK(!shmkit_mutex_is_locked(NULL) && !shmkit_rwlock_is_write_locked(NULL) && shmkit_rwlock_readers(NULL) == 0);
    CHECK(shmkit_semaphore_available(NULL) == 0 && !shmkit_event_is_set(NULL));
    CHECK(!shmkit_barrier_is_broken(NULL) && shmkit_barrier_parties(NULL) == 0 && shmkit_barrier_waiting(NULL) == 0);
    CHECK(shmkit_atomic_load(NULL) == 0 && shmkit_atomic_swap(NULL, 1) == 0 && shmkit_atomic_add(NULL, 1) == 0);
    CHECK(shmkit_atomic_kind(NULL) == 0);
    shmkit_atomic_store(NULL, 1);
    shmkit_atomic_notify_one(NULL);
    shmkit_atomic_notify_all(NULL);
    shmkit_rwlock_wake_writer(NULL);
    CHECK(shmkit_mutex_is_closed(NULL) && shmkit_rwlock_is_closed(NULL) && shmkit_semaphore_is_closed(NULL) &&
          shmkit_condvar_is_closed(NULL) && shmkit_event_is_closed(NULL) && shmkit_barrier_is_closed(NULL) &&
          shmkit_atomic_is_closed(NULL));
    const char *empty[] = {shmkit_mutex_name(NULL), shmkit_rwlock_name(NULL),  shmkit_semaphore_name(NULL),
                           shmkit_condvar_name(NULL), shmkit_event_name(NULL), shmkit_barrier_name(NULL),
                           shmkit_atomic_name(NULL)};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        CHECK(strcmp(empty[i], "") == 0);
    }
    struct all none = {0};
    free_all(&none);
}

static void check_closed(const struct all *all, const shmkit_mutex_t *held) {
#define CLOSED(call) REFUSED(SHMKIT_CLOSED, call)
    uint32_t *word;
    uint64_t *value;
    const uint32_t *me;
    CLOSED(shmkit_mutex_lock(all->mutex, &error));
    CLOSED(shmkit_mutex_try_lock(all->mutex, &error));
    CLOSED(shmkit_mutex_lock_wait(all->mutex, MS, 0, &error));
    CLOSED(shmkit_mutex_unlock(all->mutex, &error));
    CLOSED(shmkit_mutex_make_consistent(all->mutex, &error));
    CLOSED(shmkit_mutex_words(all->mutex, &word, &me, &error));
    CHECK(word == NULL && me == NULL);
    CLOSED(shmkit_rwlock_read_lock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_try_read_lock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_read_unlock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_write_lock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_try_write_lock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_write_unlock(all->rwlock, &error));
    CLOSED(shmkit_rwlock_make_consistent(all->rwlock, &error));
    CLOSED(shmkit_rwlock_words(all->rwlock, &word, &value, &me, &error));
    CHECK(word == NULL && value == NULL && me == NULL);
    const shmkit_semaphore_t *semaphores[] = {all->semaphore, all->tracked};
    for (int i = 0; i < 2; i++) {
        CLOSED(shmkit_semaphore_acquire(semaphores[i], &error));
        CLOSED(shmkit_semaphore_try_acquire(semaphores[i], &error));
        CLOSED(shmkit_semaphore_acquire_wait(semaphores[i], MS, 0, &error));
        CLOSED(shmkit_semaphore_release(semaphores[i], 1, &error));
        CLOSED(shmkit_semaphore_word(semaphores[i], &word, &error));
    }
    CLOSED(shmkit_condvar_wait(all->condvar, held, MS, 0, NULL, &error));
    CLOSED(shmkit_condvar_notify_one(all->condvar, &error));
    CLOSED(shmkit_condvar_notify_all(all->condvar, &error));
    CLOSED(shmkit_condvar_word(all->condvar, &word, &error));
    CLOSED(shmkit_event_set(all->event, &error));
    CLOSED(shmkit_event_reset(all->event, &error));
    CLOSED(shmkit_event_wait(all->event, MS, 0, &error));
    CLOSED(shmkit_event_try_wait(all->event, &error));
    CLOSED(shmkit_event_word(all->event, &word, &error));
    CLOSED(shmkit_barrier_wait(all->barrier, MS, 0, NULL, &error));
    CLOSED(shmkit_barrier_abort(all->barrier, &error));
    CLOSED(shmkit_barrier_reset(all->barrier, &error));
    CLOSED(shmkit_atomic_wait(all->atomic, 5, MS, 0, &error));
    CLOSED(shmkit_atomic_words(all->atomic, &value, &word, &error));
    CHECK(word == NULL && value == NULL && strstr(error.object, ":atomic"));
#undef CLOSED
}

static void a_closed_handle_answers_closed(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region), others = open_all(region);
    shmkit_mutex_t *held;
    EXPECT(SHMKIT_OK, shmkit_mutex_open(region, "held", &held, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(held, &error));
    close_all(&all);
    close_all(&all);
    check_closed(&all, held);
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(held, &error));
    shmkit_mutex_free(held);
    CHECK(strcmp(shmkit_mutex_name(all.mutex), "mutex") == 0 && shmkit_mutex_is_closed(all.mutex));
    CHECK(shmkit_rwlock_is_closed(all.rwlock) && shmkit_semaphore_is_closed(all.semaphore));
    CHECK(shmkit_semaphore_is_closed(all.tracked) && shmkit_condvar_is_closed(all.condvar));
    CHECK(shmkit_event_is_closed(all.event) && shmkit_barrier_is_closed(all.barrier));
    CHECK(shmkit_atomic_is_closed(all.atomic) && !shmkit_atomic_is_closed(others.atomic));
    // Other handles go on, and a closed one does not wait for what is held through them.
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(others.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_lock(others.rwlock, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_mutex_lock(all.mutex, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_rwlock_read_lock(all.rwlock, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_rwlock_write_lock(all.rwlock, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(others.rwlock, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(others.mutex, &error));
    free_all(&all);
    free_all(&others);
    finish(region, name);
}

const struct test handle_tests[] = {
    {"null_handles_are_refused", null_handles_are_refused},
    {"questions_to_null_have_an_answer", questions_to_null_have_an_answer},
    {"a_closed_object_answers_closed", a_closed_handle_answers_closed},
    {NULL, NULL},
};
