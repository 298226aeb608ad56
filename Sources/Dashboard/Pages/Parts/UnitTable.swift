// Units with how they are.

import AgentAPI
import AggregatorCore
import Platform

/// - Parameters:
///   - deploys: of the units, for marks on their pictures.
///   - service: the one whose units they are, if they are all of one.
///   - silences: what nobody is told of on their host.
///   - showsHost: whether a unit's host stands beside it; not where all are of one.
func unitTable(
    _ units: [UnitRecord], _ histories: [UnitHistory], deploys: [DeployLine] = [], service: String? = nil, silences: [Silence] = [], caption: String,
    showsHost: Bool, at now: Timestamp
) -> HTML {
    var rows: [[Cell]] = []
    for (index, (unit, history)) in zip(units, histories).enumerated() {
        let state = unit.state
        let marks = marks(of: deploys, on: state.name, in: service)
        rows.append([
            Cell("name") {
                state.name
                if showsHost {
                    span(.class("under")) {
                        "on "
                        a(.href(.host(agent: unit.agent))) { unit.host }
                    }
                }
            },
            Cell {
                Badge(state.phase).html
                span(.class("under")) { state.detail }
                for rule in state.failingRules { span(.class("under failing")) { "failing rule: \(rule)" } }
                for silence in silences where silence.covers(state.name) { silenceLine(silence, at: now) }
            },
            Cell {
                if let since = state.since { shortMoment(since, now: now) } else { absent }
                if let pid = state.mainPID { span(.class("under")) { "pid \(pid)" } }
            },
            Cell("number") { measured(.unitCPU, state.samples, history.cpu, marks: marks, of: state.name, id: "cpu-\(index)", at: now) },
            Cell("number") { measured(.unitMemory, state.samples, history.memory, marks: marks, of: state.name, id: "memory-\(index)", at: now) },
        ])
    }
    return dataTable(caption: caption, columns: ["Unit", "State", "Since", "CPU", "Memory"], rows: rows)
}

/// What needs attention first, then by host and name.
func sortedForReading(_ units: [UnitRecord]) -> [UnitRecord] {
    units.sorted { (rank($0.state), $0.host, $0.state.name) < (rank($1.state), $1.host, $1.state.name) }
}

private func rank(_ state: UnitState) -> Int {
    switch state.phase {
    case .down: 0
    case .unknown: 1
    case .stuck, .stopped, .changing: 2
    case .up: state.failingRules.isEmpty ? 4 : 3
    case .idle: 4
    }
}
