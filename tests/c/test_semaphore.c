// Semaphores: permits that anybody may give, and permits that come back from the dead.

#include "check.h"

static shmkit_semaphore_t *open_semaphore(shmkit_region_t *region, const char *name, uint32_t initial, uint32_t max,
                                          uint32_t kind) {
    shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
    options.initial = initial;
    options.max = max;
    options.kind = kind;
    shmkit_semaphore_t *semaphore;
    EXPECT(SHMKIT_OK, shmkit_semaphore_open(region, name, &options, &semaphore, &error));
    CHECK(semaphore != NULL && strcmp(shmkit_semaphore_name(semaphore), name) == 0);
    return semaphore;
}

static shmkit_semaphore_t *open_tracked(shmkit_region_t *region) {
    return open_semaphore(region, "tracked", 3, 0, SHMKIT_SEMAPHORE_KIND_TRACKED);
}

static void a_signalling_one_counts_up_to_its_maximum(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *semaphore = open_semaphore(region, "s", 1, 2, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(semaphore, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_semaphore_try_acquire(semaphore, &error));
    CHECK(strcmp(error.operation, "acquire semaphore") == 0 && strstr(error.object, ":s"));
    EXPECT(SHMKIT_TIMEOUT, shmkit_semaphore_acquire_wait(semaphore, 2 * MS, 0, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_semaphore_acquire_wait(semaphore, 0, 0, &error));
    CHECK(shmkit_semaphore_available(semaphore) == 0);
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_semaphore_release(semaphore, 3, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_semaphore_release(semaphore, UINT32_MAX, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(semaphore, 2, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_semaphore_release(semaphore, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(semaphore, 0, &error));
    CHECK(shmkit_semaphore_available(semaphore) == 2);
    EXPECT(SHMKIT_OK, shmkit_semaphore_try_acquire(semaphore, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(semaphore, SHMKIT_FOREVER, 0, &error));
    // Nobody owns a permit: nothing is in use.
    EXPECT(SHMKIT_OK, shmkit_semaphore_close(semaphore, &error));
    shmkit_semaphore_free(semaphore);

    shmkit_semaphore_t *endless;
    EXPECT(SHMKIT_OK, shmkit_semaphore_open(region, "endless", NULL, &endless, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(endless, SHMKIT_SEMAPHORE_MAX, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_semaphore_release(endless, 1, &error));
    shmkit_semaphore_free(endless);
    finish(region, name);
}

enum { ROUNDS = 200 };

static void answer_each_ping(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *ping = open_semaphore(region, "ping", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    shmkit_semaphore_t *pong = open_semaphore(region, "pong", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    for (int round = 0; round < ROUNDS; round++) {
        EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(ping, LONG_NS, 0, &error));
        EXPECT(SHMKIT_OK, shmkit_semaphore_release(pong, 1, &error));
    }
}

static void a_signalling_one_signals_between_processes(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *ping = open_semaphore(region, "ping", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    shmkit_semaphore_t *pong = open_semaphore(region, "pong", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    pid_t child = in_child(answer_each_ping, name);
    for (int round = 0; round < ROUNDS; round++) {
        EXPECT(SHMKIT_OK, shmkit_semaphore_release(ping, 1, &error));
        EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(pong, LONG_NS, 0, &error));
    }
    join(child);
    CHECK(shmkit_semaphore_available(ping) == 0 && shmkit_semaphore_available(pong) == 0);
    shmkit_semaphore_free(ping);
    shmkit_semaphore_free(pong);
    finish(region, name);
}

static void wait_for_a_permit(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *semaphore = open_semaphore(region, "s", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    tell(region, 's');
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(semaphore, &error));
}

static void a_killed_waiter_takes_no_permit_with_it(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *semaphore = open_semaphore(region, "s", 0, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    for (int turn = 0; turn < 5; turn++) {
        pid_t waiter = start(wait_for_a_permit, region, name);
        usleep(10 * 1000);
        kill_child(waiter);
        EXPECT(SHMKIT_OK, shmkit_semaphore_release(semaphore, 1, &error));
        EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(semaphore, LONG_NS, 0, &error));
    }
    shmkit_semaphore_free(semaphore);
    finish(region, name);
}

static void hold_two_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *tracked = open_tracked(region);
    for (int i = 0; i < 2; i++) {
        EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(tracked, LONG_NS, 0, &error));
    }
    stay(region);
}

static void permits_of_a_tracked_one_come_back_from_the_dead(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *tracked = open_tracked(region);
    EXPECT(SHMKIT_NOT_OWNER, shmkit_semaphore_release(tracked, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(tracked, &error));
    pid_t holder = start(hold_two_for_ever, region, name);
    CHECK(shmkit_semaphore_available(tracked) == 0);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_semaphore_try_acquire(tracked, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_semaphore_acquire_wait(tracked, 30 * MS, 0, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_semaphore_release(tracked, 2, &error)); // one is ours
    EXPECT(SHMKIT_BUSY, shmkit_semaphore_close(tracked, &error));
    kill_child(holder);
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(tracked, LONG_NS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_try_acquire(tracked, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_semaphore_try_acquire(tracked, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(tracked, 3, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_semaphore_release(tracked, 1, &error));
    CHECK(shmkit_semaphore_available(tracked) == 3);
    EXPECT(SHMKIT_OK, shmkit_semaphore_close(tracked, &error));
    shmkit_semaphore_free(tracked);
    finish(region, name);
}

static shmkit_semaphore_t *inherited;

static void child_of_a_holder(const char *name) {
    (void)name;
    EXPECT(SHMKIT_NOT_OWNER, shmkit_semaphore_release(inherited, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(inherited, &error));
    CHECK(shmkit_semaphore_available(inherited) == 1);
    // It ends with the permit.
}

static void a_forked_child_has_permits_of_its_own(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    inherited = open_tracked(region);
    EXPECT(SHMKIT_OK, shmkit_semaphore_acquire(inherited, &error));
    join(in_child(child_of_a_holder, name));
    for (int i = 0; i < 2; i++) {
        EXPECT(SHMKIT_OK, shmkit_semaphore_acquire_wait(inherited, LONG_NS, 0, &error));
    }
    EXPECT(SHMKIT_OK, shmkit_semaphore_release(inherited, 3, &error));
    shmkit_semaphore_free(inherited);
    finish(region, name);
}

static void only_a_signalling_one_has_a_word(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *semaphore = open_semaphore(region, "s", 3, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    uint32_t *word;
    EXPECT(SHMKIT_OK, shmkit_semaphore_word(semaphore, &word, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == 3 * SHMKIT_SEMAPHORE_PERMIT);
    __atomic_fetch_sub(word, SHMKIT_SEMAPHORE_PERMIT, __ATOMIC_SEQ_CST);
    CHECK(shmkit_semaphore_available(semaphore) == 2);
    __atomic_fetch_add(word, SHMKIT_SEMAPHORE_PERMIT, __ATOMIC_SEQ_CST);
    CHECK(shmkit_semaphore_available(semaphore) == 3);
    shmkit_semaphore_t *tracked = open_tracked(region);
    REFUSED(SHMKIT_UNSUPPORTED, shmkit_semaphore_word(tracked, &word, &error));
    CHECK(word == NULL);
    shmkit_semaphore_free(tracked);
    shmkit_semaphore_free(semaphore);
    finish(region, name);
}

static void options_must_make_sense(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *out;
    const size_t size = sizeof(shmkit_semaphore_options_t);
    const shmkit_semaphore_options_t bad[] = {
        {size, 2, 1, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0},
        {size, 0, SHMKIT_SEMAPHORE_MAX + 1u, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0},
        {size, 0, 0, SHMKIT_SEMAPHORE_KIND_TRACKED, 0},
        {size, 1, 2, SHMKIT_SEMAPHORE_KIND_TRACKED, 0},
        {size, 1, 0, 2, 0},
        {size, 1, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 1},
        {size + 1, 1, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0},
        {0, 1, 0, SHMKIT_SEMAPHORE_KIND_SIGNALLING, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_semaphore_open(region, "s", &bad[i], &out, &error));
        CHECK(out == NULL);
    }
    // Older callers know less, newer ones more.
    struct {
        shmkit_semaphore_options_t known;
        uint64_t unknown;
    } newer = {SHMKIT_SEMAPHORE_OPTIONS_INIT, 1};
    newer.known.size = sizeof newer;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_semaphore_open(region, "s", &newer.known, &out, &error));
    newer.unknown = 0;
    newer.known.initial = 4;
    EXPECT(SHMKIT_OK, shmkit_semaphore_open(region, "s", &newer.known, &out, &error));
    shmkit_semaphore_free(out);
    newer.known.size = 16;
    newer.known.kind = 77;
    EXPECT(SHMKIT_OK, shmkit_semaphore_open(region, "s", &newer.known, &out, &error));
    CHECK(shmkit_semaphore_available(out) == 4);
    shmkit_semaphore_free(out);
    finish(region, name);
}

static void *take_and_give(void *semaphore) {
    for (int turn = 0; turn < 2000; turn++) {
        CHECK(shmkit_semaphore_acquire(semaphore, NULL) == SHMKIT_OK);
        CHECK(shmkit_semaphore_release(semaphore, 1, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void crowd_both(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_semaphore_t *both[] = {open_semaphore(region, "s", 2, 2, SHMKIT_SEMAPHORE_KIND_SIGNALLING),
                                  open_tracked(region)};
    for (int i = 0; i < 2; i++) {
        in_threads(take_and_give, both[i]);
        shmkit_semaphore_free(both[i]);
    }
    shmkit_region_free(region);
}

static void a_crowd_loses_no_permit(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t child = in_child(crowd_both, name);
    crowd_both(name);
    join(child);
    shmkit_semaphore_t *signalling = open_semaphore(region, "s", 2, 2, SHMKIT_SEMAPHORE_KIND_SIGNALLING);
    shmkit_semaphore_t *tracked = open_tracked(region);
    CHECK(shmkit_semaphore_available(signalling) == 2 && shmkit_semaphore_available(tracked) == 3);
    shmkit_semaphore_free(signalling);
    shmkit_semaphore_free(tracked);
    finish(region, name);
}

const struct test semaphore_tests[] = {
    {"semaphore_counts_up_to_its_maximum", a_signalling_one_counts_up_to_its_maximum},
    {"semaphore_signals_between_processes", a_signalling_one_signals_between_processes},
    {"semaphore_gives_no_permit_to_a_killed_waiter", a_killed_waiter_takes_no_permit_with_it},
    {"semaphore_takes_permits_back_from_the_dead", permits_of_a_tracked_one_come_back_from_the_dead},
    {"semaphore_of_a_parent_is_not_held_by_its_child", a_forked_child_has_permits_of_its_own},
    {"semaphore_has_a_word_when_it_signals", only_a_signalling_one_has_a_word},
    {"semaphore_options_must_make_sense", options_must_make_sense},
    {"semaphore_loses_no_permit_in_a_crowd", a_crowd_loses_no_permit},
    {NULL, NULL},
};
