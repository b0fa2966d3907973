// Pages: their state, what the kernel is told of them, huge ones, and what work with them cost.

#include "check.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PAGES = 64 };

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static shmkit_mapping_t *private_memory(uint32_t flags) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = flags | SHMKIT_MAP_LEN | SHMKIT_MAP_PRIVATE;
    options.len = PAGES * page_size();
    options.huge_pages = SHMKIT_HUGE_PAGES_NEVER;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_anonymous(&options, &mapping, &error));
    return mapping;
}

static uint64_t resident(const shmkit_mapping_t *mapping) {
    shmkit_page_counts_t counts;
    EXPECT(SHMKIT_OK, shmkit_mapping_page_counts(mapping, 0, shmkit_mapping_len(mapping), &counts, 1, NULL, &error));
    CHECK(counts.pages == PAGES && counts.present <= counts.resident);
    return counts.resident;
}

static void pages_are_there_when_they_were_touched(void) {
    shmkit_mapping_t *mapping = private_memory(0);
    uint8_t states[PAGES];
    size_t needed;
    uint32_t known;
    const size_t len = shmkit_mapping_len(mapping), page = page_size();
    CHECK(shmkit_mapping_page_size(mapping) == page && !shmkit_mapping_is_persistent(mapping));
    CHECK(resident(mapping) == 0);
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 3 * page, "x", 1, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_residency(mapping, 0, len, NULL, 0, &needed, &known, &error));
    CHECK(needed == PAGES && (known & SHMKIT_PAGE_PRESENT));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_residency(mapping, 0, len, states, PAGES - 1, &needed, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_residency(mapping, 0, len, states, PAGES, NULL, NULL, &error));
    for (size_t i = 0; i < PAGES; i++) {
        CHECK((states[i] & SHMKIT_PAGE_RESIDENT) == (i == 3 ? SHMKIT_PAGE_RESIDENT : 0));
    }
    shmkit_page_counts_t cells[PAGES + 1];
    EXPECT(SHMKIT_OK, shmkit_mapping_page_counts(mapping, 0, len, cells, PAGES + 1, &known, &error));
    CHECK(cells[3].resident == 1 && cells[2].resident == 0 && cells[PAGES].pages == 0);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_page_counts(mapping, 0, len, cells, 0, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_page_counts(mapping, 0, len, NULL, 1, NULL, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_page_counts(mapping, 1, len, cells, 1, NULL, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_residency(mapping, UINT64_MAX, 1, states, PAGES, NULL, NULL, &error));

    EXPECT(SHMKIT_OK, shmkit_mapping_advise(mapping, 0, len, SHMKIT_ADVICE_POPULATE_WRITE, &error));
    CHECK(resident(mapping) == PAGES);
    shmkit_memory_use_t used = SHMKIT_MEMORY_USE_INIT;
    EXPECT(SHMKIT_OK, shmkit_mapping_memory_use(mapping, &used, &error));
    CHECK(used.size == sizeof used && used.resident >= len && used.private_dirty >= len);
    CHECK(used.proportional <= used.resident);
    used.size = 12;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_memory_use(mapping, &used, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_memory_use(mapping, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_advise(mapping, 0, len, SHMKIT_ADVICE_DONT_NEED, &error));
    CHECK(resident(mapping) == 0);
    EXPECT(SHMKIT_OK, shmkit_mapping_close(mapping, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_mapping_residency(mapping, 0, len, states, PAGES, NULL, NULL, &error));
    shmkit_mapping_free(mapping);
}

static void faults_are_counted_around_work(void) {
    shmkit_mapping_t *mapping = private_memory(0);
    const size_t len = shmkit_mapping_len(mapping);
    shmkit_usage_t before = SHMKIT_USAGE_INIT, after = SHMKIT_USAGE_INIT, whole = SHMKIT_USAGE_INIT;
    EXPECT(SHMKIT_OK, shmkit_usage(false, &before, &error));
    memset(shmkit_mapping_data(mapping), 1, len);
    EXPECT(SHMKIT_OK, shmkit_usage(false, &after, &error));
    EXPECT(SHMKIT_OK, shmkit_usage(true, &whole, &error));
    CHECK(after.minor_faults >= before.minor_faults + 4 && whole.minor_faults >= after.minor_faults);
    CHECK(whole.user_ns + whole.kernel_ns >= after.user_ns + after.kernel_ns);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_usage(false, NULL, &error));
    shmkit_mapping_free(mapping);
}

static void locked_pages_stay(void) {
    shmkit_mapping_t *mapping = private_memory(SHMKIT_MAP_LOCK);
    const size_t len = shmkit_mapping_len(mapping);
    CHECK(resident(mapping) == PAGES);
    shmkit_memory_use_t used = SHMKIT_MEMORY_USE_INIT;
    EXPECT(SHMKIT_OK, shmkit_mapping_memory_use(mapping, &used, &error));
    CHECK(used.locked >= len);
    EXPECT(SHMKIT_OK, shmkit_mapping_unlock_memory(mapping, 0, len, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_lock_memory(mapping, 0, len, SHMKIT_LOCK_ON_FAULT, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_lock_memory(mapping, 0, len, 2, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_lock_memory(mapping, 1, len, 0, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_mapping_unlock_memory(mapping, 1, len, &error));
    shmkit_mapping_free(mapping);
    shmkit_mapping_free(private_memory(SHMKIT_MAP_LOCK_ON_FAULT));
    shmkit_map_options_t both = SHMKIT_MAP_OPTIONS_INIT;
    both.flags = SHMKIT_MAP_LOCK | SHMKIT_MAP_LOCK_ON_FAULT | SHMKIT_MAP_LEN;
    both.len = 4096;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_anonymous(&both, &mapping, &error));
}

// In a process that may lock next to nothing and has no privilege to lock more.
static void lock_beyond_the_limit(const char *name) {
    (void)name;
    const struct rlimit limit = {4096, 4096};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    CHECK(getuid() != 0 || setuid(65534) == 0);
    shmkit_mapping_t *mapping = private_memory(0);
    EXPECT(SHMKIT_OUT_OF_MEMORY, shmkit_mapping_lock_memory(mapping, 0, shmkit_mapping_len(mapping), 0, &error));
    CHECK(strstr(error.message, "may lock 4096") != NULL);
    shmkit_mapping_free(mapping);
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LOCK | SHMKIT_MAP_LEN;
    options.len = 1 << 20;
    EXPECT(SHMKIT_OUT_OF_MEMORY, shmkit_mapping_anonymous(&options, &mapping, &error));
    CHECK(mapping == NULL && strcmp(error.operation, "map memory") == 0);
}

static void the_limit_of_locked_memory_is_told(void) {
    join(in_child(lock_beyond_the_limit, NULL));
}

// Holds where huge pages are reserved and where none are.
static void reserved_huge_pages_or_a_clear_error(void) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN;
    options.huge_pages = SHMKIT_HUGE_PAGES_RESERVED_2MIB;
    options.len = 1 << 21;
    shmkit_mapping_t *mapping;
    shmkit_status_t status = shmkit_mapping_anonymous(&options, &mapping, &error);
    if (status == SHMKIT_OK) {
        CHECK(shmkit_mapping_page_size(mapping) == 1 << 21);
        EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, (1 << 21) - 1, "x", 1, &error));
        shmkit_mapping_free(mapping);
    } else if (status == SHMKIT_OUT_OF_MEMORY) {
        CHECK(strstr(error.message, "nr_hugepages") != NULL);
    } else {
        CHECK(status == SHMKIT_UNSUPPORTED);
    }
    options.len = 4096;
    status = shmkit_mapping_anonymous(&options, &mapping, &error);
    CHECK(status == SHMKIT_INVALID_LENGTH || status == SHMKIT_UNSUPPORTED);
    options.huge_pages = 77;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_mapping_anonymous(&options, &mapping, &error));
}

static void advice_that_does_not_fit_is_refused(void) {
    const size_t page = page_size();
    const char *path = fresh_path();
    write_file(path, 4 * page - 1, "x", 1);
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    shmkit_mapping_t *mapping;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    REFUSED(SHMKIT_READ_ONLY, shmkit_mapping_advise(mapping, 0, page, SHMKIT_ADVICE_REMOVE, &error));
    REFUSED(SHMKIT_UNSUPPORTED, shmkit_mapping_advise(mapping, 0, page, SHMKIT_ADVICE_WIPE_ON_FORK, &error));
    shmkit_mapping_free(mapping);
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    EXPECT(SHMKIT_OK, shmkit_mapping_open(path, &options, &mapping, &error));
    CHECK(shmkit_mapping_is_persistent(mapping));
    EXPECT(SHMKIT_OK, shmkit_mapping_write_at(mapping, 0, "data", 4, &error));
    EXPECT(SHMKIT_OK, shmkit_mapping_advise(mapping, 0, page, SHMKIT_ADVICE_REMOVE, &error));
    CHECK(*(char *)shmkit_mapping_data(mapping) == '\0');
    shmkit_mapping_free(mapping);
}

static void a_region_has_pages_too(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_page_counts_t counts;
    shmkit_memory_use_t used = SHMKIT_MEMORY_USE_INIT;
    uint8_t state;
    CHECK(!shmkit_region_is_persistent(region));
    EXPECT(SHMKIT_OK, shmkit_region_advise(region, 0, 4096, SHMKIT_ADVICE_POPULATE_WRITE, &error));
    EXPECT(SHMKIT_OK, shmkit_region_page_counts(region, 0, 4096, &counts, 1, NULL, &error));
    CHECK(counts.pages == 1 && counts.resident == 1 && counts.present == 1);
    EXPECT(SHMKIT_OK, shmkit_region_residency(region, 0, 4096, &state, 1, NULL, NULL, &error));
    CHECK(state & SHMKIT_PAGE_PRESENT);
    EXPECT(SHMKIT_OK, shmkit_region_lock_memory(region, 0, 4096, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_region_memory_use(region, &used, &error));
    CHECK(used.locked >= 4096);
    EXPECT(SHMKIT_OK, shmkit_region_unlock_memory(region, 0, 4096, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_advise(region, 0, 4096, SHMKIT_ADVICE_REMOVE, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_advise(region, 0, 4096, 99, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_region_advise(region, 1, 4096, SHMKIT_ADVICE_COLD, &error));
    finish(region, name);
}

static void soft_dirty_bits_or_a_clear_error(void) {
    shmkit_status_t status = shmkit_clear_soft_dirty(&error);
    CHECK(status == SHMKIT_OK || (status == SHMKIT_UNSUPPORTED && strstr(error.message, "CONFIG_MEM_SOFT_DIRTY")));
}

const struct test page_tests[] = {
    {"pages_are_there_when_they_were_touched", pages_are_there_when_they_were_touched},
    {"faults_are_counted_around_work", faults_are_counted_around_work},
    {"locked_pages_stay", locked_pages_stay},
    {"the_limit_of_locked_memory_is_told", the_limit_of_locked_memory_is_told},
    {"reserved_huge_pages_or_a_clear_error", reserved_huge_pages_or_a_clear_error},
    {"advice_that_does_not_fit_is_refused", advice_that_does_not_fit_is_refused},
    {"a_region_has_pages_too", a_region_has_pages_too},
    {"soft_dirty_bits_or_a_clear_error", soft_dirty_bits_or_a_clear_error},
    {NULL, NULL},
};
