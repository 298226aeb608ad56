// A file that is written without anybody waiting for the disk.

import Glibc
import Synchronization

/// Writes a file again and again from a thread of its own: each time with the latest content alone, whole or not at all.
///
/// The thread lives only while there is something to write.
public final class BackgroundFile: Sendable {
    private struct State {
        var latest: [UInt8]?
        var isWriting = false
        var hasFailed = false
    }

    private let path: String
    private let mode: UInt32
    private let failed: @Sendable (FileError) -> Void
    private let state = Mutex(State())

    /// - Parameter failed: hears of an attempt that failed, on the writing thread, and of no other until one has gone well.
    public init(_ path: String, mode: UInt32 = 0o600, failed: @escaping @Sendable (FileError) -> Void) {
        self.path = path
        self.mode = mode
        self.failed = failed
    }

    /// Replaces the content soon; what waits to be written is forgotten.
    public func write(_ bytes: [UInt8]) {
        let mustStart = state.withLock { state in
            state.latest = bytes
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard mustStart else { return }
        // Without a thread the caller waits after all: better than to lose it.
        if !detachThread({ self.writeAll() }) { writeAll() }
    }

    /// Whether the last attempt failed, so that the file is older than what was to be in it.
    public var hasFailed: Bool { state.withLock { $0.hasFailed } }

    /// Waits until everything is written: for the end of a program.
    public func finish() {
        while state.withLock({ $0.isWriting }) { usleep(1000) }
    }

    private func writeAll() {
        while true {
            let next = state.withLock { state in
                defer { state.latest = nil }
                if state.latest == nil { state.isWriting = false }
                return state.latest
            }
            guard let next else { return }
            do throws(FileError) {
                try AtomicFile.write(next, to: path, mode: mode)
                state.withLock { $0.hasFailed = false }
            } catch {
                let isNews = state.withLock { state in
                    defer { state.hasFailed = true }
                    return !state.hasFailed
                }
                if isNews { failed(error) }
            }
        }
    }
}
