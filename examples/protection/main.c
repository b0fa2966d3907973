//go:build ignore

// What pages allow: the least that does the job, changed when the job changes. A write where none is allowed is an error
// and no crash.
//
//     main config.bin

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void check(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "protection: %s\n", error.message);
        exit(1);
    }
}

static void say(const char *what, shmkit_status_t status) {
    const char *outcome = status == SHMKIT_OK                  ? "done"
                          : status == SHMKIT_READ_ONLY         ? "refused, read-only"
                          : status == SHMKIT_BUSY              ? "refused, busy"
                          : status == SHMKIT_PERMISSION_DENIED ? "refused, no access"
                                                               : shmkit_status_name(status);
    printf("%s: %s\n", what, outcome);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: protection PATH\n");
        return 2;
    }
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN;
    options.len = 2 * 4096;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    shmkit_mapping_t *mapping, *reader;
    check(shmkit_mapping_open(argv[1], &options, &mapping, &error));
    check(shmkit_mapping_write_at(mapping, 0, "config", 6, &error));
    check(shmkit_mapping_protect(mapping, 0, 4096, SHMKIT_PROTECTION_READ, &error));
    say("a write to a read-only page", shmkit_mapping_write_at(mapping, 0, "x", 1, &error));
    say("a write to the page after it", shmkit_mapping_write_at(mapping, 4096, "x", 1, &error));

    // A writable view would lose what it was given.
    void *view;
    size_t len = shmkit_mapping_len(mapping);
    check(shmkit_mapping_pin(mapping, 4096, 4096, true, &view, &error));
    say("protecting pages with a writable view",
        shmkit_mapping_protect(mapping, 0, len, SHMKIT_PROTECTION_READ, &error));
    check(shmkit_mapping_unpin(mapping, true, &error));
    char byte;
    check(shmkit_mapping_protect(mapping, 0, len, SHMKIT_PROTECTION_NONE, &error));
    say("a read of a page without access", shmkit_mapping_read_at(mapping, 0, &byte, 1, &error));
    check(shmkit_mapping_protect(mapping, 0, len, SHMKIT_PROTECTION_READ_WRITE, &error));
    say("a write after all was allowed", shmkit_mapping_write_at(mapping, 0, "C", 1, &error));

    // Opened for reading, a file can never be written through its mapping.
    check(shmkit_mapping_open(argv[1], NULL, &reader, &error));
    say("allowing writes to a file open for reading",
        shmkit_mapping_protect(reader, 0, len, SHMKIT_PROTECTION_READ_WRITE, &error));
    shmkit_mapping_free(reader);
    shmkit_mapping_free(mapping);
    return 0;
}
