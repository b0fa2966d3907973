//go:build ignore

// Counters: any number of processes, in any language, count together in one region, and lose nothing when one is killed.
//
//     main counters 100000     adds to three counters, so many times; start it as often as you like at the same time
//     main counters show       says what they are
//     main counters remove     removes the region
//
// The first is an atomic number, the second a plain one under a mutex, the third a plain one under a reader-writer lock.

#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Where the plain numbers are in the region, each a uint64_t in the machine's byte order.
enum { UNDER_MUTEX = 0, UNDER_RWLOCK = 8 };

struct counters {
    shmkit_region_t *region;
    shmkit_atomic_t *total;
    shmkit_mutex_t *totals;
    shmkit_rwlock_t *table;
};

// Each object is found by its name, or created by the process that comes first.
static shmkit_status_t open_objects(struct counters *counters, shmkit_error_t *error) {
    const shmkit_region_t *region = counters->region;
    shmkit_status_t status =
        shmkit_atomic_open(region, "total", SHMKIT_OBJECT_KIND_ATOMIC_U64, 0, &counters->total, error);
    if (status == SHMKIT_OK) {
        status = shmkit_mutex_open(region, "totals", &counters->totals, error);
    }
    if (status == SHMKIT_OK) {
        status = shmkit_rwlock_open(region, "table", &counters->table, error);
    }
    return status;
}

static void free_counters(struct counters *counters) {
    // NULL, for what was not opened, is allowed.
    shmkit_rwlock_free(counters->table);
    shmkit_mutex_free(counters->totals);
    shmkit_atomic_free(counters->total);
    shmkit_region_free(counters->region);
}

static shmkit_status_t add_one(const shmkit_region_t *region, uint64_t offset, shmkit_error_t *error) {
    uint64_t number = 0;
    shmkit_status_t status = shmkit_region_read_at(region, offset, &number, sizeof number, error);
    number++;
    return status == SHMKIT_OK ? shmkit_region_write_at(region, offset, &number, sizeof number, error) : status;
}

static shmkit_status_t add_under_mutex(const struct counters *counters, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_mutex_lock(counters->totals, error);
    if (status == SHMKIT_OWNER_DIED) {
        // The mutex is held even so. A number that is written at once is whole: there is nothing to repair.
        status = shmkit_mutex_make_consistent(counters->totals, error);
    }
    if (status != SHMKIT_OK) {
        return status;
    }
    status = add_one(counters->region, UNDER_MUTEX, error);
    shmkit_mutex_unlock(counters->totals, NULL);
    return status;
}

static shmkit_status_t add_under_rwlock(const struct counters *counters, shmkit_error_t *error) {
    shmkit_status_t status = shmkit_rwlock_write_lock(counters->table, error);
    if (status == SHMKIT_OWNER_DIED) {
        status = shmkit_rwlock_make_consistent(counters->table, error);
    }
    if (status != SHMKIT_OK) {
        return status;
    }
    status = add_one(counters->region, UNDER_RWLOCK, error);
    shmkit_rwlock_write_unlock(counters->table, NULL);
    return status;
}

static shmkit_status_t add(const struct counters *counters, uint64_t count, shmkit_error_t *error) {
    shmkit_status_t status = SHMKIT_OK;
    for (uint64_t turn = 0; turn < count && status == SHMKIT_OK; turn++) {
        shmkit_atomic_add(counters->total, 1);
        status = add_under_mutex(counters, error);
        if (status == SHMKIT_OK) {
            status = add_under_rwlock(counters, error);
        }
    }
    if (status == SHMKIT_OK) {
        printf("added %llu three times\n", (unsigned long long)count);
    }
    return status;
}

// Reads without the locks: each number is read at once, and nobody has to wait for us.
static shmkit_status_t show(const struct counters *counters, shmkit_error_t *error) {
    uint64_t numbers[2] = {0, 0};
    shmkit_status_t status = shmkit_region_read_at(counters->region, UNDER_MUTEX, numbers, sizeof numbers, error);
    if (status == SHMKIT_OK) {
        printf("atomic %llu, mutex %llu, rwlock %llu\n", (unsigned long long)shmkit_atomic_load(counters->total),
               (unsigned long long)numbers[0], (unsigned long long)numbers[1]);
    }
    return status;
}

static shmkit_status_t run(const char *name, const char *what, shmkit_error_t *error) {
    struct counters counters = {NULL, NULL, NULL, NULL};
    bool shows = strcmp(what, "show") == 0;
    shmkit_status_t status = shows ? shmkit_region_open(name, NULL, &counters.region, error)
                                   : shmkit_region_open_or_create(name, 4096, NULL, &counters.region, error);
    if (status == SHMKIT_OK) {
        status = open_objects(&counters, error);
    }
    if (status == SHMKIT_OK) {
        status = shows ? show(&counters, error) : add(&counters, strtoull(what, NULL, 10), error);
    }
    free_counters(&counters);
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
    shmkit_status_t status;
    const char *what = argc == 3 ? argv[2] : "";
    bool is_count = *what != '\0' && what[strspn(what, "0123456789")] == '\0';
    if (strcmp(what, "remove") == 0) {
        status = remove_region(argv[1], &error);
    } else if (is_count || strcmp(what, "show") == 0) {
        status = run(argv[1], what, &error);
    } else {
        fprintf(stderr, "usage: counter NAME COUNT|show|remove\n");
        return 2;
    }
    if (status != SHMKIT_OK) {
        fprintf(stderr, "counter: %s\n", error.message);
        return 1;
    }
    return 0;
}
