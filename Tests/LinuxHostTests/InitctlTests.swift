// What initctl prints, read.

import TestKit
import Testing

@testable import LinuxHost

@Suite struct InitctlTests {
    struct Line: Sendable {
        var text: String
        var unit: String
        var words: String
        var pid: Int32?

        init(_ text: String, _ unit: String, _ words: String, _ pid: Int32? = nil) {
            (self.text, self.unit, self.words, self.pid) = (text, unit, words, pid)
        }
    }

    @Test(arguments: [
        Line("bed-hup stop/waiting", "bed-hup", "stop/waiting"),
        Line("dbus start/running, process 75", "dbus", "start/running", 75),
        Line("bed-inst (a/b) start/running, process 124", "bed-inst/a/b", "start/running", 124),
        Line("odd (x) stop/waiting, process 9) start/killed, process 12", "odd/x) stop/waiting, process 9", "start/killed", 12),
        // The script of the state, not the service.
        Line("bed-phases start/pre-start, process 207", "bed-phases", "start/pre-start"),
        Line("bed-phases stop/post-stop, process 262", "bed-phases", "stop/post-stop"),
        Line("bed-phases start/post-start, process 219\n\tpost-start process 220", "bed-phases", "start/post-start", 219),
        Line("bed-phases stop/pre-stop, process 219\n\tpre-stop process 235", "bed-phases", "stop/pre-stop", 219),
        Line("bed-flap start/spawned, process 163", "bed-flap", "start/spawned", 163),
        Line("a start/starting, (security) process 4", "a", "start/starting"),
        Line("a start/pre-start, (main) process 4", "a", "start/pre-start", 4),
        Line("a start/post-start, (post-start) process 5\n\tmain process 6", "a", "start/post-start", 6),
        Line("a start/no-such-state-yet, process 4", "a", "start/no-such-state-yet", 4),
        Line("dir/job start/running", "dir/job", "start/running"),
    ])
    func aLineIsAUnit(_ line: Line) {
        let read = initctlStatuses(parsing: Array(line.text.utf8))
        #expect(read.count == 1)
        #expect(read.first?.unit == line.unit)
        #expect(read.first.map { "\($0.goal)/\($0.state)" } == line.words)
        #expect(read.first?.mainPID == line.pid)
    }

    @Test(arguments: [
        "", "\n\n", "initctl: Unknown job: nosuch", "a", "a b", "a start", "a start/", " start/running", "a run/running", "a start/running/x",
        "\tmain process 5",
    ])
    func anythingElseIsNone(_ text: String) {
        #expect(initctlStatuses(parsing: Array(text.utf8)).isEmpty)
    }

    @Test(arguments: ["a start/running, process 0", "a start/running, process -5", "a start/running, process 99999999999"])
    func aPidThatIsNoneIsNotBelieved(_ text: String) {
        #expect(initctlStatuses(parsing: Array(text.utf8)).allSatisfy { $0.mainPID == nil })
    }

    @Test(
        arguments: [
            ("initctl: Unknown job: nosuch\n", .unknownJob), ("initctl: Unknown instance: \n", .unknownInstance),
            ("initctl: Unknown instance: 9", .unknownInstance), ("initctl: Unknown parameter: N\nUsage: N=number\n", .needsParameter("N")),
            ("initctl: Job is already running: a", .isRunning), ("initctl: Job failed to start", .failedToStart),
            ("initctl: Rejected send message, 1 matched rules; type=\"method_call\"", .notAllowed), ("initctl: Access denied", .notAllowed),
            ("", .other("without a word")), ("initctl: Unable to connect to Upstart", .other("Unable to connect to Upstart")),
        ] as [(String, InitctlRefusal)])
    func aRefusalSaysWhatIsWrong(_ text: String, _ refusal: InitctlRefusal) {
        #expect(InitctlRefusal(parsing: Array(text.utf8)) == refusal)
    }

    @Test func brokenOutputIsRead() {
        Mutations.run(seeds: Mutations.seeds("initctl")) { bytes in
            for status in initctlStatuses(parsing: bytes) where status.job.isEmpty || (status.mainPID ?? 1) <= 0 { Issue.record("\(status)") }
            _ = InitctlRefusal(parsing: bytes)
        }
    }
}
