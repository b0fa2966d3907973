// Condition variables: who is woken, and how the mutex comes back.

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

struct queue {
    shmkit_region_t *region;
    shmkit_mutex_t *mutex;
    shmkit_condvar_t *changed;
};

static struct queue open_queue(const char *name) {
    struct queue queue = {open_region(name), NULL, NULL};
    EXPECT(SHMKIT_OK, shmkit_mutex_open(queue.region, "m", &queue.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_condvar_open(queue.region, "c", &queue.changed, &error));
    CHECK(strcmp(shmkit_condvar_name(queue.changed), "c") == 0);
    return queue;
}

static void finish_queue(struct queue *queue, const char *name) {
    shmkit_condvar_free(queue->changed);
    shmkit_mutex_free(queue->mutex);
    finish(queue->region, name);
}

static uint64_t *number(struct queue *queue) {
    return shmkit_region_data(queue->region);
}

static void lock(struct queue *queue) {
    EXPECT(SHMKIT_OK, shmkit_mutex_lock_wait(queue->mutex, LONG_NS, 0, &error));
}

static void unlock(struct queue *queue) {
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(queue->mutex, &error));
}

// Waits, with the mutex held, until the number is `wanted`.
static void wait_until(struct queue *queue, uint64_t wanted) {
    while (*number(queue) != wanted) {
        EXPECT(SHMKIT_OK, shmkit_condvar_wait(queue->changed, queue->mutex, LONG_NS, 0, NULL, &error));
    }
}

enum { ROUNDS = 100 };

static void take_odd_turns(const char *name) {
    struct queue queue = open_queue(name);
    lock(&queue);
    for (uint64_t turn = 1; turn < 2 * ROUNDS; turn += 2) {
        wait_until(&queue, turn);
        ++*number(&queue);
        EXPECT(SHMKIT_OK, shmkit_condvar_notify_one(queue.changed, &error));
    }
    unlock(&queue);
}

static void processes_take_turns(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    pid_t child = in_child(take_odd_turns, name);
    lock(&queue);
    for (uint64_t turn = 0; turn < 2 * ROUNDS; turn += 2) {
        wait_until(&queue, turn);
        ++*number(&queue);
        EXPECT(SHMKIT_OK, shmkit_condvar_notify_all(queue.changed, &error));
    }
    wait_until(&queue, 2 * ROUNDS);
    unlock(&queue);
    join(child);
    finish_queue(&queue, name);
}

static void a_wait_without_the_mutex_is_refused(void) {
    const char *name = fresh_name(), *other_name = fresh_name();
    struct queue queue = open_queue(name), other = open_queue(other_name);
    bool notified = true;
    REFUSED(SHMKIT_NOT_OWNER, shmkit_condvar_wait(queue.changed, queue.mutex, LONG_NS, 0, &notified, &error));
    CHECK(strcmp(error.operation, "wait on condvar") == 0 && strstr(error.object, ":m"));
    lock(&other);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_condvar_wait(queue.changed, other.mutex, LONG_NS, 0, NULL, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(other.mutex, &error)); // as before
    unlock(&other);
    finish_queue(&other, other_name);
    finish_queue(&queue, name);
}

static void who_gives_up_has_the_mutex_again(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    lock(&queue);
    for (int turn = 0; turn < 3; turn++) {
        bool notified = true;
        EXPECT(SHMKIT_TIMEOUT, shmkit_condvar_wait(queue.changed, queue.mutex, turn * 5 * MS, 0, &notified, &error));
        CHECK(!notified && strcmp(error.operation, "wait on condvar") == 0 && strstr(error.object, ":c"));
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(queue.mutex, &error));
        EXPECT(SHMKIT_BUSY, shmkit_mutex_close(queue.mutex, &error));
    }
    unlock(&queue);
    EXPECT(SHMKIT_OK, shmkit_condvar_notify_one(queue.changed, &error)); // nobody is there, and nothing is kept
    lock(&queue);
    EXPECT(SHMKIT_TIMEOUT, shmkit_condvar_wait(queue.changed, queue.mutex, 5 * MS, 0, NULL, &error));
    unlock(&queue);
    finish_queue(&queue, name);
}

// Takes the mutex while the parent waits on the condvar, changes the number, and is killed before it can notify.
static void die_inside(const char *name) {
    struct queue queue = open_queue(name);
    lock(&queue);
    *number(&queue) = 1;
    raise(SIGKILL);
}

