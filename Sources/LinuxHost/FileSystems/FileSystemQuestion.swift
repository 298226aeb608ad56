// How full a file system is, asked by a thread that may hang.

import Glibc
import Platform
import Synchronization

/// What a file system has in use, in percent.
struct FileSystemUse: Equatable, Sendable {
    /// As df(1) counts it.
    var space: Double?
    /// `nil` for file systems that make inodes as they need them.
    var inodes: Double?

    init(_ status: statvfs) {
        // Of what is there for everybody: blocks that are reserved for root count as used only when they are.
        space = used(of: UInt64(status.f_blocks), free: UInt64(status.f_bfree), available: UInt64(status.f_bavail))
        inodes = used(of: UInt64(status.f_files), free: UInt64(status.f_ffree), available: UInt64(status.f_favail))
    }
}

private func used(of all: UInt64, free: UInt64, available: UInt64) -> Double? {
    let used = all - min(all, free)
    let (usable, overflow) = used.addingReportingOverflow(available)
    return usable > 0 && !overflow ? 100 * Double(used) / Double(usable) : nil
}

/// Asks one mounted file system. A server that is gone makes the question hang in the kernel; then it is one thread that waits, and
/// the answer is absent until it comes back.
final class FileSystemQuestion: Sendable {
    enum Answer: Equatable, Sendable {
        case use(FileSystemUse)
        /// What the kernel says, as errno.
        case failed(Int32)
        /// The question of the call before is still open.
        case hangs
    }

    private enum State: Sendable {
        case idle
        case asked
        case answered(Answer)
    }

    private let path: String
    private let state = Mutex(State.idle)

    init(path: String) { self.path = path }

    /// The answer to the question of the call before, `nil` at the first; asks again unless that one is still open.
    func take() -> Answer? {
        let (answer, mayAsk) = state.withLock { state -> (Answer?, Bool) in
            switch state {
            case .asked: return (.hangs, false)
            case .idle:
                state = .asked
                return (nil, true)
            case .answered(let answer):
                state = .asked
                return (answer, true)
            }
        }
        if mayAsk, !detachThread({ self.ask() }) { state.withLock { $0 = .idle } }
        return answer
    }

    private func ask() {
        var status = statvfs()
        let answer: Answer = statvfs(path, &status) == 0 ? .use(FileSystemUse(status)) : .failed(errno)
        state.withLock { $0 = .answered(answer) }
    }
}
