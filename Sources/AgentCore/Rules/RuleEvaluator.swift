// Whether a rule holds, cycle by cycle.

public import Platform
public import RuleLanguage

/// What a rule is judged by in one cycle.
public struct Readings: Sendable {
    /// By metric name; what could not be measured is not in it.
    public var values: [String: Double]
    /// For `each worker`: every worker's values.
    public var workers: [(process: ProcessIdentity, values: [String: Double])]

    public init(values: [String: Double], workers: [(process: ProcessIdentity, values: [String: Double])] = []) {
        self.values = values
        self.workers = workers
    }
}

/// Judges one rule by the readings of each cycle. An episode begins when the condition has held for as long as the rule says, and ends when
/// what clears it has; both are said once.
public struct RuleEvaluator: Sendable {
    public enum Outcome: Equatable, Sendable {
        case none
        /// An episode begins; what was read, for a person.
        case failed(String)
        /// An episode is over.
        case recovered(String)
    }

    public private(set) var rule: Rule
    /// Whether an episode lasts.
    public private(set) var isFailing = false
    /// Since when the episode lasts.
    private(set) var failingSince: Timestamp?

    let compiled: CompiledRule
    private let longestPause: Duration?
    private(set) var failure = Holding()
    private(set) var clearing = Holding()

    /// Of the last cycle: one for each of the rule's metrics, and for each worker.
    private(set) var inputs: [Double?]
    private(set) var workers: [Worker] = []
    /// Of the last cycle: what each comparison compares, of the unit.
    private(set) var readings: [Double?]
    /// Whether the condition held in the last cycle.
    private(set) var holds: Bool?
    /// Whether the last cycle was judged: it was not outside the rule's hours.
    private(set) var isOpen = true

    /// What growth is measured from, for each comparison.
    private var previous: [Growth?]
    private var previousOfWorkers: [ProcessIdentity: [Growth?]] = [:]

    /// Where the rule's metrics stand in the lists that were sampled.
    private var places: Places?
    private var workerPlaces: Places?

    /// One worker's values, and what each comparison compares.
    struct Worker: Sendable {
        var process: ProcessIdentity
        var inputs: [Double?]
        var readings: [Double?]
    }

    struct Growth: Equatable, Sendable {
        var value: Double
        var at: Duration
    }

    private struct Places: Sendable {
        var list: MetricList
        var indices: [Int?]
    }

    /// Judges the host's or a service's metrics of the rule's names.
    /// - Parameter cycle: how far apart samples are. Samples that are further apart than twice that have a gap between them, which does not
    ///   count as time of holding.
    public init(rule: Rule, of subject: Metric.Subject, cycle: Duration? = nil) {
        self.init(rule: rule, compiled: CompiledRule(rule, of: subject), longestPause: cycle.map { $0 * 2 })
    }

    private init(rule: Rule, compiled: CompiledRule, longestPause: Duration?) {
        self.rule = rule
        self.compiled = compiled
        self.longestPause = longestPause
        inputs = Array(repeating: nil, count: compiled.metrics.count)
        readings = Array(repeating: nil, count: compiled.terms.count)
        previous = compiled.hasRates ? Array(repeating: nil, count: compiled.terms.count) : []
    }

    /// What must be sampled of the host or the unit for it, limits included.
    public var metrics: [MetricName] { compiled.metrics }
    /// What must be sampled of each worker for it.
    public var workerMetrics: [MetricName] { compiled.workerMetrics }
    /// Whether it is judged while its unit is not up too: it is about `up`, which is 0 then, and nothing else can be measured.
    public var judgesWhenDown: Bool { compiled.judgesWhenDown }
    /// Whether it was last judged by a unit that was down.
    var wasJudgedDown: Bool { judgesWhenDown && compiled.metrics.firstIndex(of: MetricName("up")).map { inputs[$0] == 0 } ?? false }
    /// How bad it is when it fails.
    public var importance: Importance { rule.importance ?? .error }

    /// Nothing was measured in this cycle: what was before is not the present. It neither counts nor recovers.
    public mutating func forgetReadings() {
        for index in inputs.indices { inputs[index] = nil }
        for index in readings.indices { readings[index] = nil }
        workers = []
        holds = nil
    }

