// Events: a flag that lets all pass, or one.

#include "check.h"

#include <pthread.h>

static shmkit_event_t *open_event(shmkit_region_t *region, const char *name, uint32_t reset) {
    shmkit_event_t *event;
    EXPECT(SHMKIT_OK, shmkit_event_open(region, name, reset, &event, &error));
    CHECK(event != NULL && strcmp(shmkit_event_name(event), name) == 0);
    return event;
}

static void a_manual_one_stays_set_and_an_automatic_one_does_not(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    const char *names[] = {"manual", "automatic"};
    for (uint32_t reset = SHMKIT_EVENT_RESET_MANUAL; reset <= SHMKIT_EVENT_RESET_AUTOMATIC; reset++) {
        shmkit_event_t *event = open_event(region, names[reset], reset);
        CHECK(!shmkit_event_is_set(event));
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_event_try_wait(event, &error));
        CHECK(strcmp(error.operation, "wait for event") == 0 && strstr(error.object, names[reset]));
        EXPECT(SHMKIT_TIMEOUT, shmkit_event_wait(event, 2 * MS, 0, &error));
        EXPECT(SHMKIT_TIMEOUT, shmkit_event_wait(event, 0, 0, &error));
        EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
        EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
        CHECK(shmkit_event_is_set(event));
        EXPECT(SHMKIT_OK, shmkit_event_wait(event, SHMKIT_FOREVER, 0, &error));
        CHECK(shmkit_event_is_set(event) == (reset == SHMKIT_EVENT_RESET_MANUAL));
        EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
        EXPECT(SHMKIT_OK, shmkit_event_try_wait(event, &error));
        CHECK(shmkit_event_is_set(event) == (reset == SHMKIT_EVENT_RESET_MANUAL));
        EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
        EXPECT(SHMKIT_OK, shmkit_event_reset(event, &error));
        EXPECT(SHMKIT_OK, shmkit_event_reset(event, &error));
        EXPECT(SHMKIT_WOULD_BLOCK, shmkit_event_try_wait(event, &error));
        shmkit_event_free(event);
    }
    finish(region, name);
}

static int passed;

static void *pass(void *event) {
    CHECK(shmkit_event_wait(event, LONG_NS, 0, NULL) == SHMKIT_OK);
    __atomic_fetch_add(&passed, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *set_until_all_passed(void *event) {
    for (int turn = 0; turn < THREADS; turn++) {
        while (__atomic_load_n(&passed, __ATOMIC_SEQ_CST) < turn) {
            usleep(500);
        }
        CHECK(shmkit_event_set(event, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void one_set_frees_all_or_one(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *manual = open_event(region, "manual", SHMKIT_EVENT_RESET_MANUAL);
    shmkit_event_t *automatic = open_event(region, "automatic", SHMKIT_EVENT_RESET_AUTOMATIC);
    pthread_t setter;
    passed = THREADS; // so that it sets at once
    CHECK(pthread_create(&setter, NULL, set_until_all_passed, manual) == 0);
    in_threads(pass, manual);
    CHECK(pthread_join(setter, NULL) == 0);
    passed = 0;
    CHECK(pthread_create(&setter, NULL, set_until_all_passed, automatic) == 0);
    in_threads(pass, automatic);
    CHECK(pthread_join(setter, NULL) == 0);
    CHECK(passed == THREADS && !shmkit_event_is_set(automatic)); // as many sets as waits
    shmkit_event_free(manual);
    shmkit_event_free(automatic);
    finish(region, name);
}

static void wait_and_answer(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *ping = open_event(region, "ping", SHMKIT_EVENT_RESET_AUTOMATIC);
    shmkit_event_t *pong = open_event(region, "pong", SHMKIT_EVENT_RESET_AUTOMATIC);
    for (int round = 0; round < 200; round++) {
        EXPECT(SHMKIT_OK, shmkit_event_wait(ping, LONG_NS, 0, &error));
        EXPECT(SHMKIT_OK, shmkit_event_set(pong, &error));
    }
}

static void processes_answer_each_other(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *ping = open_event(region, "ping", SHMKIT_EVENT_RESET_AUTOMATIC);
    shmkit_event_t *pong = open_event(region, "pong", SHMKIT_EVENT_RESET_AUTOMATIC);
    pid_t child = in_child(wait_and_answer, name);
    for (int round = 0; round < 200; round++) {
        EXPECT(SHMKIT_OK, shmkit_event_set(ping, &error));
        EXPECT(SHMKIT_OK, shmkit_event_wait(pong, LONG_NS, 0, &error));
    }
    join(child);
    shmkit_event_free(ping);
    shmkit_event_free(pong);
    finish(region, name);
}

static void wait_for_ever(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *event = open_event(region, "e", SHMKIT_EVENT_RESET_AUTOMATIC);
    tell(region, 's');
    EXPECT(SHMKIT_OK, shmkit_event_wait(event, SHMKIT_FOREVER, 0, &error));
}

static void a_killed_waiter_takes_no_flag_with_it(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *event = open_event(region, "e", SHMKIT_EVENT_RESET_AUTOMATIC);
    for (int turn = 0; turn < 5; turn++) {
        pid_t waiter = start(wait_for_ever, region, name);
        usleep(10 * 1000);
        kill_child(waiter);
        EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
        EXPECT(SHMKIT_OK, shmkit_event_wait(event, LONG_NS, 0, &error));
    }
    shmkit_event_free(event);
    finish(region, name);
}

static void the_word_is_that_of_the_event(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_event_t *event = open_event(region, "e", SHMKIT_EVENT_RESET_AUTOMATIC);
    uint32_t *word;
    EXPECT(SHMKIT_OK, shmkit_event_word(event, &word, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0);
    EXPECT(SHMKIT_OK, shmkit_event_set(event, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == (SHMKIT_EVENT_STEP | SHMKIT_EVENT_SET));
    EXPECT(SHMKIT_OK, shmkit_event_wait(event, 0, 0, &error));
    CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == SHMKIT_EVENT_STEP);
    __atomic_store_n(word, 2 * SHMKIT_EVENT_STEP | SHMKIT_EVENT_SET, __ATOMIC_SEQ_CST);
    CHECK(shmkit_event_is_set(event));
    EXPECT(SHMKIT_OK, shmkit_event_try_wait(event, &error));
    shmkit_event_free(event);
    finish(region, name);
}

const struct test event_tests[] = {
    {"event_stays_set_or_not", a_manual_one_stays_set_and_an_automatic_one_does_not},
    {"event_frees_all_or_one", one_set_frees_all_or_one},
    {"event_answers_between_processes", processes_answer_each_other},
    {"event_loses_no_flag_with_a_killed_waiter", a_killed_waiter_takes_no_flag_with_it},
    {"event_has_its_word", the_word_is_that_of_the_event},
    {NULL, NULL},
};
