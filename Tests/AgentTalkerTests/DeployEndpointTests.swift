import AgentAPI
import AgentCore
import DeployVerification
import Foundation
import Logging
import NIOCore
import Platform
import TestKit
import Testing

@testable import AgentTalker

private let token = "0123456789abcdef0123456789abcdef"
private let authorization = "Authorization: Basic \(base64(Array("about:open sesame".utf8)))\r\n"

@Suite struct DeployEndpointTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws { folder = try TemporaryFolder() }

    private func configuration(_ endpoint: TalkerConfiguration.Endpoint?) -> TalkerConfiguration {
        TalkerConfiguration(
            host: "app-1", version: "1", interval: .seconds(10), stateFolder: "\(folder.path)/state", endpoint: endpoint,
            deploySocket: .init(path: "\(folder.path)/run/deploy.sock"))
    }

    /// A talker with an endpoint and a socket, services that carry a token and one that is down.
    private func withEndpoint(
        certificates: Certificates? = nil, limits: DeployEndpoint.Limits = .init(), _ body: (_ talker: Talker, _ port: Int) async throws -> Void
    ) async throws {
        let endpoint = TalkerConfiguration.Endpoint(
            port: 0, user: "about", password: Secret("open sesame"), certificateFile: certificates?.certificate, keyFile: certificates?.key)
        let deploys = try deployThread()
        #expect(deploys.start())
        defer { deploys.finish() }
        let talker = try Talker(
            configuration: configuration(endpoint), logger: log.logger, time: SystemTime(), timing: .init(), limits: limits, deploys: deploys)
        defer { talker.stop() }
        talker.start()
        try await eventually { talker.endpointAddress != nil && talker.isDeploySocketOpen }
        try await body(talker, try #require(talker.endpointAddress?.port))
    }

    private func deployThread() throws -> DeployThread {
        let watched = ["puma.service": 17, "app@a-b.service": 18, "cron.service": nil as Int32?]
        let surroundings = DeployThread.Surroundings(
            host: "app-1", boot: "boot", file: "\(folder.path)/deploys.json",
            find: { name, found in
                guard name != "hung" else { return }
                guard let unit = [name, name + ".service"].first(where: { watched.keys.contains($0) }) else { return found(nil) }
                found(WatchedService(InspectedService(name: unit, mainProcess: watched[unit] ?? nil, cgroup: nil), initSystem: "systemd"))
            },
            list: { $0(watched.keys.sorted()) }, windows: .none, judged: { [judged] in judged.add($0) }, tell: { _ in })
        return try DeployThread(surroundings, question: { _ in nil }) { _ in Eyes() }
    }

    private let judged = Judged()

    private func ask(_ port: Int, _ path: String, method: String = "GET", fields: String = authorization) throws -> HTTPText {
        try HTTPText(exchange(port, "\(method) \(path) HTTP/1.1\r\nHost: x\r\n\(fields)\r\n"))
    }

    @Test func theTokenAndNothingElse() async throws {
        try await withEndpoint { (_, port) async throws in
            let answer = try ask(port, "/about/deploy/puma")
            #expect(answer.status == 200)
            #expect(answer.body == token)
            #expect(answer.fields["content-type"] == "text/plain; charset=us-ascii")
            #expect(answer.fields["cache-control"] == "no-store")
            #expect(answer.fields["connection"] == "close")
            #expect(answer.fields["content-length"] == "32")
        }
    }

    @Test(arguments: [
        ("/about/deploy/puma.service", 200, token), ("/about/deploy/pum%61?now=1", 200, token), ("/about/deploy/app%40a-b", 200, token),
        ("/about/deploy/cron", 200, "down"), ("/about/deploy/sshd", 404, "nobody watches a service sshd on this host"),
        ("/services/puma/deploy", 200, token), ("/about/deploy/", 404, "There is nothing here; ask for /about/deploy/SERVICE."),
        ("/about/deploy", 404, "more than one of the 3 services here carries a token; ask for /about/deploy/SERVICE"),
        ("/", 404, "There is nothing here; ask for /about/deploy/SERVICE."),
        ("/about/deploy/%zz", 400, "This is not a request that can be understood."),
        ("/about/deploy/%f", 400, "This is not a request that can be understood."),
        ("/about/deploy/%ff", 400, "This is not a request that can be understood."),
    ])
    func pathsAreAnswered(_ path: String, _ status: Int, _ body: String) async throws {
        try await withEndpoint { (_, port) async throws in
            let answer = try ask(port, path)
            #expect(answer.status == status)
            #expect(answer.body == body)
        }
    }

    @Test func aHeadIsAnAnswerWithoutBody() async throws {
        try await withEndpoint { (_, port) async throws in
            let answer = try ask(port, "/about/deploy/puma", method: "HEAD")
            #expect(answer.status == 200)
            #expect(answer.body == "")
            #expect(answer.fields["content-length"] == "32")
        }
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
    func otherMethodsAreNotAllowed(_ method: String) async throws {
        try await withEndpoint { (_, port) async throws in
            let answer = try ask(port, "/about/deploy/puma", method: method, fields: authorization + "Content-Length: 0\r\n")
            #expect(answer.status == 405)
            #expect(answer.fields["allow"] == "GET, HEAD")
        }
    }

    @Test func nobodyWithoutThePasswordLearnsAnything() async throws {
        try await withEndpoint { (_, port) async throws in
            let wrong = [
                "", "Authorization: Basic\r\n", "Authorization: Bearer x\r\n", "Authorization: Basic \(base64(Array("about:open".utf8)))\r\n",
                "Authorization: Basic \(base64(Array("root:open sesame".utf8)))\r\n", authorization + authorization,
            ]
            for fields in wrong {
                for path in ["/about/deploy/puma", "/about/deploy/sshd", "/"] {
                    let answer = try ask(port, path, fields: fields)
                    #expect(answer.status == 401 || answer.status == 429)
                    #expect(!answer.body.contains(token))
                    if answer.status == 401 { #expect(answer.fields["www-authenticate"] == "Basic realm=\"rollcall\", charset=\"UTF-8\"") }
                }
            }
            #expect(!log.text.contains("sesame"))
        }
    }

    @Test func guessesAreSlowedDown() async throws {
        try await withEndpoint { (_, port) async throws in
            let guess = "Authorization: Basic \(base64(Array("about:guess".utf8)))\r\n"
            let statuses = try (0..<12).map { _ in try ask(port, "/about/deploy/puma", fields: guess).status }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 })
            #expect(statuses.contains(429))
            #expect(try ask(port, "/about/deploy/puma").status == 429)  // the right one neither: that would tell
            try await Task.sleep(for: .milliseconds(1100))
            #expect(try ask(port, "/about/deploy/puma").status == 200)
        }
    }

    @Test func askingWithoutAPasswordIsNoGuess() async throws {
        try await withEndpoint { (_, port) async throws in
            for _ in 0..<30 { #expect(try ask(port, "/about/deploy/puma", fields: "").status == 401) }
            #expect(try ask(port, "/about/deploy/puma").status == 200)
        }
    }

    @Test(arguments: [
        "rubbish\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nbad field\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ])
    func brokenRequestsAreSaidToBeBroken(_ request: String) async throws {
        try await withEndpoint { (_, port) async throws in
            #expect(try HTTPText(exchange(port, request)).status == 400)
            #expect(try ask(port, "/about/deploy/puma").body == token)
        }
    }

    @Test func arbitraryBytesDoNoHarm() async throws {
        try await withEndpoint { (_, port) async throws in
            var random = Reproducible(seed: 7)
            let valid = Array("GET /about/deploy/puma HTTP/1.1\r\nHost: x\r\n\(authorization)\r\n".utf8)
            for _ in 0..<300 {
                var request = valid
                for _ in 0...Int.random(in: 0...3, using: &random) {
                    request[Int.random(in: 0..<request.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                _ = try exchange(port, bytes: request, shutting: true)
            }
            try await Task.sleep(for: .milliseconds(1100))
            #expect(try ask(port, "/about/deploy/puma").body == token)
        }
    }

    @Test func aRequestThatDoesNotEndIsCutOff() async throws {
        try await withEndpoint { (_, port) async throws in
            let long = String(repeating: "x", count: 5000)
            let fields = (0..<5).map { "X-\($0): \(long)\r\n" }.joined()
            let answer = try exchange(port, "GET /about/deploy/puma HTTP/1.1\r\n\(authorization)\(fields)\r\n")
            #expect(["400", "431", ""].contains(String(answer.dropFirst(9).prefix(3))))
            #expect(!answer.contains(token))
        }
    }

    @Test func connectionsAreBoundedInNumberAndTime() async throws {
        try await withEndpoint(limits: .init(listener: .init(connections: 4, time: .seconds(3)))) { (_, port) async throws in
            let idle = try (0..<4).map { _ in try connect(port) }
            try await Task.sleep(for: .milliseconds(100))
            #expect(try exchange(port, "GET / HTTP/1.1\r\n\r\n") == "")
            try await Task.sleep(for: .milliseconds(3500))
            #expect(try ask(port, "/about/deploy/puma").body == token)
            for socket in idle { close(socket) }
        }
    }

    // MARK: Programs

    /// What curl hears on the socket.
    private func curl(_ path: String, _ arguments: String...) throws -> (status: Int, body: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments =
            ["-sS", "-m", "20", "--unix-socket", "\(folder.path)/run/deploy.sock", "-w", "\n%{http_code}"] + arguments + ["http://agent\(path)"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
    }

    private func preparation(_ id: String, _ service: String = "puma", token: String = String(repeating: "ab", count: 16)) -> String {
        DeployPreparation(id: id, service: service, token: token).json.text
    }

    @Test func aDeployIsPreparedJudgedAndOverOnTheSocket() async throws {
        try await withEndpoint { (_, port) async throws in
            let prepared = try curl("/v1/prepare", "-d", preparation("d-1"))
            #expect(prepared.status == 200)
            #expect(try DeployPrepared(JSON(parsing: prepared.body)).service == "puma.service")
            let other = try curl("/v1/prepare", "-d", preparation("d-2"))
            #expect(other.status == 409)
            #expect(try JSON(parsing: other.body)["problem"]?.string?.contains("d-1") == true)
            let verdict = try curl("/v1/verify", "-d", #"{"deploy_id":"d-1","timeout_ms":300,"settle_ms":0}"#)
            #expect(verdict.status == 200)
            let states = try verdict.body.split(separator: "\n").map { try HostDeploy(JSON(parsing: String($0))) }
            #expect(states.last?.isFinal == true)
            #expect(states.last?.state == .stale)
            #expect(states.dropLast().allSatisfy { !$0.isFinal })
            #expect(judged.states == [.stale])
            #expect(try curl("/v1/prepare", "-d", preparation("d-3")).status == 200)
            #expect(try curl("/v1/cancel", "-d", #"{"deploy_id":"d-3"}"#).body == "{}")
            #expect(try curl("/v1/prepare", "-d", preparation("d-4")).status == 200)
            #expect(try curl("/v1/cancel", "-d", #"{"deploy_id":"d-9"}"#).status == 404)
            // Who has no password does none of it from afar.
            #expect(try ask(port, "/v1/prepare", method: "POST", fields: "Content-Length: 2\r\n").status == 401)
        }
    }

    @Test func statusAndFactsAreInJSON() async throws {
        try await withEndpoint { (_, _) async throws in
            let all = try JSON(parsing: try curl("/v1/status").body)
            #expect(all["services"]?.array?.count == 3)
            #expect(try HostDeploy(JSON(parsing: try curl("/v1/status/puma").body)).service == "puma.service")
            #expect(try HostDeploy(JSON(parsing: try curl("/about/deploy/puma.json").body)).state == .unproven)
            let facts = try JSON(parsing: try curl("/v1/inspect/puma").body)
            #expect(facts["init"]?.string == "systemd")
            #expect(facts["unit"]?.string == "puma.service")
        }
    }

    @Test func howWorkersAreAskedIsFoundOut() async throws {
        try await withEndpoint { (_, port) async throws in
            let answer = try curl("/v1/ask", "-d", #"{"service":"puma","question":{"path":"/about/deploy"},"hosts":["app.example.com"]}"#)
            #expect(answer.status == 200)
            let report = try AskingReport(JSON(parsing: answer.body))
            #expect(report.service == "puma" && report.path == "/about/deploy")
            #expect(try curl("/v1/ask", "-d", #"{"service":"sshd"}"#).status == 404)
            #expect(try curl("/v1/ask", "-d", #"{"service":"puma","hosts":["a/b"]}"#).status == 400)
            #expect(try ask(port, "/v1/ask", method: "POST", fields: "Content-Length: 2\r\n").status == 401)
        }
    }

    @Test(
        arguments: [
            ("/v1/prepare", ["-d", "{"], 400), ("/v1/prepare", ["-d", "{}"], 400), ("/v1/prepare", ["-X", "POST"], 400),
            ("/v1/verify", ["-d", #"{"deploy_id":"d-5"}"#], 404), ("/v1/verify", ["-d", "[]"], 400), ("/v1/cancel", ["-d", "{}"], 400),
            ("/v1/prepare", [], 405), ("/v1/status/sshd", [], 404), ("/v1/inspect/sshd", [], 404), ("/v1/else", [], 404), ("/v1/status/%zz", [], 400),
            ("/v1/prepare", ["-d", String(repeating: "x", count: 70_000)], 413),
        ] as [(String, [String], Int)])
    func whatMakesNoSenseIsSaid(_ path: String, _ arguments: [String], _ status: Int) async throws {
        try await withEndpoint { (_, _) async throws in
            let answer =
                switch arguments.count {
                case 0: try curl(path)
                default: try curl(path, arguments[0], arguments[1])
                }
            #expect(answer.status == status)
            if path != "/v1/else" { #expect(try JSON(parsing: answer.body)["problem"]?.string?.isEmpty == false) }
        }
    }

    @Test func aDeskThatHangsIsSaid() async throws {
        var limits = DeployEndpoint.Limits()
        limits.pages.answer = .milliseconds(300)
        try await withEndpoint(limits: limits) { (_, _) async throws in
            #expect(try curl("/about/deploy/hung").status == 503)
            #expect(try curl("/v1/status/hung").status == 503)
            #expect(try curl("/v1/prepare", "-d", preparation("d-1", "hung")).status == 503)
        }
    }

    @Test func verdictsThatNobodyWaitsForAreGivenUp() async throws {
        var limits = DeployEndpoint.Limits()
        limits.pages.streams = 2
        try await withEndpoint(limits: limits) { (_, port) async throws in
            let body = #"{"service":"puma","token":"\#(String(repeating: "cd", count: 16))","timeout_ms":60000}"#
            let request = "POST /v1/verify HTTP/1.1\r\nHost: x\r\n\(authorization)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            let clients = try (0..<2).map { _ in
                let socket = try connect(port)
                _ = send(socket, request, request.utf8.count, Int32(MSG_NOSIGNAL))
                var some = [UInt8](repeating: 0, count: 64)
                #expect(recv(socket, &some, some.count, 0) > 0)
                return socket
            }
            #expect(try curl("/v1/verify", "-d", body).status == 429)
            for client in clients { close(client) }
            try await eventually { try curl("/v1/verify", "-m", "1", "-d", body).status == 200 }
        }
    }

    @Test func itSpeaksTLS() async throws {
        let certificates = try Certificates(for: "IP:127.0.0.1")
        try await withEndpoint(certificates: certificates) { (_, port) async throws in
            let url = "https://127.0.0.1:\(port)/about/deploy/puma"
            #expect(try run("curl", "-sS", "--cacert", certificates.authority, "-u", "about:open sesame", url) == token)
            #expect(try exchange(port, "GET /about/deploy/puma HTTP/1.1\r\n\(authorization)\r\n").contains(token) == false)
        }
    }

    @Test func aReloadChangesThePasswordAndThePlace() async throws {
        try await withEndpoint { (talker, port) async throws in
            try talker.reconfigure(configuration(.init(port: 0, user: "about", password: Secret("another"))))
            try await eventually { try ask(port, "/about/deploy/puma").status == 401 }
            #expect(talker.endpointAddress?.port == port)
            try talker.reconfigure(configuration(nil))
            try await eventually { talker.endpointAddress == nil }
            #expect(throws: Unexpected.self) { try connect(port) }
        }
    }

    @Test func anAddressThatIsTakenIsWaitedFor() async throws {
        let taken = try FakeAggregator()
        let deploys = try deployThread()
        #expect(deploys.start())
        defer { deploys.finish() }
        let talker = try Talker(
            configuration: configuration(.init(port: taken.port, user: "about", password: Secret("p"))), logger: log.logger, deploys: deploys)
        defer { talker.stop() }
        talker.start()
        try await eventually { log.count("the deploy endpoint cannot listen; it keeps trying") == 1 }
        #expect(log.lines.last { $0.level == .error }?.metadata["why"] == "Address already in use")
        taken.stop()
        try await eventually { talker.endpointAddress != nil }
    }
}

/// What was judged for good.
private final class Judged: @unchecked Sendable {
    private let lock = NSLock()
    private var heard: [Verdict] = []
    var states: [Verdict] { lock.withLock { heard } }
    func add(_ deploy: HostDeploy) { lock.withLock { heard.append(deploy.state) } }
}

/// Sees one worker for each main process, born with one token.
private final class Eyes: ServiceExaminer {
    func look(at service: InspectedService, known: [ServiceListener]) -> ServiceLook {
        var look = ServiceLook(at: SystemTime().now().uptime)
        guard let pid = service.mainProcess else { return look }
        look.listeners = [ServiceListener(inode: 1, address: .tcp(address: "127.0.0.1", port: 8080))]
        look.processes = [
            ServiceProcess(
                mark: ProcessMark(pid: pid, startTicks: 100, generation: .code(1)), parent: 1, command: "puma", state: UInt8(ascii: "S"),
                listeners: [1])
        ]
        return look
    }

    func ask(
        _ question: TokenQuestion, of service: InspectedService, at look: ServiceLook, workers: [ProcessMark],
        _ heard: @escaping (WorkerAnswer) -> Void, done: @escaping (_ unaccepted: Int, _ refused: Int) -> Void
    ) { done(0, 0) }

    func watch(_ service: InspectedService, _ happened: @escaping (ProcessIncident) -> Void) {}
    func unwatch(_ service: String) {}
    func probe(_ order: AvailabilityOrder, of service: InspectedService, listeners: [ServiceListener]) {}
    func availability(of service: String) -> Availability? { nil }
    func stopProbe(of service: String) {}
    func releaseToken(of mark: ProcessMark) -> BirthToken { .token(token) }
    func notice(_ pid: Int32, before: Timestamp?) {}
    func examine(_ service: InspectedService) -> ServiceFacts { ServiceFacts(service: service.name, mainProcess: service.mainProcess) }
}

// MARK: A client that sends what it is told

private struct HTTPText {
    var status: Int
    var fields: [String: String]
    var body: String

    init(_ text: String) throws {
        guard let end = text.range(of: "\r\n\r\n"), text.hasPrefix("HTTP/1.1 "), let status = Int(text.dropFirst(9).prefix(3)) else {
            throw Unexpected("no answer: \(text)")
        }
        self.status = status
        body = String(text[end.upperBound...])
        fields = [:]
        for line in text[..<end.lowerBound].components(separatedBy: "\r\n").dropFirst() {
            let parts = line.components(separatedBy: ": ")
            fields[parts[0].lowercased()] = parts.dropFirst().joined(separator: ": ")
        }
    }
}

private func connect(_ port: Int) throws -> Int32 {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard result == 0 else {
        close(socket)
        throw Unexpected("cannot connect to \(port)")
    }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    return socket
}

private func exchange(_ port: Int, _ text: String) throws -> String {
    String(decoding: try exchange(port, bytes: Array(text.utf8), shutting: false), as: UTF8.self)
}

private func exchange(_ port: Int, bytes: [UInt8], shutting: Bool) throws -> [UInt8] {
    let socket = try connect(port)
    defer { close(socket) }
    _ = send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    if shutting { shutdown(socket, Int32(SHUT_WR)) }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = recv(socket, &chunk, chunk.count, 0)
        guard count > 0 else { return answer }
        answer += chunk[..<count]
    }
}
