// shmkit: shared memory for Rust, C, Python and Go that survives when a process is killed.
//
// Written by tools/c-header.sh from the sources in ffi/ and core/; do not edit.
//
// Errors      Each call that can fail returns a shmkit_status_t: SHMKIT_OK, or what went wrong. The comments here name
//             statuses without their SHMKIT_. The last argument may lead to a shmkit_error_t of yours, which is filled
//             when the call fails, and only then; NULL is allowed. Nothing is kept per thread. A call that fails has
//             changed nothing, with one exception that you must know: OWNER_DIED means that the lock IS HELD.
// Arguments   NULL for a handle, a name or a result is INVALID_ARGUMENT, unless the comment allows it. Names are UTF-8;
//             paths are bytes. Strings and options are read during the call and not kept. Lengths and offsets are in
//             bytes, times in nanoseconds.
// Objects     Locks and signals are named objects of a region: `shmkit_<kind>_open` finds or creates one by name and kind, and
//             who opens it must ask for the same parameters. A handle on one may outlive the region's handle.
// Ownership   A handle that a call stores into `*out` is yours until you give it to the `_free` function of its kind,
//             once. Strings that calls return belong to the library. `_close` ends the use and keeps the handle; `_free`
//             takes the handle. Neither removes a name: that is `_unlink`, shmkit_region_remove_object, and for System
//             V `_remove`.
// Views       `_pin` counts a view, and `_close` answers BUSY while one lives, so no address goes away beneath its user.
//             Bytes in a view can be changed by other processes at any time: read them once, or hold the guard.
// Threads     All calls on a handle may be made from any thread at the same time, except `_free`, which comes last.
//             Locks belong to the process, so another thread may give back what one took.
// Forks       A forked child may go on using its copies of handles. It is attached anew at its first lock, and never
//             holds or releases what its parent holds.
// Blocking    Only `_lock`, `_acquire` and `_wait` functions, and what waits for the disk (a flush, and an append whose
//             policy says so), can block for long.
// Panics      Never cross into your program: a defect inside is INTERNAL.
