// What the driver has named: handles of every kind, in one table.
#ifndef RUNNER_HANDLES_H
#define RUNNER_HANDLES_H

#include "runner_protocol.h"

enum { MAX_NAMED = 4096 };

// A handle under the name that the driver gave it; all but one of the pointers are NULL.
struct object {
    char *name;
    shmkit_region_t *region;
    shmkit_mapping_t *mapping;
    shmkit_mutex_t *mutex;
    shmkit_rwlock_t *rwlock;
    shmkit_semaphore_t *semaphore;
    shmkit_condvar_t *condvar;
    shmkit_event_t *event;
    shmkit_barrier_t *barrier;
    shmkit_atomic_t *atomic;
    shmkit_heap_t *heap;
    shmkit_pool_t *pool;
    shmkit_value_t *value;
    size_t value_type;
};

static struct object *objects[MAX_NAMED];

// Where the handle of this name is, or else where one can go; NULL when the table is full.
static struct object **object_slot(const char *name) {
    struct object **free_slot = NULL;
    for (size_t i = 0; i < MAX_NAMED; i++) {
        if (objects[i] && strcmp(objects[i]->name, name) == 0) {
            return &objects[i];
        }
        if (!objects[i] && !free_slot) {
            free_slot = &objects[i];
        }
    }
    return free_slot;
}

// The handle that this argument names. One that is all NULL stands for none, and the library refuses it.
static const struct object *object_of(const struct command *command, const char *key) {
    static const struct object none;
    struct object **slot = object_slot(text_of(command, key, ""));
    return slot && *slot ? *slot : &none;
}

static void free_handles(struct object *object) {
    shmkit_region_free(object->region);
    shmkit_mapping_free(object->mapping);
    shmkit_mutex_free(object->mutex);
    shmkit_rwlock_free(object->rwlock);
    shmkit_semaphore_free(object->semaphore);
    shmkit_condvar_free(object->condvar);
    shmkit_event_free(object->event);
    shmkit_barrier_free(object->barrier);
    shmkit_atomic_free(object->atomic);
    shmkit_heap_free(object->heap);
    shmkit_pool_free(object->pool);
    shmkit_value_free(object->value);
}

static void release(struct object **slot) {
    struct object *object = *slot;
    *slot = NULL;
    free_handles(object);
    free(object->name);
    free(object);
}

static shmkit_status_t close_object(const struct object *object) {
    return object->region      ? shmkit_region_close(object->region, &error)
           : object->mapping   ? shmkit_mapping_close(object->mapping, &error)
           : object->mutex     ? shmkit_mutex_close(object->mutex, &error)
           : object->rwlock    ? shmkit_rwlock_close(object->rwlock, &error)
           : object->semaphore ? shmkit_semaphore_close(object->semaphore, &error)
           : object->condvar   ? shmkit_condvar_close(object->condvar, &error)
           : object->event     ? shmkit_event_close(object->event, &error)
           : object->barrier   ? shmkit_barrier_close(object->barrier, &error)
           : object->heap      ? shmkit_heap_close(object->heap, &error)
           : object->pool      ? shmkit_pool_close(object->pool, &error)
           : object->value     ? shmkit_value_close(object->value, &error)
                               : shmkit_atomic_close(object->atomic, &error);
}

#endif
