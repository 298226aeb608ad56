// The agent's seams, in memory.

import AgentAPI
import AgentCore
import Platform
import RuleLanguage

final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// An init system that knows what a test tells it.
final class FakeInit: InitSystem {
    let name: String
    /// `restart puma.service`
    private(set) var performed: [String] = []
    private(set) var deadlines: [Duration] = []
    /// Of the jobs that have not ended, the first one first.
    private(set) var answers: [(Result<Void, ActionError>) -> Void] = []
    private(set) var watched: [UnitRequest] = []
    private(set) var isStopped = false
    weak var observer: (any InitObserver)?

    init(_ name: String) { self.name = name }

    var isIdle: Bool { answers.isEmpty }

    func start(watching requests: [UnitRequest], observer: any InitObserver) {
        watched = requests
        self.observer = observer
    }

    func change(watching requests: [UnitRequest]) { watched = requests }

    func perform(_ verb: UnitVerb, on unit: String, deadline: Duration, _ done: @escaping (Result<Void, ActionError>) -> Void) {
        performed.append("\(verb) \(unit)")
        deadlines.append(deadline)
        answers.append(done)
    }

    /// What it was asked for again, and what happens before it answers.
    private(set) var refreshed: [String] = []
    var onRefresh: () -> Void = {}

    func refresh(_ unit: String, _ done: @escaping () -> Void) {
        refreshed.append(unit)
        onRefresh()
        done()
    }

    func stop() { isStopped = true }

    /// Ends the job that was asked for first.
    func finish(_ result: Result<Void, ActionError> = .success(())) {
        guard !answers.isEmpty else { return }
        answers.removeFirst()(result)
    }

    func says(_ observation: Observation) { observer?.observed(observation, from: self) }

    func knowsNothing(of name: String) {
        says(Observation(request: name, presence: .absent, unit: name, activity: .stopped, detail: ""))
    }

    func runs(_ name: String, run: String = "A", pid: Int32 = 100, restarts: Int = 0, restartsByItself: Bool = true, job: Bool = false) {
        says(
            Observation(
                request: name, unit: "\(name).service", activity: .running, detail: "active/running", run: run,
                mainProcess: ProcessIdentity(pid: pid, startTicks: UInt64(pid)), cgroup: "/system.slice/\(name).service",
                automaticRestarts: restarts, restartsByItself: restartsByItself, hasJob: job))
    }

    /// A unit that a pattern, or `failed units`, has found.
    func finds(_ unit: String, for request: String, _ activity: Observation.Activity = .running, pid: Int32 = 100, exit: ExitReason? = nil) {
        let process = activity == .running ? ProcessIdentity(pid: pid, startTicks: UInt64(pid)) : nil
        says(
            Observation(
                request: request, unit: unit, activity: activity, detail: "\(activity)", run: activity == .running ? "\(pid)" : nil,
                mainProcess: process, lastExit: exit))
    }

    func loses(_ unit: String, for request: String) {
        says(Observation(request: request, presence: .absent, unit: unit, activity: .stopped, detail: ""))
    }

    func tells(
        _ activity: Observation.Activity, of name: String, run: String? = "A", restarts: Int = 0, exit: ExitReason? = nil,
        restartsByItself: Bool = true
    ) {
        says(
            Observation(
                request: name, unit: "\(name).service", activity: activity, detail: "\(activity)", run: run, automaticRestarts: restarts,
                lastExit: exit, restartsByItself: restartsByItself))
    }
}

/// Numbers that a test sets.
final class FakeSampler: Sampler {
    var host: [String: Double] = [:]
    var units: [String: [String: Double]] = [:]
    var workers: [String: [(process: ProcessIdentity, values: [String: Double])]] = [:]
    var states: [String: ProcessState] = [:]
    var marks: [String: ExecMark] = [:]
    var absences: [String: Absence] = [:]
    private(set) var asked: [String: Set<String>] = [:]
    private(set) var forgotten: [String] = []
    private(set) var cycles = 0

    func beginCycle(at uptime: Duration) { cycles += 1 }

    func sampleHost(_ metrics: MetricList) -> [Double?] {
        asked["host"] = Set(metrics.keys)
        return metrics.keys.map { host[$0] }
    }

    func sample(_ unit: SampledUnit, _ metrics: MetricList) -> [Double?] {
        asked[unit.key] = Set(metrics.keys)
        return metrics.keys.map { units[unit.key]?[$0] }
    }

