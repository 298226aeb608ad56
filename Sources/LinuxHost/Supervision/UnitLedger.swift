// What was asked, what is known, and what was said: the part that all small init systems share.

import AgentCore
import Glibc
import Platform

/// Turns reports about units into observations for requests: only news is said, automatic restarts are counted, units come and go,
/// and jobs end. A value on the watcher's loop; it does nothing but decide.
///
/// These init systems neither number the runs of a unit nor count its restarts, so the ledger does: a new main process that nobody
/// asked for is an automatic restart.
struct UnitLedger {
    /// A job that somebody waits for, and what its unit has to look like for it to be done.
    typealias Outcome = Result<Void, ActionError>

    private struct Unit {
        var report: UnitReport
        /// The main process of the last run, until the unit has come to rest.
        var runProcess: ProcessIdentity?
        var restarts = 0
        /// Somebody asked for the end of the last run, and the next has not begun.
        var wasAsked = false
        var since: Timestamp?
    }

    private struct Said: Hashable {
        var request: String
        var unit: String
    }

    /// Names of units that requests ask for one by one. There may be thousands, most of them another init system's.
    private(set) var namedUnits: Set<String> = []
    /// For patterns, and for all that has failed.
    private var searches: [UnitRequest] = []
    private var units: [String: Unit] = [:]
    private var said: [Said: Observation] = [:]
    /// Units that a job of ours is changing at present.
    private var changing: Set<String> = []

    /// Units that are watched as parts of one that a request names: their failures are said of it.
    var parts: Set<String> = []

    /// Observes these and no others from now on; what is said next of a new request is all that is known of it.
    mutating func change(to requests: [UnitRequest]) {
        namedUnits = Set(requests.filter { $0.kind == .unit }.map(\.name))
        searches = requests.filter { $0.kind != .unit }
        let names = Set(requests.map(\.name))
        said = said.filter { names.contains($0.key.request) }
        units = units.filter { isWanted($0.key) }
    }

    /// Forgets what was said, so that everything is said anew.
    mutating func forgetSaid() { said = [:] }

    /// Whether any request asks for a unit of this name.
    func isWanted(_ name: String) -> Bool {
        namedUnits.contains(name) || searches.contains { $0.kind == .failed || matches(name, pattern: $0.name) }
    }

    /// Whether a request asks for a unit of this name and not only for its failure.
    func isNamed(_ name: String) -> Bool { namedUnits.contains(name) || searches.contains { $0.kind == .pattern && matches(name, pattern: $0.name) } }

    /// Whether all units have to be looked at, and not only those that are named.
    var wantsAll: Bool { !searches.isEmpty }

    var knownUnits: [String] { Array(units.keys) }
    func report(of name: String) -> UnitReport? { units[name]?.report }
    /// How often it has been restarted without anybody asking.
    func restarts(of name: String) -> Int { units[name]?.restarts ?? 0 }

    /// A job of ours begins or has ended: what happens to the unit meanwhile was asked for.
    mutating func setChanging(_ name: String, _ isChanging: Bool) {
        if isChanging { changing.insert(name) } else { changing.remove(name) }
    }

    /// Takes what is true of a unit now and answers with what is news.
    mutating func note(_ name: String, _ report: UnitReport, at now: Timestamp) -> [Observation] {
        let before = units[name]
        var unit = before ?? Unit(report: report)
        unit.report = report
        let isChanging = changing.contains(name)
        if isChanging || report.isAsked { unit.wasAsked = true }
        if let process = report.process, process != unit.runProcess {
            let followsRun = unit.runProcess != nil || before?.report.activity == .restarting
            if followsRun, !unit.wasAsked { unit.restarts += 1 }
            unit.runProcess = process
        }
        let isAtRest = report.isAtRest
        if isAtRest { unit.runProcess = nil }
        let isSameState = before.map { $0.report.activity == report.activity && $0.report.process == report.process } ?? false
        unit.since = report.since ?? (isSameState ? before?.since : before == nil ? nil : now)

        var steps: [Observation] = []
        // That somebody asked shows in the steps alone, and this one came and went unseen.
        if unit.wasAsked, !isChanging, let before, before.report.isUp, !before.wasAsked, !report.isUp || before.report.process != report.process {
            var passing = before.report
            passing.isAsked = true
            steps.append(observation(of: name, passing, unit, hasJob: true))
        }
        let isUnderWay = unit.wasAsked && !isAtRest && !(report.isUp && !report.isAsked)
        steps.append(observation(of: name, report, unit, hasJob: isChanging || report.isAsked && !isAtRest || isUnderWay))
        if report.isUp && !report.isAsked && !isChanging || isAtRest && !isChanging { unit.wasAsked = false }
        units[name] = unit
        return concerned(by: name).flatMap { request in steps.flatMap { say($0, to: request) } }
    }

