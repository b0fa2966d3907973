// Runs the tests of the C face, all or those that are named, and says `ok NAME` for each.

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

shmkit_error_t error = SHMKIT_ERROR_INIT;

static const char *current = "";
static char directory[64];
static unsigned names_given;

void check(bool condition, const char *text, const char *file, int line) {
    if (!condition) {
        fprintf(stderr, "%s:%d: in %s: %s is not so (last error: %s)\n", file, line, current, text, error.message);
        // The parent of a child sees the status; no clean-up, so that the remains can be looked at.
        _exit(1);
    }
}

void clear_error(void) {
    memset(&error, 0, sizeof error);
    error.size = sizeof error;
}

void expect(shmkit_status_t expected, shmkit_status_t got, const char *text, const char *file, int line) {
    if (got != expected) {
        fprintf(stderr, "%s:%d: in %s: %s is %s, %s expected\n", file, line, current, text, shmkit_status_name(got),
                shmkit_status_name(expected));
        check(false, "the status", file, line);
    }
    bool told = error.status == got && error.errno_value != 0 && error.operation[0] != '\0' &&
                strstr(error.message, error.operation) && strstr(error.message, error.object);
    bool silent = error.status == SHMKIT_OK && error.errno_value == 0 && error.message[0] == '\0';
    check(got == SHMKIT_OK ? silent : told, text, file, line);
}

// Kept until the program ends, so that tests need not count.
static const char *format_text(const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    check(len >= 0, "memory for a text", __FILE__, __LINE__);
    static char *kept[4096];
    static size_t count;
    check(count < sizeof kept / sizeof *kept, "room for a text", __FILE__, __LINE__);
    kept[count++] = text;
    return text;
}

const char *fresh_name(void) {
    return format_text("test-c-%d-%u", (int)getpid(), names_given++);
}

const char *fresh_path(void) {
    return format_text("%s/file-%u", directory, names_given++);
}

const char *object_path(const char *name) {
    return format_text("/dev/shm/shmkit.%s", name);
}

static uint64_t mix(uint64_t state, const void *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        state = (state ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
    }
    return state;
}

// Sums over the files of a directory that begin with `prefix`, so that their order does not matter.
static uint64_t state_of_directory(const char *path, const char *prefix, size_t *count) {
    uint64_t sum = 0;
    DIR *open_directory = opendir(path);
    CHECK(open_directory != NULL);
    for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        uint64_t state = mix(14695981039346656037u, entry->d_name, strlen(entry->d_name));
        struct stat facts;
        CHECK(fstatat(dirfd(open_directory), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0);
        state = mix(state, &facts.st_size, sizeof facts.st_size);
        state = mix(state, &facts.st_mode, sizeof facts.st_mode);
        int fd = openat(dirfd(open_directory), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        unsigned char buffer[4096];
        for (ssize_t got; fd >= 0 && (got = read(fd, buffer, sizeof buffer)) > 0;) {
            state = mix(state, buffer, (size_t)got);
        }
        if (fd >= 0) {
            close(fd);
        }
        sum += state;
        *count += 1;
    }
    closedir(open_directory);
    return sum;
}

static uint64_t state_of_objects(size_t *count) {
    return state_of_directory("/dev/shm", format_text("shmkit.test-c-%d-", (int)getpid()), count);
}

uint64_t state_of_files(void) {
    size_t count = 0;
    return state_of_directory(directory, "", &count) * 31 + state_of_objects(&count);
}

void write_file(const char *path, uint64_t offset, const void *data, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && pwrite(fd, data, len, (off_t)offset) == (ssize_t)len && close(fd) == 0);
}

pid_t in_child(void (*body)(const char *name), const char *name) {
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        // When a check ends the parent, nothing of it stays.
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        body(name);
        _exit(0);
    }
    return child;
}

