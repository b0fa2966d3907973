// Pools: blocks that are passed on without a copy and come back from the dead. Values, and the directory of named objects.

#include "check.h"

static shmkit_pool_t *open_pool(shmkit_region_t *region, const char *name, uint64_t block_size, uint32_t count) {
    shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
    options.block_size = block_size;
    options.count = count;
    shmkit_pool_t *pool;
    EXPECT(SHMKIT_OK, shmkit_pool_open(region, name, &options, &pool, &error));
    CHECK(pool != NULL && strcmp(shmkit_pool_name(pool), name) == 0);
    return pool;
}

static shmkit_pool_t *find_pool(shmkit_region_t *region, const char *name) {
    shmkit_pool_t *pool;
    EXPECT(SHMKIT_OK, shmkit_pool_open(region, name, NULL, &pool, &error));
    return pool;
}

static shmkit_pool_status_t status_of(const shmkit_pool_t *pool) {
    shmkit_pool_status_t status = SHMKIT_POOL_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_pool_status(pool, &status, &error));
    return status;
}

static void blocks_are_taken_and_freed(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_pool_t *pool = open_pool(region, "p", 100, 2);
    shmkit_pool_block_t first, second, third;
    EXPECT(SHMKIT_OK, shmkit_pool_allocate(pool, &first, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_try_allocate(pool, &second, &error));
    CHECK(first.len == 100 && first.handle != 0 && (uintptr_t)first.data % 64 == 0);
    CHECK(first.handle != second.handle && labs((char *)first.data - (char *)second.data) >= 100);
    memset(first.data, 1, 100);
    memset(second.data, 2, 100);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_pool_try_allocate(pool, &third, &error));
    CHECK(third.handle == 0 && third.data == NULL);
    EXPECT(SHMKIT_TIMEOUT, shmkit_pool_allocate_wait(pool, 2 * MS, 0, &third, &error));
    EXPECT(SHMKIT_BUSY, shmkit_pool_close(pool, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_free_block(pool, first.handle, &error));
    EXPECT(SHMKIT_INVALID_BLOCK, shmkit_pool_free_block(pool, first.handle, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_allocate_wait(pool, SHMKIT_FOREVER, 0, &third, &error));
    CHECK(third.data == first.data && third.handle != first.handle && *(char *)third.data == 1);
    EXPECT(SHMKIT_STALE_HANDLE, shmkit_pool_free_block(pool, first.handle, &error));
    EXPECT(SHMKIT_INVALID_BLOCK, shmkit_pool_free_block(pool, 0, &error));
    EXPECT(SHMKIT_INVALID_BLOCK, shmkit_pool_free_block(pool, UINT64_MAX, &error));
    shmkit_pool_status_t status = status_of(pool);
    CHECK(status.total == 2 && status.owned == 2 && status.free == 0 && status.block_size == 100 && status.stride == 128);
    shmkit_pool_owner_t owners[2] = {{0, 0, 0, 0}, {7, 7, 7, 7}};
    size_t count = 0;
    EXPECT(SHMKIT_OK, shmkit_pool_owners(pool, NULL, 0, &count, &error));
    CHECK(count == 1);
    EXPECT(SHMKIT_OK, shmkit_pool_owners(pool, owners, 2, &count, &error));
    CHECK(count == 1 && owners[0].count == 2 && owners[0].pid == (uint32_t)getpid() && owners[1].count == 7);
    CHECK(owners[0].flags == SHMKIT_BLOCK_OWNER_ALIVE);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_pool_owners(pool, NULL, 2, &count, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_free_block(pool, second.handle, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_free_block(pool, third.handle, &error));
    CHECK(status_of(pool).free == 2);
    EXPECT(SHMKIT_OK, shmkit_pool_close(pool, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_pool_allocate(pool, &first, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_pool_status(pool, &status, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_pool_owners(pool, owners, 2, &count, &error));
    CHECK(shmkit_pool_is_closed(pool));
    shmkit_pool_free(pool);
    finish(region, name);
}

static void what_makes_no_sense_is_refused(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
    shmkit_pool_t *pool;
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_pool_open(region, "p", &options, &pool, &error));
    CHECK(pool == NULL);
    EXPECT(SHMKIT_NOT_FOUND, shmkit_pool_open(region, "p", NULL, &pool, &error));
    options.block_size = 64;
    options.count = 4;
    options.alignment = 96;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_pool_open(region, "p", &options, &pool, &error));
    options.alignment = 0;
    EXPECT(SHMKIT_OK, shmkit_pool_open(region, "p", &options, &pool, &error));
    shmkit_pool_t *other;
    options.count = 5;
    EXPECT(SHMKIT_PARAMETER_MISMATCH, shmkit_pool_open(region, "p", &options, &other, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_pool_allocate(pool, NULL, &error));
    shmkit_pool_block_t block;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_pool_allocate(NULL, &block, &error));
    shmkit_pool_block_status_t status = SHMKIT_POOL_BLOCK_STATUS_INIT;
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_pool_block_at(pool, 4, &status, &error));
    EXPECT(SHMKIT_OK, shmkit_pool_block_at(pool, 3, &status, &error));
    CHECK(status.state == SHMKIT_BLOCK_STATE_FREE && status.handle == 0);
    shmkit_pool_free(pool);
    finish(region, name);
}

static void adopt_what_is_published(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_pool_t *pool = find_pool(region, "p");
    shmkit_pool_block_status_t status = SHMKIT_POOL_BLOCK_STATUS_INIT;
    uint64_t handle = 0;
    for (uint32_t index = 0; handle == 0; index++) {
        EXPECT(SHMKIT_OK, shmkit_pool_block_at(pool, index, &status, &error));
        handle = status.state == SHMKIT_BLOCK_STATE_PUBLISHED ? status.handle : 0;
    }
    shmkit_pool_block_t block;
    EXPECT(SHMKIT_OK, shmkit_pool_adopt(pool, handle, &block, &error));
    CHECK(strcmp(block.data, "passed on") == 0 && block.handle != handle);
    strcpy(block.data, "and back");
    EXPECT(SHMKIT_STALE_HANDLE, shmkit_pool_adopt(pool, handle, &block, &error));
}

static void a_published_block_goes_to_who_adopts_it(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_pool_t *pool = open_pool(region, "p", 64, 3);
    shmkit_pool_block_t block;
    EXPECT(SHMKIT_OK, shmkit_pool_allocate(pool, &block, &error));
    shmkit_pool_block_t other;
    EXPECT(SHMKIT_INVALID_BLOCK, shmkit_pool_adopt(pool, block.handle, &other, &error));
    CHECK(other.handle == 0);
    strcpy(block.data, "passed on");
    EXPECT(SHMKIT_OK, shmkit_pool_publish(pool, block.handle, &error));
    EXPECT(SHMKIT_INVALID_BLOCK, shmkit_pool_free_block(pool, block.handle, &error));
    // The child takes the block along into its death, so that it comes back.
    join(in_child(adopt_what_is_published, name));
    uint32_t recovered = 0;
    EXPECT(SHMKIT_OK, shmkit_pool_recover(pool, &recovered, &error));
    CHECK(recovered == 1 && status_of(pool).recovered == 1 && strcmp(block.data, "and back") == 0);
    EXPECT(SHMKIT_STALE_HANDLE, shmkit_pool_adopt(pool, block.handle, &block, &error));
    shmkit_pool_free(pool);
    finish(region, name);
}

static void take_all(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_pool_t *pool = find_pool(region, "p");
    shmkit_pool_block_t block;
    while (shmkit_pool_try_allocate(pool, &block, NULL) == SHMKIT_OK) {
    }
    stay(region);
}

static void blocks_come_back_from_the_dead(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_pool_t *pool = open_pool(region, "p", 64, 3);
    pid_t victim = start(take_all, region, name);
    shmkit_pool_block_t block;
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_pool_try_allocate(pool, &block, &error));
    shmkit_pool_block_status_t status = SHMKIT_POOL_BLOCK_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_pool_block_at(pool, 1, &status, &error));
    CHECK(status.state == SHMKIT_BLOCK_STATE_OWNED && status.pid == (uint32_t)victim && status.mine == 0);
    kill_child(victim);
    EXPECT(SHMKIT_OK, shmkit_pool_allocate_wait(pool, LONG_NS, 0, &block, &error));
    CHECK(status_of(pool).free == 2);
    EXPECT(SHMKIT_OK, shmkit_pool_free_block(pool, block.handle, &error));
    shmkit_pool_free(pool);
    finish(region, name);
}

struct reading {
    double value;
    uint32_t count;
};

static void values_are_read_and_written_whole(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    struct reading reading = {1.5, 1};
    shmkit_value_t *value, *same;
    EXPECT(SHMKIT_OK, shmkit_value_open(region, "v", sizeof reading, "dI", &reading, &value, &error));
    EXPECT(SHMKIT_OK, shmkit_value_open(region, "v", sizeof reading, "=dI4x", NULL, &same, &error));
    CHECK(shmkit_value_size(same) == sizeof reading && strcmp(shmkit_value_format(same), "dI") == 0);
    uint64_t version;
    struct reading seen;
    EXPECT(SHMKIT_OK, shmkit_value_load(same, &seen, sizeof seen, &version, &error));
    CHECK(seen.value == 1.5 && seen.count == 1);
    seen.count = 2;
    EXPECT(SHMKIT_OK, shmkit_value_store_if(same, version, &seen, sizeof seen, &error));
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_value_store_if(value, version, &reading, sizeof reading, &error));
    EXPECT(SHMKIT_OK, shmkit_value_load(value, &reading, sizeof reading, NULL, &error));
    CHECK(reading.count == 2);
    EXPECT(SHMKIT_OK, shmkit_value_store(value, &reading, sizeof reading, &error));
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_value_store(value, &reading, 8, &error));
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_value_load(value, &reading, 8, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_value_store(value, NULL, sizeof reading, &error));
    shmkit_value_free(same);
    EXPECT(SHMKIT_PARAMETER_MISMATCH, shmkit_value_open(region, "v", sizeof reading, "dd", NULL, &same, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_value_open(region, "w", 3, "d", NULL, &same, &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_value_open(region, "w", 0, NULL, NULL, &same, &error));
    shmkit_value_words_t words = SHMKIT_VALUE_WORDS_INIT;
    EXPECT(SHMKIT_OK, shmkit_value_words(value, &words, &error));
    CHECK(words.copy_len == (sizeof reading + 7) / 8 && *words.me != 0);
    CHECK(memcmp(words.copies + *words.version % 2 * words.copy_len, &reading, sizeof reading) == 0);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_value_words(value, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_value_open(region, "named", 0, "u32", NULL, &same, &error));
    CHECK(shmkit_value_size(same) == 4 && strcmp(shmkit_value_format(same), "I") == 0);
    shmkit_value_free(same);
    EXPECT(SHMKIT_OK, shmkit_value_open(region, "v", 0, NULL, NULL, &same, &error));
    EXPECT(SHMKIT_OK, shmkit_value_close(same, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_value_load(same, &seen, sizeof seen, NULL, &error));
    CHECK(shmkit_value_is_closed(same) && strcmp(shmkit_value_name(same), "v") == 0);
    shmkit_value_free(same);
    shmkit_value_free(value);
    finish(region, name);
}

static void objects_are_found_created_and_listed(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name), *find, *create;
    EXPECT(SHMKIT_OK, shmkit_region_with_mode(region, SHMKIT_OBJECT_MODE_FIND, &find, &error));
    EXPECT(SHMKIT_OK, shmkit_region_with_mode(region, SHMKIT_OBJECT_MODE_CREATE, &create, &error));
    shmkit_region_t *other;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_region_with_mode(region, 3, &other, &error));
    shmkit_mutex_t *mutex, *same;
    EXPECT(SHMKIT_NOT_FOUND, shmkit_mutex_open(find, "m", &mutex, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_open(create, "m", &mutex, &error));
    EXPECT(SHMKIT_ALREADY_EXISTS, shmkit_mutex_open(create, "m", &same, &error));
    EXPECT(SHMKIT_OK, shmkit_mutex_open(find, "m", &same, &error));
    shmkit_mutex_free(same);
    shmkit_pool_free(open_pool(region, "a-pool", 64, 4));

    shmkit_object_info_t info = SHMKIT_OBJECT_INFO_INIT;
    EXPECT(SHMKIT_OK, shmkit_region_next_object(region, NULL, &info, &error));
    CHECK(strcmp(info.name, "a-pool") == 0 && info.kind == SHMKIT_OBJECT_KIND_POOL && info.users == 0);
    CHECK(info.parameters[0] == 64);
    EXPECT(SHMKIT_OK, shmkit_region_next_object(region, info.name, &info, &error));
    CHECK(strcmp(info.name, "m") == 0 && info.kind == SHMKIT_OBJECT_KIND_MUTEX && info.users == 1);
    EXPECT(SHMKIT_NOT_FOUND, shmkit_region_next_object(region, info.name, &info, &error));
    EXPECT(SHMKIT_OK, shmkit_region_find_object(region, "a-pool", &info, &error));
    CHECK(info.bytes >= 4 * 64);
    EXPECT(SHMKIT_NOT_FOUND, shmkit_region_find_object(region, "none", &info, &error));
    EXPECT(SHMKIT_BUSY, shmkit_region_remove_object(region, "m", &error));
    shmkit_mutex_free(mutex);
    EXPECT(SHMKIT_OK, shmkit_region_remove_object(region, "m", &error));
    EXPECT(SHMKIT_NOT_FOUND, shmkit_region_find_object(region, "m", &info, &error));
    shmkit_region_free(find);
    shmkit_region_free(create);
    finish(region, name);
}

const struct test pool_tests[] = {
    {"blocks_are_taken_and_freed", blocks_are_taken_and_freed},
    {"what_makes_no_sense_is_refused", what_makes_no_sense_is_refused},
    {"a_published_block_goes_to_who_adopts_it", a_published_block_goes_to_who_adopts_it},
    {"blocks_come_back_from_the_dead", blocks_come_back_from_the_dead},
    {"values_are_read_and_written_whole", values_are_read_and_written_whole},
    {"objects_are_found_created_and_listed", objects_are_found_created_and_listed},
    {NULL, NULL},
};
