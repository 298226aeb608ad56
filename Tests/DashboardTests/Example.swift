// A small company's servers on a bad night: three hosts, five services, one of them in trouble.

import AgentAPI
import AggregatorCore
import Glibc
import Messages
import Platform

enum Example {
    static let web1 = String(repeating: "a1", count: 16)
    static let web2 = String(repeating: "b2", count: 16)
    static let db1 = String(repeating: "c3", count: 16)

    /// What web2 was before it was set up anew.
    static let oldWeb2 = String(repeating: "d4", count: 16)

    static let runbooks = ["shop": "https://wiki.example.com/runbooks/shop", "mail": "Call the provider: +49 30 000 000"]

    static func store(at now: Timestamp) -> MemoryStore {
        var content = MemoryStore.Content()
        content.hosts = hosts(at: now)
        content.units = units(at: now)
        content.services = services(at: now)
        content.members = [
            "shop": ["\(web1)/puma.service", "\(web2)/puma.service", "\(web1)/nginx.service", "\(web2)/nginx.service"],
            "jobs": ["\(web1)/sidekiq@1.service", "\(web2)/sidekiq@1.service"], "database": ["\(db1)/postgresql@15-main.service"],
            "mail": ["\(db1)/postfix@-.service"], "search/index": ["\(db1)/opensearch.service"],
        ]
        content.checks = checks(at: now)
        content.events = events(at: now)
        content.notifications = notifications(at: now)
        content.deploys = deploys(at: now)
        content.series =
            content.units.flatMap { unit in unit.state.samples.map { series(of: $0, agent: unit.agent, unit: unit.state.name, at: now) } }
            + content.hosts.flatMap { host in host.samples.map { series(of: $0, agent: host.agent, unit: nil, at: now) } }
        return MemoryStore(content)
    }

    private static func hosts(at now: Timestamp) -> [HostRecord] {
        func host(_ agent: String, _ name: String, last: Int, isSilent: Bool = false, load: Double, cpu: Double, free: Double) -> HostRecord {
            HostRecord(
                agent: agent, name: name, version: "0.1.0", lastReport: now - .seconds(last), interval: .seconds(15), isSilent: isSilent,
                lastSequence: 41,
                samples: [
                    Sample("load:1", load), Sample("load:5", load * 0.9), Sample("load:15", load * 0.8), Sample("cpu", cpu),
                    Sample("cpu:iowait", cpu / 9), Sample("memory:available", free), Sample("memory:total", 16 * 1_073_741_824), Sample("swap", 2.5),
                    Sample("disk:/", 61), Sample("disk:/var", 83.4),
                ])
        }
        var one = host(web1, "web1.example.com", last: 4, load: 3.42, cpu: 71.3, free: 2_469_606_195)
        one.silences = silences(at: now)
        one.jobs = jobs(at: now)
        var old = host(oldWeb2, "web2-old.example.com", last: 950_000, load: 0, cpu: 0, free: 0)
        old.replacedBy = web2
        old.samples = []
        return [
            one, old,
            host(web2, "web2.example.com", last: 9, load: 0.58, cpu: 12.6, free: 9_126_805_504),
            host(db1, "db1.example.com", last: 431, isSilent: true, load: 0.97, cpu: 22.8, free: 5_637_144_576),
        ]
    }

    private static func silences(at now: Timestamp) -> [Silence] {
        [
            Silence(
                kind: .deploy, subject: "puma", units: ["puma.service"], owner: "ada", reason: "release 412", since: now - .seconds(130),
                until: now + .seconds(170)),
            Silence(
                kind: .unmonitored, subject: "sidekiq@*", units: ["sidekiq@1.service"], owner: "bob", reason: nil, since: now - .seconds(7_300),
                until: nil),
        ]
    }

    private static func jobs(at now: Timestamp) -> [JobState] {
        [
            JobState(
                name: "backup", schedule: "every day", state: .ok, lastRun: now - .seconds(20_000), due: now + .seconds(66_400), detail: ""),
            JobState(
                name: "logrotate.timer", schedule: "starts logrotate.service", state: .failed, lastRun: now - .seconds(9_000),
                due: now + .seconds(77_400), detail: "logrotate.service exited with status 1"),
            JobState(name: "first-sync", schedule: "every 10 min", state: .waiting, lastRun: nil, due: nil, detail: ""),
        ]
    }

