//go:build ignore

// A named region: one process leaves a message under the guard, another one reads it, in any language.
//
//     main write greeting     creates the region and leaves a message
//     main read greeting      opens it, reads the message and removes the region
//
// The message: its length as a uint32_t in the machine's byte order at offset 0, its bytes at offset 4.

#include <shmkit.h>
#include <stdio.h>
#include <string.h>

// Takes the guard. That an earlier owner died inside is a reason to give up here: the message might be half-written.
static shmkit_status_t lock(shmkit_region_t *region, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_region_lock(region, error);
    if (status == SHMKIT_OWNER_DIED) {
        shmkit_region_unlock(region, NULL); // the guard is held even so
    }
    return status;
}

static shmkit_status_t put_message(shmkit_region_t *region, const char *message, shmkit_error_t *error) {
    uint32_t len = (uint32_t)strlen(message);
    shmkit_status_t status = shmkit_region_write_at(region, 0, &len, sizeof len, error);
    return status == SHMKIT_OK ? shmkit_region_write_at(region, 4, message, len, error) : status;
}

static shmkit_status_t get_message(shmkit_region_t *region, char *message, size_t room, shmkit_error_t *error) {
    uint32_t len = 0;
    shmkit_status_t status = shmkit_region_read_at(region, 0, &len, sizeof len, error);
    // Another process wrote this number: it is checked before it is used as a size.
    size_t size = len < room ? len : room - 1;
    message[size] = '\0';
    return status == SHMKIT_OK ? shmkit_region_read_at(region, 4, message, size, error) : status;
}

static shmkit_status_t write_region(const char *name, shmkit_error_t *error) {
    const char *message = "hello from c";
    shmkit_region_t *region;
    shmkit_status_t status = shmkit_region_create(name, 4096, NULL, &region, error);
    if (status == SHMKIT_OK && (status = lock(region, error)) == SHMKIT_OK) {
        status = put_message(region, message, error);
        shmkit_region_unlock(region, NULL);
    }
    if (status == SHMKIT_OK) {
        printf("wrote: %s\n", message);
    }
    // The region stays when its creator closes it and ends, until somebody unlinks it.
    shmkit_region_free(region); // NULL, when there is none, is allowed
    return status;
}

static shmkit_status_t read_region(const char *name, shmkit_error_t *error) {
    char message[1024] = "";
    shmkit_region_t *region;
    shmkit_status_t status = shmkit_region_open(name, NULL, &region, error);
    if (status == SHMKIT_OK && (status = lock(region, error)) == SHMKIT_OK) {
        status = get_message(region, message, sizeof message, error);
        shmkit_region_unlock(region, NULL);
    }
    shmkit_region_free(region);
    if (status == SHMKIT_OK) {
        printf("read: %s\n", message);
        status = shmkit_region_unlink(name, NULL, error);
    }
    if (status == SHMKIT_OK) {
        printf("unlinked\n");
    }
    return status;
}

int main(int argc, char **argv) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_status_t status;
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        status = write_region(argv[2], &error);
    } else if (argc == 3 && strcmp(argv[1], "read") == 0) {
        status = read_region(argv[2], &error);
    } else {
        fprintf(stderr, "usage: named_region write|read NAME\n");
        return 2;
    }
    if (status != SHMKIT_OK) {
        fprintf(stderr, "named_region: %s\n", error.message);
        return 1;
    }
    return 0;
}
