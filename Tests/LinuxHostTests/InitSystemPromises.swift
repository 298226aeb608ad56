// What every init system keeps of the seam `InitSystem`, whoever it talks to.

import AgentCore
import Foundation
import LinuxHost
import Platform
import Testing

/// What the promises need of one init system: a bed that runs it, and services in it.
///
/// The services do what their names in `ServiceRole` say. The fixture drives the init system by its own tools or files, never
/// through the implementation that is tested. It and the tests live in one PID namespace.
protocol InitSystemFixture: AnyObject {
    /// The implementation under test, on `loop`, pointed at the bed. Called once for each promise.
    func makeInitSystem(on loop: Loop) throws -> any InitSystem

    /// What a rule file calls the service, and what observations call its unit: `steady`, `steady.service`.
    func request(for role: ServiceRole) -> String
    func unit(for role: ServiceRole) -> String
    /// A shell pattern that matches the two instances and nothing else, as a rule file says it.
    var pattern: String { get }

    /// Somebody else's doing, through the init system's own tools; each returns when the tool does.
    func start(_ role: ServiceRole) throws
    func stop(_ role: ServiceRole) throws
    /// Makes the service of `.late` known to the init system, which it was not before, and lets it run.
    func add() throws
    /// What a process of `.steady` wrote when it was told to reload: how often that happened in all.
    var reloads: Int { get }

    var abilities: InitSystemAbilities { get }
}

/// The services that a fixture has. Unless said otherwise they are there and do not run when a promise begins, or they run: the
/// promise starts or stops what it needs.
enum ServiceRole: String, CaseIterable {
    /// Runs until it is stopped; survives SIGHUP, which `reloads` counts.
    case steady
    /// Its process ends at once with status 3, and is not started again for ever.
    case failing
    /// Two instances that `pattern` matches; they do what `.steady` does.
    case first, second
    /// Is not there until `add()`.
    case late
}

/// What an init system has means for; a promise about anything else is that it is refused in words.
struct InitSystemAbilities {
    /// A dead main process is replaced without anybody asking.
    var restartsByItself = true
    var starts = true
    var stops = true
    var reloads = true
    var signals = true
    /// Whether a stop on request looks other than an end without one, however quick it is.
    var tellsStops = true
    /// Whether it can tell a service that failed from one that was stopped.
    var tellsFailures = true
    /// How long it may take to notice what nobody tells it.
    var patience = 10.0
}

/// One suite for all of them:
///
///     @Test func runit() throws { try InitSystemPromises(RunitFixture()).verify() }
struct InitSystemPromises {
    let fixture: any InitSystemFixture
    init(_ fixture: any InitSystemFixture) { self.fixture = fixture }

    func verify() throws {
        try aServiceThatStartsAndStopsIsTold()
        try anUnknownNameIsAbsentUntilItAppears()
        try aKilledMainProcessIsTold()
        try whatIsAskedForIsDone()
        try whatCannotBeDoneIsRefusedInWords()
        try everyInstanceOfAPatternIsTold()
        try aFailingServiceIsTold()
        try whatIsNotWatchedAnyLongerIsNotTold()
    }

    // MARK: The promises

    private func aServiceThatStartsAndStopsIsTold() throws {
        try fixture.stop(.steady)
        let watching = try begin([UnitRequest(name: name(.steady))])
        let before = try watching.wait(for: name(.steady), "to be known and not to run") { $0.presence == .present && $0.activity == .stopped }
        #expect(before.mainProcess == nil)
        try fixture.start(.steady)
        let up = try watching.wait(for: name(.steady), "to run") { $0.activity == .running && $0.mainProcess != nil }
        #expect(up.unit == fixture.unit(for: .steady))
        #expect(!up.detail.isEmpty)
        let process = try #require(up.mainProcess)
        #expect(ProcessStart(process.pid)?.ticks == process.startTicks)
        try fixture.stop(.steady)
        let down = try watching.wait(for: name(.steady), "to be stopped") { $0.activity == .stopped && !$0.hasJob }
        #expect(down.mainProcess == nil)
        #expect(down.automaticRestarts == up.automaticRestarts, "a stop that somebody asked for is no restart")
        guard fixture.abilities.tellsStops else { return }
        let whileStopping = watching.observations(of: name(.steady)).reversed().prefix { $0.mainProcess == nil || $0.hasJob }
        #expect(whileStopping.contains { $0.hasJob }, "a stop with the init system's own tool is seen to be asked for")
    }

    private func anUnknownNameIsAbsentUntilItAppears() throws {
        let watching = try begin([UnitRequest(name: "no-such-thing"), UnitRequest(name: name(.late))])
        let absent = try watching.wait(for: "no-such-thing", "to be unknown") { $0.presence == .absent }
        #expect(absent.request == "no-such-thing" && absent.mainProcess == nil)
        try watching.wait(for: name(.late), "to be unknown") { $0.presence == .absent }
        try fixture.add()
        try watching.wait(for: name(.late), "to appear and run") { $0.presence == .present && $0.activity == .running && $0.mainProcess != nil }
        #expect(watching.latest("no-such-thing")?.presence == .absent)
    }

