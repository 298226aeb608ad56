// HTTP and mail for everybody: many transfers at once on one thread.

import Glibc
public import Platform
import Synchronization

/// Carries out transfers on a thread of its own: one libcurl multi handle on one `Loop`, so that a slow target delays no other.
/// Cancelling the calling task ends its transfer.
public final class Transfers: Sendable {
    /// Where the transfers run. Who never waits may live on it too; it ends with `shutdown`.
    public let loop: Loop
    private let engine: Engine
    private let isClosed = Mutex(false)
    private let lastNumber = Atomic<UInt64>(0)

    /// Starts the thread.
    /// - Parameter maximumAtOnce: how many transfers run at a time; more wait for their turn, and their deadlines go on.
    public init(maximumAtOnce: Int = 256) throws(SystemError) {
        loop = try Loop()
        engine = try Engine(loop: loop, maximumAtOnce: max(1, maximumAtOnce))
        let hasStarted = detachThread(stackSize: mainStackSize) { [loop, engine] in
            loop.run()
            engine.close()
        }
        guard hasStarted else { throw SystemError("starting a thread", code: EAGAIN) }
    }

    deinit { shutdown() }

    /// Ends all transfers, running and to come, as cancelled, and the thread.
    public func shutdown() {
        isClosed.withLock { isClosed in
            guard !isClosed else { return }
            isClosed = true
            loop.post { [engine] in engine.cancelAll() }
            loop.stop()
        }
    }

    /// Any answer, whatever its status; a failure is a request that was not answered.
    public func http(_ request: HTTPRequest) async throws(TransferError) -> HTTPResponse {
        try await carryOut(.http(request), within: request.deadline)
    }

    /// Returns when the server has taken the message.
    public func mail(_ mail: MailTransfer) async throws(TransferError) {
        _ = try await carryOut(.mail(mail), within: mail.deadline)
    }

    private func carryOut(_ work: Engine.Job.Work, within limit: Duration) async throws(TransferError) -> HTTPResponse {
        let number = lastNumber.add(1, ordering: .relaxed).newValue
        let cancellation = Engine.Cancellation()
        let result: Result<HTTPResponse, TransferError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let job = Engine.Job(
                    number: number, work: work, limit: limit, enqueued: SystemTime().now().uptime, cancellation: cancellation,
                    finish: { continuation.resume(returning: $0) })
                let posted = isClosed.withLock { isClosed in
                    if !isClosed { loop.post { [engine] in engine.enqueue(job) } }
                    return !isClosed
                }
                if !posted { job.finish(.failure(.cancelled)) }
            }
        } onCancel: {
            // First the flag, for a job that is not on the loop yet; then the call, for one that is.
            cancellation.isWanted.store(true, ordering: .releasing)
            loop.post { [engine] in engine.cancel(number) }
        }
        return try result.get()
    }
}

extension TransferError {
    static let cancelled = TransferError(.cancelled, "cancelled")
}
