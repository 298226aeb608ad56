// Requests at a steady rate, from where verify-token runs: what fails, and what has to wait.

import AgentAPI
import DeployVerification
import Platform
import Synchronization
import Transfer

/// Begins a request whenever one is due, whatever the earlier ones take: a probe that waits for answers does not see the stall.
final class SteadyProbe: Sendable {
    private let requests: [HTTPRequest]
    private let interval: Duration
    private let time: any TimeSource
    private let count = Mutex(AvailabilityCount())

    /// - Parameter requests: asked in turn, each over a connection of its own.
    init(_ requests: [HTTPRequest], rate: Rate, time: any TimeSource) {
        self.requests = requests.map { request in
            var request = request
            request.freshConnection = true
            request.connectTimeout = .seconds(5)
            request.deadline = .seconds(10)
            request.maximumBody = 1 << 16
            return request
        }
        interval = .seconds(1) / rate.perSecond
        self.time = time
    }

    /// As many requests as can be under way with one rate and deadline.
    static let atOnce = 600

    func sum() -> Availability { count.withLock { $0.sum(at: time.now().uptime) } }

    /// Goes on until it is cancelled, or for `length`; then it waits for what is under way.
    func run(for length: Duration? = nil, with transfers: Transfers) async {
        guard !requests.isEmpty else { return }
        await withDiscardingTaskGroup { group in
            let start = time.now().uptime
            var due = start
            var number = 0
            while !Task.isCancelled {
                let now = time.now().uptime
                if let length, now - start >= length { return }
                // A machine that slept has nothing to catch up on.
                if now - due > .seconds(1) { due = now }
                while due <= now {
                    due += interval
                    let request = requests[number % requests.count]
                    number += 1
                    let began = time.now().uptime
                    count.withLock { $0.begin(at: began) }
                    group.addTask { await self.send(request, began: began, transfers) }
                }
                try? await time.sleep(due - now)
            }
        }
    }

    private func send(_ request: HTTPRequest, began: Duration, _ transfers: Transfers) async {
        do throws(TransferError) {
            let answer = try await transfers.http(request)
            let now = time.now().uptime
            count.withLock { count in
                if answer.status >= 500 { count.failed("status \(answer.status)") } else { count.answered(began: began, at: now) }
            }
        } catch {
            guard error.kind != .cancelled else { return }
            count.withLock { $0.failed(error.detail) }
        }
    }
}

extension Availability {
    /// For a person, in a line.
    var words: String {
        func milliseconds(_ duration: Duration?) -> String { duration.map { "\(Int(($0.inSeconds * 1000).rounded())) ms" } ?? "unknown" }
        let kinds = failures.isEmpty ? "" : " (\(failures.joined(separator: ", ")))"
        return
            "\(requests) requests, \(failed) failed\(kinds), \(late) late; longest stall \(milliseconds(longestStall)), p50 \(milliseconds(median)), "
            + "p99 \(milliseconds(percentile99))"
    }
}