    private static func units(at now: Timestamp) -> [UnitRecord] {
        func unit(
            _ agent: String, _ host: String, _ name: String, _ phase: UnitState.Phase = .up, since: Int, pid: Int32?,
            detail: String = "active/running",
            cpu: Double? = nil, memory: Double? = nil, rules: [String] = []
        ) -> UnitRecord {
            var samples: [Sample] = []
            if let cpu { samples.append(Sample("cpu:user", cpu)) }
            if let memory { samples.append(Sample("memory:total_rss", memory * 1_048_576)) }
            return UnitRecord(
                agent: agent, host: host,
                state: UnitState(
                    name: name, initSystem: "systemd", phase: phase, since: now - .seconds(since), mainPID: pid, detail: detail, samples: samples,
                    failingRules: rules))
        }
        return [
            unit(web1, "web1.example.com", "puma.service", .down, since: 192, pid: nil, detail: "failed/failed (signal)"),
            unit(
                web2, "web2.example.com", "puma.service", since: 259_200, pid: 1184, cpu: 63.2, memory: 512.3,
                rules: ["if memory:total_rss > 500m for 2 cycles then alert"]),
            unit(web1, "web1.example.com", "nginx.service", since: 1_209_600, pid: 822, cpu: 3.1, memory: 38.2),
            unit(web2, "web2.example.com", "nginx.service", since: 1_209_000, pid: 790, cpu: 2.7, memory: 37.9),
            unit(web1, "web1.example.com", "sidekiq@1.service", since: 3_900, pid: 2210, cpu: 18.4, memory: 301.5),
            unit(
                web2, "web2.example.com", "sidekiq@1.service", .changing, since: 3, pid: 48_213, detail: "activating/auto-restart", cpu: 0.4,
                memory: 96),
            unit(db1, "db1.example.com", "postgresql@15-main.service", since: 4_320_000, pid: 612, cpu: 22.1, memory: 2210.4),
            unit(db1, "db1.example.com", "postfix@-.service", since: 4_320_000, pid: 954, cpu: 0.1, memory: 9.4),
            unit(db1, "db1.example.com", "opensearch.service", .unknown, since: 600, pid: nil, detail: "systemd knows no such unit"),
        ]
    }

    private static func services(at now: Timestamp) -> [ServiceRecord] {
        [
            ServiceRecord(name: "database", status: .passing, since: now - .seconds(4_320_000), problems: []),
            ServiceRecord(
                name: "shop", status: .critical, since: now - .seconds(192),
                problems: [
                    Problem(
                        subject: "puma.service on web2.example.com", text: "memory:total_rss is 512.3m, over 500m for 2 cycles", importance: .warning,
                        since: now - .seconds(1_260)),
                    Problem(
                        subject: "puma.service on web1.example.com", text: "is down: killed by SIGKILL, out of memory", importance: .critical,
                        since: now - .seconds(192)),
                    Problem(
                        subject: "check home page", text: "answered 502 Bad Gateway, expected 200", importance: .error, since: now - .seconds(170)),
                ]),
            ServiceRecord(name: "jobs", status: .passing, since: now - .seconds(86_400), problems: []),
            ServiceRecord(
                name: "search/index", status: .warning, since: now - .seconds(600),
                problems: [
                    Problem(
                        subject: "opensearch.service on db1.example.com", text: "is unknown to systemd", importance: .warning,
                        since: now - .seconds(600))
                ]),
            ServiceRecord(name: "mail", status: .passing, since: now - .seconds(700_000), problems: []),
        ]
    }

