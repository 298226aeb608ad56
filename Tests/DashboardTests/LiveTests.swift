// Pages that follow what happens.

import AggregatorCore
import Platform
import TestKit
import Testing

@testable import Dashboard

@Suite struct LiveTests {
    private let now = ManualTime().now().wall

    private func follow(_ path: String, _ dashboard: DashboardUnderTest, _ browser: Browser) async throws -> Connection {
        let connection = try Connection(port: dashboard.port)
        var head = "GET /live?page=\(percentEncoded(path)) HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        for (name, value) in await browser.cookieHeader { head += "\(name): \(value)\r\n" }
        try await connection.send(head + "\r\n")
        return connection
    }

    @Test func aChangeArrivesAsANewMainPart() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { dashboard, browser async throws in
            let connection = try await follow("/services/shop", dashboard, browser)
            let first = try await connection.receive(until: "</main>")
            #expect(first.hasPrefix("HTTP/1.1 200") && first.contains("text/event-stream"))
            #expect(first.contains("event: page\ndata: <main id=\"main\""))

            dashboard.store.change { $0.services[1].problems[0].text = "something new" }
            dashboard.changes.announce()
            let second = try await connection.receive(until: "</main>")
            #expect(second.contains("something new"))
        }
    }

    @Test func manyChangesAreOneEvent() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { dashboard, browser async throws in
            let connection = try await follow("/", dashboard, browser)
            _ = try await connection.receive(until: "</main>")
            dashboard.store.change { $0.services[0].name = "database-1" }
            dashboard.changes.announce()
            _ = try await connection.receive(until: "database-1", "</main>")
            // The dashboard pauses now; what changes meanwhile arrives as one.
            while dashboard.time.sleepers < 2 { await Task.yield() }
            for number in 2...50 {
                dashboard.store.change { $0.services[0].name = "database-\(number)" }
                dashboard.changes.announce()
            }
            dashboard.time.advance(by: .milliseconds(500))
            let text = try await connection.receive(until: "</main>")
            #expect(text.contains("database-50") && text.split(separator: "event: page").count == 2)
        }
    }

    @Test func aQuietConnectionShowsThatItLives() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { dashboard, browser async throws in
            let connection = try await follow("/status/details", dashboard, browser)
            _ = try await connection.receive(until: "</main>")
            while dashboard.time.sleepers < 1 { await Task.yield() }
            dashboard.time.advance(by: .seconds(15))
            #expect(try await connection.receive(until: "\n\n").contains(": still here"))
        }
    }

    @Test func itEndsWithTheSession() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { dashboard, browser async throws in
            let connection = try await follow("/", dashboard, browser)
            _ = try await connection.receive(until: "</main>")
            dashboard.store.change { $0.sessions = [] }
            dashboard.changes.announce()
            #expect(try await connection.receive(until: "0\r\n\r\n").contains("event: login"))
        }
    }

    @Test func itEndsWithTheServer() async throws {
        let left = Box<Connection?>(nil)
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { dashboard, browser async throws in
            let connection = try await follow("/", dashboard, browser)
            _ = try await connection.receive(until: "</main>")
            left.value = connection
        }
        #expect(try await left.value?.receiveToEnd().hasSuffix("0\r\n\r\n") == true)
    }

    @Test func itIsForPagesThatChange() async throws {
        try await DashboardUnderTest.runLoggedIn(to: Example.store(at: now)) { _, browser async throws in
            for query in ["", "?page=", "?page=%2Fhosts%2Fadd", "?page=%2Flive", "?page=nothing"] {
                #expect(try await browser.get("/live\(query)").status == 404)
            }
        }
    }

    @Test func listenersAreBoundedAndThoseThatLeaveMakeRoom() async throws {
        try await DashboardUnderTest.runLoggedIn(to: MemoryStore()) { dashboard, browser async throws in
            var connections: [Connection] = []
            for _ in 1...LiveUpdates.mostListeners {
                let connection = try await follow("/", dashboard, browser)
                #expect(try await connection.receive(until: "</main>").hasPrefix("HTTP/1.1 200"))
                connections.append(connection)
            }
            #expect(try await browser.get("/live?page=%2F").status == 503)
            connections.removeLast()
            var accepted = ""
            while !accepted.hasPrefix("HTTP/1.1 200") {
                accepted = try await follow("/", dashboard, browser).receive(until: "\r\n\r\n")
            }
        }
    }
}

/// A value that a closure leaves behind.
final class Box<Value: Sendable>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}
