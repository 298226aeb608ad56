// A dashboard on a port of its own, and somebody who uses it.

import AggregatorCore
import Foundation
import Logging
import Platform
import ServiceLifecycle
import TestKit

@testable import Dashboard

/// Passwords that are cheap to try: the tests are about who gets in, not about how long it takes.
let cheap = PasswordHash.Cost(log2Rounds: 4, blockSize: 8, parallelism: 1)

struct DashboardUnderTest: Sendable {
    static let setupCode = "4711-correct-horse"
    static let password = "battery staple"

    let store: MemoryStore
    let changes: Changes
    let time: ManualTime
    let board: OrderBoard
    let port: Int

    /// Runs a dashboard for as long as `use` takes, and shuts it down as a service manager would.
    static func run(
        _ store: MemoryStore = MemoryStore(), publicURL: String = "http://rollcall.example.com", runbooks: [String: String] = [:],
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, _ use: @escaping @Sendable (DashboardUnderTest) async throws -> Void
    ) async throws {
        let (time, changes) = (ManualTime(), Changes())
        let (ports, heard) = AsyncStream<Int>.makeStream()
        let board = OrderBoard(time: time)
        let server = try DashboardServer(
            configuration: try DashboardConfiguration(address: "127.0.0.1", port: 0, publicURL: publicURL), store: store,
            ingest: store, deploys: store, relay: DeployRelay(store: store, board: board, time: time), board: board, health: store, changes: changes,
            time: time, setupCode: setupCode, passwordCost: cheap,
            runbook: { runbooks[$0] },
            logger: logger
        ) { port in heard.yield(port) }
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: logger))
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { throw ClientError(problem: "the dashboard does not listen") }
            let result: Result<Void, any Error>
            do { result = .success(try await use(DashboardUnderTest(store: store, changes: changes, time: time, board: board, port: port))) } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }

    /// The same with a user and somebody logged in.
    static func runLoggedIn(
        to store: MemoryStore, runbooks: [String: String] = [:], logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ use: @escaping @Sendable (DashboardUnderTest, Browser) async throws -> Void
    ) async throws {
        store.change { $0.users = [UserRecord(name: "ada", passwordHash: PasswordHash(of: password, cost: cheap).text)] }
        try await run(store, runbooks: runbooks, logger: logger) { dashboard in
            let browser = dashboard.browser()
            try await browser.logIn("ada", password)
            try await use(dashboard, browser)
        }
    }

    func browser() -> Browser { Browser(port: port) }
}

/// Keeps cookies and sends forms as a browser does. Redirects are for the test to see.
actor Browser {
    let port: Int
    private(set) var cookies: [String: String] = [:]

    init(port: Int) { self.port = port }

    var cookieHeader: [(String, String)] {
        cookies.isEmpty ? [] : [("Cookie", cookies.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "; "))]
    }

    func get(_ path: String, headers: [(String, String)] = []) async throws -> Answer {
        keep(try await exchange(port: port, "GET", path, headers: cookieHeader + headers))
    }

    /// Sends a form with the token of the page that it is on.
    func submit(_ path: String, from page: String? = nil, _ fields: [String: String]) async throws -> Answer {
        let token = try await get(page ?? path).formToken
        return try await post(path, fields.merging(["form_token": token]) { $1 }, headers: [("Origin", "http://127.0.0.1:\(port)")])
    }

    func post(_ path: String, _ fields: [String: String], headers: [(String, String)] = []) async throws -> Answer {
        let body = fields.sorted { $0.key < $1.key }.map { "\(percentEncoded($0.key))=\(percentEncoded($0.value))" }.joined(separator: "&")
        return keep(
            try await exchange(
                port: port, "POST", path, headers: cookieHeader + [("Content-Type", "application/x-www-form-urlencoded")] + headers,
                body: Array(body.utf8)))
    }

    func logIn(_ name: String, _ password: String) async throws {
        let answer = try await submit("/login", ["name": name, "password": password])
        guard answer.status == 303 else { throw ClientError(problem: "login answered \(answer.status)") }
    }

    func set(cookie name: String, to value: String) { cookies[name] = value }

    private func keep(_ answer: Answer) -> Answer {
        for (name, value) in answer.cookies { cookies[name] = value.isEmpty ? nil : value }
        return answer
    }
}
