// The conformance runner of the C face: one command per line on stdin, one answer per line on stdout.
//
// README.md beside this file describes the protocol. What the driver sends wrongly is answered with `fail`; what the
// library refuses is an answer like any other.

#define _POSIX_C_SOURCE 200809L
#include "runner_log.h"
#include "runner_objects.h"
#include "runner_sockets.h"
#include "runner_windows.h"

#include <signal.h>
#include <unistd.h>

struct view {
    char *name;
    struct object *object;
    unsigned char *data;
    size_t len;
    bool writable;
};

static struct view *views[MAX_NAMED];

// ---- Handles and views

static struct view **view_slot(const char *name) {
    struct view **free_slot = NULL;
    for (size_t i = 0; i < MAX_NAMED; i++) {
        if (views[i] && strcmp(views[i]->name, name) == 0) {
            return &views[i];
        }
        if (!views[i] && !free_slot) {
            free_slot = &views[i];
        }
    }
    return free_slot;
}

static bool has_views(const struct object *object) {
    for (size_t i = 0; i < MAX_NAMED; i++) {
        if (views[i] && views[i]->object == object) {
            return true;
        }
    }
    return false;
}

static size_t len_of(const struct object *object) {
    return object->region ? shmkit_region_len(object->region) : shmkit_mapping_len(object->mapping);
}

// Keeps a new handle under the name in `h`, in place of an older one, and says more of it than its length.
static int keep_saying(const struct command *command, shmkit_status_t status, shmkit_region_t *region,
                       shmkit_mapping_t *mapping, const char *more) {
    const char *name = text_of(command, "h", NULL);
    struct object **slot = name ? object_slot(name) : NULL;
    if (status != SHMKIT_OK) {
        return done(status);
    }
    if (!slot || (*slot && has_views(*slot))) {
        shmkit_region_free(region);
        shmkit_mapping_free(mapping);
        return fail("no place for a handle");
    }
    if (*slot) {
        release(slot);
    }
    *slot = malloc(sizeof **slot);
    **slot = (struct object){.name = strdup(name), .region = region, .mapping = mapping};
    return answer(SHMKIT_OK, " len=%zu%s", len_of(*slot), more);
}

static int keep(const struct command *command, shmkit_status_t status, shmkit_region_t *region,
                shmkit_mapping_t *mapping) {
    return keep_saying(command, status, region, mapping, "");
}

// ---- Operations

static int open_region(const struct command *command) {
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags |= flag(command, "path") ? SHMKIT_REGION_PATH : 0;
    options.flags |= flag(command, "read_only") ? SHMKIT_REGION_READ_ONLY : 0;
    options.mode = (uint32_t)number(command, "mode", 0, 8);
    options.attachments = (uint32_t)number(command, "attachments", 0, 10);
    options.arena_len = number(command, "arena_len", 0, 10);
    options.capacity = number(command, "capacity", 0, 10);
    if (find(command, "arena_len") && options.arena_len == 0) {
        options.flags |= SHMKIT_REGION_NO_ARENA;
    }
    const char *name = text_of(command, "name", NULL);
    uint64_t len = number(command, "len", 0, 10);
    shmkit_region_t *region = NULL;
    shmkit_status_t status;
    if (strcmp(command->op, "region_create") == 0) {
        status = shmkit_region_create(name, len, &options, &region, &error);
    } else if (strcmp(command->op, "region_open") == 0) {
        status = shmkit_region_open(name, &options, &region, &error);
    } else {
        status = shmkit_region_open_or_create(name, len, &options, &region, &error);
    }
    return keep(command, status, region, NULL);
}

static int unlink_region(const struct command *command) {
    shmkit_region_options_t options = SHMKIT_REGION_OPTIONS_INIT;
    options.flags = flag(command, "path") ? SHMKIT_REGION_PATH : 0;
    return done(shmkit_region_unlink(text_of(command, "name", NULL), &options, &error));
}

