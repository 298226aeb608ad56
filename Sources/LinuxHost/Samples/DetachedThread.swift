// A thread that may hang without anybody waiting for it.

import Glibc

/// Starts a thread of its own for work that the kernel may keep waiting for ever.
/// - Returns: whether there is one.
func detachThread(_ work: @escaping @Sendable () -> Void) -> Bool {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 128 << 10)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(ThreadWork(work))
    let result = pthread_create(&thread, &attributes, begin, context.toOpaque())
    if result != 0 { context.release() }
    return result == 0
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private let begin: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
    if let context { Unmanaged<ThreadWork>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}
