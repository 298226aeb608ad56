// What each row of evidence means, one by one.

import AgentAPI
import DeployVerification
import Platform
import Testing

private let token = "9b2f91ea9b2f91ea9b2f91ea9b2f91ea"
private let otherToken = "11c011c011c011c011c011c011c011c0"
private let releases = FolderMark(device: 1, inode: 50)
private let newRelease = ReleaseFolder(path: "/srv/app/releases/2", mark: FolderMark(device: 1, inode: 102), parent: releases)

/// A process as a look shows it; times are seconds since boot.
private func process(
    _ pid: Int32, parent: Int32 = 100, exec: UInt64? = 1, started: Int = 500, holds: Set<UInt64>? = [7], release: Int? = 1, isDeleted: Bool = false,
    isForeign: Bool = false, command: String = "ruby", connections: Int = 0, state: String = "S"
) -> ServiceProcess {
    ServiceProcess(
        mark: ProcessMark(pid: pid, startTicks: UInt64(started) * 100, generation: exec.map { .vector(random: $0, sysinfo: 1) } ?? .unknown),
        parent: parent, command: command, state: Array(state.utf8)[0], listeners: holds, isForeign: isForeign,
        folder: release.map { FolderMark(device: 1, inode: UInt64(100 + $0)) }, folderPath: release.map { "/srv/app/releases/\($0)" },
        isFolderDeleted: isDeleted, parentFolder: release == nil || release == 9 ? nil : releases, connections: connections)
}

private let master = process(100, parent: 1)
private let oldWorkers = [process(101), process(102)]

/// Plays looks and answers at will; one look every 50 ms.
private struct Play {
    var verifier: HostVerifier
    var now = Duration.seconds(1000)
    var listeners = [ServiceListener(inode: 7, address: .tcp(address: "127.0.0.1", port: 8080))]

    init(
        _ before: [ServiceProcess]? = [master] + oldWorkers, answers: [(ServiceProcess, WorkerAnswer.Content)]? = nil, check: DeployCheck? = nil,
        release: NamedRelease? = .seen(newRelease), listeners: [ServiceListener]? = nil
    ) {
        if let listeners { self.listeners = listeners }
        var baseline: Baseline?
        if let before {
            let given = answers ?? oldWorkers.map { ($0, .token(otherToken)) }
            baseline = Baseline(
                ServiceLook(at: .seconds(999), listeners: self.listeners, processes: before),
                answers: given.map { WorkerAnswer(mark: $0.0.mark, content: $0.1, took: .milliseconds(1), at: .seconds(998)) }, token: token,
                boot: "b")
        }
        let start = Moment(wall: Timestamp(seconds: 1_800_000_000), uptime: .seconds(1000))
        verifier = HostVerifier(
            service: "web", host: "app-1", deploy: "d-0", token: token, baseline: baseline, release: release, start: start)
        verifier.begin(check ?? DeployCheck(deploy: "d-0"), at: start)
    }

    var moment: Moment { Moment(wall: Timestamp(seconds: 1_800_000_000) + (now - .seconds(1000)), uptime: now) }

    /// Looks for so long; the workers that answer do so at the beginning.
    mutating func look(
        _ processes: [ServiceProcess], answers: [(ServiceProcess, WorkerAnswer.Content)] = [], for time: Duration = .milliseconds(100),
        listeners: [ServiceListener]? = nil
    ) {
        let end = now + time
        var answers = answers
        while now < end, verifier.verdict == nil {
            now += .milliseconds(50)
            verifier.observe(ServiceLook(at: now, listeners: listeners ?? self.listeners, processes: processes), mainProcess: nil)
            verifier.conclude(at: moment)
            for (process, content) in answers {
                verifier.observe(WorkerAnswer(mark: process.mark, content: content, took: .milliseconds(1), at: now + .milliseconds(1)))
            }
            answers = []
        }
    }

    mutating func happens(_ pid: Int32, _ what: ProcessIncident.What) { verifier.observe(ProcessIncident(pid: pid, what: what, at: now)) }

    var account: HostDeploy { verifier.account(at: moment) }
    func kind(_ pid: Int32) -> HostDeploy.Class? { account.processes.first { $0.pid == pid }?.class }
}

