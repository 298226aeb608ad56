// A service seen from outside: real processes, real sockets.

import AgentAPI
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

/// A server whose workers are forked, and which says with each answer whose it is: the worker's pid as a token of 32 digits. USR2 makes it
/// execute itself anew, as a hot restart does.
final class Prefork {
    private static let script = """
        import os, signal, socket, sys
        workers, path, ready = int(sys.argv[1]), sys.argv[2], sys.argv[3]
        if len(sys.argv) > 4: os.chdir(sys.argv[4])
        inherited = os.environ.get("LISTENER")
        if inherited:
            listener = socket.socket(fileno=int(inherited))
        elif path:
            listener = socket.socket(socket.AF_UNIX); listener.bind(path); listener.listen(64)
        else:
            listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(64)
        def serve():
            while True:
                connection, _ = listener.accept()
                request = b""
                while not request.endswith(b"\\r\\n\\r\\n"):
                    more = connection.recv(4096)
                    if not more: break
                    request += more
                body = b"%032x" % os.getpid()
                try: connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
                except OSError: pass  # whoever asked has left
                connection.close()
        children = []
        def restart(*_):
            for child in children: os.kill(child, signal.SIGKILL)
            os.set_inheritable(listener.fileno(), True)
            os.environ["LISTENER"] = str(listener.fileno())
            os.execv(sys.executable, [sys.executable] + sys.argv)
        for _ in range(workers):
            child = os.fork()
            if child == 0: serve()
            children.append(child)
        signal.signal(signal.SIGUSR2, restart)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        open(ready, "w").close()
        while True:
            signal.pause()
        """

    let folder = Folder()
    let service: InspectedService
    private let master: Child

    /// - Parameters:
    ///   - socket: the path of a Unix listener; otherwise it listens on a port.
    ///   - place: where it stands.
    ///   - prefix: words before its command line.
    init(_ name: String = "web", workers: Int, socket: String = "", place: String? = nil, prefix: [String] = []) throws {
        try folder.write(Self.script, to: "server.py")
        let words =
            prefix + ["/usr/bin/python3", "\(folder.path)/server.py", "\(workers)", socket, "\(folder.path)/ready"] + (place.map { [$0] } ?? [])
        master = try Child(words[0], Array(words.dropFirst()))
        service = InspectedService(name: name, mainProcess: master.pid, cgroup: nil)
        guard hasStarted() else { throw SystemError("starting the server", code: ETIME) }
    }

    deinit { for child in children { kill(child, SIGKILL) } }

    var children: [Int32] {
        let list = (try? String(contentsOfFile: "/proc/\(master.pid)/task/\(master.pid)/children", encoding: .utf8)) ?? ""
        return list.split(separator: " ").compactMap { Int32($0) }
    }

    func restart() throws {
        try folder.remove("ready")
        kill(master.pid, SIGUSR2)
        guard hasStarted() else { throw SystemError("restarting the server", code: ETIME) }
    }

    private func hasStarted() -> Bool { eventually { FileManager.default.fileExists(atPath: folder.path + "/ready") } }
}

