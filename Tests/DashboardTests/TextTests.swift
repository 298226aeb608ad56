// Paths, forms, numbers and times as people and programs read them.

import AgentAPI
import AggregatorCore
import Platform
import Testing

@testable import Dashboard

@Suite struct RouteTests {
    @Test(arguments: [
        ("/", Route.services), ("/services", .services), ("/services/", .services), ("/services/shop", .service("shop")),
        ("/services/search%2Findex", .service("search/index")), ("/services/caf%C3%A9%20%22x%22", .service("café \"x\"")), ("/hosts", .hosts),
        ("/hosts/add", .addHost), ("/hosts/abc", .host(agent: "abc")), ("/status", .status), ("/status/", .status), ("/status/details", .health),
        ("/v1/reports", .reports), ("/live", .live), ("/login", .login), ("/logout", .logout), ("/setup", .setup),
    ])
    func pathsAreRead(path: String, route: Route) {
        #expect(Route(path: path) == route)
        #expect(Route(path: route.path) == route)
    }

    @Test(arguments: [
        "", "*", "services", "/nothing", "/services/a/b", "/services/%", "/services/%4", "/services/%zz", "/services/%ff", "//evil.example.com",
    ])
    func nothingIsAtOtherPaths(path: String) { #expect(Route(path: path) == nil) }
}

@Suite struct FormTests {
    @Test func fieldsAreDecoded() {
        let fields = FormFields(parsing: Array("name=Ada+L.&password=a%26b%3Dc%2B&empty=&flag&=x&bad=%zz&name=last".utf8))
        #expect(fields["name"] == "last")
        #expect(fields["password"] == "a&b=c+")
        #expect(fields["empty"] == "")
        #expect(fields["flag"] == "")
        #expect(fields["bad"] == "")
    }
}

@Suite struct QuantityTests {
    @Test(arguments: [
        ("memory:rss", 0.0, "0 B"), ("memory:rss", 1023, "1023 B"), ("memory:rss", 1024, "1.0 KiB"), ("memory:rss", 432_537_600, "412.5 MiB"),
        ("memory:rss", 1_073_741_823, "1.0 GiB"), ("memory:rss", 1e300, "8.881784197001253e+284 PiB"), ("cpu:user", 3.1, "3.1 %"),
        ("cpu", 0.04, "0.0 %"), ("cpu", -0.01, "0.0 %"), ("cpu", 250.4, "250 %"), ("load:1", 0.584, "0.58"), ("redis:clients", 12, "12"),
        ("x", -1.5, "-1.50"),
    ])
    func numbersHaveUnits(metric: String, value: Double, text: String) { #expect(Quantity(metric: metric).text(value) == text) }

    @Test(arguments: [(Duration.milliseconds(42), "42 ms"), (.milliseconds(1_240), "1.2 s"), (.seconds(15), "15 s"), (.seconds(90), "1.5 min")])
    func durations(duration: Duration, text: String) { #expect(durationText(duration) == text) }
}

@Suite struct TimeTests {
    private let now = Timestamp("2026-11-21T03:00:00Z")!

    @Test(arguments: [
        (-60, "just now"), (0, "just now"), (4, "just now"), (5, "5 s ago"), (59, "59 s ago"), (60, "1 min ago"), (3599, "59 min ago"),
        (3600, "1 h ago"), (172_799, "47 h ago"), (172_800, "2 days ago"),
    ])
    func distances(seconds: Int, text: String) { #expect(agoText(now - .seconds(seconds), now: now) == text) }

    @Test func clock() { #expect(clockText(now + .milliseconds(12_345)) == "2026-11-21 03:00:12 UTC") }
}

@Suite struct EventSentenceTests {
    @Test(arguments: Event.Kind.allCases)
    func everyKindIsASentence(kind: Event.Kind) {
        let event = Event(sequence: 1, kind: kind, at: Timestamp(seconds: 0), unit: "puma.service", cause: .failure, detail: "the detail")
        let text = sentence(EventRecord(agent: "a", host: "web1", receivedAt: event.at, event: event))
        #expect(text.contains("web1") && text.hasSuffix(": the detail"))
    }

    @Test func aRestartSaysWhy() {
        func text(_ cause: Event.Cause) -> String {
            let event = Event(sequence: 1, kind: .unitRestarted, at: Timestamp(seconds: 0), unit: "puma.service", cause: cause)
            return sentence(EventRecord(agent: "a", host: "web1", receivedAt: event.at, event: event))
        }
        #expect(text(.failure) == "puma.service on web1 failed and was restarted")
        #expect(text(.request) == "puma.service on web1 was restarted on request")
        #expect(text(.finished) == "puma.service on web1 ended and was started again")
    }
}

@Suite struct SparklineTests {
    private let now = Timestamp("2026-11-21T03:00:00Z")!

    private func markup(_ points: [(age: Int, value: Double)]) -> String? {
        let series = Series(agent: "a", unit: "u", metric: "cpu:user", points: points.map { .init(at: now - .seconds($0.age), value: $0.value) })
        return Sparkline(subject: "CPU of u", id: "x", series: series).html(at: now)?.markup
    }

    @Test func itSaysItsNumbersInWords() throws {
        let text = try #require(markup([(180, 1), (120, 4), (60, 2)]))
        #expect(text.contains("<title id=\"x-title\">CPU of u, last hour</title>"))
        #expect(text.contains("2.0 % at the end, between 1.0 % and 4.0 %"))
    }

    @Test func aGapBreaksTheLine() throws {
        let text = try #require(markup([(600, 1), (540, 1), (480, 1), (120, 1), (60, 1), (0, 1)]))
        #expect(text.split(separator: "class=\"line\"")[1].filter { $0 == "M" }.count == 2)
    }

    @Test func onePointIsNoLine() { #expect(markup([(60, 1)]) == nil) }
    @Test func oddNumbersDrawSomething() { #expect(markup([(-900, 0), (60, -5), (100_000, 1e300)]) != nil) }
}
