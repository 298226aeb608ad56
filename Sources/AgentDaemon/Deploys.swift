// Deploys between the watcher, the desk and the aggregator's orders.

import AgentAPI
import AgentCore
import AgentTalker
import DeployVerification
import Platform

extension WatchedService {
    init(_ service: ServiceAtPresent) {
        self.init(
            InspectedService(name: service.name, mainProcess: service.mainProcess?.pid, cgroup: service.cgroup, problem: service.problem),
            initSystem: service.initSystem)
    }
}

extension DeployThread {
    /// Answers a request that is about deploys' verdicts.
    /// - Returns: false when it is for the watcher.
    func answer(_ request: AgentRequest, _ answer: @escaping @Sendable (AgentAnswer) -> Void) -> Bool {
        switch request {
        case .prepareDeploy(let preparation):
            prepare(preparation) { result in
                switch result {
                case .success(let prepared):
                    let workers = "\(prepared.workers) worker\(prepared.workers == 1 ? "" : "s")"
                    let lines = ["deploy \(prepared.id) of \(prepared.service) is prepared, with \(workers) in its baseline"] + prepared.warnings
                    answer(AgentAnswer(text: lines.map { $0 + "\n" }.joined(), json: prepared.json))
                case .failure(let refusal): answer(.refused(refusal.description))
                }
            }
        case .checkDeploy(let check):
            _ = self.check(check) { news in
                switch news {
                case .refused(let refusal): answer(.refused(refusal.description))
                case .state(let account) where account.isFinal: answer(AgentAnswer(text: account.sentence + "\n", json: account.json))
                case .state: break
                }
            }
        case .cancelDeploy(let id):
            end(id) { refusal in answer(refusal.map { .refused($0.description) } ?? AgentAnswer(text: "deploy \(id) is over\n", json: [:])) }
        default: return false
        }
        return true
    }
}

extension DeployPreparation {
    /// Each deploy has its own window, whoever deploys.
    var windowOwner: String { person.map { "\($0), \(id)" } ?? id }
}

extension HostDeploy {
    /// How it stands, for a person.
    fileprivate var sentence: String {
        "\(deploy.map { "deploy \($0) of " } ?? "")\(service): \(state.rawValue), \(state.meaning)" + (reasons.first.map { "; \($0)" } ?? "")
    }
}

extension AgentLoop {
    /// Keeps how a deploy ended, and tells whoever is to hear of it.
    func record(judged deploy: HostDeploy, at now: Timestamp) {
        record(judgement: deploy.sentence, of: deploy.service, isGood: deploy.state == .verified, at: now)
    }
}
