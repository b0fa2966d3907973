// Heaps: blocks by their offsets, who owns them, what is refused, and what happens to those of the dead.

#include "check.h"

enum { LEN = 64 << 10 };

static const uint32_t strategies[] = {SHMKIT_HEAP_STRATEGY_BEST_FIT, SHMKIT_HEAP_STRATEGY_FIRST_FIT,
                                      SHMKIT_HEAP_STRATEGY_BUDDY};

static shmkit_heap_t *create(const char *name, uint32_t strategy) {
    shmkit_heap_options_t options = SHMKIT_HEAP_OPTIONS_INIT;
    options.len = LEN;
    options.strategy = strategy;
    shmkit_heap_t *heap;
    EXPECT(SHMKIT_OK, shmkit_heap_create(name, &options, &heap, &error));
    CHECK(shmkit_heap_strategy(heap) == strategy && strcmp(shmkit_heap_name(heap), "heap") == 0);
    return heap;
}

static void destroy(shmkit_heap_t *heap, const char *name) {
    EXPECT(SHMKIT_OK, shmkit_heap_check(heap, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_close(heap, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_heap_check(heap, &error));
    CHECK(shmkit_heap_is_closed(heap));
    shmkit_heap_free(heap);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

static shmkit_heap_status_t status_of(shmkit_heap_t *heap) {
    shmkit_heap_status_t status = SHMKIT_HEAP_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_heap_status(heap, &status, &error));
    return status;
}

static void blocks_are_allocated_and_freed(void) {
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        const char *name = fresh_name();
        shmkit_heap_t *heap = create(name, strategies[i]);
        shmkit_block_t first, second;
        EXPECT(SHMKIT_OK, shmkit_heap_allocate(heap, 100, 0, SHMKIT_HEAP_ZEROED, &first, &error));
        EXPECT(SHMKIT_OK, shmkit_heap_allocate(heap, 100, 1024, 0, &second, &error));
        CHECK(first.len == 100 && first.offset % 16 == 0 && (uintptr_t)second.data % 1024 == 0);
        for (int at = 0; at < 100; at++)
            CHECK(((char *)first.data)[at] == 0);
        memset(first.data, 'a', 100);
        memset(second.data, 'b', 100);
        size_t usable;
        EXPECT(SHMKIT_OK, shmkit_heap_usable_size(heap, first.offset, &usable, &error));
        CHECK(usable >= 100);

        uint64_t before = first.offset;
        EXPECT(SHMKIT_OK, shmkit_heap_resize(heap, &first, 5000, 0, &error));
        CHECK(first.len == 5000 && first.offset != before && memcmp(first.data, "aaaa", 4) == 0);
        EXPECT(SHMKIT_OK, shmkit_heap_resize_in_place(heap, &first, 50, &error));
        shmkit_block_t kept = first;
        EXPECT(SHMKIT_NO_SPACE, shmkit_heap_resize_in_place(heap, &first, 1 << 20, &error));
        EXPECT(SHMKIT_NO_SPACE, shmkit_heap_resize(heap, &first, 1 << 20, 0, &error));
        CHECK(memcmp(&kept, &first, sizeof kept) == 0);

        shmkit_heap_status_t status = status_of(heap);
        CHECK(status.used_blocks == 2 && status.used >= 150 && status.largest_free <= status.free);
        CHECK(status.fragmentation >= 0 && status.fragmentation < 1);
        size_t count = 0;
        EXPECT(SHMKIT_OK, shmkit_heap_blocks(heap, NULL, 0, &count, &error));
        CHECK(count == status.used_blocks + status.free_blocks);
        shmkit_block_status_t blocks[2];
        EXPECT(SHMKIT_OK, shmkit_heap_blocks(heap, blocks, 2, NULL, &error));
        CHECK(blocks[0].offset < blocks[1].offset);
        shmkit_heap_owner_t owner;
        EXPECT(SHMKIT_OK, shmkit_heap_owners(heap, &owner, 1, &count, &error));
        CHECK(count == 1 && owner.blocks == 2 && owner.pid == (uint32_t)getpid());
        CHECK(owner.flags == SHMKIT_BLOCK_OWNER_ALIVE);

        EXPECT(SHMKIT_OK, shmkit_heap_free_block(heap, first.offset, &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_free_block(heap, first.offset, &error));
        EXPECT(SHMKIT_OK, shmkit_heap_free_block(heap, second.offset, &error));
        CHECK(status_of(heap).used_blocks == 0 && status_of(heap).fragmentation == 0);
        destroy(heap, name);
    }
}

static void what_is_no_block_is_refused(void) {
    const char *name = fresh_name();
    shmkit_heap_t *heap = create(name, SHMKIT_HEAP_STRATEGY_BEST_FIT);
    shmkit_block_t block, other;
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_heap_allocate(heap, 0, 0, 0, &block, &error));
    CHECK(block.data == NULL && block.offset == 0 && block.len == 0);
    EXPECT(SHMKIT_NO_SPACE, shmkit_heap_allocate(heap, SIZE_MAX, 0, 0, &block, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_allocate(heap, 10, 3, 0, &block, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_allocate(heap, 10, 8192, 0, &block, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_allocate(heap, 10, 0, 2, &block, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_allocate(heap, 10, 0, 0, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_allocate(NULL, 10, 0, 0, &block, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_allocate(heap, 1000, 0, 0, &block, &error));
    const uint64_t wrong[] = {0, block.offset + 1, block.offset + 16, UINT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t usable = 7;
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_free_block(heap, wrong[i], &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_usable_size(heap, wrong[i], &usable, &error));
        CHECK(usable == 0);
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_publish(heap, wrong[i], &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_adopt(heap, wrong[i], &other, &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_block(heap, wrong[i], &other, &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_pin(heap, wrong[i], false, &other, &error));
        CHECK(other.data == NULL);
        other.offset = wrong[i];
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_resize(heap, &other, 10, 0, &error));
        EXPECT(SHMKIT_INVALID_BLOCK, shmkit_heap_resize_in_place(heap, &other, 10, &error));
    }
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_resize(heap, NULL, 10, 0, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_usable_size(heap, block.offset, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_blocks(heap, NULL, 1, NULL, &error));
    shmkit_heap_status_t unset = {0};
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_status(heap, &unset, &error));

    EXPECT(SHMKIT_OK, shmkit_heap_block(heap, block.offset, &other, &error));
    CHECK(other.data == block.data && other.len >= block.len);
    EXPECT(SHMKIT_OK, shmkit_heap_pin(heap, block.offset, true, &other, &error));
    CHECK(other.data == block.data);
    EXPECT(SHMKIT_BUSY, shmkit_heap_close(heap, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_unpin(heap, true, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_heap_unpin(heap, true, &error));
    destroy(heap, name);
}

static void options_are_checked(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_heap_options_t options = SHMKIT_HEAP_OPTIONS_INIT;
    shmkit_heap_t *heap, *same;
    EXPECT(SHMKIT_NOT_FOUND, shmkit_heap_open(region, "h", NULL, &heap, &error));
    REFUSED(SHMKIT_INVALID_LENGTH, shmkit_heap_open(region, "h", &options, &heap, &error));
    CHECK(shmkit_heap_arena_len(&options) == 0);
    options.len = 10000;
    options.strategy = 3;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_heap_open(region, "h", &options, &heap, &error));
    options.strategy = SHMKIT_HEAP_STRATEGY_BUDDY;
    options.min_block = 48;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_heap_open(region, "h", &options, &heap, &error));
    options.min_block = 32;
    options.flags = SHMKIT_HEAP_PATH;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_heap_open(region, "h", &options, &heap, &error));
    options.flags = SHMKIT_HEAP_RECLAIM;
    CHECK(shmkit_heap_arena_len(&options) > options.len);
    EXPECT(SHMKIT_OK, shmkit_heap_open(region, "h", &options, &heap, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_open(region, "h", NULL, &same, &error));
    CHECK(shmkit_heap_strategy(same) == SHMKIT_HEAP_STRATEGY_BUDDY);
    shmkit_heap_free(same);
    options.min_block = 64;
    EXPECT(SHMKIT_PARAMETER_MISMATCH, shmkit_heap_open(region, "h", &options, &same, &error));
    options.len = 1ull << 30;
    EXPECT(SHMKIT_NO_SPACE, shmkit_heap_open(region, "large", &options, &same, &error));
    shmkit_heap_free(heap);
    finish(region, name);
    EXPECT(SHMKIT_NOT_FOUND, shmkit_heap_open_own(name, 0, &heap, &error));
    options.len = 10000;
    EXPECT(SHMKIT_OK, shmkit_heap_open_or_create(name, &options, &heap, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_open_own(name, 0, &same, &error));
    shmkit_heap_free(same);
    EXPECT(SHMKIT_ALREADY_EXISTS, shmkit_heap_create(name, &options, &same, &error));
    CHECK(same == NULL);
    destroy(heap, name);
}

static shmkit_heap_t *find(shmkit_region_t *region) {
    shmkit_heap_options_t options = SHMKIT_HEAP_OPTIONS_INIT;
    options.len = LEN;
    shmkit_heap_t *heap;
    EXPECT(SHMKIT_OK, shmkit_heap_open(region, "h", &options, &heap, &error));
    return heap;
}

static void publish_one_and_keep_two(const char *name) {
    shmkit_region_t *region = open_region(name);
    shmkit_heap_t *heap = find(region);
    shmkit_block_t kept, published;
    for (int i = 0; i < 2; i++)
        EXPECT(SHMKIT_OK, shmkit_heap_allocate(heap, 1000, 0, 0, &kept, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_allocate(heap, 100, 0, 0, &published, &error));
    memcpy(published.data, "hello", 6);
    EXPECT(SHMKIT_OK, shmkit_heap_publish(heap, published.offset, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_heap_publish(heap, published.offset, &error));
    EXPECT(SHMKIT_OK, shmkit_region_write_at(region, 64, &published.offset, 8, &error));
    EXPECT(SHMKIT_OK, shmkit_region_write_at(region, 72, &kept.offset, 8, &error));
    stay(region);
}

static void blocks_of_the_dead_are_adopted_or_reclaimed(void) {
    const char *name = fresh_name();
    shmkit_region_t *region = open_region(name);
    shmkit_heap_t *heap = find(region);
    pid_t child = start(publish_one_and_keep_two, region, name);
    uint64_t published, kept, count;
    EXPECT(SHMKIT_OK, shmkit_region_read_at(region, 64, &published, 8, &error));
    EXPECT(SHMKIT_OK, shmkit_region_read_at(region, 72, &kept, 8, &error));
    shmkit_block_t block;
    EXPECT(SHMKIT_OK, shmkit_heap_adopt(heap, published, &block, &error));
    CHECK(strcmp(block.data, "hello") == 0);
    EXPECT(SHMKIT_OK, shmkit_heap_free_block(heap, published, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_heap_adopt(heap, kept, &block, &error));
    EXPECT(SHMKIT_NOT_OWNER, shmkit_heap_free_block(heap, kept, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_reclaim(heap, &count, &error));
    CHECK(count == 0);
    kill_child(child);
    EXPECT(SHMKIT_NOT_OWNER, shmkit_heap_free_block(heap, kept, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_adopt(heap, kept, &block, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_reclaim(heap, &count, &error));
    CHECK(count == 1 && status_of(heap).used_blocks == 1 && status_of(heap).reclaimed == 1);
    EXPECT(SHMKIT_OK, shmkit_heap_free_block(heap, kept, &error));
    EXPECT(SHMKIT_OK, shmkit_heap_check(heap, &error));
    shmkit_heap_free(heap);
    finish(region, name);
}

static void *allocate_and_free(void *argument) {
    shmkit_heap_t *heap = argument;
    for (int i = 0; i < 500; i++) {
        shmkit_block_t block;
        CHECK(shmkit_heap_allocate(heap, (size_t)(i % 300) + 1, 0, 0, &block, NULL) == SHMKIT_OK);
        __tsan_acquire(heap);
        memset(block.data, i, block.len);
        __tsan_release(heap);
        CHECK(shmkit_heap_free_block(heap, block.offset, NULL) == SHMKIT_OK);
    }
    return NULL;
}

static void threads_share_a_heap(void) {
    const char *name = fresh_name();
    shmkit_heap_t *heap = create(name, SHMKIT_HEAP_STRATEGY_FIRST_FIT);
    in_threads(allocate_and_free, heap);
    CHECK(status_of(heap).used_blocks == 0);
    destroy(heap, name);
}

const struct test heap_tests[] = {
    {"blocks_are_allocated_and_freed", blocks_are_allocated_and_freed},
    {"what_is_no_block_is_refused", what_is_no_block_is_refused},
    {"heap_options_are_checked", options_are_checked},
    {"blocks_of_the_dead_are_adopted_or_reclaimed", blocks_of_the_dead_are_adopted_or_reclaimed},
    {"threads_share_a_heap", threads_share_a_heap},
    {NULL, NULL},
};
