// Every parser of outside input, by the name of its seeds' folder: the agent's here, the others' in OtherParsers.swift.

@testable import AgentAPI
@testable import AgentCore
@testable import AgentTalker
@testable import Compression
@testable import DaemonMetrics
@testable import DeployVerification
@testable import LinuxHost
@testable import Platform
@testable import RuleLanguage

let agentParsers: [String: @Sendable ([UInt8]) -> Void] = [
    "addresses": { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? ListenAddress(parsing: text)
        _ = try? TargetAddress(parsing: text)
        _ = try? AggregatorAddress(parsing: text)
        _ = try? AggregatorAddress(parsing: text)
    },
    "agent-answer": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        _ = try? AgentAnswer(message: json)
        _ = try? OrderResult(json)
    },
    "agent-request": { _ = try? RequestLine($0) },
    "agent-settings": { bytes in
        let parsed = SettingsFile.parse(bytes, file: "f")
        _ = AgentSettings.read(parsed.file, file: "f", defaults: .init(hostname: "h", stateDirectory: nil))
    },
    "order-line": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        _ = try? OrderCall(json)
        _ = try? OrderHandout(json)
        _ = try? OrderAnswers(json)
    },
    "aggregator-answer": { bytes in
        for status in [200, 400, 401, 503] { _ = ReportOutcome(status: status, body: bytes) }
    },
    "alert-file": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        var desk = AlertDesk(host: "h", routes: [nil], aggregatorPatience: nil, at: now)
        _ = desk.resume(from: json, at: now)
    },
    "cgroup-files": { bytes in
        _ = CgroupMemory(first: bytes.span)
        _ = CgroupMemory(second: bytes.span)
        _ = CgroupProcessor(second: bytes.span)
        _ = CgroupThrottling(parsing: bytes.span)
        _ = CgroupMemoryEvents(parsing: bytes.span)
        _ = Limit(ofGroup: bytes.span)
        _ = ProcessTransfer(second: bytes.span)
    },
    "cron": { bytes in _ = try? TimeWindow(parsing: String(decoding: bytes, as: UTF8.self)) },
    "deploy-book": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        var book = DeployBook()
        _ = book.restore(json, resumed: "r", at: now.wall)
    },
    "deploy-messages": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        _ = try? DeployPreparation(json)
        _ = try? DeployPrepared(json)
        _ = try? DeployCheck(json)
        _ = try? HostDeploy(json)
        _ = try? DeployRecord(json)
    },
    "deploy-path": { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        for path in [text, "/about/deploy/" + text] { _ = try? DeployRoute(parsing: path) }
    },
    "deploy-process": { bytes in
        _ = ExecGeneration(auxiliaryVector: bytes[...])
        _ = effectiveUser(parsing: bytes)
    },
    "fastcgi": { _ = phpFPMAnswer($0, "/status") },
    "gzip": { _ = try? gunzip($0, limit: 4096) },
    "haproxy-stat": { _ = haproxySocketAnswer($0, true) },
    "host-files": { bytes in
        _ = Pressure(parsing: bytes.span)
        _ = FileCount(parsing: bytes.span)
        _ = LoadAverage(parsing: bytes)
        _ = MemoryInfo(parsing: bytes.span)
    },
    "host-stat": { bytes in _ = HostStat(parsing: bytes.span) },
    "http-answer": { bytes in
        _ = try? HTTPAnswer(parsing: bytes)
        var reader = HTTPReader()
        if reader.take(bytes) == .reading { _ = reader.end() }
        var records = FastCGIReader()
        _ = records.take(bytes)
    },
    "initctl": { bytes in
        _ = initctlStatuses(parsing: bytes)
        _ = InitctlRefusal(parsing: bytes)
    },
    "init-script": { bytes in
        _ = SysVScript(parsing: bytes)
        _ = offersReload(parsing: bytes)
    },
    "json": { _ = try? JSON(parsing: $0) },
    "json-page": { bytes in
        _ = memstatsAnswer(bytes)
        _ = jsonAnswer(bytes, ["a.b[0].c"])
    },
    "json-path": { _ = JSONPath(String(decoding: $0, as: UTF8.self)) },
    "memcached-stats": { _ = memcachedAnswer($0) },
    "mounts": { bytes in _ = mounts(parsing: bytes.span) },
    "net-dev": { bytes in _ = InterfaceCounters(of: "eth0", parsing: bytes.span) },
    "nginx-status": { _ = nginxAnswer($0) },
    "permissions": { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? AggregatorPermission(parsing: text)
        _ = try? AllowedOrder(parsing: text)
    },
    "php-fpm-status": { _ = poolStatus($0) },
    "pid-file": { _ = pidNumber(parsing: $0) },
    "process-files": { bytes in
        _ = residentPages(parsing: bytes.span)
        _ = ProcessTransfer(parsing: bytes.span)
        _ = Limit(openFilesOf: bytes.span)
        _ = MappedMemory(parsing: bytes.span)
        var pids: [Int32] = []
        _ = appendProcesses(parsing: bytes.span, to: &pids)
    },
    "process-stat": { bytes in
        _ = ProcessCounters(parsing: bytes.span)
        _ = ProcessStat(parsing: bytes)
    },
    "netlink": { bytes in
        for message in NetlinkMessage.parse(bytes[...]) {
            _ = TCPSocketEntry(parsing: message.payload)
            _ = UnixSocketEntry(parsing: message.payload)
            _ = ProcessEvent(parsing: message.payload)
        }
    },
    "prometheus-selector": { _ = SeriesSelector(String(decoding: $0, as: UTF8.self)) },
    "prometheus-text": { _ = prometheusAnswer($0, ["up", "node_cpu_seconds_total{cpu=\"0\"}"]) },
    "recording": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        _ = try? Recording(json)
        _ = try? History(json)
    },
    "redis-reply": { _ = redisAnswer($0, hasAuthenticated: true) },
    "release-token": { _ = ReleaseToken.token(in: $0) },
    "report": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        _ = try? Report(json).applied(to: nil)
        _ = try? Acknowledgement(json)
    },
    "rule-state": { bytes in
        guard let json = try? JSON(parsing: bytes) else { return }
        var rules = ruleFile.rules.map { RuleEvaluator(rule: $0, of: .service) }
        RuleEvaluator.restore(json, to: &rules, boot: "b")
    },
    "rules": { bytes in
        let parsed = RuleFile.parse(bytes, file: "f")
        if let file = parsed.file, parsed.faults.isEmpty { _ = RuleFile.parse(file.text, file: "f") }
    },
    "runit-status": { _ = ServiceStatus(runit: $0) },
    "runner-answers": { _ = try? RunnerAnswer(line: $0) },
    "runner-orders": { _ = try? RunnerOrder(line: $0) },
    "s6-status": { _ = ServiceStatus(s6: $0) },
    "service-check": { bytes in
        if let file = RuleFile.parse(bytes, file: "f").file { _ = examineRules(of: file, file: "f") }
    },
    "settings": { _ = SettingsFile.parse($0, file: "f") },
    "spool": { bytes in
        var scan = SpoolScan(first: 1)
        _ = scan.read(bytes, first: 1)
        scan.finish()
    },
    "supervisord-conf": { _ = SupervisordConfiguration(parsing: $0, folder: "/etc") },
    "upstart-path": { _ = UpstartPath(String(decoding: $0, as: UTF8.self)) },
    "watch-state": { _ = try? WatchState(parsing: $0, at: now) },
    "xml-rpc": { _ = (try? XMLRPCAnswer(parsing: $0)).map { SupervisordProcess.list($0) } },
]

private let now = Moment(wall: Timestamp(microseconds: 1_795_000_000_000_000), uptime: .seconds(1000))
private let ruleFile =
    RuleFile.parse("check service s if memory:rss > 5 for 3 cycles then alert if cpu:total > 5 2 times within 4 cycles then alert", file: "f").file
    ?? RuleFile(subject: .host)
