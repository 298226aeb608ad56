// What people asked for and what recurs on a host: silences, and jobs.

public import Platform

/// Nobody is told of some units, or of the whole host, because somebody said so.
public struct Silence: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        case deploy, unmonitored
    }

    public var kind: Kind
    /// As it was asked for: a unit, a pattern of units, or `nil` for the whole host.
    public var subject: String?
    /// The units that are watched and that it covers; none are listed where it is the whole host.
    public var units: [String]
    public var owner: String
    public var reason: String?
    public var since: Timestamp
    /// `nil`: until somebody says so.
    public var until: Timestamp?

    public init(kind: Kind, subject: String?, units: [String], owner: String, reason: String?, since: Timestamp, until: Timestamp?) {
        self.kind = kind
        self.subject = subject
        self.units = units
        self.owner = owner
        self.reason = reason
        self.since = since
        self.until = until
    }

    public func covers(_ unit: String) -> Bool { subject == nil || units.contains(unit) }
}

/// How a recurring job is.
public struct JobState: Equatable, Sendable {
    public enum State: String, CaseIterable, Sendable {
        /// It has not run since it is known.
        case waiting
        case running
        /// Its last run ended well.
        case ok
        case overdue
        case tooLong = "too_long"
        case failed
    }

    public var name: String
    /// For people: `runs every 10 min`, `starts logrotate.service`.
    public var schedule: String
    public var state: State
    /// Its last sign of life: an end, or a start; `nil` when there was none.
    public var lastRun: Timestamp?
    /// When it should run next, or be heard of at the latest.
    public var due: Timestamp?
    /// What is wrong, for people; empty when nothing is.
    public var detail: String

    public init(name: String, schedule: String, state: State, lastRun: Timestamp?, due: Timestamp?, detail: String) {
        self.name = name
        self.schedule = schedule
        self.state = state
        self.lastRun = lastRun
        self.due = due
        self.detail = detail
    }
}

// MARK: As JSON

extension Silence {
    public var json: JSON {
        var members = [JSON.Member("kind", .string(kind.rawValue))]
        if let subject { members.append(.init("subject", .string(subject))) }
        if !units.isEmpty { members.append(.init("units", .array(units.map(JSON.string)))) }
        members.append(.init("owner", .string(owner)))
        if let reason { members.append(.init("reason", .string(reason))) }
        members.append(.init("since", .string(since.text(fraction: false))))
        if let until { members.append(.init("until", .string(until.text(fraction: false)))) }
        return .object(members)
    }

    public init(_ json: JSON, part: String = "silence") throws(ReportError) {
        let reader = ReportReader(json: json, part: part)
        self.init(
            kind: try reader.word("kind"), subject: try reader.optionalText("subject"),
            units: try reader.texts("units", limit: ReportLimits.units), owner: try reader.text("owner"), reason: try reader.optionalText("reason"),
            since: try reader.time("since"), until: try reader.optionalTime("until"))
    }
}

extension JobState {
    public var json: JSON {
        var members = [JSON.Member("name", .string(name)), .init("schedule", .string(schedule)), .init("state", .string(state.rawValue))]
        if let lastRun { members.append(.init("last_run", .string(lastRun.text(fraction: false)))) }
        if let due { members.append(.init("due", .string(due.text(fraction: false)))) }
        if !detail.isEmpty { members.append(.init("detail", .string(detail))) }
        return .object(members)
    }

    public init(_ json: JSON, part: String = "job") throws(ReportError) {
        let reader = ReportReader(json: json, part: part)
        self.init(
            name: try reader.text("name"), schedule: try reader.text("schedule"), state: try reader.word("state"),
            lastRun: try reader.optionalTime("last_run"), due: try reader.optionalTime("due"), detail: try reader.optionalText("detail") ?? "")
    }
}
