// Workers that want to be asked in a way of their own: real processes, real sockets.

import AgentAPI
import DeployVerification
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

/// A server of one process that answers a token to one way of asking alone, and counts its questions.
private final class PickyServer {
    static let token = "0123456789abcdef0123456789abcdef"

    private static let script = """
        import os, socket, ssl, struct, sys, threading, time
        how, path, folder = sys.argv[1], sys.argv[2], sys.argv[3]
        TOKEN = b"0123456789abcdef0123456789abcdef"
        if path:
            listener = socket.socket(socket.AF_UNIX); listener.bind(path)
        else:
            listener = socket.socket(); listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        context = None
        if how == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
        times = []
        def log(text):
            with open(folder + "/log", "a") as file: file.write(text + "\\n")
        def say(status, body, head=b""):
            return b"HTTP/1.1 " + status + b"\\r\\n" + head + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body
        def http(connection):
            request = b""
            while b"\\r\\n\\r\\n" not in request:
                more = connection.recv(4096)
                if not more: return
                request += more
            lines = request.decode().split("\\r\\n")
            fields = dict((line.split(": ", 1) + [""])[:2] for line in lines[1:] if ": " in line)
            log(fields.get("Host", "") + " " + fields.get("X-Forwarded-Proto", "-"))
            if how == "proxy" and not lines[0].startswith("PROXY TCP4 127.0.0.1 127.0.0.1 "): return
            if how == "https" and fields.get("X-Forwarded-Proto") != "https":
                connection.sendall(say(b"301 Moved", b"", b"Location: https://" + fields["Host"].encode() + b"/about/deploy\\r\\n")); return
            if how == "host" and fields["Host"] != "app.example.com": connection.sendall(say(b"403 Forbidden", b"no")); return
            if how == "header" and fields.get("X-Door") != "open sesame": connection.sendall(say(b"403 Forbidden", b"no")); return
            if how == "limited":
                now = time.time(); times[:] = [t for t in times if t > now - 1]
                if len(times) >= 1: connection.sendall(say(b"429 Too Many", b"slow", b"Retry-After: 1\\r\\n")); return
                times.append(now)
            connection.sendall(say(b"200 OK", TOKEN))
            # Who does not close must not be waited for.
            if how == "kept": connection.settimeout(30); connection.recv(1)
        def uwsgi(connection):
            head = b""
            while len(head) < 4:
                more = connection.recv(4 - len(head))
                if not more: return
                head += more
            kind, size, _ = struct.unpack("<BHB", head)
            if kind: return
            rest = b""
            while len(rest) < size:
                more = connection.recv(size - len(rest))
                if not more: return
                rest += more
            words = []
            while rest:
                n = struct.unpack("<H", rest[:2])[0]; words.append(rest[2:2 + n].decode()); rest = rest[2 + n:]
            variables = dict(zip(words[::2], words[1::2]))
            log(variables["PATH_INFO"] + " " + variables.get("HTTP_AUTHORIZATION", "-"))
            connection.sendall(say(b"200 OK", TOKEN))
        def fastcgi(connection):
            params, done = b"", False
            def record():
                head = b""
                while len(head) < 8:
                    more = connection.recv(8 - len(head))
                    if not more: raise OSError
                    head += more
                version, kind, _, size, padding = struct.unpack(">BBHHB", head[:7])
                if version != 1: raise OSError
                body = b""
                while len(body) < size + padding: body += connection.recv(size + padding - len(body))
                return kind, body[:size]
            while True:
                kind, body = record()
                if kind == 4: params += body
                if kind == 5 and not body: break
            words = {}
            while params:
                n, m = params[0], params[1]; at = 2
                if m > 127: m = struct.unpack(">I", params[1:5])[0] & 0x7fffffff; at = 5
                words[params[at:at + n].decode()] = params[at + n:at + n + m].decode(); params = params[at + n + m:]
            log(words["SCRIPT_FILENAME"] + " " + words.get("HTTP_AUTHORIZATION", "-"))
            out = b"Content-Type: text/plain\\r\\n\\r\\n" + TOKEN if words["SCRIPT_FILENAME"] == "/srv/about.php" else b"Status: 404 Not Found\\r\\n\\r\\nFile not found."
            connection.sendall(struct.pack(">BBHHBB", 1, 6, 1, len(out), 0, 0) + out + struct.pack(">BBHHBB", 1, 3, 1, 8, 0, 0) + bytes(8))
        def serve(connection):
            try:
                if context: connection = context.wrap_socket(connection, server_side=True)
                (uwsgi if how == "uwsgi" else fastcgi if how == "fastcgi" else http)(connection)
            except OSError: pass
            finally: connection.close()
        open(folder + "/ready", "w").close()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
        """

