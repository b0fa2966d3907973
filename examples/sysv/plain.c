//go:build ignore

// What main.c does, by the system calls themselves: for the programs that have always done so.
//
//     plain write KEY TEXT     P, write, V
//     plain read KEY           P, read, V
//     plain remove KEY

#define _XOPEN_SOURCE 700
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { LEN = 4096 };

static int must(int result, const char *what) {
    if (result == -1) {
        perror(what);
        exit(1);
    }
    return result;
}

static void change(int semaphore, short by) {
    struct sembuf operation = {0, by, SEM_UNDO};
    must(semop(semaphore, &operation, 1), "semop");
}

static int open_semaphore(key_t key) {
    int semaphore = semget(key, 1, IPC_CREAT | IPC_EXCL | 0600);
    if (semaphore == -1) {
        return must(semget(key, 1, 0), "semget");
    }
    // Its first permit, by an operation: who opens it meanwhile sees that there was none yet.
    struct sembuf first = {0, 1, 0};
    must(semop(semaphore, &first, 1), "semop");
    return semaphore;
}

static char *attach(int segment, int flags) {
    char *bytes = shmat(segment, NULL, flags);
    if (bytes == (char *)-1) {
        perror("shmat");
        exit(1);
    }
    return bytes;
}

int main(int argc, char **argv) {
    key_t key = argc > 2 ? (key_t)strtol(argv[2], NULL, 10) : 0;
    if (argc == 4 && strcmp(argv[1], "write") == 0 && strlen(argv[3]) < LEN) {
        int semaphore = open_semaphore(key);
        char *bytes = attach(must(shmget(key, LEN, IPC_CREAT | 0600), "shmget"), 0);
        change(semaphore, -1);
        strcpy(bytes, argv[3]);
        change(semaphore, 1);
        printf("wrote: %s\n", argv[3]);
    } else if (argc == 3 && strcmp(argv[1], "read") == 0) {
        const char *bytes = attach(must(shmget(key, 0, 0), "shmget"), SHM_RDONLY);
        int semaphore = must(semget(key, 0, 0), "semget");
        change(semaphore, -1);
        printf("read: %.*s\n", LEN, bytes);
        change(semaphore, 1);
    } else if (argc == 3 && strcmp(argv[1], "remove") == 0) {
        must(shmctl(must(shmget(key, 0, 0), "shmget"), IPC_RMID, NULL), "shmctl");
        must(semctl(must(semget(key, 0, 0), "semget"), 0, IPC_RMID), "semctl");
        printf("removed\n");
    } else {
        fprintf(stderr, "usage: plain write KEY TEXT | read KEY | remove KEY\n");
        return 2;
    }
    return 0;
}
