// Files that lose pages while they are mapped, whatever else handles SIGBUS; and resizing.

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, PAGES = 16 };

// A file of sevens, mapped for reading and writing.
static shmkit_mapping_t *map_sevens(const char *path, uint32_t flags) {
    static char sevens[PAGES * PAGE];
    memset(sevens, 7, sizeof sevens);
    write_file(path, 0, sevens, sizeof sevens);
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = flags;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    return mapping;
}

static void cut(const char *path, off_t len) { CHECK(truncate(path, len) == 0); }

static void lost_bytes_are_zeros_and_an_error(void) {
    const char *path = fresh_path();
    shmkit_mapping_t *mapping = map_sevens(path, 0);
    const volatile char *data = shmkit_mapping_data(mapping);
    const _Atomic uint32_t *damage = (const _Atomic uint32_t *)shmkit_mapping_damage_word(mapping);
    CHECK(shmkit_mapping_is_guarded(mapping) && damage && atomic_load(damage) == 0);
    EXPECT(SHMKIT_OK, shmkit_mapping_check(mapping, &error));
    cut(path, PAGE + 5);
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_check(mapping, &error));
    CHECK(data[PAGE + 4] == 7 && data[PAGE + 5] == 0);

    // A system call that is given such bytes fails, and nothing else happens.
    int fds[2];
    CHECK(pipe(fds) == 0);
    CHECK(write(fds[1], (const char *)data + 2 * PAGE, 10) == -1 && errno == EFAULT && atomic_load(damage) == 0);
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);

    char bytes[8];
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_read_at(mapping, 2 * PAGE, bytes, sizeof bytes, &error));
    CHECK(memcmp(bytes, "\0\0\0\0\0\0\0\0", 8) == 0 && atomic_load(damage) != 0);
    void *view;
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_pin(mapping, 0, 1, false, &view, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_write_at(mapping, 0, "x", 1, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_flush(mapping, 0, PAGE, 0, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_resize(mapping, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_close(mapping, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_mapping_check(mapping, &error));
    shmkit_mapping_free(mapping);

    CHECK(shmkit_mapping_check(NULL, NULL) == SHMKIT_INVALID_ARGUMENT && !shmkit_mapping_is_guarded(NULL));
    CHECK(shmkit_mapping_damage_word(NULL) == NULL && shmkit_region_damage_word(NULL) == NULL);
    CHECK(shmkit_region_check(NULL, NULL) == SHMKIT_INVALID_ARGUMENT);
    mapping = map_sevens(path, SHMKIT_MAP_NO_FAULT_GUARD);
    CHECK(!shmkit_mapping_is_guarded(mapping) && shmkit_mapping_damage_word(mapping) == NULL);
    shmkit_mapping_free(mapping);
    shmkit_set_fault_guard(false);
    mapping = map_sevens(path, 0);
    CHECK(!shmkit_mapping_is_guarded(mapping));
    shmkit_mapping_free(mapping);
    shmkit_set_fault_guard(true);
}

static void *touch(void *argument) {
    _Atomic char *data = argument;
    for (size_t turn = 0; turn < 200; turn++) {
        for (size_t at = turn % 64; at < PAGES * PAGE; at += 509) {
            char seen = atomic_load_explicit(&data[at], memory_order_relaxed);
            if (seen != 0 && seen != 7) {
                abort();
            }
            atomic_store_explicit(&data[at], 7, memory_order_relaxed);
        }
    }
    return NULL;
}

static void *shorten(void *argument) {
    for (off_t turn = 0; turn < 100; turn++) {
        if (truncate(argument, turn * 7919 % (PAGES * PAGE)) != 0) {
            abort();
        }
    }
    return NULL;
}

static const char *shortened;
static char *touched;

static void *touch_or_shorten(void *argument) {
    atomic_int *next = argument;
    return atomic_fetch_add(next, 1) == 0 ? shorten((void *)(uintptr_t)shortened) : touch(touched);
}

static void threads_live_through_cuts_at_any_moment(void) {
    for (int round = 0; round < 5; round++) {
        shortened = fresh_path();
        shmkit_mapping_t *mapping = map_sevens(shortened, 0);
        touched = shmkit_mapping_data(mapping);
        atomic_int next = 0;
        in_threads(touch_or_shorten, &next);
        cut(shortened, 0);
        (void)*(volatile char *)touched;
        EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_check(mapping, &error));
        shmkit_mapping_free(mapping);
    }
}

// A handler of the program's own, which mends its own page and passes on what it does not know.
static struct sigaction next_action;
static void *own_page;
static atomic_int own_calls;

static void own_handler(int signal, siginfo_t *info, void *context) {
    atomic_fetch_add(&own_calls, 1);
    if (((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)) == (uintptr_t)own_page) {
        mmap(own_page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    } else if (next_action.sa_flags & SA_SIGINFO) {
        next_action.sa_sigaction(signal, info, context);
    } else {
        _exit(99);
    }
}

static sigjmp_buf before_fault;

static void jumping_handler(int signal) {
    (void)signal;
    atomic_fetch_add(&own_calls, 1);
    siglongjmp(before_fault, 1);
}

static void install(struct sigaction action, struct sigaction *before) {
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGBUS, &action, before) == 0);
}

// A page of the program's own mapping, whose file is cut.
static volatile char *lost_page(const char *path) {
    write_file(path, 0, "x", 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(page != MAP_FAILED && close(fd) == 0);
    cut(path, 0);
    return page;
}

static void touch_guarded(int calls) {
    const char *path = fresh_path();
    shmkit_mapping_t *mapping = map_sevens(path, 0);
    cut(path, 0);
    int before = atomic_load(&own_calls);
    CHECK(*(volatile char *)shmkit_mapping_data(mapping) == 0 && atomic_load(&own_calls) - before == calls);
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_check(mapping, &error));
    shmkit_mapping_free(mapping);
}

static void touch_own(void) {
    int before = atomic_load(&own_calls);
    volatile char *page = lost_page(fresh_path());
    own_page = (void *)(uintptr_t)page;
    CHECK(*page == 0 && atomic_load(&own_calls) - before == 1);
}

static void handler_before(const char *name) {
    (void)name;
    install((struct sigaction){.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO}, &next_action);
    touch_guarded(0);
    touch_own();
    touch_guarded(0);
}

static void handler_after(const char *name) {
    (void)name;
    const char *path = fresh_path();
    shmkit_mapping_t *mapping = map_sevens(path, 0);
    install((struct sigaction){.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO}, &next_action);
    cut(path, 0);
    // It is in front, and passes on.
    CHECK(*(volatile char *)shmkit_mapping_data(mapping) == 0 && atomic_load(&own_calls) == 1);
    shmkit_mapping_free(mapping);
    touch_own();
    // The next mapping puts the guard in front again.
    touch_guarded(0);
    touch_own();
}

static void handler_that_jumps(const char *name) {
    (void)name;
    install((struct sigaction){.sa_handler = jumping_handler, .sa_flags = SA_NODEFER}, NULL);
    touch_guarded(0);
    volatile char *page = lost_page(fresh_path());
    for (volatile int turn = 1; turn <= 50; turn++) {
        if (sigsetjmp(before_fault, 1) == 0) {
            (void)*page;
        }
        CHECK(atomic_load(&own_calls) == turn);
    }
    touch_guarded(0);
}

static void handlers_of_the_program_go_on_working(void) {
    join(in_child(handler_before, ""));
    join(in_child(handler_after, ""));
    join(in_child(handler_that_jumps, ""));
}

static void die_of_own_page(const char *name) {
    (void)name;
    struct sigaction action = {.sa_handler = SIG_DFL};
    install(action, NULL);
    touch_guarded(0);
    (void)*lost_page(fresh_path());
}

static void die_of_signal(const char *name) {
    (void)name;
    struct sigaction action = {.sa_handler = SIG_DFL};
    install(action, NULL);
    touch_guarded(0);
    kill(getpid(), SIGBUS);
}

static void live_with_ignored_signal(const char *name) {
    (void)name;
    struct sigaction action = {.sa_handler = SIG_IGN};
    install(action, NULL);
    touch_guarded(0);
    CHECK(kill(getpid(), SIGBUS) == 0);
}

static void what_is_not_guarded_ends_as_it_would(void) {
    void (*const ways[])(const char *) = {die_of_own_page, die_of_signal};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int status;
        pid_t child = in_child(ways[i], "");
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    }
    join(in_child(live_with_ignored_signal, ""));
}

