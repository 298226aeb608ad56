// One service: what is wrong, what it is made of, what happened, who was told.

import AggregatorCore
import Platform

struct ServicePage: Page {
    var service: ServiceRecord
    var runbook: String?
    var units: [UnitRecord]
    var histories: [UnitHistory]
    var checks: [CheckRecord]
    var deploys: [DeployLine]
    var events: [EventRecord]
    var notifications: [NotificationRecord]

    /// `nil` when there is no service of that name.
    init?(_ name: String, store: any DeployStoring & StoreReading, runbook: String?, at now: Timestamp) async throws(StoreError) {
        guard let service = try await store.service(name) else { return nil }
        self.service = service
        self.runbook = runbook
        units = sortedForReading(try await store.units(ofService: name))
        histories = try await readHistories(of: units, store: store, at: now)
        checks = try await store.checks(ofService: name).sorted { ($1.isFailing ? 1 : 0, $0.name) < ($0.isFailing ? 1 : 0, $1.name) }
        deploys = try await store.deploys(.service(name), limit: 20)
        events = try await store.events(ofService: name, agent: nil, limit: 50)
        notifications = try await store.notifications(ofService: name, limit: 20)
    }

    var title: String { service.name }
    var headline: String { "\(service.name): \(service.status.rawValue)" }

    func content(at now: Timestamp) -> HTML {
        div(.class("heading")) {
            h1 { service.name }
            Badge(service.status).html
        }
        p(.class("lead")) {
            "Since "
            moment(service.since, now: now)
        }
        problemSection(at: now)
        if let runbook { runbookLine(runbook) }
        section {
            h2 { "Units" }
            if units.isEmpty {
                p(.class("muted")) { "No unit belongs to this service." }
            } else {
                unitTable(units, histories, deploys: deploys, service: service.name, caption: "Units of \(service.name)", showsHost: true, at: now)
            }
        }
        if !checks.isEmpty {
            section {
                h2 { "Checks" }
                checkTable(at: now)
            }
        }
        if !deploys.isEmpty {
            section {
                h2 { "Deploys" }
                deployTable(deploys, caption: "Deploys of \(service.name), newest first", showsService: false, at: now)
            }
        }
        section {
            h2 { "Events" }
            if events.isEmpty { p(.class("muted")) { "Nothing has happened yet." } } else { eventList(events, at: now) }
        }
        section {
            h2 { "Notifications" }
            if notifications.isEmpty {
                p(.class("muted")) { "Nobody had to be told about this service." }
            } else {
                notificationTable(notifications, at: now)
            }
        }
    }

    private func problemSection(at now: Timestamp) -> HTML {
        guard !service.problems.isEmpty else { return HTML() }
        return section(.class("card problems \(service.status.rawValue)")) {
            h2 { "What is wrong" }
            ul {
                for problem in service.problems.sorted(by: { ($1.importance, $0.since) < ($0.importance, $1.since) }) {
                    li {
                        Badge(problem.importance).html
                        div {
                            div(.class("what")) {
                                strong { problem.subject }
                                " \(problem.text)"
                            }
                            moment(problem.since, now: now)
                        }
                    }
                }
            }
        }
    }

    private func checkTable(at now: Timestamp) -> HTML {
        dataTable(
            caption: "Checks of \(service.name)", columns: ["Check", "State", "Last run", "Result"],
            rows: checks.map { check in
                [
                    Cell("name") {
                        check.name
                        span(.class("under")) { check.summary }
                    },
                    Cell { Badge(check).html },
                    Cell {
                        if let lastRun = check.lastRun { shortMoment(lastRun, now: now) } else { absent }
                        if let duration = check.lastDuration { span(.class("under")) { "took \(durationText(duration))" } }
                    },
                    Cell("wide") { check.detail },
                ]
            })
    }
}

/// A link when it is one for the web; else as it was written.
private func runbookLine(_ runbook: String) -> HTML {
    p(.class("runbook")) {
        strong { "Runbook: " }
        if runbook.hasPrefix("https://") || runbook.hasPrefix("http://") {
            a(Attribute("href", runbook), Attribute("rel", "noreferrer")) { runbook }
        } else {
            runbook
        }
    }
}