    func sampleWorkers(of unit: SampledUnit, _ metrics: MetricList) -> [WorkerSamples] {
        asked["workers of \(unit.key)"] = Set(metrics.keys)
        return (workers[unit.key] ?? []).map { worker in WorkerSamples(process: worker.process, values: metrics.keys.map { worker.values[$0] }) }
    }

    func mainProcess(of unit: String) -> MainProcessSample? {
        guard states[unit] != nil || marks[unit] != nil else { return nil }
        return MainProcessSample(state: states[unit] ?? .running, execMark: marks[unit])
    }

    func absence(of metric: MetricName, unit: String?) -> Absence { absences[metric.description] ?? .notYet }

    func forget(unit: String) { forgotten.append(unit) }
}

final class FakeProcesses: ProcessWatcher {
    private(set) var watched: [String: (process: ProcessIdentity, ended: () -> Void)] = [:]

    func watch(_ process: ProcessIdentity, for key: String, ended: @escaping () -> Void) { watched[key] = (process, ended) }
    func unwatch(_ key: String) { watched[key] = nil }

    func end(_ key: String) { watched.removeValue(forKey: key)?.ended() }
}

final class FakeSink: ReportSink {
    private(set) var events: [Event] = []
    private(set) var snapshots: [Snapshot] = []
    /// `puma.service 100`
    private(set) var processes: [String] = []
    /// `puma.service 7000`, by the stack's place.
    private(set) var marks: [String] = []

    func record(_ event: Event) { events.append(event) }
    /// Whether somebody wants numbers in each cycle.
    var wantsNumbers = true
    private(set) var cycles = 0

    func update(_ snapshot: Snapshot) { snapshots.append(snapshot) }
    func wantsNumbers(at uptime: Duration) -> Bool { wantsNumbers }
    func cycleEnded(at now: Timestamp) { cycles += 1 }
    func mainProcess(of unit: String, is process: ProcessIdentity?) { processes.append("\(unit) \(process.map { "\($0.pid)" } ?? "gone")") }
    func mainProcess(of unit: String, hasMark mark: ExecMark?) { marks.append("\(unit) \(mark.map { "\($0.stack)" } ?? "none")") }
}

/// Daemons and alerts that a test answers for.
final class FakeRunner: Runner {
    weak var observer: (any RunnerObserver)?
    private(set) var work: [RunnerWork] = []
    private(set) var isStopped = false

    func start(observer: any RunnerObserver) { self.observer = observer }
    func change(_ work: RunnerWork) { self.work.append(work) }
    func deliver(_ alert: OutgoingAlert) {}
    func stop() { isStopped = true }
}

/// Programs that end when a test says so.
final class FakeCommands: CommandRunner {
    private(set) var commands: [Command] = []
    private(set) var inputs: [String] = []
    private var answers: [(CommandOutcome) -> Void] = []

    func run(_ command: Command, input: [UInt8], _ done: @escaping (CommandOutcome) -> Void) {
        commands.append(command)
        inputs.append(String(decoding: input, as: UTF8.self))
        answers.append(done)
    }

    func stop() { answers = [] }

    func end(_ outcome: CommandOutcome) {
        guard !answers.isEmpty else { return }
        answers.removeFirst()(outcome)
    }
}

/// Evidence that is there at once, or when a test says so.
final class FakeEvidence: EvidenceReader {
    /// What the kernel's log says: `nil` as long as it is being read.
    var killed: [String]?
    private(set) var killsAsked: [String] = []
    private(set) var answerKills: (([String]) -> Void)?

    func kills(in cgroup: String, within age: Duration, deadline: Duration, _ done: @escaping ([String]) -> Void) {
        killsAsked.append("\(cgroup) \(age.components.seconds) s")
        answerKills = done
        if let killed { done(killed) }
    }

    var lines: [String]? = []
    private(set) var asked: [String] = []
    private(set) var answer: (([String]) -> Void)?

    func collect(
        of unit: String, initSystem: String, cgroup: String?, mainProcess: ProcessIdentity?, deadline: Duration, _ done: @escaping ([String]) -> Void
    ) {
        asked.append("\(unit) \(initSystem) \(mainProcess.map { "\($0.pid)" } ?? "-")")
        answer = done
        if let lines { done(lines) }
    }
}
