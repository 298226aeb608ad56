// The daemons of Tests/Beds, started once for all tests, and how tests ask them.

import Checks
import DaemonMetrics
import Foundation
import Platform
import Synchronization
import TestKit
import Transfer

/// A running `Tests/Beds/daemons`. It ends with the test process, whose end closes its standard input.
struct DaemonBed: Sendable {
    private static let starting = Task { try await DaemonBed() }
    static var shared: DaemonBed { get async throws { try await starting.value } }

    static let password = "correct horse, battery"
    /// The authority of the certificates, which are for `localhost` alone.
    let authority: String
    let passwordFile: String
    private let places: [String: String]
    private let process: ChildProcess

    private init() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-daemons-\(randomHex(bytes: 4))").path
        process = try ChildProcess(bed("daemons"), [folder])
        let lines = try await process.whenReady(folder + "/ready", within: .seconds(90)).split(separator: "\n")
        places = Dictionary(
            uniqueKeysWithValues: lines.map { line in
                let pair = line.split(separator: "=", maxSplits: 1).map(String.init)
                return (pair[0], pair[1])
            })
        authority = folder + "/ca.pem"
        passwordFile = folder + "/password"
    }

    /// The port or path of a daemon.
    subscript(name: String) -> String { places[name] ?? "" }

    func url(_ path: String) -> String { "http://127.0.0.1:\(self["nginx"])\(path)" }
}

let transfers = Result { try Transfers() }

func reader(_ word: String, _ parameters: [String: String]) throws -> any DaemonReader {
    guard let kind = daemonKinds(transfers: try transfers.get()).first(where: { $0.word == word }) else { throw CocoaError(.featureUnsupported) }
    return try kind.make(parameters).get()
}

/// Asks a daemon once.
func ask(
    _ word: String, _ parameters: [String: String], _ metrics: [String], deadline: Duration = .seconds(10)
) async throws -> Result<[String: Double], DaemonError> {
    let reader = try reader(word, parameters)
    return await withCheckedContinuation { continuation in
        reader.read(metrics, deadline: deadline) { continuation.resume(returning: $0) }
    }
}

/// The problem of a daemon that gives no numbers.
func problem(_ word: String, _ parameters: [String: String], _ metrics: [String], deadline: Duration = .seconds(10)) async throws -> String {
    switch try await ask(word, parameters, metrics, deadline: deadline) {
    case .success(let told): return "(no problem: \(told))"
    case .failure(let error): return error.problem
    }
}

/// What is wrong with parameters, as text.
func faults(_ word: String, _ parameters: [String: String]) throws -> [String] {
    do {
        _ = try reader(word, parameters)
        return []
    } catch let errors as SettingErrors {
        return errors.all.map(\.description)
    }
}

/// A port on loopback that nobody listens on.
func closedPort() throws -> Int {
    let server = try BadServer(says: "")
    defer { server.stop() }
    return server.port
}
