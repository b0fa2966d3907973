//go:build ignore

// A region that grows and shrinks while others use it; a mapping that grows with its file.
//
//     main scratch data.bin     resizes the region `scratch` and a mapping of the file, and removes the region

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void must(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "resize: %s\n", error.message);
        exit(1);
    }
}

static void resize_region(const char *name) {
    // Address space for a mebibyte, storage for a page.
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.capacity = 1 << 20;
    shmkit_region_t *region, *other;
    must(shmkit_region_create(name, 4096, &options, &region, &error));
    must(shmkit_region_open(name, NULL, &other, &error)); // usually in another process, in any language
    must(shmkit_region_write_at(region, 0, "kept", 4, &error));

    must(shmkit_region_resize(region, 1000000, &error));
    must(shmkit_region_write_at(other, 999999, "!", 1, &error));
    printf("grown: %zu bytes, the other sees %zu\n", shmkit_region_len(region), shmkit_region_len(other));

    must(shmkit_region_resize(region, 4096, &error));
    char kept[4];
    must(shmkit_region_read_at(other, 0, kept, sizeof kept, &error));
    printf("shrunk: %zu bytes, %.4s\n", shmkit_region_len(other), kept);
    shmkit_region_free(other);
    shmkit_region_free(region);
    must(shmkit_region_unlink(name, NULL, &error));
}

static void resize_mapping(const char *path) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_CREATE | SHMKIT_MAP_LEN;
    options.protection = SHMKIT_PROTECTION_READ_WRITE;
    options.len = 4096;
    options.reserve = 1 << 20;
    shmkit_mapping_t *mapping;
    must(shmkit_mapping_open(path, &options, &mapping, &error));
    size_t viewed = shmkit_mapping_len(mapping);
    void *view; // stays where it is
    must(shmkit_mapping_pin(mapping, 0, viewed, false, &view, &error));
    must(shmkit_mapping_resize(mapping, 100000, &error));
    must(shmkit_mapping_write_at(mapping, 99999, "!", 1, &error));
    printf("the file has %zu bytes, the view %zu\n", shmkit_mapping_len(mapping), viewed);
    must(shmkit_mapping_unpin(mapping, false, &error));
    shmkit_mapping_free(mapping);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: resize NAME PATH\n");
        return 2;
    }
    resize_region(argv[1]);
    resize_mapping(argv[2]);
    return 0;
}
