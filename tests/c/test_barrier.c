// Barriers: all arrive, or the death of one is reported.

#include "check.h"

static shmkit_barrier_t *open_barrier(shmkit_region_t *region, uint32_t parties) {
    shmkit_barrier_t *barrier;
    EXPECT(SHMKIT_OK, shmkit_barrier_open(region, "b", parties, &barrier, &error));
    CHECK(barrier != NULL && strcmp(shmkit_barrier_name(barrier), "b") == 0);
    CHECK(shmkit_barrier_parties(barrier) == parties);
    return barrier;
}

static int leaders;

static void *pass_often(void *barrier) {
    for (int round = 0; round < 50; round++) {
        bool leader = false;
        CHECK(shmkit_barrier_wait(barrier, LONG_NS, 0, &leader, NULL) == SHMKIT_OK);
        __atomic_fetch_add(&leaders, leader, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void each_round_has_one_leader(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, THREADS);
    leaders = 0;
    in_threads(pass_often, barrier);
    CHECK(leaders == 50 && shmkit_barrier_waiting(barrier) == 0 && !shmkit_barrier_is_broken(barrier));
    shmkit_barrier_free(barrier);
    finish(region, name);
}

static void pass_a_hundred_times(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 2);
    uint64_t *turn = shmkit_region_data(region);
    for (uint64_t round = 1; round <= 100; round++) {
        bool leader;
        EXPECT(SHMKIT_OK, shmkit_barrier_wait(barrier, LONG_NS, 0, &leader, &error));
        if (leader) {
            __atomic_fetch_add(turn, 1, __ATOMIC_SEQ_CST);
        }
        EXPECT(SHMKIT_OK, shmkit_barrier_wait(barrier, SHMKIT_FOREVER, 0, NULL, &error));
        CHECK(__atomic_load_n(turn, __ATOMIC_SEQ_CST) == round);
    }
    EXPECT(SHMKIT_OK, shmkit_barrier_close(barrier, &error));
    shmkit_barrier_free(barrier);
    shmkit_region_free(region);
}

static void processes_pass_together(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    pid_t child = in_child(pass_a_hundred_times, name);
    pass_a_hundred_times(name);
    join(child);
    finish(region, name);
}

static void who_gives_up_has_not_arrived(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 2);
    bool leader = false;
    EXPECT(SHMKIT_TIMEOUT, shmkit_barrier_wait(barrier, 2 * MS, 0, &leader, &error));
    CHECK(!leader && strcmp(error.operation, "wait at barrier") == 0 && strstr(error.object, ":b"));
    EXPECT(SHMKIT_TIMEOUT, shmkit_barrier_wait(barrier, 0, 0, NULL, &error));
    CHECK(shmkit_barrier_waiting(barrier) == 0 && !shmkit_barrier_is_broken(barrier));
    shmkit_barrier_free(barrier);
    finish(region, name);
}

static void a_broken_one_is_broken_until_reset(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 1);
    EXPECT(SHMKIT_OK, shmkit_barrier_wait(barrier, SHMKIT_FOREVER, 0, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_barrier_abort(barrier, &error));
    CHECK(shmkit_barrier_is_broken(barrier));
    bool leader = false;
    EXPECT(SHMKIT_BROKEN, shmkit_barrier_wait(barrier, SHMKIT_FOREVER, 0, &leader, &error));
    EXPECT(SHMKIT_BROKEN, shmkit_barrier_wait(barrier, 0, 0, NULL, &error));
    CHECK(!leader);
    EXPECT(SHMKIT_OK, shmkit_barrier_reset(barrier, &error));
    CHECK(!shmkit_barrier_is_broken(barrier));
    EXPECT(SHMKIT_OK, shmkit_barrier_wait(barrier, SHMKIT_FOREVER, 0, &leader, &error));
    CHECK(leader);
    shmkit_barrier_free(barrier);
    finish(region, name);
}

static void take_part_and_stay_away(const char *name) {
    shmkit_region_t *region = open_region(name);
    open_barrier(region, 3);
    stay(region);
}

static void take_part_and_wait(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 3);
    tell(region, 's');
    shmkit_barrier_wait(barrier, SHMKIT_FOREVER, 0, NULL, NULL);
}

static void a_participant_that_was_killed_breaks_it(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 3);
    pid_t child = start(take_part_and_stay_away, region, name);
    EXPECT(SHMKIT_TIMEOUT, shmkit_barrier_wait(barrier, 30 * MS, 0, NULL, &error)); // it lives
    kill_child(child);
    EXPECT(SHMKIT_BROKEN, shmkit_barrier_wait(barrier, LONG_NS, 0, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_barrier_reset(barrier, &error));

    child = start(take_part_and_wait, region, name);
    while (shmkit_barrier_waiting(barrier) != 1) {
        usleep(500);
    }
    kill_child(child);
    EXPECT(SHMKIT_BROKEN, shmkit_barrier_wait(barrier, LONG_NS, 0, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_barrier_reset(barrier, &error));
    CHECK(shmkit_barrier_waiting(barrier) == 0);
    EXPECT(SHMKIT_TIMEOUT, shmkit_barrier_wait(barrier, 30 * MS, 0, NULL, &error)); // the dead take no part
    shmkit_barrier_free(barrier);
    finish(region, name);
}

static void be_told(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 3);
    tell(region, 's');
    EXPECT(SHMKIT_BROKEN, shmkit_barrier_wait(barrier, LONG_NS, 0, NULL, &error));
    shmkit_barrier_free(barrier);
    shmkit_region_free(region);
}

static void abort_and_reset_free_who_waits(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_barrier_t *barrier = open_barrier(region, 3);
    for (int resets = 0; resets < 2; resets++) {
        pid_t child = start(be_told, region, name);
        while (shmkit_barrier_waiting(barrier) != 1) {
            usleep(500);
        }
        if (!resets) {
            EXPECT(SHMKIT_OK, shmkit_barrier_abort(barrier, &error));
            join(child);
        }
        EXPECT(SHMKIT_OK, shmkit_barrier_reset(barrier, &error));
        if (resets) {
            join(child);
        }
    }
    CHECK(!shmkit_barrier_is_broken(barrier));
    shmkit_barrier_free(barrier);
    finish(region, name);
}

const struct test barrier_tests[] = {
    {"barrier_has_one_leader_a_round", each_round_has_one_leader},
    {"barrier_lets_processes_pass_together", processes_pass_together},
    {"barrier_forgets_who_gives_up", who_gives_up_has_not_arrived},
    {"barrier_is_broken_until_reset", a_broken_one_is_broken_until_reset},
    {"barrier_is_broken_by_a_participant_that_was_killed", a_participant_that_was_killed_breaks_it},
    {"barrier_frees_who_waits_when_it_breaks", abort_and_reset_free_who_waits},
    {NULL, NULL},
};
