// Threads for what cannot but wait.

import Glibc

/// Runs `work` on a new thread that takes no signals: those are for the program's own threads.
/// - Returns: false when there can be no more threads.
func startThread(_ work: @escaping @Sendable () -> Void) -> Bool {
    final class Box {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    let box = Unmanaged.passRetained(Box(work))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().work() }
            return nil
        }, box.toOpaque())
    guard code == 0 else {
        box.release()
        return false
    }
    pthread_detach(thread)
    return true
}