void join(pid_t child) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void kill_child(pid_t child) {
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

shmkit_region_t *open_region(const char *name) {
    shmkit_region_t *region;
    EXPECT(SHMKIT_OK, shmkit_region_open_or_create(name, 4096, NULL, &region, &error));
    return region;
}

void finish(shmkit_region_t *region, const char *name) {
    EXPECT(SHMKIT_OK, shmkit_region_close(region, &error));
    shmkit_region_free(region);
    EXPECT(SHMKIT_OK, shmkit_region_unlink(name, NULL, &error));
}

void tell(shmkit_region_t *region, char stage) {
    __atomic_store_n((char *)shmkit_region_data(region) + 4000, stage, __ATOMIC_SEQ_CST);
}

void wait_for(shmkit_region_t *region, char stage) {
    while (__atomic_load_n((char *)shmkit_region_data(region) + 4000, __ATOMIC_SEQ_CST) != stage) {
        usleep(500);
    }
}

pid_t start(void (*body)(const char *name), shmkit_region_t *region, const char *name) {
    tell(region, 0);
    pid_t child = in_child(body, name);
    wait_for(region, 's');
    return child;
}

void stay(shmkit_region_t *region) {
    tell(region, 's');
    for (;;) {
        pause();
    }
}

void in_threads(void *(*body)(void *argument), void *argument) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, body, argument) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void do_nothing(int signal_number) {
    (void)signal_number;
}

static struct sigaction before_signals;
static pid_t receiver, sender;

// A signal that comes just before the sleep does not end it; the next one does. Not beyond our parent's end: its number may
// be another process's then.
static void send_signals(const char *name) {
    (void)name;
    while (getppid() == receiver) {
        usleep(5000);
        kill(receiver, SIGUSR1);
    }
}

void start_signals(void) {
    struct sigaction action = {.sa_handler = do_nothing};
    CHECK(sigaction(SIGUSR1, &action, &before_signals) == 0);
    receiver = getpid();
    sender = in_child(send_signals, NULL);
}

void stop_signals(void) {
    kill_child(sender);
    CHECK(sigaction(SIGUSR1, &before_signals, NULL) == 0);
}

// Removes a directory and what is in it.
static void remove_directory(const char *path) {
    DIR *open_directory = opendir(path);
    CHECK(open_directory != NULL);
    for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
        bool is_itself = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (is_itself || unlinkat(dirfd(open_directory), entry->d_name, 0) == 0) {
            continue;
        }
        CHECK(errno == EISDIR);
        remove_directory(format_text("%s/%s", path, entry->d_name));
    }
    CHECK(closedir(open_directory) == 0 && rmdir(path) == 0);
}

static void run(const struct test *test) {
    current = test->name;
    snprintf(directory, sizeof directory, "/tmp/shmkit-test-c-XXXXXX");
    CHECK(mkdtemp(directory) != NULL);
    test->run();
    size_t left = 0;
    state_of_objects(&left);
    CHECK(left == 0);
    remove_directory(directory);
    printf("ok %s\n", test->name);
}

int main(int argc, char **argv) {
    const struct test *const lists[] = {region_tests,  guard_tests,   mapping_tests,   refusal_tests, option_tests,
                                        object_tests,  mutex_tests,   rwlock_tests,    semaphore_tests, condvar_tests,
                                        event_tests,   barrier_tests, atomic_tests,    status_tests,  segment_tests,
                                        sysv_tests,    code_tests,    page_tests,      window_tests,    log_tests,
                                        fault_tests,   pool_tests,    heap_tests,      handle_tests};
    // Nothing here takes long; what hangs is ended by a signal and not by patience.
    alarm(120);
    size_t count = 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (const struct test *test = lists[i]; test->name; test++) {
            if (argc < 2 || strcmp(argv[1], test->name) == 0) {
                run(test);
                count++;
            }
        }
    }
    printf("%zu tests passed\n", count);
    return count > 0 ? 0 : 1;
}
