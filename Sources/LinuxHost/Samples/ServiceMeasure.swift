// What the sampler can measure of a service.

import AgentCore
import RuleLanguage

/// A metric of a service or of one of its workers, by the name that samples and reports give it.
enum ServiceMeasure: String, CaseIterable, Sendable {
    case uptime
    case memoryResident = "memory:rss"
    case memoryTotalResident = "memory:total_rss"
    case memoryTotal = "memory:total"
    case memoryAnonymous = "memory:anon"
    case memorySwap = "memory:swap"
    case memoryProportional = "memory:pss"
    case memoryLimit = "memory:limit"
    case memoryHigh = "memory:high"
    case memoryOutOf = "memory:oom"
    case memoryKills = "memory:oom_kills"
    case processorUser = "cpu:user"
    case processorSystem = "cpu:system"
    case processorTotalUser = "cpu:total_user"
    case processorTotalSystem = "cpu:total_system"
    case processorTotal = "cpu:total"
    case processorThrottled = "cpu:throttled"
    case pressureProcessor = "pressure:cpu"
    case pressureMemory = "pressure:memory"
    case pressureTransfer = "pressure:io"
    case transferRead = "io:read"
    case transferWrite = "io:write"
    case files = "fds"
    case filesLimit = "fds:limit"
    case threads
    case tasks
    case tasksLimit = "tasks:limit"
    case processes
    case zombies = "processes:zombie"
    case blocked = "processes:blocked"
    case stopped = "processes:stopped"

    init?(_ metric: MetricName) { self.init(rawValue: metric.description) }

    /// Whether it may be made of all processes of the unit.
    var isOfFamily: Bool {
        switch self {
        case .memoryTotalResident, .memoryProportional, .processorTotal, .processorTotalUser, .processorTotalSystem, .transferRead, .transferWrite,
            .tasks, .processes, .zombies, .blocked, .stopped:
            true
        default: false
        }
    }
}

/// A list of metrics, looked up once.
struct ServicePlan {
    let list: MetricList
    /// `nil` for what somebody else measures.
    let measures: [ServiceMeasure?]
    /// Whether something depends on knowing every process of the unit at once.
    let judgesFamily: Bool

    init(_ list: MetricList) {
        self.list = list
        measures = list.metrics.map { ServiceMeasure($0) }
        judgesFamily = zip(list.metrics, measures).contains { list.judged.contains($0) && $1?.isOfFamily == true }
    }
}
