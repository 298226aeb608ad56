// The mail server of Tests/Beds, one for each test.

import Foundation
import TestKit

/// A running `Tests/Beds/smtp`; it ends with this value.
final class MailBed {
    struct Mail: Decodable {
        var tls: Bool
        var user: String?
        var from: String
        var to: [String]
        var data: String
    }

    struct Reading: Decodable {
        var subject: String
        var id: String
        var body: String
    }

    let user = "rollcall"
    let password = "correct horse"
    let server: String
    let authority: String
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rollcall-mail-\(UUID().uuidString)").path
    private let process: ChildProcess

    init(startTLS: Bool = true) async throws {
        process = try ChildProcess(
            bed("smtp"), [folder, "--until-end-of-input"] + (startTLS ? ["--user", user, "--password", password] : ["--without-starttls"]))
        server = "smtp://localhost:\(try await process.whenReady(folder + "/port"))"
        authority = folder + "/ca.pem"
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func stop() async { await process.stop() }

    func mails() throws -> [Mail] {
        guard let text = try? String(contentsOfFile: folder + "/mails.jsonl", encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { try JSONDecoder().decode(Mail.self, from: Data($0.utf8)) }
    }

    /// What a mail reader makes of it.
    func read(_ mail: Mail) async throws -> Reading {
        let script = """
            import sys, json, email, email.policy
            mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
            print(json.dumps({"subject": mail["Subject"], "id": mail["Message-ID"], "body": mail.get_content().replace("\\r\\n", "\\n")}))
            """
        let reader = try await ChildProcess.run("/usr/bin/python3", ["-c", script], input: mail.data)
        return try JSONDecoder().decode(Reading.self, from: Data(reader.output.utf8))
    }
}
