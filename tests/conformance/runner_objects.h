// The runner's operations on named objects.
#ifndef RUNNER_OBJECTS_H
#define RUNNER_OBJECTS_H

#include "runner_handles.h"
#include "runner_heap.h"
#include "runner_pool.h"
#include "runner_value.h"

// One operation on one kind of object.
struct operation {
    const char *op;
    int (*run)(const struct command *command, const struct object *object);
};

static uint64_t timeout_of(const struct command *command) {
    return find(command, "timeout_ms") ? number(command, "timeout_ms", 0, 10) * 1000000 : SHMKIT_FOREVER;
}

// A number of 32 bits; a larger one is the largest.
static uint32_t small(const struct command *command, const char *key, uint32_t otherwise) {
    uint64_t value = number(command, key, otherwise, 10);
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

// Answers a lock that was waited for: it is held, perhaps after an owner's death.
static int answer_lock(shmkit_status_t status) {
    bool owner_died = status == SHMKIT_OWNER_DIED;
    return answer(owner_died ? SHMKIT_OK : status, " owner_died=%d", owner_died);
}

// Answers a lock that was only tried.
static int answer_try(shmkit_status_t status) {
    bool owner_died = status == SHMKIT_OWNER_DIED, refused = status == SHMKIT_WOULD_BLOCK;
    return answer(owner_died || refused ? SHMKIT_OK : status, " locked=%d owner_died=%d", !refused, owner_died);
}

// ---- Locks: the region's guard, a mutex, the write side of a reader–writer lock

// With a limit or without: two functions each, and both are to be tried.
static shmkit_status_t take(const struct object *lock, const struct command *command) {
    uint64_t timeout_ns = timeout_of(command);
    if (timeout_ns == SHMKIT_FOREVER) {
        return lock->region  ? shmkit_region_lock(lock->region, &error)
               : lock->mutex ? shmkit_mutex_lock(lock->mutex, &error)
                             : shmkit_rwlock_write_lock(lock->rwlock, &error);
    }
    return lock->region  ? shmkit_region_lock_wait(lock->region, timeout_ns, 0, &error)
           : lock->mutex ? shmkit_mutex_lock_wait(lock->mutex, timeout_ns, 0, &error)
                         : shmkit_rwlock_write_lock_wait(lock->rwlock, timeout_ns, 0, &error);
}

static shmkit_status_t give_back(const struct object *lock, shmkit_error_t *reason) {
    return lock->region  ? shmkit_region_unlock(lock->region, reason)
           : lock->mutex ? shmkit_mutex_unlock(lock->mutex, reason)
                         : shmkit_rwlock_write_unlock(lock->rwlock, reason);
}

static shmkit_status_t repair(const struct object *lock) {
    return lock->region  ? shmkit_region_make_consistent(lock->region, &error)
           : lock->mutex ? shmkit_mutex_make_consistent(lock->mutex, &error)
                         : shmkit_rwlock_make_consistent(lock->rwlock, &error);
}

static int run_lock(const struct command *command, const struct object *lock) {
    return answer_lock(take(lock, command));
}

static int run_try_lock(const struct command *command, const struct object *lock) {
    (void)command;
    return answer_try(lock->region  ? shmkit_region_try_lock(lock->region, &error)
                      : lock->mutex ? shmkit_mutex_try_lock(lock->mutex, &error)
                                    : shmkit_rwlock_try_write_lock(lock->rwlock, &error));
}

static int run_unlock(const struct command *command, const struct object *lock) {
    (void)command;
    return done(give_back(lock, &error));
}

static int run_make_consistent(const struct command *command, const struct object *lock) {
    (void)command;
    return done(repair(lock));
}

// So many times: the lock, the number at the offset plus one. After a death it goes on.
static int add_under(const struct command *command, const shmkit_region_t *region, const struct object *lock) {
    static const struct command without_limit;
    uint64_t offset = number(command, "offset", 0, 10);
    shmkit_status_t status = SHMKIT_OK;
    for (uint64_t count = number(command, "count", 0, 10); count > 0 && status == SHMKIT_OK; count--) {
        status = take(lock, &without_limit);
        if (status == SHMKIT_OWNER_DIED) {
            status = repair(lock);
        }
        if (status != SHMKIT_OK) {
            break;
        }
        uint64_t sum = 0;
        status = shmkit_region_read_at(region, offset, &sum, sizeof sum, &error);
        sum++;
        if (status == SHMKIT_OK) {
            status = shmkit_region_write_at(region, offset, &sum, sizeof sum, &error);
        }
        shmkit_status_t unlocked = give_back(lock, status == SHMKIT_OK ? &error : NULL);
        status = status == SHMKIT_OK ? unlocked : status;
    }
    return done(status);
}

static int run_add(const struct command *command, const struct object *object) {
    const struct object *mutex = find(command, "mutex") ? object_of(command, "mutex") : object;
    return add_under(command, object->region, mutex);
}

static int run_rw_add(const struct command *command, const struct object *object) {
    return add_under(command, object->region, object_of(command, "rwlock"));
}

static int run_read_lock(const struct command *command, const struct object *object) {
    if (!find(command, "timeout_ms")) {
        return answer_lock(shmkit_rwlock_read_lock(object->rwlock, &error));
    }
    return answer_lock(shmkit_rwlock_read_lock_wait(object->rwlock, timeout_of(command), 0, &error));
}

static int run_try_read_lock(const struct command *command, const struct object *object) {
    (void)command;
    return answer_try(shmkit_rwlock_try_read_lock(object->rwlock, &error));
}

static int run_read_unlock(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_rwlock_read_unlock(object->rwlock, &error));
}

