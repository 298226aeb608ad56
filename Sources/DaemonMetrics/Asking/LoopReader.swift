// What all readers have in common: the loop, the deadline, one answer, and an error that says where.

import Platform

/// One look at a daemon while it goes on. It lives on the loop.
protocol Look: AnyObject {
    /// What has not come yet, for who hears that the deadline has: `a connection`, `the answer to INFO`.
    var awaited: String { get }
    /// Ends it; it answers no more.
    func cancel()
}

/// Begins a look, on the loop. `finish` is called once, perhaps before this returns, and never after `cancel`.
typealias BeginLook = (_ metrics: [String], _ deadline: Duration, _ finish: @escaping (DaemonAnswer) -> Void) -> any Look

/// All that the daemon told, or why it told nothing.
typealias DaemonAnswer = Result<[String: Double], DaemonError>

/// A reader whose looks run on a loop. Everything but `read` happens on that loop's thread.
final class LoopReader: DaemonReader, @unchecked Sendable {
    private let loop: Loop
    /// `redis at 127.0.0.1:6379`
    private let place: String
    /// What must not be in an error, whatever the daemon says.
    private let secret: Secret?
    private let begin: BeginLook

    init(loop: Loop, place: String, secret: Secret?, begin: @escaping BeginLook) {
        self.loop = loop
        self.place = place
        self.secret = secret
        self.begin = begin
    }

    func read(_ metrics: [String], deadline: Duration, _ done: @escaping (Result<[String: Double], DaemonError>) -> Void) {
        let call = Call(done)
        loop.post { self.look(metrics, deadline, call.done) }
    }

    /// Carries the caller's closure to the loop, where alone it is called.
    private struct Call: @unchecked Sendable {
        let done: (DaemonAnswer) -> Void
        init(_ done: @escaping (DaemonAnswer) -> Void) { self.done = done }
    }

    private func look(_ metrics: [String], _ deadline: Duration, _ done: @escaping (DaemonAnswer) -> Void) {
        // Both the timer and the look may come to their end; the first one takes `pending` away.
        let pending = Pending(done)
        let look = begin(metrics, deadline) { [self] answer in
            guard let done = pending.take(loop) else { return }
            done(presented(answer, metrics))
        }
        guard pending.isWaiting else { return }
        pending.timer = loop.after(deadline) { [self] in
            guard let done = pending.take(loop) else { return }
            let awaited = look.awaited
            look.cancel()
            done(presented(.failure(DaemonError("\(awaited) has not come within \(words(deadline))")), metrics))
        }
    }

    private final class Pending {
        private var done: ((DaemonAnswer) -> Void)?
        var timer: Loop.Timer?
        init(_ done: @escaping (DaemonAnswer) -> Void) { self.done = done }

        var isWaiting: Bool { done != nil }

        func take(_ loop: Loop) -> ((DaemonAnswer) -> Void)? {
            defer { done = nil }
            if let timer { loop.cancel(timer) }
            return done
        }
    }

    /// Only what was asked for, and only numbers; errors with their place and without secrets.
    private func presented(_ answer: DaemonAnswer, _ metrics: [String]) -> DaemonAnswer {
        switch answer {
        case .success(let told):
            var asked: [String: Double] = [:]
            for metric in metrics { if let value = told[metric], value.isFinite { asked[metric] = value } }
            return .success(asked)
        case .failure(let error): return .failure(DaemonError("\(place): \(without(secret, error.problem))"))
        }
    }
}

/// `5 s`, `0.3 s`.
private func words(_ duration: Duration) -> String {
    let tenths = (duration.microseconds + 50_000) / 100_000
    return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
}

private func without(_ secret: Secret?, _ text: String) -> String {
    guard let hidden = secret?.reveal(), !hidden.isEmpty else { return text }
    return text.split(separator: hidden, omittingEmptySubsequences: false).joined(separator: "(secret)")
}
