//go:build ignore

// What the kernel knows of memory: which pages are there, how many page faults work on them costs, and how that changes when
// they are populated, let go, or made huge.
//
//     main 16     looks at 16 MiB of private memory

#include <shmkit.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program when a call failed: all of them leave their reason in `error`.
static void must(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "pages: %s\n", error.message);
        exit(1);
    }
}

static void show(const char *what, shmkit_mapping_t *mapping) {
    shmkit_page_counts_t counts;
    must(shmkit_mapping_page_counts(mapping, 0, shmkit_mapping_len(mapping), &counts, 1, NULL, &error));
    printf("%s: %" PRIu64 " of %" PRIu64 " pages\n", what, counts.resident, counts.pages);
}

// Writes one byte in each page of the first `len` bytes, and says how many faults that was.
static uint64_t touch(shmkit_mapping_t *mapping, size_t len) {
    volatile char *data = shmkit_mapping_data(mapping);
    shmkit_usage_t before = SHMKIT_USAGE_INIT, after = SHMKIT_USAGE_INIT;
    must(shmkit_usage(false, &before, &error));
    for (size_t at = 0; at < len; at += shmkit_mapping_page_size(mapping)) {
        data[at] = 1;
    }
    must(shmkit_usage(false, &after, &error));
    return after.minor_faults + after.major_faults - before.minor_faults - before.major_faults;
}

static void run(size_t len) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    options.flags = SHMKIT_MAP_LEN | SHMKIT_MAP_PRIVATE;
    options.len = len;
    options.huge_pages = SHMKIT_HUGE_PAGES_NEVER;
    shmkit_mapping_t *mapping;
    must(shmkit_mapping_anonymous(&options, &mapping, &error));
    show("untouched", mapping);

    // Memory comes when it is touched, by a page fault.
    uint64_t eighth = touch(mapping, len / 8);
    show("an eighth touched", mapping);
    must(shmkit_mapping_advise(mapping, 0, len, SHMKIT_ADVICE_POPULATE_WRITE, &error));
    show("populated", mapping);
    uint64_t all = touch(mapping, len);
    printf("faults of the first touch: %s\n", eighth > 0 ? "some" : "none");
    printf("faults when populated: %s\n", all < eighth / 8 ? "hardly any" : "many");

    must(shmkit_mapping_advise(mapping, 0, len, SHMKIT_ADVICE_DONT_NEED, &error));
    show("let go", mapping);
    shmkit_mapping_free(mapping);

    // Fewer, larger pages, where the system allows them.
    options.huge_pages = SHMKIT_HUGE_PAGES_TRANSPARENT;
    options.flags |= SHMKIT_MAP_POPULATE;
    must(shmkit_mapping_anonymous(&options, &mapping, &error));
    show("populated, huge", mapping);
    shmkit_memory_use_t used = SHMKIT_MEMORY_USE_INIT;
    must(shmkit_mapping_memory_use(mapping, &used, &error));
    printf("in huge pages: %" PRIu64 " MiB\n", used.huge >> 20);
    shmkit_mapping_free(mapping);
}

int main(int argc, char **argv) {
    long mib = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (mib < 4 || mib > 1024) {
        fprintf(stderr, "usage: pages MIB (4 to 1024)\n");
        return 2;
    }
    run((size_t)mib << 20);
    return 0;
}
