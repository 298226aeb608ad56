// Reports that say only what has changed, and what they mean to whoever knows the state before.

/// A snapshot as it was reported: what a later one may be relative to.
public struct ReportedState: Equatable, Sendable {
    /// Its number.
    public var snapshot: UInt64
    public var units: [UnitState]
    /// Of the host itself.
    public var samples: [Sample]
    public var silences: [Silence]
    public var jobs: [JobState]

    public init(snapshot: UInt64, units: [UnitState], samples: [Sample], silences: [Silence] = [], jobs: [JobState] = []) {
        self.silences = silences
        self.jobs = jobs
        self.snapshot = snapshot
        self.units = units
        self.samples = samples
    }
}

extension Report {
    /// Leaves out what is as it was in `base`: whole units, and of those that changed the samples whose values did not.
    /// It must be a full report.
    public func since(_ base: ReportedState) -> Report {
        var report = self
        report.base = base.snapshot
        report.units = []
        let known = Dictionary(base.units.enumerated().map { ($1.name, $0) }) { $1 }
        for (index, unit) in units.enumerated() {
            // Most units stand where they stood before.
            let old = base.units.indices.contains(index) && base.units[index].name == unit.name ? index : known[unit.name]
            guard let old else {
                report.units.append(unit)
                continue
            }
            guard base.units[old] != unit else { continue }
            var changed = unit
            let gone = changed.samples.reduce(since: base.units[old].samples)
            if !gone.isEmpty { report.goneSamples[unit.name] = gone }
            report.units.append(changed)
        }
        let names = Set(units.lazy.map(\.name))
        report.gone = known.keys.filter { !names.contains($0) }.sorted()
        let gone = report.samples.reduce(since: base.samples)
        if !gone.isEmpty { report.goneSamples[""] = gone }
        if report.silences == base.silences { report.silences = nil }
        if report.jobs == base.jobs { report.jobs = nil }
        return report
    }

    /// The whole state that it means; `nil` when it is relative to something else than `state`.
    public func applied(to state: ReportedState?) -> ReportedState? {
        guard let base else { return ReportedState(snapshot: snapshot, units: units, samples: samples, silences: silences ?? [], jobs: jobs ?? []) }
        guard var state, state.snapshot == base else { return nil }
        state.snapshot = snapshot
        let gone = Set(gone)
        state.units.removeAll { gone.contains($0.name) }
        var places = Dictionary(state.units.enumerated().map { ($1.name, $0) }) { $1 }
        for unit in units {
            if let place = places[unit.name] {
                state.units[place].change(to: unit, gone: goneSamples[unit.name] ?? [])
            } else {
                places[unit.name] = state.units.count
                state.units.append(unit)
            }
        }
        state.samples.change(by: samples, gone: goneSamples[""] ?? [])
        state.silences = silences ?? state.silences
        state.jobs = jobs ?? state.jobs
        return state
    }
}

extension UnitState {
    /// Takes over a later state that leaves out samples whose values are as they were.
    public mutating func change(to later: UnitState, gone: [String]) {
        var samples = samples
        samples.change(by: later.samples, gone: gone)
        self = later
        self.samples = samples
    }
}

extension [Sample] {
    /// Takes over later values.
    public mutating func change(by later: [Sample], gone: [String]) {
        if !gone.isEmpty {
            let gone = Set(gone)
            removeAll { gone.contains($0.metric) }
        }
        for sample in later {
            if let place = firstIndex(where: { $0.metric == sample.metric }) { self[place] = sample } else { append(sample) }
        }
    }

    /// Leaves out what is as it was.
    /// - Returns: the metrics that are not there any longer.
    fileprivate mutating func reduce(since old: [Sample]) -> [String] {
        var isStill = [Bool](repeating: false, count: old.count)
        var changed: [Sample] = []
        for (index, sample) in enumerated() {
            let place = old.indices.contains(index) && old[index].metric == sample.metric ? index : old.firstIndex { $0.metric == sample.metric }
            if let place {
                isStill[place] = true
                if old[place].value == sample.value { continue }
            }
            changed.append(sample)
        }
        self = changed
        return old.indices.filter { !isStill[$0] }.map { old[$0].metric }
    }
}
