// Deploys as lines, and what verdicts look like.

import AgentAPI
import AggregatorCore
import Platform

func deployTable(_ deploys: [DeployLine], caption: String, showsService: Bool, at now: Timestamp) -> HTML {
    dataTable(
        caption: caption, columns: ["Deploy", "Verdict", "When", "Took", "Requests"],
        rows: deploys.map { deploy in
            [
                Cell("name") {
                    a(.href(.deploy(deploy.id))) { showsService ? deploy.service : deploy.revision ?? deploy.id }
                    if let origin = origin(of: deploy, showsRevision: showsService) { span(.class("under")) { origin } }
                },
                Cell { Badge(deploy.verdict).html },
                Cell {
                    shortMoment(deploy.began, now: now)
                    span(.class("under")) { clockText(deploy.began) }
                },
                Cell("number") { durationText(deploy.ended - deploy.began) },
                Cell { suffered(deploy.availability) },
            ]
        })
}

/// `revision 7f3a9c1 by ada`
private func origin(of deploy: DeployLine, showsRevision: Bool) -> String? {
    let revision = showsRevision ? deploy.revision.map { "revision \($0)" } : nil
    let person = deploy.person.map { "by \($0)" }
    return revision.map { revision in person.map { "\(revision) \($0)" } ?? revision } ?? person
}

/// What requests met with, in a few words.
private func suffered(_ availability: DeployAvailability?) -> HTML {
    guard let availability else { return absent }
    return span {
        availability.failed == 0 ? "none failed" : "\(availability.failed) of \(availability.requests) failed"
        span(.class("under")) { "longest stall \(durationText(availability.longestStall))" }
    }
}

extension Badge {
    init(_ verdict: Verdict) {
        switch verdict {
        case .verified: self.init(word: "Verified", icon: .passing, tone: "passing")
        case .limitsExceeded: self.init(word: "Limits exceeded", icon: .error, tone: "error")
        case .inProgress: self.init(word: "Not settled", icon: .changing, tone: "warning")
        case .unproven: self.init(word: "Unproven", icon: .unknown, tone: "warning")
        case .unreachable: self.init(word: "Unreachable", icon: .unknown, tone: "warning")
        case .dynamicToken: self.init(word: "Dynamic token", icon: .warning, tone: "warning")
        case .newProcessOldCode: self.init(word: "Old code", icon: .critical, tone: "critical")
        case .mixed: self.init(word: "Mixed", icon: .error, tone: "error")
        case .stale: self.init(word: "Stale", icon: .critical, tone: "critical")
        case .crashLoop: self.init(word: "Crash loop", icon: .critical, tone: "critical")
        case .down: self.init(word: "Down", icon: .critical, tone: "critical")
        }
    }

    init(_ class: HostDeploy.Class) {
        switch `class` {
        case .new: self.init(word: "New", icon: .passing, tone: "passing")
        case .old: self.init(word: "Old", icon: .error, tone: "error")
        case .oldCode: self.init(word: "Old code", icon: .critical, tone: "critical")
        case .dynamic: self.init(word: "Dynamic", icon: .warning, tone: "warning")
        case .draining: self.init(word: "Draining", icon: .changing, tone: "neutral")
        case .unknown: self.init(word: "Unknown", icon: .unknown, tone: "warning")
        }
    }
}

/// A deploy on the pictures of the last hour.
struct DeployMark: Sendable {
    var at: Timestamp
    var verdict: Verdict

    init(_ deploy: DeployLine) {
        at = deploy.began
        verdict = deploy.verdict
    }
}

/// The deploys of what a unit runs: by its own name, with or without its suffix, or by that of the service.
func marks(of deploys: [DeployLine], on unit: String, in service: String? = nil) -> [DeployMark] {
    deploys.filter { $0.service == unit || "\($0.service).service" == unit || $0.service == service }.map(DeployMark.init)
}
