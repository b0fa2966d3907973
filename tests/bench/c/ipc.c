// Payloads of three sizes between two processes: see ../rust/src/ipc.rs, which does the same.
#define _GNU_SOURCE
#include "bench.h"

#include <mqueue.h>
#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// The longest message that the queues take on a machine where nobody changed their limits.
enum { ROUNDS = 7, MESSAGE = 8192 };

// A connection with two directions. Both processes have it; the first sends on 0 and receives on 1.
struct transport {
    const char *name;
    void (*open)(struct transport *self, size_t len);
    void (*close)(struct transport *self);
    void (*send)(struct transport *self, int way, const char *payload, size_t len);
    void (*receive)(struct transport *self, int way, char *into, size_t len);
    int fds[2][2]; // what is written to, and what is read from, by way
    shmkit_region_t *region;
    shmkit_semaphore_t *free_slots[2], *filled[2];
    uint64_t count, next[2];
};

// ---- Slots in shared memory, as many as the payloads that a pipe holds, but at least 8 and at most 256.

static shmkit_semaphore_t *open_semaphore(shmkit_region_t *region, const char *name, uint64_t initial) {
    shmkit_semaphore_options_t options = SHMKIT_SEMAPHORE_OPTIONS_INIT;
    shmkit_semaphore_t *semaphore;
    options.initial = (uint32_t)initial;
    must(shmkit_semaphore_open(region, name, &options, &semaphore, NULL) == SHMKIT_OK, "open semaphore");
    return semaphore;
}

static void open_slots(struct transport *self, size_t len) {
    uint64_t count = 65536 / len;
    self->count = count < 8 ? 8 : count > 256 ? 256 : count;
    must(shmkit_region_create_unnamed(2 * self->count * len, NULL, &self->region, NULL) == SHMKIT_OK, "create region");
    for (int way = 0; way < 2; way++) {
        self->free_slots[way] = open_semaphore(self->region, way ? "free-1" : "free-0", self->count);
        self->filled[way] = open_semaphore(self->region, way ? "filled-1" : "filled-0", 0);
        self->next[way] = 0;
    }
}

static void close_slots(struct transport *self) {
    for (int way = 0; way < 2; way++) {
        shmkit_semaphore_free(self->free_slots[way]);
        shmkit_semaphore_free(self->filled[way]);
    }
    shmkit_region_free(self->region);
}

static uint64_t next_slot(struct transport *self, int way, size_t len) {
    uint64_t slot = (uint64_t)way * self->count + self->next[way]++ % self->count;
    return slot * len;
}

static void send_slot(struct transport *self, int way, const char *payload, size_t len) {
    must(shmkit_semaphore_acquire(self->free_slots[way], NULL) == SHMKIT_OK, "acquire");
    must(shmkit_region_write_at(self->region, next_slot(self, way, len), payload, len, NULL) == SHMKIT_OK, "write");
    shmkit_semaphore_release(self->filled[way], 1, NULL);
}

static void receive_slot(struct transport *self, int way, char *into, size_t len) {
    must(shmkit_semaphore_acquire(self->filled[way], NULL) == SHMKIT_OK, "acquire");
    must(shmkit_region_read_at(self->region, next_slot(self, way, len), into, len, NULL) == SHMKIT_OK, "read");
    shmkit_semaphore_release(self->free_slots[way], 1, NULL);
}

// ---- Streams: two pipes, or the two ends of a socket.

static void open_pipes(struct transport *self, size_t len) {
    (void)len;
    for (int way = 0; way < 2; way++) {
        int ends[2];
        must(pipe(ends) == 0, "pipe");
        self->fds[way][0] = ends[1];
        self->fds[way][1] = ends[0];
    }
}

static void open_socket(struct transport *self, size_t len) {
    (void)len;
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
    for (int way = 0; way < 2; way++) {
        self->fds[way][0] = ends[way];
        self->fds[way][1] = ends[1 - way];
    }
}

static void close_pipes(struct transport *self) {
    for (int way = 0; way < 2; way++) {
        close(self->fds[way][0]);
        close(self->fds[way][1]);
    }
}

static void close_socket(struct transport *self) {
    close(self->fds[0][0]);
    close(self->fds[0][1]);
}

static void send_stream(struct transport *self, int way, const char *payload, size_t len) {
    for (ssize_t sent; len > 0; payload += sent, len -= (size_t)sent) {
        sent = write(self->fds[way][0], payload, len);
        must(sent > 0, "write");
    }
}

static void receive_stream(struct transport *self, int way, char *into, size_t len) {
    for (ssize_t got; len > 0; into += got, len -= (size_t)got) {
        got = read(self->fds[way][1], into, len);
        must(got > 0, "read");
    }
}

// ---- Message queues.

static size_t part_of(size_t len) {
    return len < MESSAGE ? len : MESSAGE;
}

static void open_posix(struct transport *self, size_t len) {
    (void)len;
    for (int way = 0; way < 2; way++) {
        char name[64];
        struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = MESSAGE};
        snprintf(name, sizeof name, "/bench-c-%d-%d", (int)getpid(), way);
        self->fds[way][0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
        must(self->fds[way][0] != -1, "mq_open");
        mq_unlink(name);
    }
}

static void close_posix(struct transport *self) {
    mq_close(self->fds[0][0]);
    mq_close(self->fds[1][0]);
}

static void send_posix(struct transport *self, int way, const char *payload, size_t len) {
    for (size_t at = 0; at < len; at += MESSAGE)
        must(mq_send(self->fds[way][0], payload + at, part_of(len - at), 0) == 0, "mq_send");
}

