import AgentAPI
import DeployVerification
import Platform
import Testing

/// What the looks at one URL showed, one every half second, and what follows.
struct Deploy: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var seen: [Evidence]
    var verdict: Verdict

    init(_ description: String, _ seen: [Evidence], _ verdict: Verdict) {
        testDescription = description
        self.seen = seen
        self.verdict = verdict
    }
}

private let old = Evidence.otherToken(prefix: "aaaa1111")
private let untrusted = Evidence.untrusted(reason: "the certificate is not trusted")

extension Array where Element == Evidence {
    fileprivate static func * (evidence: Self, count: Int) -> Self { Array(repeatElement(evidence, count: count).joined()) }
}

@Suite struct VerifierTests {
    private func verifier(targets: Int = 1, consecutive: Int = 5, timeout: Duration = .seconds(60)) -> Verifier {
        var patience = Verifier.Patience()
        patience.consecutive = consecutive
        patience.timeout = timeout
        return Verifier(targets: (0..<targets).map { "https://app\($0).example/about/deploy" }, patience: patience, start: .seconds(100))
    }

    @Test(arguments: [
        Deploy("a restart without a gap", [old] * 20 + [.rightToken] * 5, .verified),
        Deploy(
            "a restart with refused connections, errors and broken TLS",
            [old, .refused, .status(502), .tls(reason: "no handshake"), .lost] + [.rightToken] * 5, .verified),
        Deploy("a flip back before it was proven", [.rightToken] * 4 + [old] + [.rightToken] * 5, .verified),
        Deploy("the old release to the end", [old] * 117 + [.refused] * 2, .stale),
        Deploy("the old release with hiccups", ([old] * 3 + [.refused]) * 20 + [old], .stale),
        Deploy("one of three backends is old", ([.rightToken] * 2 + [old]) * 30, .mixed),
        Deploy("errors among right answers", ([.rightToken] * 2 + [.status(500)]) * 30, .mixed),
        Deploy("a login page among right answers", ([.rightToken] + [.notAToken(bytes: 5312)]) * 30, .mixed),
        Deploy("never came back", [old] * 3 + [.refused] * 30, .down),
        Deploy("was never there", [.refused], .down),
        Deploy("died after it had come", [.rightToken] * 3 + [.refused] * 30, .down),
        Deploy("came at the last moment", [old] * 100 + [.rightToken] * 3, .inProgress),
        Deploy("a new release that only fails", [old] * 3 + [.status(500)] * 100, .unproven),
        Deploy("no such page", [.status(404)] * 100, .unproven),
        Deploy("accepts and says nothing", [.noAnswer] * 10, .unproven),
        Deploy("nothing at all", [], .unproven),
        Deploy("no way there", [.noConnection(reason: "no address for the name")] * 30, .unreachable),
        Deploy("wrong password", [.status(401)] * 100, .unreachable),
        Deploy("no right to look", [.status(403)] * 100, .unreachable),
        Deploy("a certificate of somebody else", [untrusted] * 100, .unreachable),
    ])
    func aDeployHasItsVerdict(deploy: Deploy) {
        var verifier = verifier()
        var now = Duration.seconds(100)
        for evidence in deploy.seen {
            now += .milliseconds(500)
            verifier.observe(evidence, of: 0, at: now)
            if let verdict = verifier.verdict(at: now) {
                #expect(verdict == deploy.verdict)
                return
            }
        }
        #expect(verifier.verdict(at: .seconds(160)) == deploy.verdict)
    }

    @Test func beforeTheTimeIsOverOnlyProofCounts() {
        var verifier = verifier()
        for second in 101..<159 {
            verifier.observe(second.isMultiple(of: 2) ? old : .refused, of: 0, at: .seconds(second))
            #expect(verifier.verdict(at: .seconds(second)) == nil)
        }
        #expect(verifier.verdict(at: .seconds(160)) == .stale)
    }

    @Test(arguments: [Evidence.status(401), untrusted])
    func aBarredDoorIsTriedForFiveSeconds(evidence: Evidence) {
        var verifier = verifier()
        for (look, second) in [101, 103, 105].enumerated() {
            verifier.observe(evidence, of: 0, at: .seconds(second))
            #expect(verifier.verdict(at: .seconds(second)) == nil, "look \(look)")
        }
        verifier.observe(evidence, of: 0, at: .seconds(106))
        #expect(verifier.verdict(at: .seconds(106)) == .unreachable)
    }

    @Test func aFailedHandshakeIsTriedToTheEnd() {
        var verifier = verifier()
        for second in 101..<159 { verifier.observe(.tls(reason: "no handshake"), of: 0, at: .seconds(second)) }
        #expect(verifier.verdict(at: .seconds(159)) == nil)
    }

    @Test func everyURLMustProveItself() {
        var verifier = verifier(targets: 2, consecutive: 2)
        for second in 101...105 { verifier.observe(.rightToken, of: 0, at: .seconds(second)) }
        #expect(verifier.verdict(at: .seconds(105)) == nil)
        verifier.observe(old, of: 1, at: .seconds(106))
        #expect(verifier.verdictByNow == .stale)
        verifier.observe(.rightToken, of: 1, at: .seconds(107))
        verifier.observe(.rightToken, of: 1, at: .seconds(108))
        #expect(verifier.verdict(at: .seconds(108)) == .verified)
    }

    @Test func aURLThatTurnsBackIsProvenNoMore() {
        var verifier = verifier(targets: 2, consecutive: 2)
        for second in 101...102 { verifier.observe(.rightToken, of: 0, at: .seconds(second)) }
        verifier.observe(old, of: 0, at: .seconds(103))
        for second in 104...105 { verifier.observe(.rightToken, of: 1, at: .seconds(second)) }
        #expect(verifier.verdict(at: .seconds(105)) == nil)
        #expect(verifier.verdict(at: .seconds(160)) == .mixed)
    }

