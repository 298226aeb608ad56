import AgentCore
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
        TalkerConfiguration(host: "app-1", version: "1", interval: .seconds(10), stateFolder: "\(folder.path)/state", endpoint: endpoint)
    }

    /// A talker with an endpoint, a unit that carries a token and one that is down.
    private func withEndpoint(
        certificates: Certificates? = nil, limits: DeployEndpoint.Limits = .init(), _ body: (_ talker: Talker, _ port: Int) async throws -> Void
    ) async throws {
        let endpoint = TalkerConfiguration.Endpoint(
            port: 0, user: "about", password: Secret("open sesame"), certificateFile: certificates?.certificate, keyFile: certificates?.key)
        let talker = try Talker(
            configuration: configuration(endpoint), logger: log.logger, time: SystemTime(), timing: .init(), limits: limits)
        defer { talker.stop() }
        try folder.write(token + "\n", to: "release/TOKEN")
        let child = try Child("/bin/sleep", "100", in: "\(folder.path)/release")
        talker.start()
        talker.mainProcess(of: "puma.service", is: try child.identity)
        talker.mainProcess(of: "app@a-b.service", is: try child.identity)
        talker.mainProcess(of: "cron.service", is: nil)
        try await eventually { talker.endpointAddress != nil }
        try await body(talker, try #require(talker.endpointAddress?.port))
        withExtendedLifetime(child) {}
    }

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
        ("/about/deploy/cron", 200, "down"), ("/about/deploy/sshd", 404, "No unit of this name is watched here."),
        ("/about/deploy/", 404, "There is nothing here; ask for /about/deploy/UNIT."),
        ("/about/deploy", 404, "There is nothing here; ask for /about/deploy/UNIT."),
        ("/", 404, "There is nothing here; ask for /about/deploy/UNIT."),
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
        let talker = try Talker(
            configuration: configuration(.init(port: taken.port, user: "about", password: Secret("p"))), logger: log.logger)
        defer { talker.stop() }
        talker.start()
        try await eventually { log.count("the deploy endpoint cannot listen; it keeps trying") == 1 }
        #expect(log.lines.last { $0.level == .error }?.metadata["why"] == "Address already in use")
        taken.stop()
        try await eventually { talker.endpointAddress != nil }
    }
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
