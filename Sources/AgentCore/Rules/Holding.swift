// For how long something has held.

import Platform
import RuleLanguage

/// Counts the samples with which a condition holds, until it has held for as long as it must.
struct Holding: Sendable {
    /// More cycles than these are not remembered.
    static let longestWindow = 10_000

    /// In a row; for `N times within M cycles`, among the last M.
    private(set) var count = 0
    /// The time between samples that held, without gaps.
    private(set) var held = Duration.zero
    /// When it held last, if nothing was missing since then.
    private var previous: Duration?
    /// For `N times within M cycles`: what the last M cycles said, from `oldest` on.
    private var recent: [Bool] = []
    private var oldest = 0

    /// What could not be measured neither counts nor ends what was counted; the time until the next sample is no time of holding.
    /// - Parameter longestPause: samples that are further apart say nothing of the time between them.
    /// - Returns: whether it has held for as long as it must.
    mutating func observe(_ holds: Bool?, for persistence: Persistence, at uptime: Duration, longestPause: Duration?) -> Bool {
        guard let holds else {
            previous = nil
            return false
        }
        switch persistence {
        case .cycles(let cycles):
            guard holds else { return stop() }
            count += 1
            return count >= cycles
        case .time(let time):
            guard holds else { return stop() }
            if let previous, uptime > previous, longestPause.map({ uptime - previous <= $0 }) ?? true { held += uptime - previous }
            previous = uptime
            count += 1
            return held >= time
        case .times(let times, let cycles):
            remember(holds, of: max(1, min(cycles, Self.longestWindow)))
            return holds && count >= times
        }
    }

    mutating func reset() { self = Holding() }

    private mutating func stop() -> Bool {
        if count > 0 { reset() }
        return false
    }

    private mutating func remember(_ holds: Bool, of cycles: Int) {
        if holds { count += 1 }
        guard recent.count >= cycles else { return recent.append(holds) }
        if recent[oldest] { count -= 1 }
        recent[oldest] = holds
        oldest = (oldest + 1) % recent.count
    }
}

// MARK: Remembering

extension Holding {
    var isEmpty: Bool { count == 0 && recent.isEmpty }

    /// What a later start of the agent goes on from.
    var json: JSON {
        var members = [JSON.Member("count", .integer(Int64(count)))]
        if held > .zero { members.append(.init("held", .integer(held.microseconds))) }
        if !recent.isEmpty {
            members.append(.init("recent", .string(String((recent[oldest...] + recent[..<oldest]).map { $0 ? "1" : "0" }))))
        }
        return .object(members)
    }

    /// `nil` for anything that this persistence cannot have left behind.
    init?(_ json: JSON, for persistence: Persistence) {
        guard let count = json["count"]?.integer.flatMap(Int.init(exactly:)), (0...1_000_000_000).contains(count) else { return nil }
        switch persistence {
        case .cycles: self.count = count
        case .time:
            let held = json["held"].map { $0.integer ?? -1 } ?? 0
            guard (0...Self.longestTime).contains(held) else { return nil }
            (self.count, self.held) = (count, .microseconds(held))
        case .times(_, let cycles):
            let text = json["recent"]?.string ?? ""
            guard text.utf8.count <= min(cycles, Self.longestWindow), text.utf8.allSatisfy({ $0 == 48 || $0 == 49 }) else { return nil }
            recent = text.utf8.map { $0 == 49 }
            self.count = recent.count { $0 }
        }
    }

    /// In microseconds: a hundred years.
    private static let longestTime: Int64 = 3_155_760_000_000_000
}
