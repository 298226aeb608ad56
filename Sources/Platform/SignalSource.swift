// Signals as events of a loop.

import CLinux
import Glibc

/// Hands signals to a loop's thread, where a handler may do anything (signalfd(2)).
///
/// Making one blocks its signals in the calling thread and in those that it makes from then on: make it before any other thread.
public final class SignalSource {
    private let loop: Loop
    private let descriptor: Int32

    public init(_ signals: [Int32], on loop: Loop, _ handler: @escaping (Int32) -> Void) throws(SystemError) {
        self.loop = loop
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        let problem = pthread_sigmask(SIG_BLOCK, &set, nil)
        guard problem == 0 else { throw SystemError("blocking signals", code: problem) }
        descriptor = signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        guard descriptor >= 0 else { throw SystemError("creating a signalfd") }
        try loop.watch(descriptor, for: .readable) { [descriptor] _ in
            var signal = signalfd_siginfo()
            while read(descriptor, &signal, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
                handler(Int32(bitPattern: signal.ssi_signo))
            }
        }
    }

    deinit {
        loop.unwatch(descriptor)
        close(descriptor)
    }
}
