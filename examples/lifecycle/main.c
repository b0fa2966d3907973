//go:build ignore

// From creation to removal: nothing is released under somebody who still uses it.
//
//     main scratch     creates the region `scratch`, tries to close it too early, and removes it

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program unless a call answered as it should.
static void expect(shmkit_status_t expected, shmkit_status_t status) {
    if (status != expected) {
        fprintf(stderr, "lifecycle: %s expected, %s\n", shmkit_status_name(expected),
                status == SHMKIT_OK ? "but it went well" : error.message);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: lifecycle NAME\n");
        return 2;
    }
    const char *name = argv[1];
    shmkit_region_t *region;
    expect(SHMKIT_OK, shmkit_region_create(name, 4096, NULL, &region, &error));

    // A view is the bytes themselves, without a copy: they must stay where they are while it lives.
    void *data;
    expect(SHMKIT_OK, shmkit_region_pin(region, 0, 4096, true, &data, &error));
    memcpy(data, "still here", 10);
    expect(SHMKIT_BUSY, shmkit_region_close(region, &error));
    printf("close with a live view: busy\n");
    expect(SHMKIT_OK, shmkit_region_unpin(region, true, &error));

    expect(SHMKIT_OK, shmkit_region_lock(region, &error));
    expect(SHMKIT_BUSY, shmkit_region_close(region, &error));
    printf("close with the guard held: busy\n");
    expect(SHMKIT_OK, shmkit_region_unlock(region, &error));

    expect(SHMKIT_OK, shmkit_region_close(region, &error));
    printf("closed\n");

    char byte;
    expect(SHMKIT_CLOSED, shmkit_region_read_at(region, 0, &byte, 1, &error));
    expect(SHMKIT_CLOSED, shmkit_region_pin(region, 0, 1, false, &data, &error));
    printf("access after close: refused\n");
    expect(SHMKIT_OK, shmkit_region_close(region, &error)); // once more does no harm
    shmkit_region_free(region);                             // the handle itself

    expect(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
    printf("unlinked\n");
    return 0;
}
