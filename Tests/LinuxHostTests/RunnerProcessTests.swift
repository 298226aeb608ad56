import AgentAPI
import AgentCore
import Foundation
import Logging
import Platform
import Synchronization
import Testing

@testable import LinuxHost

/// Writes down what a runner says.
private final class Hearer: RunnerObserver, Sendable {
    private let said = Mutex<[String]>([])
    /// Of the process itself, and what ended them.
    let failures = Mutex<[String]>([])
    var lines: [String] { said.withLock { $0 } }

    func measured(_ values: [String: Double], by source: String) {
        say("\(source) \(values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })")
    }
    func sourceFailed(_ source: String, why: String) { say("\(source) failed: \(why)") }
    func delivered(_ alert: UInt64) { say("delivered \(alert)") }
    func undelivered(_ alert: UInt64, why: String, mayRetry: Bool) { say("undelivered \(alert) \(mayRetry ? "for now" : "for good"): \(why)") }
    func runnerFailed(_ why: String) { failures.withLock { $0.append(why) } }
    func runnerRecovered() { failures.withLock { $0.append("recovered") } }
    private func say(_ line: String) { said.withLock { $0.append(line) } }

    func count(_ text: String) -> Int { lines.count { $0.contains(text) } }
}

/// A supervisor over a script that stands for `rollcall-runner`.
private final class RunnerBed {
    let folder = Folder()
    let on: OnLoop
    let hearer = Hearer()
    let runner: RunnerProcess
    /// Where the script writes its process id at each start.
    var pids: [Int32] {
        ((try? String(contentsOfFile: folder.path + "/pids", encoding: .utf8)) ?? "").split(separator: "\n").compactMap { Int32($0) }
    }

    static let work = RunnerWork(
        interval: .seconds(1), sources: [DaemonSource(id: "s", family: "redis", parameters: ["password": "hush"], metrics: ["a"])],
        channels: [AlertChannel(route: nil, kind: "email", parameters: [:])])

    /// - Parameter script: `read` lines are orders, what it prints are answers.
    init(_ script: String, patience: RunnerProcess.Patience = Patience.short) throws {
        let on = try OnLoop()
        self.on = on
        let path = folder.path + "/runner"
        try folder.write("#!/bin/bash\necho $$ >> '\(folder.path)/pids'\n\(script)\n", to: "runner")
        chmod(path, 0o755)
        runner = try on.run { RunnerProcess(loop: on.loop, program: path, patience: patience, logger: quiet) }
        try on.run { [runner, hearer] in runner.start(observer: hearer) }
    }

    enum Patience {
        static var short: RunnerProcess.Patience {
            RunnerProcess.Patience(
                firstPause: .milliseconds(20), longestPause: .milliseconds(100), silence: .seconds(1), steadiness: .milliseconds(300),
                goodbye: .milliseconds(100))
        }
    }

    func change(_ work: RunnerWork = RunnerBed.work) throws { try on.run { [runner] in runner.change(work) } }

    func deliver(_ id: UInt64) throws {
        let alert = OutgoingAlert(id: id, route: nil, subject: "s", body: "b", events: [], host: "h", at: Timestamp(seconds: 1))
        try on.run { [runner] in runner.deliver(alert) }
    }

    /// Ends everything, and answers whether all that was started is gone.
    func end() throws -> Bool {
        try on.run { [runner] in runner.stop() }
        return eventually { pids.allSatisfy { kill($0, 0) != 0 } }
    }
}

