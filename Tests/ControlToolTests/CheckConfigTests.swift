import Foundation
import Platform
import TestKit
import Testing

/// Runs the built `rollcall`, which stands beside the test's own program.
private func rollcall(_ arguments: String..., in folder: String = "/") throws -> (output: String, complaints: String, status: Int32) {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("rollcall")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ["COLUMNS": "80"]
    let (output, complaints) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = complaints
    try process.run()
    // Both are far smaller than a pipe holds, so that reading one after the other blocks nobody.
    let answer = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: complaints.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (answer, complaint, process.terminationStatus)
}

private final class Folder {
    let path = NSTemporaryDirectory() + "rollcall-check-config-\(UInt64.random(in: 0 ... .max))"

    init(_ files: [String: String]) throws {
        for (name, text) in files {
            let url = URL(fileURLWithPath: path).appendingPathComponent(name)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

private let good = [
    "rollcall.conf": "set cycle_time 10\nset aggregator https://watch.example.com\nset aggregator_token_file /etc/rollcall/token\n",
    "host.inq": "check host\nif cpu > 90% for 4 cycles then alert\nif disk(/var) > 90% then alert ops\nif memory:available < 100m then alert\n",
    "services.d/puma.inq":
        "check service puma with owner \"the team\"\nif memory:total_rss > 500m for 2 cycles then alert, reload\nif memory:rss > 1048576 then restart\n",
    "services.d/sshd.inq": "check service sshd",
    "services.d/sidekiq.inq": """
    check service sidekiq@* depends on redis, sshd
    if each worker memory:rss > 1.5g or (cpu:total > 90% and threads >= 50) for 30s then signal "TSTP 30s TERM 5s KILL", restart
    if memory:total > 500m for 3 cycles clear < 400m for 1m during "mon-fri 22:00-06:00, sat-sun" as warning then alert else alert ops
    if uptime < 5min 3 times within 10 cycles except "*/5 9-16 * * 1-5" as critical then exec "/usr/local/bin/heal --name 'the shop'" as deploy timeout 10s
    if down clear for 2 cycles then start

    """,
    "services.d/any.inq": "check failed units",
    "services.d/redis.inq": "check service redis with port 6379, password hunter2\nif redis:connected_clients > 1k/sec then alert \"on call\"\n",
    "jobs.d/jobs.inq": "check jobs\nbackup happens every 2 hours within 10 minutes for at most 1h\nrotate happens at \"@daily\"\n",
]

private let bad = [
    "rollcall.conf":
        "set cycle_time 0\nsend alerts to ops via email with password hunter2, to_email ops@example.com\nsend alerts via slack with url https://hooks.example.com/T0/hunter2\n",
    "services.d/puma.inq":
        "check service puma with url \"redis://:hunter2@127.0.0.1/0\", api_key hunter2, key_file /etc/key\nif memory:total_rss > 50g then restrat\n",
    "services.d/web.inq": "check service web\nif memory:rss > 1g then alert\n",
]

@Suite struct CheckConfigTests {
    @Test func aGoodConfigurationIsSaidInSentences() throws {
        let folder = try Folder(good)
        let answer = try rollcall("check-config", "--offline", ".", in: folder.path)
        try expectGolden(answer.output, "good.txt")
        try expectGolden(answer.complaints, "good-warnings.txt")
        #expect(answer.status == 0)
    }

    @Test func aBadConfigurationIsSaidAsFarAsItGoesAndItsFaultsAreShown() throws {
        let folder = try Folder(bad)
        let answer = try rollcall("check-config", "--offline", ".", in: folder.path)
        try expectGolden(answer.output, "bad.txt")
        try expectGolden(answer.complaints, "bad-faults.txt")
        #expect(!answer.output.contains("hunter2"))
        #expect(answer.status == 1)
    }

    @Test(arguments: [("good.jsonl", good), ("bad.jsonl", bad)])
    func programsGetOneObjectPerLine(golden: String, files: [String: String]) throws {
        let folder = try Folder(files)
        let answer = try rollcall("check-config", "--offline", "--json", ".", in: folder.path)
        try expectGolden(answer.output, golden)
        #expect(answer.complaints == "")
        #expect(!answer.output.contains("hunter2"))
        #expect(answer.status == (golden == "good.jsonl" ? 0 : 1))
        for line in answer.output.split(separator: "\n") { _ = try JSON(parsing: String(line)) }
    }

    @Test func aFileThatCannotBeReadIsAFaultOfThatFile() throws {
        let answer = try rollcall("check-config", "--json", "/nowhere/a.inq", "/nowhere")
        #expect(
            answer.output == """
                {"file":"/nowhere/a.inq","faults":[{"line":0,"column":0,"message":"cannot be read: No such file or directory"}],"check":null,"warnings":[]}
                {"file":"/nowhere","faults":[{"line":0,"column":0,"message":"cannot be read: No such file or directory"}],"check":null,"warnings":[]}

                """)
        #expect(answer.status == 1)
    }

    @Test func anUnknownOptionIsAUsageError() throws {
        #expect(try rollcall("check-config", "--frob").status == 64)
        #expect(try rollcall("chek-config").status == 64)
    }

    @Test func helpIsThere() throws {
        try expectGolden(try rollcall("--help").output, "help.txt")
        try expectGolden(try rollcall("check-config", "--help").output, "help-check-config.txt")
    }
}