private let new = [process(201, started: 1001, release: 2), process(202, started: 1001, release: 2)]

@Suite struct HostVerifierTests {
    @Test func whatWasRightBeforeTheCheckNeedsNotSettleAgain() {
        var play = Play(check: DeployCheck(deploy: "d-0", settle: .seconds(10)))
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        #expect(play.verifier.verdict == nil)
        play.now += .milliseconds(10)
        play.verifier.begin(DeployCheck(deploy: "d-0", settle: .seconds(1)), at: play.moment)
        // What was seen before the check is no look of its own.
        play.verifier.conclude(at: play.moment)
        #expect(play.verifier.verdict == nil)
        play.look([master] + new, for: .milliseconds(50))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func whatOneWorkerLostBeforeTheCheckMustSettleAgain() {
        var play = Play(check: DeployCheck(deploy: "d-0", settle: .seconds(10)))
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        play.verifier.begin(DeployCheck(deploy: "d-0", settle: .seconds(1)), at: play.moment)
        let third = process(203, started: 1002, release: 2)
        play.look([master, new[0], third], answers: [(third, .token(token))], for: .milliseconds(900))
        #expect(play.verifier.verdict == nil)
        play.look([master, new[0], third], for: .seconds(3))
        #expect(play.verifier.verdict == .verified)
    }

    /// A release that never reached this host is named on all: what was started anew there runs whatever `current` still leads to.
    @Test(arguments: ["ruby", "nginx"]) func aReleaseThatCannotBeSeenProvesNothingOfProcesses(command: String) {
        let before = [process(100, parent: 1, command: command), process(101, command: command)]
        let after = [
            process(100, parent: 1, exec: 2, started: 1001, command: command), process(201, exec: 2, started: 1001, release: 1, command: command),
        ]
        let problem = "there is no folder /srv/app/releases/2 on this host"
        var play = Play(
            before, answers: [], check: DeployCheck(deploy: "d-0", evidence: .process, timeout: .seconds(5)), release: .unseen(problem))
        play.look(after, answers: [(after[1], .other(status: 200, bytes: 5))], for: .seconds(10))
        // nginx stands anywhere, whatever is deployed.
        #expect(play.verifier.verdict == (command == "nginx" ? .verified : .unproven))
        #expect(command == "nginx" || play.account.reasons.contains { $0.contains(problem) }, "\(play.account.reasons)")
    }

    // MARK: Classes

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var process: ServiceProcess
        var answer: WorkerAnswer.Content?
        var kind: HostDeploy.Class
        var reason: String?
        var evidence = DeployCheck.EvidenceKind.http
        var hasNoPreload = false
        var words = ""
    }

