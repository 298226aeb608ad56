// The dashboard over TLS, with a certificate that openssl makes and curl checks.

import AggregatorCore
import Foundation
import Logging
import Platform
import ServiceLifecycle
import Testing

@testable import Dashboard

private let hasTools = ["/usr/bin/openssl", "/usr/bin/curl"].allSatisfy(FileManager.default.isExecutableFile)

@Suite(.enabled(if: hasTools, "needs openssl and curl")) struct TLSTests {
    @Test func itIsServedWithTheConfiguredCertificate() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-tls-\(randomHex(bytes: 8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (certificate, key) = (folder.appendingPathComponent("certificate.pem").path, folder.appendingPathComponent("key.pem").path)
        _ = try await output(
            of: "/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)

        let store = MemoryStore()
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (ports, heard) = AsyncStream<Int>.makeStream()
        let configuration = try DashboardConfiguration(
            address: "127.0.0.1", port: 0, tls: .init(certificate: certificate, privateKey: key), publicURL: "https://localhost")
        let board = OrderBoard(time: SystemTime())
        let server = try DashboardServer(
            configuration: configuration, store: store, ingest: store, deploys: store,
            relay: DeployRelay(store: store, board: board, time: SystemTime()), board: board, health: store, changes: Changes(), time: SystemTime(),
            setupCode: "x", passwordCost: cheap, runbook: { _ in nil }, logger: quiet
        ) { port in heard.yield(port) }
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: quiet))
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let body = try await output(
                of: "/usr/bin/curl", "--silent", "--show-error", "--cacert", certificate, "--resolve", "localhost:\(port):127.0.0.1",
                "https://localhost:\(port)/status/")
            #expect(body == "Checks running")
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}

private func output(of program: String, _ arguments: String...) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
            continuation.resume(
                with: Result {
                    let (process, out) = (Process(), Pipe())
                    process.executableURL = URL(fileURLWithPath: program)
                    process.arguments = arguments
                    process.standardOutput = out
                    process.standardError = FileHandle.nullDevice
                    try process.run()
                    let bytes = out.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    return String(decoding: bytes, as: UTF8.self)
                })
        }
    }
}
