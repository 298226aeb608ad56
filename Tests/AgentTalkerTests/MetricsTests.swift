import AgentAPI
import AgentCore
import Foundation
import Glibc
import NIOCore
import Platform
import TestKit
import Testing

@testable import AgentTalker

private let example = Snapshot(
    at: Timestamp(microseconds: 1_763_694_000_250_000),
    units: [
        UnitState(
            name: "puma.service", initSystem: "systemd", phase: .up, since: nil, mainPID: 17, detail: "",
            samples: [Sample("memory:rss", 104_857_600), Sample("cpu:total", 3.25), Sample("restarts", 2), Sample("redis:used_memory", 7)],
            failingRules: ["if cpu > 1% then alert"]),
        UnitState(
            name: "od\"d\\unit\n", initSystem: "pidfile", phase: .down, since: nil, mainPID: nil, detail: "",
            samples: [Sample("memory:rss", 4096), Sample("cpu:total", .nan)], failingRules: []),
    ],
    samples: [
        Sample("cpu", 12.5), Sample("load:1", 0.5), Sample("disk:/var", 81.5), Sample("disk:/", 40), Sample("network_in:eth0", 123_456_789),
        Sample("agent:memory", 9_000_000), Sample("uptime", 1e9),
    ])

@Suite("Metrics as others read them") struct MetricFormatTests {
    private let own = OwnMetrics(version: "1.2.3", eventsWaiting: 3, isAggregatorReachable: true, graphiteDropped: 0)

    @Test("the text of Prometheus and of OpenMetrics")
    func prometheus() throws {
        try expectGolden(PrometheusText.text(of: example, own), "metrics.prom")
        try expectGolden(PrometheusText.text(of: example, own, dialect: .openMetrics), "metrics.openmetrics")
        #expect(!PrometheusText.text(of: nil, own).contains("rollcall_unit"))
    }

    @Test("every metric of the catalogue has a name that Prometheus takes, and no two have the same")
    func names() {
        var seen: [String: String] = [:]
        for metric in metrics {
            let key: String
            switch metric.name {
            case .none: key = metric.family
            case .exactly(let name): key = "\(metric.family):\(name)"
            case .anyPath: key = "\(metric.family):/x"
            case .anyWord: key = "\(metric.family):x"
            }
            let outside = OutsideMetric(key, of: metric.subject)
            #expect(outside.name.utf8.allSatisfy { isMetricByte($0) && $0 != UInt8(ascii: "-") } && outside.name.hasPrefix("rollcall_"))
            #expect(outside.meaning == metric.meaning)
            let other = seen.updateValue("\(metric.subject) \(metric.text)", forKey: outside.name)
            #expect(other == nil, "\(outside.name) is \(metric.text) and \(other ?? "")")
        }
    }

    @Test("the lines of Graphite")
    func graphite() throws {
        try expectGolden(graphiteLines(of: example, host: "web1.example.com", prefix: "site.rollcall"), "metrics.graphite")
    }

    @Test("the datagrams of statsd: gauges as they are, counters as what they grew")
    func statsd() throws {
        var text = StatsdText(host: "web1.example.com", prefix: "")
        var next = example
        next.units[0].samples[2].value = 5
        next.samples[4].value = 100  // it began anew
        next.samples[1].value = -2
        let first = text.datagrams(of: example)
        let second = text.datagrams(of: next)
        try expectGolden((first + ["----"] + second).joined(separator: "\n") + "\n", "metrics.statsd")
    }

    @Test("datagrams stay below 1400 bytes and keep a reset together with its value")
    func datagrams() {
        var text = StatsdText(host: "h", prefix: "")
        let units = (0..<200).map {
            UnitState(
                name: "service-\($0)", initSystem: "systemd", phase: .up, since: nil, mainPID: nil, detail: "", samples: [Sample("x", -1)],
                failingRules: [])
        }
        let datagrams = text.datagrams(of: Snapshot(at: startOfTime, units: units, samples: []))
        #expect(datagrams.count > 5 && datagrams.allSatisfy { $0.utf8.count <= 1400 })
        for datagram in datagrams {
            let lines = datagram.split(separator: "\n")
            for (index, line) in lines.enumerated() where line.contains(":-") {
                #expect(index > 0 && lines[index - 1] == line.replacing(":-1|", with: ":0|"))
            }
        }
        #expect(datagrams.joined(separator: "\n").split(separator: "\n").count == 600)
    }
}

@Suite("Metrics over real sockets") struct MetricSocketTests {
    private let folder: TemporaryFolder
    private let log = LogRecorder()

    init() throws { folder = try TemporaryFolder() }

    private func talker(
        metrics: TalkerConfiguration.Metrics? = nil, statsd: TalkerConfiguration.Push? = nil, graphite: TalkerConfiguration.Push? = nil
    ) throws -> Talker {
        let talker = try Talker(
            configuration: TalkerConfiguration(
                host: "app-1", version: "1", interval: .seconds(10), stateFolder: "\(folder.path)/state", metrics: metrics, statsd: statsd,
                graphite: graphite), logger: log.logger)
        talker.start()
        return talker
    }

