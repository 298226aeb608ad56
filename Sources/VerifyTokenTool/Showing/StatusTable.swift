// Workers as a table.

import AgentAPI
import Platform

struct StatusTable {
    private let services: [HostDeploy]

    init(_ services: [HostDeploy]) { self.services = services }

    /// A row for each worker; services without workers have one too, that says why.
    var lines: [String] {
        guard !services.isEmpty else { return ["no service that could be looked at"] }
        var rows = [["HOST", "SERVICE", "PID", "TOKEN", "AGE", "EXEC", "CONNECTIONS", "FOLDER"]]
        for service in services {
            let workers = service.processes.filter { $0.role == .worker }
            for worker in workers {
                let folder = worker.folder.map { oneLine($0) + (worker.isFolderDeleted ? " (deleted)" : "") } ?? "-"
                rows.append([
                    oneLine(service.host), oneLine(service.service), "\(worker.pid)", worker.tokenPrefix.map(oneLine) ?? "-", age(worker.age),
                    oneLine(worker.exec), worker.connections.map { "\($0)" } ?? "-", folder,
                ])
            }
            if workers.isEmpty {
                let why = service.reasons.first.map(oneLine) ?? service.state.meaning
                rows.append([oneLine(service.host), oneLine(service.service), "-", "-", "-", "-", "-", why])
            }
        }
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: max(0, widths[column] - cell.count))
            }
            return cells.joined(separator: "  ")
        }
        let lacks = services.flatMap { service in service.lacks.map { "not seen: \(oneLine(service.host)): \(oneLine($0))" } }
        return lines + lacks
    }

    /// `42 s`, `17 min`, `5 h`, `12 d`
    private func age(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        switch seconds {
        case ..<120: return "\(seconds) s"
        case ..<7200: return "\(seconds / 60) min"
        case ..<172_800: return "\(seconds / 3600) h"
        default: return "\(seconds / 86_400) d"
        }
    }
}
