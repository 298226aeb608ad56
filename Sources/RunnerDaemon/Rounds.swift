// Asks every source again and again.

import AgentAPI
import Checks
import DaemonMetrics
import Platform

/// Looks at each source once an interval, the first looks spread over the interval, and never twice at a time.
///
/// Everything here happens on the loop's thread.
final class Rounds: @unchecked Sendable {
    /// How long one look may take at most.
    static let longestLook = Duration.seconds(10)
    /// How much longer a reader may take than it was told before it counts as lost.
    static let grace = Duration.seconds(1)

    private let loop: Loop
    private let kinds: [String: DaemonKind]
    private let tell: (RunnerAnswer) -> Void
    private var interval = Duration.seconds(10)
    private var rounds: [String: Round] = [:]

    private final class Round {
        let source: DaemonSource
        let reader: Result<any DaemonReader, DaemonError>
        var timer: Loop.Timer?
        /// Of the look that is going on; `nil` between two.
        var look: Int?
        var looks = 0
        var deadline: Loop.Timer?

        init(_ source: DaemonSource, _ reader: Result<any DaemonReader, DaemonError>) {
            self.source = source
            self.reader = reader
        }
    }

    init(loop: Loop, kinds: [DaemonKind], tell: @escaping (RunnerAnswer) -> Void) {
        self.loop = loop
        self.kinds = Dictionary(kinds.map { ($0.word, $0) }, uniquingKeysWith: { first, _ in first })
        self.tell = tell
    }

    /// Sources that stay as they are keep their rhythm and what they have open.
    func change(_ sources: [DaemonSource], interval: Duration) {
        let hasNewRhythm = interval != self.interval
        self.interval = interval
        let wanted = Dictionary(sources.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for (id, round) in rounds where hasNewRhythm || wanted[id] != round.source {
            end(round)
            rounds[id] = nil
        }
        let new = sources.filter { rounds[$0.id] == nil }
        for (index, source) in new.enumerated() where rounds[source.id] == nil {
            let round = Round(source, reader(of: source))
            rounds[source.id] = round
            let wait = Duration.microseconds(interval.microseconds / Int64(new.count) * Int64(index))
            round.timer = loop.after(wait) { [unowned self, unowned round] in
                look(round)
                round.timer = loop.every(interval) { [unowned self, unowned round] in look(round) }
            }
        }
    }

    private func reader(of source: DaemonSource) -> Result<any DaemonReader, DaemonError> {
        guard let kind = kinds[source.family] else { return .failure(DaemonError("nobody knows how to ask \(source.family)")) }
        return kind.make(source.parameters).mapError { errors in
            DaemonError("cannot be asked: " + errors.all.map(\.description).joined(separator: ", "))
        }
    }

    private func end(_ round: Round) {
        for timer in [round.timer, round.deadline].compactMap({ $0 }) { loop.cancel(timer) }
        round.look = nil
    }

    private func look(_ round: Round) {
        // The one before has not ended yet.
        guard round.look == nil else { return }
        let reader: any DaemonReader
        switch round.reader {
        case .failure(let error): return tell(.sourceFailed(round.source.id, why: error.problem))
        case .success(let value): reader = value
        }
        round.looks += 1
        let look = round.looks
        round.look = look
        let limit = min(interval, Self.longestLook)
        round.deadline = loop.after(limit + Self.grace) { [unowned self, unowned round] in
            finish(round.source.id, look, .failure(DaemonError("no answer within \(limit.inSeconds) s")))
        }
        let id = round.source.id
        reader.read(round.source.metrics, deadline: limit) { [weak self, loop] result in
            // Later, in any case: a reader may answer at once, within its own call.
            loop.post { [weak self] in self?.finish(id, look, result) }
        }
    }

    /// The end of a look, unless it was given up meanwhile.
    private func finish(_ id: String, _ look: Int, _ result: Result<[String: Double], DaemonError>) {
        guard let round = rounds[id], round.look == look else { return }
        round.look = nil
        if let deadline = round.deadline { loop.cancel(deadline) }
        switch result {
        case .failure(let error): tell(.sourceFailed(id, why: error.problem))
        case .success(let values):
            let family = round.source.family
            tell(.measured(Dictionary(values.map { ("\(family):\($0.key)", $0.value) }, uniquingKeysWith: { first, _ in first }), source: id))
        }
    }
}
