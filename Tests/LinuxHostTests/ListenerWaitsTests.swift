// What processes wait for, and who else takes a service's connections: real processes, real sockets.

import AgentAPI
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

@Suite(.timeLimit(.minutes(2))) struct ListenerWaitsTests {
    @Test func aBlockedCallIsReadFromItsLine() {
        let call = BlockedCall(parsing: "288 0x5 0x0 0x0 0x80000 0x0 0x0 0x7ffd0 0x7f8e\n".utf8)
        #expect(call?.number == 288 && call?.first == 5)
        #expect(BlockedCall(parsing: "running\n".utf8) == nil)
        #expect(BlockedCall(parsing: "-1 0x7ffd0 0x7f8e\n".utf8) == nil)
        #expect(BlockedCall(parsing: "".utf8) == nil)
    }

    @Test func anEpollInstanceTellsWhatIsInIt() {
        let text = """
            pos:\t0
            flags:\t02000002
            tfd:        5 events:       19 data:                5  pos:0 ino:4a21 sdev:8
            tfd:        9 events:        4 data:                9
            """
        #expect(
            EpollEntry.entries(parsing: Array(text.utf8)) == [
                EpollEntry(descriptor: 5, isForReading: true, inode: 0x4a21), EpollEntry(descriptor: 9, isForReading: false, inode: nil),
            ])
    }

    @Test func mutatedLinesHarmNothing() {
        Mutations.run(seeds: [Array("7 0x7ffc 0x2 0x3e8 0x0 0x8 0x0 0x7 0x8\n".utf8), Array("tfd: 5 events: 19 data: 5  pos:0 ino:4a sdev:8\n".utf8)])
        {
            bytes in
            _ = BlockedCall(parsing: bytes)
            _ = EpollEntry.entries(parsing: bytes)
        }
    }

    /// How servers wait for connections, and how others wait that hold a listener too.
    @Test(arguments: [
        ("accept", "l.accept()", true), ("poll", "p = select.poll(); p.register(l, select.POLLIN); p.poll()", true),
        ("select", "select.select([l], [], [])", true), ("epoll", "p = select.epoll(); p.register(l, select.EPOLLIN); p.poll()", true),
        ("a pause", "signal.pause()", false), ("a sleep", "time.sleep(1000)", false),
        ("poll of others", "p = select.poll(); p.register(r, select.POLLIN); p.poll()", false),
        ("select of others", "select.select([r], [], [])", false),
        ("epoll of others", "p = select.epoll(); p.register(r, select.EPOLLIN); p.poll()", false),
    ]) func whatAProcessWaitsForIsSeen(how: String, words: String, isWaiting: Bool) throws {
        let folder = Folder()
        try folder.write(
            "import os, select, signal, socket, sys, time\nl = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(5)\nr, w = os.pipe()\nopen(sys.argv[1], 'w').close()\n\(words)\n",
            to: "server.py")
        let child = try Child("/usr/bin/python3", ["\(folder.path)/server.py", "\(folder.path)/ready"])
        defer { kill(child.pid, SIGKILL) }
        let proc = ProcFileSystem(root: "/")
        #expect(eventually { FileManager.default.fileExists(atPath: folder.path + "/ready") })
        let listeners = try SocketTable().listeners()
        var held: [Int32: UInt64] = [:]
        forEachSocket(in: proc.path(of: child.pid, "fd")) { descriptor, inode in
            if listeners[inode] != nil { held[descriptor] = inode }
            return true
        }
        #expect(held.count == 1)
        let expected = isWaiting ? ListenerWaits.Sample.at(Set(held.values)) : .elsewhere
        #expect(
            eventually { ListenerWaits(proc).sample(of: child.pid, held: held) == expected },
            "\(ListenerWaits(proc).sample(of: child.pid, held: held))")
    }
}

@Suite(.timeLimit(.minutes(2))) struct StrangersTests {
    /// Listens at a port that others may share, answers whatever it is asked with its pid, and writes down what it was sent.
    private static let server = """
        import os, socket, sys
        port, told, ready = int(sys.argv[1]), sys.argv[2], sys.argv[3]
        l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); l.bind(("127.0.0.1", port)); l.listen(64)
        open(ready + ".new", "w").write(str(l.getsockname()[1])); os.rename(ready + ".new", ready)
        while True:
            connection, _ = l.accept()
            request = b""
            while not request.endswith(b"\\r\\n\\r\\n"):
                more = connection.recv(4096)
                if not more: break
                request += more
            with open(told, "ab") as file: file.write(request)
            body = b"%032x" % os.getpid()
            try: connection.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
            except OSError: pass
            connection.close()
        """

    @Test func whoSharesThePortIsSeenAndAskedWithoutThePassword() throws {
        let folder = Folder()
        try folder.write(Self.server, to: "server.py")
        func start(_ name: String, port: String) throws -> Child {
            let child = try Child(
                "/usr/bin/python3", ["\(folder.path)/server.py", port, "\(folder.path)/\(name).told", "\(folder.path)/\(name).ready"])
            guard eventually({ FileManager.default.fileExists(atPath: "\(folder.path)/\(name).ready") }) else {
                throw SystemError("starting the server", code: ETIME)
            }
            return child
        }
        let own = try start("own", port: "0")
        defer { kill(own.pid, SIGKILL) }
        let stranger = try start("stranger", port: try String(contentsOfFile: "\(folder.path)/own.ready", encoding: .utf8))
        defer { kill(stranger.pid, SIGKILL) }

        let eyes = try OnLoop()
        let loop = eyes.loop
        let inspector = try eyes.run { LinuxServiceInspector(loop: loop) }
        let service = InspectedService(name: "web", mainProcess: own.pid, cgroup: nil)
        var heard: [Int32: WorkerAnswer.Content] = [:]
        var look = try eyes.run { inspector.look(at: service, known: []) }
        let found = try #require(look.processes.first { $0.mark.pid == stranger.pid })
        #expect(found.isStranger && found.isForeign && look.listeners.count == 1)
        for _ in 0..<40 where heard.count < 2 {
            let answers = Box<[WorkerAnswer]>()
            let isDone = Box<Bool>()
            answers.value = []
            let marks = look.processes.map(\.mark)
            try eyes.run { [look] in
                inspector.ask(
                    TokenQuestion(path: "/about/deploy", user: "about", password: Secret("correct-horse")), of: service, at: look, workers: marks,
                    { answers.value?.append($0) }, done: { _, _ in isDone.value = true })
            }
            #expect(eventually { isDone.value == true })
            for answer in answers.value ?? [] { heard[answer.mark.pid] = answer.content }
            look = try eyes.run { inspector.look(at: service, known: []) }
        }
        for pid in [own.pid, stranger.pid] { #expect(heard[pid] == .token(String(format: "%032x", pid))) }
        let told = try String(contentsOfFile: "\(folder.path)/stranger.told", encoding: .utf8)
        #expect(!told.contains("Authorization"))
        #expect(try String(contentsOfFile: "\(folder.path)/own.told", encoding: .utf8).contains("Authorization"))
    }
}