    @Test func theWorstOfSeveralCounts() {
        var verifier = verifier(targets: 3)
        for second in 101...110 {
            verifier.observe(.rightToken, of: 0, at: .seconds(second))
            verifier.observe(.status(404), of: 1, at: .seconds(second))
            verifier.observe(.refused, of: 2, at: .seconds(second))
        }
        #expect(verifier.verdict(at: .seconds(160)) == .down)
        #expect([Verdict.verified, .unreachable, .mixed, .stale].min() == .stale)
    }

    @Test func rightAnswersAreGatheredQuickly() {
        var verifier = verifier(consecutive: 2)
        #expect(verifier.pause(of: 0) == .milliseconds(500))
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(verifier.pause(of: 0) == .milliseconds(20))
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(verifier.pause(of: 0) == .milliseconds(500))
        verifier.observe(old, of: 0, at: .seconds(101))
        #expect(verifier.pause(of: 0) == .milliseconds(500))
        #expect(verifier.pause(of: 0, isDue: true) == .milliseconds(20))
    }

    @Test func itIsRightFromTheFirstOfTheRightAnswersOn() {
        var verifier = verifier(consecutive: 2)
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(verifier.rightSince == nil)
        verifier.observe(.rightToken, of: 0, at: .seconds(102))
        #expect(verifier.rightSince == .seconds(101))
        #expect(verifier.hasOnlyBeenRight)
        verifier.observe(old, of: 0, at: .seconds(103))
        for second in 104...106 { verifier.observe(.rightToken, of: 0, at: .seconds(second)) }
        #expect(verifier.rightSince == .seconds(104))
        #expect(!verifier.hasOnlyBeenRight)
    }

    @Test func whatWasSeenIsToldInWords() {
        var verifier = verifier()
        #expect(verifier.account(of: 0, at: .seconds(100)) == "no answer yet")
        for number in 0..<117 { verifier.observe(old, of: 0, at: .seconds(101) + .milliseconds(500 * number)) }
        for second in 150..<153 { verifier.observe(.refused, of: 0, at: .seconds(second)) }
        verifier.observe(.status(401), of: 0, at: .seconds(159))
        #expect(
            verifier.account(of: 0, at: .milliseconds(159_400))
                == "another token (aaaa1111...) 117 times (last 0.4 s ago), connection refused 3 times (last 7.4 s ago), access denied (401) once (last 0.4 s ago)"
        )
    }

    @Test func whoAnswersSomethingNewEachTimeFillsNoMemory() {
        var verifier = verifier()
        for number in 0..<1000 { verifier.observe(.notAToken(bytes: number), of: 0, at: .seconds(101)) }
        let sightings = verifier.sightings(of: 0)
        #expect(sightings.count == 17)
        #expect(sightings.last?.words == "something else")
        #expect(sightings.map(\.count).reduce(0, +) == 1000)
    }

    @Test func exitCodesAreAPromise() {
        let codes = Verdict.allCases.map { "\($0.rawValue) \($0.exitCode)" }
        let promised = [
            "DOWN 4", "CRASH_LOOP 5", "STALE 1", "MIXED 3", "NEW_PROCESS_OLD_CODE 6", "DYNAMIC_TOKEN 7", "UNREACHABLE 10", "UNPROVEN 8",
            "IN_PROGRESS 9", "SLO_BREACHED 11", "VERIFIED 0",
        ]
        #expect(codes == promised)
    }
}

@Suite struct EvidenceTests {
    @Test(arguments: [
        (200, "0123456789abcdef", Evidence.rightToken),
        (200, "0123456789abcdef\n", .rightToken),
        (200, "0123456789abcdef\r\n", .rightToken),
        (200, "0123456789abcdef\n\n", .notAToken(bytes: 18)),
        (200, " 0123456789abcdef", .notAToken(bytes: 17)),
        (200, "token 0123456789abcdef", .notAToken(bytes: 22)),
        (200, "0123456789abcdef0", .otherToken(prefix: "01234567")),
        (200, "0123456789ABCDEF", .otherToken(prefix: "01234567")),
        (200, "fedcba98-7654-3210-fedc-ba9876543210\n", .otherToken(prefix: "fedcba98")),
        (200, "none", .notAToken(bytes: 4)),
        (200, "", .notAToken(bytes: 0)),
        (201, "0123456789abcdef", .status(201)),
        (302, "0123456789abcdef", .status(302)),
        (500, "", .status(500)),
    ])
    func anAnswerIsTheTokenOrNot(status: Int, body: String, expected: Evidence) throws {
        #expect(Evidence(status: status, body: Array(body.utf8), expecting: try DeployToken(parsing: "0123456789abcdef")) == expected)
    }
}

@Suite struct DeployTokenTests {
    @Test func aNewTokenIs128RandomBits() throws {
        let token = DeployToken()
        #expect(try Regex("[0-9a-f]{32}").wholeMatch(in: token.text) != nil)
        #expect(token != DeployToken())
        #expect("\(token)" == "\(token.text.prefix(8))...")
    }

    @Test(arguments: [
        "", "0123456789abcde", String(repeating: "a", count: 129), "0123456789abcdeg", "0123456789abcdef\n", "../../../../../etc/passwd",
        "０123456789abcdef",
    ])
    func whatIsNoTokenIsRefused(text: String) {
        #expect(throws: DeployTokenError.self) { try DeployToken(parsing: text) }
    }
}
