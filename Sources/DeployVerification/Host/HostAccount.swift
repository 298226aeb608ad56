// A host's deploy as people and programs see it.

public import AgentAPI
public import Platform

extension HostVerifier {
    public func account(at now: Moment) -> HostDeploy {
        var account = HostDeploy(
            service: service, host: host, state: state, isFinal: verdict != nil, since: stateSince, deploy: deploy, tokenPrefix: tokenPrefix,
            hasBaseline: baseline != nil, evidence: evidence, expectedWorkers: check == nil && baseline == nil ? nil : expected,
            processes: Array(processes(at: look?.at ?? now.uptime).prefix(DeployLimits.processes)),
            listeners: (look?.listeners ?? []).prefix(DeployLimits.listeners).map(HostDeploy.Listener.init), incidents: incidents,
            availability: availability, lacks: lacks + (look?.lacks ?? []))
        if baseline == nil, token != nil {
            account.lacks.append("there is no baseline: an endpoint that reads the token on every request would not be noticed")
        }
        if check?.limits != nil, availability == nil {
            account.lacks.append("no availability probe ran here: its limits were not judged")
        }
        if roles?.isWithoutListener == true { account.lacks.append("the service has no listener: nothing shows that its new processes work") }
        account.lacks = Array(account.lacks.prefix(DeployLimits.texts))
        account.reasons = Array(reasons(for: state, at: look?.at ?? now.uptime).prefix(DeployLimits.texts))
        return account
    }

    /// What a change of is worth telling at once.
    struct Outline: Equatable {
        struct Process: Equatable {
            var mark: ProcessMark
            var role: HostDeploy.Role
            var `class`: HostDeploy.Class?
        }

        var state: Verdict
        var processes: [Process]
    }

    var outline: Outline {
        let masters = (roles?.masters ?? []).map { Outline.Process(mark: $0.mark, role: .master, class: nil) }
        let workers = judged.map { Outline.Process(mark: $0.process.mark, role: .worker, class: $0.class) }
        return Outline(state: state, processes: masters + workers + draining.map { .init(mark: $0.mark, role: .worker, class: .draining) })
    }

    private var evidence: String {
        if check?.evidence == .process { return "process" }
        return heard.values.contains { $0.latest != nil } ? "attributed-http" : "none"
    }

    private func processes(at now: Duration) -> [HostDeploy.Process] {
        var list: [HostDeploy.Process] = []
        for process in roles?.masters ?? [] { list.append(self.process(process, role: .master, class: nil, why: nil, at: now)) }
        for one in judged { list.append(process(one.process, role: .worker, class: token == nil ? nil : one.class, why: one.why, at: now)) }
        for process in draining { list.append(self.process(process, role: .worker, class: .draining, why: nil, at: now)) }
        return list
    }

    private func process(
        _ process: ServiceProcess, role: HostDeploy.Role, class kind: HostDeploy.Class?, why: Why?, at now: Duration
    ) -> HostDeploy.Process {
        let answer = heard[process.mark]?.latest
        var prefix: String?
        switch answer?.content {
        case .token(let text): prefix = String(text.prefix(8))
        case .other, .accessDenied: prefix = "none"
        case .lost, .silence, nil: break
        }
        let exec = process.mark.generation == .unknown ? "unknown" : generations.contains(process.mark.generation) ? "same-as-baseline" : "new"
        return HostDeploy.Process(
            pid: process.mark.pid, role: role, class: kind, tokenPrefix: prefix, answerMilliseconds: answer.map(\.took.inMilliseconds),
            age: max(.zero, now - process.started), exec: baseline == nil ? "unknown" : exec, folder: process.folderPath,
            isInRelease: release.flatMap { release in process.folder.map { $0 == release.mark } }, isFolderDeleted: process.isFolderDeleted,
            connections: process.connections, busy: busySince[process.mark].map { now - $0 }, reason: kind == .oldCode ? why?.word : nil)
    }
}

extension HostDeploy.Listener {
    init(_ listener: ServiceListener) {
        switch listener.address {
        case .tcp(let address, let port):
            self.init(
                kind: "tcp", address: address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)", queue: listener.queue,
                backlog: listener.backlog)
        case .unix(let path): self.init(kind: "unix", address: path, queue: listener.queue, backlog: listener.backlog)
        }
    }
}

/// What `wait` says of an end, in words.
func endOfProcess(_ status: Int32) -> String {
    let signal = status & 0x7f
    guard signal != 0 else { return "exit status \((status >> 8) & 0xff)" }
    let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM",
    ]
    return "signal \(names[signal] ?? "\(signal)")"
}
