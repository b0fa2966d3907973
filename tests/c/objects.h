// One object of each kind, for what the tests ask of all of them.
#ifndef OBJECTS_H
#define OBJECTS_H

#include "check.h"

struct all {
    shmkit_mutex_t *mutex;
    shmkit_rwlock_t *rwlock;
    shmkit_semaphore_t *semaphore, *tracked;
    shmkit_condvar_t *condvar;
    shmkit_event_t *event;
    shmkit_barrier_t *barrier;
    shmkit_atomic_t *atomic;
};

static const char *const names[] = {"mutex", "rwlock", "semaphore", "tracked", "condvar", "event", "barrier", "atomic"};
enum { KINDS = sizeof names / sizeof *names };

// Opens the object of this kind by this name, and says what came of it; a handle is kept in `all`.
static shmkit_status_t open_kind(int kind, const shmkit_region_t *region, const char *name, struct all *all) {
    shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
    options.initial = kind == 3;
    options.kind = kind == 3 ? SHMKIT_SEMAPHORE_KIND_TRACKED : SHMKIT_SEMAPHORE_KIND_SIGNALLING;
    switch (kind) {
    case 0:
        return shmkit_mutex_open(region, name, all ? &all->mutex : NULL, &error);
    case 1:
        return shmkit_rwlock_open(region, name, all ? &all->rwlock : NULL, &error);
    case 2:
        return shmkit_semaphore_open(region, name, &options, all ? &all->semaphore : NULL, &error);
    case 3:
        return shmkit_semaphore_open(region, name, &options, all ? &all->tracked : NULL, &error);
    case 4:
        return shmkit_condvar_open(region, name, all ? &all->condvar : NULL, &error);
    case 5:
        return shmkit_event_open(region, name, SHMKIT_EVENT_RESET_MANUAL, all ? &all->event : NULL, &error);
    case 6:
        return shmkit_barrier_open(region, name, 2, all ? &all->barrier : NULL, &error);
    default:
        return shmkit_atomic_open(region, name, SHMKIT_OBJECT_KIND_ATOMIC_U64, 5, all ? &all->atomic : NULL, &error);
    }
}

static struct all open_all(const shmkit_region_t *region) {
    struct all all = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        EXPECT(SHMKIT_OK, open_kind(kind, region, names[kind], &all));
    }
    return all;
}

static void free_all(struct all *all) {
    shmkit_mutex_free(all->mutex);
    shmkit_rwlock_free(all->rwlock);
    shmkit_semaphore_free(all->semaphore);
    shmkit_semaphore_free(all->tracked);
    shmkit_condvar_free(all->condvar);
    shmkit_event_free(all->event);
    shmkit_barrier_free(all->barrier);
    shmkit_atomic_free(all->atomic);
}

static void close_all(const struct all *all) {
    EXPECT(SHMKIT_OK, shmkit_mutex_close(all->mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_close(all->rwlock, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_close(all->semaphore, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_close(all->tracked, &error));
    EXPECT(SHMKIT_OK, shmkit_condvar_close(all->condvar, &error));
    EXPECT(SHMKIT_OK, shmkit_event_close(all->event, &error));
    EXPECT(SHMKIT_OK, shmkit_barrier_close(all->barrier, &error));
    EXPECT(SHMKIT_OK, shmkit_atomic_close(all->atomic, &error));
}

#endif