static int map(const struct command *command) {
    shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
    if (!protection_of(command, &options.protection)) {
        return fail("unknown protection");
    }
    options.flags |= find(command, "len") ? SHMKIT_MAP_LEN : 0;
    options.flags |= flag(command, "create") ? SHMKIT_MAP_CREATE : 0;
    options.flags |= flag(command, "grow") ? SHMKIT_MAP_GROW : 0;
    options.flags |= flag(command, "populate") ? SHMKIT_MAP_POPULATE : 0;
    options.flags |= strcmp(text_of(command, "sharing", "shared"), "private") == 0 ? SHMKIT_MAP_PRIVATE : 0;
    options.len = number(command, "len", 0, 10);
    options.offset = number(command, "offset", 0, 10);
    options.reserve = number(command, "reserve", 0, 10);
    shmkit_mapping_t *mapping = NULL;
    shmkit_status_t status = strcmp(command->op, "map_open") == 0
                                 ? shmkit_mapping_open(text_of(command, "path", NULL), &options, &mapping, &error)
                                 : shmkit_mapping_anonymous(&options, &mapping, &error);
    return keep(command, status, NULL, mapping);
}

// Memory or a region without a name, sent or received over the socket that the command names.
static int pass(const struct command *command) {
    const uint64_t patience = 20000000000;
    bool sends = strncmp(command->op, "send", 4) == 0, of_region = strstr(command->op, "region") != NULL;
    uint64_t len = number(command, "len", 0, 10);
    int peer = open_peer(text_of(command, "path", ""), sends);
    shmkit_segment_t *segment = NULL;
    shmkit_region_t *region = NULL;
    shmkit_mapping_t *mapping = NULL;
    uint32_t seals = 0;
    int fd = -1;
    shmkit_status_t status;
    if (!sends) {
        status = shmkit_segment_receive_wait(peer, patience, 0, &segment, &error);
    } else if (of_region) {
        status = shmkit_region_create_unnamed(len, NULL, &region, &error);
        status = status ? status : shmkit_region_fd(region, &fd, &error);
        status = status ? status : shmkit_segment_from_fd(fd, &segment, &error);
    } else {
        status = shmkit_segment_memfd("conformance", len, &segment, &error);
        status = status ? status : shmkit_segment_seal(segment, SHMKIT_SEAL_SHRINK, &error);
    }
    if (status == SHMKIT_OK && sends) {
        status = shmkit_segment_send_wait(segment, peer, patience, 0, &error);
    } else if (status == SHMKIT_OK && of_region) {
        status = shmkit_region_from_fd(shmkit_segment_fileno(segment), &region, &error);
    }
    if (status == SHMKIT_OK && !of_region) {
        shmkit_map_options_t options = SHMKIT_MAP_OPTIONS_INIT;
        options.protection = SHMKIT_PROTECTION_READ_WRITE;
        status = shmkit_segment_map(segment, &options, &mapping, &error);
        status = status ? status : shmkit_segment_seals(segment, &seals, &error);
    }
    shmkit_segment_free(segment);
    close(peer);
    close(fd);
    const char *sealed = seals & SHMKIT_SEAL_SHRINK ? " sealed=1" : " sealed=0";
    return keep_saying(command, status, region, mapping, sends || of_region ? "" : sealed);
}

static int region_info(const shmkit_region_t *region) {
    unsigned char id[16];
    char text[33];
    shmkit_status_t status = shmkit_region_id(region, id, &error);
    for (size_t i = 0; status == SHMKIT_OK && i < sizeof id; i++) {
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    }
    return answer(status, " len=%zu read_only=%d id=%s locked=%d", shmkit_region_len(region),
                  shmkit_region_is_read_only(region), text, shmkit_region_is_locked(region));
}

static int read_object(const struct command *command, const struct object *object) {
    size_t len = number(command, "len", 0, 10);
    // No buffer is as long as the absurd lengths that must be refused: one that is never touched stands for it.
    unsigned char *buffer = len <= len_of(object) ? malloc(len + 1) : malloc(1);
    uint64_t offset = number(command, "offset", 0, 10);
    shmkit_status_t status = object->region ? shmkit_region_read_at(object->region, offset, buffer, len, &error)
                                            : shmkit_mapping_read_at(object->mapping, offset, buffer, len, &error);
    answer_data(status, buffer, len);
    free(buffer);
    return 0;
}

