// The mail server of Tests/Beds, one for each test.

import Foundation

/// A running `Tests/Beds/smtp`; it ends with this value.
public final class MailBed: Sendable {
    public struct Mail: Decodable, Sendable {
        public var tls: Bool
        public var user: String?
        public var from: String
        public var to: [String]
        public var data: String
    }

    public struct Reading: Decodable, Sendable {
        public var subject: String
        public var id: String
        public var body: String
    }

    public let user = "rollcall"
    public let password = "correct horse"
    public let server: String
    public let authority: String
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-mail-\(UUID().uuidString)").path
    private let process: ChildProcess

    public init(startTLS: Bool = true) async throws {
        process = try ChildProcess(
            bed("smtp"), [folder, "--until-end-of-input"] + (startTLS ? ["--user", user, "--password", password] : ["--without-starttls"]))
        server = "smtp://localhost:\(try await process.whenReady(folder + "/port"))"
        authority = folder + "/ca.pem"
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    public func stop() async { await process.stop() }

    public func mails() throws -> [Mail] {
        guard let text = try? String(contentsOfFile: folder + "/mails.jsonl", encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { try JSONDecoder().decode(Mail.self, from: Data($0.utf8)) }
    }

    /// What a mail reader makes of it.
    public func read(_ mail: Mail) async throws -> Reading {
        let script = """
            import sys, json, email, email.policy
            mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
            print(json.dumps({"subject": mail["Subject"], "id": mail["Message-ID"], "body": mail.get_content().replace("\\r\\n", "\\n")}))
            """
        let reader = try await ChildProcess.run("/usr/bin/python3", ["-c", script], input: mail.data)
        return try JSONDecoder().decode(Reading.self, from: Data(reader.output.utf8))
    }
}
