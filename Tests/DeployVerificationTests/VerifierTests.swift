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
        Deploy("a flip back before it was proven", [.rightToken] * 4 + [old] + [.rightToken] * 73, .verified),
        Deploy("a flip back, and not enough after it", [.rightToken] * 4 + [old] + [.rightToken] * 72, .mixed),
        Deploy("a rolling restart", [old, .rightToken, .rightToken, old, .rightToken] * 2 + [.rightToken] * 90, .verified),
        Deploy("one in ten is old", [.rightToken, old] + ([.rightToken] * 9 + [old]) * 10, .mixed),
        Deploy(
            "one in ten is old, and there was luck at the end", [.rightToken, old] + ([.rightToken] * 9 + [old]) * 3 + [.rightToken] * 80, .mixed),
        Deploy("right, and then too many questions", [.rightToken] * 3 + [.limited(retryAfter: nil)] * 5 + [.rightToken] * 2, .verified),
        Deploy("too few right answers among too many questions", [.rightToken] * 4 + [.limited(retryAfter: nil)] * 20, .unproven),
        Deploy("nothing but a limit", [.limited(retryAfter: .seconds(1))] * 20, .unproven),
        Deploy("old, behind a limit now and then", ([old] * 3 + [.limited(retryAfter: nil)]) * 10, .stale),
        Deploy("right answers from a cache", [.cached(mark: "X-Cache: HIT")] * 50, .unproven),
        Deploy("right answers, some of them from a cache", ([.cached(mark: "Age: 3")] + [.rightToken]) * 5, .verified),
        Deploy("sent elsewhere", [.redirect(status: 301, location: "https://app.example/about/deploy")] * 50, .unproven),
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
        #expect(verifier.verdictByNow(at: .seconds(106)) == .stale)
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
        func pause(isDue: Bool = false) -> Duration { verifier.pause(of: 0, isDue: isDue, at: .seconds(101)) }
        #expect(pause() == .milliseconds(500))
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(pause() == .milliseconds(20))
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(pause() == .milliseconds(500))
        verifier.observe(old, of: 0, at: .seconds(101))
        #expect(pause() == .milliseconds(500))
        #expect(pause(isDue: true) == .milliseconds(20))
    }

    @Test func whoAnswersThatItIsTooMuchIsAskedLessOften() {
        var verifier = verifier()
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        verifier.observe(.limited(retryAfter: nil), of: 0, at: .seconds(101))
        #expect(verifier.pause(of: 0, at: .seconds(101)) == .milliseconds(500))
        verifier.observe(.limited(retryAfter: .seconds(4)), of: 0, at: .seconds(102))
        #expect(verifier.pause(of: 0, at: .seconds(102)) == .seconds(5))
        #expect(verifier.pause(of: 0, at: .seconds(106)) == .seconds(1))
        for _ in 0..<9 { verifier.observe(.limited(retryAfter: .seconds(3600)), of: 0, at: .seconds(110)) }
        #expect(verifier.pause(of: 0, at: .seconds(110)) == .seconds(37.5))
        #expect(verifier.pause(of: 0, at: .seconds(150)) == .seconds(5))
        #expect(verifier.consecutive(of: 0) == 1)
    }

    @Test func otherAnswersThatComeNowAndThenAreWaitedFor() {
        var verifier = verifier(timeout: .seconds(600))
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        verifier.observe(old, of: 0, at: .seconds(102))
        for number in 0..<100 { verifier.observe(.rightToken, of: 0, at: .seconds(102) + .milliseconds(number)) }
        #expect(verifier.verdict(at: .seconds(102.9)) == nil)
        #expect(verifier.verdict(at: .seconds(103)) == .verified)
        // Four seconds passed from one to the next: another may come after four more.
        verifier.observe(old, of: 0, at: .seconds(106))
        for number in 0..<500 { verifier.observe(.rightToken, of: 0, at: .seconds(106) + .milliseconds(number)) }
        #expect(verifier.verdict(at: .seconds(113.9)) == nil)
        #expect(verifier.verdict(at: .seconds(114)) == .verified)
    }

    /// While agents saw old workers, other answers were theirs.
    @Test func otherAnswersAreExplainedByOldWorkersUntilThereAreNone() {
        var verifier = verifier()
        for second in 101...105 {
            verifier.observe(.rightToken, of: 0, at: .seconds(second))
            verifier.observe(old, of: 0, at: .seconds(second))
        }
        verifier.explain(before: .seconds(106))
        // Asked before, answered after.
        verifier.observe(old, of: 0, asked: .seconds(105.9), at: .seconds(106.1))
        for number in 0..<5 { verifier.observe(.rightToken, of: 0, at: .seconds(106.1) + .milliseconds(number)) }
        #expect(verifier.verdict(at: .seconds(106.2)) == .verified)
        verifier.observe(old, of: 0, at: .seconds(106.3))
        for number in 0..<5 { verifier.observe(.rightToken, of: 0, at: .seconds(106.3) + .milliseconds(number)) }
        #expect(verifier.verdict(at: .seconds(120)) == nil)
        #expect(verifier.verdictByNow(at: .seconds(120)) == .mixed)
        #expect(verifier.reason(of: 0, at: .seconds(120)).contains("5 of 73 right answers in a row"))
    }

    /// A server that answers every tenth request is a mixture that some luck hides: how often, over many deploys?
    @Test func oneOldAnswerInTenIsHardlyEverOverlooked() {
        var numbers = SplitMix(state: 7)
        var deceived = 0
        for _ in 0..<400 {
            var verifier = verifier(timeout: .seconds(30))
            var now = Duration.seconds(100)
            while now < .seconds(130) {
                now += .milliseconds(verifier.pause(of: 0, at: now) == .milliseconds(20) ? 25 : 500)
                verifier.observe(numbers.next() % 10 == 0 ? old : .rightToken, of: 0, at: now)
                guard let verdict = verifier.verdict(at: now) else { continue }
                if verdict == .verified, verifier.needed(of: 0) > 5 { deceived += 1 }
                break
            }
        }
        // Those that saw no other answer after the first right one have no mixture to know of.
        #expect(deceived <= 2)
    }

    @Test func aRowOfRightAnswersHasItsStrength() {
        #expect(Strength.words(of: 0) == nil)
        #expect(
            Strength.words(of: 37) == "37 answers in a row over fresh connections: a share of more than 17 % old answers is excluded at 99.9 %")
        #expect(
            Strength.words(of: 1) == "1 answer over fresh connections: a share of more than 100 % old answers is excluded at 99.9 %")
        #expect(Strength.excludedShare(by: 5).map { (0.748...0.75).contains($0) } == true)
    }

    @Test(arguments: [
        (Evidence.redirect(status: 301, location: "https://app.example/about/deploy"), "ask with --url https://app.example/about/deploy"),
        (.status(404), "check the path of --url"), (.status(400), "--host-header"), (.limited(retryAfter: nil), "too many requests (429)"),
        (.cached(mark: "X-Cache: HIT"), "`Cache-Control: no-store`"), (.tokenWithin(bytes: 40), "answer the token and nothing else"),
    ])
    func whatProvesNothingNamesItsRemedy(evidence: Evidence, remedy: String) {
        var verifier = verifier()
        for second in 101...110 { verifier.observe(evidence, of: 0, at: .seconds(second)) }
        #expect(verifier.verdict(at: .seconds(160)) == .unproven)
        #expect(verifier.reason(of: 0, at: .seconds(160)).contains(remedy))
    }

    @Test func itIsRightFromTheFirstOfTheRightAnswersOn() {
        var verifier = verifier(consecutive: 2)
        verifier.observe(.rightToken, of: 0, at: .seconds(101))
        #expect(verifier.rightSince(at: .seconds(101)) == nil)
        verifier.observe(.rightToken, of: 0, at: .seconds(102))
        #expect(verifier.rightSince(at: .seconds(102)) == .seconds(101))
        #expect(verifier.hasOnlyBeenRight)
        verifier.observe(old, of: 0, at: .seconds(103))
        for second in 104...176 { verifier.observe(.rightToken, of: 0, at: .seconds(second)) }
        #expect(verifier.rightSince(at: .seconds(176)) == .seconds(104))
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
        (200, "\u{feff}\"0123456789abcdef\"\n\n", .rightToken),
        (200, " 0123456789abcdef", .rightToken),
        (200, "token 0123456789abcdef", .tokenWithin(bytes: 22)),
        (200, "0123456789abcdef0", .otherToken(prefix: "01234567")),
        (200, "0123456789ABCDEF", .rightToken),
        (200, "fedcba98-7654-3210-fedc-ba9876543210\n", .otherToken(prefix: "fedcba98")),
        (200, "none", .notAToken(bytes: 4)),
        (200, "", .notAToken(bytes: 0)),
        (201, "0123456789abcdef", .rightToken),
        (302, "0123456789abcdef", .redirect(status: 302, location: nil)),
        (429, "0123456789abcdef", .limited(retryAfter: nil)),
        (500, "", .status(500)),
    ])
    func anAnswerIsTheTokenOrNot(status: Int, body: String, expected: Evidence) throws {
        #expect(Evidence(status: status, body: Array(body.utf8), expecting: try DeployToken(parsing: "0123456789abcdef")) == expected)
    }
}