@Suite(.timeLimit(.minutes(2))) struct ServiceInspectorTests {
    private let eyes: OnLoop
    private let inspector: LinuxServiceInspector

    init() throws {
        eyes = try OnLoop()
        let loop = eyes.loop
        inspector = try eyes.run { LinuxServiceInspector(loop: loop) }
    }

    private func look(at server: Prefork) throws -> ServiceLook {
        try eyes.run { [inspector] in inspector.look(at: server.service, known: []) }
    }

    /// Whether one of them is just running does not matter.
    private func atRest(_ processes: [ServiceProcess]) -> [ServiceProcess] {
        processes.map { process in
            var process = process
            process.state = UInt8(ascii: "S")
            return process
        }
    }

    /// The answers of one round.
    private func ask(_ server: Prefork, _ look: ServiceLook, workers: Int) throws -> (answers: [WorkerAnswer], unaccepted: Int, refused: Int) {
        let answers = Box<[WorkerAnswer]>()
        let end = Box<(Int, Int)>()
        answers.value = []
        let marks = look.processes.map(\.mark).suffix(workers)
        try eyes.run { [inspector] in
            inspector.ask(
                TokenQuestion(path: "/about/deploy"), of: server.service, at: look, workers: Array(marks), { answers.value?.append($0) },
                done: { end.value = ($0, $1) })
        }
        #expect(eventually { end.value != nil })
        return (answers.value ?? [], end.value?.0 ?? -1, end.value?.1 ?? -1)
    }

    /// As a container: the kernel's tables here do not have its sockets.
    @Test(.enabled(if: getuid() == 0, "needs root to make a network namespace")) func aServiceWithANetworkOfItsOwnIsNotLookedForInThisOne() throws {
        let socket = Folder()
        let server = try Prefork(workers: 2, socket: "\(socket.path)/socket", prefix: ["unshare", "--net", "--"])
        let look = try look(at: server)
        #expect(look.processes.count == 3 && look.listeners.isEmpty)
        #expect(look.blindness?.contains("have a network of their own, as containers do") == true, "\(look.blindness ?? "")")
        #expect(look.blindness?.contains("--url without --service") == true)
        let facts = try eyes.run { [inspector] in inspector.examine(server.service) }
        #expect(facts.blindness == look.blindness)
    }

    /// Everything on the machine descends from the first process, and from those that have started this one.
    @Test func theWholeMachineIsNoService() throws {
        let ancestors = [1, getppid()]
        for pid in ancestors {
            let look = try eyes.run { [inspector] in inspector.look(at: InspectedService(name: "web", mainProcess: pid, cgroup: nil), known: []) }
            #expect(look.processes.isEmpty && look.listeners.isEmpty, "process \(pid)")
            #expect(look.blindness?.contains("name the service's own process") == true)
        }
        let topmost = try eyes.run { [inspector] in inspector.look(at: InspectedService(name: "web", mainProcess: nil, cgroup: "/"), known: []) }
        #expect(topmost.processes.isEmpty)
    }

    @Test func aLookShowsWhoHoldsTheListenerAndWhereEachStands() throws {
        let server = try Prefork(workers: 3)
        let look = try look(at: server)
        #expect(look.lacks == [])
        #expect(look.processes.count == 4)
        #expect(look.listeners.count == 1)
        let inode = try #require(look.listeners.first).inode
        #expect(look.processes.allSatisfy { $0.listeners == [inode] && !$0.isForeign })
        #expect(Set(look.processes.map(\.mark.generation)).count == 1)
        #expect(look.processes.first?.mark.generation != .unknown)
        let master = try #require(look.processes.first { $0.mark.pid == server.service.mainProcess })
        #expect(look.processes.count { $0.parent == master.mark.pid } == 3)
        #expect(master.folderPath == FileManager.default.currentDirectoryPath)
        #expect(master.folder != nil && master.parentFolder != nil && !master.isFolderDeleted)
        // A second look is shorter, and shows the same.
        #expect(atRest(try self.look(at: server).processes) == atRest(look.processes))
    }

    @Test(arguments: [false, true]) func everyAnswerIsAttributedToTheWorkerThatGaveIt(isUnix: Bool) throws {
        let folder = Folder()
        let server = try Prefork(workers: 4, socket: isUnix ? folder.path + "/socket" : "")
        var heard: Set<Int32> = []
        for _ in 0..<20 where heard.count < 4 {
            let look = try look(at: server)
            let round = try ask(server, look, workers: 4)
            #expect(round.refused == 0)
            for answer in round.answers {
                #expect(answer.content == .token(String(format: "%032x", answer.mark.pid)))
                #expect(look.processes.contains { $0.mark == answer.mark })
                heard.insert(answer.mark.pid)
            }
        }
        #expect(heard == Set(server.children))
    }

    @Test func anExecInPlaceIsAnotherGenerationOfTheSameProcess() throws {
        let server = try Prefork(workers: 1)
        let before = try #require(try look(at: server).processes.first { $0.mark.pid == server.service.mainProcess }).mark
        try server.restart()
        let after = try #require(try look(at: server).processes.first { $0.mark.pid == server.service.mainProcess }).mark
        #expect(after.startTicks == before.startTicks)
        #expect(after.generation != before.generation)
    }

    @Test func whatHappensToTheProcessesIsTold() throws {
        let server = try Prefork(workers: 2)
        let told = Box<[ProcessIncident]>()
        told.value = []
        try eyes.run { [inspector] in inspector.watch(server.service) { told.value?.append($0) } }
        let first = server.children
        try server.restart()
        #expect(
            eventually {
                let told = told.value ?? []
                // The old ones stay as zombies: nobody waits for them.
                let young = Set(server.children).subtracting(first)
                return told.contains { $0.pid == server.service.mainProcess && $0.what == .exec }
                    && first.allSatisfy { child in told.contains { $0.pid == child && isExit($0.what) } }
                    && young.count == 2 && young.allSatisfy { child in told.contains { $0.pid == child && isFork($0.what) } }
            }, "\(told.value ?? [])")
        try eyes.run { [inspector] in inspector.unwatch("web") }
    }

    private func isExit(_ what: ProcessIncident.What) -> Bool { if case .exit = what { true } else { false } }
    private func isFork(_ what: ProcessIncident.What) -> Bool { if case .fork = what { true } else { false } }

    @Test func requestsAtASteadyRateAreCounted() throws {
        let server = try Prefork(workers: 2)
        let look = try look(at: server)
        try eyes.run { [inspector] in
            inspector.probe(AvailabilityOrder(path: "/", rate: 50), of: server.service, listeners: look.listeners)
        }
        func count() throws -> Availability? { try eyes.run { [inspector] in inspector.availability(of: "web") } }
        #expect(eventually { (try? count())?.requests ?? 0 > 20 })
        let good = try #require(try count())
        #expect(good.failed == 0)
        #expect(good.median != nil)
        for child in server.children { kill(child, SIGSTOP) }
        #expect(eventually { (try? count())?.longestStall ?? .zero > .milliseconds(500) })
        for child in server.children { kill(child, SIGCONT) }
        try eyes.run { [inspector] in inspector.stopProbe(of: "web") }
        #expect(try count() == nil)
    }

    @Test func workersThatAreStoppedAnswerNothingAndHoldNothingUp() throws {
        let server = try Prefork(workers: 2)
        for child in server.children { kill(child, SIGSTOP) }
        let round = try ask(server, look(at: server), workers: 2)
        #expect(round.answers == [])
        #expect(round.unaccepted == 2)
        for child in server.children { kill(child, SIGCONT) }
    }
}

@Suite struct NetlinkParserTests {
    @Test func mutatedMessagesOfTheKernelHarmNothing() {
        Mutations.run(seeds: Mutations.seeds("netlink")) { bytes in
            for message in NetlinkMessage.parse(bytes[...]) {
                _ = TCPSocketEntry(parsing: message.payload)
                _ = UnixSocketEntry(parsing: message.payload)
                _ = ProcessEvent(parsing: message.payload)
            }
            _ = ExecGeneration(auxiliaryVector: bytes[...])
        }
    }
}