    private func aKilledMainProcessIsTold() throws {
        try fixture.start(.steady)
        let watching = try begin([UnitRequest(name: name(.steady))])
        let before = try watching.running(name(.steady))
        let process = try #require(before.mainProcess)
        kill(process.pid, SIGKILL)
        if fixture.abilities.restartsByItself {
            let after = try watching.wait(for: name(.steady), "to be restarted") { $0.activity == .running && $0.isOther(than: process) }
            #expect(after.automaticRestarts > before.automaticRestarts)
            #expect(after.run == nil || after.run != before.run)
        } else {
            let after = try watching.wait(for: name(.steady), "to be down") { $0.activity == .failed || $0.activity == .stopped }
            #expect(after.mainProcess == nil)
        }
        try fixture.start(.steady)
    }

    private func whatIsAskedForIsDone() throws {
        let able = fixture.abilities
        try fixture.start(.steady)
        let watching = try begin([UnitRequest(name: name(.steady))])
        let first = try watching.running(name(.steady))
        let process = try #require(first.mainProcess)
        if able.reloads {
            let reloads = fixture.reloads
            try watching.succeed(.reload, on: first.unit)
            try expectEventually("the reload reaches the process") { fixture.reloads == reloads + 1 }
            #expect(watching.latest(name(.steady))?.mainProcess == process)
        }
        if able.signals {
            let reloads = fixture.reloads
            try watching.succeed(.signal(SIGHUP), on: first.unit)
            try expectEventually("the signal reaches the process") { fixture.reloads == reloads + 1 }
        }
        guard able.starts && able.stops else { return }
        try watching.succeed(.restart, on: first.unit)
        let second = try watching.wait(for: name(.steady), "to run again") { $0.activity == .running && !$0.hasJob && $0.isOther(than: process) }
        // systemd counts anew from a start that somebody asked for.
        #expect(second.automaticRestarts <= first.automaticRestarts, "a restart that was asked for is not the init system's own")
        #expect(
            watching.observations(of: name(.steady)).contains { $0.hasJob }, "somebody asked for it, and that shows while it is done")
        try watching.succeed(.stop, on: first.unit)
        try watching.wait(for: name(.steady), "to be stopped") { $0.activity == .stopped && !$0.hasJob }
        try watching.succeed(.start, on: first.unit)
        let third = try watching.wait(for: name(.steady), "to run once more") { $0.activity == .running && !$0.hasJob && $0.mainProcess != nil }
        #expect(third.automaticRestarts <= first.automaticRestarts)
    }

    private func whatCannotBeDoneIsRefusedInWords() throws {
        try fixture.stop(.steady)
        let watching = try begin([UnitRequest(name: name(.steady))])
        let stopped = try watching.wait(for: name(.steady), "to be stopped") { $0.activity == .stopped && !$0.hasJob }
        for verb in [UnitVerb.reload, .signal(SIGHUP)] {
            let problem = try watching.perform(verb, on: stopped.unit).problem
            #expect(problem.map { !$0.isEmpty } ?? false, "there is nothing to \(verb) while it is down")
        }
        for verb in [UnitVerb.start, .stop, .restart, .reload, .signal(SIGHUP)] {
            let problem = try watching.perform(verb, on: "no-such-thing").problem
            #expect(problem.map { !$0.isEmpty } ?? false, "\(verb) of what is not there")
        }
        let able = fixture.abilities
        for (verb, can) in [(UnitVerb.start, able.starts), (.stop, able.stops)] where !can {
            #expect(try watching.perform(verb, on: stopped.unit).problem != nil)
        }
        #expect(watching.latest(name(.steady))?.activity == .stopped)
    }

    private func everyInstanceOfAPatternIsTold() throws {
        try fixture.start(.first)
        try fixture.stop(.second)
        let pattern = fixture.pattern
        let watching = try begin([UnitRequest(name: pattern, kind: .pattern)])
        let (first, second) = (fixture.unit(for: .first), fixture.unit(for: .second))
        try watching.wait(for: pattern, unit: first, "to run") { $0.activity == .running }
        try fixture.start(.second)
        let other = try watching.wait(for: pattern, unit: second, "to run") { $0.presence == .present && $0.activity == .running }
        #expect(other.request == pattern)
        #expect(Set(watching.observations(of: pattern).filter { $0.presence == .present }.map(\.unit)) == [first, second])
    }

    private func aFailingServiceIsTold() throws {
        let watching = try begin([UnitRequest(name: name(.failing)), UnitRequest(name: "any-failed", kind: .failed)])
        guard fixture.abilities.starts else { return }
        try watching.wait(for: name(.failing), "to be known") { $0.presence == .present }
        // Whether the start or a later observation says so, it is said.
        let result = try watching.perform(.start, on: fixture.unit(for: .failing), within: 30)
        try watching.wait(for: name(.failing), "not to run") { [.failed, .stopped, .restarting].contains($0.activity) && $0.mainProcess == nil }
        if let problem = result.problem { #expect(!problem.isEmpty) }
        guard fixture.abilities.tellsFailures else { return }
        try watching.wait(for: name(.failing), "to have failed") { $0.activity == .failed && !$0.hasJob }
        try watching.wait(for: "any-failed", unit: fixture.unit(for: .failing), "to be among the failed") {
            $0.presence == .present && $0.activity == .failed
        }
    }

    private func whatIsNotWatchedAnyLongerIsNotTold() throws {
        try fixture.start(.first)
        try fixture.stop(.second)
        let watching = try begin([UnitRequest(name: name(.first)), UnitRequest(name: name(.second))])
        let process = try watching.running(name(.first)).mainProcess
        try watching.wait(for: name(.second), "to be known") { $0.activity == .stopped }
        watching.listener.forget()
        try watching.change([UnitRequest(name: name(.second))])
        try fixture.stop(.first)
        try fixture.start(.second)
        try watching.wait(for: name(.second), "to run") { $0.activity == .running && $0.mainProcess != nil }
        #expect(watching.observations(of: name(.first)).isEmpty)
        try watching.change([UnitRequest(name: name(.first)), UnitRequest(name: name(.second))])
        try watching.wait(for: name(.first), "to be told of anew") { $0.activity == .stopped && $0.mainProcess != process }
    }

    // MARK: Helpers

    private func name(_ role: ServiceRole) -> String { fixture.request(for: role) }

    private func begin(_ requests: [UnitRequest]) throws -> PromiseWatch {
        try PromiseWatch(fixture, requests)
    }

    private func expectEventually(_ what: String, _ condition: () -> Bool) throws {
        guard eventually(within: fixture.abilities.patience, condition) else { throw NeverSaid(description: "it never happened that \(what)") }
    }
}

