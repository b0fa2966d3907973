// The runner's operations on pools.
#ifndef RUNNER_POOL_H
#define RUNNER_POOL_H

#include "runner_handles.h"

static bool data_of(const struct command *command, unsigned char **data, size_t *len);
static uint64_t timeout_of(const struct command *command);
static uint32_t small(const struct command *command, const char *key, uint32_t otherwise);

static uint64_t block_of(const struct command *command) {
    return number(command, "block", 0, 10);
}

// Opens a pool; without `block_size`, only one that exists.
static shmkit_status_t open_pool(const struct command *command, const shmkit_region_t *region, const char *name,
                                 shmkit_pool_t **pool) {
    shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
    options.block_size = number(command, "block_size", 0, 10);
    options.count = small(command, "count", 0);
    options.alignment = small(command, "alignment", 0);
    return shmkit_pool_open(region, name, find(command, "block_size") ? &options : NULL, pool, &error);
}

static int run_pool_allocate(const struct command *command, const struct object *object) {
    shmkit_pool_block_t block;
    uint64_t timeout_ns = timeout_of(command);
    shmkit_status_t status = timeout_ns == SHMKIT_FOREVER
                                 ? shmkit_pool_allocate(object->pool, &block, &error)
                                 : shmkit_pool_allocate_wait(object->pool, timeout_ns, 0, &block, &error);
    return answer(status, " block=%llu", (unsigned long long)block.handle);
}

static int run_pool_try_allocate(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_pool_block_t block = {0};
    shmkit_status_t status = shmkit_pool_try_allocate(object->pool, &block, &error);
    bool taken = status == SHMKIT_OK;
    return answer(status == SHMKIT_WOULD_BLOCK ? SHMKIT_OK : status, " taken=%d block=%llu", taken,
                  taken ? (unsigned long long)block.handle : 0);
}

// The bytes of the block of a pool that a handle names: blocks follow each other.
static shmkit_status_t find_block(const struct object *object, uint64_t handle, unsigned char **data, size_t *len) {
    shmkit_pool_words_t words = SHMKIT_POOL_WORDS_INIT;
    shmkit_status_t status = shmkit_pool_words(object->pool, &words, &error);
    if (status == SHMKIT_OK) {
        *data = (unsigned char *)words.blocks + ((uint32_t)handle - 1) * words.stride;
        *len = words.block_size;
    }
    return status;
}

static int run_pool_write(const struct command *command, const struct object *object) {
    unsigned char *from, *data = NULL;
    size_t count, len = 0;
    if (!data_of(command, &from, &count)) {
        return fail("data is not hexadecimal");
    }
    shmkit_status_t status = find_block(object, block_of(command), &data, &len);
    if (status == SHMKIT_OK && count > len) {
        return fail("a block of %zu bytes", len);
    }
    if (status == SHMKIT_OK) {
        memcpy(data, from, count);
    }
    return done(status);
}

static int run_pool_read(const struct command *command, const struct object *object) {
    unsigned char *data = NULL;
    size_t len = 0, count = number(command, "len", 0, 10);
    shmkit_status_t status = find_block(object, block_of(command), &data, &len);
    return status == SHMKIT_OK && count > len ? fail("a block of %zu bytes", len) : answer_data(status, data, count);
}

static int run_pool_free(const struct command *command, const struct object *object) {
    return done(shmkit_pool_free_block(object->pool, block_of(command), &error));
}

static int run_pool_publish(const struct command *command, const struct object *object) {
    return done(shmkit_pool_publish(object->pool, block_of(command), &error));
}

static int run_pool_adopt(const struct command *command, const struct object *object) {
    shmkit_pool_block_t block;
    shmkit_status_t status = shmkit_pool_adopt(object->pool, block_of(command), &block, &error);
    return answer(status, " block=%llu size=%zu", (unsigned long long)block.handle, block.len);
}

static int run_pool_recover(const struct command *command, const struct object *object) {
    (void)command;
    uint32_t count = 0;
    shmkit_status_t status = shmkit_pool_recover(object->pool, &count, &error);
    return answer(status, " count=%u", (unsigned)count);
}

static int run_pool_info(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_pool_status_t found = SHMKIT_POOL_STATUS_INIT;
    shmkit_status_t status = shmkit_pool_status(object->pool, &found, &error);
    return answer(status, " size=%llu stride=%llu total=%u free=%u owned=%u published=%u damaged=%u recovered=%u",
                  (unsigned long long)found.block_size, (unsigned long long)found.stride, (unsigned)found.total,
                  (unsigned)found.free, (unsigned)found.owned, (unsigned)found.published, (unsigned)found.damaged,
                  (unsigned)found.recovered);
}

