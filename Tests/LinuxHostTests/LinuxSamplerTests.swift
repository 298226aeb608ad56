import AgentCore
import Platform
import Testing

@testable import LinuxHost

/// A captured machine: `proc` and `sys/fs/cgroup` in a folder that a test can change.
@Suite struct LinuxSamplerTests {
    let machine = Folder()

    func sampler() -> LinuxSampler { LinuxSampler(root: machine.path, logger: quiet, clockTicks: 100, pageSize: 4096) }

    func put(
        _ pid: Int32, parent: Int32 = 1, user: Int = 0, system: Int = 0, start: UInt64 = 500, pages: Int = 100, name: String = "puma: worker (0)"
    ) throws {
        try machine.write(
            "\(pid) (\(name)) S \(parent) 1 1 0 -1 0 0 0 0 0 \(user) \(system) 9999 9999 20 0 1 0 \(start) 0 0\n", to: "proc/\(pid)/stat")
        try machine.write("9000 \(pages) 50 1 0 100 0\n", to: "proc/\(pid)/statm")
    }

    let puma = ProcessIdentity(pid: 10, startTicks: 500)

    @Test func processorTimeIsPercentOfOneCoreOverTheTimeThatReallyPassed() throws {
        let sampler = sampler()
        try put(10, user: 1000, system: 100)
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["cpu:user", "cpu:system"]) == [:])
        try put(10, user: 1500, system: 150)
        sampler.beginCycle(at: .seconds(102.5))
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["cpu:user", "cpu:system"]) == ["cpu:user": 200, "cpu:system": 20])
    }

    @Test func aNewProcessAndACounterThatGoesBackGiveNoRate() throws {
        let sampler = sampler()
        let metrics: Set = ["cpu:user"]
        try put(10, user: 1000)
        sampler.beginCycle(at: .seconds(100))
        _ = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics)
        try put(10, user: 900)
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics).isEmpty)
        try put(10, user: 950)
        sampler.beginCycle(at: .seconds(102))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == ["cpu:user": 50])
        try put(10, user: 1000, start: 10100)
        sampler.beginCycle(at: .seconds(103))
        let successor = ProcessIdentity(pid: 10, startTicks: 10100)
        #expect(sampler.sample(unit: "puma", process: successor, cgroup: nil, metrics: metrics).isEmpty)
    }

    @Test func aReusedPidIsNotTheProcess() throws {
        let sampler = sampler()
        try put(10, user: 1000, start: 777)
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: LinuxSampler.serviceMetrics).isEmpty)
    }

    @Test func memoryOfTheTreeIsThatOfAllDescendants() throws {
        let sampler = sampler()
        try put(1, parent: 0)
        try put(10, pages: 100)
        try put(11, parent: 10, pages: 20)
        try put(12, parent: 11, pages: 3)
        try put(13, pages: 5000)
        sampler.beginCycle(at: .seconds(100))
        let values = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["memory:rss", "memory:total_rss"])
        #expect(values == ["memory:rss": 100 * 4096, "memory:total_rss": 123 * 4096])
    }

    @Test func processorTimeOfATreeSurvivesAWorkerThatEnds() throws {
        let sampler = sampler()
        let metrics: Set = ["cpu:total", "cpu:total_user", "cpu:total_system"]
        try put(10, user: 1000)
        try put(11, parent: 10, user: 90_000)
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics).isEmpty)
        try put(10, user: 1020)
        try machine.remove("proc/11")
        try put(12, parent: 10, user: 30, system: 10, start: 10_050)  // born between the looks: all of it counts
        try put(13, parent: 10, user: 5000, start: 400)  // adopted: only what comes from now on counts
        sampler.beginCycle(at: .seconds(101))
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == [
                "cpu:total": 60, "cpu:total_user": 50, "cpu:total_system": 10,
            ])
    }

    @Test func aUnifiedGroupTellsAboutAllItsProcesses() throws {
        let group = "sys/fs/cgroup/system.slice/puma.service"
        try machine.write("memory pids\n", to: "sys/fs/cgroup/cgroup.controllers")
        try machine.write("10\n0\n", to: "\(group)/cgroup.procs")
        try machine.write("11\n", to: "\(group)/workers/cgroup.procs")
        try machine.write("1000000\n", to: "\(group)/memory.current")
        try machine.write("anon 600000\ninactive_file 300000\nactive_file 100000\n", to: "\(group)/memory.stat")
        try machine.write("usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\n", to: "\(group)/cpu.stat")
        try put(10, pages: 10)
        try put(11, pages: 7)
        try put(12, parent: 10, pages: 1000)  // a child that has left the group
        let sampler = sampler()
        let cgroup = "/system.slice/puma.service"
        sampler.beginCycle(at: .seconds(100))
        let first = sampler.sample(unit: "puma", process: puma, cgroup: cgroup, metrics: LinuxSampler.serviceMetrics)
        #expect(first == ["memory:rss": 40960, "memory:total_rss": 17 * 4096, "memory:total": 700_000])
        try machine.write("usage_usec 6500000\nuser_usec 5000000\nsystem_usec 1500000\n", to: "\(group)/cpu.stat")
        sampler.beginCycle(at: .seconds(101))
        let metrics: Set = ["cpu:total", "cpu:total_user", "cpu:total_system"]
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: cgroup, metrics: metrics) == [
                "cpu:total": 150, "cpu:total_user": 100, "cpu:total_system": 50,
            ])
    }

    @Test(arguments: ["cpuacct", "cpu,cpuacct"])
    func legacyGroupsTellInTheirOwnUnits(folder: String) throws {
        let group = "/system.slice/puma.service"
        try machine.write("10\n", to: "sys/fs/cgroup/systemd\(group)/cgroup.procs")
        try machine.write("2000000000\n", to: "sys/fs/cgroup/\(folder)\(group)/cpuacct.usage")
        try machine.write("user 150\nsystem 50\n", to: "sys/fs/cgroup/\(folder)\(group)/cpuacct.stat")
        try machine.write("9000\n", to: "sys/fs/cgroup/memory\(group)/memory.usage_in_bytes")
        try machine.write("inactive_file 1\ntotal_inactive_file 4000\n", to: "sys/fs/cgroup/memory\(group)/memory.stat")
        try put(10)
        let sampler = sampler()
        let metrics: Set = ["cpu:total", "cpu:total_user", "cpu:total_system", "memory:total"]
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: metrics) == ["memory:total": 5000])
        try machine.write("3000000000\n", to: "sys/fs/cgroup/\(folder)\(group)/cpuacct.usage")
        try machine.write("user 240\nsystem 60\n", to: "sys/fs/cgroup/\(folder)\(group)/cpuacct.stat")
        sampler.beginCycle(at: .seconds(102))
        let values = sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: metrics)
        #expect(values == ["cpu:total": 50, "cpu:total_user": 45, "cpu:total_system": 5, "memory:total": 5000])
    }

    @Test func withoutAccountingTheProcessesOfTheGroupAreAddedUp() throws {
        let group = "/system.slice/puma.service"
        try machine.write("cpu\n", to: "sys/fs/cgroup/unified/cgroup.controllers")
        try machine.write("10\n20\n", to: "sys/fs/cgroup/unified\(group)/cgroup.procs")
        try put(10, user: 100, pages: 5)
        try put(20, user: 300, pages: 6)  // reparented: no child of 10
        let sampler = sampler()
        let metrics: Set = ["cpu:total", "memory:total_rss", "memory:total"]
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: metrics) == ["memory:total_rss": 11 * 4096])
        try put(20, user: 325, pages: 6)
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: metrics)["cpu:total"] == 25)
    }

    @Test(arguments: [
        ("sys/fs/cgroup/cgroup.controllers", CgroupLayout?.some(.unified)), ("sys/fs/cgroup/unified/cgroup.controllers", .hybrid),
        ("sys/fs/cgroup/systemd/tasks", .legacy), ("sys/fs/cgroup/memory/tasks", nil),
    ])
    func findsTheLayout(file: String, layout: CgroupLayout?) throws {
        try machine.write("", to: file)
        #expect(CgroupLayout(at: machine.path + "/sys/fs/cgroup") == layout)
    }

    @Test func aGroupNameNeverLeavesItsHierarchy() {
        #expect(CgroupPaths("/../../etc", layout: .unified, below: "/sys/fs/cgroup") == nil)
        #expect(CgroupPaths("system.slice", layout: .unified, below: "/sys/fs/cgroup") == nil)
        #expect(CgroupPaths("/system.slice/a..b.service", layout: .unified, below: "/sys/fs/cgroup") != nil)
    }

    @Test func theHostIsMeasured() throws {
        try machine.write("cpu  100 0 50 9000 30 0 0 20 0 0\n", to: "proc/stat")
        try machine.write("0.50 1.25 2.00 1/100 999\n", to: "proc/loadavg")
        try machine.write("MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", to: "proc/meminfo")
        let sampler = sampler()
        let first = sampler.host(at: .seconds(10), LinuxSampler.hostMetrics)
        #expect(first == ["load:1": 0.5, "load:5": 1.25, "load:15": 2, "memory:available": 409_600, "memory:total": 1_024_000])
        try machine.write("cpu  300 0 100 9000 80 0 0 20 0 0\n", to: "proc/stat")
        let second = sampler.host(at: .seconds(12), ["cpu", "cpu:user", "cpu:system", "cpu:iowait", "cpu:steal"])
        #expect(second == ["cpu": 150, "cpu:user": 100, "cpu:system": 25, "cpu:iowait": 25, "cpu:steal": 0])
    }

    @Test func whatNobodyAsksForIsNotMeasured() throws {
        try machine.write("0.50 1.25 2.00 1/100 999\n", to: "proc/loadavg")
        let sampler = sampler()
        #expect(sampler.host(at: .seconds(10), ["load:5"]) == ["load:5": 1.25])
        #expect(sampler.host(at: .seconds(11), []) == [:])
    }

    @Test func aDiskAnswersFromTheNextCycleOnAndOnlyIfItIsMounted() throws {
        try machine.write("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", to: "proc/self/mountinfo")
        let sampler = sampler()
        let metrics: Set = ["disk:/", "disk:/home"]
        #expect(sampler.host(at: .seconds(10), metrics) == [:])
        var answer: [String: Double] = [:]
        #expect(
            eventually {
                answer = sampler.host(at: .seconds(11), metrics)
                return !answer.isEmpty
            })
        #expect(answer.keys.sorted() == ["disk:/"])
        #expect(answer["disk:/"].map { $0 >= 0 && $0 <= 100 } == true)
    }

    @Test func filesBeyondTheBudgetAreReadAllTheSame() throws {
        try machine.write("a", to: "file")
        let budget = DescriptorBudget(1)
        var held = HeldFile(machine.path + "/file", limit: 10, budget: budget)
        let unheld = HeldFile(machine.path + "/file", limit: 10, budget: budget)
        #expect(held?.read() == [97])
        #expect(unheld?.read() == [97])
        #expect(HeldFile(machine.path + "/missing", limit: 10, budget: budget) == nil)
        held = nil
        #expect(budget.take())
        #expect(!budget.take())
    }
}

extension LinuxSampler {
    fileprivate func host(at uptime: Duration, _ metrics: Set<String>) -> [String: Double] {
        beginCycle(at: uptime)
        return sampleHost(metrics)
    }
}