    let folder = Folder()
    let service: InspectedService
    private let process: Child

    init(_ how: String, isUnix: Bool = false) async throws {
        try folder.write(Self.script, to: "server.py")
        if how == "tls" {
            let end = try await ChildProcess.run(
                "/bin/sh",
                [
                    "-c",
                    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout \(folder.path)/key.pem -out \(folder.path)/cert.pem -days 2 -subj /CN=app.example.com",
                ])
            guard end.status == 0 else { throw SystemError("making a certificate", code: EINVAL) }
        }
        process = try Child(
            "/usr/bin/python3", ["\(folder.path)/server.py", how, isUnix ? folder.path + "/socket" : "", folder.path])
        service = InspectedService(name: "web", mainProcess: process.pid, cgroup: nil)
        let ready = folder.path + "/ready"
        guard eventually({ FileManager.default.fileExists(atPath: ready) }) else { throw SystemError("starting the server", code: ETIME) }
    }

    var questions: [String] {
        ((try? String(contentsOfFile: folder.path + "/log", encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }
}

@Suite(.timeLimit(.minutes(2))) struct WorkerAskerTests {
    private let eyes: OnLoop
    private let inspector: LinuxServiceInspector

    init() throws {
        eyes = try OnLoop()
        let loop = eyes.loop
        inspector = try eyes.run { LinuxServiceInspector(loop: loop) }
    }

    /// One order to ask: the answers of its rounds.
    private func ask(_ server: PickyServer, _ question: TokenQuestion) throws -> [WorkerAnswer.Content] {
        let answers = Box<[WorkerAnswer.Content]>()
        let end = Box<Bool>()
        answers.value = []
        try eyes.run { [inspector] in
            let look = inspector.look(at: server.service, known: [])
            inspector.ask(
                question, of: server.service, at: look, workers: look.processes.map(\.mark), { answers.value?.append($0.content) },
                done: { _, _ in end.value = true })
        }
        #expect(eventually(within: 30) { end.value != nil })
        return answers.value ?? []
    }

    private func found(_ server: PickyServer) throws -> AskingWay? {
        try eyes.run { [inspector] in inspector.searches("web").first { $0.search.hasFound }?.search.way }
    }

    private let question = TokenQuestion(path: "/about/deploy")

    @Test func aWorkerThatSpeaksTLSIsAskedOverIt() async throws {
        let server = try await PickyServer("tls")
        #expect(try ask(server, question).last == .token(PickyServer.token))
        #expect(try found(server)?.isTLS == true)
        // It is known from now on.
        let before = server.questions.count
        #expect(try ask(server, question) == [.token(PickyServer.token)])
        #expect(server.questions.count == before + 1)
    }

    @Test func aCertificateIsJudgedWhereThatIsAsked() async throws {
        let server = try await PickyServer("tls")
        var question = question
        (question.tls, question.host) = (.verify, "app.example.com")
        let answers = try ask(server, question)
        #expect(!answers.contains(.token(PickyServer.token)))
        let tries = try eyes.run { [inspector] in inspector.searches("web").flatMap(\.search.tries).map(\.outcome.words) }
        #expect(tries.contains { $0.contains("its certificate is not trusted") }, "\(tries)")
        #expect(server.questions.isEmpty)
    }

    @Test func aRedirectToHTTPSIsFollowedByAHeaderOnly() async throws {
        let server = try await PickyServer("https")
        #expect(try ask(server, question).last == .token(PickyServer.token))
        #expect(try found(server)?.saysHTTPS == true)
        #expect(server.questions.count <= 3)
    }

    @Test func aNameFromOutsideIsUsed() async throws {
        let server = try await PickyServer("host")
        var question = question
        question.otherHosts = ["other.example.com", "app.example.com"]
        #expect(try ask(server, question).last == .token(PickyServer.token))
        #expect(try found(server)?.host == "app.example.com")
    }

    @Test func furtherHeadersAreSent() async throws {
        let server = try await PickyServer("header")
        var question = question
        question.headers = [TokenQuestion.Header(name: "X-Door", value: "open sesame")]
        #expect(try ask(server, question) == [.token(PickyServer.token)])
    }

    @Test(arguments: [false, true]) func theHeaderOfAProxyComesFirst(isUnix: Bool) async throws {
        let server = try await PickyServer("proxy", isUnix: isUnix)
        var question = question
        question.proxyHeader = .v1
        #expect(try ask(server, question) == [.token(PickyServer.token)])
    }

    @Test func aKeptConnectionCostsNoTime() async throws {
        let server = try await PickyServer("kept")
        let began = ContinuousClock.now
        #expect(try ask(server, question) == [.token(PickyServer.token)])
        #expect(ContinuousClock.now - began < .seconds(4))
    }

    @Test(arguments: [false, true]) func theUwsgiProtocolIsSpoken(isUnix: Bool) async throws {
        let server = try await PickyServer("uwsgi", isUnix: isUnix)
        let question = TokenQuestion(path: "/about/deploy", user: "about", password: Secret("horse"), language: .uwsgi)
        #expect(try ask(server, question) == [.token(PickyServer.token)])
        #expect(server.questions == ["/about/deploy Basic YWJvdXQ6aG9yc2U="])
    }

    @Test(arguments: [false, true]) func fastCGIIsSpoken(isUnix: Bool) async throws {
        let server = try await PickyServer("fastcgi", isUnix: isUnix)
        var question = TokenQuestion(path: "/about/deploy", user: "about", password: Secret("horse"), language: .fastcgi, script: "/srv/about.php")
        #expect(try ask(server, question) == [.token(PickyServer.token)])
        #expect(server.questions == ["/srv/about.php Basic YWJvdXQ6aG9yc2U="])
        question.script = nil
        guard case .other(let answer)? = try ask(server, question).last else {
            Issue.record("no answer")
            return
        }
        #expect(answer.status == 404)
    }

    @Test func aServiceThatHasHadEnoughIsLeftAloneForAMoment() async throws {
        let server = try await PickyServer("limited")
        #expect(try ask(server, question) == [.token(PickyServer.token)])
        let began = ContinuousClock.now
        guard case .other(let answer)? = try ask(server, question).last else {
            Issue.record("no answer")
            return
        }
        #expect(answer.status == 429 && answer.retryAfter == 1)
        #expect(try ask(server, question).last == .token(PickyServer.token))
        #expect(ContinuousClock.now - began >= .milliseconds(900))
    }
}

@Suite struct WorkerRequestTests {
    private let question = TokenQuestion(
        path: "/about/deploy?x=1", user: "about", password: Secret("horse"), headers: [TokenQuestion.Header(name: "X-Door", value: "open sesame")],
        script: "/srv/about.php")

    @Test(arguments: TokenQuestion.Language.allCases) func secretsAreInThePartThatIsHeldBack(language: TokenQuestion.Language) {
        let request = WorkerRequest(question, way: AskingWay(language: language, host: "app.example.com", saysHTTPS: true))
        let (first, held) = (String(decoding: request.first, as: UTF8.self), String(decoding: request.held, as: UTF8.self))
        #expect(!request.held.isEmpty)
        #expect(!first.contains("YWJvdXQ6aG9yc2U=") && held.contains("YWJvdXQ6aG9yc2U="))
        #expect(!first.contains("open sesame") && held.contains("open sesame"))
        #expect(first.contains("app.example.com") && first.contains("https"))
        let untrusted = String(decoding: request.heldWithoutSecrets, as: UTF8.self)
        #expect(!untrusted.contains("YWJvdXQ6aG9yc2U=") && !untrusted.contains("open sesame"))
        if language == .uwsgi { #expect(request.heldWithoutSecrets.count == request.held.count) }
    }

    @Test func anOwnHeaderReplacesTheUsualOne() {
        var question = question
        question.headers = [TokenQuestion.Header(name: "user-agent", value: "mine"), TokenQuestion.Header(name: "Authorization", value: "Bearer x")]
        let text = String(decoding: WorkerRequest(question, way: AskingWay(host: "a")).whole, as: UTF8.self)
        #expect(text.contains("user-agent: mine\r\n") && !text.contains("rollcall-agent"))
        #expect(text.contains("Authorization: Bearer x\r\n") && !text.contains("Basic"))
        #expect(text.hasPrefix("GET /about/deploy?x=1 HTTP/1.1\r\nHost: a\r\n") && text.hasSuffix("\r\n\r\n"))
    }

    @Test func proxyHeadersAreAsTheProtocolHasThem() {
        let ends = (
            local: [UInt8](arrayLiteral: 127, 0, 0, 1), localPort: UInt16(5), remote: [UInt8](arrayLiteral: 127, 0, 0, 2), remotePort: UInt16(258)
        )
        #expect(proxyHeader(.v1, from: ends) == Array("PROXY TCP4 127.0.0.1 127.0.0.2 5 258\r\n".utf8))
        let second = proxyHeader(.v2, from: ends)
        #expect(second.suffix(16) == [0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 2, 0, 5, 1, 2])
        let six = [UInt8](repeating: 0, count: 15) + [1]
        #expect(proxyHeader(.v1, from: (six, 5, six, 6)) == Array("PROXY TCP6 ::1 ::1 5 6\r\n".utf8))
        #expect(proxyHeader(.v2, from: (six, 5, six, 6)).count == 16 + 36)
    }
}
