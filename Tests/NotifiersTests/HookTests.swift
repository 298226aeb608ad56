import Checks
import Foundation
import Messages
import Platform
import TestKit
import Testing
import Transfer

@testable import Notifiers

private let signed = "/services/T00000000/B00000000/not-for-anybodys-eyes"

/// What Slack, webhooks and PagerDuty have in common: one POST, and an answer.
@Suite struct PostTests {
    /// One for the whole suite.
    private static let starting = Task { try await HookBed() }
    private let transfers = try! Transfers()

    @Test(
        arguments: [
            (200, nil), (202, nil), (204, nil), (301, .correct), (400, .correct), (401, .correct), (403, .correct), (404, .correct), (408, .retry),
            (410, .correct), (425, .retry), (429, .retry), (500, .retry), (503, .retry),
        ] as [(Int, DeliveryError.Remedy?)])
    func anAnswerSaysWhetherToTryAgain(status: Int, remedy: DeliveryError.Remedy?) async throws {
        let bed = try await Self.starting.value
        let slack = try make("slack", ["url": bed.url("/take/\(status)")], transfers)
        if let remedy {
            let error = try await refusal(slack, notice())
            #expect(error.remedy == remedy)
            #expect(error.detail.hasPrefix("the server answered \(status)"))
        } else {
            try await slack.deliver(notice())
        }
        #expect(try bed.taken().count { $0.path == "/take/\(status)" } == 1)
    }

    @Test(arguments: [("30", .seconds(30)), ("3600", .seconds(600)), ("0", nil), ("", nil), ("99999999999999999999", nil)] as [(String, Duration?)])
    func aProviderIsLeftAloneForAsLongAsItSays(seconds: String, wait: Duration?) async throws {
        let bed = try await Self.starting.value
        let error = try await refusal(try make("webhook", ["url": bed.url("/take/429/\(seconds)")], transfers), notice())
        #expect(error.remedy == .retry)
        #expect(error.wait == wait)
    }

    /// The address is the password, and some servers repeat it.
    @Test func anErrorNeverSaysASecret() async throws {
        let bed = try await HookBed()
        let slack = try make("slack", ["url": bed.url("/take/404\(signed)")], transfers)
        let refused = try await refusal(slack, notice())
        #expect(refused.detail == "the server answered 404: no, not … <really> [31m")
        await bed.stop()
        let gone = try await refusal(slack, notice())
        #expect(gone == DeliveryError(notifier: "ops", remedy: .retry, detail: "connection refused"))
    }

    /// A syllable would be found in every text.
    @Test func aShortSecretDoesNotGarbleAnError() async throws {
        let bed = try await HookBed()
        let refused = try await refusal(try make("webhook", ["url": bed.url("/take/404"), "secret": "not"], transfers), notice())
        #expect(refused.detail == "the server answered 404")
        await bed.stop()
        let gone = try await refusal(try make("webhook", ["url": bed.url("/take/404"), "secret": "s"], transfers), notice())
        #expect(gone.detail == "connection refused")
    }

    @Test func anAnswerHasABound() async throws {
        let bed = try await HookBed()
        try await make("webhook", ["url": bed.url("/huge")], transfers).deliver(notice())
        #expect(try await refusal(try make("webhook", ["url": bed.url("/close")], transfers), notice()).remedy == .retry)
        #expect(try await refusal(try make("webhook", ["url": bed.url("/garbage")], transfers), notice()).remedy == .retry)
    }

    @Test func secretsComeFromFilesThatAreClosedToOthers() throws {
        let folder = try TemporaryFolder()
        let closed = try folder.write("https://hooks.example.com/x\n", to: "closed", mode: 0o600)
        let open = try folder.write("https://hooks.example.com/x\n", to: "open", mode: 0o644)
        #expect(try faults("slack", ["url_file": closed], transfers) == [])
        let wrong = try faults("slack", ["url_file": open], transfers)
        #expect(wrong.count == 1 && wrong[0].contains("chmod 600"))
        #expect(try faults("pagerduty", ["routing_key_file": folder.path + "/nowhere"], transfers).count == 1)
    }