@Suite struct RunnerProcessTests {
    @Test func ordersGoInAndAnswersComeOut() throws {
        let bed = try RunnerBed(
            """
            read -r work; [[ $work == *'"password":"hush"'* ]] && echo '{"measured":{"redis:a":1.5},"source":"s"}'
            echo '{"failed":"s","why":"gone"}'; echo '{"measured":{"x":1},"source":"unknown"}'; echo '{"delivered":99}'
            while read -r order; do
                [[ $order == *'"id":7'* ]] && echo '{"delivered":7}'
                [[ $order == *'"id":8'* ]] && echo '{"undelivered":8,"why":"no","may_retry":false}'
                [[ $order == *ping* ]] && echo '{"alive":true}'
            done
            """)
        try bed.change()
        try bed.deliver(7)
        try bed.deliver(8)
        #expect(eventually { bed.hearer.lines.count == 4 })
        #expect(bed.hearer.lines == ["s [\"redis:a=1.5\"]", "s failed: gone", "delivered 7", "undelivered 8 for good: no"])
        // It answers when it is asked, and so lives on.
        usleep(2_300_000)
        #expect(bed.pids.count == 1 && bed.hearer.lines.count == 4)
        #expect(try bed.end())
    }

    @Test func itRunsOnlyWhileThereIsWork() throws {
        let bed = try RunnerBed("while read -r order; do echo '{\"alive\":true}'; done")
        try bed.change(RunnerWork(interval: .seconds(1)))
        usleep(50_000)
        #expect(bed.pids.isEmpty)
        try bed.change()
        #expect(eventually { bed.pids.count == 1 })
        try bed.change(RunnerWork(interval: .seconds(1)))
        #expect(eventually { kill(bed.pids[0], 0) != 0 })
        #expect(bed.hearer.lines.isEmpty)
        try bed.change()
        #expect(eventually { bed.pids.count == 2 })
        #expect(try bed.end())
    }

