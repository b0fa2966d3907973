// What all named objects have in common: names, kinds, arguments, closing, removal, and waits that end.

#include "check.h"

#include <signal.h>

// One object of each kind.
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

static bool is_empty(const struct all *all) {
    static const struct all empty;
    return memcmp(all, &empty, sizeof empty) == 0;
}

static void a_name_belongs_to_one_kind(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region);
    for (int made = 0; made < KINDS; made++) {
        for (int asked = 0; asked < KINDS; asked++) {
            struct all out = {0};
            if (asked != made) {
                REFUSED(SHMKIT_WRONG_KIND, open_kind(asked, region, names[made], &out));
                CHECK(strstr(error.object, name) && strstr(error.object, names[made]) && is_empty(&out));
            }
        }
    }
    shmkit_atomic_t *narrow;
    REFUSED(SHMKIT_WRONG_KIND, shmkit_atomic_open(region, "atomic", SHMKIT_OBJECT_KIND_ATOMIC_U32, 5, &narrow, &error));
    CHECK(narrow == NULL);
    free_all(&all);
    finish(region, name);
}

static void parameters_must_be_the_same(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region), out = {0};
    shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
    options.initial = 1;
    REFUSED(SHMKIT_PARAMETER_MISMATCH, shmkit_semaphore_open(region, "semaphore", &options, &out.semaphore, &error));
    CHECK(strcmp(error.operation, "open semaphore") == 0);
    options.kind = SHMKIT_SEMAPHORE_KIND_TRACKED;
    options.initial = 2;
    REFUSED(SHMKIT_PARAMETER_MISMATCH, shmkit_semaphore_open(region, "tracked", &options, &out.semaphore, &error));
    REFUSED(SHMKIT_PARAMETER_MISMATCH,
            shmkit_event_open(region, "event", SHMKIT_EVENT_RESET_AUTOMATIC, &out.event, &error));
    REFUSED(SHMKIT_PARAMETER_MISMATCH, shmkit_barrier_open(region, "barrier", 3, &out.barrier, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_barrier_open(region, "new", 0, &out.barrier, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_event_open(region, "new", 2, &out.event, &error));
    const uint32_t no_atomics[] = {0, 1, SHMKIT_OBJECT_KIND_MUTEX, SHMKIT_OBJECT_KIND_ATOMIC_I64 + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof no_atomics / sizeof *no_atomics; i++) {
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_atomic_open(region, "new", no_atomics[i], 0, &out.atomic, &error));
    }
    CHECK(is_empty(&out));
    free_all(&all);
    finish(region, name);
}

static void bad_names_and_null_are_refused(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    char longest[SHMKIT_MAX_NAME_LEN + 2];
    memset(longest, 'x', sizeof longest);
    longest[SHMKIT_MAX_NAME_LEN + 1] = '\0';
    const char *bad[] = {"", "a/b", "a b", "a\nb", "\xc3\xa4", "\xff\xfe", "a:b", longest};
    for (int kind = 0; kind < KINDS; kind++) {
        struct all out = {0};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            REFUSED(SHMKIT_INVALID_NAME, open_kind(kind, region, bad[i], &out));
        }
        REFUSED(SHMKIT_INVALID_ARGUMENT, open_kind(kind, NULL, "new", &out));
        REFUSED(SHMKIT_INVALID_ARGUMENT, open_kind(kind, region, NULL, &out));
        REFUSED(SHMKIT_INVALID_ARGUMENT, open_kind(kind, region, "new", NULL));
        CHECK(is_empty(&out));
    }
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_remove_object(NULL, "new", &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_region_remove_object(region, NULL, &error));
    REFUSED(SHMKIT_NOT_FOUND, shmkit_region_remove_object(region, "new", &error));
    // The longest that is allowed.
    longest[SHMKIT_MAX_NAME_LEN] = '\0';
    struct all out = {0};
    EXPECT(SHMKIT_OK, open_kind(0, region, longest, &out));
    CHECK(strcmp(shmkit_mutex_name(out.mutex), longest) == 0);
    EXPECT(SHMKIT_NOT_OWNER, shmkit_mutex_unlock(out.mutex, &error));
    free_all(&out);
    finish(region, name);
}

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