static void a_region_that_is_cut_only_fails(void) {
    const char *path = fresh_path();
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = SHMKIT_REGION_PATH;
    shmkit_region_t *region;
    shmkit_mutex_t *mutex;
    EXPECT(SHMKIT_OK, shmkit_region_create(path, PAGE, &options, &region, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_open(region, "m", &mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_region_check(region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_lock(region, &error));
    cut(path, 0);
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_region_check(region, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_mutex_lock(mutex, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_region_unlock(region, &error));
    EXPECT(SHMKIT_MAPPING_TRUNCATED, shmkit_region_write_at(region, 0, "x", 1, &error));
    CHECK(*shmkit_region_damage_word(region) != 0);
    shmkit_mutex_free(mutex);
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    shmkit_region_free(region);
}

static void mappings_and_regions_are_resized(void) {
    const char *path = fresh_path();
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    options.len = 100;
    options.reserve = 1 << 20;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    char *data = shmkit_mapping_data(mapping);
    CHECK(shmkit_mapping_capacity(mapping) == 1 << 20);
    EXPECT(SHMKIT_OK, shmkit_mapping_resize(mapping, 3 * PAGE, &error));
    data[3 * PAGE - 1] = 9;
    CHECK(shmkit_mapping_len(mapping) == 3 * PAGE && shmkit_mapping_data(mapping) == data);
    void *view;
    EXPECT(SHMKIT_OK, shmkit_mapping_pin(mapping, 0, 1, false, &view, &error));
    EXPECT(SHMKIT_BUSY, shmkit_mapping_resize(mapping, 1, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_unpin(mapping, false, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_resize(mapping, 1, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_mapping_resize(mapping, (1 << 20) + 1, &error));
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_mapping_resize(mapping, 0, &error));
    shmkit_mapping_free(mapping);
    CHECK(shmkit_mapping_resize(NULL, 1, NULL) == SHMKIT_INVALID_ARGUMENT && shmkit_mapping_capacity(NULL) == 0);

    const char *name = fresh_name();
    shmkit_region_options_t larger = SHMKIT_REGION_OPTIONS_INIT;
    larger.capacity = 1 << 20;
    shmkit_region_t *region, *other;
    EXPECT(SHMKIT_OK, shmkit_region_create(name, 10, &larger, &region, &error));
    EXPECT(SHMKIT_OK, shmkit_region_open(name, NULL, &other, &error));
    uint64_t before = *shmkit_region_len_word(other);
    EXPECT(SHMKIT_OK, shmkit_region_resize(region, 100000, &error));
    CHECK(*shmkit_region_len_word(other) != before && shmkit_region_len(other) == 100000);
    CHECK(shmkit_region_capacity(other) == 1 << 20);
    EXPECT(SHMKIT_OK, shmkit_region_write_at(other, 99999, "x", 1, &error));
    EXPECT(SHMKIT_OK, shmkit_region_pin(region, 0, 1, false, &view, &error));
    EXPECT(SHMKIT_BUSY, shmkit_region_resize(region, 5, &error));
    EXPECT(SHMKIT_OK, shmkit_region_unpin(region, false, &error));
    EXPECT(SHMKIT_OK, shmkit_region_resize(region, 5, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_read_at(other, 5, &before, 1, &error));
    EXPECT(SHMKIT_LIMIT_EXCEEDED, shmkit_region_resize(region, (1 << 20) + 1, &error));
    CHECK(shmkit_region_resize(NULL, 1, NULL) == SHMKIT_INVALID_ARGUMENT && shmkit_region_capacity(NULL) == 0);
    CHECK(shmkit_region_len_word(NULL) == NULL);
    shmkit_region_free(other);
    finish(region, name);
}

const struct test fault_tests[] = {
    {"lost_bytes_are_zeros_and_an_error", lost_bytes_are_zeros_and_an_error},
    {"threads_live_through_cuts_at_any_moment", threads_live_through_cuts_at_any_moment},
    {"handlers_of_the_program_go_on_working", handlers_of_the_program_go_on_working},
    {"what_is_not_guarded_ends_as_it_would", what_is_not_guarded_ends_as_it_would},
    {"a_region_that_is_cut_only_fails", a_region_that_is_cut_only_fails},
    {"mappings_and_regions_are_resized", mappings_and_regions_are_resized},
    {NULL, NULL},
};
