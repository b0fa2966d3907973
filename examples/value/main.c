//go:build ignore

// Readings: a small struct that one process writes and any number read, in any language: nobody sees a half of one.
//
//     main station write 1000   writes so many readings, one after the other; kill it, and the last whole one stays
//     main station watch 1000   reads until somebody wrote that many, and checks that each is whole
//     main station limit 40     sets a number beside them
//     main station show         says which reading is the last, and the number
//     main station remove       removes the region
//
// Readers wait for nobody, and a writer that is killed in the middle of a reading leaves the one before.

#define _POSIX_C_SOURCE 200809L
#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SENSORS = 7 };

// What seven sensors said: here each of them says the reading's number.
struct reading {
    uint64_t number;
    double sensors[SENSORS];
};

struct station {
    shmkit_value_t *reading;
    shmkit_value_t *limit;
};

static shmkit_status_t find_values(shmkit_region_t *region, struct station *station, shmkit_error_t *error) {
    const struct reading none = {0};
    const uint32_t limit = 30;
    shmkit_status_t status =
        shmkit_value_open(region, "reading", sizeof none, "Q7d", &none, &station->reading, error);
    if (status == SHMKIT_OK) {
        status = shmkit_value_open(region, "limit", sizeof limit, "u32", &limit, &station->limit, error);
    }
    return status;
}

static shmkit_status_t open_station(const char *name, struct station *station, shmkit_error_t *error) {
    shmkit_region_t *region;
    shmkit_status_t status = shmkit_region_open_or_create(name, 4096, NULL, &region, error);
    if (status == SHMKIT_OK) {
        status = find_values(region, station, error);
    }
    shmkit_region_free(region); // what was opened in it stays open
    return status;
}

static bool is_whole(const struct reading *reading) {
    for (int i = 0; i < SENSORS; i++) {
        if (reading->sensors[i] != (double)reading->number) {
            return false;
        }
    }
    return true;
}

static shmkit_status_t write_readings(struct station *station, uint64_t count, shmkit_error_t *error) {
    for (uint64_t turn = 0; turn < count; turn++) {
        shmkit_status_t status;
        do { // again if another writer was faster
            struct reading reading;
            uint64_t version;
            status = shmkit_value_load(station->reading, &reading, sizeof reading, &version, error);
            if (status != SHMKIT_OK) {
                return status;
            }
            reading.number++;
            for (int i = 0; i < SENSORS; i++) {
                reading.sensors[i] = (double)reading.number;
            }
            status = shmkit_value_store_if(station->reading, version, &reading, sizeof reading, error);
        } while (status == SHMKIT_WOULD_BLOCK);
        if (status != SHMKIT_OK) {
            return status;
        }
    }
    printf("wrote %llu readings\n", (unsigned long long)count);
    return SHMKIT_OK;
}

static shmkit_status_t watch(struct station *station, uint64_t count, shmkit_error_t *error) {
    struct reading now = {0};
    uint64_t torn = 0;
    for (;;) {
        shmkit_status_t status = shmkit_value_load(station->reading, &now, sizeof now, NULL, error);
        if (status != SHMKIT_OK) {
            return status;
        }
        torn += !is_whole(&now);
        if (now.number >= count) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    printf("watched up to %llu, %llu torn\n", (unsigned long long)count, (unsigned long long)torn);
    return SHMKIT_OK;
}

static shmkit_status_t set_limit(struct station *station, uint64_t number, shmkit_error_t *error) {
    uint32_t limit = (uint32_t)number;
    shmkit_status_t status = shmkit_value_store(station->limit, &limit, sizeof limit, error);
    if (status == SHMKIT_OK) {
        printf("limit %u\n", limit);
    }
    return status;
}

static shmkit_status_t show(const char *name, struct station *station, shmkit_error_t *error) {
    shmkit_region_t *region, *find = NULL;
    struct reading now;
    uint32_t limit;
    shmkit_status_t status = shmkit_region_open(name, NULL, &region, error);
    if (status == SHMKIT_OK) { // they must be there: nothing is created
        status = shmkit_region_with_mode(region, SHMKIT_OBJECT_MODE_FIND, &find, error);
    }
    if (status == SHMKIT_OK) {
        status = find_values(find, station, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_value_load(station->reading, &now, sizeof now, NULL, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_value_load(station->limit, &limit, sizeof limit, NULL, error);
    }
    if (status == SHMKIT_OK) {
        const char *state = is_whole(&now) ? "whole" : "torn";
        printf("reading %llu, %s, limit %u\n", (unsigned long long)now.number, state, limit);
    }
    shmkit_region_free(find);
    shmkit_region_free(region);
    return status;
}

static shmkit_status_t remove_region(const char *name, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_region_unlink(name, NULL, error);
    if (status == SHMKIT_OK) {
        printf("unlinked\n");
    }
    return status;
}

int main(int argc, char **argv) {
    shmkit_error_t error = SHMKIT_ERROR_INIT;
    struct station station = {NULL, NULL};
    const char *what = argc > 2 ? argv[2] : "", *number = argc == 4 ? argv[3] : "";
    bool is_number = *number != '\0' && number[strspn(number, "0123456789")] == '\0';
    shmkit_status_t (*does)(struct station *, uint64_t, shmkit_error_t *) = NULL;
    if (is_number) {
        does = strcmp(what, "write") == 0   ? write_readings
               : strcmp(what, "watch") == 0 ? watch
               : strcmp(what, "limit") == 0 ? set_limit
                                            : NULL;
    }
    shmkit_status_t status;
    if (argc == 3 && strcmp(what, "remove") == 0) {
        status = remove_region(argv[1], &error);
    } else if (argc == 3 && strcmp(what, "show") == 0) {
        status = show(argv[1], &station, &error);
    } else if (does != NULL) {
        status = open_station(argv[1], &station, &error);
        if (status == SHMKIT_OK) {
            status = does(&station, strtoull(number, NULL, 10), &error);
        }
    } else {
        fprintf(stderr, "usage: value NAME write COUNT|watch COUNT|limit NUMBER|show|remove\n");
        return 2;
    }
    // NULL, for what was not opened, is allowed.
    shmkit_value_free(station.reading);
    shmkit_value_free(station.limit);
    if (status != SHMKIT_OK) {
        fprintf(stderr, "value: %s\n", error.message);
        return 1;
    }
    return 0;
}
