// Which token the running workers of a service carry, without regard to any deploy.

public import AgentAPI

/// What TOKEN a process's release had when the process got its program.
public enum BirthToken: Equatable, Sendable {
    case token(String)
    /// There was none.
    case none
    /// Its birth was not seen, or what it had then cannot be told.
    case unproven
}

/// How a process and the token in its release follow each other.
public enum TokenAge: Equatable, Sendable {
    /// It was started when the token was there.
    case younger
    /// It ran before the token was written: it cannot have read it when it booted.
    case older
    /// Its release has another token.
    case otherToken
    /// There is no token to be seen in the folder that it stands in, or their times cannot be compared.
    case unknown
}

/// What the workers carry together. As text it is what a deploy script polls for, and only a token looks like one.
public enum CarriedToken: Equatable, Sendable, CustomStringConvertible {
    /// All workers carry it, and have done so for a while.
    case token(String)
    /// Some carry this, others that.
    case mixed
    /// They answer, and carry none.
    case none
    /// Nobody accepts connections.
    case down
    case unproven

    public var description: String {
        switch self {
        case .token(let text): text
        case .mixed: "mixed"
        case .none: "none"
        case .down: "down"
        case .unproven: "unproven"
        }
    }

    /// Of the workers one by one.
    init(of workers: [BirthToken]) {
        let tokens = Set(workers.compactMap { if case .token(let text) = $0 { text } else { nil } })
        let withoutToken = workers.contains(.none)
        if workers.isEmpty {
            self = .down
        } else if tokens.count > 1 || (!tokens.isEmpty && withoutToken) {
            self = .mixed
        } else if workers.contains(.unproven) {
            self = .unproven
        } else if let token = tokens.first {
            self = .token(token)
        } else {
            self = .none
        }
    }
}

/// A service as it is, and what it carries.
public struct ServiceStatus: Equatable, Sendable {
    public var host: HostDeploy
    public var carried: CarriedToken
}

extension HostVerifier {
    /// What the workers carry, by what they have answered, or else by what their releases had at their birth.
    /// - Parameter birth: `nil` when they can be asked.
    func carried(birth: ((ProcessMark) -> BirthToken)?) -> CarriedToken {
        guard let look, let roles, look.blindness == nil else { return .unproven }
        let workers = judged.map { one -> BirthToken in
            if let birth { return Self.carried(by: one.process, of: look, birth) }
            switch heard[one.process.mark]?.latest?.content {
            case .token(let text): return .token(text)
            case .other(let answer): return answer.isAnswerOfApplication || answer.isMissing ? .none : .unproven
            case .accessDenied, .lost, .silence, nil: return .unproven
            }
        }
        let carried = CarriedToken(of: workers)
        guard roles.unseen.isEmpty else { return carried == .mixed ? .mixed : .unproven }
        guard case .token = carried else { return carried }
        // A set that has just changed may be about to change again.
        let isSettled = setSince.map { look.at - $0 >= .seconds(1) } ?? false || judged.allSatisfy { look.at - $0.process.started >= .seconds(3) }
        return isSettled ? carried : .unproven
    }

    /// A forked process has the code of the one that was exec'ed: both must have been born with the same token.
    private static func carried(by process: ServiceProcess, of look: ServiceLook, _ birth: (ProcessMark) -> BirthToken) -> BirthToken {
        let own = birth(process.mark)
        guard process.mark.generation != .unknown else { return .unproven }
        let ancestor = look.processes.filter { $0.mark.generation == process.mark.generation && !$0.isForeign }
            .min { ($0.mark.startTicks, $0.mark.pid) < ($1.mark.startTicks, $1.mark.pid) }
        guard let ancestor, ancestor.mark != process.mark else { return own }
        return birth(ancestor.mark) == own ? own : .unproven
    }
}