static void receive_posix(struct transport *self, int way, char *into, size_t len) {
    char message[MESSAGE];
    for (size_t at = 0; at < len; at += MESSAGE) {
        ssize_t got = mq_receive(self->fds[way][0], message, MESSAGE, NULL);
        must(got == (ssize_t)part_of(len - at), "mq_receive");
        memcpy(into + at, message, (size_t)got);
    }
}

struct message {
    long kind;
    char bytes[MESSAGE];
};

static void open_sysv(struct transport *self, size_t len) {
    (void)len;
    for (int way = 0; way < 2; way++) must((self->fds[way][0] = msgget(IPC_PRIVATE, 0600)) != -1, "msgget");
}

static void close_sysv(struct transport *self) {
    for (int way = 0; way < 2; way++) msgctl(self->fds[way][0], IPC_RMID, NULL);
}

static void send_sysv(struct transport *self, int way, const char *payload, size_t len) {
    struct message message = {.kind = 1};
    for (size_t at = 0; at < len; at += MESSAGE) {
        memcpy(message.bytes, payload + at, part_of(len - at));
        must(msgsnd(self->fds[way][0], &message, part_of(len - at), 0) == 0, "msgsnd");
    }
}

static void receive_sysv(struct transport *self, int way, char *into, size_t len) {
    struct message message;
    for (size_t at = 0; at < len; at += MESSAGE) {
        ssize_t got = msgrcv(self->fds[way][0], &message, MESSAGE, 0, 0);
        must(got == (ssize_t)part_of(len - at), "msgrcv");
        memcpy(into + at, message.bytes, (size_t)got);
    }
}

// ---- Two processes

// One transport in use: the other process answers until all rounds are over.
struct pair {
    struct transport transport;
    char *payload;
    size_t len;
    long count;
    int there_and_back;
    pid_t other;
};

static void answer(struct pair *pair) {
    for (int round = 0; round <= ROUNDS; round++) {
        for (long i = 0; i < pair->count; i++) {
            pair->transport.receive(&pair->transport, 0, pair->payload, pair->len);
            if (pair->there_and_back) pair->transport.send(&pair->transport, 1, pair->payload, pair->len);
        }
        if (!pair->there_and_back) pair->transport.send(&pair->transport, 1, pair->payload, pair->len);
    }
    _exit(0);
}

// Nanoseconds of one operation.
static double play_round(struct pair *pair) {
    double start = now_ns();
    for (long i = 0; i < pair->count; i++) {
        pair->transport.send(&pair->transport, 0, pair->payload, pair->len);
        if (pair->there_and_back) pair->transport.receive(&pair->transport, 1, pair->payload, pair->len);
    }
    // In one direction, the round is over when the last payload has arrived.
    if (!pair->there_and_back) pair->transport.receive(&pair->transport, 1, pair->payload, pair->len);
    return (now_ns() - start) / (double)pair->count;
}

static void start_pair(struct pair *pair) {
    pair->payload = calloc(1, pair->len);
    pair->transport.open(&pair->transport, pair->len);
    fflush(stdout);
    pair->other = fork();
    must(pair->other >= 0, "fork");
    if (pair->other == 0) answer(pair);
    play_round(pair);
}

static void end_pair(struct pair *pair) {
    waitpid(pair->other, NULL, 0);
    pair->transport.close(&pair->transport);
    free(pair->payload);
}

void run_ipc(void) {
    const struct transport ours = {"", open_slots, close_slots, send_slot, receive_slot, {{0}}, NULL, {0}, {0}, 0, {0}};
    const struct transport peers[] = {
        {"pipe", open_pipes, close_pipes, send_stream, receive_stream, {{0}}, NULL, {0}, {0}, 0, {0}},
        {"unix_socket", open_socket, close_socket, send_stream, receive_stream, {{0}}, NULL, {0}, {0}, 0, {0}},
        {"posix_mq", open_posix, close_posix, send_posix, receive_posix, {{0}}, NULL, {0}, {0}, 0, {0}},
        {"sysv_mq", open_sysv, close_sysv, send_sysv, receive_sysv, {{0}}, NULL, {0}, {0}, 0, {0}},
    };
    const struct {
        size_t len;
        const char *name;
        long count;
    } payloads[] = {{64, "64b", 1000}, {4096, "4k", 1000}, {1 << 20, "1m", 20}};
    for (int there_and_back = 1; there_and_back >= 0; there_and_back--) {
        for (size_t size = 0; size < 3; size++) {
            for (size_t peer = 0; peer < 4; peer++) {
                double times[2][ROUNDS];
                struct pair pairs[2] = {
                    {ours, NULL, payloads[size].len, payloads[size].count, there_and_back, 0},
                    {peers[peer], NULL, payloads[size].len, payloads[size].count, there_and_back, 0},
                };
                start_pair(&pairs[0]);
                start_pair(&pairs[1]);
                for (int round = 0; round < ROUNDS; round++)
                    for (int who = 0; who < 2; who++) times[who][round] = play_round(&pairs[who]);
                for (int who = 0; who < 2; who++) {
                    end_pair(&pairs[who]);
                    qsort(times[who], ROUNDS, sizeof times[who][0], by_value);
                }
                printf("{\"name\": \"ipc.%s_%s.c.vs_%s\", \"ours_ns\": %.3f, \"peer_ns\": %.3f}\n",
                       there_and_back ? "roundtrip" : "throughput", payloads[size].name, peers[peer].name,
                       times[0][ROUNDS / 2], times[1][ROUNDS / 2]);
                fflush(stdout);
            }
        }
    }
}