@Suite struct CacheTests {
    private func evidence(_ headers: [(String, String)], status: Int = 200) throws -> Evidence {
        Evidence(
            status: status, headers: headers.map { (name: $0.0, value: $0.1) }, body: Array("0123456789abcdef".utf8),
            expecting: try DeployToken(parsing: "0123456789abcdef"))
    }

    @Test(arguments: [
        [("Age", "12")], [("X-Cache", "HIT")], [("x-cache", "Hit from cloudfront")], [("X-Cache", "MISS, HIT")],
        [("X-Cache", "TCP_MEM_HIT from cdn")],
        [("CF-Cache-Status", "HIT")], [("cf-cache-status", "REVALIDATED")], [("X-Varnish", "32770 3")], [("X-Cache-Status", "STALE")],
        [("X-Cache-Hits", "0, 2")], [("Cache-Status", "Example; hit; ttl=30")], [("Server-Timing", "cdn-cache; desc=HIT")],
        [("Via", "1.1 cache.example"), ("Age", "0")],
    ])
    func anAnswerFromACacheIsNotCounted(headers: [(String, String)]) throws {
        guard case .cached = try evidence(headers) else {
            Issue.record("\(headers) was taken for an answer of the service")
            return
        }
    }

    @Test(arguments: [
        [("Cache-Control", "no-store")], [("Age", "0")], [("X-Cache", "MISS")], [("X-Varnish", "32770"), ("Age", "0"), ("Via", "1.1 varnish")],
        [("CF-Cache-Status", "DYNAMIC")], [("X-Cache-Lookup", "HIT from proxy:80"), ("X-Cache", "MISS from proxy")], [("X-Cache-Hits", "0")],
        [("Via", "1.1 proxy"), ("Age", "0"), ("X-Cache", "MISS")], [("Via", "1.1 proxy")], [],
    ])
    func anAnswerOfTheServiceIs(headers: [(String, String)]) throws { #expect(try evidence(headers) == .rightToken) }

    @Test func whereARedirectLeadsIsShownWithoutSecrets() throws {
        #expect(
            try evidence([("Location", "https://me:hunter2@app.example/login?next=secret")], status: 302)
                == .redirect(status: 302, location: "https://app.example/login"))
        #expect(try evidence([("Retry-After", "7")], status: 429) == .limited(retryAfter: .seconds(7)))
        #expect(try evidence([("Retry-After", "Tue, 01 Dec 2026 10:00:00 GMT")], status: 429) == .limited(retryAfter: nil))
    }
}

/// The same numbers in every run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
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
