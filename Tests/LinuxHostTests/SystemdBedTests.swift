import Foundation
import Platform
import Testing

@testable import LinuxHost

/// Boots a real systemd and runs the suite `InsideBed` in it, where pids and control groups are what they are for an agent.
@Suite(.serialized, .enabled(if: !isInsideBed && getuid() == 0, "a real systemd needs root"))
struct SystemdBedTests {
    let bed = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"

    @Test(.timeLimit(.minutes(3)), arguments: ["unified", "hybrid"])
    func systemdKeepsItsPromises(layout: String) throws {
        try withBed(layout: layout) { enter in
            let root = try enter([testBinary, "--testing-library", "swift-testing", "--filter", "InsideBed"])
            #expect(root.status == 0, "\(root.output)")
            #expect(root.output.contains("with"), "\(root.output)")
        }
    }

    @Test(.timeLimit(.minutes(3)))
    func anAgentWithoutRightsWatchesAndIsRefusedInWords() throws {
        try withBed(layout: "unified") { enter in
            let nobody = try enter([
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", testBinary, "--testing-library", "swift-testing", "--filter",
                "UnprivilegedInBed",
            ])
            #expect(nobody.status == 0, "\(nobody.output)")
        }
    }

    private func withBed(layout: String, _ body: (([String]) throws -> (status: Int32, output: String)) throws -> Void) throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let repository = URL(fileURLWithPath: tests).deletingLastPathComponent().path
        let folder = "\(bed)/rollcall-bed-\(getpid())-\(layout)"
        let script = tests + "/Beds/systemd"
        let start = try shell(script, ["start", "-d", folder, "-l", layout, "-u", tests + "/Beds/systemd-units", "-b", repository])
        try #require(start.status == 0, "\(start.output)")
        defer {
            let stop = try? shell(script, ["stop", "-d", folder])
            #expect(stop?.status == 0, "\(stop?.output ?? "the bed could not be stopped")")
        }
        try body { try shell(script, ["enter", "-d", folder, "env", "TMPDIR=/tmp", "ROLLCALL_INSIDE_BED=\(layout)"] + $0) }
    }
}

let isInsideBed = ProcessInfo.processInfo.environment["ROLLCALL_INSIDE_BED"] != nil

private let testBinary = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
