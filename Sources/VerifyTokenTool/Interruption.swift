// SIGINT, SIGTERM and SIGHUP: say how far it came, close what is open, then end.

import Dispatch
import Glibc

enum Interruption {
    struct Signal: Sendable {
        var number: Int32
        /// Whether a terminal sent it, to everything that runs in its foreground.
        var isOfTerminal: Bool
    }

    /// The end of a pipe into which the signals' handler writes; it may do little else (signal-safety(7)).
    nonisolated(unsafe) private static var mouth: Int32 = -1

    static let numbers = [SIGINT, SIGTERM, SIGHUP]

    /// Tells each signal as it comes, on a queue of its own. A signal that was ignored when the program began stays ignored: a shell does so
    /// for what it runs in the background, nohup(1) for what it runs at all.
    static func listen(_ heard: @escaping @Sendable (Signal) -> Void) {
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { return }
        for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        mouth = pipe[1]
        for number in numbers {
            var before = sigaction()
            sigaction(number, nil, &before)
            if unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { continue }
            var action = sigaction()
            action.sa_flags = SA_SIGINFO | SA_RESTART
            action.__sigaction_handler.sa_sigaction = { number, information, _ in
                let isOfTerminal = (information?.pointee.si_code ?? 0) > 0
                var byte = UInt8(truncatingIfNeeded: number) | (isOfTerminal ? 0x80 : 0)
                write(Interruption.mouth, &byte, 1)
            }
            sigaction(number, &action, nil)
        }
        DispatchQueue(label: "signals").async { @Sendable [ear = pipe[0]] in
            while true {
                var byte = UInt8(0)
                let count = read(ear, &byte, 1)
                if count == 1 { heard(Signal(number: Int32(byte & 0x7f), isOfTerminal: byte & 0x80 != 0)) }
                if count == 0 || (count < 0 && errno != EINTR) { return }
            }
        }
    }

    /// Calls `end` with the signal's number when the first one comes.
    static func onSignal(_ end: @escaping @Sendable (Int32) async -> Void) {
        listen { signal in Task { await end(signal.number) } }
    }
}