    /// Takes this cycle's readings. What could not be measured proves nothing: it neither counts nor recovers, and the cycles before it
    /// still count.
    public mutating func observe(_ readings: Readings, at now: Moment) -> Outcome {
        for index in inputs.indices { inputs[index] = finite(readings.values[compiled.keys[index]]) }
        if !compiled.workerMetrics.isEmpty {
            workers = readings.workers.map { worker in
                Worker(process: worker.process, inputs: compiled.workerKeys.map { finite(worker.values[$0]) }, readings: [])
            }
        }
        return judge(at: now)
    }

    /// The same by samples as they come from a sampler, without any look-up by name: for whoever judges many rules in every cycle.
    /// - Parameters:
    ///   - values: in the order of `list`.
    ///   - workers: their values in the order of `workerList`.
    public mutating func observe(
        _ values: [Double?], of list: MetricList, workers samples: [WorkerSamples] = [], of workerList: MetricList? = nil, at now: Moment
    ) -> Outcome {
        if places?.list !== list { places = Places(list: list, indices: compiled.metrics.map(list.index)) }
        if let places {
            for index in inputs.indices {
                let place = places.indices[index]
                inputs[index] = place.flatMap { $0 < values.count ? finite(values[$0]) : nil }
            }
        }
        if !compiled.workerMetrics.isEmpty {
            if let workerList, workerPlaces?.list !== workerList {
                workerPlaces = Places(list: workerList, indices: compiled.workerMetrics.map(workerList.index))
            }
            let indices = workerList == nil ? [] : workerPlaces?.indices ?? []
            workers = samples.map { worker in
                let inputs = indices.map { place in place.flatMap { $0 < worker.values.count ? finite(worker.values[$0]) : nil } }
                return Worker(process: worker.process, inputs: inputs, readings: [])
            }
        }
        return judge(at: now)
    }

    /// The unit's run has ended: what was counted belongs to it. An episode lasts until a good sample ends it.
    public mutating func startAnew() {
        guard !compiled.outlivesRuns else { return }
        failure.reset()
        clearing.reset()
        for index in previous.indices where !compiled.terms[index].outlivesRuns { previous[index] = nil }
        previousOfWorkers = [:]
    }

    /// The same judgement under a rule that differs only in what does not bear on it.
    public func continued(with rule: Rule) -> RuleEvaluator {
        var copy = self
        copy.rule = rule
        return copy
    }
}

// MARK: Judging

extension RuleEvaluator {
    private mutating func judge(at now: Moment) -> Outcome {
        isOpen = compiled.isOpen.map { $0(now.wall) } ?? true
        guard isOpen else {
            // What held before the hours without judgement is no part of what holds after them.
            failure.reset()
            clearing.reset()
            for index in previous.indices { previous[index] = nil }
            previousOfWorkers = [:]
            holds = nil
            return .none
        }
        read(at: now.uptime)
        // Most rules are one comparison of the unit.
        holds = compiled.isSimple ? compares(compiled.terms[0], readings[0]) : evaluate(compiled.node, of: nil)
        if isFailing {
            let clears = compiled.clearLevel.map { isClear(at: $0) } ?? holds.map { !$0 }
            guard clearing.observe(clears, for: compiled.clearPersistence, at: now.uptime, longestPause: longestPause) else { return .none }
            isFailing = false
            failingSince = nil
            clearing.reset()
            return .recovered(recoveryText)
        }
        guard failure.observe(holds, for: rule.persistence, at: now.uptime, longestPause: longestPause) else { return .none }
        isFailing = true
        failingSince = now.wall
        failure.reset()
        return .failed(failureText)
    }

