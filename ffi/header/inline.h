
// Formats a text as printf does and appends it to a log as a record, without a zero byte at its end. `position` and
// `error` may be NULL. Texts of some hundred bytes are formatted on the stack, longer ones twice, in place, where
// the zero byte needs room for a moment: so a text must be shorter than the longest record.
//
// Fails as shmkit_log_append does, and with INVALID_ARGUMENT for a format that cannot be printed.
#if defined(__GNUC__)
__attribute__((format(printf, 5, 0)))
#endif
static inline shmkit_status_t shmkit_log_vprintf(const shmkit_log_t *log, uint32_t kind, uint64_t *position,
                                                 shmkit_error_t *error, const char *format, va_list arguments) {
    char text[512];
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(text, sizeof text, format, arguments);
    shmkit_status_t status;
    if (len < 0 || (size_t)len < sizeof text) {
        // A length that cannot be is refused, and the reason told.
        status = shmkit_log_append(log, kind, len < 0 ? NULL : text, len < 0 ? 1 : (size_t)len, position, error);
    } else {
        // vsnprintf ends with a zero byte: room for one more, which is not committed.
        shmkit_log_reservation_t *reservation = NULL;
        void *data = NULL;
        status = shmkit_log_reserve(log, kind, (size_t)len + 1, &reservation, &data, error);
        if (status == SHMKIT_OK) {
            vsnprintf((char *)data, (size_t)len + 1, format, again);
            status = shmkit_log_commit(reservation, (size_t)len, position, error);
        }
    }
    va_end(again);
    return status;
}

// As shmkit_log_vprintf: shmkit_log_printf(log, kind, NULL, &error, "%s is %d", name, value).
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
static inline shmkit_status_t shmkit_log_printf(const shmkit_log_t *log, uint32_t kind, uint64_t *position,
                                                shmkit_error_t *error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    shmkit_status_t status = shmkit_log_vprintf(log, kind, position, error, format, arguments);
    va_end(arguments);
    return status;
}
