// Logs: records that many processes append, read in place, and flushed as the log's policy says.

#include "check.h"

#include <pthread.h>
#include <sys/stat.h>

static shmkit_log_t *create_log(const char *directory, uint64_t segment_len, uint32_t durability, uint64_t value) {
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.segment_len = segment_len;
    options.durability = durability;
    options.durability_value = value;
    shmkit_log_t *log;
    EXPECT(SHMKIT_OK, shmkit_log_create(directory, &options, &log, &error));
    CHECK(log != NULL && strcmp(shmkit_log_directory(log), directory) == 0);
    return log;
}

static shmkit_log_reader_t *open_reader(shmkit_log_t *log, uint32_t from) {
    shmkit_log_reader_t *reader;
    EXPECT(SHMKIT_OK, shmkit_log_reader_open(log, from, 0, &reader, &error));
    return reader;
}

static shmkit_log_record_t next(shmkit_log_reader_t *reader) {
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    EXPECT(SHMKIT_OK, shmkit_log_reader_next(reader, &record, &error));
    return record;
}

static bool holds(shmkit_log_record_t record, const char *text) {
    return record.len == strlen(text) && memcmp(record.data, text, record.len) == 0;
}

static uint64_t append(shmkit_log_t *log, uint32_t kind, const char *text) {
    uint64_t position;
    EXPECT(SHMKIT_OK, shmkit_log_append(log, kind, text, strlen(text), &position, &error));
    return position;
}

