// Stands before the C library's own function, and lies about the page size when it is told to.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <unistd.h>

bool no_page_size;

long sysconf(int name) {
    if (name == _SC_PAGESIZE && no_page_size) {
        return 0;
    }
    long (*real)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}
