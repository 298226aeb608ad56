// One host: its units, its numbers, what happened on it.

import AgentAPI
import AggregatorCore
import Platform

struct HostPage: Page {
    var host: HostRecord
    /// Those whose token its agent has taken over.
    var predecessors: [HostRecord]
    /// The one whose agent has taken over its token.
    var successor: HostRecord?
    var histories: [(measurement: Measurement, series: Series?)]
    var units: [UnitRecord]
    var unitHistories: [UnitHistory]
    var events: [EventRecord]
    /// The latest that it was part of.
    var deploys: [DeployLine]

    /// `nil` when no agent of that id has reported.
    init?(_ agent: String, store: any DeployStoring & StoreReading, at now: Timestamp) async throws(StoreError) {
        guard let host = try await store.host(agent: agent) else { return nil }
        self.host = host
        let hosts = try await store.hosts()
        predecessors = hosts.filter { $0.replacedBy == agent }
        successor = hosts.first { $0.agent == host.replacedBy }
        histories = []
        for measurement in [Measurement.hostLoad, .hostCPU, .hostMemory] {
            histories.append((measurement, try await readSeries(measurement, of: host.samples, agent: agent, unit: nil, store: store, at: now)))
        }
        units = sortedForReading(try await store.units(ofAgent: agent))
        unitHistories = try await readHistories(of: units, store: store, at: now)
        deploys = try await store.deploys(.host(host.name), limit: 10)
        events = try await store.events(ofService: nil, agent: agent, limit: 50)
    }

    var title: String { host.name }
    var headline: String { host.replacedBy != nil ? "\(host.name) is retired" : host.isSilent ? "\(host.name) is silent" : "\(host.name) reports" }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { host.name }
            Badge(host).html
        }
        p(.class("lead")) {
            "Last report "
            moment(host.lastReport, now: now)
        }
        replacements(at: now)
        if host.isSilent {
            section(.class("card problems critical")) {
                h2 { "What is wrong" }
                p {
                    "The agent has not reported for longer than its grace, so what follows is as it was then. On the host, "
                    code { "systemctl status rollcall-agent" }
                    " says how the agent is."
                }
            }
        }
        section {
            h2 { "Host" }
            div(.class("figures")) {
                for (index, history) in histories.enumerated() {
                    div(.class("figure")) {
                        div(.class("label")) { history.measurement.name }
                        measured(
                            history.measurement, host.samples, history.series, marks: deploys.map(DeployMark.init), of: host.name,
                            id: "host-\(index)",
                            at: now)
                    }
                }
            }
            details(.id("samples")) {
                summary { "All \(counted(host.samples.count, "sample"))" }
                dl(.class("samples")) {
                    for sample in host.samples {
                        div {
                            dt { sample.metric }
                            dd { Quantity(metric: sample.metric).text(sample.value) }
                        }
                    }
                }
            }
            p(.class("muted small")) { "Agent \(host.agent), version \(host.version), reports every \(durationText(host.interval))" }
        }
        if !host.silences.isEmpty {
            section {
                h2 { "Deploys and silences" }
                silenceList(host.silences, of: host.name, at: now)
            }
        }
        section {
            h2 { "Units" }
            if units.isEmpty {
                p(.class("muted")) { "The agent watches no unit." }
            } else {
                unitTable(
                    units, unitHistories, deploys: deploys, silences: host.silences, caption: "Units on \(host.name)", showsHost: false, at: now)
            }
        }
        if !host.jobs.isEmpty {
            section {
                h2 { "Jobs" }
                jobTable(host.jobs, of: host.name, at: now)
            }
        }
        if !deploys.isEmpty {
            section {
                h2 { "Deploys" }
                deployTable(deploys, caption: "Deploys on \(host.name), newest first", showsService: true, at: now)
            }
        }
        section {
            h2 { "Events" }
            if events.isEmpty { p(.class("muted")) { "Nothing has happened yet." } } else { eventList(events, at: now) }
        }
    }

    /// Who reported before with the same token, and who does since.
    @HTMLBuilder private func replacements(at now: Timestamp) -> HTML {
        if host.replacedBy != nil {
            p {
                "This host is retired: "
                if let successor {
                    "the agent on "
                    a(.href(.host(agent: successor.agent))) { successor.name }
                } else {
                    "another agent"
                }
                " reports with its token since. Nothing is watched here any longer; what happened before is still below."
            }
        }
        for old in predecessors {
            p {
                "Its agent replaces the one on "
                a(.href(.host(agent: old.agent))) { old.name }
                ", which last reported "
                shortMoment(old.lastReport, now: now)
                " and is retired."
            }
        }
    }
}
