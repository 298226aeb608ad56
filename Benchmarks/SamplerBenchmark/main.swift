// What a cycle of LinuxSampler costs, without the agent around it: samples processes that idle, cycle after cycle without a pause.
//
// Usage: SamplerBenchmark [PROCESSES [CYCLES]]

import AgentCore
import Glibc
import LinuxHost
import Logging
import Platform
import RuleLanguage

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let count = arguments.first ?? 500
let cycles = arguments.dropFirst().first ?? 200

var limit = rlimit()
getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
limit.rlim_cur = limit.rlim_max
setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)

let pids = (0..<count).compactMap { _ in start("sleep", "100000") }
defer {
    for pid in pids {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}
let units = pids.compactMap { pid in
    startTicks(of: pid).map { SampledUnit(key: "service-\(pid)", process: ProcessIdentity(pid: pid, startTicks: $0), cgroup: nil) }
}
guard units.count == count else { fatalError("only \(units.count) of \(count) processes could be started") }

let lists: [(String, [String])] = [
    ("state and cpu:user of the main process", ["cpu:user"]),
    ("what the agent always shows", ["cpu:total", "memory:rss", "memory:total"]),
    ("with what needs every process", ["cpu:total", "memory:rss", "memory:total", "memory:total_rss", "processes", "tasks"]),
]
for (name, metrics) in lists { measure(name, MetricList(metrics.map(metric))) }

func measure(_ name: String, _ list: MetricList) {
    let sampler = LinuxSampler(logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
    let time = SystemTime()
    var begin = 0.0
    for cycle in 0..<(cycles + 2) {
        // The first two open the files.
        if cycle == 2 { begin = processorTime() }
        sampler.beginCycle(at: time.now().uptime)
        for unit in units {
            _ = sampler.sample(unit, list)
            _ = sampler.mainProcess(of: unit.key)
        }
    }
    let microseconds = (processorTime() - begin) * 1e6 / Double(cycles)
    let rounded = (microseconds / Double(count) * 100).rounded() / 100
    print("\(count) units: \(Int(microseconds)) us of CPU a cycle, \(rounded) us a unit: \(name)")
}

func metric(_ name: String) -> MetricName {
    let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
    return MetricName(parts[0], parts.count > 1 ? parts[1] : nil)
}

func start(_ words: String...) -> Int32? {
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: Int32 = 0
    return posix_spawnp(&pid, words[0], nil, nil, &arguments, environ) == 0 ? pid : nil
}

/// Field 22 of /proc/PID/stat; `sleep` has no blank in its name.
func startTicks(of pid: Int32) -> UInt64? {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 1024)
    guard fgets(&line, Int32(line.count), file) != nil else { return nil }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return fields.count > 21 ? UInt64(fields[21]) : nil
}

func processorTime() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}
