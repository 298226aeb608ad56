// How full a file system is, asked by a thread that may hang.

import Glibc
import Synchronization

/// Asks one mounted file system. A server that is gone makes the question hang in the kernel; then it is one thread that waits, and
/// the answer is absent until it comes back.
final class DiskUsage: Sendable {
    private enum State: Sendable {
        case idle
        case asked
        case answered(Double?)
    }

    private let path: String
    private let state = Mutex(State.idle)

    init(path: String) { self.path = path }

    /// The answer to the question of the call before, in percent as df(1) counts it; asks again unless that one is still open.
    func take() -> Double? {
        let (answer, mayAsk) = state.withLock { state -> (Double?, Bool) in
            switch state {
            case .asked: return (nil, false)
            case .idle:
                state = .asked
                return (nil, true)
            case .answered(let answer):
                state = .asked
                return (answer, true)
            }
        }
        if mayAsk, !startThread() { state.withLock { $0 = .idle } }
        return answer
    }

    private func startThread() -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 128 << 10)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(&thread, &attributes, ask, context.toOpaque())
        if result != 0 { context.release() }
        return result == 0
    }

    fileprivate func answer() {
        var status = statvfs()
        let percent = statvfs(path, &status) == 0 ? usedPercent(status) : nil
        state.withLock { $0 = .answered(percent) }
    }
}

private let ask: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
    if let context { Unmanaged<DiskUsage>.fromOpaque(context).takeRetainedValue().answer() }
    return nil
}

/// Of what is there for everybody: blocks that are reserved for root count as used only when they are.
private func usedPercent(_ status: statvfs) -> Double? {
    let used = UInt64(status.f_blocks) - min(UInt64(status.f_blocks), UInt64(status.f_bfree))
    let usable = used + UInt64(status.f_bavail)
    return usable > 0 ? 100 * Double(used) / Double(usable) : nil
}
