// The runner's operations on logs.
#ifndef RUNNER_LOG_H
#define RUNNER_LOG_H

#include "runner_objects.h"

// Handles of each kind, under the name that the driver gave them.
enum { MAX_LOGS = 64 };

struct log_entry {
    char name[16];
    void *handle;
};

static struct log_entry logs[MAX_LOGS], readers[MAX_LOGS], reservations[MAX_LOGS];

// The bytes of each reservation, beside its handle.
static void *reserved_bytes[MAX_LOGS];

static struct log_entry *log_entry_of(struct log_entry *table, const struct command *command, const char *key) {
    const char *name = text_of(command, key, "");
    struct log_entry *free_entry = NULL;
    for (size_t i = 0; i < MAX_LOGS; i++) {
        if (table[i].handle && strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
        if (!table[i].handle && !free_entry) {
            free_entry = &table[i];
        }
    }
    if (free_entry) {
        snprintf(free_entry->name, sizeof free_entry->name, "%s", name);
    }
    return free_entry;
}

static shmkit_log_t *log_of(const struct command *command) {
    return log_entry_of(logs, command, "l")->handle;
}

static int open_log(const struct command *command) {
    static const char *const policies[] = {"none", "interval", "bytes", "group", "every", NULL};
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.flags = flag(command, "read_only") ? SHMKIT_LOG_READ_ONLY : 0;
    options.segment_len = number(command, "segment_len", 0, 10);
    options.max_record_len = number(command, "max_record_len", 0, 10);
    options.retain_count = number(command, "retain_count", 0, 10);
    options.durability = (uint32_t)index_of(text_of(command, "durability", "none"), policies);
    options.durability_value = number(command, "value", 0, 10);
    const char *path = text_of(command, "path", NULL);
    shmkit_log_t *log = NULL;
    shmkit_status_t status;
    if (strcmp(command->op, "log_create") == 0) {
        status = shmkit_log_create(path, &options, &log, &error);
    } else if (strcmp(command->op, "log_open") == 0) {
        status = shmkit_log_open(path, &options, &log, &error);
    } else {
        status = shmkit_log_open_or_create(path, &options, &log, &error);
    }
    if (status == SHMKIT_OK) {
        struct log_entry *entry = log_entry_of(logs, command, "l");
        shmkit_log_free(entry->handle);
        entry->handle = log;
    }
    return done(status);
}

static int append_to_log(const struct command *command) {
    const struct argument *data = find(command, "data");
    unsigned char bytes[65536];
    size_t len = 0;
    for (; data && data->value[2 * len] && len < sizeof bytes; len++) {
        bytes[len] = (unsigned char)(hex_digit(data->value[2 * len]) * 16 + hex_digit(data->value[2 * len + 1]));
    }
    uint32_t kind = small(command, "kind", 0);
    uint64_t position = 0;
    if (strcmp(command->op, "log_append") == 0) {
        shmkit_status_t status = shmkit_log_append(log_of(command), kind, bytes, len, &position, &error);
        return answer(status, " position=%llu", (unsigned long long)position);
    }
    if (strcmp(command->op, "log_fill") == 0) {
        memcpy(reserved_bytes[log_entry_of(reservations, command, "v") - reservations], bytes, len);
        return done(SHMKIT_OK);
    }
    size_t count = number(command, "count", 0, 10);
    shmkit_log_part_t parts[64];
    uint64_t positions[64] = {0};
    for (size_t i = 0; i < count; i++) {
        parts[i] = (shmkit_log_part_t){bytes, len, kind, 0};
    }
    shmkit_status_t status = shmkit_log_append_batch(log_of(command), parts, count, positions, &error);
    return answer(status, " position=%llu", (unsigned long long)positions[count - 1]);
}

static int write_to_log(const struct command *command) {
    uint64_t first = number(command, "from", 0, 10), count = number(command, "count", 0, 10), position = 0;
    shmkit_status_t status = SHMKIT_OK;
    for (uint64_t n = first; status == SHMKIT_OK && n < first + count; n++) {
        status = shmkit_log_printf(log_of(command), small(command, "kind", 0), &position, &error, "%s.%llu",
                                   text_of(command, "prefix", ""), (unsigned long long)n);
    }
    return answer(status, " position=%llu", (unsigned long long)position);
}

static int reserve_in_log(const struct command *command) {
    struct log_entry *entry = log_entry_of(reservations, command, "v");
    shmkit_log_reservation_t *made = NULL;
    void *data = NULL;
    shmkit_status_t status = shmkit_log_reserve(log_of(command), small(command, "kind", 0),
                                                number(command, "len", 0, 10), &made, &data, &error);
    entry->handle = made;
    reserved_bytes[entry - reservations] = data;
    return done(status);
}

static int use_reservation(const struct command *command) {
    struct log_entry *entry = log_entry_of(reservations, command, "v");
    shmkit_log_reservation_t *reservation = entry->handle;
    entry->handle = NULL;
    if (strcmp(command->op, "log_abandon") == 0) {
        shmkit_log_abandon(reservation);
        return done(SHMKIT_OK);
    }
    uint64_t position = 0;
    shmkit_status_t status = shmkit_log_commit(reservation, number(command, "len", 0, 10), &position, &error);
    return answer(status, " position=%llu", (unsigned long long)position);
}

static int open_reader(const struct command *command) {
    const char *from = text_of(command, "from", "start");
    bool is_position = isdigit((unsigned char)*from);
    uint32_t place = is_position                   ? SHMKIT_READ_FROM_POSITION
                     : strcmp(from, "end") == 0 ? SHMKIT_READ_FROM_END
                                                   : SHMKIT_READ_FROM_START;
    shmkit_log_reader_t *reader = NULL;
    shmkit_status_t status = shmkit_log_reader_open(log_of(command), place, strtoull(from, NULL, 10), &reader, &error);
    if (status == SHMKIT_OK) {
        struct log_entry *entry = log_entry_of(readers, command, "r");
        shmkit_log_reader_free(entry->handle);
        entry->handle = reader;
    }
    return done(status);
}

static int read_log(const struct command *command) {
    shmkit_log_reader_t *reader = log_entry_of(readers, command, "r")->handle;
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    shmkit_status_t status = find(command, "timeout_ms")
                                 ? shmkit_log_reader_next_wait(reader, timeout_of(command), 0, &record, &error)
                                 : shmkit_log_reader_next(reader, &record, &error);
    if (status == SHMKIT_WOULD_BLOCK || status == SHMKIT_TIMEOUT) {
        return answer(SHMKIT_OK, " none=1");
    }
    if (status != SHMKIT_OK) {
        return done(status);
    }
    printf("ok kind=%u position=%llu data=", record.kind, (unsigned long long)record.position);
    for (size_t i = 0; i < record.len; i++) {
        printf("%02x", ((const unsigned char *)record.data)[i]);
    }
    putchar('\n');
    return 0;
}

static int read_texts(const struct command *command) {
    shmkit_log_reader_t *reader = log_entry_of(readers, command, "r")->handle;
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    char *text = NULL;
    size_t len = 0, count = 0;
    FILE *all = open_memstream(&text, &len);
    shmkit_status_t status;
    while ((status = shmkit_log_reader_next(reader, &record, &error)) == SHMKIT_OK) {
        fprintf(all, "%s%.*s", count++ ? "," : "", (int)record.len, (const char *)record.data);
    }
    fclose(all);
    if (status == SHMKIT_WOULD_BLOCK) {
        printf("ok count=%zu texts=", count);
        print_encoded(text);
        putchar('\n');
    } else {
        done(status);
    }
    free(text);
    return 0;
}

static int tell_of_log(const struct command *command) {
    shmkit_log_reader_t *reader = log_entry_of(readers, command, "r")->handle;
    if (strcmp(command->op, "log_counts") == 0) {
        return answer(SHMKIT_OK, " missed=%d corrupted=%llu skipped=%llu", shmkit_log_reader_missed(reader) > 0,
                      (unsigned long long)shmkit_log_reader_corrupted(reader),
                      (unsigned long long)shmkit_log_reader_skipped(reader));
    }
    shmkit_log_status_t seen = SHMKIT_LOG_STATUS_INIT;
    shmkit_status_t status = shmkit_log_status(log_of(command), &seen, &error);
    return answer(status, " dead=%llu abandoned=%llu attached=%u segments=%llu flushed=%d", (unsigned long long)seen.dead,
                  (unsigned long long)seen.abandoned, seen.attached, (unsigned long long)seen.segments,
                  seen.flushed_to == seen.end);
}

static int use_log(const struct command *command) {
    static const struct {
        const char *op;
        int (*run)(const struct command *command);
    } operations[] = {
        {"log_create", open_log},       {"log_open", open_log},         {"log_open_or_create", open_log},
        {"log_append", append_to_log},  {"log_batch", append_to_log},   {"log_fill", append_to_log},
        {"log_write", write_to_log},    {"log_reserve", reserve_in_log}, {"log_commit", use_reservation},
        {"log_abandon", use_reservation}, {"log_reader", open_reader},  {"log_next", read_log},
        {"log_texts", read_texts},      {"log_counts", tell_of_log},    {"log_status", tell_of_log},
    };
    if (strcmp(command->op, "log_flush") == 0) {
        return done(shmkit_log_flush(log_of(command), &error));
    }
    if (strcmp(command->op, "log_close") == 0) {
        return done(shmkit_log_close(log_of(command), &error));
    }
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(command->op, operations[i].op) == 0) {
            return operations[i].run(command);
        }
    }
    return fail("unknown operation %s", command->op);
}

#endif
