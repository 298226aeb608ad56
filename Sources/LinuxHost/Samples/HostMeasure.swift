// What the sampler can measure of the host.

import AgentCore
import RuleLanguage

/// A metric of the host.
enum HostMeasure: Hashable, Sendable {
    enum Whole: String, CaseIterable, Sendable {
        case processor = "cpu"
        case processorAll = "cpu:all"
        case processorUser = "cpu:user"
        case processorSystem = "cpu:system"
        case processorWaiting = "cpu:iowait"
        case processorStolen = "cpu:steal"
        case load1 = "load:1"
        case load5 = "load:5"
        case load15 = "load:15"
        case swap
        case memoryAvailable = "memory:available"
        case memoryUsed = "memory:used"
        case memoryTotal = "memory:total"
        case pressureProcessor = "pressure:cpu"
        case pressureMemory = "pressure:memory"
        case pressureTransfer = "pressure:io"
        case files = "fds"
        case filesLimit = "fds:limit"
        case tasks = "pids"
        case tasksLimit = "pids:limit"
        case uptime
        case agentProcessor = "agent:cpu"
        case agentMemory = "agent:memory"
    }

    case whole(Whole)
    case space(mount: String)
    case inodes(mount: String)
    case readOnly(mount: String)
    case received(interface: String)
    case sent(interface: String)
    case errors(interface: String)

    init?(_ metric: MetricName) {
        if let whole = Whole(rawValue: metric.description) {
            self = .whole(whole)
            return
        }
        guard let name = metric.name else { return nil }
        switch metric.family {
        case "disk": self = .space(mount: mountPoint(name))
        case "inodes": self = .inodes(mount: mountPoint(name))
        case "readonly": self = .readOnly(mount: mountPoint(name))
        case "network_in": self = .received(interface: name)
        case "network_out": self = .sent(interface: name)
        case "network_errors": self = .errors(interface: name)
        default: return nil
        }
    }

    var mount: String? {
        switch self {
        case .space(let mount), .inodes(let mount), .readOnly(let mount): mount
        default: nil
        }
    }
}

/// As the kernel writes it: `/srv/full` for `/srv/full/`.
private func mountPoint(_ path: String) -> String { "/" + path.split(separator: "/").joined(separator: "/") }

/// A list of metrics, looked up once.
struct HostPlan {
    let list: MetricList
    /// `nil` for what somebody else measures.
    let measures: [HostMeasure?]
    /// Mount points that somebody asks about.
    let mounts: Set<String>

    init(_ list: MetricList) {
        self.list = list
        measures = list.metrics.map { HostMeasure($0) }
        mounts = Set(measures.compactMap { $0?.mount })
    }
}
