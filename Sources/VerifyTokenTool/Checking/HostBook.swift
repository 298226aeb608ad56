// What the hosts have said so far, and what follows from it for the deploy.

import AgentAPI
import Platform

/// The states of all hosts. It does no I/O.
struct HostBook: Sendable {
    struct Entry: Sendable {
        var door: Int
        /// The host's own name, or the door's until it has said it.
        var name: String
        var deploy: HostDeploy?
        var isFinal: Bool { deploy?.isFinal ?? false }
    }

    /// How long others may still conclude when one host has failed.
    static let grace = Duration.seconds(2)

    private(set) var entries: [Entry] = []
    /// Doors behind which more hosts may appear.
    private var unfinished: Set<Int> = []
    /// Hosts that were prepared, whatever their names lead to now.
    private var prepared: [String] = []
    private var failedSince: Duration?

    init(doors: [Door], hosts: [String]) {
        if !doors.contains(where: \.isAggregator) { prepared = hosts }
        for (index, door) in doors.enumerated() {
            if door.isAggregator {
                unfinished.insert(index)
                entries += hosts.map { Entry(door: index, name: $0) }
            } else {
                entries.append(Entry(door: index, name: doors.count == 1 ? hosts.first ?? door.name : door.name))
            }
        }
    }

    /// Takes what came through a door. A final state stays.
    mutating func observe(_ deploy: HostDeploy, through door: Int, ofMany: Bool, at now: Duration) {
        let index = entries.firstIndex { $0.door == door && (!ofMany || $0.name == deploy.host) }
        if let index {
            guard !entries[index].isFinal else { return }
            entries[index].deploy = deploy
            entries[index].name = deploy.host
            noteMissing(after: deploy)
        } else if entries.count < DeployLimits.hosts {
            entries.append(Entry(door: door, name: deploy.host, deploy: deploy))
        }
        if deploy.isFinal, deploy.state.isFailure, failedSince == nil { failedSince = now }
    }

    /// All that a door should have told of and has not will not come any more.
    mutating func giveUp(on door: Int, named name: String, service: String, why: String, at now: Moment) {
        func unreachable(_ host: String) -> HostDeploy {
            HostDeploy(
                service: service, host: host, state: .unreachable, isFinal: true, since: now.wall, evidence: "none", reasons: [oneLine(why)])
        }
        let open = entries.indices.filter { entries[$0].door == door && !entries[$0].isFinal }
        for index in open { entries[index].deploy = unreachable(entries[index].name) }
        if !entries.contains(where: { $0.door == door }) { entries.append(Entry(door: door, name: name, deploy: unreachable(name))) }
        unfinished.remove(door)
        if failedSince == nil { failedSince = now.uptime }
    }

    /// When all have said their last word, a host that was prepared and is behind none of the doors is missing.
    private mutating func noteMissing(after last: HostDeploy) {
        guard entries.allSatisfy(\.isFinal) else { return }
        for host in prepared where !entries.contains(where: { $0.name == host }) {
            let why = "was prepared for this deploy, and is behind none of the agents' names now"
            let missing = HostDeploy(
                service: last.service, host: host, state: .unreachable, isFinal: true, since: last.since, evidence: "none", reasons: [why])
            entries.append(Entry(door: -1, name: host, deploy: missing))
        }
    }

    /// The door has told of all its hosts.
    mutating func conclude(_ door: Int) { unfinished.remove(door) }

    /// Whether `door` has told the last word on all of its hosts.
    func isDone(_ door: Int) -> Bool {
        let own = entries.filter { $0.door == door }
        return !own.isEmpty && own.allSatisfy(\.isFinal)
    }

    enum Standing: Equatable {
        case open
        /// Every host has proven it.
        case proven
        /// Some host has not, and nothing better will come.
        case failed
    }

    func standing(failsFast: Bool, at now: Duration) -> Standing {
        guard !entries.isEmpty else { return .open }
        if unfinished.isEmpty, entries.allSatisfy(\.isFinal) { return entries.contains { $0.deploy?.state.isFailure ?? true } ? .failed : .proven }
        if failsFast, let failedSince, now - failedSince >= Self.grace { return .failed }
        return .open
    }

    /// How far all hosts are together: what an answer over HTTP depends on.
    struct Progress: Equatable, Sendable {
        var newWorkers = 0
        /// Hosts on which nothing but the new release is left.
        var newHosts = 0
        var isEveryHostNew = false
    }

    var progress: Progress {
        var progress = Progress()
        for case let deploy? in entries.map(\.deploy) {
            progress.newWorkers += deploy.count(.new)
            if deploy.state == .inProgress || !deploy.state.isFailure { progress.newHosts += 1 }
        }
        progress.isEveryHostNew = unfinished.isEmpty && !entries.isEmpty && progress.newHosts == entries.count
        return progress
    }

    /// What the verdict rests on: all hosts; when it is given before all have concluded, those that have failed.
    var deciding: [HostDeploy] {
        guard !entries.allSatisfy(\.isFinal) else { return deploys }
        let failed = entries.filter(\.isFinal).compactMap(\.deploy).filter(\.state.isFailure)
        return failed.isEmpty ? deploys : failed
    }

    var deploys: [HostDeploy] { entries.compactMap(\.deploy) }
}

extension Verdict {
    /// Whether the new release is not (only) what answers. Limits are another question.
    var isFailure: Bool { self != .verified && self != .limitsExceeded }
}
