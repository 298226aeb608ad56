// A loop on a thread of its own.

import AgentAPI
import AgentCore
import Foundation
import Platform
import Synchronization

/// Runs a loop until it is released.
final class OnLoop: @unchecked Sendable {
    let loop: Loop

    init() throws {
        let loop = try Loop()
        self.loop = loop
        Thread { loop.run() }.start()
    }

    deinit { loop.stop() }

    /// Runs `work` on the loop and waits for it.
    func run<Value>(_ work: @escaping () throws -> Value) async throws -> Value {
        nonisolated(unsafe) let work = work
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Sent<Value>, Never>) in
            loop.post { continuation.resume(returning: Sent(result: Result { try work() })) }
        }
        return try result.result.get()
    }

    /// A value that passes to the test's thread, which alone has it then.
    private struct Sent<Value>: @unchecked Sendable {
        var result: Result<Value, any Error>
    }
}

/// Writes down what a runner says.
final class Hearer: RunnerObserver, Sendable {
    private let said = Mutex<[String]>([])
    var lines: [String] { said.withLock { $0 } }

    func measured(_ values: [String: Double], by source: String) {
        say("\(source) \(values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })")
    }
    func sourceFailed(_ source: String, why: String) { say("\(source) failed: \(why)") }
    func delivered(_ alert: UInt64) { say("delivered \(alert)") }
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) { say("undelivered \(alert) \(mayRetry ? "for now" : "for good"): \(why)") }
    private func say(_ line: String) { said.withLock { $0.append(line) } }
}
