// What the beds of the small init systems share.

import AgentCore
import Foundation
import Platform
import Testing

@testable import LinuxHost

/// Runs what is in the suite `InsideSupervisors` where pids are what they are for an agent and nothing that is started stays.
@Suite(.serialized, .enabled(if: !isInsideSupervisors && getuid() == 0, "a PID namespace needs root"))
struct SupervisorBedTests {
    @Test(.timeLimit(.minutes(2))) func theSmallInitSystemsKeepTheirPromises() throws {
        let end = try shell(
            bed("supervisors"),
            ["env", "ROLLCALL_INSIDE_SUPERVISORS=1", testBinary, "--testing-library", "swift-testing", "--filter", "InsideSupervisors"])
        #expect(end.status == 0, "\(end.output)")
        #expect(end.output.contains("passed after"), "\(end.output)")
    }

    private func bed(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Beds/\(name)").standardizedFileURL.path
    }
}

let isInsideSupervisors = ProcessInfo.processInfo.environment["ROLLCALL_INSIDE_SUPERVISORS"] != nil

private let testBinary = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]

/// What a small init system runs for a test.
@Suite(.serialized, .enabled(if: isInsideSupervisors, "runs inside a bed, which SupervisorBedTests starts"))
struct InsideSupervisors {}

/// The services of a fixture: shell scripts in a folder of its own, and the files by which they tell how they are.
final class Workers {
    let folder = Folder()

    init() throws {
        try script(
            """
            trap 'echo hup >>"\(folder.path)/$1.reloads"' HUP
            trap 'kill $child; exit 0' TERM
            sleep 1000 & child=$!
            echo $$ >"\(folder.path)/$1.ready"
            while :; do wait $child; kill -0 $child 2>/dev/null || { sleep 1000 & child=$!; }; done
            """, to: "worker")
        try script("exit 3", to: "fail")
    }

    /// What to execute for a role.
    func command(_ role: ServiceRole) -> String {
        role == .failing ? "\(folder.path)/fail" : "\(folder.path)/worker \(role.rawValue)"
    }

    func script(_ text: String, to name: String) throws {
        try folder.write("#!/bin/sh\n\(text)\n", to: name)
        chmod("\(folder.path)/\(name)", 0o755)
    }

    func reloads(_ role: ServiceRole) -> Int {
        (try? String(contentsOfFile: "\(folder.path)/\(role.rawValue).reloads", encoding: .utf8))?.split(separator: "\n").count ?? 0
    }

    /// The process of that role which was the last to be ready.
    func pid(of role: ServiceRole) -> Int32? {
        (try? String(contentsOfFile: "\(folder.path)/\(role.rawValue).ready", encoding: .utf8)).flatMap { pidNumber(parsing: Array($0.utf8)) }
    }

    /// Waits until a process of that role has its signal handlers.
    func waitUntilReady(_ role: ServiceRole) throws {
        let isReady = eventually { pid(of: role).flatMap { ProcFileSystem(root: "/").stat(of: $0) }.map { !$0.hasEnded } ?? false }
        if !isReady { throw NeverSaid(description: "\(role) did not start") }
    }
}

/// Runs a tool of a bed, which has to succeed.
func tool(_ command: String, _ arguments: String...) throws {
    let end = try shell("env", ["--default-signal", command] + arguments)
    if end.status != 0 { throw NeverSaid(description: "\(command) \(arguments.joined(separator: " ")): \(end.output)") }
}

/// A supervisor of a bed, as a child of the test.
final class Supervisor {
    let child: Child
    private let farewell: Int32

    /// - Parameter farewell: the signal that ends it and all that it supervises.
    init(_ command: String, _ arguments: [String], farewell: Int32) throws {
        // Swift's threads block most signals, and it would inherit that.
        child = try Child("env", ["--default-signal", command] + arguments)
        self.farewell = farewell
    }

    deinit {
        kill(child.pid, farewell)
        _ = eventually(within: 5) { ProcFileSystem(root: "/").stat(of: child.pid)?.hasEnded ?? true }
        child.end()
    }
}