    @Test(
        arguments: [
            ("slack", [:], ["url is missing: give it, or the file that holds it as url_file"]),
            ("slack", ["url": "https://a.example/x", "url_file": "/x"], ["url and url_file are both there: one of them is enough"]),
            ("slack", ["url": "http://hooks.example.com/x"], ["url must begin with https://: what is told there is nobody else's business"]),
            ("slack", ["url": "hooks.example.com/x", "room": "#ops"], ["url must begin with http:// or https://", "room is not a setting here"]),
            ("webhook", ["url": "https://a:b@a.example/", "token": "x"], ["token and a password in url are both there: one of them is enough"]),
            ("webhook", ["url": "https://a.example/", "token": "x\ny"], ["token holds a character that a header cannot hold"]),
            ("webhook", ["url": "https://a.example/", "secret": ""], ["secret is empty"]),
            ("pagerduty", [:], ["routing_key is missing: give it, or the file that holds it as routing_key_file"]),
            ("pagerduty", ["routing_key": "x", "url": "ftp://x"], ["url must begin with http:// or https://"]),
            ("pagerduty", ["routing_key": "x"], []),
            ("mail", ["server": "smtps://a.example", "from": "a@b.c", "user": "x"], ["password_file is missing: user needs one"]),
            ("mail", ["server": "smtps://a.example", "from": "a@b.c", "password": "x"], ["user is missing: password_file needs one"]),
            ("mail", ["server": "smtps://a.example", "from": "a@b.c", "user": "x", "password": "y"], []),
        ] as [(String, [String: String], [String])])
    func everyFaultOfTheSettingsIsNamed(word: String, settings: [String: String], expected: [String]) throws {
        #expect(try faults(word, settings, transfers) == expected)
    }
}

@Suite struct SlackTests {
    private let transfers = try! Transfers()

    @Test func aMessageIsPostedAsText() async throws {
        let bed = try await HookBed()
        let text = "memory:rss > 500m & <more> ```code``` ü\n\n"
        try await make("slack", ["url": bed.url("/take")], transfers).deliver(notice(subject: "[error] a & b < c", body: text))
        let taken = try #require(try bed.taken().first)
        #expect(taken.headers["content-type"] == "application/json")
        #expect(taken.json.members?.map(\.name) == ["text"])
        #expect(taken.json["text"]?.string == "*[error] a &amp; b &lt; c*\n```\nmemory:rss &gt; 500m &amp; &lt;more&gt; '''code''' ü\n```")
    }

    @Test(arguments: ["x", "&", "🚒", "`", "\n"]) func aLongMessageIsCutWhereAChatEnds(piece: String) {
        let text = SlackNotifier.text(notice(subject: String(repeating: piece, count: 1000), body: String(repeating: piece, count: 10000) + "."))
        #expect(text.count <= SlackNotifier.longestText)
        #expect(text.hasSuffix("…\n```"))
    }

    @Test func withoutABodyTheSubjectSaysItAll() {
        #expect(SlackNotifier.text(notice(subject: "a", body: "\n")) == "*a*")
    }
}

@Suite struct WebhookTests {
    private let transfers = try! Transfers()

    @Test func whatIsPostedKeepsItsShape() throws {
        let json = WebhookNotifier.json(
            notice([occurrence(), occurrence("source_failed", unit: nil, rule: "r", nil, "", .none, problem: "source host: systemd")]))
        try expectGolden(json.text + "\n", "webhook.json")
    }

    /// Python computes the signature that a receiver would compare with.
    @Test func aReceiverCanTellWhoItIsFrom() async throws {
        let bed = try await HookBed()
        let secret = "a secret – with more than ASCII"
        try await make("webhook", ["url": bed.url(), "secret": secret, "token": "abc.def"], transfers).deliver(notice([occurrence()]))
        let taken = try #require(try bed.taken().first)
        #expect(taken.headers["authorization"] == "Bearer abc.def")
        let script = "import hmac,sys; print('sha256=' + hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), 'sha256').hexdigest())"
        let python = try await ChildProcess.run("/usr/bin/python3", ["-c", script, secret], input: taken.body)
        #expect(taken.headers["x-rollcall-signature"] == python.output.split(separator: "\n").first.map(String.init))
    }

