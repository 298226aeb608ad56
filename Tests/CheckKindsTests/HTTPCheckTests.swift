import Checks
import Foundation
import Testing
import Transfer

@testable import CheckKinds

@Suite struct HTTPCheckTests {
    let transfers = try! Transfers()
    let web: WebBed

    init() async throws { web = try await WebBed.shared }

    private func check(_ settings: [String: Setting]) throws -> any Probe {
        let kind = try #require(checkKinds(transfers: transfers).first { $0.word == "http" })
        return try kind.makeProbe(settings).get()
    }

    private func outcome(_ path: String, _ settings: [String: Setting] = [:], deadline: Duration = .seconds(10)) async throws -> ProbeOutcome {
        try await check(settings.merging(["url": .text(web.url(path))]) { $1 }).run(deadline: deadline)
    }

    private func faults(_ settings: [String: Setting]) -> [String] {
        guard case .failure(let errors) = HTTPCheck.read(settings, transfers: transfers) else { return [] }
        return errors.all.map(\.description)
    }

    @Test func aGoodAnswerPassesAndSaysHowLongItTook() async throws {
        let outcome = try await outcome("/text/status:ok", ["matches": .text("status:\\s*ok")])
        #expect(outcome.hasPassed)
        #expect(try Regex(#"answered 200 in \d+ ms"#).wholeMatch(in: outcome.text) != nil)
    }

    @Test(
        arguments: [
            ("/status/503", [:], "answered 503, expected 2xx"),
            ("/status/404", ["status": .list([.text("200"), .text("301"), .text("302")])], "answered 404, expected 200, 301 or 302"),
            ("/redirects/1", ["redirects": .text("0"), "status": .text("200-204")], "answered 302, expected 200-204"),
            ("/redirects/9", [:], "redirected too often"),
            ("/text/fine", ["matches": .text("status: ok")], "the body does not match /status: ok/"),
            ("/huge", ["matches": .text("y"), "max_bytes": .text("5000")], "the first 5000 bytes of the body does not match /y/"),
            ("/text/Fatal%20error", ["does_not_match": .text("(?i)fatal")], "the body matches /(?i)fatal/"),
            ("/close", [:], "the connection ended without an answer"),
        ] as [(String, [String: Setting], String)])
    func aBadAnswerSaysWhatIsWrong(path: String, settings: [String: Setting], reason: String) async throws {
        #expect(try await outcome(path, settings) == .failed(reason: reason))
    }

    @Test func statusesCanBeAnyThatAreNamed() async throws {
        #expect(try await outcome("/status/418", ["status": .list([.text("2xx"), .text("418")])]).hasPassed)
        #expect(try await outcome("/redirects/5").hasPassed)
        #expect(try await outcome("/status/204", ["method": .text("head")]).hasPassed)
    }

    @Test func nobodyThereAndNobodyAnswering() async throws {
        let refused = try await check(["url": .text("http://127.0.0.1:\(closedPort())/")]).run(deadline: .seconds(5))
        #expect(refused == .failed(reason: "no connection: connection refused"))
        #expect(try await outcome("/slow/5", deadline: .milliseconds(400)) == .failed(reason: "no answer within 0.4 s"))
    }

    @Test func certificatesAreCheckedUnlessToldOtherwise() async throws {
        let url = Setting.text(web.tlsURL("/text/x"))
        #expect(try await !check(["url": url]).run(deadline: .seconds(10)).hasPassed)
        #expect(try await check(["url": url, "verify": .text("no")]).run(deadline: .seconds(10)).hasPassed)
        #expect(try await check(["url": url, "ca_file": .text(web.authority)]).run(deadline: .seconds(10)).hasPassed)
    }

    @Test func theSummaryHoldsNoSecrets() throws {
        let check = try check(["url": .text("https://example.com/a?key=secret"), "matches": .text("ok"), "status": .text("200")])
        #expect(check.summary == "GET https://example.com/a?... is 200 and matches /ok/")
    }

    @Test(
        arguments: [
            ([:], ["url is missing"]),
            (["url": .text("example.com")], ["url must begin with http:// or https://"]),
            (["url": .text("http://me:pass@localhost/")], ["url must not hold a user or password: use user and password_file"]),
            (
                ["url": .text("http://localhost/"), "matches": .text("a(b")],
                ["matches is not a regular expression: missing closing parenthesis, at byte 3"]
            ),
            (
                ["url": .text("http://localhost/"), "status": .text("ok"), "redirects": .text("many"), "verify": .text("maybe")],
                [
                    "status must be codes from 100 to 599: 200, 2xx, 200-204, or a list of these", "redirects must be a whole number from 0 to 30",
                    "verify must be yes or no",
                ]
            ),
            (
                ["url": .text("http://localhost/"), "headers": .map(["A": .text("1\n2")])],
                ["headers.A holds a line break or another character that headers cannot hold"]
            ),
            (["url": .text("http://localhost/"), "user": .text("me")], ["password_file is missing: user needs one"]),
            (["url": .text("http://localhost/"), "methode": .text("GET")], ["methode is not a setting here"]),
            (["url": .list([])], ["url must be one value, not a list or a map"]),
            (
                ["url": .text("http://localhost/"), "method": .text("HEAD"), "matches": .text("x")],
                ["method HEAD brings no body that a pattern could match"]
            ),
        ] as [([String: Setting], [String])])
    func everyFaultIsNamed(settings: [String: Setting], expected: [String]) {
        #expect(faults(settings) == expected)
    }

    @Test func aPasswordTravelsEncryptedOrNotAtAll() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-password-\(getpid())").path
        _ = FileManager.default.createFile(atPath: file, contents: Data("secret\n".utf8), attributes: [.posixPermissions: 0o600])
        defer { try? FileManager.default.removeItem(atPath: file) }
        let login: [String: Setting] = ["user": .text("me"), "password_file": .text(file)]
        #expect(faults(login.merging(["url": .text("http://example.com/")]) { $1 }) == ["url must be https: the password would travel in the clear"])
        #expect(faults(login.merging(["url": .text("https://example.com/")]) { $1 }).isEmpty)
        #expect(faults(login.merging(["url": .text("http://localhost/")]) { $1 }).isEmpty)
    }
}