    private static func checks(at now: Timestamp) -> [CheckRecord] {
        [
            CheckRecord(
                name: "checkout", service: "shop", summary: "GET https://shop.example.com/checkout/health is 200", isFailing: false,
                lastRun: now - .seconds(12), lastDuration: .milliseconds(183), detail: "200 in 183 ms, certificate valid for 61 days"),
            CheckRecord(
                name: "home page", service: "shop", summary: "GET https://shop.example.com/ is 200 and contains \"Cart\"", isFailing: true,
                lastRun: now - .seconds(5), lastDuration: .milliseconds(1_240), detail: "answered 502 Bad Gateway, expected 200"),
            CheckRecord(
                name: "orders per minute", service: "shop", summary: "graphite shop.orders.rate > 1", isFailing: false, lastRun: nil,
                lastDuration: nil,
                detail: ""),
        ]
    }

    private static func events(at now: Timestamp) -> [EventRecord] {
        var sequence: UInt64 = 0
        func event(
            _ agent: String, _ host: String, _ age: Int, _ kind: Event.Kind, unit: String? = nil, importance: Importance? = nil,
            cause: Event.Cause? = nil, _ detail: String = ""
        ) -> EventRecord {
            sequence += 1
            let at = now - .seconds(age)
            return EventRecord(
                agent: agent, host: host, receivedAt: at + .milliseconds(40),
                event: Event(sequence: sequence, kind: kind, at: at, unit: unit, importance: importance, cause: cause, detail: detail))
        }
        return [
            event(
                web1, "web1.example.com", 192, .unitDown, unit: "puma.service", importance: .critical, cause: .failure,
                "killed by SIGKILL, out of memory"),
            event(web1, "web1.example.com", 196, .actionFailed, unit: "puma.service", "restart: the start limit was hit"),
            event(web1, "web1.example.com", 230, .unitRestarted, unit: "puma.service", cause: .failure, "killed by SIGKILL, out of memory"),
            event(
                web2, "web2.example.com", 1_260, .ruleFailed, unit: "puma.service", importance: .warning,
                "memory:total_rss is 512.3m, over 500m for 2 cycles"),
            event(web2, "web2.example.com", 90_000, .unitRestarted, unit: "puma.service", cause: .request, "systemctl restart, deploy 7f3a"),
            event(web2, "web2.example.com", 172_000, .ruleRecovered, unit: "nginx.service", "cpu:user is 4.0, not over 80"),
            event(web1, "web1.example.com", 180_000, .agentStarted, "version 0.1.0"),
            event(db1, "db1.example.com", 600, .sourceFailed, "systemd does not answer"),
        ]
    }

    private static func notifications(at now: Timestamp) -> [NotificationRecord] {
        func message(_ id: String, _ recipient: String, _ subject: String, age: Int) -> Message {
            Message(id: id, recipient: recipient, subject: subject, body: subject, createdAt: now - .seconds(age))
        }
        return [
            NotificationRecord(
                service: "shop", notifier: "mail",
                message: message("1", "duty@example.com", "shop is critical: puma.service on web1 is down", age: 191),
                state: .sent, attempts: 1, problem: nil, sentAt: now - .seconds(190)),
            NotificationRecord(
                service: "shop", notifier: "mail",
                message: message("2", "boss@example.com", "shop is critical: puma.service on web1 is down", age: 191),
                state: .pending, attempts: 2, problem: "smtp.example.com: 451 try again later", sentAt: nil),
            NotificationRecord(
                service: "shop", notifier: "mail", message: message("3", "old@example.com", "shop is a warning: memory of puma.service", age: 1_250),
                state: .failed, attempts: 8, problem: "smtp.example.com: 550 no such user", sentAt: nil),
        ]
    }

    /// An hour of a metric around its latest value, the same every time.
    private static func series(of sample: Sample, agent: String, unit: String?, at now: Timestamp) -> Series {
        let phase = Double((agent + (unit ?? "") + sample.metric).utf8.reduce(0) { ($0 &* 31 &+ Int($1)) % 1009 })
        let points = (0..<60).map { index -> Series.Point in
            let wave = sin(Double(index) / 7 + phase) * 0.16 + sin(Double(index) * 1.7 + phase) * 0.07
            let share = index == 59 ? 1 : max(0.05, 0.8 + wave + Double(index) / 500)
            return Series.Point(at: now - .seconds((59 - index) * 60), value: sample.value * share)
        }
        return Series(agent: agent, unit: unit, metric: sample.metric, points: points)
    }
}
