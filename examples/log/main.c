//go:build ignore

// The log: several programs append to it at once, one of them is killed while it writes a record, and one follows.
//
// The same in all languages, and all may use the same log:
//
//   log write DIRECTORY WRITER COUNT    appends so many records of the kind WRITER
//   log claim DIRECTORY                 begins a record, and waits to be killed
//   log follow DIRECTORY WRITERS COUNT  reads as long as there are records to come: so many of each writer, from 1 on
//   log time DIRECTORY                  says what an append costs under each flush policy, in logs of its own

#define _POSIX_C_SOURCE 200809L
#include <shmkit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static shmkit_error_t error = SHMKIT_ERROR_INIT;

// Ends the program unless a call succeeded.
static void must(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

static shmkit_log_t *open_log(const char *directory) {
    shmkit_log_t *log;
    must(shmkit_log_open_or_create(directory, NULL, &log, &error));
    return log;
}

static void write_records(const char *directory, uint32_t writer, unsigned count) {
    shmkit_log_t *log = open_log(directory);
    for (unsigned number = 0; number < count; number++) {
        must(shmkit_log_printf(log, writer, NULL, &error, "writer %u, record %u", writer, number));
    }
    printf("writer %u appended %u records\n", writer, count);
    shmkit_log_free(log);
}

static void claim(const char *directory) {
    shmkit_log_t *log = open_log(directory);
    shmkit_log_reservation_t *record;
    void *data;
    must(shmkit_log_reserve(log, 0, 100, &record, &data, &error));
    memcpy(data, "half a rec", 10);
    puts("claimed");
    fflush(stdout);
    for (;;) {
        pause();
    }
}

static void follow(const char *directory, unsigned writers, unsigned count) {
    shmkit_log_t *log = open_log(directory);
    shmkit_log_reader_t *reader;
    must(shmkit_log_reader_open(log, SHMKIT_READ_FROM_START, 0, &reader, &error));
    unsigned *next = calloc(writers + 1, sizeof *next);
    for (unsigned done = 0; next && done < writers * count; done++) {
        // Waits behind a record that somebody writes; if that one is killed, it goes on.
        shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
        must(shmkit_log_reader_next_wait(reader, 30000000000u, 0, &record, &error));
        char expected[64];
        unsigned number = record.kind <= writers ? next[record.kind]++ : 0;
        int len = snprintf(expected, sizeof expected, "writer %u, record %u", record.kind, number);
        if (record.len != (size_t)len || memcmp(record.data, expected, record.len) != 0) {
            fprintf(stderr, "not %s: %.*s\n", expected, (int)record.len, (const char *)record.data);
            exit(1);
        }
    }
    free(next);
    printf("read %u records, each once and in order; skipped %llu\n", writers * count,
           (unsigned long long)shmkit_log_reader_skipped(reader));
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void time_policies(const char *directory) {
    static const struct {
        const char *name;
        uint32_t durability;
        uint64_t value;
        unsigned count;
    } policies[] = {
        {"none", SHMKIT_DURABILITY_NONE, 0, 100000},
        {"interval", SHMKIT_DURABILITY_INTERVAL, 50000000, 100000},
        {"bytes", SHMKIT_DURABILITY_BYTES, 1 << 20, 100000},
        {"group", SHMKIT_DURABILITY_GROUP, 0, 200},
        {"every", SHMKIT_DURABILITY_EVERY, 0, 200},
    };
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        char path[4096], record[100];
        snprintf(path, sizeof path, "%s.%s", directory, policies[i].name);
        memset(record, 'x', sizeof record);
        shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
        options.durability = policies[i].durability;
        options.durability_value = policies[i].value;
        shmkit_log_t *log;
        must(shmkit_log_create(path, &options, &log, &error));
        uint64_t begun = now_ns();
        for (unsigned n = 0; n < policies[i].count; n++) {
            must(shmkit_log_append(log, 0, record, sizeof record, NULL, &error));
        }
        uint64_t each_ns = (now_ns() - begun) / policies[i].count;
        must(shmkit_log_close(log, &error));
        shmkit_log_status_t status = SHMKIT_LOG_STATUS_INIT;
        must(shmkit_log_status(log, &status, &error));
        printf("%s: %llu ns a record, %llu flushes\n", policies[i].name, (unsigned long long)each_ns,
               (unsigned long long)status.flushes);
        shmkit_log_free(log);
    }
}

int main(int argc, char **argv) {
    const char *task = argc > 2 ? argv[1] : "";
    if (argc == 5 && strcmp(task, "write") == 0) {
        write_records(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    } else if (argc == 3 && strcmp(task, "claim") == 0) {
        claim(argv[2]);
    } else if (argc == 5 && strcmp(task, "follow") == 0) {
        follow(argv[2], (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
    } else if (argc == 3 && strcmp(task, "time") == 0) {
        time_policies(argv[2]);
    } else {
        fputs("write DIRECTORY WRITER COUNT | claim DIRECTORY | follow DIRECTORY WRITERS COUNT | time DIRECTORY\n", stderr);
        return 1;
    }
    return 0;
}
