//go:build ignore

// Memory that no file backs: a process's own, and shared with a forked child.
//
//     main
//
// A child that is forked has what is mapped; one that is started gets a descriptor (shmkit_segment_memfd).

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void check(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "anonymous: %s\n", error.message);
        exit(1);
    }
}

static shmkit_mapping_t *map(uint32_t flags) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN | flags;
    options.len = 4096;
    shmkit_mapping_t *mapping;
    check(shmkit_mapping_anonymous(&options, &mapping, &error));
    return mapping;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc != 1) {
        fprintf(stderr, "usage: anonymous\n");
        return 2;
    }
    // Like memory of the heap, from whole pages of zeros; gone with the process.
    shmkit_mapping_t *own = map(SHMKIT_MAP_PRIVATE);
    char text[5] = "";
    check(shmkit_mapping_write_at(own, 0, "mine", 4, &error));
    check(shmkit_mapping_read_at(own, 0, text, 4, &error));
    printf("of my own: %s\n", text);
    fflush(stdout);

    // Shared: parent and child see the same bytes.
    shmkit_mapping_t *shared = map(0);
    pid_t child = fork();
    if (child == 0) {
        check(shmkit_mapping_write_at(own, 0, "lost", 4, &error));
        check(shmkit_mapping_write_at(shared, 0, "Hi", 2, &error));
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "anonymous: the child failed\n");
        return 1;
    }
    char heard[3] = "";
    check(shmkit_mapping_read_at(shared, 0, heard, 2, &error));
    printf("the child wrote: %s\n", heard);
    shmkit_mapping_free(shared);
    shmkit_mapping_free(own);
    return 0;
}
