import Foundation
import Platform
import Testing
import Transfer

@Suite struct TransferTests {
    let transfers = try! Transfers()
    let web: WebBed

    init() async throws { web = try await WebBed.shared }

    private func failure(_ request: HTTPRequest, with other: Transfers? = nil) async throws -> TransferError {
        let chosen = other ?? transfers
        do throws(TransferError) { _ = try await chosen.http(request) } catch { return error }
        throw Answered()
    }

    private struct Answered: Error {}

    @Test func anAnswerComesWithEverythingThatWasMeasured() async throws {
        let answer = try await transfers.http(request(web.url("/text/hello")))
        #expect(answer.status == 200)
        #expect(String(decoding: answer.body, as: UTF8.self) == "hello")
        #expect(answer.header("content-length") == "5")
        #expect(!answer.isTruncated)
        #expect(answer.remoteAddress == "127.0.0.1")
        #expect(answer.certificateExpiry == nil)
        #expect(answer.timings.tls == nil)
        let (connect, first, total) = (
            try #require(answer.timings.connect), try #require(answer.timings.firstByte), try #require(answer.timings.total)
        )
        #expect(connect <= first && first <= total && total < .seconds(5))
    }

    @Test func anyStatusIsAnAnswer() async throws {
        #expect(try await transfers.http(request(web.url("/status/503"))).status == 503)
    }

