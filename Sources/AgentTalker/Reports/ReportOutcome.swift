// What an aggregator's answer means.

import AgentAPI
import Platform

/// How an attempt to deliver a report ended.
enum ReportOutcome: Equatable {
    /// Events and perhaps the snapshot are stored.
    case acknowledged(Acknowledgement)
    /// The token is not known there, or belongs to another agent; in its words, if it said any.
    case unauthorized(status: Int, words: String?)
    /// The aggregator says that the report is wrong; in its words.
    case refused(words: String)
    case tooLarge
    /// It does not unpack what it is sent packed.
    case packingUnknown
    /// Anything that may pass by itself.
    case failed(why: String)

    init(status: Int, body: [UInt8]) {
        switch status {
        case 200:
            guard let json = try? JSON(parsing: body), let acknowledgement = try? Acknowledgement(json) else {
                self = .failed(why: "it answered without an acknowledgement: is it an aggregator?")
                return
            }
            self = .acknowledged(acknowledgement)
        case 400: self = .refused(words: errorText(body) ?? "it gave no reason")
        case 401, 403: self = .unauthorized(status: status, words: errorText(body))
        case 413: self = .tooLarge
        case 415: self = .packingUnknown
        default: self = .failed(why: "it answered HTTP \(status)" + (errorText(body).map { ": \($0)" } ?? ""))
        }
    }
}

/// The `error` of a body like `{"error": "..."}`, fit for one line of a log.
private func errorText(_ body: [UInt8]) -> String? {
    guard let text = (try? JSON(parsing: body))?["error"]?.string, !text.isEmpty else { return nil }
    return String(String.UnicodeScalarView(text.unicodeScalars.prefix(300).map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
}

/// How long to wait after failures in a row: the first wait, then twice as long each time, up to the last; and of that between the
/// half and the whole by chance, so that many agents do not come back at the same moment.
struct Backoff: Sendable {
    let first: Duration
    let last: Duration
    private var failures = 0

    init(first: Duration, last: Duration) {
        self.first = first
        self.last = last
    }

    /// - Parameter chance: between 0 and 1.
    mutating func next(chance: Double) -> Duration {
        let wait = min(last, first * (1 << failures))
        failures = min(failures + 1, Self.most)
        return wait / 2 + wait / 2 * chance
    }

    mutating func reset() { failures = 0 }

    /// As after many failures.
    mutating func skipToLast() { failures = Self.most }

    private static let most = 20
}