static void it_keeps_records_in_order(void) {
    shmkit_log_t *log = create_log(fresh_path(), 0, SHMKIT_DURABILITY_NONE, 0);
    uint64_t first = append(log, 1, "one");
    uint64_t second = append(log, 2, "");
    CHECK(first == 0 && second == 32);
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    shmkit_log_record_t record = next(reader);
    CHECK(holds(record, "one") && record.kind == 1 && record.position == first && record.next_position == second);
    CHECK(record.time_ns > UINT64_C(1600000000000000000));
    record = next(reader);
    CHECK(holds(record, "") && record.kind == 2 && record.position == second);
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_log_reader_next(reader, &record, &error));
    EXPECT(SHMKIT_TIMEOUT, shmkit_log_reader_next_wait(reader, 2 * MS, 0, &record, &error));
    CHECK(shmkit_log_reader_position(reader) == record.next_position && shmkit_log_reader_missed(reader) == 0);

    shmkit_log_reader_t *late = open_reader(log, SHMKIT_READ_FROM_END);
    uint64_t third = append(log, 3, "three");
    CHECK(next(late).position == third && next(reader).position == third);
    EXPECT(SHMKIT_OK, shmkit_log_reader_seek(late, SHMKIT_READ_FROM_POSITION, second, &error));
    CHECK(next(late).position == second);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_reader_seek(late, SHMKIT_READ_FROM_POSITION, 8, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_reader_seek(late, 3, 0, &error));
    shmkit_log_reader_free(late);
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void a_batch_comes_as_one(void) {
    shmkit_log_t *log = create_log(fresh_path(), 0, SHMKIT_DURABILITY_NONE, 0);
    shmkit_log_part_t parts[] = {{"a", 1, 10, 0}, {NULL, 0, 11, 0}, {"ccc", 3, 12, 0}};
    uint64_t positions[3];
    EXPECT(SHMKIT_OK, shmkit_log_append_batch(log, parts, 3, positions, &error));
    EXPECT(SHMKIT_OK, shmkit_log_append_batch(log, parts, 1, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_log_append_batch(log, NULL, 0, NULL, &error));
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    for (int i = 0; i < 3; i++) {
        shmkit_log_record_t record = next(reader);
        CHECK(record.position == positions[i] && record.kind == parts[i].kind && record.len == parts[i].len);
    }
    CHECK(holds(next(reader), "a"));
    parts[1].reserved = 1;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_append_batch(log, parts, 3, NULL, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_append_batch(log, NULL, 3, NULL, &error));
    REFUSED(SHMKIT_OUT_OF_RANGE, shmkit_log_append_batch(log, parts, SIZE_MAX, NULL, &error));
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void a_record_is_filled_in_place(void) {
    shmkit_log_t *log = create_log(fresh_path(), 0, SHMKIT_DURABILITY_NONE, 0);
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    shmkit_log_reservation_t *reservation;
    void *data;
    EXPECT(SHMKIT_OK, shmkit_log_reserve(log, 5, 100, &reservation, &data, &error));
    memcpy(data, "in place", 8);
    append(log, 6, "behind");
    // What was claimed later waits for it.
    EXPECT(SHMKIT_WOULD_BLOCK, shmkit_log_reader_next(reader, &record, &error));
    EXPECT(SHMKIT_BUSY, shmkit_log_close(log, &error));
    uint64_t position;
    EXPECT(SHMKIT_OK, shmkit_log_commit(reservation, 8, &position, &error));
    record = next(reader);
    CHECK(holds(record, "in place") && record.kind == 5 && record.position == position);
    CHECK(holds(next(reader), "behind"));

    EXPECT(SHMKIT_OK, shmkit_log_reserve(log, 5, 10, &reservation, &data, &error));
    shmkit_log_abandon(reservation);
    EXPECT(SHMKIT_OK, shmkit_log_reserve(log, 5, 10, &reservation, &data, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_log_commit(reservation, 11, NULL, &error));
    shmkit_log_ticket_t ticket;
    EXPECT(SHMKIT_OK, shmkit_log_reserve(log, 7, 0, &reservation, &data, &error));
    EXPECT(SHMKIT_OK, shmkit_log_commit_deferred(reservation, 0, &ticket, &error));
    CHECK(next(reader).position == ticket.position && shmkit_log_reader_skipped(reader) == 2);
    EXPECT(SHMKIT_OK, shmkit_log_close(log, &error));
    CHECK(shmkit_log_is_closed(log));
    EXPECT(SHMKIT_CLOSED, shmkit_log_append(log, 0, "x", 1, NULL, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_log_reserve(log, 0, 1, &reservation, &data, &error));
    CHECK(reservation == NULL && data == NULL);
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void it_prints(void) {
    shmkit_log_t *log = create_log(fresh_path(), 4096, SHMKIT_DURABILITY_NONE, 0);
    char wide[900];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    uint64_t position = 1;
    EXPECT(SHMKIT_OK, shmkit_log_printf(log, 3, &position, &error, "%s is %d", "x", 42));
    EXPECT(SHMKIT_OK, shmkit_log_printf(log, 4, NULL, NULL, "%s", wide));
    EXPECT(SHMKIT_OK, shmkit_log_printf(log, 4, NULL, NULL, "%.511s", wide));
    EXPECT(SHMKIT_OK, shmkit_log_printf(log, 4, NULL, NULL, "%.512s", wide));
    EXPECT(SHMKIT_OK, shmkit_log_printf(log, 5, NULL, &error, "%s", ""));
    EXPECT(SHMKIT_RECORD_TOO_LARGE, shmkit_log_printf(log, 5, NULL, &error, "%s%s", wide, wide));
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    shmkit_log_record_t record = next(reader);
    CHECK(holds(record, "x is 42") && record.kind == 3 && record.position == position);
    CHECK(holds(next(reader), wide));
    CHECK(next(reader).len == 511 && next(reader).len == 512 && next(reader).len == 0);
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void it_rolls_and_tells_what_was_missed(void) {
    const char *directory = fresh_path();
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.segment_len = 4096;
    options.retain_count = 2;
    shmkit_log_t *log;
    EXPECT(SHMKIT_OK, shmkit_log_create(directory, &options, &log, &error));
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    append(log, 0, "the first");
    shmkit_log_record_t kept = next(reader);
    shmkit_log_pin_t *pin;
    EXPECT(SHMKIT_OK, shmkit_log_reader_keep(reader, &pin, &error));
    char payload[1000] = {'p'};
    for (int i = 0; i < 12; i++) {
        EXPECT(SHMKIT_OK, shmkit_log_append(log, 0, payload, sizeof payload, NULL, &error));
    }
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    shmkit_status_t status;
    int read = 0, told = 0;
    while ((status = shmkit_log_reader_next(reader, &record, &error)) != SHMKIT_WOULD_BLOCK) {
        CHECK(status == SHMKIT_OK || status == SHMKIT_MISSED);
        read += status == SHMKIT_OK;
        told += status == SHMKIT_MISSED;
    }
    CHECK(told == 1 && read > 0 && read < 12 && shmkit_log_reader_missed(reader) > 0);
    // Its file is gone, and its bytes are there.
    CHECK(holds(kept, "the first"));
    EXPECT(SHMKIT_MISSED, shmkit_log_reader_seek(reader, SHMKIT_READ_FROM_POSITION, 0, &error));
    shmkit_log_reader_free(reader);
    CHECK(holds(kept, "the first"));
    shmkit_log_pin_free(pin);
    reader = open_reader(log, SHMKIT_READ_FROM_START);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_reader_keep(reader, &pin, &error));
    shmkit_log_reader_free(reader);

    shmkit_log_status_t seen = SHMKIT_LOG_STATUS_INIT;
    EXPECT(SHMKIT_OK, shmkit_log_status(log, &seen, &error));
    CHECK(seen.segment_len == 4096 && seen.retain_count == 2 && seen.segments == 2 && seen.removed_segments > 0);
    CHECK(seen.start > 0 && seen.end > seen.start && seen.attached == 1 && seen.dead == 0 && seen.flush_errno == 0);
    shmkit_log_verified_t verified = SHMKIT_LOG_VERIFIED_INIT;
    EXPECT(SHMKIT_OK, shmkit_log_verify(log, &verified, &error));
    CHECK(verified.records > 0 && verified.records <= (uint64_t)read && verified.corruptions == 0 && verified.end == seen.end);
    seen.size = 8;
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_status(log, &seen, &error));
    shmkit_log_free(log);
}

struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    shmkit_status_t status;
};

static void be_told(void *context, shmkit_status_t status, const shmkit_error_t *details) {
    struct told *told = context;
    pthread_mutex_lock(&told->lock);
    told->calls++;
    told->status = (status == SHMKIT_OK) == (details == NULL) ? status : SHMKIT_INTERNAL;
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->lock);
}

// The sanitizer sees what the library allocates here and frees in another thread, but not the locks of the library: ours
// stands for them. The flush of a new ticket has not ended, so nobody is told at once, inside of the lock.
static void ask_to_be_told(shmkit_log_t *log, const shmkit_log_ticket_t *ticket, struct told *told) {
    pthread_mutex_lock(&told->lock);
    EXPECT(SHMKIT_OK, shmkit_log_on_durable(log, ticket, be_told, told, &error));
    pthread_mutex_unlock(&told->lock);
}

static void it_says_when_a_record_is_on_the_disk(void) {
    shmkit_log_t *log = create_log(fresh_path(), 65536, SHMKIT_DURABILITY_GROUP, 0);
    struct told told = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, SHMKIT_INTERNAL};
    shmkit_log_ticket_t ticket;
    EXPECT(SHMKIT_OK, shmkit_log_append_deferred(log, 1, "x", 1, &ticket, &error));
    bool durable = true;
    EXPECT(SHMKIT_OK, shmkit_log_is_durable(log, &ticket, &durable, &error));
    CHECK(!durable);
    ask_to_be_told(log, &ticket, &told);
    pthread_mutex_lock(&told.lock);
    while (told.calls == 0) {
        pthread_cond_wait(&told.changed, &told.lock);
    }
    CHECK(told.calls == 1 && told.status == SHMKIT_OK);
    pthread_mutex_unlock(&told.lock);
    EXPECT(SHMKIT_OK, shmkit_log_is_durable(log, &ticket, &durable, &error));
    CHECK(durable);
    append(log, 1, "on the disk when it returns");
    EXPECT(SHMKIT_OK, shmkit_log_append_deferred(log, 1, "x", 1, &ticket, &error));
    EXPECT(SHMKIT_OK, shmkit_log_wait_durable(log, &ticket, LONG_NS, 0, &error));
    EXPECT(SHMKIT_OK, shmkit_log_ticket(log, &ticket, &error));
    EXPECT(SHMKIT_OK, shmkit_log_flush(log, &error));
    EXPECT(SHMKIT_OK, shmkit_log_is_durable(log, &ticket, &durable, &error));
    CHECK(durable);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_on_durable(log, &ticket, NULL, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_wait_durable(log, NULL, 0, 0, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_wait_durable(log, &ticket, 0, 8, &error));
    EXPECT(SHMKIT_OK, shmkit_log_append_deferred(log, 1, "x", 1, &ticket, &error));
    ask_to_be_told(log, &ticket, &told);
    EXPECT(SHMKIT_OK, shmkit_log_close(log, &error));
    EXPECT(SHMKIT_CLOSED, shmkit_log_flush(log, &error));
    // The handle's end calls who is left.
    shmkit_log_free(log);
    pthread_mutex_lock(&told.lock);
    CHECK(told.calls == 2 && told.status == SHMKIT_OK);
    pthread_mutex_unlock(&told.lock);
}

static const char *shared_directory;

static void append_some(const char *name) {
    shmkit_log_t *log;
    EXPECT(SHMKIT_OK, shmkit_log_open(shared_directory, NULL, &log, &error));
    for (int i = 0; i < 1000; i++) {
        EXPECT(SHMKIT_OK, shmkit_log_printf(log, 9, NULL, &error, "%s %d", name, i));
    }
    shmkit_log_free(log);
}

static void a_reader_follows_another_process(void) {
    shared_directory = fresh_path();
    shmkit_log_t *log = create_log(shared_directory, 16384, SHMKIT_DURABILITY_NONE, 0);
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_END);
    pid_t child = in_child(append_some, "child");
    char wanted[32];
    for (int i = 0; i < 1000; i++) {
        shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
        EXPECT(SHMKIT_OK, shmkit_log_reader_next_wait(reader, LONG_NS, 0, &record, &error));
        snprintf(wanted, sizeof wanted, "child %d", i);
        CHECK(holds(record, wanted) && record.kind == 9);
    }
    join(child);
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void claim_and_wait(const char *name) {
    (void)name;
    shmkit_log_t *log;
    EXPECT(SHMKIT_OK, shmkit_log_open(shared_directory, NULL, &log, &error));
    shmkit_log_reservation_t *reservation;
    void *data;
    EXPECT(SHMKIT_OK, shmkit_log_reserve(log, 1, 64, &reservation, &data, &error));
    append(log, 2, "claimed");
    pause();
}

static void the_claim_of_a_killed_writer_is_stepped_over(void) {
    shared_directory = fresh_path();
    shmkit_log_t *log = create_log(shared_directory, 16384, SHMKIT_DURABILITY_NONE, 0);
    pid_t child = in_child(claim_and_wait, "");
    shmkit_log_status_t seen = SHMKIT_LOG_STATUS_INIT;
    do {
        EXPECT(SHMKIT_OK, shmkit_log_status(log, &seen, &error));
    } while (seen.end < 120);
    shmkit_log_reader_t *reader = open_reader(log, SHMKIT_READ_FROM_START);
    shmkit_log_record_t record = SHMKIT_LOG_RECORD_INIT;
    EXPECT(SHMKIT_TIMEOUT, shmkit_log_reader_next_wait(reader, 50 * MS, 0, &record, &error));
    kill_child(child);
    EXPECT(SHMKIT_OK, shmkit_log_reader_next_wait(reader, LONG_NS, 0, &record, &error));
    CHECK(holds(record, "claimed") && record.kind == 2 && shmkit_log_reader_skipped(reader) == 1);
    EXPECT(SHMKIT_OK, shmkit_log_status(log, &seen, &error));
    CHECK(seen.dead == 1);
    shmkit_log_reader_free(reader);
    shmkit_log_free(log);
}

static void it_refuses_what_cannot_be(void) {
    const char *directory = fresh_path();
    shmkit_log_t *log = (shmkit_log_t *)1;
    REFUSED(SHMKIT_NOT_FOUND, shmkit_log_open(directory, NULL, &log, &error));
    CHECK(log == NULL);
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(NULL, NULL, &log, &error));
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, NULL, NULL, &error));
    shmkit_log_options_t options = SHMKIT_LOG_OPTIONS_INIT;
    options.durability = SHMKIT_DURABILITY_INTERVAL;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, &options, &log, &error));
    options.durability = 5;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, &options, &log, &error));
    options = (shmkit_log_options_t)SHMKIT_LOG_OPTIONS_INIT;
    options.flags = SHMKIT_LOG_READ_ONLY;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, &options, &log, &error));
    options.flags = 2;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_open(directory, &options, &log, &error));
    options = (shmkit_log_options_t)SHMKIT_LOG_OPTIONS_INIT;
    options.reserved = 1;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, &options, &log, &error));
    options.reserved = 0;
    options.segment_len = 1;
    REFUSED(SHMKIT_INVALID_ARGUMENT, shmkit_log_create(directory, &options, &log, &error));
    options.segment_len = 8192;
    options.max_record_len = 100;
    options.mode = 0640;
    EXPECT(SHMKIT_OK, shmkit_log_open_or_create(directory, &options, &log, &error));
    struct stat about;
    CHECK(stat(directory, &about) == 0 && (about.st_mode & 0777) == 0750);
    shmkit_log_t *other;
    REFUSED(SHMKIT_ALREADY_EXISTS, shmkit_log_create(directory, &options, &other, &error));
    shmkit_log_t *same;
    EXPECT(SHMKIT_OK, shmkit_log_open_or_create(directory, &options, &same, &error));
    append(same, 0, "x");
    char payload[101] = {0};
    EXPECT(SHMKIT_RECORD_TOO_LARGE, shmkit_log_append(same, 0, payload, sizeof payload, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_append(same, 0, NULL, 1, NULL, &error));
    options.max_record_len = 99;
    EXPECT(SHMKIT_PARAMETER_MISMATCH, shmkit_log_open_or_create(directory, &options, &other, &error));

    options = (shmkit_log_options_t)SHMKIT_LOG_OPTIONS_INIT;
    options.flags = SHMKIT_LOG_READ_ONLY;
    EXPECT(SHMKIT_OK, shmkit_log_open(directory, &options, &other, &error));
    CHECK(shmkit_log_is_read_only(other) && !shmkit_log_is_read_only(same));
    EXPECT(SHMKIT_READ_ONLY, shmkit_log_append(other, 0, "x", 1, NULL, &error));
    EXPECT(SHMKIT_READ_ONLY, shmkit_log_flush(other, &error));
    shmkit_log_reader_t *reader = open_reader(other, SHMKIT_READ_FROM_START);
    CHECK(holds(next(reader), "x"));
    shmkit_log_words_t words = {sizeof words, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0};
    EXPECT(SHMKIT_READ_ONLY, shmkit_log_words(other, &words, &error));
    EXPECT(SHMKIT_OK, shmkit_log_words(same, &words, &error));
    CHECK(words.tail && words.segment_len == 8192 && words.max_record_len == 100);
    shmkit_log_reader_free(reader);
    shmkit_log_free(other);
    shmkit_log_free(same);
    shmkit_log_free(log);
    shmkit_log_free(NULL);
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_append(NULL, 0, "x", 1, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_log_commit(NULL, 0, NULL, &error));
    CHECK(shmkit_log_is_closed(NULL) && strcmp(shmkit_log_directory(NULL), "") == 0);
}

const struct test log_tests[] = {
    {"log keeps records in order", it_keeps_records_in_order},
    {"log batch comes as one", a_batch_comes_as_one},
    {"log record is filled in place", a_record_is_filled_in_place},
    {"log prints", it_prints},
    {"log rolls and tells what was missed", it_rolls_and_tells_what_was_missed},
    {"log says when a record is on the disk", it_says_when_a_record_is_on_the_disk},
    {"log reader follows another process", a_reader_follows_another_process},
    {"log steps over the claim of a killed writer", the_claim_of_a_killed_writer_is_stepped_over},
    {"log refuses what cannot be", it_refuses_what_cannot_be},
    {NULL, NULL},
};