static void objects_outlive_the_handle_of_their_region(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region), out = {0};
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    EXPECT(SHMKIT_CLOSED, open_kind(0, region, "mutex", &out));
    EXPECT(SHMKIT_CLOSED, shmkit_region_remove_object(region, "mutex", &error));
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(all.mutex, &error));
    EXPECT(SHMKIT_BUSY, shmkit_mutex_close(all.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(all.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_event_set(all.event, &error));
    CHECK(shmkit_atomic_add(all.atomic, 1) == 5);
    // The same memory when the region is opened again.
    region = open_region(name);
    struct all again = open_all(region);
    CHECK(shmkit_event_is_set(again.event) && shmkit_atomic_load(again.atomic) == 6);
    free_all(&again);
    shmkit_region_free(region);
    close_all(&all);
    CHECK(shmkit_atomic_load(all.atomic) == 0); // zeros, not a fault and not somebody else's bytes
    CHECK(!shmkit_event_is_set(all.event) && shmkit_barrier_waiting(all.barrier) == 0);
    free_all(&all);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static void read_only_regions_have_no_objects(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name), *reader;
    struct all all = open_all(region), out = {0};
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_READ_ONLY;
    EXPECT(SHMKIT_OK, shmkit_region_open(name, &options, &reader, &error));
    for (int kind = 0; kind < KINDS; kind++) {
        REFUSED(SHMKIT_READ_ONLY, open_kind(kind, reader, names[kind], &out));
    }
    REFUSED(SHMKIT_READ_ONLY, shmkit_region_remove_object(reader, "mutex", &error));
    CHECK(is_empty(&out));
    shmkit_region_free(reader);
    free_all(&all);
    finish(region, name);
}

static void open_all_and_stay(const char *name) {
    shmkit_region_t *region = open_region(name);
    open_all(region);
    stay(region);
}

static void objects_are_removed_when_nobody_has_them(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct all all = open_all(region);
    for (int kind = 0; kind < KINDS; kind++) {
        REFUSED(SHMKIT_BUSY, shmkit_region_remove_object(region, names[kind], &error));
        CHECK(strcmp(error.operation, "remove object") == 0 && strstr(error.object, names[kind]));
    }
    pid_t child = start(open_all_and_stay, region, name);
    free_all(&all);
    for (int kind = 0; kind < KINDS; kind++) {
        EXPECT(SHMKIT_BUSY, shmkit_region_remove_object(region, names[kind], &error));
    }
    kill_child(child);
    for (int kind = 0; kind < KINDS; kind++) {
        EXPECT(SHMKIT_OK, shmkit_region_remove_object(region, names[kind], &error));
        EXPECT(SHMKIT_NOT_FOUND, shmkit_region_remove_object(region, names[kind], &error));
    }
    // A name is free for any kind again.
    struct all out = {0};
    EXPECT(SHMKIT_OK, open_kind(7, region, "mutex", &out));
    CHECK(shmkit_atomic_load(out.atomic) == 5);
    free_all(&out);
    finish(region, name);
}

// Creates mutexes until there is no room, and says how many there were.
static int fill(const shmkit_region_t *region) {
    static shmkit_mutex_t *mutexes[1000];
    int count = 0;
    shmkit_status_t status;
    for (;;) {
        char name[16];
        snprintf(name, sizeof name, "m%d", count);
        clear_error();
        status = shmkit_mutex_open(region, name, &mutexes[count], &error);
        if (status != SHMKIT_OK) {
            break;
        }
        count++;
    }
    CHECK(status == SHMKIT_NO_SPACE && mutexes[count] == NULL);
    for (int i = 0; i < count; i++) {
        shmkit_mutex_free(mutexes[i]);
    }
    return count;
}

static void room_for_objects_ends_and_comes_back(void) {
    const char *name = fresh_name(), *bare_name = fresh_name();
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.arena_len = 8192;
    options.attachments = 4;
    shmkit_region_t *region, *bare;
    EXPECT(SHMKIT_OK, shmkit_region_create(name, 64, &options, &region, &error));
    int count = fill(region);
    CHECK(count > 10);
    for (int i = 0; i < count; i++) {
        char mutex[16];
        snprintf(mutex, sizeof mutex, "m%d", i);
        EXPECT(SHMKIT_OK, shmkit_region_remove_object(region, mutex, &error));
    }
    CHECK(fill(region) == count);
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));

    options.flags = SHMKIT_REGION_NO_ARENA;
    options.arena_len = 0;
    EXPECT(SHMKIT_OK, shmkit_region_create(bare_name, 64, &options, &bare, &error));
    struct all out = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        REFUSED(SHMKIT_NO_SPACE, open_kind(kind, bare, names[kind], &out));
    }
    finish(bare, bare_name);
}

