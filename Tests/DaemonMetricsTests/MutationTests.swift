import Platform
import TestKit
import Testing

@testable import DaemonMetrics

/// No answer makes a reader crash, lose its way, or say something that nobody can read.
@Suite struct MutationTests {
    private func check(_ parser: String, _ read: ([UInt8]) -> DaemonAnswer?) {
        Mutations.run(seeds: Mutations.seeds(parser)) { bytes in
            switch read(bytes) {
            case nil: break
            case .success(let told): if !told.values.allSatisfy(\.isFinite) { Issue.record("no number: \(told)") }
            case .failure(let error):
                if error.problem.isEmpty || !error.problem.utf8.allSatisfy({ $0 >= 32 && $0 < 127 }) { Issue.record("not for people: \(error)") }
            }
        }
    }

    @Test func redis() {
        var isAuthenticated = false
        check("redis-reply") { bytes in
            isAuthenticated.toggle()
            return redisAnswer(bytes, hasAuthenticated: isAuthenticated)
        }
    }
    @Test func memcached() { check("memcached-stats") { memcachedAnswer($0) } }
    @Test func nginx() { check("nginx-status") { nginxAnswer($0) } }
    @Test func fastCGI() { check("fastcgi") { phpFPMAnswer($0, "/status") } }
    @Test func phpFPM() { check("php-fpm-status") { poolStatus($0) } }
    @Test func haproxy() { check("haproxy-stat") { haproxySocketAnswer($0, true) } }
    @Test func prometheus() { check("prometheus-text") { prometheusAnswer($0, ["node_load1", #"go_gc_duration_seconds{quantile="0.5"}"#]) } }
    @Test func jsonAndMemstats() {
        var isMemstats = false
        check("json-page") { bytes in
            isMemstats.toggle()
            return isMemstats ? memstatsAnswer(bytes) : jsonAnswer(bytes, ["queues[0].length", "[\"a.b\"][\"c d\"]"])
        }
    }

    @Test func jsonPaths() {
        let document: JSON = ["a": [["b c": 1]], "queues": ["mail": 2]]
        check("json-path") { bytes in JSONPath(String(decoding: bytes, as: UTF8.self)).map { .success(["x": $0.value(in: document)?.number ?? 0]) } }
    }

    @Test func selectors() {
        let series = Series(Array(#"up{a="b",c="d"} 1"#.utf8)[...])
        check("prometheus-selector") { bytes in
            guard let selector = SeriesSelector(String(decoding: bytes, as: UTF8.self)), let series else { return nil }
            return .success(["x": selector.selects(series) ? 1 : 0])
        }
    }
}