// ---- Semaphores

static int run_acquire(const struct command *command, const struct object *object) {
    if (!find(command, "timeout_ms")) {
        return done(shmkit_semaphore_acquire(object->semaphore, &error));
    }
    return done(shmkit_semaphore_acquire_wait(object->semaphore, timeout_of(command), 0, &error));
}

static int run_try_acquire(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_status_t status = shmkit_semaphore_try_acquire(object->semaphore, &error);
    bool refused = status == SHMKIT_WOULD_BLOCK;
    return answer(refused ? SHMKIT_OK : status, " acquired=%d", !refused);
}

static int run_release(const struct command *command, const struct object *object) {
    return done(shmkit_semaphore_release(object->semaphore, small(command, "count", 1), &error));
}

static int run_available(const struct command *command, const struct object *object) {
    (void)command;
    return answer(SHMKIT_OK, " count=%u", (unsigned)shmkit_semaphore_available(object->semaphore));
}

// ---- Condition variables

static int run_cond_wait(const struct command *command, const struct object *object) {
    bool notified = false;
    shmkit_status_t status = shmkit_condvar_wait(object->condvar, object_of(command, "mutex")->mutex,
                                                 timeout_of(command), 0, &notified, &error);
    bool owner_died = status == SHMKIT_OWNER_DIED, held = owner_died || status == SHMKIT_TIMEOUT;
    return answer(held ? SHMKIT_OK : status, " notified=%d owner_died=%d", notified, owner_died);
}

static int run_notify_one(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_condvar_notify_one(object->condvar, &error));
}

static int run_notify_all(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_condvar_notify_all(object->condvar, &error));
}

// ---- Events

static int run_event_set(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_event_set(object->event, &error));
}

static int run_event_reset(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_event_reset(object->event, &error));
}

static int run_event_wait(const struct command *command, const struct object *object) {
    return done(shmkit_event_wait(object->event, timeout_of(command), 0, &error));
}

static int run_event_is_set(const struct command *command, const struct object *object) {
    (void)command;
    return answer(SHMKIT_OK, " set=%d", shmkit_event_is_set(object->event));
}

// ---- Barriers

static int run_barrier_wait(const struct command *command, const struct object *object) {
    bool leader = false;
    shmkit_status_t status = shmkit_barrier_wait(object->barrier, timeout_of(command), 0, &leader, &error);
    return answer(status, " leader=%d", leader);
}

static int run_barrier_reset(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_barrier_reset(object->barrier, &error));
}

static int run_barrier_abort(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_barrier_abort(object->barrier, &error));
}

static int run_barrier_info(const struct command *command, const struct object *object) {
    (void)command;
    const shmkit_barrier_t *barrier = object->barrier;
    return answer(SHMKIT_OK, " broken=%d waiting=%u parties=%u", shmkit_barrier_is_broken(barrier),
                  (unsigned)shmkit_barrier_waiting(barrier), (unsigned)shmkit_barrier_parties(barrier));
}

// ---- Atomics

// Numbers below zero become what they are in 64 bits.
static uint64_t value_of(const struct command *command, const char *key) {
    return number(command, key, 0, 10);
}

static int answer_value(const struct object *object, const char *key, uint64_t value, const char *more) {
    if (shmkit_atomic_kind(object->atomic) == SHMKIT_OBJECT_KIND_ATOMIC_I64) {
        return answer(SHMKIT_OK, " %s=%lld%s", key, (long long)value, more);
    }
    return answer(SHMKIT_OK, " %s=%llu%s", key, (unsigned long long)value, more);
}

