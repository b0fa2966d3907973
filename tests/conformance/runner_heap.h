// The runner's operations on heaps.
#ifndef RUNNER_HEAP_H
#define RUNNER_HEAP_H

#include "runner_handles.h"

static bool data_of(const struct command *command, unsigned char **data, size_t *len);

static uint64_t offset_of(const struct command *command) {
    return number(command, "offset", 0, 10);
}

static size_t size_of(const struct command *command) {
    return number(command, "size", 0, 10);
}

// Opens a heap; without `len`, only one that exists.
static shmkit_status_t open_heap(const struct command *command, const shmkit_region_t *region, const char *name,
                                 shmkit_heap_t **heap) {
    static const char *const strategies[] = {"best_fit", "first_fit", "buddy", NULL};
    if (!find(command, "len")) {
        return shmkit_heap_open(region, name, NULL, heap, &error);
    }
    shmkit_heap_options_t options = SHMKIT_HEAP_OPTIONS_INIT;
    options.len = number(command, "len", 0, 10);
    options.strategy = (uint32_t)index_of(text_of(command, "strategy", "best_fit"), strategies);
    uint64_t min_block = number(command, "min_block", 0, 10);
    options.min_block = min_block < UINT32_MAX ? (uint32_t)min_block : UINT32_MAX;
    options.flags = flag(command, "reclaim") ? SHMKIT_HEAP_RECLAIM : 0;
    return shmkit_heap_open(region, name, &options, heap, &error);
}

static int run_heap_allocate(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    size_t align = number(command, "align", 0, 10);
    uint32_t flags = flag(command, "zeroed") ? SHMKIT_HEAP_ZEROED : 0;
    shmkit_status_t status = shmkit_heap_allocate(object->heap, size_of(command), align, flags, &block, &error);
    return answer(status, " offset=%llu", (unsigned long long)block.offset);
}

static int run_heap_free(const struct command *command, const struct object *object) {
    return done(shmkit_heap_free_block(object->heap, offset_of(command), &error));
}

static int run_heap_usable(const struct command *command, const struct object *object) {
    size_t size;
    shmkit_status_t status = shmkit_heap_usable_size(object->heap, offset_of(command), &size, &error);
    return answer(status, " size=%zu", size);
}

static int run_heap_resize(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    shmkit_status_t status = shmkit_heap_block(object->heap, offset_of(command), &block, &error);
    if (status == SHMKIT_OK) {
        status = flag(command, "in_place")
                     ? shmkit_heap_resize_in_place(object->heap, &block, size_of(command), &error)
                     : shmkit_heap_resize(object->heap, &block, size_of(command), 0, &error);
    }
    return answer(status, " offset=%llu", (unsigned long long)block.offset);
}

static int run_heap_publish(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    shmkit_status_t status = shmkit_heap_block(object->heap, offset_of(command), &block, &error);
    if (status == SHMKIT_OK) {
        status = shmkit_heap_publish(object->heap, block.offset, &error);
    }
    return answer(status, " offset=%llu", (unsigned long long)block.offset);
}

static int run_heap_adopt(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    shmkit_status_t status = shmkit_heap_adopt(object->heap, offset_of(command), &block, &error);
    return answer(status, " size=%zu", block.len);
}

static int run_heap_read(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    size_t len = number(command, "len", 0, 10);
    shmkit_status_t status = shmkit_heap_pin(object->heap, offset_of(command), false, &block, &error);
    if (status != SHMKIT_OK || len > block.len) {
        return status != SHMKIT_OK ? done(status) : fail("a block of %zu bytes", block.len);
    }
    answer_data(status, block.data, len);
    shmkit_heap_unpin(object->heap, false, NULL);
    return 0;
}

static int run_heap_write(const struct command *command, const struct object *object) {
    shmkit_block_t block;
    size_t len;
    unsigned char *data;
    if (!data_of(command, &data, &len)) {
        return fail("data is not hexadecimal");
    }
    shmkit_status_t status = shmkit_heap_pin(object->heap, offset_of(command), true, &block, &error);
    if (status != SHMKIT_OK || len > block.len) {
        return status != SHMKIT_OK ? done(status) : fail("a block of %zu bytes", block.len);
    }
    memcpy(block.data, data, len);
    return done(shmkit_heap_unpin(object->heap, true, &error));
}

static int run_heap_check(const struct command *command, const struct object *object) {
    (void)command;
    return done(shmkit_heap_check(object->heap, &error));
}

static int run_heap_reclaim(const struct command *command, const struct object *object) {
    (void)command;
    uint64_t count = 0;
    shmkit_status_t status = shmkit_heap_reclaim(object->heap, &count, &error);
    return answer(status, " count=%llu", (unsigned long long)count);
}

static int run_heap_info(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_heap_status_t found = SHMKIT_HEAP_STATUS_INIT;
    shmkit_status_t status = shmkit_heap_status(object->heap, &found, &error);
    return answer(status, " used=%llu published=%llu free=%llu fragmented=%d", (unsigned long long)found.used_blocks,
                  (unsigned long long)found.published_blocks, (unsigned long long)found.free_blocks,
                  found.fragmentation > 0);
}

static bool holds_only(const shmkit_block_t *block, unsigned char fill) {
    for (size_t i = 0; i < block->len; i++) {
        if (((const unsigned char *)block->data)[i] != fill) {
            return false;
        }
    }
    return true;
}

// So many steps at random, on blocks that hold one byte all over; in the end all are freed.
static int run_heap_play(const struct command *command, const struct object *object) {
    enum { MOST = 40 };
    uint64_t seed = number(command, "seed", 1, 10), random = seed, steps = number(command, "count", 0, 10);
    unsigned char fill = (unsigned char)seed;
    shmkit_block_t blocks[MOST];
    size_t count = 0;
    shmkit_status_t status = SHMKIT_OK;
    for (; steps > 0 && (status == SHMKIT_OK || status == SHMKIT_NO_SPACE); steps--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t len = (random >> 20) % 600 + 1, index = count > 0 ? (random >> 8) % count : 0;
        shmkit_block_t *block = &blocks[index];
        if (count == 0 || (count < MOST && (random & 1) != 0)) {
            block = &blocks[count];
            status = shmkit_heap_allocate(object->heap, len, 0, 0, block, &error);
            if (status == SHMKIT_OK) {
                memset(block->data, fill, len);
                count++;
            }
        } else if (!holds_only(block, fill)) {
            return fail("somebody else wrote into a block");
        } else if ((random >> 1 & 3) != 0) {
            status = shmkit_heap_free_block(object->heap, block->offset, &error);
            *block = blocks[--count];
        } else {
            status = shmkit_heap_resize(object->heap, block, len, 0, &error);
            if (status == SHMKIT_OK) {
                memset(block->data, fill, len);
            }
        }
    }
    status = status == SHMKIT_NO_SPACE ? SHMKIT_OK : status;
    while (count > 0 && status == SHMKIT_OK) {
        status = shmkit_heap_free_block(object->heap, blocks[--count].offset, &error);
    }
    return done(status);
}

#endif
