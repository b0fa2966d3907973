// Memory for machine code.

#include "check.h"

#if defined(__x86_64__)
static const unsigned char add[] = {0x48, 0x8d, 0x04, 0x37, 0xc3};      // lea rax, [rdi + rsi]; ret
static const unsigned char subtract[] = {0x48, 0x89, 0xf8, 0x48, 0x29, 0xf0, 0xc3}; // mov rax, rdi; sub rax, rsi; ret
#elif defined(__aarch64__)
static const unsigned char add[] = {0x00, 0x00, 0x01, 0x8b, 0xc0, 0x03, 0x5f, 0xd6};      // add x0, x0, x1; ret
static const unsigned char subtract[] = {0x00, 0x00, 0x01, 0xcb, 0xc0, 0x03, 0x5f, 0xd6}; // sub x0, x0, x1; ret
#endif

typedef uint64_t (*binary_t)(uint64_t, uint64_t);

static uint64_t call(const shmkit_code_t *code, uint64_t a, uint64_t b) {
    uint64_t arguments[] = {a, b}, result = 0;
    EXPECT(SHMKIT_OK, shmkit_code_call(code, 0, arguments, 2, &result, &error));
    return result;
}

static void code_is_written_then_sealed_then_called(void) {
    shmkit_code_t *code;
    void (*function)(void);
    EXPECT(SHMKIT_OK, shmkit_code_create(4096, 0, &code, &error));
    CHECK(shmkit_code_len(code) == 4096 && !shmkit_code_is_sealed(code) && !shmkit_code_is_executable(code));
    EXPECT(SHMKIT_OK, shmkit_code_write_at(code, 0, add, sizeof add, &error));
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_code_pin(code, 0, &function, &error));
    CHECK(function == NULL);
    EXPECT(SHMKIT_PERMISSION_DENIED, shmkit_code_call(code, 0, NULL, 0, NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_code_seal(code, &error));
    CHECK(shmkit_code_is_sealed(code) && shmkit_code_is_executable(code));
    EXPECT(SHMKIT_READ_ONLY, shmkit_code_write_at(code, 0, add, sizeof add, &error));
    unsigned char back[sizeof add];
    EXPECT(SHMKIT_OK, shmkit_code_read_at(code, 0, back, sizeof back, &error));
    CHECK(memcmp(back, add, sizeof add) == 0);
    EXPECT(SHMKIT_OK, shmkit_code_pin(code, 0, &function, &error));
    CHECK(((binary_t)function)(40, 2) == 42 && call(code, 1, 2) == 3);
    EXPECT(SHMKIT_BUSY, shmkit_code_close(code, &error));
    CHECK(!shmkit_code_is_closed(code) && shmkit_code_is_closed(NULL));
    EXPECT(SHMKIT_OK, shmkit_code_unpin(code, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_code_unpin(code, &error));
    EXPECT(SHMKIT_OK, shmkit_code_close(code, &error));
    CHECK(shmkit_code_is_closed(code));
    EXPECT(SHMKIT_CLOSED, shmkit_code_pin(code, 0, &function, &error));
    shmkit_code_free(code);
}

static void code_is_patched_while_it_is_in_use(void) {
    const uint32_t kinds[] = {SHMKIT_CODE_PATCHABLE, SHMKIT_CODE_ALLOW_WX};
    for (size_t i = 0; i < 2; i++) {
        shmkit_code_t *code;
        EXPECT(SHMKIT_OK, shmkit_code_create(64, kinds[i], &code, &error));
        EXPECT(SHMKIT_OK, shmkit_code_write_at(code, 0, add, sizeof add, &error));
        CHECK(call(code, 40, 2) == 42);
        EXPECT(SHMKIT_OK, shmkit_code_write_at(code, 0, subtract, sizeof subtract, &error));
        CHECK(call(code, 40, 2) == 38);
        EXPECT(SHMKIT_OK, shmkit_code_seal(code, &error));
        EXPECT(SHMKIT_READ_ONLY, shmkit_code_write_at(code, 0, add, sizeof add, &error));
        CHECK(call(code, 40, 2) == 38);
        shmkit_code_free(code);
    }
}

static void misuse_of_code_is_refused(void) {
    shmkit_code_t *code;
    uint64_t seven[7] = {0};
    EXPECT(SHMKIT_INVALID_LENGTH, shmkit_code_create(0, 0, &code, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT,
           shmkit_code_create(64, SHMKIT_CODE_PATCHABLE | SHMKIT_CODE_ALLOW_WX, &code, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_code_create(64, 4, &code, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_code_seal(NULL, &error));
    EXPECT(SHMKIT_OK, shmkit_code_create(64, SHMKIT_CODE_PATCHABLE, &code, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_code_write_at(code, 63, add, sizeof add, &error));
    EXPECT(SHMKIT_OUT_OF_RANGE, shmkit_code_call(code, 64, NULL, 0, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_code_call(code, 0, seven, 7, NULL, &error));
    EXPECT(SHMKIT_INVALID_ARGUMENT, shmkit_code_call(code, 0, NULL, 1, NULL, &error));
    shmkit_code_free(code);
    shmkit_code_free(NULL);
}

const struct test code_tests[] = {
    {"code is written, then sealed, then called", code_is_written_then_sealed_then_called},
    {"code is patched while it is in use", code_is_patched_while_it_is_in_use},
    {"misuse of code is refused", misuse_of_code_is_refused},
    {NULL, NULL},
};
