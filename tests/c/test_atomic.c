// Atomic integers: their widths, their waits, and what a crowd makes of them.

#include "check.h"

static shmkit_atomic_t *open_atomic(shmkit_region_t *region, const char *name, uint32_t kind, uint64_t initial) {
    shmkit_atomic_t *atomic;
    EXPECT(SHMKIT_OK, shmkit_atomic_open(region, name, kind, initial, &atomic, &error));
    CHECK(atomic != NULL && strcmp(shmkit_atomic_name(atomic), name) == 0 && shmkit_atomic_kind(atomic) == kind);
    return atomic;
}

static void each_kind_has_its_width(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *small = open_atomic(region, "u32", SHMKIT_OBJECT_KIND_ATOMIC_U32, UINT32_MAX);
    CHECK(shmkit_atomic_add(small, 2) == UINT32_MAX && shmkit_atomic_load(small) == 1);
    shmkit_atomic_store(small, 0x500000007);
    CHECK(shmkit_atomic_load(small) == 7 && shmkit_atomic_swap(small, 0x600000008) == 7);
    CHECK(shmkit_atomic_load(small) == 8);
    uint64_t *value;
    uint32_t *signal;
    EXPECT(SHMKIT_OK, shmkit_atomic_words(small, &value, &signal, &error));
    CHECK(*value == 8 && *signal == 0);

    shmkit_atomic_t *large = open_atomic(region, "u64", SHMKIT_OBJECT_KIND_ATOMIC_U64, UINT64_MAX);
    CHECK(shmkit_atomic_add(large, 2) == UINT64_MAX && shmkit_atomic_load(large) == 1);
    shmkit_atomic_t *signed_one = open_atomic(region, "i64", SHMKIT_OBJECT_KIND_ATOMIC_I64, (uint64_t)-3);
    CHECK((int64_t)shmkit_atomic_add(signed_one, (uint64_t)-2) == -3);
    CHECK((int64_t)shmkit_atomic_load(signed_one) == -5);
    CHECK((int64_t)shmkit_atomic_swap(signed_one, (uint64_t)INT64_MIN) == -5);
    CHECK((int64_t)shmkit_atomic_load(signed_one) == INT64_MIN);

    // The first one to open it says what it begins with.
    shmkit_atomic_t *same = open_atomic(region, "u64", SHMKIT_OBJECT_KIND_ATOMIC_U64, 77);
    CHECK(shmkit_atomic_load(same) == 1);
    shmkit_atomic_free(same);
    shmkit_atomic_free(signed_one);
    shmkit_atomic_free(large);
    shmkit_atomic_free(small);
    finish(region, name);
}

static void an_exchange_happens_or_tells_the_value(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    const uint32_t kinds[] = {SHMKIT_OBJECT_KIND_ATOMIC_U32, SHMKIT_OBJECT_KIND_ATOMIC_U64,
                              SHMKIT_OBJECT_KIND_ATOMIC_I64};
    const char *names[] = {"u32", "u64", "i64"};
    for (int i = 0; i < 3; i++) {
        shmkit_atomic_t *atomic = open_atomic(region, names[i], kinds[i], 5);
        uint64_t expected = 4;
        CHECK(!shmkit_atomic_compare_exchange(atomic, &expected, 9) && expected == 5);
        CHECK(shmkit_atomic_compare_exchange(atomic, &expected, 9) && expected == 5);
        CHECK(shmkit_atomic_load(atomic) == 9);
        CHECK(!shmkit_atomic_compare_exchange(atomic, NULL, 1) && shmkit_atomic_load(atomic) == 9);
        shmkit_atomic_free(atomic);
    }
    uint64_t expected = 4;
    CHECK(!shmkit_atomic_compare_exchange(NULL, &expected, 9) && expected == 4);
    finish(region, name);
}

static void answer_each_turn(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *turn = open_atomic(region, "turn", SHMKIT_OBJECT_KIND_ATOMIC_U32, 0);
    for (uint32_t now = 0; now < 200; now += 2) {
        EXPECT(SHMKIT_OK, shmkit_atomic_wait(turn, now, LONG_NS, 0, &error));
        CHECK(shmkit_atomic_add(turn, 1) == now + 1);
        shmkit_atomic_notify_one(turn);
    }
}

static void processes_wait_for_changes(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *turn = open_atomic(region, "turn", SHMKIT_OBJECT_KIND_ATOMIC_U32, 0);
    EXPECT(SHMKIT_OK, shmkit_atomic_wait(turn, 1, 0, 0, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_atomic_wait(turn, 0, 2 * MS, 0, &error));
    CHECK(strcmp(error.operation, "wait for atomic") == 0 && strstr(error.object, ":turn"));
    pid_t child = in_child(answer_each_turn, name);
    for (uint32_t now = 0; now < 200; now += 2) {
        CHECK(shmkit_atomic_add(turn, 1) == now);
        shmkit_atomic_notify_all(turn);
        EXPECT(SHMKIT_OK, shmkit_atomic_wait(turn, now + 1, LONG_NS, 0, &error));
    }
    join(child);
    CHECK(shmkit_atomic_load(turn) == 200);
    shmkit_atomic_free(turn);
    finish(region, name);
}

static void wait_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *atomic = open_atomic(region, "a", SHMKIT_OBJECT_KIND_ATOMIC_U64, 0);
    tell(region, 's');
    EXPECT(SHMKIT_OK, shmkit_atomic_wait(atomic, 0, SHMKIT_FOREVER, 0, &error));
}

static void a_killed_waiter_does_no_harm(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *atomic = open_atomic(region, "a", SHMKIT_OBJECT_KIND_ATOMIC_U64, 0);
    pid_t killed = start(wait_for_ever, region, name);
    pid_t other = start(wait_for_ever, region, name);
    usleep(10 * 1000);
    kill_child(killed);
    shmkit_atomic_store(atomic, 1);
    shmkit_atomic_notify_one(atomic);
    join(other);
    shmkit_atomic_free(atomic);
    finish(region, name);
}

static void *add_one_by_one(void *atomic) {
    for (int turn = 0; turn < 5000; turn++) {
        shmkit_atomic_add(atomic, 1);
    }
    return NULL;
}

static void add_with_threads(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_atomic_t *atomic = open_atomic(region, "a", SHMKIT_OBJECT_KIND_ATOMIC_U32, 0);
    in_threads(add_one_by_one, atomic);
    shmkit_atomic_free(atomic);
    shmkit_region_free(region);
}

static void a_crowd_loses_no_addition(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t child = in_child(add_with_threads, name);
    add_with_threads(name);
    join(child);
    shmkit_atomic_t *atomic = open_atomic(region, "a", SHMKIT_OBJECT_KIND_ATOMIC_U32, 0);
    CHECK(shmkit_atomic_load(atomic) == 2 * THREADS * 5000);
    shmkit_atomic_free(atomic);
    finish(region, name);
}

const struct test atomic_tests[] = {
    {"atomic_has_the_width_of_its_kind", each_kind_has_its_width},
    {"atomic_exchanges_or_tells_the_value", an_exchange_happens_or_tells_the_value},
    {"atomic_can_be_waited_for", processes_wait_for_changes},
    {"atomic_is_not_harmed_by_a_killed_waiter", a_killed_waiter_does_no_harm},
    {"atomic_loses_no_addition", a_crowd_loses_no_addition},
    {NULL, NULL},
};
