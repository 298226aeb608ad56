// The web server of Tests/Beds as somebody who takes what is posted to it.

import Foundation
public import Platform

/// A running `Tests/Beds/web`, one for each test; it ends with this value.
public final class HookBed: Sendable {
    /// A request to `/take`.
    public struct Taken: Sendable {
        public var path: String
        /// By name in lower case.
        public var headers: [String: String]
        public var body: String
        /// Null where the body is none.
        public var json: JSON { (try? JSON(parsing: body)) ?? .null }
    }

    public let port: Int
    /// For HTTPS.
    public let securePort: Int
    /// The file with the authority that has signed its certificate.
    public var authority: String { folder + "/ca.pem" }
    private let folder: String
    private let process: ChildProcess

    /// - Parameters:
    ///   - folder: where it keeps its files; one of its own in a temporary place where nothing is said.
    ///   - prefix: what runs it, such as `nsenter --target PID --all`.
    public init(in folder: String? = nil, by prefix: [String] = []) async throws {
        let folder = folder ?? FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-hook-\(UUID().uuidString)").path
        self.folder = folder
        let words = prefix + [bed("web"), folder]
        process = try ChildProcess(words[0], Array(words.dropFirst()))
        let numbers = try await process.whenReady(folder + "/ports").split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 2 else { throw ChildProcess.Failure(description: "the web server names no ports") }
        (port, securePort) = (numbers[0], numbers[1])
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    public func url(_ path: String = "/take") -> String { "http://127.0.0.1:\(port)\(path)" }

    public func taken() throws -> [Taken] {
        guard let text = try? String(contentsOfFile: folder + "/taken.jsonl", encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { line in
            let json = try JSON(parsing: line.utf8)
            let headers = (json["headers"]?.members ?? []).map { ($0.name, $0.value.string ?? "") }
            return Taken(
                path: json["path"]?.string ?? "", headers: Dictionary(headers, uniquingKeysWith: { first, _ in first }),
                body: json["body"]?.string ?? "")
        }
    }

    public func stop() async { await process.stop() }
}
