// What a report changes: its events one by one, in order, then the state that it shows.

public import AgentAPI
public import Platform

/// The decision about a report.
public enum ReportIngest {
    /// How much older than the present state a report may be and count as late. One that is older yet comes from a clock that was
    /// set back, and is news.
    static let lateness = Duration.seconds(300)

    public static func scope(of report: Report, plan: ServicePlan) -> Scope {
        var services: Set<String> = []
        for unit in units(of: report).union([""]) { services.formUnion(plan.services(ofUnit: unit, onHost: report.host)) }
        return .agent(report.agent, services: services)
    }

    /// Idempotent: events that are stored already change nothing again, and a state that is shown again is the same state.
    public static func decide(_ report: Report, on situation: Situation, plan: ServicePlan, at now: Timestamp) -> Decision {
        let known = situation.host
        let isLate = known.map { report.at < $0.reportedAt && $0.reportedAt - report.at <= lateness } ?? false
        var host =
            known
            ?? HostState(
                agent: report.agent, name: report.host, version: report.version, reportedAt: report.at, lastReport: now, interval: report.interval,
                isSilent: false, lastSequence: 0)
        // A difference to something else than what is stored says nothing.
        let isApplicable = report.base == nil || known.map { $0.snapshot == report.base } ?? false
        let isStateTaken = !isLate && isApplicable
        if !isLate {
            host.name = report.host
            host.version = report.version
            host.reportedAt = report.at
            host.interval = report.interval
        }
        if isStateTaken { host.snapshot = report.snapshot }
        host.replacedBy = nil
        host.lastReport = max(host.lastReport, now)

        var statuses = Statuses(situation, plan: plan, now: now)
        Membership.refresh(&statuses, agent: report.agent, host: host.name, adding: units(of: report))
        if host.isSilent {
            host.isSilent = false
            HostSilence.end(&statuses, host, at: now)
        }
        var events: [Event] = []
        for event in report.events.sorted(by: { $0.sequence < $1.sequence }) where event.sequence > host.lastSequence {
            if known != nil || !events.isEmpty, event.sequence > host.lastSequence + 1 {
                events.append(gap(from: host.lastSequence + 1, to: event.sequence - 1, at: event.at))
            }
            host.lastSequence = event.sequence
            events.append(event)
            apply(event, of: host, to: &statuses)
        }
        if isStateTaken { apply(stateOf: report, host, units: watched(after: report, situation), to: &statuses) }
        statuses.situation.host = host

        var decision = statuses.decision
        decision.events = events
        decision.snapshot = isStateTaken ? report : nil
        decision.samples = report
        // What comes a second time, because its answer got lost, is what is stored.
        decision.isStateUnknown = !isApplicable && !isLate && known?.snapshot != report.snapshot
        return decision
    }

    /// The units that are watched from now on. A difference tells it together with what was there before, and events may be about units
    /// that are in neither: those are told of in the history alone.
    private static func watched(after report: Report, _ before: Situation) -> Set<String> {
        let shown = Set(report.units.map(\.name))
        return report.base == nil ? shown : Set(before.members.keys).subtracting(report.gone).union(shown)
    }

    private static func units(of report: Report) -> Set<String> {
        Set(report.units.map(\.name)).union(report.events.compactMap(\.unit)).filter { !$0.isEmpty }
    }

    /// The history's note of events that never came; it has the number of the first of them, which nothing else will ever use.
    private static func gap(from first: UInt64, to last: UInt64, at: Timestamp) -> Event {
        let which = first == last ? "event \(first)" : "events \(first) to \(last)"
        return Event(sequence: first, kind: .eventsLost, at: at, detail: "\(which) never arrived")
    }

    // MARK: Events

