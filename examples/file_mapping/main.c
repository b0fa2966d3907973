//go:build ignore

// A file as memory: one process writes through a mapping, another one reads, in any language.
//
//     main write data.bin     creates the file, maps it and writes `Hi` at offset 0
//     main read data.bin      maps the existing file for reading only

#include <shmkit.h>
#include <stdio.h>
#include <string.h>

static shmkit_status_t write_file(const char *path, shmkit_error_t *error) {
    // Made when it is missing, with mode 0644, and at least 4096 bytes long; never cut short.
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN;
    options.len = 4096;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;

    shmkit_mapping_t *mapping;
    shmkit_status_t status = shmkit_mapping_open(path, &options, &mapping, error);
    if (status == SHMKIT_OK) {
        status = shmkit_mapping_write_at(mapping, 0, "Hi", 2, error);
    }
    if (status == SHMKIT_OK) {
        // Others who map the file see the bytes already. This carries them to the disk.
        status = shmkit_mapping_flush(mapping, 0, shmkit_mapping_len(mapping), 0, error);
    }
    if (status == SHMKIT_OK) {
        printf("wrote 2 bytes to %s\n", path);
    }
    shmkit_mapping_free(mapping); // NULL, when nothing was mapped, is allowed
    return status;
}

static shmkit_status_t read_file(const char *path, shmkit_error_t *error) {
    shmkit_mapping_t *mapping;
    shmkit_status_t status = shmkit_mapping_open(path, NULL, &mapping, error);
    char text[3] = "";
    if (status == SHMKIT_OK) {
        status = shmkit_mapping_read_at(mapping, 0, text, 2, error);
    }
    if (status == SHMKIT_OK) {
        printf("read: %s\n", text);
    }
    shmkit_mapping_free(mapping);
    return status;
}

int main(int argc, char **argv) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    shmkit_status_t status;
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        status = write_file(argv[2], &error);
    } else if (argc == 3 && strcmp(argv[1], "read") == 0) {
        status = read_file(argv[2], &error);
    } else {
        fprintf(stderr, "usage: file_mapping write|read PATH\n");
        return 2;
    }
    if (status != SHMKIT_OK) {
        fprintf(stderr, "file_mapping: %s\n", error.message);
        return 1;
    }
    return 0;
}
