// Which services are watched, for whoever looks at one of them.

import AgentAPI
public import Platform

/// A unit as it is at present.
public struct ServiceAtPresent: Equatable, Sendable {
    /// The unit's name.
    public var name: String
    public var initSystem: String?
    public var mainProcess: ProcessIdentity?
    /// Below the control groups' root, with a leading slash.
    public var cgroup: String?
    /// Why its processes are not known; `nil` where they are, or there are none.
    public var problem: String?
}

extension AgentLoop {
    /// The unit that somebody means who says this name: a unit's, with or without `.service`, or a check's.
    public func service(named name: String) -> ServiceAtPresent? {
        guard isRunning, let unit = units.first(where: { $0.isNamed(name) }) ?? only(of: name) else { return nil }
        return ServiceAtPresent(
            name: unit.tracker.unit, initSystem: unit.chosen, mainProcess: unit.tracker.mainProcess, cgroup: unit.tracker.cgroup,
            problem: doubt(about: unit) == nil ? nil : unit.answers.values.first { $0.presence == .hidden }?.detail)
    }

    /// The one unit that a check has found.
    private func only(of check: String) -> WatchedUnit? {
        let found = units.filter { $0.service.name == check }
        return found.count == 1 ? found.first : nil
    }

    /// All that is watched, in the order of the configuration.
    public var serviceNames: [String] { units.filter { $0.service.kind != .failed }.map(\.tracker.unit) }
}

extension AgentLoop {
    /// A deploy of a unit was judged for good.
    /// - Parameter judgement: the verdict, for people.
    public func record(judgement: String, of unit: String, isGood: Bool, at now: Timestamp) {
        guard isRunning else { return }
        let found = units.first { $0.isNamed(unit) }
        record(
            Event(
                kind: isGood ? .deployVerified : .deployFailed, at: now, unit: unit, importance: isGood ? nil : .error, detail: judgement,
                routes: [found?.service.route]))
    }
}