    private static func apply(_ event: Event, of host: HostState, to statuses: inout Statuses) {
        let unit = event.unit ?? ""
        let subject = subject(host, unit)
        func key(_ item: ProblemKey.Item) -> ProblemKey { ProblemKey(agent: host.agent, subject: unit, item: item) }
        for service in (statuses.situation.members[unit] ?? []).sorted() {
            switch event.kind {
            case .unitStopped where !unit.isEmpty:
                statuses.fail(
                    key(.down), in: service, subject: subject, text: event.detail, importance: .warning, at: event.at, routes: event.routes)
            case .unitFailed where !unit.isEmpty:
                statuses.fail(
                    key(.down), in: service, subject: subject, text: event.detail, importance: event.importance, at: event.at,
                    routes: event.routes)
            case .unitDown where !unit.isEmpty:
                statuses.fail(
                    key(.down), in: service, subject: subject, text: down(event.detail), importance: nil, at: event.at,
                    routes: event.routes)
            case .unitUp where !unit.isEmpty:
                statuses.recover(key(.down), in: service, subject: subject, at: event.at)
            case .ruleFailed where event.importance != nil:  // without one nobody is to be called
                statuses.fail(
                    key(.rule(event.rule ?? "")), in: service, subject: subject, text: event.detail.isEmpty ? event.rule ?? "" : event.detail,
                    importance: event.importance ?? .error, at: event.at, routes: event.routes)
            case .ruleRecovered:
                statuses.recover(key(.rule(event.rule ?? "")), in: service, subject: subject, at: event.at)
            case .unitStuck, .actionsSuspended, .jobOverdue, .jobFailed:
                statuses.fail(
                    key(.rule(event.problem)), in: service, subject: subject, text: text(event), importance: event.importance ?? .error,
                    at: event.at, routes: event.routes)
            case .unitUnstuck, .actionsResumed, .jobRan:
                statuses.recover(key(.rule(event.problem)), in: service, subject: subject, at: event.at)
            case .sourceFailed:
                statuses.fail(
                    key(source(event)), in: service, subject: subject, text: "the agent cannot look: \(event.detail)",
                    importance: event.importance ?? .warning, at: event.at, routes: event.routes)
            case .sourceRecovered:
                statuses.recover(key(source(event)), in: service, subject: subject, at: event.at)
            default: break
            }
        }
        if event.kind == .unitRestarted, event.cause == .failure, !unit.isEmpty { statuses.restarted(event, unit: unit, on: host) }
    }

    private static func subject(_ host: HostState, _ unit: String) -> Alert.Subject {
        Alert.Subject(host: host.name, unit: unit.isEmpty ? nil : unit)
    }

    /// Details of these events begin with the source's name: `systemd: ...`, `systemd answers again`.
    private static func source(_ event: Event) -> ProblemKey.Item {
        .source(String(event.detail.prefix { $0 != ":" && $0 != " " }))
    }

    /// What is wrong, where the event's detail alone would not say it.
    private static func text(_ event: Event) -> String {
        let reason = event.detail.isEmpty ? "" : ": \(event.detail)"
        return switch event.kind {
        case .unitStuck: "stuck\(reason)"
        case .actionsSuspended: "automatic actions suspended\(reason)"
        case .jobOverdue: "job \(event.job ?? "") is overdue\(reason)"
        case .jobFailed: "job \(event.job ?? "") failed\(reason)"
        default: event.detail
        }
    }

    private static func down(_ detail: String) -> String { detail.isEmpty ? "down" : "down: \(detail)" }

    // MARK: State

    /// The state has the last word where events are missing: because the agent is older than our database, or because some were lost.
    private static func apply(stateOf report: Report, _ host: HostState, units: Set<String>, to statuses: inout Statuses) {
        for unit in report.units where !unit.name.isEmpty {
            let key = ProblemKey(agent: host.agent, subject: unit.name, item: .down)
            for service in (statuses.situation.members[unit.name] ?? []).sorted() {
                let isKnown = statuses.situation.services[service]?.problems[key] != nil
                switch unit.phase {
                case .down where !isKnown:
                    statuses.fail(
                        key, in: service, subject: subject(host, unit.name), text: down(unit.detail), importance: nil, at: unit.since ?? report.at)
                case .up where isKnown, .idle where isKnown:
                    statuses.recover(key, in: service, subject: subject(host, unit.name), at: unit.since ?? report.at)
                default: break
                }
            }
        }
        Membership.keep(&statuses, agent: host.agent, units: units)
    }
}
