// The sockets over which the runner passes descriptors.
#ifndef RUNNER_SOCKETS_H
#define RUNNER_SOCKETS_H

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// The first who connects to the socket at a path; -1 when there can be none.
static int accept_at(const struct sockaddr_un *address) {
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int peer = -1;
    if (bind(listener, (const struct sockaddr *)address, sizeof *address) == 0 && listen(listener, 1) == 0) {
        peer = accept(listener, NULL, NULL);
    }
    close(listener);
    return peer;
}

// A connection to the socket at a path, once somebody listens there; -1 when nobody does for 20 s.
static int connect_to(const struct sockaddr_un *address) {
    for (int turn = 0; turn < 20000; turn++) {
        int peer = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(peer, (const struct sockaddr *)address, sizeof *address) == 0) {
            return peer;
        }
        close(peer);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return -1;
}

static int open_peer(const char *path, bool sends) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return -1;
    }
    strcpy(address.sun_path, path);
    return sends ? accept_at(&address) : connect_to(&address);
}

#endif