    /// Requests that may have to hear of a unit.
    private func concerned(by name: String) -> [UnitRequest] { searches + (namedUnits.contains(name) ? [UnitRequest(name: name)] : []) }

    /// Takes that the init system knows no such unit, or none any longer.
    mutating func noteAbsence(of name: String) -> [Observation] {
        units[name] = nil
        var news: [Observation] = []
        for request in searches where said[Said(request: request.name, unit: name)] != nil {
            news += sayAbsent(name, to: request, isLasting: false)
        }
        if namedUnits.contains(name) { news += sayAbsent(name, to: UnitRequest(name: name), isLasting: true) }
        return news
    }

    /// Takes that there may be such a unit, and that the agent cannot find out how it is. What was known of it is known when it can.
    mutating func noteHidden(_ name: String, why: String) -> [Observation] {
        concerned(by: name).filter { $0.kind == .unit || $0.kind == .pattern && matches(name, pattern: $0.name) }.flatMap { request in
            let observation = Observation(request: request.name, presence: .hidden, unit: name, activity: .stopped, detail: why)
            return news(observation, to: request)
        }
    }

    /// Says what is known of all units to requests that have not heard it.
    mutating func repeatKnown(at now: Timestamp) -> [Observation] {
        units.keys.sorted().flatMap { name in units[name].map { note(name, $0.report, at: now) } ?? [] }
    }

    private func observation(of name: String, _ report: UnitReport, _ unit: Unit, hasJob: Bool) -> Observation {
        // A restart that somebody asked for is a start; `restarting` is the init system's own doing.
        let activity = report.activity == .restarting && unit.wasAsked ? .starting : report.activity
        return Observation(
            request: "", unit: name, activity: activity, detail: report.detail,
            run: report.process.map { "\($0.pid).\($0.startTicks)" }, mainProcess: report.process,
            automaticRestarts: report.restarts ?? unit.restarts, lastExit: report.lastExit, endedWell: report.endedWell,
            restartsByItself: report.restartsByItself, nature: report.nature, hasJob: hasJob, since: unit.since, obstacle: report.obstacle,
            canReload: report.canReload, startTimeout: report.startTimeout)
    }

    private mutating func say(_ observation: Observation, to request: UnitRequest) -> [Observation] {
        var observation = observation
        observation.request = request.name
        let key = Said(request: request.name, unit: observation.unit)
        switch request.kind {
        case .unit: guard request.name == observation.unit else { return [] }
        case .pattern: guard matches(observation.unit, pattern: request.name) else { return [] }
        case .failed:
            guard !parts.contains(observation.unit) else { return [] }
            guard observation.activity == .failed else {
                return said[key] == nil ? [] : sayAbsent(observation.unit, to: request, isLasting: false)
            }
        }
        return news(observation, to: request)
    }

    private mutating func news(_ observation: Observation, to request: UnitRequest) -> [Observation] {
        let key = Said(request: request.name, unit: observation.unit)
        guard said[key] != observation else { return [] }
        said[key] = observation
        return [observation]
    }

    private mutating func sayAbsent(_ name: String, to request: UnitRequest, isLasting: Bool) -> [Observation] {
        let key = Said(request: request.name, unit: name)
        guard said[key]?.presence != .absent else { return [] }
        let observation = Observation(request: request.name, presence: .absent, unit: name, activity: .stopped, detail: "not found")
        // Names that come and go by the thousand must not stay for ever.
        said[key] = isLasting ? observation : nil
        return [observation]
    }
}

/// A shell pattern, as fnmatch(3) has it.
func matches(_ name: String, pattern: String) -> Bool { fnmatch(pattern, name, 0) == 0 }