    @Test("a scraper gets the last snapshot, in the format that it asks for")
    func scraping() async throws {
        let talker = try talker(metrics: .init(port: 0))
        defer { talker.stop() }
        try await eventually { talker.metricsAddress != nil }
        let url = "http://127.0.0.1:\(talker.metricsAddress?.port ?? 0)"
        #expect(try !run("curl", "-sS", "\(url)/metrics").contains("rollcall_unit_up"))
        talker.update(example)
        try await eventually { try run("curl", "-sS", "\(url)/metrics").contains(#"rollcall_unit_up{unit="puma.service",init="systemd"} 1"#) }
        let plain = try run("curl", "-sSi", "\(url)/metrics")
        #expect(plain.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8") && !plain.contains("# EOF"))
        let open = try run("curl", "-sSi", "-H", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "\(url)/metrics")
        #expect(open.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8") && open.hasSuffix("# EOF\n"))
        #expect(try run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "\(url)/other") == "404")
        #expect(try run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "\(url)/metrics") == "405")
    }

    @Test("a password, where there is one, is asked for")
    func password() async throws {
        let talker = try talker(metrics: .init(port: 0, user: "prom", password: Secret("open sesame")))
        defer { talker.stop() }
        try await eventually { talker.metricsAddress != nil }
        let url = "http://127.0.0.1:\(talker.metricsAddress?.port ?? 0)/metrics"
        #expect(try run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url) == "401")
        #expect(try run("curl", "-sS", "-u", "prom:open sesame", url).contains("rollcall_agent_info"))
        #expect(throws: TalkerError.self) { try CheckedConfiguration.Metrics(.init(port: 0, user: "prom")) }
        #expect(throws: TalkerError.self) { try CheckedConfiguration.Metrics(.init(address: "0.0.0.0", port: 0)) }
    }

    @Test("statsd gets datagrams, by address and by name", arguments: ["127.0.0.1", "localhost"])
    func statsd(host: String) async throws {
        let server = try DatagramServer()
        let talker = try talker(statsd: .init(host: host, port: server.port))
        defer { talker.stop() }
        try await eventually {
            talker.update(example)
            return server.text.contains("app-1.puma_service.memory.rss:104857600|g")
        }
        #expect(server.largest <= 1400)
    }

    @Test("a real Graphite stores what it is sent under the names that were meant")
    func carbon() async throws {
        let bed = try ChildProcess(bed("graphite"), [folder.path + "/carbon"])
        let port = try #require(Int(try await bed.whenReady(folder.path + "/carbon/port")))
        let talker = try talker(graphite: .init(host: "127.0.0.1", port: port, prefix: "rollcall"))
        defer { talker.stop() }
        var now = example
        now.at = SystemTime().now().wall
        talker.update(now)
        try await eventually {
            let values = (try? String(contentsOfFile: folder.path + "/carbon/values", encoding: .utf8)) ?? ""
            return values.contains("rollcall.app-1.puma_service.cpu.total 3.25\n") && values.contains("rollcall.app-1.od_d_unit_.up 0\n")
                && values.contains("rollcall.app-1.host.disk._var 81.5\n")
        }
        bed.endInput()
        #expect(try await bed.end().status == 0)
    }

    @Test("Graphite gets every snapshot, also those that came while it was away")
    func graphite() async throws {
        let (first, port) = try await LineServer.start()
        let talker = try talker(graphite: .init(host: "127.0.0.1", port: port, prefix: "rollcall"))
        defer { talker.stop() }
        talker.update(example)
        try await eventually { first.text.contains("rollcall.app-1.puma_service.memory.rss 104857600 1763694000\n") }
        first.stop()
        var later = example
        for second in 1...3 {
            later.at = example.at + .seconds(second)
            talker.update(later)
        }
        let (again, _) = try await LineServer.start(port: port)
        defer { again.stop() }
        // What was on its way when the connection broke may be lost; what came after it is not.
        try await eventually { again.text.contains("rollcall.app-1.puma_service.memory.rss 104857600 1763694003\n") }
        #expect(again.text.contains("1763694002\n"))
    }
}

/// Takes datagrams.
private final class DatagramServer {
    let port: Int
    private let descriptor: Int32
    private(set) var largest = 0
    private var received = ""

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        port = try bindToLoopback(descriptor, 0)
    }

    deinit { close(descriptor) }

    var text: String {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return received }
            largest = max(largest, count)
            received += String(decoding: buffer[..<count], as: UTF8.self) + "\n"
        }
    }
}

/// Takes what one client after the other sends.
private final class LineServer {
    private let descriptor: Int32
    private var clients: [Int32] = []
    private var received = ""

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    static func start(port: Int = 0) async throws -> (LineServer, Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        let port = try bindToLoopback(descriptor, port)
        listen(descriptor, 8)
        return (LineServer(descriptor), port)
    }

    func stop() {
        for client in clients { close(client) }
        close(descriptor)
    }

    var text: String {
        let client = accept(descriptor, nil, nil)
        if client >= 0 {
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            clients.append(client)
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        for client in clients {
            while true {
                let count = recv(client, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                received += String(decoding: buffer[..<count], as: UTF8.self)
            }
        }
        return received
    }
}

private func bindToLoopback(_ descriptor: Int32, _ port: Int) throws -> Int {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1 }
    }
    guard result == 0 else { throw Unexpected("cannot bind: \(String(cString: strerror(errno)))") }
    return Int(in_port_t(bigEndian: address.sin_port))
}
