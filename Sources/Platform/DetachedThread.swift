// Threads for what cannot but wait.

import Glibc

/// Runs `work` on a new thread of its own, for which nobody waits. It takes no signals: those are for the program's own threads, and a closed
/// connection must be an error code and not a SIGPIPE.
/// - Parameter stackSize: in bytes; `mainStackSize` where a C library works with names, certificates or databases.
/// - Returns: false when there can be no more threads.
public func detachThread(stackSize: Int = 512 << 10, _ work: @escaping @Sendable () -> Void) -> Bool {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, stackSize)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(ThreadWork(work))
    let result = pthread_create(&thread, &attributes, begin, context.toOpaque())
    if result != 0 { context.release() }
    return result == 0
}

/// What a program's first thread has, and what libraries therefore count on. Only what is used of it is ever in memory.
public let mainStackSize = 8 << 20

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private let begin: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    if let context { Unmanaged<ThreadWork>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}
