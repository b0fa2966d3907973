// What the tests of the C face share: checks that say where they failed, fresh names, and a look at what changed.
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <shmkit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct test {
    const char *name;
    void (*run)(void);
};

// One list for each file of tests; NULL ends it.
extern const struct test region_tests[];
extern const struct test guard_tests[];
extern const struct test mapping_tests[];
extern const struct test refusal_tests[];
extern const struct test status_tests[];
extern const struct test option_tests[];
extern const struct test object_tests[];
extern const struct test handle_tests[];
extern const struct test mutex_tests[];
extern const struct test rwlock_tests[];
extern const struct test semaphore_tests[];
extern const struct test condvar_tests[];
extern const struct test event_tests[];
extern const struct test barrier_tests[];
extern const struct test atomic_tests[];
extern const struct test pool_tests[];
extern const struct test segment_tests[];
extern const struct test sysv_tests[];
extern const struct test code_tests[];
extern const struct test page_tests[];
extern const struct test window_tests[];
extern const struct test log_tests[];
extern const struct test fault_tests[];
extern const struct test heap_tests[];

// Where calls leave their reasons; emptied before each EXPECT.
extern shmkit_error_t error;

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)

// The call must return this status. A failure must also have told all about itself.
#define EXPECT(expected, call) (clear_error(), expect(expected, (call), #call, __FILE__, __LINE__))

void check(bool condition, const char *text, const char *file, int line);
void clear_error(void);
void expect(shmkit_status_t expected, shmkit_status_t got, const char *text, const char *file, int line);

// A name that no other test and no other run uses. Valid until the test ends; the object must be gone by then.
const char *fresh_name(void);

// A path in a directory that goes away after the test.
const char *fresh_path(void);

// The file of the shared memory object of this name.
const char *object_path(const char *name);

// Names, sizes and contents of everything this test made, as a number that changes with them.
uint64_t state_of_files(void);

// As EXPECT, for a failure that must leave all files as they were.
#define REFUSED(expected, call)                  \
    do {                                         \
        uint64_t state_before = state_of_files(); \
        EXPECT(expected, call);                  \
        CHECK(state_of_files() == state_before); \
    } while (0)

void write_file(const char *path, uint64_t offset, const void *data, size_t len);

// Runs `body` in a forked child; its checks count. The child ends with the body.
pid_t in_child(void (*body)(const char *name), const char *name);

// Waits for a child that must end well.
void join(pid_t child);

// Kills a child and waits until it is gone.
void kill_child(pid_t child);

// Opens the region of this name, or creates it with 4096 bytes.
shmkit_region_t *open_region(const char *name);

// Closes, frees and unlinks it.
void finish(shmkit_region_t *region, const char *name);

// A flag in the user bytes by which processes tell each other how far they are.
void tell(shmkit_region_t *region, char stage);
void wait_for(shmkit_region_t *region, char stage);

// Runs `body` in a child, and returns when it has come to `stay`, where it waits to be killed.
pid_t start(void (*body)(const char *name), shmkit_region_t *region, const char *name);
void stay(shmkit_region_t *region);

// Runs `body` in so many threads at once, and waits for all.
enum { THREADS = 4 };
void in_threads(void *(*body)(void *argument), void *argument);

// Sends this process SIGUSR1 again and again, to a handler that does nothing, until `stop_signals`.
void start_signals(void);
void stop_signals(void);

enum { MS = 1000000 };
// A limit for waits that must end by themselves: long enough for any machine, and no test hangs.
#define LONG_NS (20000ull * MS)

#if defined(__SANITIZE_THREAD__)
// The sanitizer does not see the atomics of a library that it did not build: it is told that locks order things.
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#else
#define __tsan_acquire(address) ((void)(address))
#define __tsan_release(address) ((void)(address))
#endif

#endif
