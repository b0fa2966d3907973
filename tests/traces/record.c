// Records what a program allocates: preload this library, and every call of malloc and its like is written to the file that
// SHMKIT_TRACE names, as four numbers of 8 bytes: what was done, the old address, the size, the new address. pack.py makes a
// trace of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALLOCATE = 1, FREE = 2, RESIZE = 3, BUFFERED = 4096 };

struct record {
    uint64_t what, old, size, now;
};

static struct record buffer[BUFFERED];
static size_t buffered;
static int file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *(*real_malloc)(size_t);
static void (*real_free)(void *);
static void *(*real_realloc)(void *, size_t);
static void *(*real_memalign)(size_t, size_t);

// What dlsym itself allocates before the real functions are known; never freed.
static char early[65536];
static size_t early_used;

static void *early_allocate(size_t size) {
    size_t start = early_used;
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? early + start : NULL;
}

static int is_early(const void *address) {
    return (const char *)address >= early && (const char *)address < early + sizeof early;
}

static void write_out(void) {
    const char *from = (const char *)buffer;
    size_t left = buffered * sizeof *buffer;
    while (file >= 0 && left > 0) {
        ssize_t written = write(file, from, left);
        if (written <= 0) {
            file = -1;
            break;
        }
        from += written;
        left -= (size_t)written;
    }
    buffered = 0;
}

static void note_locked(uint64_t what, uintptr_t old, size_t size, const void *now) {
    if (file < 0)
        return;
    int saved = errno;
    buffer[buffered++] = (struct record){what, old, size, (uintptr_t)now};
    if (buffered == BUFFERED)
        write_out();
    errno = saved;
}

static void note(uint64_t what, const void *old, size_t size, const void *now) {
    pthread_mutex_lock(&lock);
    note_locked(what, (uintptr_t)old, size, now);
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHMKIT_TRACE");
    real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    real_memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
    if (path != NULL)
        file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    // Only this program: not what it starts.
    unsetenv("SHMKIT_TRACE");
}

__attribute__((destructor)) static void end(void) {
    pthread_mutex_lock(&lock);
    write_out();
    file = -1;
    pthread_mutex_unlock(&lock);
}

void *malloc(size_t size) {
    if (real_malloc == NULL)
        return early_allocate(size);
    void *now = real_malloc(size);
    if (now != NULL)
        note(ALLOCATE, NULL, size, now);
    return now;
}

void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *now = malloc(bytes);
    return now == NULL ? NULL : memset(now, 0, bytes);
}

void free(void *old) {
    if (old == NULL || is_early(old))
        return;
    note(FREE, old, 0, NULL);
    real_free(old);
}

void *realloc(void *old, size_t size) {
    if (old == NULL)
        return malloc(size);
    if (is_early(old)) {
        void *now = malloc(size);
        size_t most = (size_t)(early + sizeof early - (char *)old);
        return now == NULL ? NULL : memcpy(now, old, size < most ? size : most);
    }
    // Under the lock: another thread may get the old address at once, and must not be noted before us.
    pthread_mutex_lock(&lock);
    uintptr_t before = (uintptr_t)old;
    void *now = real_realloc(old, size);
    if (now != NULL)
        note_locked(RESIZE, before, size, now);
    pthread_mutex_unlock(&lock);
    return now;
}

void *memalign(size_t align, size_t size) {
    void *now = real_memalign(align, size);
    if (now != NULL)
        note(ALLOCATE, NULL, size, now);
    return now;
}

void *aligned_alloc(size_t align, size_t size) {
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size) {
    void *now = memalign(align, size);
    if (now == NULL)
        return ENOMEM;
    *out = now;
    return 0;
}
