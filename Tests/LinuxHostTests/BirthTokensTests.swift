// What processes were born with: real processes in real release folders.

import AgentCore
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

private let first = "0123456789abcdef0123456789abcdef"
private let second = "fedcba9876543210fedcba9876543210"

@Suite(.timeLimit(.minutes(2))) struct BirthTokensTests {
    private let folder = Folder()
    private let observer = ServiceObserver()
    private let births = Births()

    private final class Births {
        var tokens = BirthTokens(clockTicks: UInt64(sysconf(Int32(_SC_CLK_TCK))))
    }

    private var now: Moment { SystemTime().now() }

    private func release(_ name: String, _ token: String?) throws -> String {
        try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        if let token { try write(token, to: name) }
        return "\(folder.path)/\(name)"
    }

    /// A new file, as deploy tools make it.
    private func write(_ token: String, to release: String) throws {
        let path = "\(folder.path)/\(release)/TOKEN"
        try? FileManager.default.removeItem(atPath: path)
        try Data(token.utf8).write(to: URL(fileURLWithPath: path))
    }

    /// A shell that waits until it is told, with a file, and then does something.
    private func shell(in folder: String, then: String) throws -> Child {
        usleep(30_000)  // A start is known to the hundredth of a second.
        return try Child("/bin/sh", ["-c", "cd \(folder); while [ ! -e \(self.folder.path)/go ]; do sleep 0.01; done; \(then)"])
    }

    private func go() throws { try folder.write("", to: "go") }

    private func carried(by child: Child) -> BirthToken {
        guard let mark = observer.mark(of: child.pid) else { return .unproven }
        return births.tokens.token(of: mark, at: now) { observer.releaseToken(of: child.pid) }
    }

    private func sleeper(in folder: String) throws -> Child {
        usleep(30_000)
        let child = try Child("/bin/sh", ["-c", "cd \(folder) && exec sleep 100"])
        #expect(eventually { self.command(of: child) == "sleep" })
        return child
    }

    /// A process has the name of its new program a moment before it has the program.
    private func command(of child: Child) -> String {
        guard let mark = observer.mark(of: child.pid), mark.generation != .unknown else { return "" }
        return (try? String(contentsOfFile: "/proc/\(child.pid)/comm", encoding: .utf8).trimmingCharacters(in: .newlines)) ?? ""
    }

    @Test func aProcessCarriesTheTokenOfItsRelease() throws {
        let child = try sleeper(in: release("1", first + "\n"))
        #expect(carried(by: child) == .token(first))
    }

    @Test func aTokenThatIsRewrittenLaterChangesNothing() throws {
        let child = try sleeper(in: release("1", first))
        #expect(carried(by: child) == .token(first))
        try write(second, to: "1")
        #expect(carried(by: child) == .token(first))
        let next = try sleeper(in: "\(folder.path)/1")
        #expect(carried(by: next) == .token(second))
        #expect(carried(by: child) == .token(first))
    }

    @Test func aTokenThatComesAfterTheProcessProvesNothing() throws {
        let child = try sleeper(in: release("1", nil))
        #expect(carried(by: child) == .none)
        try write(second, to: "1")
        #expect(carried(by: child) == .unproven)
    }

    @Test func aTokenThatIsNewerThanAProcessFoundRunningProvesNothing() throws {
        let child = try sleeper(in: release("1", first))
        try write(second, to: "1")
        #expect(carried(by: child) == .unproven)
    }

    @Test func aProcessMayEnterItsReleaseAsItBoots() throws {
        let release = try release("1", first)
        let child = try shell(in: folder.path, then: "cd \(release); while :; do sleep 0.05; done")
        #expect(eventually { carried(by: child) == .none })
        try go()
        #expect(eventually { carried(by: child) == .token(first) })
    }

    @Test func aHotRestartIsANewBirth() throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try shell(in: old, then: "cd \(new) && exec sleep 100")
        #expect(eventually { carried(by: child) == .token(first) })
        try write(second, to: "2")
        // Still the old program, after the new token was written.
        usleep(30_000)
        #expect(carried(by: child) == .token(first))
        if let mark = observer.mark(of: child.pid) { births.tokens.see(mark, at: now) }
        try go()
        #expect(eventually { command(of: child) == "sleep" })
        #expect(carried(by: child) == .token(second))
        try write(first, to: "2")
        #expect(carried(by: child) == .token(second))
    }

    @Test func aTokenThatMayBeYoungerThanAnExecProvesNothing() throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try shell(in: old, then: "cd \(new) && exec sleep 100")
        #expect(eventually { carried(by: child) == .token(first) })
        try go()
        #expect(eventually { command(of: child) == "sleep" })
        usleep(30_000)
        try write(second, to: "2")
        #expect(carried(by: child) == .unproven)
    }

    @Test func whenTheKernelTellsOfAnExecThatInstantCounts() throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try shell(in: old, then: "cd \(new) && exec sleep 100")
        #expect(eventually { carried(by: child) == .token(first) })
        try write(second, to: "2")
        usleep(30_000)
        let before = now.wall
        try go()
        #expect(eventually { command(of: child) == "sleep" })
        let mark = try #require(observer.mark(of: child.pid))
        births.tokens.see(mark, before: before, at: now)
        #expect(carried(by: child) == .token(second))
    }

    @Test func whenTheClockWasSetWhatWasBornBeforeProvesNothingMore() throws {
        let (known, unknown) = (try sleeper(in: release("1", first)), try sleeper(in: release("2", nil)))
        #expect(carried(by: known) == .token(first))
        #expect(carried(by: unknown) == .none)
        try write(first, to: "2")
        func carriedNow(by child: Child) throws -> BirthToken {
            let mark = try #require(observer.mark(of: child.pid))
            let now = now
            let set = Moment(wall: now.wall + .seconds(3600), uptime: now.uptime)
            return births.tokens.token(of: mark, at: set) { observer.releaseToken(of: child.pid) }
        }
        #expect(try carriedNow(by: known) == .token(first))
        #expect(try carriedNow(by: unknown) == .unproven)
        let later = try sleeper(in: "\(folder.path)/1")
        #expect(try carriedNow(by: later) == .token(first))
        #expect(try carriedNow(by: unknown) == .unproven)
    }

    /// The kernel tells starts in hundredths of a second and stamps files with the time of its last tick: what lies closer together than that has
    /// no order.
    @Test(arguments: [(0, false), (9, false), (10, true), (1000, true)]) func aTokenMustBeOlderThanATick(milliseconds: Int, isProof: Bool) {
        var tokens = BirthTokens(clockTicks: 100)
        let boot = Timestamp(seconds: 1_800_000_000)
        let mark = ProcessMark(pid: 10, startTicks: 50_000, generation: .vector(random: 1, sysinfo: 2))
        let now = Moment(wall: boot + .seconds(501), uptime: .seconds(501))
        let changed = boot + .seconds(500) - .milliseconds(milliseconds)
        #expect(tokens.token(of: mark, at: now) { .token(first, changed: changed) } == (isProof ? .token(first) : .unproven))
    }

    @Test func numbersWithoutSenseAreHarmless() {
        var tokens = BirthTokens(clockTicks: 0)
        for ticks in [UInt64.max, 0] {
            for pid in [Int32.max, -1] {
                let mark = ProcessMark(pid: pid, startTicks: ticks, generation: .code(1))
                #expect(tokens.token(of: mark, at: now) { observer.releaseToken(of: pid) } == .none)
            }
        }
    }

    // MARK: Files that are no token

    private func found(_ prepare: (_ release: String) throws -> Void) throws -> ReleaseToken {
        let release = try release("release", nil)
        try prepare(release)
        let child = try sleeper(in: release)
        return try #require(withExtendedLifetime(child) { observer.releaseToken(of: child.pid) })
    }

    private func shellRun(_ command: String, _ path: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command, "sh", path]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw SystemError(command, code: EINVAL) }
    }

    @Test(arguments: [
        ("printf \(first) > ../secret; ln -s ../secret TOKEN", "TOKEN is a symbolic link"),
        ("ln -s /proc/self/environ TOKEN", "TOKEN is a symbolic link"),
        ("printf \(first) > ../secret; ln ../secret TOKEN", "TOKEN is a hard link"), ("mkfifo TOKEN", "TOKEN is not a regular file"),
        ("mkdir TOKEN", "TOKEN is not a regular file"), ("truncate -s 1T TOKEN", "TOKEN is larger than 4096 bytes"),
        ("mknod TOKEN c 1 5", "TOKEN is not a regular file"),
        ("printf 'the password of somebody' > TOKEN", "TOKEN holds something that is not a token"),
        ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"TOKEN\")'", "TOKEN cannot be opened: No such device or address"),
        ("true", "TOKEN cannot be opened: No such file or directory"),
    ])
    func onlyAPlainFileOfATokenIsTaken(_ command: String, _ why: String) throws {
        let answer = try found { try shellRun("cd \"$1\" && \(command)", $0) }
        #expect(answer == .none(why: why))
    }

    @Test(.enabled(if: getuid() == 0)) func aStrangersPrivateFileIsRefused() throws {
        let why = "TOKEN belongs to user 12345 alone, who is neither root nor the process's user"
        #expect(try found { try shellRun("cd \"$1\" && printf \(first) > TOKEN && chown 12345 TOKEN && chmod 600 TOKEN", $0) } == .none(why: why))
        guard case .token(first, _) = try found({ try shellRun("cd \"$1\" && chmod 644 TOKEN", $0) }) else {
            Issue.record("what everybody may read is taken")
            return
        }
    }

    @Test(arguments: [
        ("0123456789abcdef", true), ("0123456789abcdef\n", true), ("01234567-89AB-CDEF-0123-456789abcdef", true),
        (String(repeating: "a", count: 128), true), ("0123456789abcde", false), (String(repeating: "a", count: 129), false),
        ("0123456789abcdef\n\n", false), ("0123456789abcdef\r\n", false), (" 0123456789abcdef", false), ("0123456789abcdeg", false), ("", false),
        ("\u{1b}[2J0123456789abcdef", false), ("0123456789abcdef\0", false),
    ])
    func aTokenLooksLikeOne(_ content: String, _ isToken: Bool) {
        #expect(ReleaseToken.token(in: Array(content.utf8)) == (isToken ? content.trimmingCharacters(in: .newlines) : nil))
    }

    @Test func whatIsNoTokenIsNone() {
        Mutations.run(seeds: Mutations.seeds("release-token")) { bytes in
            guard let token = ReleaseToken.token(in: bytes) else { return }
            if !(16...128).contains(token.utf8.count) || token.utf8.contains(10) { Issue.record("no token: \(token)") }
        }
    }

    @Test func brokenFilesOfProcessesAreAbsent() {
        Mutations.run(seeds: Mutations.seeds("deploy-process")) { bytes in
            _ = ExecGeneration(auxiliaryVector: bytes[...])
            _ = effectiveUser(parsing: bytes)
        }
    }
}
