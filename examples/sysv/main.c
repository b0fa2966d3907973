//go:build ignore

// System V shared memory under a System V semaphore: one process writes, another one reads, in any language, with or
// without this library (plain.c beside this file uses the system calls themselves).
//
//     main write KEY TEXT     P, write, V
//     main read KEY           P, read, V
//     main remove KEY

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEN = 4096 };

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void check(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "sysv: %s\n", error.message);
        exit(1);
    }
}

static shmkit_mapping_t *map(shmkit_sysv_segment_t *segment, uint32_t protection) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.protection = protection;
    shmkit_mapping_t *mapping;
    check(shmkit_sysv_segment_map(segment, &options, &mapping, &error));
    shmkit_sysv_segment_free(segment);
    return mapping;
}

static void write_text(int32_t key, const char *text) {
    shmkit_sysv_semaphore_t *semaphore;
    shmkit_sysv_segment_t *segment;
    // The semaphore first: who finds the segment finds what guards it.
    check(shmkit_sysv_semaphore_open_or_create(key, 1, NULL, &semaphore, &error));
    check(shmkit_sysv_segment_open_or_create(key, LEN, 0, &segment, &error));
    shmkit_mapping_t *mapping = map(segment, SHMKIT_PROTECTION_READ_WRITE);
    check(shmkit_sysv_semaphore_acquire(semaphore, 1, &error));
    check(shmkit_mapping_write_at(mapping, 0, text, strlen(text) + 1, &error));
    check(shmkit_sysv_semaphore_release(semaphore, 1, &error));
    printf("wrote: %s\n", text);
    shmkit_mapping_free(mapping);
    shmkit_sysv_semaphore_free(semaphore);
}

static void read_text(int32_t key) {
    shmkit_sysv_semaphore_t *semaphore;
    shmkit_sysv_segment_t *segment;
    check(shmkit_sysv_segment_open(key, &segment, &error));
    shmkit_mapping_t *mapping = map(segment, SHMKIT_PROTECTION_READ);
    check(shmkit_sysv_semaphore_open(key, NULL, &semaphore, &error));
    char text[LEN];
    check(shmkit_sysv_semaphore_acquire(semaphore, 1, &error));
    check(shmkit_mapping_read_at(mapping, 0, text, LEN, &error));
    check(shmkit_sysv_semaphore_release(semaphore, 1, &error));
    printf("read: %.*s\n", LEN, text);
    shmkit_mapping_free(mapping);
    shmkit_sysv_semaphore_free(semaphore);
}

static void remove_both(int32_t key) {
    shmkit_sysv_semaphore_t *semaphore;
    shmkit_sysv_segment_t *segment;
    check(shmkit_sysv_segment_open(key, &segment, &error));
    check(shmkit_sysv_semaphore_open(key, NULL, &semaphore, &error));
    check(shmkit_sysv_segment_remove(segment, &error));
    check(shmkit_sysv_semaphore_remove(semaphore, &error));
    printf("removed\n");
    shmkit_sysv_segment_free(segment);
    shmkit_sysv_semaphore_free(semaphore);
}

int main(int argc, char **argv) {
    int32_t key = argc > 2 ? (int32_t)strtol(argv[2], NULL, 10) : 0;
    if (argc == 4 && strcmp(argv[1], "write") == 0) {
        write_text(key, argv[3]);
    } else if (argc == 3 && strcmp(argv[1], "read") == 0) {
        read_text(key);
    } else if (argc == 3 && strcmp(argv[1], "remove") == 0) {
        remove_both(key);
    } else {
        fprintf(stderr, "usage: sysv write KEY TEXT | read KEY | remove KEY\n");
        return 2;
    }
    return 0;
}
