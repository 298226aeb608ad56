// Every kind of unit, and what may happen to it, against a real systemd and with Rollcall as it is installed.

import Foundation
import Platform
import TestKit
import Testing

@Suite(.serialized, .enabled(if: getuid() == 0, "a real systemd needs root")) struct UnitTableScenarioTests {
    /// What comes between the two steps of every row.
    enum Disturbance: String, CaseIterable {
        case none
        case daemonReload = "systemctl daemon-reload"
        case daemonReexec = "systemctl daemon-reexec"
        case agentRestart = "systemctl restart rollcall-agent"
    }

    @Test(.timeLimit(.minutes(5)), arguments: Disturbance.allCases)
    func whatIsSaidOfEachKindOfUnit(disturbance: Disturbance) async throws {
        let rows = UnitRow.daemons + UnitRow.others
        var units: [String: String] = [:]
        var files: [String: String] = [:]
        for row in rows {
            if !row.service.isEmpty { units["\(row.name).service"] = row.service.hasPrefix("[") ? row.service : "[Service]\n\(row.service)\n" }
            units.merge(row.units) { $1 }
            files.merge(row.files) { $1 }
        }
        for (name, text) in UnitRow.programs { files["/usr/local/bin/\(name)"] = text }
        var rules = ["services.d/failed.inq": "check failed units\n"]
        for (index, name) in rows.compactMap({ $0.check ?? $0.name }).filter({ !$0.isEmpty }).enumerated() {
            rules["services.d/\(index).inq"] = "check service \"\(name)\"\n"
        }
        try await InstalledHost.with(
            units: units, files: files, rules: rules, startsAgent: false
        ) { host in
            for row in rows { try await host.shell(row.before ?? "systemctl start \(row.name)") }
            try await host.startAgent()
            var before: [String: [String]] = [:]
            // What is not running at the first look is said then, and is none of the table's.
            for row in rows { before[row.name] = said(of: row, on: host) }
            func happen(_ step: KeyPath<UnitRow, String>, _ expected: (UnitRow) -> [String]) async throws {
                try await host.shell(Self.allAtOnce(rows.map { $0[keyPath: step] }))
                let wanted = rows.map { (before[$0.name] ?? []) + expected($0) }
                try? await eventually("all is said", within: .seconds(60)) {
                    zip(rows, wanted).allSatisfy { said(of: $0, on: host).count >= $1.count }
                }
                // What is said too much comes soon as well.
                try await Task.sleep(for: .seconds(2))
            }
            try await happen(\.first) { $0.says }
            if disturbance != .none { try await host.shell(disturbance.rawValue) }
            try await happen(\.then) { $0.says + $0.thenSays }
            let states = try await host.export()["services"]
            for row in rows {
                var events = Array(said(of: row, on: host).dropFirst(before[row.name]?.count ?? 0))
                if row.repeatsItself { events = events.enumerated().filter { $0 == 0 || events[$0 - 1] != $1 }.map(\.element) }
                #expect(([row.name] + events) == ([row.name] + row.says + row.thenSays), "\(disturbance)")
                if let ends = row.ends { #expect(states?[row.unit]?["state"]?.string == ends, "\(row.name), \(disturbance)") }
            }
        }
    }

    /// Runs them side by side, and fails with the first that fails.
    private static func allAtOnce(_ scripts: [String]) -> String {
        let jobs = scripts.map { "( set -e\n\($0)\n) & jobs+=($!)\n" }
        return "jobs=()\n\(jobs.joined())for job in \"${jobs[@]}\"; do wait \"$job\"; done\n"
    }

    private func said(of row: UnitRow, on host: InstalledHost) -> [String] {
        host.events(of: row.unit).map { "\($0.kind): \($0.detail.replacing(/for \d+ s/, with: "for N s"))" }
    }
}
