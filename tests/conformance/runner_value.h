// The runner's operations on values, and on the list of named objects.
#ifndef RUNNER_VALUE_H
#define RUNNER_VALUE_H

#include "runner_handles.h"

enum { MOST_NUMBERS = 5 };

// What commands call `sample`: a struct of two kinds of numbers.
struct sample {
    uint32_t kind;
    uint32_t count;
    double position[3];
};

union any_value {
    uint64_t u64;
    double f64;
    uint16_t shorts[3];
    struct sample sample;
};

static const struct {
    size_t size;
    const char *format;
    int count;
} value_types[] = {
    {sizeof(uint64_t), "Q", 1},
    {sizeof(double), "d", 1},
    {sizeof(uint16_t[3]), "3H", 3},
    {sizeof(struct sample), "2I3d", 5},
};

static union any_value of_numbers(size_t type, const double *numbers) {
    union any_value value = {0};
    switch (type) {
    case 0:
        value.u64 = (uint64_t)numbers[0];
        break;
    case 1:
        value.f64 = numbers[0];
        break;
    case 2:
        for (int i = 0; i < 3; i++) {
            value.shorts[i] = (uint16_t)numbers[i];
        }
        break;
    default:
        value.sample.kind = (uint32_t)numbers[0];
        value.sample.count = (uint32_t)numbers[1];
        memcpy(value.sample.position, numbers + 2, sizeof value.sample.position);
    }
    return value;
}

static void numbers_of(size_t type, const union any_value *value, double *numbers) {
    switch (type) {
    case 0:
        numbers[0] = (double)value->u64;
        break;
    case 1:
        numbers[0] = value->f64;
        break;
    case 2:
        for (int i = 0; i < 3; i++) {
            numbers[i] = value->shorts[i];
        }
        break;
    default:
        numbers[0] = value->sample.kind;
        numbers[1] = value->sample.count;
        memcpy(numbers + 2, value->sample.position, sizeof value->sample.position);
    }
}

static bool number_list(const struct command *command, const char *key, size_t type, double *numbers) {
    const char *text = text_of(command, key, "");
    for (int i = 0; i < value_types[type].count; i++) {
        char *end;
        numbers[i] = strtod(text, &end);
        if (end == text || *end != (i + 1 < value_types[type].count ? ',' : '\0')) {
            return false;
        }
        text = end + 1;
    }
    return true;
}

static shmkit_status_t open_value(const struct command *command, const shmkit_region_t *region, const char *name,
                                  struct object *object) {
    static const char *const types[] = {"u64", "f64", "shorts", "sample", NULL};
    double numbers[MOST_NUMBERS] = {0};
    size_t type = index_of(text_of(command, "type", ""), types);
    if (!types[type]) {
        return shmkit_value_open(region, name, 0, "no type", NULL, &object->value, &error);
    }
    object->value_type = type;
    bool given = number_list(command, "initial", type, numbers);
    union any_value initial = of_numbers(type, numbers);
    return shmkit_value_open(region, name, value_types[type].size, value_types[type].format, given ? &initial : NULL,
                             &object->value, &error);
}

static int run_value_load(const struct command *command, const struct object *object) {
    (void)command;
    union any_value value = {0};
    double numbers[MOST_NUMBERS];
    char text[256];
    size_t type = object->value_type, len = 0;
    shmkit_status_t status = shmkit_value_load(object->value, &value, value_types[type].size, NULL, &error);
    numbers_of(type, &value, numbers);
    for (int i = 0; i < value_types[type].count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%g", i > 0 ? "," : "", numbers[i]);
    }
    return answer(status, " value=%s", text);
}

static int run_value_store(const struct command *command, const struct object *object) {
    double numbers[MOST_NUMBERS];
    size_t type = object->value_type;
    if (!number_list(command, "value", type, numbers)) {
        return fail("value=%s", text_of(command, "value", ""));
    }
    union any_value value = of_numbers(type, numbers);
    return done(shmkit_value_store(object->value, &value, value_types[type].size, &error));
}

// So many times: each number of the value one higher. They are to be equal all the time.
static int run_value_count(const struct command *command, const struct object *object) {
    size_t type = object->value_type, size = value_types[type].size;
    for (uint64_t count = number(command, "count", 0, 10); count > 0;) {
        union any_value value;
        double numbers[MOST_NUMBERS];
        uint64_t version;
        shmkit_status_t status = shmkit_value_load(object->value, &value, size, &version, &error);
        numbers_of(type, &value, numbers);
        for (int i = value_types[type].count - 1; i >= 0; i--) {
            if (status == SHMKIT_OK && numbers[i] != numbers[0]) {
                return fail("halves of two values");
            }
            numbers[i]++;
        }
        value = of_numbers(type, numbers);
        status = status == SHMKIT_OK ? shmkit_value_store_if(object->value, version, &value, size, &error) : status;
        if (status == SHMKIT_OK) {
            count--;
        } else if (status != SHMKIT_WOULD_BLOCK) {
            return done(status);
        }
    }
    return done(SHMKIT_OK);
}

static int run_value_format(const struct command *command, const struct object *object) {
    (void)command;
    return answer(SHMKIT_OK, " format=%s size=%zu", shmkit_value_format(object->value),
                  shmkit_value_size(object->value));
}

// ---- The list of named objects

static const char *kind_name(uint32_t kind) {
    // With a space percent-encoded, as answers have it.
    static const char *const names[] = {"mutex",   "rwlock",       "semaphore",    "tracked%20semaphore", "condvar",
                                        "event",   "barrier",      "atomic%20u32", "atomic%20u64",        "atomic%20i64",
                                        "heap",    "pool",         "value"};
    size_t index = kind - SHMKIT_OBJECT_KIND_MUTEX;
    return index < sizeof names / sizeof *names ? names[index] : "unknown";
}

static int find_object(const struct command *command, const struct object *object) {
    shmkit_object_info_t info = SHMKIT_OBJECT_INFO_INIT;
    shmkit_status_t status = shmkit_region_find_object(object->region, text_of(command, "name", NULL), &info, &error);
    return answer(status, " kind=%s users=%u", kind_name(info.kind), (unsigned)info.users);
}

static int list_objects(const struct command *command, const struct object *object) {
    (void)command;
    shmkit_object_info_t info = SHMKIT_OBJECT_INFO_INIT;
    char names[4096] = "";
    size_t len = 0;
    shmkit_status_t status;
    while ((status = shmkit_region_next_object(object->region, info.name, &info, &error)) == SHMKIT_OK) {
        if (len + sizeof info.name + 1 < sizeof names) {
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? "," : "", info.name);
        }
    }
    return answer(status == SHMKIT_NOT_FOUND ? SHMKIT_OK : status, " names=%s", names);
}

// Keeps another handle on a region, which opens named objects in another mode.
static int change_mode(const struct command *command, const struct object *object) {
    static const char *const modes[] = {"find_or_create", "find", "create", NULL};
    const char *handle = text_of(command, "o", NULL);
    struct object **slot = handle ? object_slot(handle) : NULL;
    shmkit_region_t *other = NULL;
    uint32_t mode = (uint32_t)index_of(text_of(command, "mode", ""), modes);
    shmkit_status_t status = shmkit_region_with_mode(object->region, mode, &other, &error);
    if (status != SHMKIT_OK || !slot || *slot) {
        shmkit_region_free(other);
        return status != SHMKIT_OK ? done(status) : fail("no place for a handle");
    }
    *slot = malloc(sizeof **slot);
    **slot = (struct object){.name = strdup(handle), .region = other};
    return done(SHMKIT_OK);
}

#endif
