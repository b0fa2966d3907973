//go:build ignore

// Frames: passed from process to process, in any language, without a copy.
//
//     main frames produce 1000   fills so many frames in place and passes each on, to whoever takes it
//     main frames consume 1000   takes so many, checks that each is whole, and frees it
//     main frames hoard          takes every block there is and keeps them: kill it, and they come back
//     main frames show           says how many blocks are free
//     main frames remove         removes the region
//
// What is passed on is a number, the handle of a published block; the bytes stay where they are. Start producers and consumers
// as often as you like: as many consumed as produced, in all.

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A frame begins with its number and the sum of the bytes that follow, 8 bytes each.
enum { FRAME_LEN = 4096, FRAMES = 8, HEADER_LEN = 16 };

// The blocks, and the place where a handle is left for whoever comes for it; 0 while it is empty.
struct post {
    shmkit_region_t *region;
    shmkit_pool_t *pool;
    shmkit_atomic_t *mailbox;
};

static shmkit_status_t open_post(const char *name, struct post *post, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_region_open_or_create(name, 4096, NULL, &post->region, error);
    if (status == SHMKIT_OK) {
        shmkit_pool_options_t options = SHMKIT_POOL_OPTIONS_INIT;
        options.block_size = FRAME_LEN;
        options.count = FRAMES;
        status = shmkit_pool_open(post->region, "frames", &options, &post->pool, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_atomic_open(post->region, "mailbox", SHMKIT_OBJECT_KIND_ATOMIC_U64, 0, &post->mailbox, error);
    }
    return status;
}

static uint64_t sum(const unsigned char *frame) {
    uint64_t total = 0;
    for (size_t at = HEADER_LEN; at < FRAME_LEN; at++) {
        total += frame[at];
    }
    return total;
}

static shmkit_status_t produce(const struct post *post, uint64_t count, shmkit_error_t *error) {
    for (uint64_t number = 0; number < count; number++) {
        shmkit_pool_block_t frame;
        shmkit_status_t status = shmkit_pool_allocate(post->pool, &frame, error); // waits while all blocks are in use
        if (status != SHMKIT_OK) {
            return status;
        }
        unsigned char *bytes = frame.data;
        for (size_t at = HEADER_LEN; at < FRAME_LEN; at++) {
            bytes[at] = (unsigned char)(number + at);
        }
        uint64_t header[2] = {number, sum(bytes)};
        memcpy(bytes, header, sizeof header);
        status = shmkit_pool_publish(post->pool, frame.handle, error); // from here it belongs to nobody
        uint64_t other = 0;
        while (status == SHMKIT_OK && !shmkit_atomic_compare_exchange(post->mailbox, &other, frame.handle)) {
            status = shmkit_atomic_wait(post->mailbox, other, SHMKIT_FOREVER, 0, error);
            other = 0;
        }
        if (status != SHMKIT_OK) {
            return status;
        }
        shmkit_atomic_notify_all(post->mailbox);
    }
    printf("passed on %llu frames\n", (unsigned long long)count);
    return SHMKIT_OK;
}

// Takes a handle out of the mailbox.
static shmkit_status_t fetch(const struct post *post, uint64_t *handle, shmkit_error_t *error) {
    shmkit_status_t status = SHMKIT_OK;
    *handle = shmkit_atomic_load(post->mailbox);
    while (status == SHMKIT_OK && (*handle == 0 || !shmkit_atomic_compare_exchange(post->mailbox, handle, 0))) {
        status = shmkit_atomic_wait(post->mailbox, 0, SHMKIT_FOREVER, 0, error);
        *handle = shmkit_atomic_load(post->mailbox);
    }
    shmkit_atomic_notify_all(post->mailbox);
    return status;
}

static shmkit_status_t consume(const struct post *post, uint64_t count, shmkit_error_t *error) {
    uint64_t whole = 0;
    for (uint64_t turn = 0; turn < count; turn++) {
        uint64_t handle, header[2];
        shmkit_pool_block_t frame;
        shmkit_status_t status = fetch(post, &handle, error);
        if (status == SHMKIT_OK) {
            status = shmkit_pool_adopt(post->pool, handle, &frame, error);
        }
        if (status != SHMKIT_OK) {
            return status;
        }
        memcpy(header, frame.data, sizeof header);
        whole += sum(frame.data) == header[1];
        status = shmkit_pool_free_block(post->pool, frame.handle, error);
        if (status != SHMKIT_OK) {
            return status;
        }
    }
    printf("took %llu frames, %llu of them whole\n", (unsigned long long)count, (unsigned long long)whole);
    return SHMKIT_OK;
}

static shmkit_status_t hoard(const struct post *post, shmkit_error_t *error) {
    int taken = 0;
    shmkit_pool_block_t frame;
    shmkit_status_t status;
    while ((status = shmkit_pool_try_allocate(post->pool, &frame, error)) == SHMKIT_OK) {
        taken++;
    }
    if (status != SHMKIT_WOULD_BLOCK) {
        return status;
    }
    printf("took %d blocks\n", taken);
    fflush(stdout);
    getchar();
    return SHMKIT_OK;
}

static shmkit_status_t show(const char *name, struct post *post, shmkit_error_t *error) {
    shmkit_pool_status_t told = SHMKIT_POOL_STATUS_INIT;
    uint32_t recovered = 0;
    shmkit_status_t status = shmkit_region_open(name, NULL, &post->region, error);
    if (status == SHMKIT_OK) {
        status = shmkit_pool_open(post->region, "frames", NULL, &post->pool, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_pool_recover(post->pool, &recovered, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_pool_status(post->pool, &told, error);
    }
    if (status == SHMKIT_OK) {
        printf("%u of %u blocks free, %u came back from the dead\n", told.free, told.total, recovered);
    }
    return status;
}

static shmkit_status_t remove_region(const char *name, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_region_unlink(name, NULL, error);
    if (status == SHMKIT_OK) {
        printf("unlinked\n");
    }
    return status;
}

static shmkit_status_t run(const char *name, const char *what, uint64_t count, shmkit_error_t *error) {
    struct post post = {NULL, NULL, NULL};
    shmkit_status_t status;
    if (strcmp(what, "show") == 0) {
        status = show(name, &post, error);
    } else {
        status = open_post(name, &post, error);
        if (status == SHMKIT_OK && strcmp(what, "hoard") == 0) {
            status = hoard(&post, error);
        } else if (status == SHMKIT_OK) {
            status = strcmp(what, "produce") == 0 ? produce(&post, count, error) : consume(&post, count, error);
        }
    }
    // NULL, for what was not opened, is allowed.
    shmkit_atomic_free(post.mailbox);
    shmkit_pool_free(post.pool);
    shmkit_region_free(post.region);
    return status;
}

int main(int argc, char **argv) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    const char *what = argc > 2 ? argv[2] : "", *count = argc == 4 ? argv[3] : "";
    bool is_count = *count != '\0' && count[strspn(count, "0123456789")] == '\0';
    bool counts = is_count && (strcmp(what, "produce") == 0 || strcmp(what, "consume") == 0);
    bool looks = argc == 3 && (strcmp(what, "hoard") == 0 || strcmp(what, "show") == 0);
    shmkit_status_t status;
    if (argc == 3 && strcmp(what, "remove") == 0) {
        status = remove_region(argv[1], &error);
    } else if (counts || looks) {
        status = run(argv[1], what, strtoull(count, NULL, 10), &error);
    } else {
        fprintf(stderr, "usage: pool NAME produce COUNT|consume COUNT|hoard|show|remove\n");
        return 2;
    }
    if (status != SHMKIT_OK) {
        fprintf(stderr, "pool: %s\n", error.message);
        return 1;
    }
    return 0;
}
