//go:build ignore

// What a real program allocated, played on heaps of the three strategies.
//
//     main TRACE     tells how fragmented each heap is after each tenth of the trace
//
// A trace is what tools/trace.sh makes; tests/traces has one of a Python program that compiles parts of its own library, and
// one of a data base that fills, searches and changes tables.

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAP_LEN = 16 << 20 };

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program unless a call went well.
static void must(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "allocators: %s\n", error.message);
        exit(1);
    }
}

// The steps of a trace: numbers of seven bits a byte, whose two lowest bits say what is done.
struct trace {
    unsigned char *bytes;
    size_t len, at;
};

static size_t next_number(struct trace *trace) {
    size_t value = 0;
    for (int shift = 0; trace->at < trace->len; shift += 7) {
        unsigned char byte = trace->bytes[trace->at++];
        value |= (size_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

static int read_trace(const char *path, struct trace *trace) {
    static const char head[] = "shmkit trace 1\n";
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    fseek(file, 0, SEEK_END);
    trace->len = (size_t)ftell(file);
    rewind(file);
    trace->bytes = malloc(trace->len + 1);
    trace->at = strlen(head);
    int good = fread(trace->bytes, 1, trace->len, file) == trace->len && trace->len >= trace->at &&
               memcmp(trace->bytes, head, trace->at) == 0;
    fclose(file);
    return good;
}

static size_t count_steps(struct trace trace) {
    size_t count = 0;
    for (; trace.at < trace.len; count++)
        if ((next_number(&trace) & 3) == 2)
            next_number(&trace);
    return count;
}

static shmkit_heap_status_t status_of(shmkit_heap_t *heap) {
    shmkit_heap_status_t status = SHMKIT_HEAP_STATUS_INIT;
    must(shmkit_heap_status(heap, &status, &error));
    return status;
}

static void play(const char *label, uint32_t strategy, struct trace trace, size_t steps, const char *name) {
    shmkit_heap_options_t options = SHMKIT_HEAP_OPTIONS_INIT;
    options.len = HEAP_LEN;
    options.strategy = strategy;
    shmkit_heap_t *heap;
    must(shmkit_heap_create(name, &options, &heap, &error));
    must(shmkit_region_unlink(name, NULL, &error));
    // Blocks have numbers in a trace. A number that became free last is the next to be given.
    shmkit_block_t *blocks = calloc(steps, sizeof *blocks);
    size_t *free_numbers = calloc(steps, sizeof *free_numbers);
    size_t known = 0, free_count = 0, tenth = steps / 10 > 0 ? steps / 10 : 1;
    uint64_t most_used = 0;
    printf("%s: fragmentation", label);
    for (size_t step = 1; step <= steps; step++) {
        size_t word = next_number(&trace), number = word >> 2;
        switch (word & 3) {
        case 0:
            number = free_count > 0 ? free_numbers[--free_count] : known++;
            must(shmkit_heap_allocate(heap, word >> 2, 0, 0, &blocks[number], &error));
            break;
        case 1:
            must(shmkit_heap_free_block(heap, blocks[number].offset, &error));
            free_numbers[free_count++] = number;
            break;
        default:
            must(shmkit_heap_resize(heap, &blocks[number], next_number(&trace), 0, &error));
        }
        if (step % tenth == 0) {
            shmkit_heap_status_t status = status_of(heap);
            printf(" %.3f", status.fragmentation);
            if (status.used > most_used)
                most_used = status.used;
        }
    }
    must(shmkit_heap_check(heap, &error));
    printf("\n  at most %llu KiB used, %llu free blocks at the end\n", (unsigned long long)most_used / 1024,
           (unsigned long long)status_of(heap).free_blocks);
    free(blocks);
    free(free_numbers);
    shmkit_heap_free(heap);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: allocators TRACE\n");
        return 2;
    }
    struct trace trace = {0};
    if (!read_trace(argv[1], &trace)) {
        fprintf(stderr, "allocators: %s is no trace\n", argv[1]);
        return 1;
    }
    char name[64];
    snprintf(name, sizeof name, "allocators-%d", (int)getpid());
    size_t steps = count_steps(trace);
    play("best fit", SHMKIT_HEAP_STRATEGY_BEST_FIT, trace, steps, name);
    play("first fit", SHMKIT_HEAP_STRATEGY_FIRST_FIT, trace, steps, name);
    play("buddy", SHMKIT_HEAP_STRATEGY_BUDDY, trace, steps, name);
    free(trace.bytes);
    return 0;
}