static int write_object(const struct command *command, const struct object *object) {
    unsigned char *data;
    size_t len;
    if (!data_of(command, &data, &len)) {
        return fail("data is not hexadecimal");
    }
    uint64_t offset = number(command, "offset", 0, 10);
    return done(object->region ? shmkit_region_write_at(object->region, offset, data, len, &error)
                               : shmkit_mapping_write_at(object->mapping, offset, data, len, &error));
}

static int take_view(const struct command *command, struct object *object) {
    const char *name = text_of(command, "v", NULL);
    struct view **slot = name ? view_slot(name) : NULL;
    if (!slot || *slot) {
        return fail("no place for a view");
    }
    size_t limit = len_of(object);
    uint64_t offset = number(command, "offset", 0, 10);
    size_t len = number(command, "len", offset < limit ? limit - offset : 0, 10);
    bool writable = flag(command, "writable");
    void *data = NULL;
    shmkit_status_t status = object->region
                                 ? shmkit_region_pin(object->region, offset, len, writable, &data, &error)
                                 : shmkit_mapping_pin(object->mapping, offset, len, writable, &data, &error);
    if (status == SHMKIT_OK) {
        *slot = malloc(sizeof **slot);
        **slot = (struct view){strdup(name), object, data, len, writable};
    }
    return answer(status, " len=%zu", len);
}

static int release_view(struct view **slot) {
    struct view *view = *slot;
    *slot = NULL;
    shmkit_status_t status = view->object->region
                                 ? shmkit_region_unpin(view->object->region, view->writable, &error)
                                 : shmkit_mapping_unpin(view->object->mapping, view->writable, &error);
    free(view->name);
    free(view);
    return done(status);
}

static int use_view(const struct command *command) {
    const char *name = text_of(command, "v", "");
    struct view **slot = view_slot(name);
    if (!slot || !*slot) {
        return fail("no view %s", name);
    }
    struct view *view = *slot;
    if (strcmp(command->op, "view_release") == 0) {
        return release_view(slot);
    }
    return use_bytes(command, view->data, view->len, view->writable);
}

static int check_object(const struct object *object) {
    return done(object->region ? shmkit_region_check(object->region, &error)
                               : shmkit_mapping_check(object->mapping, &error));
}

static int resize_object(const struct command *command, const struct object *object) {
    uint64_t len = number(command, "len", 0, 10);
    shmkit_status_t status = object->region ? shmkit_region_resize(object->region, len, &error)
                                            : shmkit_mapping_resize(object->mapping, len, &error);
    if (status != SHMKIT_OK) {
        return done(status);
    }
    printf("ok len=%zu\n", len_of(object));
    return 0;
}

static int residency(const struct object *object, uint64_t offset, size_t len) {
    uint8_t states[4096];
    size_t pages, resident = 0;
    shmkit_status_t status = shmkit_mapping_residency(object->mapping, offset, len, states, sizeof states, &pages, NULL, &error);
    if (status != SHMKIT_OK) {
        return done(status);
    }
    for (size_t i = 0; i < pages; i++) {
        resident += states[i] & SHMKIT_PAGE_RESIDENT;
    }
    printf("ok pages=%zu resident=%zu\n", pages, resident);
    return 0;
}

