//go:build ignore

// Code made at run time: a function that adds a number to its argument, for x86-64 or AArch64.
//
//     main NUMBER ARGUMENT

#include <inttypes.h>
#include <shmkit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t (*function_t)(uint64_t);

static shmkit_error_t error = SHMKIT_ERROR_INIT;

static void check(shmkit_status_t status) {
    if (status != SHMKIT_OK) {
        fprintf(stderr, "jit: %s\n", error.message);
        exit(1);
    }
}

// Writes the machine code of `argument + number`.
static shmkit_status_t write_add(const shmkit_code_t *code, uint32_t number) {
#if defined(__x86_64__)
    unsigned char bytes[] = {0x48, 0x8d, 0x87, 0, 0, 0, 0, 0xc3}; // lea rax, [rdi + number]; ret
    memcpy(bytes + 3, &number, 4);
#elif defined(__aarch64__)
    uint32_t bytes[] = {0xd2800001 | number << 5, 0x8b010000, 0xd65f03c0}; // mov x1, number; add x0, x0, x1; ret
#endif
    return shmkit_code_write_at(code, 0, bytes, sizeof bytes, &error);
}

// What each call of the code gets: the address, until it is given back.
static function_t take(const shmkit_code_t *code) {
    void (*function)(void);
    check(shmkit_code_pin(code, 0, &function, &error));
    return (function_t)function;
}

int main(int argc, char **argv) {
    char *end = "?";
    unsigned long number = argc == 3 ? strtoul(argv[1], &end, 10) : 0;
    uint64_t argument = argc == 3 && *end == '\0' ? strtoull(argv[2], &end, 10) : 0;
    if (*end != '\0' || number > UINT16_MAX) {
        fprintf(stderr, "usage: jit NUMBER ARGUMENT (at most 65535)\n");
        return 2;
    }
    // Written, then sealed, then called: never both at once.
    shmkit_code_t *code;
    check(shmkit_code_create(4096, 0, &code, &error));
    check(write_add(code, (uint32_t)number));
    shmkit_status_t status = shmkit_code_call(code, 0, &argument, 1, NULL, &error);
    printf("called before it is sealed: %s\n", shmkit_status_name(status));
    check(shmkit_code_seal(code, &error));
    printf("written after it is sealed: %s\n", shmkit_status_name(write_add(code, 0)));
    printf("%" PRIu64 " + %lu = %" PRIu64 "\n", argument, number, take(code)(argument));
    check(shmkit_code_unpin(code, &error));
    check(shmkit_code_close(code, &error));
    shmkit_code_free(code);

    // Mapped twice, code can be changed while it is in use, and still nothing is writable where it runs.
    check(shmkit_code_create(4096, SHMKIT_CODE_PATCHABLE, &code, &error));
    check(write_add(code, (uint32_t)number));
    function_t function = take(code);
    check(write_add(code, 2));
    printf("patched: %" PRIu64 " + 2 = %" PRIu64 "\n", argument, function(argument));
    check(shmkit_code_unpin(code, &error));
    shmkit_code_free(code);
    return 0;
}