    @Test(arguments: [
        Row(testDescription: "in the baseline, silent", process: oldWorkers[0], kind: .old, words: "has run since before the deploy"),
        Row(testDescription: "in the baseline, another token", process: oldWorkers[0], answer: .token(otherToken), kind: .old),
        Row(testDescription: "in the baseline, the token", process: oldWorkers[0], answer: .token(token), kind: .dynamic, words: "on every request"),
        Row(testDescription: "exec'ed in place, the token", process: process(101, exec: 2, release: 2), answer: .token(token), kind: .new),
        Row(
            testDescription: "exec'ed in place, no answer", process: process(101, exec: 2, release: 2), kind: .unknown, words: "answered nothing yet"),
        Row(testDescription: "a pid used again", process: process(101, started: 1001, release: 2), answer: .token(token), kind: .new),
        Row(testDescription: "forked, the token", process: new[0], answer: .token(token), kind: .new),
        Row(
            testDescription: "forked from preloaded code", process: new[0], answer: .token(otherToken), kind: .oldCode, reason: "preload",
            words: "has loaded its code before the deploy"),
        Row(
            testDescription: "in the old release", process: process(201, started: 1001, release: 1, command: "puma"), answer: .token(otherToken),
            kind: .oldCode, reason: "wrong-directory", words: "`directory` in Puma's configuration"),
        Row(
            testDescription: "in another old release, with unicorn", process: process(201, exec: 2, started: 1001, release: 3, command: "unicorn"),
            answer: .token(otherToken), kind: .oldCode, reason: "wrong-directory", words: "`working_directory` in Unicorn's"),
        Row(
            testDescription: "with gunicorn", process: process(201, exec: 2, started: 1001, release: 3, command: "gunicorn"),
            answer: .token(otherToken), kind: .oldCode, reason: "wrong-directory", words: "`chdir` in gunicorn's"),
        Row(
            testDescription: "in a deleted folder", process: process(201, started: 1001, release: 4, isDeleted: true), answer: .token(otherToken),
            kind: .oldCode, reason: "wrong-directory", words: "was deleted"),
        Row(
            testDescription: "without a token", process: new[0], answer: .other(status: 200, bytes: 4), kind: .oldCode, reason: "token-missing",
            words: "status 200 with 4 bytes"),
        Row(
            testDescription: "not routed", process: new[0], answer: .other(status: 404, bytes: 900), kind: .unknown,
            words: "does the release have the endpoint"),
        Row(
            testDescription: "in the old release, not routed", process: process(201, started: 1001, release: 1, command: "puma"),
            answer: .other(status: 404, bytes: 9), kind: .oldCode, reason: "wrong-directory"),
        Row(
            testDescription: "it wants https", process: new[0],
            answer: .other(OtherAnswer(status: 301, bytes: 0, location: "https://app.example.com/about/deploy", way: AskingWay(host: "127.0.0.1"))),
            kind: .unknown, words: "status 301 to https://app.example.com/about/deploy (asked: Host 127.0.0.1); it wants to be asked over https"),
        Row(testDescription: "it refuses the host", process: new[0], answer: .other(status: 400, bytes: 9), kind: .unknown, words: "deploy_host"),
        Row(testDescription: "it limits requests", process: new[0], answer: .other(status: 429, bytes: 9), kind: .unknown, words: "rollcall-agent"),
        Row(
            testDescription: "a login page", process: new[0], answer: .other(OtherAnswer(status: 200, bytes: 5000, isPage: true)), kind: .unknown,
            words: "a page of HTML (status 200, 5000 bytes)"),
        Row(
            testDescription: "more than is read", process: new[0], answer: .other(OtherAnswer(status: 200, bytes: 16384, isLonger: true)),
            kind: .unknown, words: "more than 16 KiB"),
        Row(
            testDescription: "the token with something around it", process: new[0],
            answer: .other(OtherAnswer(status: 200, bytes: 60, isPage: true, tokens: [otherToken, token])), kind: .unknown,
            words: "holds the token with something around it"),
        Row(
            testDescription: "an old worker has the token in its page", process: oldWorkers[0],
            answer: .other(OtherAnswer(status: 200, bytes: 60, tokens: [token])), kind: .dynamic),
        Row(testDescription: "in capitals", process: new[0], answer: .token(token.uppercased()), kind: .new),
        Row(testDescription: "it fails", process: new[0], answer: .other(status: 500, bytes: 9), kind: .unknown, words: "status 500"),
        Row(testDescription: "access denied", process: new[0], answer: .accessDenied(status: 401), kind: .unknown, words: "denies access"),
        Row(testDescription: "it takes and says nothing", process: new[0], answer: .silence, kind: .unknown, words: "does not answer"),
        Row(
            testDescription: "exec'ed anew in the new release, and yet another token", process: process(201, exec: 2, started: 1001, release: 2),
            answer: .token(otherToken), kind: .oldCode, words: "though it was started after"),
        Row(
            testDescription: "nobody knows which program it runs", process: process(101, exec: nil), answer: .token(token), kind: .unknown,
            words: "may not be read"),
        Row(testDescription: "older than the deploy, and not in the baseline", process: process(300), answer: .token(token), kind: .unknown),
        // By processes alone
        Row(testDescription: "the same", process: oldWorkers[0], kind: .old, evidence: .process),
        Row(
            testDescription: "exec'ed in the new release, serves", process: process(201, exec: 2, started: 1001, release: 2),
            answer: .other(status: 200, bytes: 5), kind: .new, evidence: .process),
        Row(
            testDescription: "exec'ed in the new release, not ready", process: process(201, exec: 2, started: 1001, release: 2), kind: .unknown,
            evidence: .process, words: "answered no request yet"),
        Row(
            testDescription: "exec'ed in the new release, fails", process: process(201, exec: 2, started: 1001, release: 2),
            answer: .other(status: 502, bytes: 5), kind: .unknown, evidence: .process),
        Row(
            testDescription: "only forked", process: new[0], answer: .other(status: 200, bytes: 5), kind: .unknown, evidence: .process,
            words: "only forked"),
        Row(
            testDescription: "only forked, and nothing is preloaded", process: new[0], answer: .other(status: 200, bytes: 5), kind: .new,
            evidence: .process, hasNoPreload: true),
        Row(
            testDescription: "exec'ed in a sibling", process: process(201, exec: 2, started: 1001, release: 1), answer: .other(status: 200, bytes: 5),
            kind: .oldCode, reason: "wrong-directory", evidence: .process),
        Row(
            testDescription: "exec'ed elsewhere", process: process(201, exec: 2, started: 1001, release: 9), answer: .other(status: 200, bytes: 5),
            kind: .unknown, evidence: .process, words: "neither in the new release"),
        Row(
            testDescription: "nginx forks after it has read its configuration again",
            process: process(201, started: 1001, release: 1, command: "nginx"),
            answer: .other(status: 200, bytes: 5), kind: .new, evidence: .process),
        Row(
            testDescription: "no exec evidence", process: process(201, exec: nil, started: 1001, release: 2), answer: .other(status: 200, bytes: 5),
            kind: .unknown, evidence: .process),
    ])
    func aWorkerIsWhatItsEvidenceSays(row: Row) {
        var play = Play(check: DeployCheck(deploy: "d-0", evidence: row.evidence, hasNoPreload: row.hasNoPreload))
        play.look([master, row.process], answers: row.answer.map { [(row.process, $0)] } ?? [])
        #expect(play.kind(row.process.mark.pid) == row.kind)
        #expect(play.account.processes.first { $0.pid == row.process.mark.pid }?.reason == row.reason)
        #expect(row.words.isEmpty || play.account.reasons.contains { $0.contains(row.words) }, "\(play.account.reasons)")
    }