static int change_range(const struct command *command, const struct object *object) {
    size_t limit = len_of(object);
    uint64_t offset = number(command, "offset", 0, 10);
    size_t len = number(command, "len", offset < limit ? limit - offset : 0, 10);
    if (strcmp(command->op, "flush") == 0) {
        uint32_t flags = flag(command, "async") ? SHMKIT_FLUSH_ASYNC : 0;
        flags |= flag(command, "invalidate") ? SHMKIT_FLUSH_INVALIDATE : 0;
        return done(object->region ? shmkit_region_flush(object->region, offset, len, flags, &error)
                                   : shmkit_mapping_flush(object->mapping, offset, len, flags, &error));
    }
    if (!object->mapping) {
        return fail("%s needs a mapping", command->op);
    }
    if (strcmp(command->op, "protect") == 0) {
        uint32_t protection;
        return protection_of(command, &protection)
                   ? done(shmkit_mapping_protect(object->mapping, offset, len, protection, &error))
                   : fail("unknown protection");
    }
    if (strcmp(command->op, "lock_memory") == 0) {
        uint32_t how = flag(command, "on_fault") ? SHMKIT_LOCK_ON_FAULT : 0;
        return done(shmkit_mapping_lock_memory(object->mapping, offset, len, how, &error));
    }
    if (strcmp(command->op, "unlock_memory") == 0) {
        return done(shmkit_mapping_unlock_memory(object->mapping, offset, len, &error));
    }
    if (strcmp(command->op, "residency") == 0) {
        return residency(object, offset, len);
    }
    uint32_t advice;
    return advice_of(command, "advice", &advice)
               ? done(shmkit_mapping_advise(object->mapping, offset, len, advice, &error))
               : fail("unknown advice");
}

static int use_object(const struct command *command, struct object **slot) {
    static const char *const ranges[] = {"flush", "protect", "advise", "lock_memory", "unlock_memory", "residency", NULL};
    const char *op = command->op;
    struct object *object = *slot;
    if (strcmp(op, "close") == 0) {
        return done(close_object(object));
    }
    if (strcmp(op, "drop") == 0) {
        if (has_views(object)) {
            return fail("a handle with live views");
        }
        release(slot);
        return done(SHMKIT_OK);
    }
    if (object->region && strcmp(op, "region_info") == 0) {
        return region_info(object->region);
    }
    if (!object->region && !object->mapping) {
        return operate(command, object);
    }
    if (strcmp(op, "read") == 0) {
        return read_object(command, object);
    }
    if (strcmp(op, "write") == 0) {
        return write_object(command, object);
    }
    if (strcmp(op, "check") == 0) {
        return check_object(object);
    }
    if (strcmp(op, "resize") == 0) {
        return resize_object(command, object);
    }
    if (strcmp(op, "view") == 0) {
        return take_view(command, object);
    }
    if (ranges[index_of(op, ranges)]) {
        return change_range(command, object);
    }
    return operate(command, object);
}

static int run(const struct command *command) {
    static const char *const opens[] = {"region_create", "region_open", "region_open_or_create", NULL};
    static const char *const maps[] = {"map_open", "map_anonymous", NULL};
    static const char *const passes[] = {"send_memory", "receive_memory", "send_region", "receive_region", NULL};
    static const char *const of_views[] = {"view_read", "view_write", "view_release", NULL};
    const char *op = command->op;
    if (strcmp(op, "hello") == 0) {
        return answer(SHMKIT_OK, " language=c pid=%d", (int)getpid());
    }
    if (strcmp(op, "die") == 0) {
        return raise(SIGKILL);
    }
    if (opens[index_of(op, opens)]) {
        return open_region(command);
    }
    if (strcmp(op, "region_unlink") == 0) {
        return unlink_region(command);
    }
    if (maps[index_of(op, maps)]) {
        return map(command);
    }
    if (passes[index_of(op, passes)]) {
        return pass(command);
    }
    if (of_views[index_of(op, of_views)]) {
        return use_view(command);
    }
    if (strncmp(op, "log_", 4) == 0) {
        return use_log(command);
    }
    if (strncmp(op, "windows_", 8) == 0) {
        return use_windows(command);
    }
    const char *name = text_of(command, "h", "");
    struct object **slot = object_slot(name);
    return slot && *slot ? use_object(command, slot) : fail("no handle %s for %s", name, op);
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) >= 0) {
        struct command command;
        if (parse(line, &command)) {
            run(&command);
        } else {
            fail("not a command");
        }
        fflush(stdout);
    }
    free(line);
    return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