    @Test func methodHeadersBodyAndCredentialsGoOut() async throws {
        let answer = try await transfers.http(
            request(web.url("/echo/x")) { request in
                request.method = "PUT"
                request.headers = [("X-One", "1"), ("X-Empty", "")]
                request.body = Array("the body".utf8)
                request.credentials = Credentials(user: "me", password: Secret("pass"))
            })
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.hasPrefix("PUT /echo/x\n"))
        #expect(text.contains("X-One: 1\n"))
        #expect(text.contains("X-Empty: \n"))
        #expect(text.contains("Authorization: Basic \(Data("me:pass".utf8).base64EncodedString())\n"))
        #expect(text.contains("User-Agent: rollcall\n"))
        #expect(text.hasSuffix("\n\nthe body"))
    }

    @Test func aRedirectIsTheAnswerUnlessItIsFollowed() async throws {
        let answer = try await transfers.http(request(web.url("/redirects/2")))
        #expect(answer.status == 302)
        #expect(answer.header("Location") == "/redirects/1")
        let followed = try await transfers.http(request(web.url("/redirects/2")) { $0.redirects = 2 })
        #expect(followed.status == 200)
        #expect(String(decoding: followed.body, as: UTF8.self) == "arrived")
        #expect(followed.header("Location") == nil)
    }

    @Test func tooManyRedirectsAreAnError() async throws {
        #expect(try await failure(request(web.url("/redirects/3")) { $0.redirects = 2 }) == TransferError(.tooManyRedirects, "redirected too often"))
    }

    @Test func aRedirectLeadsToTheWebOnly() async throws {
        let error = try await failure(request(web.url("/redirect/file:///etc/passwd")) { $0.redirects = 2 })
        #expect(error.kind == .protocolError)
    }

    @Test func aRedirectToAnotherHostGetsNoPassword() async throws {
        let answer = try await transfers.http(
            request(web.url("/redirect/\(web.url("/echo", host: "localhost"))")) { request in
                request.redirects = 1
                request.credentials = Credentials(user: "me", password: Secret("pass"))
            })
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.hasPrefix("GET /echo"))
        #expect(!text.contains("Authorization"))
    }

    @Test func aHugeBodyIsCut() async throws {
        let answer = try await transfers.http(request(web.url("/huge")) { $0.maximumBody = 100_000 })
        #expect(answer.status == 200)
        #expect(answer.body.count == 100_000)
        #expect(answer.isTruncated)
    }

    @Test func aDrippingBodyDoesNotOutliveTheDeadline() async throws {
        let start = ContinuousClock.now
        let error = try await failure(request(web.url("/drip")) { $0.deadline = .milliseconds(500) })
        #expect(error == TransferError(.timedOut, "the answer was not complete within 0.5 s"))
        #expect(ContinuousClock.now - start < .seconds(3))
    }

    @Test func silenceIsATimeout() async throws {
        let error = try await failure(request(web.url("/slow/5")) { $0.deadline = .milliseconds(300) })
        #expect(error == TransferError(.timedOut, "no answer within 0.3 s"))
    }

    @Test func badServersGetTheirNames() async throws {
        #expect(try await failure(request("http://127.0.0.1:\(closedPort())/")) == TransferError(.connectionRefused, "connection refused"))
        #expect(try await failure(request(web.url("/close"))) == TransferError(.connectionLost, "the connection ended without an answer"))
        #expect(try await failure(request(web.url("/cut"))) == TransferError(.connectionLost, "the connection ended before the answer was complete"))
        #expect(try await failure(request(web.url("/garbage"))).kind == .protocolError)
        #expect(try await failure(request(web.url("/headers"))) == TransferError(.tooLarge, "more than 64 KiB of headers"))
        // No DNS server is asked for a name that cannot be one.
        let impossible = String(repeating: "x", count: 64) + ".example"
        let error = try await failure(request("http://\(impossible)/"))
        #expect(error == TransferError(.couldNotResolve, "no address for the name \(impossible)"))
    }

    @Test func slowTargetsDelayNoOther() async throws {
        try await withThrowingTaskGroup { group in
            for _ in 0..<30 {
                group.addTask { [transfers, web] in _ = try await transfers.http(request(web.url("/slow/9"))) }
            }
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            _ = try await transfers.http(request(web.url("/text/quick")))
            #expect(ContinuousClock.now - start < .seconds(4))
            group.cancelAll()
            while (try? await group.next()) != nil {}
        }
    }

    @Test func whoWaitsForATurnKeepsTheDeadline() async throws {
        let narrow = try Transfers(maximumAtOnce: 1)
        async let first = narrow.http(request(web.url("/slow/1")))
        try await Task.sleep(for: .milliseconds(100))
        let error = try await failure(request(web.url("/text/x")) { $0.deadline = .milliseconds(200) }, with: narrow)
        #expect(error == TransferError(.timedOut, "not begun within 0.2 s: too many transfers at once"))
        _ = try await first
    }

    @Test func waitingForATurnIsNotConnecting() async throws {
        let narrow = try Transfers(maximumAtOnce: 1)
        async let first = narrow.http(request(web.url("/slow/0.8")))
        try await Task.sleep(for: .milliseconds(100))
        let answer = try await narrow.http(request(web.url("/text/x")) { $0.connectTimeout = .milliseconds(300) })
        #expect(answer.status == 200)
        _ = try await first
    }

    @Test func cancellingTheTaskEndsTheTransfer() async throws {
        let start = ContinuousClock.now
        let task = Task { [transfers, web] in try await transfers.http(request(web.url("/slow/8"))) }
        try await Task.sleep(for: .milliseconds(100))
        task.cancel()
        let result = await task.result
        #expect(throws: TransferError(.cancelled, "cancelled")) { try result.get() }
        #expect(ContinuousClock.now - start < .seconds(4))
    }

    @Test func aShutdownEndsWhatRunsAndWhatComes() async throws {
        let closing = try Transfers()
        let task = Task { [web] in try await closing.http(request(web.url("/slow/8"))) }
        try await Task.sleep(for: .milliseconds(100))
        closing.shutdown()
        let result = await task.result
        #expect(throws: TransferError(.cancelled, "cancelled")) { try result.get() }
        #expect(try await failure(request(web.url("/text/x")), with: closing) == TransferError(.cancelled, "cancelled"))
    }

    @Test func manyTransfersShareTheThread() async throws {
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<400 {
                group.addTask { [transfers, web] in
                    try await transfers.http(
                        request(web.url("/text/\(number)")) { request in
                            request.freshConnection = number % 2 == 0
                            request.deadline = .seconds(60)
                            request.connectTimeout = .seconds(60)
                        }
                    ).status
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 == 200 ? 1 : 0 }
        }
        #expect(statuses == 400)
    }

    @Test func aCertificateMustBeTrustedAndOfThisHost() async throws {
        #expect(try await failure(request(web.tlsURL("/text/x"))).kind == .untrusted)
        let otherName = try await failure(
            request(web.tlsURL("/text/x", host: "127.0.0.1")) { [web] in $0.authorities = web.authority })
        #expect(otherName.kind == .untrusted)
        let unchecked = try await transfers.http(request(web.tlsURL("/text/x")) { $0.verifiesCertificate = false })
        #expect(unchecked.status == 200)
        #expect(try await failure(request(web.tlsURL("/text/x")) { $0.authorities = "/nowhere/ca.pem" }).kind == .badRequest)
    }

    @Test func aTrustedCertificateSaysWhenItExpires() async throws {
        let answer = try await transfers.http(
            request(web.tlsURL("/text/x")) { [web] request in
                request.authorities = web.authority
                request.freshConnection = true
            })
        let left = try #require(answer.certificateExpiry) - SystemTime().now().wall
        #expect(left > .seconds(86400) && left < .seconds(3 * 86400))
        #expect(answer.timings.tls != nil)
    }

    @Test func tlsWithOneWhoDoesNotSpeakItFails() async throws {
        let error = try await failure(request("https://127.0.0.1:\(web.plainPort)/"))
        #expect(error.kind == .tls)
    }

    @Test func anAddressCanBeGivenForAName() async throws {
        let answer = try await transfers.http(request(web.url("/echo", host: "shop.invalid")) { $0.address = "127.0.0.1" })
        #expect(String(decoding: answer.body, as: UTF8.self).contains("Host: shop.invalid:\(web.plainPort)\n"))
    }

    @Test(arguments: [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("X-A\n", "1"), ("", "1"), ("X:", "1")])
    func noHeaderBringsAnother(name: String, value: String) async throws {
        #expect(try await failure(request(web.url("/echo")) { $0.headers = [(name, value)] }).kind == .badRequest)
    }

    @Test(arguments: ["", "get", "GET / HTTP/1.1\r\nX", "G T"])
    func aMethodIsAWord(method: String) async throws {
        #expect(try await failure(request(web.url("/echo")) { $0.method = method }).kind == .badRequest)
    }
}