// ---- Waits

static struct all waited_for;

static shmkit_status_t wait_for_kind(int wait, uint64_t timeout_ns, uint32_t flags) {
    const struct all *all = &waited_for;
    switch (wait) {
    case 0:
        return shmkit_mutex_lock_wait(all->mutex, timeout_ns, flags, &error);
    case 1:
        return shmkit_rwlock_read_lock_wait(all->rwlock, timeout_ns, flags, &error);
    case 2:
        return shmkit_semaphore_acquire_wait(all->semaphore, timeout_ns, flags, &error);
    case 3:
        return shmkit_semaphore_acquire_wait(all->tracked, timeout_ns, flags, &error);
    case 4:
        return shmkit_condvar_wait(all->condvar, all->mutex, timeout_ns, flags, NULL, &error);
    case 5:
        return shmkit_event_wait(all->event, timeout_ns, flags, &error);
    case 6:
        return shmkit_barrier_wait(all->barrier, timeout_ns, flags, NULL, &error);
    case 7:
        return shmkit_atomic_wait(all->atomic, 5, timeout_ns, flags, &error);
    default:
        return shmkit_rwlock_write_lock_wait(all->rwlock, timeout_ns, flags, &error);
    }
}

enum { WAITS = KINDS + 1 };

static void every_wait_ends_by_its_limit_and_by_a_signal_if_asked(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    waited_for = open_all(region);
    EXPECT(SHMKIT_OK, shmkit_mutex_lock(waited_for.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_lock(waited_for.rwlock, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(waited_for.tracked, &error));
    for (int wait = 0; wait < WAITS; wait++) {
        REFUSED(SHMKIT_INVALID_ARGUMENT, wait_for_kind(wait, LONG_NS, 1 << 5));
        EXPECT(SHMKIT_TIMEOUT, wait_for_kind(wait, 0, 0));
        EXPECT(SHMKIT_TIMEOUT, wait_for_kind(wait, 3 * MS, SHMKIT_WAIT_INTERRUPTIBLE));
    }
    start_signals();
    for (int wait = 0; wait < WAITS; wait++) {
        EXPECT(SHMKIT_TIMEOUT, wait_for_kind(wait, 30 * MS, 0));
        EXPECT(SHMKIT_INTERRUPTED, wait_for_kind(wait, LONG_NS, SHMKIT_WAIT_INTERRUPTIBLE));
    }
    stop_signals();
    EXPECT(SHMKIT_OK, shmkit_mutex_unlock(waited_for.mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_rwlock_write_unlock(waited_for.rwlock, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(waited_for.tracked, 1, &error));
    free_all(&waited_for);
    finish(region, name);
}

const struct test object_tests[] = {
    {"a_name_belongs_to_one_kind", a_name_belongs_to_one_kind},
    {"parameters_must_be_the_same", parameters_must_be_the_same},
    {"bad_names_and_null_are_refused", bad_names_and_null_are_refused},
    {"null_handles_are_refused", null_handles_are_refused},
    {"questions_to_null_have_an_answer", questions_to_null_have_an_answer},
    {"a_closed_object_answers_closed", a_closed_handle_answers_closed},
    {"objects_outlive_the_handle_of_their_region", objects_outlive_the_handle_of_their_region},
    {"read_only_regions_have_no_objects", read_only_regions_have_no_objects},
    {"objects_are_removed_when_nobody_has_them", objects_are_removed_when_nobody_has_them},
    {"room_for_objects_ends_and_comes_back", room_for_objects_ends_and_comes_back},
    {"every_wait_ends_by_its_limit_and_by_a_signal_if_asked", every_wait_ends_by_its_limit_and_by_a_signal_if_asked},
    {NULL, NULL},
};
