// Init systems that cannot be asked.

import Platform

/// Which init systems do not answer, or not about everything, why, and whether an event has said so.
///
/// One that cannot be asked is not one that knows nothing: what it might know is unknown. An event tells of it when a watched unit depends on its
/// answer; a host may have it for something else.
struct SilentSources {
    struct Failure: Equatable {
        var since: Timestamp
        /// For a person.
        var why: String
        /// Whether an event has told of it.
        var isTold = false
    }

    private struct Unit: Hashable {
        var request: String
        var name: String
    }

    private struct Refusals {
        var failure: Failure
        var units: Set<Unit>
    }

    /// Init systems that answer nothing, by name.
    private(set) var failures: [String: Failure] = [:]
    /// Init systems that answer, but not about some units.
    private var refusals: [String: Refusals] = [:]

    var isEmpty: Bool { failures.isEmpty && refusals.isEmpty }
    var names: Set<String> { Set(failures.keys) }
    var hasUntold: Bool { failures.values.contains { !$0.isTold } || refusals.values.contains { !$0.failure.isTold } }

    /// All of them by name, for people.
    var all: [(name: String, failure: Failure)] {
        failures.merging(refusals.mapValues(\.failure)) { whole, _ in whole }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Answers whether that is new.
    mutating func fail(_ name: String, why: String, at now: Timestamp) -> Bool {
        guard failures[name] == nil else { return false }
        failures[name] = Failure(since: now, why: why)
        return true
    }

    mutating func recover(_ name: String) -> Failure? { failures.removeValue(forKey: name) }

    /// Notes that an init system cannot be asked about one unit.
    mutating func hide(_ unit: String, of request: String, in name: String, why: String, at now: Timestamp) {
        refusals[name, default: Refusals(failure: Failure(since: now, why: why), units: [])].units.insert(Unit(request: request, name: unit))
    }

    /// Notes that it can be asked about a unit. Answers with the failure that is over when it was the last one.
    mutating func show(_ unit: String, of request: String, in name: String) -> Failure? {
        guard refusals[name]?.units.remove(Unit(request: request, name: unit)) != nil, refusals[name]?.units.isEmpty == true else { return nil }
        return refusals.removeValue(forKey: name)?.failure
    }

    /// Forgets units of requests that are made no longer. Answers with what is over by that.
    mutating func keep(_ requests: Set<String>) -> [String: Failure] {
        let kept = refusals.mapValues { Refusals(failure: $0.failure, units: $0.units.filter { requests.contains($0.request) }) }
        refusals = kept.filter { !$0.value.units.isEmpty }
        return kept.filter(\.value.units.isEmpty).mapValues(\.failure)
    }

    /// Whether an init system cannot be asked about a unit of one of these requests.
    func refuses(_ request: String, in name: String) -> Bool { refusals[name]?.units.contains { $0.request == request } ?? false }

    /// Why an init system cannot tell about a unit; `nil` when it can.
    func failure(of name: String, isHidden: Bool) -> Failure? { failures[name] ?? (isHidden ? refusals[name]?.failure : nil) }

    /// Failures that no event has told of. `isWhole`: the init system answers nothing at all.
    var untold: [(name: String, isWhole: Bool, failure: Failure)] {
        let whole = failures.filter { !$0.value.isTold }.map { (name: $0.key, isWhole: true, failure: $0.value) }
        let partly = refusals.filter { !$0.value.failure.isTold }.map { (name: $0.key, isWhole: false, failure: $0.value.failure) }
        return (whole + partly).sorted { $0.name < $1.name }
    }

    mutating func markTold(_ name: String, isWhole: Bool) {
        if isWhole { failures[name]?.isTold = true } else { refusals[name]?.failure.isTold = true }
    }
}
