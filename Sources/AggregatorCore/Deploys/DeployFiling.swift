// Deploys that scripts tell of, on their way into the database.

public import AgentAPI
import Logging
public import Platform

/// What became of a deploy that was told.
public enum DeployAnswer: Equatable, Sendable {
    case filed
    /// It is kept already, word for word.
    case known
    /// Another deploy of that id is kept.
    case taken
}

/// The decision about a deploy that was told.
public enum DeployFiling {
    public static func scope(of record: DeployRecord, plan: ServicePlan) -> Scope {
        .deploy(record.id, of: record.service, services: candidates(record, plan: plan))
    }

    /// A deploy is filed once. One that is older than the newest of its service joins the timeline and changes nothing else.
    public static func decide(_ record: DeployRecord, on situation: Situation, plan: ServicePlan, at now: Timestamp) -> Decision {
        guard situation.knownDeploy == nil else { return Decision(situation: situation) }
        let concerned = services(record, on: situation, plan: plan)
        let filed = FiledDeploy(record, services: concerned.union([record.service]), at: now)
        var statuses = Statuses(situation, plan: plan, now: now)
        if situation.newestDeploy.map({ filed.at >= $0 }) ?? true {
            let key = ProblemKey(agent: "", subject: record.service, item: .deploy)
            let subject = Alert.Subject(deploy: record.service)
            for service in concerned.sorted() {
                if record.verdict == .verified {
                    statuses.recover(key, in: service, subject: subject, at: filed.at)
                } else {
                    let text = "\(record.verdict.rawValue): \(record.summary)"
                    statuses.fail(key, in: service, subject: subject, text: text, importance: .error, at: filed.at)
                }
            }
        }
        var decision = statuses.decision
        decision.deploy = filed
        return decision
    }

    static func answer(_ decision: Decision, to record: DeployRecord) -> DeployAnswer {
        if decision.deploy != nil { return .filed }
        return decision.situation.knownDeploy == record.json.text ? .known : .taken
    }

    /// The services that a deploy may concern: that of the name that the script used, and those of the units of that name.
    static func candidates(_ record: DeployRecord, plan: ServicePlan) -> Set<String> {
        var candidates: Set<String> = [record.service]
        let hosts = record.hosts.isEmpty ? [""] : record.hosts.map(\.host)
        for host in hosts {
            for unit in [record.service, "\(record.service).service"] { candidates.formUnion(plan.services(ofUnit: unit, onHost: host)) }
        }
        return candidates
    }

    /// Those of them that there are; else the name that the script used becomes one for as long as its deploy is a problem.
    private static func services(_ record: DeployRecord, on situation: Situation, plan: ServicePlan) -> Set<String> {
        if plan.isConfigured(record.service) { return [record.service] }
        let known = candidates(record, plan: plan).filter { situation.services[$0] != nil }
        return known.isEmpty ? [record.service] : known
    }
}

/// Where deploys that scripts tell of are taken.
public protocol DeployTaking: Sendable {
    func take(_ record: DeployRecord, at now: Timestamp) async throws(StoreError) -> DeployAnswer
}

/// Files deploys, decides what follows from them, and tells the pages.
public struct DeployIntake: DeployTaking {
    private let store: any DecisionStoring
    private let plan: CurrentPlan
    private let changes: Changes
    private let logger = Logger(label: "deploys")

    public init(store: any DecisionStoring, plan: CurrentPlan, changes: Changes) {
        self.store = store
        self.plan = plan
        self.changes = changes
    }

    public func take(_ record: DeployRecord, at now: Timestamp) async throws(StoreError) -> DeployAnswer {
        let plan = plan.value
        let decision = try await store.decide(DeployFiling.scope(of: record, plan: plan)) { situation in
            DeployFiling.decide(record, on: situation, plan: plan, at: now)
        }
        let answer = DeployFiling.answer(decision, to: record)
        if answer == .filed {
            logger.info(
                "deploy filed", metadata: ["deploy": "\(record.id)", "service": "\(record.service)", "verdict": "\(record.verdict.rawValue)"])
            log(decision, logger)
            changes.announce()
        }
        return answer
    }
}
