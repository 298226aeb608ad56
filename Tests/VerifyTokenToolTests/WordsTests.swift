// The command line's own words, and what is kept and shown.

import AgentAPI
import DeployVerification
import Platform
import TestKit
import Testing
import Transfer

@testable import VerifyTokenTool

@Suite struct WordsTests {
    @Test(arguments: [
        ("60", Duration.seconds(60)), ("0.5", .milliseconds(500)), ("500ms", .milliseconds(500)), ("60s", .seconds(60)), ("5m", .seconds(300)),
        ("1h", .seconds(3600)),
    ])
    func lengthsOfTime(text: String, duration: Duration) { #expect(Seconds(argument: text)?.duration == duration) }

    @Test(arguments: ["", "s", "-1", "1d", "nan", "inf", "1e30", "1 s", "٣"])
    func noLengthsOfTime(text: String) { #expect(Seconds(argument: text) == nil) }

    @Test(arguments: [("50/s", 50.0), ("1", 1), ("0.5/s", nil), ("51", nil), ("nan", nil)])
    func rates(text: String, rate: Double?) { #expect(Rate(argument: text)?.perSecond == rate) }

    @Test(arguments: [
        ("0", AvailabilityLimits.Failed.count(0)), ("5", .count(5)), ("1%", .share(0.01)), ("100%", .share(1)), ("101%", nil), ("-1", nil),
        ("%", nil), ("nan%", nil),
    ])
    func limits(text: String, failed: AvailabilityLimits.Failed?) { #expect(MostFailed(argument: text)?.failed == failed) }

    @Test(arguments: [
        ("ignore", DeployCheck.Draining.ignore), ("warn", .warn), ("wait", .wait(.seconds(30))), ("wait:90s", .wait(.seconds(90))),
        ("wait:", nil), ("wait:2000h", nil), ("", nil),
    ])
    func draining(text: String, draining: DeployCheck.Draining?) { #expect(Drain(argument: text)?.draining == draining) }

    @Test func aNoteSurvivesItsFile() throws {
        var note = DeployNote(id: "d-0123456789", token: "0123456789abcdef", service: "web", began: Timestamp(seconds: 1_790_000_000))
        note.person = "anna"
        note.tokenPath = "/about/deploy"
        note.way.agents = "app-1:4677,app-2:4677"
        note.way.agentsAuthorities = "/etc/ca.pem"
        note.urls = ["https://app.example.com/about/deploy"]
        note.hosts = ["app-1", "app-2"]
        note.probes = true
        #expect(DeployNote(try JSON(parsing: note.json.text)) == note)
    }

    @Test func notesAreFoundByTokenAndOldOnesGo() throws {
        let temporary = try TemporaryFolder()
        let folder = NoteFolder(path: temporary.path + "/a/b")
        let now = SystemTime().now().wall
        for (id, service, age) in [("d-01", "web", 10), ("d-02", "web", 5), ("d-03", "jobs", 1), ("d-04", "web", 90_000)] {
            try folder.keep(DeployNote(id: id, token: "0123456789abcdef", service: service, began: now - .seconds(age)))
        }
        #expect(folder.note(token: "0123456789abcdef", service: "web", now: now)?.id == "d-02")
        #expect(folder.note(token: "0123456789abcdef", service: nil, now: now)?.id == "d-03")
        #expect(folder.note(token: "0123456789abcdee", service: nil, now: now) == nil)
        #expect(folder.note("d-01")?.service == "web")
        #expect(folder.note("../d-01") == nil)
        folder.forget("d-01")
        folder.tidy(now: now + .seconds(90_000))
        #expect(folder.note("d-02") == nil)
    }

    @Test func aBrokenNoteIsNoNote() {
        let seeds = [
            #"{"deploy_id":"d-01","token":"0123456789abcdef","service":"web","began":"2026-11-21T02:10:04.120Z","agents":{"hosts":"a:1,b"},"urls":["u"],"hosts":["app-1"],"probe":true}"#,
            #"{"deploy_id":"d-ff","token":"0123456789abcdef","began":"2026-11-21T02:10:04Z","agents":null,"urls":{},"probe":3}"#,
        ].map { Array($0.utf8) }
        Mutations.run(seeds: seeds) { bytes in
            guard let json = try? JSON(parsing: bytes), let note = DeployNote(json) else { return }
            // What is read can be kept and read again.
            if DeployNote(note.json) != note { Issue.record("\(note.json.text)") }
        }
    }

    @Test func rowsFitTheTerminal() {
        let rows = (1...30).map { Board.Row(name: "app-\($0).a-long-domain.example.com", text: "MIXED  1/2 workers new", isGood: $0 % 2 == 0) }
        for (width, height) in [(80, 24), (30, 10), (2, 2), (200, 60)] {
            let lines = Board.lines(rows, left: .seconds(31), width: width, height: height)
            #expect(lines.allSatisfy { $0.count < width })
            #expect(lines.count < max(height, 3))
        }
        let lines = Board.lines(rows, left: .seconds(31), width: 100, height: 10)
        // What is not well stays in sight.
        #expect(lines.first?.hasPrefix("app-1") == true && lines.dropFirst().first?.hasPrefix("app-3") == true)
        #expect(lines.last == "and 22 more; 31.0 s left")
    }

    @Test(arguments: [
        ("Unexpected argument 'https://me:hunter2@host/x'", "Unexpected argument 'https://...@host/x'"),
        ("a://b:c/d@e@f http://g/ i://j:k@l", "a://...@f http://g/ i://...@l"), ("nothing here", "nothing here"),
    ])
    func passwordsAreTakenOutOfComplaints(text: String, shown: String) { #expect(withoutPasswords(text) == shown) }

    @Test func whatOthersSayCannotDriveATerminal() {
        #expect(oneLine("a\u{1b}[2Jb\nc\u{202e}d") == "a [2Jb c d")
    }
}

@Suite struct HostBookTests {
    private let doors = [Door(.socket("/a")), Door(.socket("/b"))]

    private func host(_ name: String, _ state: Verdict, isFinal: Bool = true) -> HostDeploy {
        HostDeploy(service: "web", host: name, state: state, isFinal: isFinal, since: Timestamp(seconds: 1), evidence: "attributed-http")
    }

    @Test func allHostsMustHaveProvenIt() {
        var book = HostBook(doors: doors, hosts: [])
        book.observe(host("a", .verified), through: 0, ofMany: false, at: .zero)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .open)
        book.observe(host("b", .stale, isFinal: false), through: 1, ofMany: false, at: .zero)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .open)
        book.observe(host("b", .verified), through: 1, ofMany: false, at: .zero)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .proven)
        // A final word stays.
        book.observe(host("b", .stale), through: 1, ofMany: false, at: .zero)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .proven)
    }

    @Test func oneThatFailedEndsItSoonAndAloneDecides() {
        var book = HostBook(doors: doors, hosts: [])
        book.observe(host("b", .stale, isFinal: false), through: 1, ofMany: false, at: .zero)
        book.observe(host("a", .dynamicToken), through: 0, ofMany: false, at: .seconds(3))
        #expect(book.standing(failsFast: true, at: .seconds(4)) == .open)
        #expect(book.standing(failsFast: true, at: .seconds(5)) == .failed)
        #expect(book.standing(failsFast: false, at: .seconds(50)) == .open)
        // The other one is not stale: it only had no time to turn over.
        #expect(book.deciding.map(\.state) == [.dynamicToken])
        #expect(book.deploys.count == 2)
    }

    /// The aggregator may tell of more hosts than have spoken.
    @Test func theAggregatorMustHaveToldOfAll() throws {
        var book = HostBook(doors: [Door(.aggregator(try Endpoint.parse("https://a/").0, token: Secret("t")))], hosts: [])
        book.observe(host("a", .verified), through: 0, ofMany: true, at: .zero)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .open)
        book.conclude(0)
        #expect(book.standing(failsFast: true, at: .seconds(50)) == .proven)
    }

    /// As when a name has lost an address since the preparation.
    @Test func whoWasPreparedAndIsNotAskedIsNoProof() {
        var book = HostBook(doors: doors, hosts: ["a", "b", "c"])
        book.observe(host("a", .verified), through: 0, ofMany: false, at: .zero)
        #expect(book.deploys.map(\.host) == ["a"])
        book.observe(host("b", .verified), through: 1, ofMany: false, at: .zero)
        #expect(book.deploys.map(\.state) == [.verified, .verified, .unreachable])
        #expect(book.deploys.last?.host == "c")
        #expect(book.standing(failsFast: true, at: .seconds(1)) == .failed)
    }

    @Test func hostsOfOneDoorAreToldApart() {
        let aggregator = Door(.socket("/a"))
        var book = HostBook(doors: [aggregator], hosts: ["x"])
        book.observe(host("x", .verified), through: 0, ofMany: true, at: .zero)
        book.observe(host("y", .mixed, isFinal: false), through: 0, ofMany: true, at: .zero)
        #expect(book.entries.map(\.name) == ["x", "y"])
        #expect(!book.isDone(0))
        book.giveUp(on: 0, named: "aggregator", service: "web", why: "gone", at: Moment(wall: Timestamp(seconds: 1), uptime: .seconds(1)))
        #expect(book.deploys.map(\.state) == [.verified, .unreachable])
        #expect(book.standing(failsFast: true, at: .seconds(1)) == .failed)
    }
}
