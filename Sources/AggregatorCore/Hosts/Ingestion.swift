// Reports on their way into the database.

public import AgentAPI
import Logging
import Messages
public import Platform

/// Takes reports, decides what follows from them, and tells the pages.
public struct Ingestion: ReportIngesting {
    private let store: any AgentTokenStoring & DecisionStoring & OrderStoring
    private let plan: CurrentPlan
    private let vitals: Vitals
    private let changes: Changes
    private let logger = Logger(label: "reports")

    public init(store: any AgentTokenStoring & DecisionStoring & OrderStoring, plan: CurrentPlan, vitals: Vitals, changes: Changes) {
        self.store = store
        self.plan = plan
        self.vitals = vitals
        self.changes = changes
    }

    public func ingest(_ report: Report, token: String, at now: Timestamp) async throws(StoreError) -> ReportAnswer {
        do throws(StoreError) {
            switch try await use(token, report, at: now) {
            case .own: break
            case .takenOver(let old):
                // In this order: what fails in between is done again with the next report.
                try await retire(old, for: report, at: now)
                try await store.moveAgentToken(name: token, from: old, to: report.agent)
            case .belongs(let agent, let host):
                logger.notice(
                    "report refused: the token belongs to another agent",
                    metadata: ["token": "\(token)", "agent": "\(report.agent)", "host": "\(report.host)", "owner": "\(agent)"])
                return .tokenOfAnother(host: host)
            }
            return .taken(try await take(report, at: now))
        } catch {
            // The agent keeps what we could not take, and is not silent.
            vitals.reportsRefused()
            throw error
        }
    }

    private func use(_ token: String, _ report: Report, at now: Timestamp) async throws(StoreError) -> TokenUse {
        let plan = plan.value
        let agent = report.agent
        return try await store.useAgentToken(name: token, agent: agent) { holder in
            TokenUse.decide(agent: agent, holder: holder, grace: plan.grace(forInterval: holder?.interval ?? .zero), at: now)
        }
    }

    private func retire(_ agent: String, for report: Report, at now: Timestamp) async throws(StoreError) {
        let plan = plan.value
        let decision = try await store.decide(.agent(agent, services: [])) { situation in
            HostRetirement.decide(on: situation, replacedBy: report.agent, on: report.host, plan: plan, at: now)
        }
        logger.notice(
            "a host is retired: another agent reports with its token",
            metadata: ["agent": "\(agent)", "host": "\(decision.situation.host?.name ?? "")", "by": "\(report.agent)", "on": "\(report.host)"])
        log(decision, logger)
    }

    private func take(_ report: Report, at now: Timestamp) async throws(StoreError) -> Acknowledgement {
        let plan = plan.value
        let decision = try await store.decide(ReportIngest.scope(of: report, plan: plan)) { situation in
            ReportIngest.decide(report, on: situation, plan: plan, at: now)
        }
        log(decision, logger)
        changes.announce()
        if !report.results.isEmpty { try await store.finishOrders(ofAgent: report.agent, report.results, at: now) }
        let orders = try await store.waitingOrders(ofAgent: report.agent, at: now, limit: ReportLimits.orders)
        let host = decision.situation.host
        return Acknowledgement(
            sequence: host?.lastSequence ?? 0, snapshot: host.flatMap { $0.snapshot > 0 ? $0.snapshot : nil }, resync: decision.isStateUnknown,
            orders: orders.map { AgentOrder(id: $0.id, request: .success($0.request)) })
    }
}

/// Says what was decided, for people who read logs.
func log(_ decision: Decision, _ logger: Logger) {
    for alert in decision.alerts {
        logger.notice(
            "alert",
            metadata: [
                "reason": "\(alert.reason.rawValue)", "service": "\(alert.service)", "status": "\(alert.status.rawValue)",
                "subject": "\(alert.subject.words)", "detail": "\(alert.detail)", "recipients": "\(alert.recipients.count)",
            ])
    }
}
