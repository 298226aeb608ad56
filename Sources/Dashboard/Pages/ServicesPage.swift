// Every service, worst first.

import AggregatorCore
import Platform

struct ServicesPage: Page {
    var services: [ServiceRecord]

    init(store: any StoreReading) async throws(StoreError) {
        services = try await store.services().sorted { ($1.status, $0.name) < ($0.status, $1.name) }
    }

    var title: String { "Services" }

    var headline: String {
        let troubled = services.count { $0.status != .passing }
        if services.isEmpty { return "No services yet" }
        if troubled == 0 { return services.count == 1 ? "The one service is passing" : "All \(services.count) services are passing" }
        return troubled == 1
            ? "1 of \(counted(services.count, "service")) needs attention" : "\(troubled) of \(services.count) services need attention"
    }

    func content(at now: Timestamp) -> HTML {
        h1 { "Services" }
        p(.class("lead")) { headline }
        if services.isEmpty {
            firstSteps
        } else {
            dataTable(
                caption: "Services, worst first", columns: ["Service", "Status", "Since", "What is wrong"],
                rows: services.map { service in
                    [
                        Cell("name") { a(.href(.service(service.name))) { service.name } },
                        Cell { Badge(service.status).html },
                        Cell { shortMoment(service.since, now: now) },
                        Cell(service.problems.isEmpty ? "wide calm" : "wide") { trouble(of: service) },
                    ]
                })
        }
    }
}

/// The worst problem on one line, and how many more there are.
private func trouble(of service: ServiceRecord) -> HTML {
    guard let worst = service.problems.max(by: { $0.importance < $1.importance }) else { return span(.class("muted")) { "Nothing" } }
    return span {
        strong { worst.subject }
        " \(worst.text)"
        if service.problems.count > 1 { span(.class("muted")) { " and \(service.problems.count - 1) more" } }
    }
}

private let firstSteps = section(.class("card steps")) {
    h2 { "Start with a host" }
    p { "Rollcall watches what runs on your servers. Three steps bring the first one here:" }
    ol {
        li {
            "Install the agent on the host: "
            code { "rollcall-agent" }
            "."
        }
        li {
            a(.href(.addHost)) { "Add the host" }
            " here: that makes a token and shows the commands to run there."
        }
        li { "With the agent's first report its services appear on this page, and everything that happens to them." }
    }
    p {
        a(.class("button"), .href(.addHost)) { "Add a host" }
    }
}