static void a_death_inside_ends_the_wait_and_is_told(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    lock(&queue);
    pid_t child = in_child(die_inside, name);
    bool notified = false;
    EXPECT(SHMKIT_OWNER_DIED, shmkit_condvar_wait(queue.changed, queue.mutex, LONG_NS, 0, &notified, &error));
    CHECK(notified && *number(&queue) == 1 && strstr(error.object, ":m"));
    CHECK(waitpid(child, NULL, 0) == child);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_mutex_try_lock(queue.mutex, &error)); // it is held
    // Until the repair, each wait tells it; how the wait itself ended is told beside it.
    EXPECT(SHMKIT_OWNER_DIED, shmkit_condvar_wait(queue.changed, queue.mutex, 5 * MS, 0, &notified, &error));
    CHECK(!notified);
    EXPECT(SHMKIT_OWNER_DIED, shmkit_condvar_wait(queue.changed, queue.mutex, 5 * MS, 0, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_make_consistent(queue.mutex, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_condvar_wait(queue.changed, queue.mutex, 5 * MS, 0, NULL, &error));
    unlock(&queue);
    finish_queue(&queue, name);
}

static uint64_t waiting;

static void *wait_for_one(void *argument) {
    struct queue *queue = argument;
    CHECK(shmkit_mutex_lock(queue->mutex, NULL) == SHMKIT_OK);
    __tsan_acquire(queue);
    waiting++;
    while (*number(queue) == 0) {
        __tsan_release(queue);
        CHECK(shmkit_condvar_wait(queue->changed, queue->mutex, LONG_NS, 0, NULL, NULL) == SHMKIT_OK);
        __tsan_acquire(queue);
    }
    __tsan_release(queue);
    CHECK(shmkit_mutex_unlock(queue->mutex, NULL) == SHMKIT_OK);
    return NULL;
}

static void *notify_all_once(void *argument) {
    struct queue *queue = argument;
    for (bool notified = false; !notified; usleep(500)) {
        CHECK(shmkit_mutex_lock(queue->mutex, NULL) == SHMKIT_OK);
        __tsan_acquire(queue);
        if (waiting == THREADS) {
            *number(queue) = 1;
            CHECK(shmkit_condvar_notify_all(queue->changed, NULL) == SHMKIT_OK);
            notified = true;
        }
        __tsan_release(queue);
        CHECK(shmkit_mutex_unlock(queue->mutex, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void one_notification_of_all_wakes_all(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    waiting = 0;
    pthread_t notifier;
    CHECK(pthread_create(&notifier, NULL, notify_all_once, &queue) == 0);
    in_threads(wait_for_one, &queue);
    CHECK(pthread_join(notifier, NULL) == 0);
    finish_queue(&queue, name);
}

static void wait_for_ever(const char *name) {
    struct queue queue = open_queue(name);
    lock(&queue);
    tell(queue.region, 's');
    wait_until(&queue, UINT64_MAX);
}

static void notify_once(const char *name) {
    struct queue queue = open_queue(name);
    lock(&queue); // so the parent waits by now
    *number(&queue) = 1;
    EXPECT(SHMKIT_OK, shmkit_condvar_notify_one(queue.changed, &error));
    unlock(&queue);
}

static void a_killed_waiter_takes_no_notification_with_it(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    for (int turn = 0; turn < 5; turn++) {
        pid_t waiter = start(wait_for_ever, queue.region, name);
        lock(&queue); // so it waits by now
        kill_child(waiter);
        *number(&queue) = 0;
        pid_t notifier = in_child(notify_once, name);
        wait_until(&queue, 1);
        unlock(&queue);
        join(notifier);
    }
    finish_queue(&queue, name);
}

static void the_word_says_whether_anybody_waits(void) {
    const char *name = fresh_name();
    struct queue queue = open_queue(name);
    uint32_t *word;
    EXPECT(SHMKIT_OK, shmkit_condvar_word(queue.changed, &word, &error));
    CHECK(!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & SHMKIT_WORD_WAITERS));
    pid_t waiter = start(wait_for_ever, queue.region, name);
    lock(&queue); // so it waits by now
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) & SHMKIT_WORD_WAITERS);
    unlock(&queue);
    kill_child(waiter);
    finish_queue(&queue, name);
}

const struct test condvar_tests[] = {
    {"condvar_lets_processes_take_turns", processes_take_turns},
    {"condvar_wakes_all_at_once", one_notification_of_all_wakes_all},
    {"condvar_refuses_a_wait_without_the_mutex", a_wait_without_the_mutex_is_refused},
    {"condvar_gives_the_mutex_to_who_gives_up", who_gives_up_has_the_mutex_again},
    {"condvar_wait_is_ended_by_a_death_inside", a_death_inside_ends_the_wait_and_is_told},
    {"condvar_loses_no_notification_with_a_killed_waiter", a_killed_waiter_takes_no_notification_with_it},
    {"condvar_has_its_word", the_word_says_whether_anybody_waits},
    {NULL, NULL},
};