    @Test func whenItIsKilledItIsStartedAgainAndNothingIsLostSilently() throws {
        let bed = try RunnerBed(
            "read -r work; echo '{\"measured\":{},\"source\":\"s\"}'; while read -r order; do echo '{\"alive\":true}'; done",
            patience: .init(firstPause: .milliseconds(20), steadiness: .milliseconds(100)))
        try bed.change()
        #expect(eventually { bed.hearer.count("s []") == 1 })
        try bed.deliver(5)
        kill(bed.pids[0], SIGKILL)
        #expect(eventually { bed.hearer.lines.count >= 4 })
        #expect(
            bed.hearer.lines.dropFirst().prefix(2) == [
                "s failed: rollcall-runner failed: it was killed by signal 9",
                "undelivered 5 for now: rollcall-runner failed: it was killed by signal 9",
            ])
        // The orders were sent again.
        #expect(bed.hearer.lines[3] == "s []" && bed.pids.count == 2)
        #expect(eventually { bed.hearer.failures.withLock { $0 } == ["rollcall-runner failed: it was killed by signal 9", "recovered"] })
        #expect(try bed.end())
    }

    @Test func oneThatDiesAgainAndAgainIsOneFailureUntilItStays() throws {
        let bed = try RunnerBed(
            """
            echo '{"measured":{},"source":"s"}'
            [ -e "$(dirname "$0")/mended" ] || { echo '{"cannot_go_on":"no memory"}'; exit 71; }
            while read -r order; do echo '{"alive":true}'; done
            """)
        try bed.change()
        #expect(eventually { bed.pids.count >= 4 })
        let failure = "rollcall-runner failed: no memory (it ended with status 71)"
        #expect(bed.hearer.failures.withLock { $0 } == [failure])
        try bed.folder.write("", to: "mended")
        #expect(eventually { bed.hearer.failures.withLock { $0 } == [failure, "recovered"] })
        #expect(try bed.end())
    }

    @Test(arguments: [
        ("exec sleep 1000", "it hung"), ("exec <&- >&-; exec sleep 1000", "it closed its output"), ("exit 3", "it ended with status 3"),
        ("echo nonsense; exec sleep 1000", "it said something that is no answer"), ("yes '{}'", "it said something that is no answer"),
        ("head -c 1000000 /dev/zero; exec sleep 1000", "it said something without an end"),
        ("cat /dev/urandom; exec sleep 1000", "it said something"), ("printf '{\"alive\":true'; exit 0", "it ended with status 0"),
        ("while :; do echo '{\"delivered\":1}'; read -t 0.01 || :; done; exit", ""),
    ])
    func whateverItDoesTheAgentGoesOn(script: String, why: String) throws {
        var patience = RunnerBed.Patience.short
        patience.silence = .milliseconds(200)
        let bed = try RunnerBed(script, patience: patience)
        try bed.change()
        if why.isEmpty {
            // One that talks all the time holds nobody up.
            usleep(300_000)
            #expect(try bed.on.run { true })
        } else {
            #expect(eventually { bed.hearer.count(why) >= 2 })
            #expect(bed.pids.count >= 2)
        }
        #expect(try bed.end())
    }

    @Test func oneThatDoesNotReadIsEndedBeforeItsOrdersFillTheMemory() throws {
        let bed = try RunnerBed("exec sleep 1000", patience: .init(firstPause: .seconds(1000), silence: .seconds(1000), goodbye: .milliseconds(100)))
        try bed.change()
        let body = String(repeating: "x", count: 100_000)
        let alert = OutgoingAlert(id: 1, route: nil, subject: "s", body: body, events: [], host: "h", at: Timestamp(seconds: 1))
        try bed.on.run { [runner = bed.runner] in for _ in 0..<100 { runner.deliver(alert) } }
        #expect(eventually { bed.hearer.count("it does not read its orders") >= 1 })
        #expect(try bed.end())
    }

    @Test func startsComeSlowerAndSlower() throws {
        let bed = try RunnerBed("exit 1", patience: .init(firstPause: .milliseconds(20), longestPause: .milliseconds(400)))
        try bed.change()
        usleep(1_000_000)
        // 20, 40, 80, 160, 320, 400 ms: without pauses there would be hundreds.
        #expect((2...7).contains(bed.pids.count))
        #expect(try bed.end())
    }

    @Test func aProgramThatIsMissingIsOneFailure() throws {
        let on = try OnLoop()
        let hearer = Hearer()
        let runner = try on.run { RunnerProcess(loop: on.loop, program: nil, patience: RunnerBed.Patience.short, logger: quiet) }
        try on.run {
            runner.start(observer: hearer)
            runner.change(RunnerBed.work)
        }
        usleep(300_000)
        #expect(hearer.lines == ["s failed: rollcall-runner is not installed"])
        let alert = OutgoingAlert(id: 1, route: nil, subject: "s", body: "b", events: [], host: "h", at: Timestamp(seconds: 1))
        try on.run { runner.deliver(alert) }
        #expect(eventually { hearer.lines.last == "undelivered 1 for now: rollcall-runner is not installed" })
        #expect(hearer.lines.count == 2)
        #expect(hearer.failures.withLock { $0 } == ["rollcall-runner is not installed"])
        try on.run { runner.stop() }
    }

    @Test func alertsWithoutAChannelAreRefused() throws {
        let bed = try RunnerBed("exec cat > /dev/null")
        try bed.change(RunnerWork(interval: .seconds(1), sources: RunnerBed.work.sources))
        try bed.deliver(3)
        #expect(eventually { bed.hearer.lines == ["undelivered 3 for now: no way to send alerts is configured"] })
        #expect(try bed.end())
    }

    /// Neither descriptors of the agent nor its blocked signals pass to the child.
    @Test func itGetsNothingOfTheAgent() throws {
        let bed = try RunnerBed(
            """
            ls /proc/$$/fd > "$(dirname "$0")/seen"; grep -E 'SigBlk|SigIgn' /proc/self/status >> "$(dirname "$0")/seen"
            exec cat > /dev/null
            """)
        let null = open("/dev/null", O_RDONLY)
        let leaked = fcntl(null, F_DUPFD, 700)
        defer { for descriptor in [null, leaked] { close(descriptor) } }
        #expect(leaked >= 700)
        try bed.change()
        let seen = bed.folder.path + "/seen"
        #expect(eventually { (try? String(contentsOfFile: seen, encoding: .utf8))?.contains("SigIgn") == true })
        let lines = try String(contentsOfFile: seen, encoding: .utf8).split(separator: "\n")
        #expect(lines.contains("0") && !lines.contains("\(leaked)"))
        #expect(lines.contains("SigBlk:\t0000000000000000"))
        #expect(try bed.end())
    }
}
