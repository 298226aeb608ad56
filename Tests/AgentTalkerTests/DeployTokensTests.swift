import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import AgentTalker

private let first = "0123456789abcdef0123456789abcdef"
private let second = "fedcba9876543210fedcba9876543210"

/// Real processes in real release folders.
@Suite struct DeployTokensTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()
    private let tokens: DeployTokens

    init() throws {
        folder = try TemporaryFolder()
        tokens = DeployTokens(logger: log.logger)
    }

    private var now: Moment { SystemTime().now() }
    private func release(_ name: String, _ token: String?) throws -> String {
        try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        if let token { try folder.write(token, to: "\(name)/TOKEN") }
        return "\(folder.path)/\(name)"
    }
    private var reasons: [String] { log.lines.compactMap { $0.metadata["why"] } }

    @Test func aProcessCarriesTheTokenOfItsRelease() throws {
        let child = try Child("/bin/sleep", "100", in: release("1", first + "\n"))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma.service", now: now) == .token(first))
        #expect(tokens.answer(for: "puma", now: now) == .token(first))
        #expect(tokens.answer(for: "pum", now: now) == .unwatched)
        child.end()
        #expect(tokens.answer(for: "puma", now: now) == .down)
        tokens.mainProcess(of: "puma.service", is: nil, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .down)
    }

    @Test func aTokenThatIsRewrittenLaterChangesNothing() throws {
        let child = try Child("/bin/sleep", "100", in: release("1", first))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        try folder.write(second, to: "1/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(first))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        tokens.lookAtAll(now: now)
        #expect(tokens.answer(for: "puma", now: now) == .token(first))

        let next = try Child("/bin/sleep", "100", in: "\(folder.path)/1")
        tokens.mainProcess(of: "puma.service", is: try next.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func aTokenThatComesAfterTheProcessIsNotItsToken() async throws {
        let child = try Child("/bin/sleep", "100", in: release("1", nil))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .none)
        try await Task.sleep(for: .milliseconds(50))
        try folder.write(second, to: "1/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .none)
        #expect(reasons.last == "TOKEN was written after the process had started")
    }

    @Test func aTokenThatIsNewerThanAProcessFoundRunningProvesNothing() async throws {
        let child = try Child("/bin/sleep", "100", in: release("1", first))
        try await Task.sleep(for: .milliseconds(2200))
        try folder.write(second, to: "1/TOKEN")
        // An agent that starts now never saw the process start.
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .none)
        #expect(reasons.last == "TOKEN is newer than the process, whose start was not seen")
    }

    @Test func aProcessMayEnterItsReleaseAsItBoots() async throws {
        let release = try release("1", first)
        let child = try Child("/bin/sh", "-c", "read go; cd \(release); read end", in: folder.path)
        try await Task.sleep(for: .milliseconds(20))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .none)
        try child.say("go")
        try await eventually { tokens.answer(for: "puma", now: now) == .token(first) }
    }

    @Test func aHotRestartIsSeen() async throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try Child("/bin/sh", "-c", "read go; cd \(new) && exec /bin/sleep 100", in: old)
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .token(first))
        let before = try child.identity
        try folder.write(second, to: "2/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(first))
        try child.say("go")
        try await eventually { child.hasBecome("sleep") }
        #expect(try child.identity == before)  // neither pid nor start time tell
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
        try folder.write(first, to: "2/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func aChangedMarkIsLookedAtAtOnce() async throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try Child("/bin/sh", "-c", "read go; cd \(new) && exec /bin/sleep 100", in: old)
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        let before = try child.execMark
        tokens.mainProcess(of: "puma.service", hasMark: before, at: now)
        try folder.write(second, to: "2/TOKEN")
        try child.say("go")
        try await eventually { child.hasBecome("sleep") }
        let after = try child.execMark
        #expect(after != before)
        tokens.mainProcess(of: "puma.service", hasMark: after, at: now)
        // Written when the exec had been noticed: nobody can have served it.
        try await Task.sleep(for: .milliseconds(20))
        try folder.write(first, to: "2/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func withoutAMarkAnExecIsNoticedInTheNextCycle() async throws {
        let (old, new) = (try release("1", first), try release("2", nil))
        let child = try Child("/bin/sh", "-c", "read go; cd \(new) && exec /bin/sleep 100", in: old)
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        // There was a mark, but the unit is not sampled any longer.
        tokens.mainProcess(of: "puma.service", hasMark: try child.execMark, at: now)
        tokens.mainProcess(of: "puma.service", hasMark: nil, at: now)
        try folder.write(second, to: "2/TOKEN")
        try child.say("go")
        try await eventually { child.hasBecome("sleep") }
        tokens.lookWhereDue(now: now)
        try await Task.sleep(for: .milliseconds(20))
        try folder.write(first, to: "2/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func whenSomethingHasHappenedAnExecIsNoticedWhateverTheMarkSays() async throws {
        let (old, new) = (try release("1", first), try release("2", second))
        let child = try Child("/bin/sh", "-c", "read go; cd \(new) && exec /bin/sleep 100", in: old)
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        tokens.mainProcess(of: "puma.service", hasMark: try child.execMark, at: now)
        try child.say("go")
        try await eventually { child.hasBecome("sleep") }
        tokens.lookAtAll(now: now)
        try await Task.sleep(for: .milliseconds(20))
        try folder.write(first, to: "2/TOKEN")
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func aTokenThatWasReadBetweenAnExecAndItsMarkIsNotBelieved() async throws {
        let (old, new) = (try release("1", nil), try release("2", second))
        let child = try Child("/bin/sh", "-c", "read go; cd \(new) && exec /bin/sleep 100", in: old)
        try await Task.sleep(for: .milliseconds(20))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        tokens.mainProcess(of: "puma.service", hasMark: try child.execMark, at: now)
        try child.say("go")
        try await eventually { child.hasBecome("sleep") }
        // Due, and the mark is still that of the program before.
        let later = Moment(wall: now.wall + .seconds(60), uptime: now.uptime + .seconds(60))
        tokens.lookWhereDue(now: later)
        #expect(reasons.last == "the process changed meanwhile")
        #expect(tokens.answer(for: "puma", now: now) == .token(second))
    }

    @Test func aTokenThatWasNotFoundIsLookedForMoreAndMoreSeldom() throws {
        let tokens = DeployTokens(root: folder.path, logger: log.logger)
        try folder.write("17 (puma) S 1 17 17 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 10000 0 0 0 7000 0 0\n", to: "17/stat")
        func moment(_ seconds: Int) -> Moment { Moment(wall: startOfTime + .seconds(10_000 + seconds), uptime: .seconds(100 + seconds)) }
        /// Whether this looked for the token: a reason that was not there at the look before is said.
        func looks(_ look: () -> Void) throws -> Bool {
            let before = reasons.count
            look()
            guard reasons.count > before else { return false }
            if reasons.count.isMultiple(of: 2) {
                try FileManager.default.removeItem(atPath: "\(folder.path)/17/cwd/TOKEN")
            } else {
                try folder.write("no token", to: "17/cwd/TOKEN")
            }
            return true
        }
        #expect(try looks { tokens.mainProcess(of: "puma", is: ProcessIdentity(pid: 17, startTicks: 10_000), at: moment(0)) })
        #expect(try looks { tokens.mainProcess(of: "puma", hasMark: ExecMark(code: 7000, stack: 1, arguments: 1), at: moment(0)) })
        let looked = try (1...1500).filter { second in try looks { tokens.lookWhereDue(now: moment(second)) } }
        #expect(looked == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 812, 1112, 1412])
        #expect(try looks { _ = tokens.answer(for: "puma", now: moment(1501)) }, "who asks is not put off")
    }

    @Test func aNewProcessIsNotTakenForTheOldOne() throws {
        let child = try Child("/bin/sleep", "100", in: release("1", first))
        let real = try child.identity
        tokens.mainProcess(of: "puma.service", is: ProcessIdentity(pid: real.pid, startTicks: real.startTicks - 1), at: now)
        #expect(tokens.answer(for: "puma", now: now) == .down)
    }

    @Test func onlyWhatIsWatchedIsKnown() throws {
        tokens.watched(["a.service", "b.service"])
        #expect(tokens.answer(for: "a", now: now) == .down)
        tokens.watched(["b.service"])
        #expect(tokens.answer(for: "a", now: now) == .unwatched)
        #expect(tokens.answer(for: "b", now: now) == .down)
    }

    @Test func numbersWithoutSenseAreHarmless() {
        tokens.mainProcess(of: "a", is: ProcessIdentity(pid: -1, startTicks: .max), at: now)
        tokens.mainProcess(of: "b", is: ProcessIdentity(pid: .max, startTicks: 0), at: now)
        #expect(tokens.answer(for: "a", now: now) == .down)
        #expect(tokens.answer(for: "b", now: now) == .down)
    }

    // MARK: Files that are no token

    private func found(_ prepare: (_ release: String) throws -> Void) throws -> ReleaseToken {
        let release = try release("release", nil)
        try prepare(release)
        let child = try Child("/bin/sleep", "100", in: release)
        return ReleaseToken(of: child.process.processIdentifier, in: ProcessFiles(root: "/proc"))
    }

    @Test func onlyAPlainFileIsRead() throws {
        let secret = try folder.write(first, to: "secret")
        #expect(
            try found { try FileManager.default.createSymbolicLink(atPath: "\($0)/TOKEN", withDestinationPath: secret) }
                == .none(why: "TOKEN is a symbolic link"))
    }

    @Test func aHardLinkIsRefused() throws {
        let secret = try folder.write(first, to: "secret")
        #expect(try found { try FileManager.default.linkItem(atPath: secret, toPath: "\($0)/TOKEN") } == .none(why: "TOKEN is a hard link"))
    }

    @Test func aFIFODoesNotBlock() throws {
        #expect(try found { try run("mkfifo", "\($0)/TOKEN") } == .none(why: "TOKEN is not a regular file"))
    }

    @Test func aDirectoryIsRefused() throws {
        #expect(
            try found { try FileManager.default.createDirectory(atPath: "\($0)/TOKEN", withIntermediateDirectories: false) }
                == .none(why: "TOKEN is not a regular file"))
    }

    @Test func aSocketIsRefused() throws {
        let answer = try found { try run("python3", "-c", "import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])", "\($0)/TOKEN") }
        #expect(answer == .none(why: "TOKEN cannot be opened: No such device or address"))
    }

    @Test func aHugeFileIsRefused() throws {
        #expect(try found { try run("truncate", "-s", "1T", "\($0)/TOKEN") } == .none(why: "TOKEN is larger than 4096 bytes"))
    }

    @Test func aMissingFileIsSaid() throws {
        #expect(try found { _ in } == .none(why: "TOKEN cannot be opened: No such file or directory"))
    }

    @Test(.enabled(if: getuid() == 0)) func aStrangersPrivateFileIsRefused() throws {
        let why = "TOKEN belongs to user 12345 alone, who is neither root nor the process's user"
        #expect(
            try found {
                try Data(first.utf8).write(to: URL(fileURLWithPath: "\($0)/TOKEN"))
                try run("chown", "12345", "\($0)/TOKEN")
                try run("chmod", "600", "\($0)/TOKEN")
            } == .none(why: why))
        let deployed = try found { try run("chmod", "644", "\($0)/TOKEN") }
        guard case .token(first, _) = deployed else {
            Issue.record("what everybody may read is taken: \(deployed)")
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
        let token = ReleaseToken.token(in: Array(content.utf8))
        #expect(token == (isToken ? content.trimmingCharacters(in: .newlines) : nil))
    }

    @Test func whatIsNoTokenIsNotShown() throws {
        let child = try Child("/bin/sleep", "100", in: release("1", "the password of somebody"))
        tokens.mainProcess(of: "puma.service", is: try child.identity, at: now)
        #expect(tokens.answer(for: "puma", now: now) == .none)
        #expect(!log.text.contains("password"))
    }

    // MARK: A captured /proc

    @Test func startOfCodeStandsInForTheVector() throws {
        func stat(_ code: UInt64) -> String {
            "17 (a) b) S 1 17 17 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 5000 2600000 200 18446744073709551615 \(code) 2 3 0 0 0 0\n"
        }
        let files = ProcessFiles(root: folder.path)
        try folder.write(stat(94_000_000), to: "17/stat")
        #expect(files.isAlive(ProcessIdentity(pid: 17, startTicks: 5000)))
        #expect(!files.isAlive(ProcessIdentity(pid: 17, startTicks: 5001)))
        #expect(files.execGeneration(of: 17) == .code(94_000_000))
        try folder.write(stat(1), to: "17/stat")
        #expect(files.execGeneration(of: 17) == .unknown)
        try folder.write("Name:\tx\nUid:\t0\t33\t0\t0\n", to: "17/status")
        #expect(files.user(of: 17) == 33)
        for damaged in ["", "17", "17 (", "17 (a) S 1", "17 (a) Z" + String(repeating: " 5000", count: 30)] {
            try folder.write(damaged, to: "17/stat")
            #expect(!files.isAlive(ProcessIdentity(pid: 17, startTicks: 5000)))
        }
    }

    @Test func aProcessThatEndsIsNotOneThatExecs() {
        let vector = ExecGeneration.vector(random: 1, sysinfo: 2)
        #expect(ExecGeneration.vector(random: 3, sysinfo: 2).isLater(than: vector))
        #expect(!vector.isLater(than: vector))
        #expect(!ExecGeneration.unknown.isLater(than: vector))
        #expect(!ExecGeneration.code(7).isLater(than: vector))
        #expect(ExecGeneration.code(7).isLater(than: .code(8)))
    }
}
