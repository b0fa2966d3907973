// What all named objects have in common: names, kinds, arguments, removal, room, and waits that end.

#include "objects.h"

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
    {"objects_outlive_the_handle_of_their_region", objects_outlive_the_handle_of_their_region},
    {"read_only_regions_have_no_objects", read_only_regions_have_no_objects},
    {"objects_are_removed_when_nobody_has_them", objects_are_removed_when_nobody_has_them},
    {"room_for_objects_ends_and_comes_back", room_for_objects_ends_and_comes_back},
    {"every_wait_ends_by_its_limit_and_by_a_signal_if_asked", every_wait_ends_by_its_limit_and_by_a_signal_if_asked},
    {NULL, NULL},
};
