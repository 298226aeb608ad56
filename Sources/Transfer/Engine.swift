// The libcurl multi handle and the loop that drives it.

import CCurl
import Platform
import Synchronization

/// Runs jobs on a loop. Everything here happens on that loop's thread, `init` apart.
final class Engine: @unchecked Sendable {
    /// One transfer that somebody waits for.
    struct Job: Sendable {
        enum Work: Sendable {
            case http(HTTPRequest)
            case mail(MailTransfer)
        }

        var number: UInt64
        var work: Work
        var limit: Duration
        var enqueued: Duration
        var cancellation: Cancellation
        /// Called exactly once.
        var finish: @Sendable (Result<HTTPResponse, TransferError>) -> Void

        func remaining(at now: Duration) -> Duration { enqueued + limit - now }
    }

    /// Whether the caller has gone away before its job reached the loop.
    final class Cancellation: Sendable {
        let isWanted = Atomic(false)
    }

    private let loop: Loop
    private let maximumAtOnce: Int
    private let multi: UnsafeMutableRawPointer
    private var timer: Loop.Timer?
    private var running: [UInt64: Exchange] = [:]
    /// Jobs without a place yet, and the timers that end their waiting.
    private var waiting: [UInt64: (job: Job, deadline: Loop.Timer)] = [:]
    /// The order of the waiting ones; numbers that wait no longer are skipped.
    private var queue: [UInt64] = []

    private static let isLibraryReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    init(loop: Loop, maximumAtOnce: Int) throws(SystemError) {
        guard Self.isLibraryReady, let multi = curl_multi_init() else { throw SystemError("starting libcurl", code: 12) }
        self.loop = loop
        self.maximumAtOnce = maximumAtOnce
        self.multi = multi
        let here = Unmanaged.passUnretained(self).toOpaque()
        rollcall_multi_pointer(multi, CURLMOPT_SOCKETDATA, here)
        rollcall_multi_socket_callback(multi) { _, socket, what, engine, _ in
            engine.map { Unmanaged<Engine>.fromOpaque($0).takeUnretainedValue().watch(socket, what) } ?? -1
        }
        rollcall_multi_pointer(multi, CURLMOPT_TIMERDATA, here)
        rollcall_multi_timer_callback(multi) { _, milliseconds, engine in
            engine.map { Unmanaged<Engine>.fromOpaque($0).takeUnretainedValue().setTimer(milliseconds) } ?? -1
        }
        rollcall_multi_long(multi, CURLMOPT_MAXCONNECTS, 64)
    }

    /// Frees the handle, after the loop has ended.
    func close() {
        curl_multi_cleanup(multi)
    }

    func enqueue(_ job: Job) {
        guard !job.cancellation.isWanted.load(ordering: .acquiring) else { return job.finish(.failure(.cancelled)) }
        if running.count < maximumAtOnce { return start(job) }
        let deadline = loop.after(job.remaining(at: SystemTime().now().uptime)) { [unowned self] in
            guard let late = waiting.removeValue(forKey: job.number) else { return }
            late.job.finish(.failure(TransferError(.timedOut, "not begun within \(job.limit.inWords): too many transfers at once")))
        }
        waiting[job.number] = (job, deadline)
        queue.append(job.number)
    }

    func cancel(_ number: UInt64) {
        if let (job, deadline) = waiting.removeValue(forKey: number) {
            loop.cancel(deadline)
            job.finish(.failure(.cancelled))
        } else if let exchange = running.removeValue(forKey: number) {
            curl_multi_remove_handle(multi, exchange.easy)
            exchange.job.finish(.failure(.cancelled))
            startWaiting()
        }
    }

    func cancelAll() {
        for number in Array(waiting.keys) + Array(running.keys) { cancel(number) }
    }

    private func start(_ job: Job) {
        do throws(TransferError) {
            let exchange = try Exchange(job, remaining: job.remaining(at: SystemTime().now().uptime))
            guard curl_multi_add_handle(multi, exchange.easy) == CURLM_OK else { throw TransferError(.badRequest, "libcurl took no more transfers") }
            running[job.number] = exchange
        } catch {
            job.finish(.failure(error))
        }
    }

    private func startWaiting() {
        var taken = 0
        while running.count < maximumAtOnce, taken < queue.count {
            let number = queue[taken]
            taken += 1
            guard let (job, deadline) = waiting.removeValue(forKey: number) else { continue }
            loop.cancel(deadline)
            start(job)
        }
        queue.removeFirst(taken)
    }

    // MARK: What libcurl asks of the loop

    private func watch(_ socket: curl_socket_t, _ what: Int32) -> Int32 {
        if what == CURL_POLL_REMOVE {
            loop.unwatch(socket)
            return 0
        }
        var readiness: Loop.Readiness = []
        if what == CURL_POLL_IN || what == CURL_POLL_INOUT { readiness.insert(.readable) }
        if what == CURL_POLL_OUT || what == CURL_POLL_INOUT { readiness.insert(.writable) }
        do {
            try loop.watch(socket, for: readiness) { [unowned self] ready in act(on: socket, ready) }
            return 0
        } catch {
            return -1
        }
    }

    private func setTimer(_ milliseconds: Int) -> Int32 {
        if let timer { loop.cancel(timer) }
        // -1 takes the timer away. A timer of 0 must not act here: libcurl is in the middle of something.
        timer = milliseconds < 0 ? nil : loop.after(.milliseconds(milliseconds)) { [unowned self] in act(on: CURL_SOCKET_BAD, []) }
        return 0
    }

    private func act(on socket: curl_socket_t, _ ready: Loop.Readiness) {
        var mask: Int32 = 0
        if ready.contains(.readable) { mask |= CURL_CSELECT_IN }
        if ready.contains(.writable) { mask |= CURL_CSELECT_OUT }
        if !ready.isDisjoint(with: .broken) { mask |= CURL_CSELECT_ERR }
        var stillRunning: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &stillRunning)
        collect()
    }

    private func collect() {
        var left: Int32 = 0
        var hasEnded = false
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message is gone once its handle is removed.
            let code = message.pointee.data.result
            let number = Exchange.number(of: easy)
            curl_multi_remove_handle(multi, easy)
            guard let exchange = running.removeValue(forKey: number) else { continue }
            exchange.job.finish(exchange.outcome(code))
            hasEnded = true
        }
        if hasEnded { startWaiting() }
    }
}
