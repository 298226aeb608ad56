import AgentCore
import Glibc
import LinuxHost
import Platform
import RuleLanguage
import Testing
import TestKit

/// Real programs on a loop of the test's own.
@Suite struct CommandRunnerTests {
    private let loop: Loop
    private let runner: LinuxCommandRunner

    init() throws {
        // As the agent does at its start.
        signal(SIGPIPE, SIG_IGN)
        loop = try Loop()
        runner = LinuxCommandRunner(loop: loop)
    }

    private func run(_ arguments: [String], as user: String? = nil, timeout: Duration = .seconds(30), input: [UInt8] = []) -> CommandOutcome? {
        var outcome: CommandOutcome?
        runner.run(Command(arguments: arguments, user: user, timeout: timeout), input: input) { [loop] result in
            outcome = result
            loop.stop()
        }
        let limit = loop.after(.seconds(20)) { [loop] in loop.stop() }
        loop.run()
        loop.cancel(limit)
        return outcome
    }

    private func shell(_ script: String, timeout: Duration = .seconds(30), input: [UInt8] = []) -> CommandOutcome? {
        run(["/bin/sh", "-c", script], timeout: timeout, input: input)
    }

    @Test func theStatusAndTheLastLinesAreTold() {
        #expect(shell("echo one; echo two >&2; exit 3") == CommandOutcome(.exited(status: 3), output: "one\ntwo"))
        #expect(shell("kill -9 $$") == CommandOutcome(.signaled(9)))
    }

    @Test func theInputArrives() {
        let text = String(repeating: "0123456789abcde\n", count: 20_000)
        #expect(shell("wc -c | tr -d ' '", input: Array(text.utf8))?.output == "320000")
        // One that does not read is no fault.
        #expect(shell("exit 0", input: Array(text.utf8)) == CommandOutcome(.exited(status: 0)))
    }

    @Test func aProgramInheritsNothing() throws {
        let open = Glibc.open("/etc/passwd", O_RDONLY)
        defer { close(open) }
        #expect(shell("ls /proc/self/fd | tr '\\n' ' '")?.output == "0 1 2 3 ")
        #expect(shell("env | cut -d= -f1 | sort | tr '\\n' ' '")?.output == "LANG PATH PWD ")
        #expect(shell("grep -E 'SigBlk|CapAmb' /proc/self/status | cut -f2 | sort -u")?.output == "0000000000000000")
        // But for the two signals that the C library keeps to itself.
        let ignored = shell("grep SigIgn /proc/self/status | cut -f2")?.output.suffix(8)
        #expect(ignored.flatMap { UInt32($0, radix: 16) }.map { $0 & 0x7fff_ffff } == 0)
    }

    @Test func theOutputIsBounded() {
        let outcome = shell("yes rollcall | head -c 3000000; echo; echo the end")
        #expect(outcome?.end == .exited(status: 0))
        #expect((outcome?.output.utf8.count ?? .max) <= 4096)
        #expect(outcome?.output.hasSuffix("the end") == true)
    }

    @Test func whatTakesTooLongIsKilledWithAllThatItStarted() throws {
        let folder = try TemporaryFolder()
        let outcome = shell("sleep 60 & echo $! > \(folder.path)/pid; wait", timeout: .milliseconds(500))
        #expect(outcome?.end == .timedOut)
        let pid = try #require(Int32(String(decoding: AtomicFile.read("\(folder.path)/pid"), as: UTF8.self).filter { $0 != "\n" }))
        var isGone = false
        for _ in 0..<200 where !isGone {
            isGone = kill(pid, 0) != 0 || !((try? String(decoding: AtomicFile.read("/proc/\(pid)/stat"), as: UTF8.self))?.contains(") S ") ?? false)
            usleep(10_000)
        }
        #expect(isGone)
    }

    @Test func whatCannotBeStartedSaysWhy() {
        #expect(run(["/nowhere/heal"]) == CommandOutcome(.notStarted("/nowhere/heal cannot be run: No such file or directory")))
        #expect(run(["heal"]) == CommandOutcome(.notStarted("no program with an absolute path")))
        #expect(run(["/bin/true"], as: "nobody-at-all") == CommandOutcome(.notStarted("there is no user nobody-at-all in /etc/passwd")))
    }

    @Test func anotherUserHasNothingOfTheAgents() {
        // As root, a switch; as anybody else, a refusal.
        let outcome = run(["/bin/sh", "-c", "id -un; grep -E 'CapEff|CapPrm|CapInh|CapAmb' /proc/self/status | cut -f2 | sort -u"], as: "nobody")
        if geteuid() == 0 {
            #expect(outcome == CommandOutcome(.exited(status: 0), output: "nobody\n0000000000000000"))
        } else {
            #expect(outcome == CommandOutcome(.notStarted("only an agent that runs as root can run a program as nobody")))
        }
    }
}
