// Deploys of the small company: a good one, one that left an old worker behind, and one of which little is known.

import AgentAPI
import Platform

extension Example {
    static func deploys(at now: Timestamp) -> [DeployRecord] {
        [mixed(at: now), verified(at: now), unproven(at: now)]
    }

    private static func worker(
        _ pid: Int32, _ kind: HostDeploy.Class?, role: HostDeploy.Role = .worker, token: String? = nil, age: Int, exec: String, release: String,
        isInRelease: Bool? = nil, isDeleted: Bool = false, reason: String? = nil
    ) -> HostDeploy.Process {
        HostDeploy.Process(
            pid: pid, role: role, class: kind, tokenPrefix: token, answerMilliseconds: token.map { _ in 3.2 }, age: .seconds(age), exec: exec,
            folder: "/srv/shop/releases/\(release)", isInRelease: isInRelease, isFolderDeleted: isDeleted, connections: 2, reason: reason)
    }

    private static func mixed(at now: Timestamp) -> DeployRecord {
        let began = now - .seconds(1500)
        var first = HostDeploy(
            service: "puma.service", host: "web1.example.com", state: .verified, isFinal: true, since: began + .seconds(9), deploy: "d-5af3c1",
            tokenPrefix: "9f31c2aa", hasBaseline: true, evidence: "attributed-http", expectedWorkers: 2,
            processes: [
                worker(4000, nil, role: .master, age: 11, exec: "new", release: "20261121031500", isInRelease: true),
                worker(4010, .new, token: "9f31c2aa", age: 9, exec: "new", release: "20261121031500", isInRelease: true),
                worker(4011, .new, token: "9f31c2aa", age: 9, exec: "new", release: "20261121031500", isInRelease: true),
            ],
            incidents: [
                .init(after: .milliseconds(1200), what: "exec", pid: 4000, class: nil),
                .init(after: .milliseconds(2100), what: "fork", pid: 4010, class: .new),
                .init(after: .milliseconds(2150), what: "exit", pid: 3800, class: .old, how: "exit status 0"),
            ],
            availability: Availability(
                requests: 400, failed: 0, late: 0, longestStall: .milliseconds(180), median: .microseconds(4200), percentile99: .milliseconds(38)))
        first.lacks = []
        let second = HostDeploy(
            service: "puma.service", host: "web2.example.com", state: .mixed, isFinal: true, since: began + .seconds(20), deploy: "d-5af3c1",
            tokenPrefix: "9f31c2aa", hasBaseline: true, evidence: "attributed-http", expectedWorkers: 3,
            processes: [
                worker(1184, nil, role: .master, age: 259_200, exec: "same-as-baseline", release: "20261118101010", isInRelease: false),
                worker(
                    1201, .old, token: "77aa0b1c", age: 259_100, exec: "same-as-baseline", release: "20261118101010", isInRelease: false,
                    isDeleted: true),
                worker(
                    5120, .oldCode, token: "none", age: 31, exec: "same-as-baseline", release: "20261118101010", isInRelease: false, reason: "preload"
                ),
                worker(5121, .new, token: "9f31c2aa", age: 30, exec: "new", release: "20261121031500", isInRelease: true),
            ],
            incidents: [
                .init(after: .milliseconds(900), what: "fork", pid: 5120, class: .unknown),
                .init(after: .milliseconds(1900), what: "exit", pid: 5119, class: .new, how: "killed by SIGKILL"),
            ],
            reasons: [
                "worker 1201 still runs the old release: it is busy with a request for 31 s",
                "worker 5120 was forked from code that the master loaded before the deploy",
            ],
            lacks: ["its events since the baseline: the kernel refused the connector"])
        return DeployRecord(
            id: "d-5af3c1", service: "puma.service", verdict: .mixed, began: began, ended: began + .seconds(61), tokenPrefix: "9f31c2aa",
            person: "ada", revision: "7f3a9c1", summary: "3 of 5 workers on 2 hosts carry the new token; web2.example.com runs two that do not.",
            hosts: [first, second],
            urls: [
                .init(url: "https://shop.example.com/about/deploy", state: .mixed, account: "answered the new token 31 times and another 9 times")
            ],
            availability: Availability(
                requests: 1220, failed: 3, late: 14, longestStall: .milliseconds(2340), median: .milliseconds(12), percentile99: .milliseconds(1800),
                failures: ["connection refused 2 times", "502 once"]))
    }

    private static func verified(at now: Timestamp) -> DeployRecord {
        let began = now - .seconds(260_000)
        return DeployRecord(
            id: "d-77ab01", service: "puma.service", verdict: .verified, began: began, ended: began + .milliseconds(14_200), tokenPrefix: "77aa0b1c",
            person: "bob", revision: "0c4d2ee", summary: "All 5 workers on 2 hosts carry the new token.",
            availability: Availability(requests: 284, failed: 0, late: 0, longestStall: .milliseconds(210)))
    }

    private static func unproven(at now: Timestamp) -> DeployRecord {
        let began = now - .seconds(700_000)
        return DeployRecord(
            id: "d-00e1", service: "postfix@-.service", verdict: .unproven, began: began, ended: began + .seconds(60), tokenPrefix: "01020304",
            summary: "Nothing answers the token.")
    }
}

extension Example {
    /// A deploy that says the same thing wherever it can say something.
    static func hostileDeploy(_ text: String, at now: Timestamp) -> DeployRecord {
        let process = HostDeploy.Process(
            pid: -1, role: .worker, class: .new, tokenPrefix: text, answerMilliseconds: .greatestFiniteMagnitude, age: .seconds(1e12), exec: text,
            folder: text, reason: text)
        let availability = Availability(requests: .max, failed: .max, failures: [text])
        let host = HostDeploy(
            service: text, host: text, state: .mixed, since: now, evidence: text, processes: [process], listeners: [],
            incidents: [.init(after: .seconds(1e9), what: text, pid: 0, class: .new, how: text)], availability: availability, reasons: [text],
            lacks: [text])
        return DeployRecord(
            id: "d-0", service: text, verdict: .down, began: now, ended: now + .seconds(5), tokenPrefix: text, person: text, revision: text,
            summary: text, hosts: [host], urls: [.init(url: text, state: .down, account: text)], availability: availability)
    }
}