static int run_atomic_load(const struct command *command, const struct object *object) {
    (void)command;
    return answer_value(object, "value", shmkit_atomic_load(object->atomic), "");
}

static int run_atomic_store(const struct command *command, const struct object *object) {
    shmkit_atomic_store(object->atomic, value_of(command, "value"));
    return done(SHMKIT_OK);
}

static int run_atomic_add(const struct command *command, const struct object *object) {
    return answer_value(object, "old", shmkit_atomic_add(object->atomic, value_of(command, "value")), "");
}

static int run_atomic_cas(const struct command *command, const struct object *object) {
    uint64_t old = value_of(command, "current");
    bool swapped = shmkit_atomic_compare_exchange(object->atomic, &old, value_of(command, "new"));
    return answer_value(object, "old", old, swapped ? " swapped=1" : " swapped=0");
}

static int run_atomic_wait(const struct command *command, const struct object *object) {
    return done(shmkit_atomic_wait(object->atomic, value_of(command, "value"), timeout_of(command), 0, &error));
}

static int run_atomic_notify(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_atomic_notify_all(object->atomic);
    return done(SHMKIT_OK);
}

static int run_atomic_add_many(const struct command *command, const struct object *object) {
    for (uint64_t count = number(command, "count", 0, 10); count > 0; count--) {
        shmkit_atomic_add(object->atomic, 1);
    }
    return done(SHMKIT_OK);
}

// ---- Opening

// Opens the object that the command names in the region; what was made is in `object`.
static shmkit_status_t open_in(const struct command *command, const shmkit_region_t *region, struct object *object) {
    static const char *const types[] = {"u32", "u64", "i64", NULL};
    const char *op = command->op, *name = text_of(command, "name", NULL);
    if (strcmp(op, "mutex_open") == 0) {
        return shmkit_mutex_open(region, name, &object->mutex, &error);
    }
    if (strcmp(op, "rwlock_open") == 0) {
        return shmkit_rwlock_open(region, name, &object->rwlock, &error);
    }
    if (strcmp(op, "semaphore_open") == 0) {
        shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
        options.initial = small(command, "initial", 0);
        options.max = small(command, "max", 0);
        options.kind = flag(command, "tracked") ? SHMKIT_SEMAPHORE_KIND_TRACKED : SHMKIT_SEMAPHORE_KIND_SIGNALLING;
        return shmkit_semaphore_open(region, name, &options, &object->semaphore, &error);
    }
    if (strcmp(op, "condvar_open") == 0) {
        return shmkit_condvar_open(region, name, &object->condvar, &error);
    }
    if (strcmp(op, "event_open") == 0) {
        uint32_t reset = flag(command, "automatic") ? SHMKIT_EVENT_RESET_AUTOMATIC : SHMKIT_EVENT_RESET_MANUAL;
        return shmkit_event_open(region, name, reset, &object->event, &error);
    }
    if (strcmp(op, "barrier_open") == 0) {
        return shmkit_barrier_open(region, name, small(command, "parties", 0), &object->barrier, &error);
    }
    if (strcmp(op, "heap_open") == 0) {
        return open_heap(command, region, name, &object->heap);
    }
    if (strcmp(op, "pool_open") == 0) {
        return open_pool(command, region, name, &object->pool);
    }
    if (strcmp(op, "value_open") == 0) {
        return open_value(command, region, name, object);
    }
    // The kinds of atomics follow each other; what is no type is no kind either.
    uint32_t kind = SHMKIT_OBJECT_KIND_ATOMIC_U32 + (uint32_t)index_of(text_of(command, "type", ""), types);
    return shmkit_atomic_open(region, name, kind, value_of(command, "initial"), &object->atomic, &error);
}

static int open_object(const struct command *command, const struct object *region) {
    const char *handle = text_of(command, "o", NULL);
    struct object object = {0};
    shmkit_status_t status = open_in(command, region->region, &object);
    struct object **slot = handle ? object_slot(handle) : NULL;
    if (status != SHMKIT_OK) {
        return done(status);
    }
    if (!slot) {
        free_handles(&object);
        return fail("no place for a handle");
    }
    if (*slot) {
        release(slot);
    }
    object.name = strdup(handle);
    *slot = malloc(sizeof **slot);
    **slot = object;
    return done(SHMKIT_OK);
}

static int remove_object(const struct command *command, const struct object *object) {
    return done(shmkit_region_remove_object(object->region, text_of(command, "name", NULL), &error));
}

// ---- Which kind understands which operation

