// Releases and disks on a file system whose server does not answer any more.

import AgentAPI
import AgentCore
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

/// A folder that can hang, for real.
private final class HangingFolder {
    let folder = Folder()
    private let server: ChildProcess

    init() async throws {
        server = try ChildProcess(bed("hanging-folder"), [folder.path])
        _ = try await server.whenReady(folder.path + "/ready")
    }

    /// Unmounts it.
    func end() async throws {
        answer()
        server.endInput()
        #expect(try await server.end().status == 0)
    }

    var seen: String { folder.path + "/seen" }
    func hang() throws { try folder.write("", to: "hangs") }
    func answer() { try? folder.remove("hangs") }
}

@Suite(.serialized, .timeLimit(.minutes(1)), .enabled(if: getuid() == 0, "mounting needs root")) struct HangingFolderTests {
    private let eyes: OnLoop
    private let inspector: LinuxServiceInspector
    private let token = "9b2f91ea9b2f91ea9b2f91ea9b2f91ea"

    init() throws {
        eyes = try OnLoop()
        let loop = eyes.loop
        inspector = try eyes.run { LinuxServiceInspector(loop: loop) }
    }

    private func withHangingFolder(_ body: (HangingFolder) async throws -> Void) async throws {
        let hanging = try await HangingFolder()
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(hanging))
        } catch {
            outcome = .failure(error)
        }
        try await hanging.end()
        try outcome.get()
    }

    private func look(at server: Prefork) throws -> ServiceLook {
        try eyes.run { [inspector] in inspector.look(at: server.service, known: []) }
    }

    private func carried(by server: Prefork, _ look: ServiceLook) throws -> BirthToken {
        let mark = try #require(look.processes.first?.mark)
        return try eyes.run { [inspector] in inspector.releaseToken(of: mark) }
    }

    private func release(_ path: String) throws -> NamedRelease { try eyes.run { [inspector] in inspector.release(path) } }

    @Test func aReleaseThatHangsIsSaidAndHoldsUpNobody() async throws {
        try await withHangingFolder { hanging in
            for name in ["1", "2"] { try hanging.folder.write(token, to: "real/releases/\(name)/TOKEN") }
            let path = hanging.seen + "/releases/1"
            try await Task.sleep(for: .milliseconds(50))
            let server = try Prefork(workers: 2, place: path)
            let other = try Prefork("other", workers: 1)
            let before = try look(at: server)
            #expect(before.lacks == [])
            #expect(before.processes.allSatisfy { $0.folderPath == path && $0.folder == before.processes[0].folder && $0.parentFolder != nil })
            #expect(try carried(by: server, before) == .token(token))
            #expect(try release(path).folder?.mark == before.processes[0].folder)

            try hanging.hang()
            #expect(eventually { (try? look(at: server))?.lacks.isEmpty == false })
            for _ in 0..<3 {
                let look = try look(at: server)
                #expect(look.lacks == ["where some processes stand: the file system of their folder does not answer"])
                #expect(look.processes.count == 3)
                #expect(look.processes.allSatisfy { $0.folder == nil && $0.folderPath == path && !$0.isFolderDeleted })
                // What has been proven stays so.
                #expect(try carried(by: server, look) == .token(token))
            }
            #expect(try release(hanging.seen + "/releases/2") == .unseen("the file system of \(hanging.seen)/releases/2 does not answer"))
            let healthy = try look(at: other)
            #expect(healthy.lacks == [] && healthy.processes.allSatisfy { $0.folder != nil })

            hanging.answer()
            #expect(eventually { (try? look(at: server))?.processes.allSatisfy { $0.folder != nil } == true })
            #expect(try look(at: server).lacks == [])
            #expect(eventually { (try? release(path))?.folder != nil })
        }
    }

    @Test func aTokenThatHangsProvesNothing() async throws {
        try await withHangingFolder { hanging in
            try hanging.folder.write(token, to: "real/1/TOKEN")
            try await Task.sleep(for: .milliseconds(50))
            let server = try Prefork(workers: 1, place: hanging.seen + "/1")
            let look = try look(at: server)
            try hanging.hang()
            #expect(try carried(by: server, look) == .unproven)
            hanging.answer()
            #expect(eventually { (try? carried(by: server, look)) == .token(token) })
        }
    }

    /// More folders than there may be lost threads.
    @Test func manyFoldersThatHangAreSurvived() async throws {
        try await withHangingFolder { hanging in
            for number in 1...50 { try hanging.folder.write("", to: "real/\(number)/file") }
            try hanging.hang()
            for number in 1...50 { #expect(try release("\(hanging.seen)/\(number)").folder == nil) }
            hanging.answer()
            #expect(eventually { (1...50).allSatisfy { (try? release("\(hanging.seen)/\($0)"))?.folder != nil } })
        }
    }

    @Test func aListenerWhosePathHangsIsAskedInVain() async throws {
        try await withHangingFolder { hanging in
            let server = try Prefork(workers: 1, socket: hanging.seen + "/socket")
            let look = try look(at: server)
            let answers = Box<[WorkerAnswer]>()
            func ask() throws {
                answers.value = nil
                var heard: [WorkerAnswer] = []
                try eyes.run { [inspector] in
                    inspector.ask(
                        TokenQuestion(path: "/about/deploy"), of: server.service, at: look, workers: look.processes.suffix(1).map(\.mark),
                        { heard.append($0) }, done: { _, _ in answers.value = heard })
                }
                #expect(eventually { answers.value != nil })
            }
            try ask()
            #expect(answers.value?.count == 1)
            try hanging.hang()
            try ask()
            #expect(answers.value?.isEmpty == true)
            hanging.answer()
            #expect(eventually { (try? ask()) != nil && answers.value?.count == 1 })
        }
    }

    @Test func oneThreadAsksAsLongAsItIsAnswered() async throws {
        try await withHangingFolder { hanging in
            let questions = FolderQuestions()
            let thread: @Sendable () -> pthread_t = { pthread_self() }
            let first = questions.ask((0..<100).map { ("\($0)", thread) }).compactMap { $0 }
            let second = (0..<100).compactMap { questions.ask(about: "\($0)", thread) }
            #expect(first.count == 100 && second.count == 100 && Set(first + second).count == 1)
            #expect(!first.contains(pthread_self()))
            try hanging.hang()
            let path = hanging.seen + "/lost"
            #expect(questions.ask(about: path) { access(path, F_OK) } == nil)
            let other = questions.ask([(path, thread), ("other", thread)])
            #expect(other[0] == nil, "it is not asked again while it is silent")
            #expect(other[1] != nil && other[1] != first.first, "another thread asks the rest")
            hanging.answer()
            #expect(eventually { questions.ask(about: path) { access(path, F_OK) } != nil })
        }
    }

    @Test func aPidFileThatHangsHoldsUpNobody() async throws {
        try await withHangingFolder { hanging in
            let children = try (0..<2).map { _ in try Child("/bin/sleep", ["100"]) }
            try hanging.folder.write("\(children[0].pid)\n", to: "real/app.pid")
            try hanging.folder.write("\(children[1].pid)\n", to: "other.pid")
            let listener = Listener()
            let loop = eyes.loop
            let requests = [
                UnitRequest(name: "app", pidFile: hanging.seen + "/app.pid"), UnitRequest(name: "other", pidFile: hanging.folder.path + "/other.pid"),
            ]
            let system = try eyes.run {
                let system = PidFileInit(loop: loop, logger: quiet, host: HostPaths(ownOf: ProcFileSystem(root: "/")))
                system.start(watching: requests, observer: listener)
                return system
            }
            #expect(eventually { ["app", "other"].allSatisfy { listener.latest($0)?.activity == .running } })
            try hanging.hang()
            let before = listener.lines.count
            try eyes.run { system.change(watching: requests + [UnitRequest(name: "third", pidFile: hanging.seen + "/third.pid")]) }
            #expect(eventually { listener.latest("third")?.presence == .hidden })
            #expect(listener.latest("third")?.detail == "the pid file \(hanging.seen)/third.pid is on a file system that does not answer")
            children[1].end()
            #expect(eventually { listener.latest("other")?.activity == .failed })
            #expect(listener.lines.count == before + 2, "the process that the pid file named still runs")
            children[0].end()
            #expect(eventually { listener.latest("app")?.activity == .failed })
            hanging.answer()
            #expect(eventually(within: 15) { listener.latest("app")?.detail.hasSuffix("has ended and left its pid file") == true })
            try eyes.run { system.stop() }
        }
    }

    @Test func aDiskThatHangsHasNoUseAndHoldsUpNobody() async throws {
        try await withHangingFolder { hanging in
            let question = FileSystemQuestion(path: hanging.seen)
            #expect(question.take() == nil)
            #expect(eventually { if case .use(let use) = question.take() { use.space != nil } else { false } })
            try hanging.hang()
            #expect(eventually { question.take() == .hangs })
            #expect(question.take() == .hangs)
            hanging.answer()
            #expect(eventually { if case .use = question.take() { true } else { false } })
        }
    }
}
