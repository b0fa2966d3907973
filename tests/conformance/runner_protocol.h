// What the runner's lines look like: commands are taken apart here, answers put together.
#ifndef RUNNER_PROTOCOL_H
#define RUNNER_PROTOCOL_H

#include <shmkit.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGUMENTS = 16 };

struct argument {
    char *key;
    char *value;
    size_t len;
};

struct command {
    char *op;
    struct argument arguments[MAX_ARGUMENTS];
    size_t count;
};

// Where every call of the library leaves its reasons.
static shmkit_error_t error = SHMKIT_ERROR_INIT;

// ---- Text

static void print_encoded(const char *text) {
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
        if (*byte < 0x80 && (isalnum(*byte) || strchr("._-/", *byte))) {
            putchar(*byte);
        } else {
            printf("%%%02X", *byte);
        }
    }
}

static int fail(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fputs("fail message=", stdout);
    print_encoded(text);
    putchar('\n');
    return 0;
}

// Answers what a call returned: an error, or with success the fields that `format` makes.
static int answer(shmkit_status_t status, const char *format, ...) {
    if (status != SHMKIT_OK) {
        printf("error kind=%s errno=%d operation=", shmkit_status_name(status), (int)error.errno_value);
        print_encoded(error.operation);
        fputs(" object=", stdout);
        print_encoded(error.object);
        fputs(" message=", stdout);
        print_encoded(error.message);
    } else {
        fputs("ok", stdout);
        va_list arguments;
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
    }
    putchar('\n');
    return 0;
}

static int done(shmkit_status_t status) {
    return answer(status, "%s", "");
}

static int answer_data(shmkit_status_t status, const unsigned char *data, size_t len) {
    if (status != SHMKIT_OK) {
        return done(status);
    }
    fputs("ok data=", stdout);
    for (size_t i = 0; i < len; i++) {
        printf("%02x", data[i]);
    }
    putchar('\n');
    return 0;
}

static int hex_digit(char digit) {
    const char *digits = "0123456789abcdef";
    const char *found = digit ? strchr(digits, tolower((unsigned char)digit)) : NULL;
    return found ? (int)(found - digits) : -1;
}

// Undoes percent-encoding in place; the new length.
static size_t decode(char *text) {
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            *to = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            from += 3;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

// ---- Arguments

static bool parse(char *line, struct command *command) {
    char *rest = NULL;
    command->op = strtok_r(line, " \n", &rest);
    command->count = 0;
    if (!command->op) {
        return false;
    }
    for (char *word; (word = strtok_r(NULL, " \n", &rest)) != NULL;) {
        char *equals = strchr(word, '=');
        if (!equals || command->count == MAX_ARGUMENTS) {
            return false;
        }
        *equals = '\0';
        struct argument *argument = &command->arguments[command->count++];
        argument->key = word;
        argument->value = equals + 1;
        argument->len = decode(argument->value);
    }
    return true;
}

static const struct argument *find(const struct command *command, const char *key) {
    for (size_t i = 0; i < command->count; i++) {
        if (strcmp(command->arguments[i].key, key) == 0) {
            return &command->arguments[i];
        }
    }
    return NULL;
}

static const char *text_of(const struct command *command, const char *key, const char *otherwise) {
    const struct argument *argument = find(command, key);
    return argument ? argument->value : otherwise;
}

static bool flag(const struct command *command, const char *key) {
    return strcmp(text_of(command, key, "0"), "1") == 0;
}

static uint64_t number(const struct command *command, const char *key, uint64_t otherwise, int base) {
    const char *text = text_of(command, key, NULL);
    return text ? strtoull(text, NULL, base) : otherwise;
}

// The index of a word in a list that ends with NULL; its length when it is not there.
static size_t index_of(const char *word, const char *const *list) {
    size_t index = 0;
    while (list[index] && strcmp(list[index], word) != 0) {
        index++;
    }
    return index;
}

static bool protection_of(const struct command *command, uint32_t *protection) {
    static const char *const names[] = {"none", "read", "read_write", NULL};
    static const uint32_t values[] = {SHMKIT_PROTECTION_NONE, SHMKIT_PROTECTION_READ, SHMKIT_PROTECTION_READ_WRITE};
    size_t index = index_of(text_of(command, "protection", "read"), names);
    if (!names[index]) {
        return false;
    }
    *protection = values[index];
    return true;
}

// The bytes that `data` says in hexadecimal, written over its text.
static bool data_of(const struct command *command, unsigned char **data, size_t *len) {
    const struct argument *argument = find(command, "data");
    if (!argument || argument->len % 2 != 0) {
        return false;
    }
    *data = (unsigned char *)argument->value;
    *len = argument->len / 2;
    for (size_t i = 0; i < *len; i++) {
        int high = hex_digit(argument->value[2 * i]), low = hex_digit(argument->value[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        (*data)[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

// Reads or writes a view. It is plain memory in C: its user keeps inside, so a command that does not is wrong.
static int use_bytes(const struct command *command, unsigned char *view, size_t limit, bool writable) {
    unsigned char *data = NULL;
    size_t len = number(command, "len", 0, 10);
    bool writes = find(command, "data") != NULL;
    if (writes && (!writable || !data_of(command, &data, &len))) {
        return fail("a view for reading, or no data");
    }
    uint64_t offset = number(command, "offset", 0, 10);
    if (len > limit || offset > limit - len) {
        return fail("outside of the view");
    }
    if (writes) {
        memcpy(view + offset, data, len);
        return done(SHMKIT_OK);
    }
    return answer_data(SHMKIT_OK, view + offset, len);
}

static bool advice_of(const struct command *command, const char *key, uint32_t *advice) {
    static const char *const names[] = {"normal", "random", "sequential", "will_need", "dont_need", NULL};
    static const uint32_t values[] = {SHMKIT_ADVICE_NORMAL, SHMKIT_ADVICE_RANDOM, SHMKIT_ADVICE_SEQUENTIAL,
                                      SHMKIT_ADVICE_WILL_NEED, SHMKIT_ADVICE_DONT_NEED};
    size_t index = index_of(text_of(command, key, "normal"), names);
    if (!names[index]) {
        return false;
    }
    *advice = values[index];
    return true;
}

#endif