    @Test func anAnswerOfAProgramThatIsGoneByNowCountsForNothing() {
        var play = Play()
        // Asked as the old program, answered by the new one: the next look shows the new program under the same pid.
        play.look([master] + oldWorkers)
        play.verifier.observe(WorkerAnswer(mark: oldWorkers[0].mark, content: .token(token), took: .zero, at: play.now + .milliseconds(1)))
        play.look([master, process(101, exec: 2, release: 2), oldWorkers[1]])
        #expect(play.verifier.verdict == nil)
        #expect(play.kind(101) == .unknown)
    }

    @Test func whoChangesItsTokenWithoutARestartReadsItOnEveryRequest() {
        var play = Play()
        play.look([master] + new, answers: [(new[0], .token(otherToken))])
        play.look([master] + new, answers: [(new[0], .token(token))])
        #expect(play.verifier.verdict == .dynamicToken)
    }

    @Test(arguments: [WorkerAnswer.Content.other(status: 429, bytes: 9), .other(status: 503, bytes: 0), .accessDenied(status: 401)])
    func aRightAnswerIsNotTakenBackByARefusal(refusal: WorkerAnswer.Content) {
        var play = Play()
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .milliseconds(200))
        play.look([master] + new, answers: new.map { ($0, refusal) }, for: .seconds(3))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func workersThatOnlyRefuseTheQuestionProveNothing() {
        var play = Play(check: DeployCheck(deploy: "d-0", timeout: .seconds(8)))
        for _ in 0..<9 { play.look([master] + new, answers: new.map { ($0, .other(status: 403, bytes: 9)) }, for: .seconds(1)) }
        #expect(play.verifier.verdict == .unproven)
    }

    @Test func anExecThatTheKernelToldOfCountsWhereAddressesAreNotRandom() {
        var play = Play()
        play.happens(101, .exec)
        play.look([master] + oldWorkers, answers: [(oldWorkers[0], .token(token))])
        #expect(play.kind(101) == .new)
    }

    // MARK: Verdicts

