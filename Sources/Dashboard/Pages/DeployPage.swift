// One deploy: its verdict, and the evidence for it.

import AgentAPI
import AggregatorCore
import Platform

struct DeployPage: Page {
    /// Beyond this many, rows say little more and make the page slow; the API has them all.
    private static let mostRows = 200

    var deploy: DeployRecord
    /// By the service's name, when the aggregator has one of that name.
    var hasServicePage: Bool
    /// Agents by the names of their hosts.
    var agents: [String: String]

    /// `nil` when there is no deploy of that id.
    init?(_ id: String, store: any DeployStoring & StoreReading) async throws(StoreError) {
        guard let deploy = try await store.deploy(id) else { return nil }
        self.deploy = deploy
        hasServicePage = try await store.service(deploy.service) != nil
        agents = Dictionary(try await store.hosts().filter { $0.replacedBy == nil }.map { ($0.name, $0.agent) }) { first, _ in first }
    }

    var title: String { "Deploy of \(deploy.service)" }
    var headline: String { "Deploy of \(deploy.service): \(Badge(deploy.verdict).word)" }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { "Deploy of \(deploy.service)" }
            Badge(deploy.verdict).html
        }
        p(.class("lead")) { verdictSentence }
        facts(at: now)
        if let availability = deploy.availability {
            section {
                h2 { "Requests during the deploy" }
                availabilityFigures(availability)
            }
        }
        if !deploy.urls.isEmpty {
            section {
                h2 { "Addresses that were asked" }
                urlTable
            }
        }
        if deploy.hosts.isEmpty {
            section {
                h2 { "Hosts" }
                p(.class("muted")) { "No agent took part: the verdict rests on what the addresses answered alone." }
            }
        }
        for host in deploy.hosts.sorted(by: { ($0.state, $0.host) < ($1.state, $1.host) }) { hostSection(host) }
    }

    /// `The new release answers: all 8 workers on 2 hosts carry it.`
    private var verdictSentence: String {
        let meaning = deploy.verdict.meaning
        return "\(meaning.prefix(1).uppercased())\(meaning.dropFirst()). \(deploy.summary)"
    }

    private func facts(at now: Timestamp) -> HTML {
        dl(.class("samples")) {
            fact("Service") { if hasServicePage { a(.href(.service(deploy.service))) { deploy.service } } else { deploy.service } }
            fact("Began") { moment(deploy.began, now: now) }
            fact("Took") { durationText(deploy.ended - deploy.began) }
            if let revision = deploy.revision { fact("Revision") { code { revision } } }
            if let person = deploy.person { fact("By") { person } }
            fact("Verdict") { code { deploy.verdict.rawValue } }
            fact("Token begins with") { code { deploy.tokenPrefix } }
            fact("Id") { code { deploy.id } }
        }
    }

    private func fact(_ name: String, @HTMLBuilder _ value: () -> HTML) -> HTML {
        div {
            dt { name }
            dd { value() }
        }
    }

    private func availabilityFigures(_ availability: Availability) -> HTML {
        div {
            div(.class("figures tight")) {
                figure("Requests", "\(availability.requests)")
                figure("Failed", "\(availability.failed)")
                figure("Later than 1 s", "\(availability.late)")
                figure("Longest stall", durationText(availability.longestStall))
                figure("Half within", availability.median.map(durationText))
                figure("99 % within", availability.percentile99.map(durationText))
            }
            if !availability.failures.isEmpty { textList(availability.failures) }
        }
    }

    private func figure(_ name: String, _ value: String?) -> HTML {
        div(.class("figure")) {
            div(.class("label")) { name }
            div(.class("value")) { if let value { value } else { absent } }
        }
    }

    private var urlTable: HTML {
        dataTable(
            caption: "Addresses that were asked, and what they answered", columns: ["Address", "State", "Answer"],
            rows: deploy.urls.map { url in [Cell("address") { url.url }, Cell { Badge(url.state).html }, Cell("wide") { url.account }] })
    }

    private func hostSection(_ host: HostDeploy) -> HTML {
        section {
            div(.class("heading")) {
                h2 { if let agent = agents[host.host] { a(.href(.host(agent: agent))) { host.host } } else { host.host } }
                Badge(host.state).html
            }
            p(.class("muted small")) { "\(workerCounts(host)). \(evidence(host))" }
            if !host.reasons.isEmpty { textList(host.reasons) }
            if !host.lacks.isEmpty {
                p(.class("small")) { "Evidence that was lacking:" }
                textList(host.lacks)
            }
            if host.processes.isEmpty {
                p(.class("muted")) { "No process of the service was found." }
            } else {
                processTable(host)
            }
            if let availability = host.availability {
                p(.class("small above")) { "Requests from the host itself:" }
                availabilityFigures(availability)
            }
            if !host.incidents.isEmpty { incidentList(host) }
        }
    }

    /// `4 of 4 workers are new`
    private func workerCounts(_ host: HostDeploy) -> String {
        let all = host.processes.count { $0.role == .worker }
        let expected = max(host.expectedWorkers ?? all, all)
        let parts: [(HostDeploy.Class, String)] = [
            (.old, "old"), (.oldCode, "with old code"), (.dynamic, "dynamic"), (.unknown, "unknown"), (.draining, "draining"),
        ]
        let others = parts.filter { host.count($0.0) > 0 }.map { "\(host.count($0.0)) \($0.1)" }
        return (["\(host.count(.new)) of \(counted(expected, "worker")) new"] + others).joined(separator: ", ")
    }

    private func evidence(_ host: HostDeploy) -> String {
        let kind =
            switch host.evidence {
            case "attributed-http": "Each worker was asked for its token."
            case "http": "The host's address was asked for the token; no answer belongs to one worker."
            case "process": "Judged by the processes alone: no worker was asked for its token."
            case "none": "Nothing could be asked."
            default: "Evidence: \(host.evidence)."
            }
        // Of a host that was not reached nobody knows whether it has one.
        return host.hasBaseline || host.state == .unreachable ? kind : "\(kind) Nobody had looked before the deploy."
    }

    private func textList(_ texts: [String]) -> HTML {
        ul(.class("texts")) { for text in texts { li { text } } }
    }

    private func processTable(_ host: HostDeploy) -> HTML {
        let processes = host.processes.sorted { ($0.role == .master ? 0 : 1, $0.pid) < ($1.role == .master ? 0 : 1, $1.pid) }
        return div {
            dataTable(
                caption: "Processes on \(host.host)", columns: ["Process", "Class", "Token", "Age", "Runs in"],
                rows: processes.prefix(Self.mostRows).map { process in
                    [
                        Cell("pid") {
                            "pid \(process.pid)"
                            span(.class("under")) { process.role.rawValue }
                        },
                        Cell {
                            if let kind = process.class { Badge(kind).html } else { span(.class("muted")) { "not judged" } }
                            if let reason = process.reason { span(.class("under")) { words(ofReason: reason) } }
                        },
                        Cell {
                            if let prefix = process.tokenPrefix { code { prefix } } else { span(.class("muted")) { "not asked" } }
                            if let took = process.answerMilliseconds { span(.class("under")) { "in \(milliseconds(took))" } }
                        },
                        Cell {
                            ageText(process.age)
                            span(.class("under")) { words(ofExec: process.exec) }
                        },
                        Cell("wide") {
                            if let folder = process.folder { code { folder } } else { absent }
                            if let note = note(onFolderOf: process) { span(.class("under")) { note } }
                        },
                    ]
                })
            if processes.count > Self.mostRows { p(.class("muted small")) { "and \(processes.count - Self.mostRows) more processes" } }
        }
    }

    private func words(ofReason reason: String) -> String {
        switch reason {
        case "preload": "forked from code that was loaded before"
        case "wrong-directory": "started in another folder"
        case "token-missing": "found no token when it booted"
        default: reason
        }
    }

    private func words(ofExec exec: String) -> String {
        switch exec {
        case "same-as-baseline": "program as before"
        case "new": "program started anew"
        default: "start of the program unknown"
        }
    }

    private func note(onFolderOf process: HostDeploy.Process) -> String? {
        let notes = [
            process.isInRelease.map { $0 ? "the new release" : "not the new release" }, process.isFolderDeleted ? "the folder is gone" : nil,
        ].compactMap(\.self)
        return notes.isEmpty ? nil : notes.joined(separator: ", ")
    }

    private func milliseconds(_ value: Double) -> String { "\(decimal(value, places: value < 10 ? 1 : 0)) ms" }

    private func incidentList(_ host: HostDeploy) -> HTML {
        details(.class("above"), .id("incidents-\(host.host)")) {
            summary { "What happened to its processes (\(host.incidents.count))" }
            ol(.class("lines card")) {
                for incident in host.incidents {
                    li {
                        span(.class("muted number")) { "after \(durationText(incident.after)) " }
                        sentence(incident)
                    }
                }
            }
        }
    }

    /// `pid 4711 (new) ended: exit status 1`
    private func sentence(_ incident: HostDeploy.Incident) -> String {
        let happened =
            switch incident.what {
            case "fork": "was forked"
            case "exec": "started a program"
            case "exit": "ended"
            default: incident.what
            }
        let kind = incident.class.map { " (\(Badge($0).word.lowercased()))" } ?? ""
        return "pid \(incident.pid)\(kind) \(happened)\(incident.how.map { ": \($0)" } ?? "")"
    }
}