    /// What each comparison compares, from what was sampled.
    private mutating func read(at uptime: Duration) {
        for (index, term) in compiled.terms.enumerated() where !term.isOfWorkers {
            var value = share(inputs[term.source], of: term)
            if term.isRate {
                value = value.flatMap { growth(to: $0, from: &previous[index], at: uptime, isCounter: term.isCounter) }
            }
            readings[index] = value
        }
        guard !compiled.workerMetrics.isEmpty else { return }
        var growths: [ProcessIdentity: [Growth?]] = [:]
        for worker in workers.indices {
            let process = workers[worker].process
            var before = previousOfWorkers[process] ?? []
            workers[worker].readings = Array(repeating: nil, count: compiled.terms.count)
            for (index, term) in compiled.terms.enumerated() where term.isOfWorkers {
                let input = term.source < workers[worker].inputs.count ? workers[worker].inputs[term.source] : nil
                var value = share(input, of: term)
                if term.isRate {
                    if before.isEmpty { before = Array(repeating: nil, count: compiled.terms.count) }
                    value = value.flatMap { growth(to: $0, from: &before[index], at: uptime, isCounter: term.isCounter) }
                }
                workers[worker].readings[index] = value
            }
            if compiled.hasRates { growths[process] = before }
        }
        // Workers that have ended are not in it any more.
        previousOfWorkers = growths
    }

    /// The value, or what percentage of its limit it is.
    private func share(_ value: Double?, of term: CompiledRule.Term) -> Double? {
        guard let limit = term.limit else { return value }
        guard let value, let most = inputs[limit], most > 0 else { return nil }
        return 100 * value / most
    }

    /// With parts that could not be measured: what is true or false whatever they are.
    private func evaluate(_ node: CompiledRule.Node, of worker: Worker?) -> Bool? {
        switch node {
        case .term(let index):
            let term = compiled.terms[index]
            guard term.isOfWorkers else { return compares(term, readings[index]) }
            guard let worker else { return holdsForOneWorker(node) }
            return compares(term, index < worker.readings.count ? worker.readings[index] : nil)
        case .all(let parts, let isAboutWorkers):
            if isAboutWorkers, worker == nil { return holdsForOneWorker(node) }
            var all: Bool? = true
            for part in parts {
                switch evaluate(part, of: worker) {
                case false?: return false
                case nil: all = nil
                case true?: break
                }
            }
            return all
        case .any(let parts):
            var any: Bool? = false
            for part in parts {
                switch evaluate(part, of: worker) {
                case true?: return true
                case nil: any = nil
                case false?: break
                }
            }
            return any
        }
    }

    private func holdsForOneWorker(_ node: CompiledRule.Node) -> Bool? {
        // Without a worker nothing is known of workers, but the other parts may be false.
        guard !workers.isEmpty else {
            return evaluate(node, of: Worker(process: ProcessIdentity(pid: 0, startTicks: 0), inputs: [], readings: []))
        }
        var one: Bool? = false
        for worker in workers {
            switch evaluate(node, of: worker) {
            case true?: return true
            case nil: one = nil
            case false?: break
            }
        }
        return one
    }

    private func compares(_ term: CompiledRule.Term, _ value: Double?) -> Bool? { value.map { term.holds($0) } }

    /// Whether the only metric is at the level that ends an episode: for workers, whether all of them are.
    private func isClear(at level: Clear.Level) -> Bool? {
        guard let term = compiled.terms.first else { return nil }
        guard term.isOfWorkers else { return readings[0].map { level.operator.holds($0, level.threshold.value) } }
        guard !workers.isEmpty else { return nil }
        var all: Bool? = true
        for worker in workers {
            guard let value = worker.readings.first ?? nil else {
                all = nil
                continue
            }
            if !level.operator.holds(value, level.threshold.value) { return false }
        }
        return all
    }

    /// The comparisons that make the condition hold, each with the worker for which it does.
    func grounds(_ node: CompiledRule.Node, of worker: Worker? = nil) -> [(index: Int, worker: Worker?)] {
        switch node {
        case .term(let index):
            guard compiled.terms[index].isOfWorkers, worker == nil else { return [(index, compiled.terms[index].isOfWorkers ? worker : nil)] }
        case .all(let parts, let isAboutWorkers):
            guard isAboutWorkers, worker == nil else { return parts.flatMap { grounds($0, of: worker) } }
        case .any(let parts): return parts.filter { evaluate($0, of: worker) == true }.flatMap { grounds($0, of: worker) }
        }
        guard let worker = workers.first(where: { evaluate(node, of: $0) == true }) else { return [] }
        return grounds(node, of: worker)
    }

    /// Whether a comparison holds now: for workers, whether it does for one of them.
    func holds(_ index: Int) -> Bool? { evaluate(.term(index), of: nil) }
}