@Suite struct EndpointTests {
    @Test(arguments: [
        ("http://example.com", "http://example.com/", "example.com", 80),
        ("https://Example.com:8443/a?b=c#d", "https://Example.com:8443/a?b=c", "example.com", 8443),
        ("http://[::1]:81/", "http://[::1]:81/", "::1", 81),
    ])
    func aURLIsReadAsLibcurlReadsIt(text: String, shown: String, host: String, port: Int) throws {
        let (endpoint, credentials) = try Endpoint.parse(text)
        #expect(endpoint.text == shown)
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
        #expect(credentials == nil)
    }

    @Test func credentialsLeaveTheURL() throws {
        let (endpoint, credentials) = try Endpoint.parse("https://me:p%40ss@example.com/x")
        #expect(endpoint.text == "https://example.com/x")
        #expect(credentials == Credentials(user: "me", password: Secret("p@ss")))
    }

    @Test(arguments: [
        "", "example.com", "ftp://example.com", "http://", "http://a b/", "file:///etc/passwd", "http://h:99999/", "http://h/\n",
    ])
    func whatIsNoWebAddressIsRefused(text: String) {
        #expect(throws: EndpointError.self) { try Endpoint.parse(text) }
    }

    @Test(arguments: [
        ("http://localhost/", true), ("http://127.0.0.1/", true), ("http://127.9.9.9/", true), ("http://[::1]/", true), ("http://2130706433/", true),
        ("http://example.com/", false), ("http://127.0.0.1.example.com/", false), ("http://localhost.example.com/", false),
        ("http://128.0.0.1/", false),
    ])
    func loopbackIsThisMachine(text: String, expected: Bool) throws {
        #expect(try Endpoint.parse(text).0.isLoopback == expected)
    }
}
