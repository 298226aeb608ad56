// SIGINT and SIGTERM: say how far it came, then end.

import Dispatch
import Glibc

enum Interruption {
    /// The end of a pipe into which the signals' handler writes; it may do little else (signal-safety(7)).
    nonisolated(unsafe) private static var mouth: Int32 = -1

    /// Calls `end` with the signal's number when one comes. A signal that was ignored when the program began stays ignored: a shell
    /// does so for what it runs in the background.
    static func onSignal(_ end: @escaping @Sendable (Int32) async -> Void) {
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { return }
        mouth = pipe[1]
        for number in [SIGINT, SIGTERM] {
            let before = signal(number) { number in
                var byte = UInt8(truncatingIfNeeded: number)
                write(Interruption.mouth, &byte, 1)
            }
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
        }
        DispatchQueue(label: "signals").async { @Sendable [ear = pipe[0]] in
            var byte = UInt8(0)
            while read(ear, &byte, 1) != 1 {}
            Task { [byte] in await end(Int32(byte)) }
        }
    }
}
