// Who serves, and which code that runs, where it is not plain.

import AgentAPI
import Platform
import Testing

@testable import DeployVerification

private let token = "9b2f91ea9b2f91ea9b2f91ea9b2f91ea"
private let otherToken = "11c011c011c011c011c011c011c011c0"
private let releases = FolderMark(device: 1, inode: 50)
private let main = ServiceListener(inode: 7, address: .tcp(address: "127.0.0.1", port: 8080))

private func folder(_ release: Int) -> FolderMark { FolderMark(device: 1, inode: UInt64(100 + release)) }

private func release(links: [ReleaseLink] = [ReleaseLink(path: "/srv/app/current", target: folder(2))]) -> NamedRelease {
    .seen(ReleaseFolder(path: "/srv/app/releases/2", mark: folder(2), parent: releases, links: links))
}

/// A process as a look shows it; times are seconds since boot.
private func process(
    _ pid: Int32, parent: Int32 = 100, exec: UInt64 = 1, started: Int = 500, holds: Set<UInt64> = [7], release: Int = 1, command: String = "ruby",
    _ change: (inout ServiceProcess) -> Void = { _ in }
) -> ServiceProcess {
    var process = ServiceProcess(
        mark: ProcessMark(pid: pid, startTicks: UInt64(started) * 100, generation: .vector(random: exec, sysinfo: 1)), parent: parent,
        command: command, state: UInt8(ascii: "S"), listeners: holds, folder: folder(release), folderPath: "/srv/app/releases/\(release)",
        parentFolder: releases, connections: 0)
    change(&process)
    return process
}

private let master = process(100, parent: 1)
private let old = [process(101), process(102)]
private let new = [process(201, started: 1001, release: 2), process(202, started: 1001, release: 2)]

/// Plays looks and answers at will; one look every 50 ms.
private struct Play {
    typealias Answer = (process: ServiceProcess, content: WorkerAnswer.Content, address: ServiceListener.Address)

    var verifier: HostVerifier
    var now = Duration.seconds(1000)
    var listeners: [ServiceListener]
    let baseline: Baseline?

    init(
        _ before: [ServiceProcess]? = [master] + old, answers: [Answer]? = nil, rounds: Int = 8, check: DeployCheck = DeployCheck(deploy: "d-0"),
        release: NamedRelease? = release(), listeners: [ServiceListener] = [main]
    ) {
        self.listeners = listeners
        let given = answers ?? old.map { ($0, .token(otherToken), main.address) }
        baseline = before.map { before in
            Baseline(
                ServiceLook(at: .seconds(999), listeners: listeners, processes: before),
                answers: (0..<rounds).flatMap { _ in given }.map {
                    WorkerAnswer(mark: $0.process.mark, content: $0.content, took: .zero, at: .seconds(998), address: $0.address)
                }, token: token, boot: "b")
        }
        let start = Moment(wall: Timestamp(seconds: 1_800_000_000), uptime: .seconds(1000))
        verifier = HostVerifier(service: "web", host: "app-1", deploy: "d-0", token: token, baseline: baseline, release: release, start: start)
        verifier.begin(check, at: start)
    }

    var moment: Moment { Moment(wall: Timestamp(seconds: 1_800_000_000) + (now - .seconds(1000)), uptime: now) }

    /// Looks for so long; those that answer do so after each look.
    mutating func look(
        _ processes: [ServiceProcess], answers: [Answer] = [], for time: Duration = .milliseconds(100), listeners: [ServiceListener]? = nil,
        change: (inout ServiceProcess, Int) -> Void = { _, _ in }
    ) {
        let end = now + time
        var turn = 0
        while now < end, verifier.verdict == nil {
            now += .milliseconds(50)
            var seen = processes
            for index in seen.indices { change(&seen[index], turn) }
            verifier.observe(ServiceLook(at: now, listeners: listeners ?? self.listeners, processes: seen), mainProcess: nil)
            verifier.conclude(at: moment)
            for answer in answers {
                verifier.observe(
                    WorkerAnswer(
                        mark: answer.process.mark, content: answer.content, took: .milliseconds(1), at: now + .milliseconds(1),
                        address: answer.address))
            }
            turn += 1
        }
    }

    var account: HostDeploy { verifier.account(at: moment) }
    func kind(_ pid: Int32) -> HostDeploy.Class? { account.processes.first { $0.pid == pid }?.class }
    func says(_ words: String) -> Bool { account.reasons.contains { $0.contains(words) } }
}

private func right(_ processes: [ServiceProcess], at listener: ServiceListener = main) -> [Play.Answer] {
    processes.map { ($0, .token(token), listener.address) }
}

