// The log beside write(2): records of 100 bytes, in files of the same directory.
#define _GNU_SOURCE
#include "bench.h"

#include <shmkit.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char record[100];

static void append(void *log, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_log_append(log, 0, record, sizeof record, NULL, NULL) == SHMKIT_OK, "append");
    }
}

static void reserve(void *log, long count) {
    for (long i = 0; i < count; i++) {
        shmkit_log_reservation_t *reservation;
        void *data;
        must(shmkit_log_reserve(log, 0, sizeof record, &reservation, &data, NULL) == SHMKIT_OK, "reserve");
        memcpy(data, record, sizeof record);
        must(shmkit_log_commit(reservation, sizeof record, NULL, NULL) == SHMKIT_OK, "commit");
    }
}

static void print_to_log(void *log, long count) {
    for (long i = 0; i < count; i++) {
        must(shmkit_log_printf(log, 0, NULL, NULL, "request %ld took %d us on %s", i, 250, "the first worker") == SHMKIT_OK,
             "printf");
    }
}

// The file begins anew each round, so that it is as long as what the log keeps.
static void write_file(void *state, long count) {
    int file = *(int *)state;
    must(ftruncate(file, 0) == 0, "ftruncate");
    for (long i = 0; i < count; i++) {
        must(write(file, record, sizeof record) == sizeof record, "write");
    }
}

static void print_to_file(void *state, long count) {
    int file = *(int *)state;
    must(ftruncate(file, 0) == 0, "ftruncate");
    for (long i = 0; i < count; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "request %ld took %d us on %s\n", i, 250, "the first worker");
        must(write(file, line, (size_t)len) == len, "write");
    }
}

void run_log(void) {
    char directory[] = "bench-log-XXXXXX", path[64], command[96];
    must(mkdtemp(directory) != NULL, "mkdtemp");
    snprintf(path, sizeof path, "%s/log", directory);
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.segment_len = 16 << 20;
    options.retain_count = 4;
    shmkit_log_t *log;
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    must(shmkit_log_create(path, &options, &log, &error) == SHMKIT_OK, error.message);
    snprintf(path, sizeof path, "%s/plain", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(file >= 0, "open");
    compare("log.append_100.c.vs_write", 200000, append, log, write_file, &file);
    compare("log.reserve_100.c.vs_write", 200000, reserve, log, write_file, &file);
    compare("log.printf.c.vs_snprintf_and_write", 200000, print_to_log, log, print_to_file, &file);
    shmkit_log_free(log);
    close(file);
    snprintf(command, sizeof command, "rm -r %s", directory);
    must(system(command) == 0, "rm");
}