static const struct operation of_regions[] = {
    {"mutex_open", open_object},     {"rwlock_open", open_object},      {"semaphore_open", open_object},
    {"condvar_open", open_object},   {"event_open", open_object},       {"barrier_open", open_object},
    {"atomic_open", open_object},    {"heap_open", open_object},        {"pool_open", open_object},
    {"value_open", open_object},     {"object_remove", remove_object},  {"object_find", find_object},
    {"object_list", list_objects},   {"region_mode", change_mode},      {"lock", run_lock},
    {"try_lock", run_try_lock},      {"unlock", run_unlock},            {"make_consistent", run_make_consistent},
    {"add", run_add},                {"rw_add", run_rw_add},            {NULL, NULL},
};
static const struct operation of_mutexes[] = {
    {"lock", run_lock},
    {"try_lock", run_try_lock},
    {"unlock", run_unlock},
    {"make_consistent", run_make_consistent},
    {NULL, NULL},
};
static const struct operation of_rwlocks[] = {
    {"read_lock", run_read_lock},     {"try_read_lock", run_try_read_lock}, {"read_unlock", run_read_unlock},
    {"write_lock", run_lock},         {"try_write_lock", run_try_lock},     {"write_unlock", run_unlock},
    {"make_consistent", run_make_consistent}, {NULL, NULL},
};
static const struct operation of_semaphores[] = {
    {"acquire", run_acquire},
    {"try_acquire", run_try_acquire},
    {"release", run_release},
    {"available", run_available},
    {NULL, NULL},
};
static const struct operation of_condvars[] = {
    {"cond_wait", run_cond_wait},
    {"notify_one", run_notify_one},
    {"notify_all", run_notify_all},
    {NULL, NULL},
};
static const struct operation of_events[] = {
    {"event_set", run_event_set},
    {"event_reset", run_event_reset},
    {"event_wait", run_event_wait},
    {"event_is_set", run_event_is_set},
    {NULL, NULL},
};
static const struct operation of_barriers[] = {
    {"barrier_wait", run_barrier_wait},
    {"barrier_reset", run_barrier_reset},
    {"barrier_abort", run_barrier_abort},
    {"barrier_info", run_barrier_info},
    {NULL, NULL},
};
static const struct operation of_atomics[] = {
    {"atomic_load", run_atomic_load},     {"atomic_store", run_atomic_store},       {"atomic_add", run_atomic_add},
    {"atomic_cas", run_atomic_cas},       {"atomic_wait", run_atomic_wait},         {"atomic_notify", run_atomic_notify},
    {"atomic_add_many", run_atomic_add_many}, {NULL, NULL},
};
static const struct operation of_heaps[] = {
    {"heap_allocate", run_heap_allocate}, {"heap_free", run_heap_free},       {"heap_usable", run_heap_usable},
    {"heap_resize", run_heap_resize},     {"heap_publish", run_heap_publish}, {"heap_adopt", run_heap_adopt},
    {"heap_read", run_heap_read},         {"heap_write", run_heap_write},     {"heap_check", run_heap_check},
    {"heap_reclaim", run_heap_reclaim},   {"heap_info", run_heap_info},       {"heap_play", run_heap_play},
    {NULL, NULL},
};
static const struct operation of_pools[] = {
    {"pool_allocate", run_pool_allocate}, {"pool_try_allocate", run_pool_try_allocate}, {"pool_write", run_pool_write},
    {"pool_read", run_pool_read},         {"pool_free", run_pool_free},                 {"pool_publish", run_pool_publish},
    {"pool_adopt", run_pool_adopt},       {"pool_recover", run_pool_recover},           {"pool_info", run_pool_info},
    {"pool_blocks", run_pool_blocks},     {"pool_play", run_pool_play},                 {NULL, NULL},
};
static const struct operation of_values[] = {
    {"value_load", run_value_load},     {"value_store", run_value_store}, {"value_count", run_value_count},
    {"value_format", run_value_format}, {NULL, NULL},
};
static const struct operation of_mappings[] = {{NULL, NULL}};

static const struct operation *operations_of(const struct object *object) {
    return object->region      ? of_regions
           : object->mapping   ? of_mappings
           : object->mutex     ? of_mutexes
           : object->rwlock    ? of_rwlocks
           : object->semaphore ? of_semaphores
           : object->condvar   ? of_condvars
           : object->event     ? of_events
           : object->barrier   ? of_barriers
           : object->heap      ? of_heaps
           : object->pool      ? of_pools
           : object->value     ? of_values
                               : of_atomics;
}

static int operate(const struct command *command, const struct object *object) {
    const struct operation *operation = operations_of(object);
    while (operation->op && strcmp(operation->op, command->op) != 0) {
        operation++;
    }
    return operation->op ? operation->run(command, object) : fail("unknown operation %s", command->op);
}

#endif
