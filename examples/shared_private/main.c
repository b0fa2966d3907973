//go:build ignore

// One file, mapped three times: shared, private, and for reading. Who sees what is written?
//
//     main data.bin

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void check(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "shared_private: %s\n", error.message);
        exit(1);
    }
}

static shmkit_mapping_t *map(const char *path, uint32_t flags, uint32_t protection) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = flags;
    options.len = flags & SHMKIT_MAP_LEN ? 4096 : 0;
    options.protection = protection;
    shmkit_mapping_t *mapping;
    check(shmkit_mapping_open(path, &options, &mapping, &error));
    return mapping;
}

static void show(const char *when, shmkit_mapping_t *const mappings[3]) {
    static const char *const names[] = {"shared", "private", "reader"};
    printf("after a %s write:", when);
    for (int i = 0; i < 3; i++) {
        char text[7] = "";
        check(shmkit_mapping_read_at(mappings[i], 0, text, 6, &error));
        text[strcspn(text, " ")] = '\0';
        printf(" %s %s%s", names[i], text, i < 2 ? "," : "\n");
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: shared_private PATH\n");
        return 2;
    }
    const char *path = argv[1];
    shmkit_mapping_t *shared = map(path, SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN, SHMKIT_PROTECTION_READ_WRITE);
    check(shmkit_mapping_write_at(shared, 0, "first ", 6, &error));

    // Copy-on-write: a page becomes this mapping's own at its first write.
    shmkit_mapping_t *private = map(path, SHMKIT_MAP_PRIVATE, SHMKIT_PROTECTION_READ_WRITE);
    shmkit_mapping_t *reader = map(path, 0, SHMKIT_PROTECTION_READ);
    shmkit_mapping_t *const mappings[3] = {shared, private, reader};
    check(shmkit_mapping_write_at(private, 0, "secret", 6, &error));
    show("private", mappings);
    check(shmkit_mapping_write_at(shared, 0, "public", 6, &error));
    show("shared", mappings);

    char text[7] = "";
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(text, 1, 6, file) != 6) {
        perror("shared_private");
        return 1;
    }
    fclose(file);
    printf("the file holds: %s\n", text);
    for (int i = 0; i < 3; i++) {
        shmkit_mapping_free(mappings[i]);
    }
    return 0;
}
