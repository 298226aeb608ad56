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
    }

    private let path: String
    private let mode: UInt32
    private let failed: @Sendable (FileError) -> Void
    private let state = Mutex(State())

    /// - Parameter failed: hears of each attempt that failed, on the writing thread.
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
        let here = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_BLOCK, &all, nil)
                if let argument { Unmanaged<BackgroundFile>.fromOpaque(argument).takeRetainedValue().writeAll() }
                return nil
            }, here.toOpaque())
        guard code == 0 else {
            here.release()
            // Then the caller waits after all: better than to lose it.
            return writeAll()
        }
        pthread_detach(thread)
    }

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
            } catch {
                failed(error)
            }
        }
    }
}