    @Test func allNewAndSettledIsVerified() {
        var play = Play()
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .milliseconds(900))
        #expect(play.verifier.verdict == nil)
        #expect(play.account.state == .inProgress)
        play.look([master] + new, for: .seconds(1))
        #expect(play.verifier.verdict == .verified)
        #expect(play.account.isFinal && play.account.count(.new) == 2)
    }

    @Test func everyChangeOfTheSetBeginsTheSettleTimeAnew() {
        var play = Play()
        var all = new
        play.look([master] + all, answers: all.map { ($0, .token(token)) }, for: .milliseconds(800))
        for pid in Int32(203)..<208 {
            let another = process(pid, started: 1002, release: 2)
            all.append(another)
            play.look([master] + all, answers: [(another, .token(token))], for: .milliseconds(800))
        }
        #expect(play.verifier.verdict == nil)
        play.look([master] + all, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var processes: [ServiceProcess]
        var answers: [(ServiceProcess, WorkerAnswer.Content)] = []
        var verdict: Verdict
        var before = [master] + oldWorkers
        var seconds: ClosedRange<Int> = 60...61
        var check = DeployCheck(deploy: "d-0")
    }

    @Test(arguments: [
        Ending(testDescription: "only old", processes: [master] + oldWorkers, verdict: .stale),
        Ending(
            testDescription: "old and new", processes: [master, oldWorkers[0], new[0]], answers: [(new[0], .token(token))], verdict: .mixed),
        Ending(
            testDescription: "new and booting", processes: [master] + new, answers: [(new[0], .token(token))], verdict: .mixed),
        Ending(
            testDescription: "new and old code", processes: [master] + new, answers: [(new[0], .token(token)), (new[1], .token(otherToken))],
            verdict: .mixed),
        Ending(testDescription: "old, and one that boots for ever", processes: [master] + oldWorkers + [new[0]], verdict: .stale),
        Ending(testDescription: "nobody answers", processes: [master] + new, verdict: .unproven),
        Ending(
            testDescription: "all old code, known before the time is over", processes: [master] + new,
            answers: new.map { ($0, .token(otherToken)) }, verdict: .newProcessOldCode, seconds: 5...6),
        Ending(
            testDescription: "old code, and told to wait", processes: [master] + new, answers: new.map { ($0, .token(otherToken)) },
            verdict: .newProcessOldCode, check: DeployCheck(deploy: "d-0", failsFast: false)),
        Ending(
            testDescription: "too few", processes: [master, new[0]], answers: [(new[0], .token(token))], verdict: .inProgress),
        Ending(
            testDescription: "as few as were expected", processes: [master, new[0]], answers: [(new[0], .token(token))], verdict: .verified,
            seconds: 0...2, check: DeployCheck(deploy: "d-0", expectedWorkers: 1)),
        Ending(testDescription: "the master alone", processes: [master], verdict: .down, seconds: 5...6),
        Ending(testDescription: "nothing", processes: [], verdict: .down, seconds: 5...6),
        Ending(
            testDescription: "nothing yet, and something boots", processes: [process(300, parent: 1, exec: 5, started: 1001, holds: [])],
            verdict: .down),
        Ending(
            testDescription: "one in whose files nobody may look", processes: [master] + new + [process(203, started: 1001, holds: nil)],
            answers: new.map { ($0, .token(token)) }, verdict: .unproven),
        Ending(
            testDescription: "a worker that is a zombie is none", processes: [master] + new + [process(101, state: "Z")],
            answers: new.map { ($0, .token(token)) }, verdict: .verified, seconds: 0...2),
        Ending(
            testDescription: "an old worker that made children with the listener is a worker still",
            processes: [master] + new + [oldWorkers[0], process(400, parent: 101, exec: 9, started: 1001)],
            answers: new.map { ($0, .token(token)) }, verdict: .mixed),
        Ending(
            testDescription: "one process alone", processes: [process(50, parent: 1, exec: 3, started: 1001, release: 2)],
            answers: [(process(50, parent: 1, exec: 3, started: 1001, release: 2), .token(token))], verdict: .verified,
            before: [process(49, parent: 1)], seconds: 0...2),
        Ending(
            testDescription: "an activation holder alone", processes: [process(1, parent: 0, exec: 77, started: 0, isForeign: true)], verdict: .down,
            before: [process(1, parent: 0, exec: 77, started: 0, isForeign: true)] + oldWorkers, seconds: 5...6),
    ])
    func aDeployEndsAsItShould(ending: Ending) {
        var play = Play(ending.before, check: ending.check)
        play.look(ending.processes, answers: ending.answers, for: .seconds(70))
        #expect(play.verifier.verdict == ending.verdict, "\(play.account.reasons)")
        let took = (play.now - .seconds(1000)).components.seconds
        #expect(ending.seconds.contains(Int(took)), "\(took) s")
        #expect(ending.verdict == .verified || !play.account.reasons.isEmpty)
    }

    @Test func deniedAccessIsKnownAfterThreeTriesAndFiveSeconds() {
        var play = Play()
        for _ in 0..<8 { play.look([master] + new, answers: new.map { ($0, .accessDenied(status: 401)) }, for: .seconds(1)) }
        #expect(play.verifier.verdict == .unreachable)
        #expect((5...7).contains((play.now - .seconds(1000)).components.seconds))
    }

    @Test func anOldReleaseWithAnotherPasswordIsNoReasonToGiveUp() {
        var play = Play()
        for _ in 0..<8 { play.look([master] + oldWorkers, answers: oldWorkers.map { ($0, .accessDenied(status: 401)) }, for: .seconds(1)) }
        #expect(play.verifier.verdict == nil)
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aNewMasterThatFailedBesideTheOldOneIsKnownSoon() {
        var play = Play()
        let fresh = process(300, exec: 2, started: 1000, release: 2)
        play.look([master] + oldWorkers + [fresh], for: .seconds(1))
        play.happens(300, .exit(status: 1 << 8))
        play.look([master] + oldWorkers, for: .seconds(10))
        #expect(play.verifier.verdict == .stale)
        #expect((Duration.milliseconds(2250)...(.milliseconds(2400))).contains(play.now - .seconds(1000)))
        #expect(play.account.reasons.first?.contains("process 300) ended with exit status 1") == true, "\(play.account.reasons)")
    }

    @Test func whatFailedAloneMayBeStartedAgainASecondLater() {
        var play = Play()
        for (pid, exec) in [(Int32(300), UInt64(2)), (310, 3)] {
            play.look([process(pid, exec: exec, started: 1000, release: 2)], for: .milliseconds(300))
            play.happens(pid, .exit(status: 1 << 8))
            play.look([], for: .milliseconds(1200))
            #expect(play.verifier.verdict == nil)
        }
        play.look([], for: .seconds(1))
        #expect(play.verifier.verdict == .down)
        #expect(play.account.reasons.first?.contains("process 310) ended with exit status 1") == true, "\(play.account.reasons)")
    }

    @Test func aProgramThatEndsWithSuccessHasNotFailed() {
        var play = Play()
        play.look([master] + oldWorkers + [process(300, exec: 2, started: 1000, release: 2)], for: .seconds(1))
        play.happens(300, .exit(status: 0))
        play.look([master] + oldWorkers, for: .seconds(10))
        #expect(play.verifier.verdict == nil)
    }

    @Test func workersThatSomebodyEndsOnceAreNoCrashLoop() {
        var play = Play()
        let first = (0..<4).map { process(Int32(300 + $0), started: 1001, release: 2) }
        let second = (0..<4).map { process(Int32(310 + $0), started: 1003, release: 2) }
        play.look([master] + first, for: .seconds(2))
        play.look([master] + second, for: .seconds(4))
        #expect(play.verifier.verdict == nil)
        play.look([master] + second, answers: second.map { ($0, .token(token)) }, for: .seconds(8))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func helpersThatComeAndGoAreNoCrashLoop() {
        var play = Play()
        for pid in 0..<40 {
            play.happens(Int32(500 + pid), .fork(parent: 100))
            play.happens(Int32(500 + pid), .exec)
            play.look([master] + new, for: .milliseconds(100))
            play.happens(Int32(500 + pid), .exit(status: 1 << 8))
        }
        #expect(play.verifier.verdict == nil)
        #expect(play.account.state != .crashLoop)
    }

    @Test func drainingWorkersAreWarnedOfOrWaitedFor() {
        let drained = process(101, holds: [], connections: 1)
        for (draining, verdict) in [(DeployCheck.Draining.ignore, Verdict?.some(.verified)), (.warn, .verified), (.wait(.seconds(30)), nil)] {
            var play = Play(check: DeployCheck(deploy: "d-0", draining: draining))
            play.look([master] + new + [drained], answers: new.map { ($0, .token(token)) }, for: .seconds(3))
            #expect(play.verifier.verdict == verdict)
            #expect(play.account.count(.draining) == 1)
            #expect(play.account.reasons.contains { $0.contains("old worker 101 accepts nothing") } == (draining != .ignore))
            play.look([master] + new, for: .seconds(1))
            #expect(play.verifier.verdict == .verified)
        }
        var play = Play(check: DeployCheck(deploy: "d-0", draining: .wait(.seconds(5))))
        play.look([master] + new + [drained], answers: new.map { ($0, .token(token)) }, for: .seconds(8))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func limitsThatAreExceededAreAVerdict() {
        for (failed, limits, verdict) in [
            (1, AvailabilityLimits(), Verdict.limitsExceeded), (0, AvailabilityLimits(), .verified),
            (1, AvailabilityLimits(failed: .share(0.01)), .verified), (0, AvailabilityLimits(stall: .milliseconds(500)), .limitsExceeded),
        ] {
            var play = Play(check: DeployCheck(deploy: "d-0", limits: limits))
            play.verifier.observe(Availability(requests: 1000, failed: failed, longestStall: .milliseconds(600)))
            play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
            #expect(play.verifier.verdict == verdict)
        }
    }

    @Test func theWatchCatchesWorkersThatAreReplacedByOldOnes() {
        var play = Play(check: DeployCheck(deploy: "d-0", watch: .seconds(10)))
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(8))
        #expect(play.verifier.verdict == nil)
        let back = process(303, started: 1008, release: 1)
        play.look([master, new[0], back], answers: [(back, .token(otherToken))], for: .seconds(60))
        #expect(play.verifier.verdict == .mixed)
    }

    @Test func aStuckWorkerIsNamedWithWhatItDoes() {
        var play = Play()
        let busy = process(101, connections: 1)
        play.look([master] + new + [busy], answers: new.map { ($0, .token(token)) }, for: .seconds(7.4))
        #expect(
            play.account.reasons.first == "worker 101 has run since before the deploy and still holds the listener (1 request in flight, 7.4 s)",
            "\(play.account.reasons)")
        #expect(
            play.account.progressLine(left: .seconds(31)) == "app-1  MIXED  2/3 workers new; 101 old, busy 7.4 s (1 request in flight); 31 s left")
    }

    @Test func aPageOfNumbersOnAnotherPortIsNoWorker() {
        let listeners = [
            ServiceListener(inode: 7, address: .tcp(address: "127.0.0.1", port: 8080)),
            ServiceListener(inode: 8, address: .tcp(address: "127.0.0.1", port: 9394)),
        ]
        let page = process(90, parent: 1, exec: 4, holds: [8])
        var play = Play(
            [master, page] + oldWorkers, answers: [(oldWorkers[0], .token(otherToken)), (page, .other(status: 200, bytes: 5000))],
            listeners: listeners)
        play.look([master, page] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func whoIsLeftOverFromAnEarlierDeployIsNotExpectedAgain() {
        let leftOver = process(90, parent: 1, exec: 6, started: 100, connections: 1)
        var play = Play([master, leftOver] + oldWorkers)
        #expect(play.verifier.baseline?.workers == 2)
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aSocketForEachWorkerIsOneServiceStill() {
        let listeners = [7, 8, 9].map { ServiceListener(inode: $0, address: .tcp(address: "127.0.0.1", port: 8080)) }
        let before = [process(101, parent: 1, holds: [7]), process(102, parent: 1, holds: [8])]
        let after = [
            process(201, parent: 1, exec: 3, started: 1001, holds: [8], release: 2),
            process(202, parent: 1, exec: 4, started: 1001, holds: [9], release: 2),
        ]
        var play = Play(before, listeners: listeners)
        play.look([before[0]] + after, answers: after.map { ($0, .token(token)) }, for: .seconds(3))
        #expect(play.account.state == .mixed)
        play.look(after, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aZombieThatNobodyReapsIsNamed() {
        var play = Play()
        play.look([master] + oldWorkers + [process(150, parent: 1, state: "Z")], for: .seconds(8))
        #expect(play.account.reasons.contains { $0.contains("process 150 has ended and process 1, its parent, takes no notice") })
    }

    @Test func whatBootsAndDoesNotListenYetIsNotVerifiedByItsProcessesAlone() {
        let fresh = process(71, parent: 1, exec: 8, started: 1001, holds: [], release: 2)
        var play = Play([], answers: [], check: DeployCheck(deploy: "d-0", evidence: .process), listeners: [])
        play.look([fresh], for: .seconds(10))
        #expect(play.verifier.verdict == nil)
        let listening = process(71, parent: 1, exec: 8, started: 1001, release: 2)
        play.look(
            [listening], answers: [(listening, .other(status: 200, bytes: 9))], for: .seconds(3),
            listeners: [ServiceListener(inode: 7, address: .tcp(address: "127.0.0.1", port: 8080))])
        #expect(play.verifier.verdict == .verified)
    }

    @Test func whoHandsConnectionsOverIsNotWhoIsJudged() {
        let primary = process(60, parent: 1, exec: 5, started: 1001, release: 2, command: "node")
        let hands = [61, 62].map { process(Int32($0), parent: 60, exec: UInt64($0), started: 1001, holds: [], release: 2, command: "node") }
        var play = Play([process(49, parent: 1)], answers: [])
        play.look([primary] + hands, answers: [(hands[0], .token(token)), (primary, .token(token))], for: .seconds(3))
        // The second one has shown nothing yet.
        #expect(play.verifier.verdict == nil)
        play.look([primary] + hands, answers: [(hands[1], .token(token))], for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aMasterThatHadNoWorkersYetIsNone() {
        var play = Play([master], answers: [])
        play.look([master] + new, answers: [(new[0], .token(token))])
        #expect(play.verifier.verdict == nil)
        play.look([master] + new, answers: [(new[1], .token(token))], for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
        // One that answered is a worker, whatever it forks.
        var busy = Play([master], answers: [(master, .token(otherToken))])
        busy.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(3))
        #expect(busy.account.state == .mixed)
    }

    @Test func withoutABaselineAnswersDecide() {
        var play = Play(nil)
        play.look([master] + oldWorkers, answers: oldWorkers.map { ($0, .token(otherToken)) })
        #expect(play.account.state == .stale)
        #expect(!play.account.hasBaseline && play.account.lacks.contains { $0.contains("no baseline") })
        play.look([master] + new, answers: new.map { ($0, .token(token)) }, for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
    }

    @Test func aServiceWithoutListenerIsJudgedByItsProcesses() {
        let before = process(70, parent: 1, holds: [], command: "sidekiq")
        var play = Play([before], answers: [], check: DeployCheck(deploy: "d-0", evidence: .process), listeners: [])
        play.verifier.asks = false
        play.look([before])
        #expect(play.account.state == .stale)
        let after = process(71, parent: 1, exec: 8, started: 1001, holds: [], release: 2, command: "sidekiq")
        play.look([after, process(72, parent: 71, exec: 9, started: 1002, holds: [], release: 2, command: "git")], for: .seconds(2))
        #expect(play.verifier.verdict == .verified)
        #expect(play.account.lacks.contains { $0.contains("no listener") })
    }

    // MARK: What next

    @Test func itAsksOftenWhileAnswersAreMissingAndSeldomLater() {
        var play = Play()
        play.look([master] + new)
        var step = play.verifier.next(at: play.now)
        #expect(Set(step.ask) == Set(new.map(\.mark)))
        play.verifier.asked(unaccepted: 2, refused: 0, at: play.now)
        step = play.verifier.next(at: play.now)
        #expect(step.ask.isEmpty && step.wait <= .milliseconds(20))
        play.look([master] + new, for: .seconds(25))
        play.verifier.asked(unaccepted: 2, refused: 0, at: play.now)
        #expect(play.verifier.next(at: play.now).wait > .milliseconds(50))
        play.look([master] + new, answers: new.map { ($0, .token(token)) })
        #expect(play.verifier.next(at: play.now).ask.isEmpty)
    }
}
