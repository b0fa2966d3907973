// Package shmkit is shared memory that survives when a process is killed.
//
// Processes in Go, Python, C and Rust open the same region by name and share its bytes and its lock at the speed of
// memory. When one of them is killed, at any instruction, the others go on.
//
//	region, err := shmkit.Create("frames", 1<<20)
//	if err != nil {
//		return err
//	}
//	defer region.Close()
//
//	if err := region.Lock(ctx); err != nil {
//		return err // or repair, see below
//	}
//	defer region.Unlock()
//	_, err = region.WriteAt([]byte("Hi"), 0)
//
// # Objects
//
//   - A [Region] is a named piece of memory with a guard, which is one lock over its bytes. [Create], [Open] and
//     [OpenOrCreate] return one, [Unlink] removes its name. It is a POSIX shared memory object or, with [AsFile], a file.
//   - In a region live objects that its processes find by name, or create: a [Mutex], an [RwLock], a [Semaphore], a [Condvar],
//     an [Event], a [Barrier], an [Atomic] integer. [Region.Mutex] and its siblings return a handle, [Region.RemoveObject]
//     removes one. A handle stays usable when that of the region is closed.
//   - [List] returns the names of all regions, and [Region.Status] what goes on in one: who is attached, who holds and
//     waits for what since when.
//   - A [Segment] is what is mapped: a shared memory object, a file, or a memfd, which can be sealed and sent to another
//     process. A [SysvSegment] and a [SysvSemaphore] are the kernel's older ones. [CodeMemory] holds machine code.
//   - A [Mapping] is one mapped range of a file or of anonymous memory: [Map], [MapAnonymous]. [Mapping.Residency] tells what the kernel
//     knows of its pages, [Mapping.Advise] tells the kernel what they will be used for.
//   - A [Log] is records that many processes append at once, in a directory: [CreateLog], [OpenLog], [OpenOrCreateLog]. A
//     [LogReader] reads and follows it; [NewSlogHandler] and [Log.Writer] put it behind slog and log.
//   - A [WindowCache] is a file larger than one wants mapped, through windows that are used again: [OpenWindows].
//
// # Bytes
//
// There are three ways to the bytes of either object. ReadAt and WriteAt copy, checked, and make both objects an
// io.ReaderAt and io.WriterAt. View lends the bytes to a function, without a copy, and keeps the object open meanwhile.
// Bytes hands them out until Close. [SliceAs] shows bytes as numbers or structs.
//
// Other processes can write shared bytes at any time. A copy may be torn, and two looks at one byte may differ, unless
// the guard or a lock keeps the others away. The race detector does not watch mapped memory; it does see the edges that
// locks, semaphores, condition variables, events, barriers and atomics make between the goroutines of a process.
//
// # Ownership
//
// Close is how an object is released. It answers [ErrBusy], and changes nothing, while a view is lent out or while the
// process holds a lock of whose handles this is the last. Closing twice is allowed; whatever is called on a closed handle answers
// [ErrClosed]. An object that becomes unreachable is closed by the garbage collector some time later, unless its Bytes
// were handed out.
//
// # Goroutines and blocking
//
// All methods may be called from any goroutine. What can block for long takes a context and follows it within 15 ms, but for a
// flush that waits for the disk. Locks and permits belong to the process: goroutines move between threads, and any of them
// may unlock what another locked. What is uncontended is a few atomic operations without a call into C: locking and
// unlocking (but for the write side of an RwLock), permits of a signalling semaphore, events, atomics.
//
// However many goroutines wait for an object, one of them does so in the kernel, on an OS thread; only those at a [Barrier]
// take a thread each.
//
// # A dead owner
//
// When a process is killed while it holds a lock, the next one gets the lock and [ErrOwnerDied]: what the lock protects may be
// half-written. The lock IS HELD then. Repair the bytes, call [Region.MakeConsistent], and go on:
//
//	err := region.Lock(ctx)
//	if errors.Is(err, shmkit.ErrOwnerDied) {
//		repair(region)
//		err = region.MakeConsistent()
//	}
//
// # Errors
//
// A function that fails returns an [*Error] that names the operation, the object and the errno, and says what to do next.
// Its kind is one of the sentinels below, for errors.Is; those of io/fs, os and context that mean the same work as well.
//
// # Building
//
// The package is compiled with cgo and links a static library that travels in the module, for Linux with glibc on amd64
// and arm64. With the build tag shmkit_shared it links the installed libshmkit.so that pkg-config finds instead.
package shmkit
