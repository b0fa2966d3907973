//go:build ignore

// A file that somebody cuts while it is mapped: zeros and an error, and no signal.
//
//     main data.bin     maps the file, has it cut, notices, and maps what is left

#define _GNU_SOURCE
#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program unless a call answered as it should.
static void expect(shmkit_status_t expected, shmkit_status_t status) {
    if (status != expected) {
        fprintf(stderr, "shrinking: %s expected, %s\n", shmkit_status_name(expected),
                status == SHMKIT_OK ? "but it went well" : error.message);
        exit(1);
    }
}

static void must(int good, const char *path) {
    if (!good) {
        perror(path);
        exit(1);
    }
}

static void write_file(const char *path) {
    static char letters[20000];
    memset(letters, 'x', sizeof letters);
    FILE *file = fopen(path, "wb");
    must(file && fwrite(letters, sizeof letters, 1, file) == 1 && fclose(file) == 0, path);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: shrinking PATH\n");
        return 2;
    }
    const char *path = argv[1];
    write_file(path);
    shmkit_mapping_t *mapping;
    expect(SHMKIT_OK, shmkit_mapping_open(path, NULL, &mapping, &error));
    void *view;
    expect(SHMKIT_OK, shmkit_mapping_pin(mapping, 0, shmkit_mapping_len(mapping), false, &view, &error));
    const volatile char *data = view;
    printf("mapped %zu bytes, one of them is %d\n", shmkit_mapping_len(mapping), data[15000]);

    // In practice somebody else does this, at any moment.
    must(truncate(path, 5000) == 0, path);

    // A view is plain memory and asks nobody: what is missing reads as zeros.
    printf("cut: now it is %d\n", data[15000]);

    // So ask after using it. From here on every checked call says the same.
    char byte;
    expect(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_check(mapping, &error));
    expect(SHMKIT_MAPPING_TRUNCATED, shmkit_mapping_read_at(mapping, 0, &byte, 1, &error));
    expect(SHMKIT_OK, shmkit_mapping_unpin(mapping, false, &error));
    shmkit_mapping_free(mapping);
    printf("noticed\n");

    expect(SHMKIT_OK, shmkit_mapping_open(path, NULL, &mapping, &error));
    printf("mapped again: %zu bytes\n", shmkit_mapping_len(mapping));
    shmkit_mapping_free(mapping);
    return 0;
}