private func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }

/// Growth a second since the value before, by the time that really passed; `nil` when there is nothing to compare with.
private func growth(to value: Double, from previous: inout RuleEvaluator.Growth?, at uptime: Duration, isCounter: Bool) -> Double? {
    guard let before = previous, before.at <= uptime else {
        previous = .init(value: value, at: uptime)
        return nil
    }
    let elapsed = (uptime - before.at).inSeconds
    guard elapsed > 0 else { return nil }
    previous = .init(value: value, at: uptime)
    if isCounter, value < before.value { return nil }
    return (value - before.value) / elapsed
}

// MARK: Remembering

extension RuleEvaluator {
    /// All that the rule remembers, for a later start of the agent; `nil` when it is nothing.
    /// - Parameter boot: the machine's boot id. Uptimes, and with them growth, are of one boot.
    public func state(boot: String) -> JSON? {
        let growths = previous.enumerated().compactMap { index, growth in
            growth.map {
                JSON.object([.init("term", .integer(Int64(index))), .init("value", .number($0.value)), .init("at", .integer($0.at.microseconds))])
            }
        }
        guard isFailing || !failure.isEmpty || !growths.isEmpty else { return nil }
        var members = [JSON.Member("rule", .string(rule.judgement))]
        if isFailing {
            members.append(.init("failing", true))
            if let failingSince { members.append(.init("since", .integer(failingSince.microseconds))) }
        }
        if !failure.isEmpty { members.append(.init("holding", failure.json)) }
        if !clearing.isEmpty { members.append(.init("clearing", clearing.json)) }
        if !growths.isEmpty { members += [.init("boot", .string(boot)), .init("growth", .array(growths))] }
        return .object(members)
    }

    /// Goes on from what was remembered. What is of another rule, or makes no sense, changes nothing.
    /// - Returns: whether it was this rule's.
    @discardableResult
    public mutating func restore(_ state: JSON, boot: String) -> Bool {
        guard state["rule"]?.string == rule.judgement else { return false }
        let failure = state["holding"].map { Holding($0, for: rule.persistence) } ?? Holding()
        let clearing = state["clearing"].map { Holding($0, for: compiled.clearPersistence) } ?? Holding()
        guard let failure, let clearing else { return false }
        isFailing = state["failing"]?.bool ?? false
        failingSince = isFailing ? state["since"]?.integer.flatMap(instant) : nil
        self.failure = isFailing ? Holding() : failure
        self.clearing = isFailing ? clearing : Holding()
        guard state["boot"]?.string == boot else { return true }
        for growth in (state["growth"]?.array ?? []).prefix(compiled.terms.count) {
            guard let index = growth["term"]?.integer.flatMap(Int.init(exactly:)), previous.indices.contains(index),
                let value = growth["value"]?.number, value.isFinite, let at = growth["at"]?.integer, at >= 0
            else { continue }
            previous[index] = Growth(value: value, at: .microseconds(at))
        }
        return true
    }

    /// What several rules remember, of one unit or of the host.
    public static func states(of rules: [RuleEvaluator], boot: String) -> JSON { .array(rules.compactMap { $0.state(boot: boot) }) }

    /// Hands each rule what it remembers, wherever it stands now.
    public static func restore(_ states: JSON, to rules: inout [RuleEvaluator], boot: String) {
        for state in (states.array ?? []).prefix(10_000) {
            guard let text = state["rule"]?.string, let index = rules.firstIndex(where: { $0.rule.judgement == text }) else { continue }
            rules[index].restore(state, boot: boot)
        }
    }
}

/// `nil` for what no clock shows.
func instant(_ microseconds: Int64) -> Timestamp? {
    (0...Timestamp.latest.microseconds).contains(microseconds) ? Timestamp(microseconds: microseconds) : nil
}

extension Timestamp {
    /// The end of the year 9999.
    static let latest = Timestamp(seconds: 253_402_300_799)
}

extension Rule {
    /// The canonical text of what bears on its judgement: rules that differ only in what is done about it share it.
    var judgement: String {
        var rule = self
        rule.actions = []
        rule.recoveryActions = []
        rule.importance = nil
        return rule.text
    }
}
