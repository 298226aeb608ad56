// Passwords, waiting and origins, as values.

import AggregatorCore
import Logging
import Platform
import Testing

@testable import Dashboard

@Suite struct PasswordHashTests {
    @Test func theRightPasswordMatches() throws {
        let hash = PasswordHash(of: "correct horse", cost: cheap)
        #expect(hash.matches("correct horse"))
        #expect(!hash.matches("correct horsf"))
        #expect(!hash.matches(""))
        #expect(try #require(PasswordHash(hash.text)).matches("correct horse"))
    }

    @Test func theSamePasswordHasAnotherHashEveryTime() {
        #expect(PasswordHash(of: "correct horse", cost: cheap) != PasswordHash(of: "correct horse", cost: cheap))
    }

    /// Made with Python's `hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=1024, r=8, p=1, dklen=32)`.
    @Test func itIsScrypt() throws {
        let text = "$scrypt$ln=10,r=8,p=1$536f6469756d43686c6f72696465$54173687d265e43226bd914b015267e2fdd4108aa05937fb549eceb0c276a285"
        #expect(try #require(PasswordHash(text)).matches("pleaseletmein"))
    }

    @Test(arguments: [
        "", "plain", "$scrypt$ln=4,r=8,p=1$00$00", "$scrypt$ln=40,r=8,p=1$0011223344556677$\(String(repeating: "0", count: 64))",
        "$scrypt$ln=4,r=8$0011223344556677$\(String(repeating: "0", count: 64))", "$argon2$ln=4,r=8,p=1$0011223344556677$00",
        "$scrypt$ln=4,r=8,p=1$001122334455667$\(String(repeating: "0", count: 64))",
    ])
    func otherTextIsNoHash(text: String) { #expect(PasswordHash(text) == nil) }

    @Test func nobodyHasNoPassword() async {
        let hashing = PasswordHashing(cost: cheap)
        #expect(await hashing.matches("", nil) == false)
        #expect(await hashing.matches("x", "not a hash") == false)
    }

    @Test func theStandardCostFitsTheLibrary() { #expect(PasswordHash(of: "x", cost: .standard).key.count == 32) }
}

@Suite struct LoginThrottleTests {
    private let ada = [LoginThrottle.Key.address("192.0.2.1"), .name("ada")]

    @Test func fiveAttemptsAreFreeAndThenEachWaitIsLonger() {
        var throttle = LoginThrottle()
        var now = Duration.seconds(1000)
        for _ in 1...5 { #expect(throttle.attempt(ada, at: now) == .goAhead) }
        #expect(throttle.attempt(ada, at: now) == .wait(.seconds(1)))
        var waits: [Int64] = []
        for _ in 1...11 {
            guard case .wait(let wait) = throttle.attempt(ada, at: now) else { break }
            waits.append(wait.components.seconds)
            now += wait
            #expect(throttle.attempt(ada, at: now) == .goAhead)
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900])
    }

    @Test func aNameWaitsAMinuteAtMost() {
        var throttle = LoginThrottle()
        var now = Duration.zero
        for number in 0..<40 {
            now += .seconds(61)
            #expect(throttle.attempt([.address("2001:db8::\(number)"), .name("ada")], at: now) == .goAhead)
        }
        #expect(throttle.attempt([.address("192.0.2.9"), .name("ada")], at: now) == .wait(.seconds(60)))
    }

    @Test func othersDoNotWait() {
        var throttle = LoginThrottle()
        for _ in 1...5 { _ = throttle.attempt(ada, at: .zero) }
        #expect(throttle.attempt([.address("192.0.2.2"), .name("grace")], at: .zero) == .goAhead)
        #expect(throttle.attempt([.address("192.0.2.1"), .name("grace")], at: .zero) != .goAhead)
        #expect(throttle.attempt([.address("192.0.2.2"), .name("ada")], at: .zero) != .goAhead)
    }

    @Test func successAndAnHourForget() {
        var throttle = LoginThrottle()
        for _ in 1...5 { _ = throttle.attempt(ada, at: .zero) }
        throttle.succeeded(ada)
        #expect(throttle.attempt(ada, at: .zero) == .goAhead)
        for _ in 1...4 { _ = throttle.attempt(ada, at: .zero) }
        for _ in 1...5 { #expect(throttle.attempt(ada, at: .seconds(3601)) == .goAhead) }
    }

    @Test func itRemembersABoundedNumber() {
        var throttle = LoginThrottle()
        for number in 0..<(LoginThrottle.capacity + 100) { _ = throttle.attempt([.address("a\(number)")], at: .seconds(number)) }
        #expect(throttle.count == LoginThrottle.capacity)
    }
}

@Suite struct FormGuardTests {
    private let guardian = FormGuard(publicOrigin: "https://rollcall.example.com")

    @Test(
        arguments: [
            ("https://rollcall.example.com", nil, "10.0.0.1:8080", true), ("http://localhost:8080", "same-origin", "localhost:8080", true),
            (nil, nil, "localhost", true), (nil, "same-origin", "localhost", true), (nil, "cross-site", "localhost", false),
            ("https://evil.example.com", nil, "rollcall.example.com", false), ("null", nil, "rollcall.example.com", false),
            ("https://rollcall.example.com.evil.example.com", nil, "x", false), ("https://rollcall.example.com", "cross-site", "x", false),
            ("http://", nil, "", false), ("http://", nil, nil, false),
        ] as [(String?, String?, String?, Bool)])
    func originsAreJudged(origin: String?, fetchSite: String?, host: String?, isTrusted: Bool) {
        #expect(guardian.trusts(origin: origin, fetchSite: fetchSite, host: host) == isTrusted)
    }

    @Test func noTokenIsNoMatch() {
        #expect(!guardian.matches("", expected: nil))
        #expect(!guardian.matches("", expected: ""))
        #expect(!guardian.matches("a", expected: "b"))
        #expect(guardian.matches("ab", expected: "ab"))
    }
}

@Suite struct ConfigurationTests {
    @Test(arguments: [
        ("https://rollcall.example.com/", "https://rollcall.example.com"), ("HTTP://Host:80", "http://host"), ("https://h:443", "https://h"),
        ("https://h:8443", "https://h:8443"),
    ])
    func theURLBecomesAnOrigin(url: String, origin: String) throws {
        #expect(try DashboardConfiguration(address: "::", port: 1, publicURL: url).publicURL == origin)
    }

    @Test(arguments: ["", "rollcall.example.com", "ftp://x", "https://", "https://x/path", "https://user@x"])
    func otherURLsAreRefused(url: String) {
        #expect(throws: DashboardConfigurationError.self) { try DashboardConfiguration(address: "::", port: 1, publicURL: url) }
    }

    @Test func aMissingCertificateIsNamed() throws {
        let configuration = try DashboardConfiguration(
            address: "::", port: 1, tls: .init(certificate: "/nowhere.pem", privateKey: "/nowhere.key"), publicURL: "https://x")
        let store = MemoryStore()
        let board = OrderBoard(time: SystemTime())
        let error = #expect(throws: DashboardConfigurationError.self) {
            _ = try DashboardServer(
                configuration: configuration, store: store, ingest: store, deploys: store,
                relay: DeployRelay(store: store, board: board, time: SystemTime()), board: board, health: store, changes: Changes(),
                time: SystemTime(), setupCode: "x", passwordCost: cheap, runbook: { _ in nil }, logger: Logger(label: "test"), onListening: { _ in })
        }
        #expect(error?.description == "certificate /nowhere.pem is not a readable PEM file of certificates")
    }
}