@Suite struct WhoServesTests {
    // MARK: Strangers

    private func stranger(_ pid: Int32 = 900, started: Int = 400, holds: Set<UInt64> = [70]) -> ServiceProcess {
        process(pid, parent: 1, exec: 90, started: started, holds: holds, release: 1, command: "gunicorn") {
            $0.isForeign = true
            $0.isStranger = true
            $0.unit = "old-web.service"
        }
    }

    @Test func aStrangerThatAnswersOldCodeMakesItMixed() {
        let stranger = stranger()
        var play = Play([master, stranger] + old)
        play.look([master, stranger] + new, answers: right(new) + [(stranger, .token(otherToken), main.address)], for: .seconds(3))
        #expect(play.verifier.verdict == nil && play.account.state == .mixed)
        #expect(play.says("process 900 (gunicorn, in old-web.service) takes connections"), "\(play.account.reasons)")
        #expect(play.baseline?.workers == 2)
    }

    @Test func aStrangerOfWhichNothingIsKnownLeavesItUnproven() {
        let stranger = stranger()
        var play = Play([master] + old)
        play.look([master, stranger] + new, answers: right(new), for: .seconds(3))
        #expect(play.verifier.verdict == nil && play.account.state == .unproven)
        #expect(play.says("what it runs is not known"))
        // It is gone: the rest is right.
        play.look([master] + new, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aStrangerThatIsDeployedTooStandsAgainstNothing() {
        let stranger = stranger(started: 1001)
        var play = Play([master] + old)
        play.look([master, stranger] + new, answers: right(new + [stranger]), for: .seconds(3))
        #expect(play.verifier.verdict == .verified)
    }

    // MARK: Addresses

    struct Move: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var before: [ServiceListener]
        var after: [ServiceListener]
        var isServed: Bool
    }

    private static func tcp(_ inode: UInt64, _ address: String, _ port: UInt16 = 8080, isIPv6Only: Bool = false) -> ServiceListener {
        ServiceListener(inode: inode, address: .tcp(address: address, port: port), isIPv6Only: isIPv6Only)
    }

    @Test(arguments: [
        Move(testDescription: "the same", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "127.0.0.1")], isServed: true),
        Move(testDescription: "another port", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "127.0.0.1", 8081)], isServed: false),
        Move(testDescription: "only IPv6", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "::1")], isServed: false),
        Move(testDescription: "all addresses", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "0.0.0.0")], isServed: true),
        Move(testDescription: "all addresses of both families", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "::")], isServed: true),
        Move(testDescription: "all of IPv6 alone", before: [tcp(7, "127.0.0.1")], after: [tcp(7, "::", isIPv6Only: true)], isServed: false),
        Move(testDescription: "loopback alone", before: [tcp(7, "0.0.0.0")], after: [tcp(7, "127.0.0.1")], isServed: false),
        Move(
            testDescription: "another path", before: [ServiceListener(inode: 7, address: .unix(path: "/run/a"))],
            after: [ServiceListener(inode: 7, address: .unix(path: "/run/b"))], isServed: false),
        Move(
            testDescription: "a port that the kernel chose, beside another", before: [tcp(7, "127.0.0.1"), tcp(8, "127.0.0.1", 41233)],
            after: [tcp(7, "127.0.0.1"), tcp(8, "127.0.0.1", 38001)], isServed: true),
    ])
    func whereItWasReachedItMustBeReachedStill(move: Move) {
        let before = [process(101, parent: 1, holds: Set(move.before.map(\.inode)))]
        let after = [process(201, parent: 1, exec: 2, started: 1001, holds: Set(move.after.map(\.inode)), release: 2)]
        var play = Play(before, answers: move.before.map { (before[0], .token(otherToken), $0.address) }, listeners: move.before)
        play.look(after, answers: right(after, at: move.after[0]), for: .seconds(10), listeners: move.after)
        #expect(play.verifier.verdict == (move.isServed ? .verified : .down), "\(play.account.reasons)")
        #expect(move.isServed || play.says("it does not listen at \(move.before[0].address.text) any more"), "\(play.account.reasons)")
    }

    // MARK: Holders that take nothing

    @Test func aHelperThatHoldsTheListenerIsNoWorker() {
        let helper = process(300, parent: 1, exec: 9, command: "sleep") { $0.wait = .elsewhere(looks: 5) }
        var play = Play([master, helper] + old)
        #expect(play.baseline?.workers == 2)
        play.look([master, helper] + new, answers: right(new), for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    @Test func whatServersForkForOtherWorkIsNoWorker() {
        func jobs(_ pid: Int32, started: Int) -> ServiceProcess {
            process(pid, started: started, release: started > 1000 ? 2 : 1) { $0.wait = .elsewhere(looks: 5) }
        }
        var play = Play([master, jobs(110, started: 500)] + old)
        #expect(play.baseline?.workers == 2)
        let fresh = jobs(210, started: 1001)
        play.look([master, fresh, new[0]], answers: right([new[0]]), for: .seconds(2))
        // It may be the second worker, which still boots.
        #expect(play.verifier.verdict == nil)
        play.look([master, fresh] + new, answers: right(new), for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    @Test func aBusyOldWorkerIsNoHelper() {
        let busy = process(103) {
            $0.wait = .elsewhere(looks: 10)
            $0.connections = 1
        }
        var play = Play([master, busy] + old)
        play.look([master, busy] + new, answers: right(new), for: .seconds(5))
        #expect(play.verifier.verdict == nil && play.kind(103) == .old)
    }

    @Test func whatTheMainProcessAnswersToItsControllersIsNotItsCode() {
        let control = ServiceListener(inode: 8, address: .tcp(address: "127.0.0.1", port: 9293))
        let chief = process(100, parent: 1, holds: [7, 8])
        var play = Play(
            [chief] + old, answers: old.map { ($0, .token(otherToken), main.address) } + [(chief, .accessDenied(status: 403), control.address)],
            listeners: [main, control])
        #expect(play.baseline?.workers == 2)
        play.look([chief] + new, answers: right(new) + [(chief, .accessDenied(status: 403), control.address)], for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    // MARK: Fronts

    @Test func whoHandsConnectionsOverIsNotWhoIsJudged() {
        func worker(_ pid: Int32, started: Int) -> ServiceProcess {
            process(pid, exec: UInt64(pid), started: started, holds: [], release: started > 1000 ? 2 : 1, command: "node")
        }
        let primary = process(100, parent: 1, exec: 50, command: "node") { $0.passesTo = [] }
        let before = [worker(101, started: 500), worker(102, started: 500)]
        let after = [worker(201, started: 1001), worker(202, started: 1001)]
        var play = Play([primary] + before, answers: before.map { ($0, .token(otherToken), main.address) })
        #expect(play.baseline?.workers == 2)
        play.look([primary, before[1], after[0]], answers: right([after[0]]), for: .seconds(2))
        #expect(play.account.state == .mixed)
        // Seen once as the one who answers, as when the handing over was missed.
        play.look([primary] + after, answers: right(after + [primary]), for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    private let inner = ServiceListener(inode: 8, address: .tcp(address: "127.0.0.1", port: 41233))

    @Test func aRouterIsJudgedByTheWorkersBehindIt() {
        let router = process(103, command: "uwsgi") { $0.passesTo = [8] }
        let chief = process(100, parent: 1, holds: [7, 8], command: "uwsgi")
        let before = [process(101, holds: [8], command: "uwsgi"), process(102, holds: [8], command: "uwsgi")]
        var play = Play([chief, router] + before, answers: [(router, .token(otherToken), main.address)], listeners: [main, inner])
        #expect(play.baseline?.workers == 2)
        // The router stays and the workers are replaced: what it answers is no token that is read anew.
        let asked = [
            process(201, started: 1001, holds: [8], release: 2, command: "uwsgi"),
            process(202, started: 1001, holds: [8], release: 2, command: "uwsgi"),
        ]
        play.look([chief, router] + asked, answers: right([router]), for: .seconds(1))
        #expect(play.account.state == .unproven && play.verifier.verdict == nil, "\(play.account.reasons)")
        play.look([chief, router] + asked, answers: right([router]) + right(asked, at: inner), for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    @Test func workersThatCannotBeAskedAreJudgedByWhatTheyAreAndByTheirRouter() {
        func all(_ exec: UInt64, _ started: Int, _ release: Int) -> [ServiceProcess] {
            [
                process(100, parent: 1, exec: exec, started: 500, holds: [7, 8], release: release, command: "uwsgi"),
                process(Int32(started), exec: exec, started: started, release: release, command: "uwsgi") { $0.passesTo = [8] },
                process(Int32(started) + 1, exec: exec, started: started, holds: [8], release: release, command: "uwsgi"),
            ]
        }
        let (before, after) = (all(1, 500, 1), all(2, 1001, 2))
        for (content, verdict) in [(WorkerAnswer.Content.token(token), Verdict?.some(.verified)), (.token(otherToken), nil)] {
            var play = Play(before, answers: [(before[1], .token(otherToken), main.address)], listeners: [main, inner])
            play.look(after, answers: [(after[1], content, main.address)], for: .seconds(4))
            #expect(play.verifier.verdict == verdict, "\(play.account.reasons)")
        }
    }

    // MARK: Contradictions

    struct Standing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var processes: [ServiceProcess]
        var links = [ReleaseLink(path: "/srv/app/current", target: folder(2))]
        var isBelieved: Bool
        var words = ""
    }

    private static func fresh(
        _ release: Int, file: String? = "/usr/bin/node", _ arguments: [String] = ["node", "main.js"], parent: Int32 = 1
    ) -> ServiceProcess {
        process(201, parent: parent, exec: 2, started: 1001, release: release, command: "node") {
            $0.program = RunningProgram(file: file, arguments: arguments)
        }
    }

    @Test(arguments: [
        Standing(testDescription: "in the new release", processes: [fresh(2)], isBelieved: true),
        Standing(testDescription: "started anew in the old release", processes: [fresh(1)], isBelieved: false, words: "stands in another release"),
        Standing(
            testDescription: "and the link leads there", processes: [fresh(1)], links: [ReleaseLink(path: "/srv/app/current", target: folder(1))],
            isBelieved: false, words: "/srv/app/current leads to another release"),
        Standing(
            testDescription: "below a main process that was started in the old release",
            processes: [process(100, parent: 1, command: "node"), fresh(1, parent: 100)], isBelieved: true),
        Standing(
            testDescription: "below it, and the link leads there", processes: [process(100, parent: 1, command: "node"), fresh(1, parent: 100)],
            links: [ReleaseLink(path: "/srv/app/current", target: folder(1))], isBelieved: false, words: "leads to another release"),
        Standing(
            testDescription: "a script of the old release", processes: [fresh(2, ["node", "/srv/app/releases/1/main.js"])], isBelieved: false,
            words: "executes /srv/app/releases/1/main.js"),
        Standing(
            testDescription: "a program of the old release", processes: [fresh(2, file: "/srv/app/releases/1/server", ["server"])], isBelieved: false,
            words: "executes /srv/app/releases/1/server"),
        Standing(
            testDescription: "a server's own launcher of the old release",
            processes: [fresh(2, file: "/usr/bin/ruby3.1", ["ruby", "/srv/app/releases/1/bin/puma", "-C", "/srv/app/releases/1/config/puma.rb"])],
            isBelieved: true),
        Standing(
            testDescription: "an interpreter of the old release", processes: [fresh(2, file: "/srv/app/releases/1/venv/bin/python3.11")],
            isBelieved: true),
        Standing(
            testDescription: "a script through the link", processes: [fresh(2, ["node", "/srv/app/current/main.js"])], isBelieved: true),
        Standing(
            testDescription: "a script of a neighbour that is no release", processes: [fresh(2, ["node", "/srv/app/releases/tools/main.js"])],
            isBelieved: true),
    ])
    func aRightAnswerFromTheWrongPlaceIsNotBelieved(standing: Standing) {
        let before = [process(100, parent: 1, command: "node"), process(101, exec: 8, command: "node")]
        var play = Play(before, answers: [(before[1], .token(otherToken), main.address)], release: release(links: standing.links))
        let worker = standing.processes.last!
        play.look(standing.processes, answers: right([worker]), for: .seconds(3))
        #expect((play.verifier.verdict == .verified) == standing.isBelieved, "\(play.account.reasons)")
        #expect(standing.words.isEmpty || play.says(standing.words), "\(play.account.reasons)")
    }

    @Test func theProcessAloneDoesNotOutweighItsProgramOrItsAnswer() {
        let before = [process(101, parent: 1, exec: 8, command: "node")]
        let check = DeployCheck(deploy: "d-0", evidence: .process)
        var script = Play(before, answers: [], check: check)
        let one = Self.fresh(2, ["node", "/srv/app/releases/1/main.js"])
        script.look([one], answers: [(one, .other(status: 200, bytes: 2), main.address)], for: .seconds(8))
        #expect(script.verifier.verdict == .newProcessOldCode && script.says("which is of another release"), "\(script.account.reasons)")
        var answer = Play(before, answers: [], check: check)
        let other = Self.fresh(2)
        answer.look([other], answers: [(other, .token(otherToken), main.address)], for: .seconds(8))
        #expect(answer.verifier.verdict == .newProcessOldCode, "\(answer.account.reasons)")
    }

    // MARK: Age

    @Test func withoutABaselineAWorkerMustBeYoungerThanItsToken() {
        for (age, verdict, words) in [
            (TokenAge.younger, Verdict?.some(.verified), ""), (.older, nil, "older than the token"), (.otherToken, nil, "older than the token"),
            (.unknown, nil, "verify-token prepare"),
        ] {
            var play = Play(nil)
            play.look([master] + new, answers: right(new), for: .milliseconds(200))
            #expect(Set(play.verifier.agesWanted) == Set(new.map(\.mark)))
            for mark in play.verifier.agesWanted { play.verifier.learn(age, of: mark) }
            play.look([master] + new, for: .seconds(3))
            #expect(play.verifier.verdict == verdict)
            #expect(words.isEmpty || play.says(words), "\(play.account.reasons)")
        }
    }

    @Test func whoComesWhileItIsCheckedIsYoungEnough() {
        var play = Play(nil)
        play.look([master] + old, answers: old.map { ($0, .token(otherToken), main.address) })
        play.look([master] + new, answers: right(new), for: .seconds(3))
        #expect(play.verifier.verdict == .verified)
    }

    // MARK: Draining

    private func drained(_ kept: [KeptConnection]) -> ServiceProcess {
        process(101, holds: []) {
            $0.kept = kept
            $0.connections = kept.count
        }
    }

    private func kept(_ received: Int, _ sent: Int) -> KeptConnection {
        KeptConnection(client: "127.0.0.1", clientProcess: "nginx, process 77", received: UInt64(received), sent: UInt64(sent), inode: 5)
    }

    @Test(arguments: [DeployCheck.Draining.warn, .wait(.seconds(2))]) func oldWorkersThatAnswerOnKeptConnectionsMakeItMixed(
        draining: DeployCheck.Draining
    ) {
        var play = Play(check: DeployCheck(deploy: "d-0", timeout: .seconds(10), draining: draining))
        play.look([master, drained([])] + new, answers: right(new), for: .seconds(12)) { process, turn in
            if process.mark.pid == 101 { process.kept = [self.kept(100 + 10 * (turn / 6), 1000 + 90 * (turn / 6))] }
        }
        #expect(play.verifier.verdict == .mixed)
        #expect(
            play.says("old worker 101 takes no new connections and still answers new requests on 1 kept connection from nginx, process 77"),
            "\(play.account.reasons)")
    }

    @Test func aDownloadIsNoNewRequest() {
        var play = Play()
        play.look([master, drained([])] + new, answers: right(new), for: .seconds(5)) { process, turn in
            if process.mark.pid == 101 { process.kept = [self.kept(100, 1000 * turn)] }
        }
        #expect(play.verifier.verdict == .verified)
        #expect(play.says("old worker 101 accepts nothing any more"))
    }

    @Test func keptConnectionsOverWhichNothingComesAreWaitedForAMoment() {
        var play = Play()
        play.look([master, drained([kept(100, 1000)])] + new, answers: right(new), for: .seconds(2))
        #expect(play.verifier.verdict == nil)
        play.look([master, drained([kept(100, 1000)])] + new, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
        // One that closes them does not hold it up.
        var other = Play()
        other.look([master, drained([])] + new, answers: right(new), for: .seconds(1.5))
        #expect(other.verifier.verdict == .verified)
    }

    // MARK: Numbers

    @Test func aServerThatScalesIsNotExpectedToHaveTheNumberOfBefore() {
        let chief = process(100, parent: 1, exec: 1, command: "php-fpm8.2")
        let before = (101...105).map { process(Int32($0), command: "php-fpm8.2") }
        var play = Play([chief] + before, answers: before.map { ($0, .token(otherToken), main.address) })
        #expect(play.baseline?.workers == 5)
        let again = process(100, parent: 1, exec: 2, release: 2, command: "php-fpm8.2")
        let after = (201...202).map { process(Int32($0), exec: 2, started: 1001, release: 2, command: "php-fpm8.2") }
        play.look([again] + after, answers: right(after), for: .seconds(3))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }

    @Test func workersThatEndAfterTheirRequestsAreNoCrashLoop() {
        var play = Play()
        for pid in Int32(300)..<308 {
            let worker = process(pid, started: 1001 + Int(pid - 300), release: 2)
            play.look([master, worker], answers: right([worker]), for: .milliseconds(500))
            play.verifier.observe(ProcessIncident(pid: pid, what: .exit(status: 0), at: play.now))
        }
        #expect(play.account.state != .crashLoop)
        play.look([master] + new, answers: right(new), for: .seconds(2))
        #expect(play.verifier.verdict == .verified, "\(play.account.reasons)")
    }
}