static int run_pool_blocks(const struct command *command, const struct object *object) {
    (void)command;
    enum { MOST_BLOCKS = 64 };
    char states[MOST_BLOCKS + 1] = "", published[MOST_BLOCKS * 21 + 1] = "";
    uint32_t count = 0;
    int mine = 0;
    size_t len = 0;
    for (; count < MOST_BLOCKS; count++) {
        shmkit_pool_block_status_t block = SHMKIT_POOL_BLOCK_STATUS_INIT;
        shmkit_status_t status = shmkit_pool_block_at(object->pool, count, &block, &error);
        if (status != SHMKIT_OK && status != SHMKIT_OUT_OF_RANGE) {
            return done(status);
        }
        if (status == SHMKIT_OUT_OF_RANGE) {
            break;
        }
        states[count] = "fopd"[block.state];
        mine += (int)block.mine;
        if (block.state == SHMKIT_BLOCK_STATE_PUBLISHED) {
            len += (size_t)snprintf(published + len, sizeof published - len, "%s%llu", len > 0 ? "," : "",
                                    (unsigned long long)block.handle);
        }
    }
    return answer(SHMKIT_OK, " states=%s mine=%d published=%s", states, mine, published);
}

static bool block_holds_only(const shmkit_pool_block_t *block, unsigned char fill) {
    for (size_t i = 0; i < block->len; i++) {
        if (((const unsigned char *)block->data)[i] != fill) {
            return false;
        }
    }
    return true;
}

// Leaves the block in the post, and takes in its place the one that lay there; none, or one that somebody who lists the
// published ones has adopted, makes `*held` one less.
static shmkit_status_t exchange(const struct object *object, const struct object *post, shmkit_pool_block_t *block,
                                size_t *held) {
    shmkit_status_t status = shmkit_pool_publish(object->pool, block->handle, &error);
    if (status != SHMKIT_OK) {
        return status;
    }
    status = shmkit_pool_adopt(object->pool, shmkit_atomic_swap(post->atomic, block->handle), block, &error);
    if (status == SHMKIT_STALE_HANDLE || status == SHMKIT_INVALID_BLOCK) {
        --*held;
        return SHMKIT_WOULD_BLOCK;
    }
    return status;
}

// So many steps at random, on blocks that hold one byte all over; some go to others by way of the post. In the end all
// that it has are freed.
static int run_pool_play(const struct command *command, const struct object *object) {
    enum { MOST = 4 };
    static const uint64_t PATIENCE_NS = 20000000000;
    const struct object *post = object_of(command, "post");
    uint64_t random = number(command, "seed", 1, 10), steps = number(command, "count", 0, 10);
    unsigned char fill = (unsigned char)random;
    shmkit_pool_block_t blocks[MOST];
    size_t held = 0;
    shmkit_status_t status = SHMKIT_OK;
    for (; steps > 0 && (status == SHMKIT_OK || status == SHMKIT_WOULD_BLOCK); steps--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (held == 0 || (held < MOST && (random & 1) != 0)) {
            shmkit_pool_block_t *block = &blocks[held];
            status = held == 0 ? shmkit_pool_allocate_wait(object->pool, PATIENCE_NS, 0, block, &error)
                               : shmkit_pool_try_allocate(object->pool, block, &error);
            if (status == SHMKIT_OK) {
                memset(block->data, fill, block->len);
                held++;
            }
            continue;
        }
        size_t index = (random >> 8) % held;
        shmkit_pool_block_t block = blocks[index], *last = &blocks[held - 1];
        blocks[index] = *last;
        if (!block_holds_only(&block, fill)) {
            return fail("somebody else wrote into a block");
        }
        if ((random >> 1 & 3) != 0) {
            status = shmkit_pool_free_block(object->pool, block.handle, &error);
            held--;
            continue;
        }
        *last = block;
        status = exchange(object, post, last, &held);
        if (status == SHMKIT_OK) {
            if (!block_holds_only(last, *(const unsigned char *)last->data)) {
                return fail("somebody wrote into a published block");
            }
            memset(last->data, fill, last->len);
        }
    }
    status = status == SHMKIT_WOULD_BLOCK ? SHMKIT_OK : status;
    while (held > 0 && status == SHMKIT_OK) {
        status = shmkit_pool_free_block(object->pool, blocks[--held].handle, &error);
    }
    return done(status);
}

#endif