    @Test func withoutASecretNothingIsSigned() async throws {
        let bed = try await HookBed()
        let url = bed.url().split(separator: "://").joined(separator: "://me:pass@")
        try await make("webhook", ["url": url], transfers).deliver(notice())
        let taken = try #require(try bed.taken().first)
        #expect(taken.headers["x-rollcall-signature"] == nil)
        #expect(taken.headers["authorization"] == "Basic \(Data("me:pass".utf8).base64EncodedString())")
    }

    /// RFC 4231, test cases 1, 2 and 6.
    @Test(arguments: [
        (String(repeating: "\u{b}", count: 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ("Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    ])
    func signaturesAreThoseOfTheStandard(key: String, text: String, expected: String) {
        #expect(hmacSHA256(of: Array(text.utf8), key: Array(key.utf8)).map { hex($0) } == expected)
    }

    @Test func anEmptyTextHasASignatureToo() {
        #expect(
            hmacSHA256(of: [], key: [1]).map { $0.count } == 32 && hmacSHA256(of: [], key: []) == nil
                && sha256(of: []).map { hex($0) } == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }
}

@Suite struct PagerDutyTests {
    private let transfers = try! Transfers()

    @Test func callsKeepTheirShape() throws {
        let calls =
            PagerDutyNotifier.calls(notice([occurrence()]))
            + PagerDutyNotifier.calls(
                notice([
                    occurrence("rule_failed", rule: "if cpu > 90% then alert", .critical, "cpu is 97%", problem: "rule puma.service: cpu"),
                    occurrence("unit_up", .error, "", .ends),
                    occurrence("unit_restarted", unit: nil, .warning, "exit status 1", .none, problem: "unit_restarted host"),
                ])) + PagerDutyNotifier.calls(notice())
        try expectGolden(calls.map(\.text).joined(separator: "\n") + "\n", "pagerduty.jsonl")
    }

    @Test func theEndOfAProblemResolvesWhatItsBeginningHasOpened() async throws {
        let bed = try await HookBed()
        let pagerDuty = try make("pagerduty", ["routing_key": "R0UTINGKEY", "url": bed.url("/take/202")], transfers)
        try await pagerDuty.deliver(notice([occurrence()]))
        try await pagerDuty.deliver(notice([occurrence("unit_up", nil, "", .ends)]))
        let taken = try bed.taken().map(\.json)
        #expect(taken.map { $0["event_action"]?.string } == ["trigger", "resolve"])
        #expect(taken.map { $0["dedup_key"]?.string } == ["web1/down puma.service", "web1/down puma.service"])
        #expect(taken.allSatisfy { $0["routing_key"] == "R0UTINGKEY" })
    }

    /// Nobody is called for what is over already.
    @Test func whatBeganAndEndedInOneMessageIsResolved() {
        let calls = PagerDutyNotifier.calls(notice([occurrence(), occurrence("unit_up", nil, "", .ends)]))
        #expect(calls.map { $0["event_action"]?.string } == ["resolve"])
    }

    @Test func keysAndTextsKeepToTheirBounds() throws {
        let long = String(repeating: "ü", count: 2000)
        let call = try #require(PagerDutyNotifier.calls(notice(subject: long, [occurrence(problem: long)])).first)
        #expect(call["dedup_key"]?.string.map { $0.count <= 255 && $0.hasPrefix("web1/ü") } == true)
        #expect(call["payload"]?["summary"]?.string?.count == 1000)
        let other = try #require(PagerDutyNotifier.calls(notice([occurrence(problem: long + "x")])).first)
        #expect(other["dedup_key"] != call["dedup_key"])
    }

    @Test func theKeyIsNotInAnError() async throws {
        let bed = try await HookBed()
        let pagerDuty = try make("pagerduty", ["routing_key": "R0UTINGKEY", "url": bed.url("/take/400/R0UTINGKEY")], transfers)
        let error = try await refusal(pagerDuty, notice([occurrence()]))
        #expect(error.remedy == .correct && !"\(error)".contains("R0UTINGKEY"))
    }
}