/// One init system under test, and what it said.
final class PromiseWatch {
    let on: OnLoop
    let system: any InitSystem
    let listener = Listener()
    private let patience: Double

    init(_ fixture: any InitSystemFixture, _ requests: [UnitRequest]) throws {
        let on = try OnLoop()
        self.on = on
        patience = fixture.abilities.patience
        let listener = listener
        system = try on.run {
            let system = try fixture.makeInitSystem(on: on.loop)
            system.start(watching: requests, observer: listener)
            return system
        }
    }

    deinit {
        let system = system
        try? on.run { system.stop() }
    }

    func change(_ requests: [UnitRequest]) throws {
        let system = system
        try on.run { system.change(watching: requests) }
    }

    func observations(of request: String) -> [Observation] { listener.observations(of: request) }
    func latest(_ request: String, unit: String? = nil) -> Observation? {
        observations(of: request).last { unit == nil || $0.unit == unit }
    }

    @discardableResult
    func wait(for request: String, unit: String? = nil, _ what: String, _ matches: (Observation) -> Bool) throws -> Observation {
        var found: Observation?
        let came = eventually(within: patience) {
            found = latest(request, unit: unit)
            return found.map(matches) ?? false
        }
        guard came, let found else {
            let said = observations(of: request).map { "\($0)" }.joined(separator: "\n")
            throw NeverSaid(description: "\(system.name) never said of \(unit ?? request) \(what); it said:\n\(said)")
        }
        return found
    }

    @discardableResult
    func running(_ request: String) throws -> Observation {
        try wait(for: request, "to run") { $0.activity == .running && $0.mainProcess != nil && !$0.hasJob }
    }

    func perform(_ verb: UnitVerb, on unit: String, within seconds: Double = 15) throws -> Result<Void, ActionError> {
        let answer = Box<Result<Void, ActionError>>()
        let answers = Counter()
        let system = system
        try on.run {
            system.perform(verb, on: unit, deadline: .seconds(seconds)) {
                answer.value = $0
                answers.add()
            }
        }
        guard eventually(within: seconds + 5, { answers.count > 0 }), let value = answer.value else {
            throw NeverSaid(description: "\(verb) \(unit) was never answered")
        }
        #expect(answers.count == 1, "an answer comes once")
        return value
    }

    func succeed(_ verb: UnitVerb, on unit: String) throws {
        if let problem = try perform(verb, on: unit).problem { throw NeverSaid(description: "\(verb) \(unit): \(problem)") }
    }
}

extension Observation {
    fileprivate func isOther(than process: ProcessIdentity) -> Bool { mainProcess != nil && mainProcess != process }
}

/// When a process began, by the kernel's word.
private struct ProcessStart {
    var ticks: UInt64

    init?(_ pid: Int32) {
        guard let line = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = UInt64(fields[19]) else { return nil }
        self.ticks = ticks
    }
}
