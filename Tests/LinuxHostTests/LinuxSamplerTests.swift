import AgentCore
import Foundation
import Platform
import RuleLanguage
import Testing

@testable import LinuxHost

/// A captured machine: `proc` and `sys/fs/cgroup` in a folder that a test can change.
@Suite struct LinuxSamplerTests {
    let machine = Folder()

    func sampler() -> LinuxSampler { LinuxSampler(root: machine.path, logger: quiet, clockTicks: 100, pageSize: 4096) }

    func put(
        _ pid: Int32, parent: Int32 = 1, user: Int = 0, system: Int = 0, children: Int = 0, start: UInt64 = 500, pages: Int = 100,
        threads: Int = 1, state: String = "S", name: String = "puma: worker (0)"
    ) throws {
        let times = "\(user) \(system) \(children) 0"
        try machine.write("\(pid) (\(name)) \(state) \(parent) 1 1 0 -1 0 0 0 0 0 \(times) 20 0 \(threads) 0 \(start) 0 0\n", to: "proc/\(pid)/stat")
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

    @Test func anEndedChildIsCountedOnceWhetherItsParentHasWaitedForItOrNot() throws {
        let sampler = sampler()
        let metrics: Set = ["cpu:total"]
        try put(10)
        try put(11, parent: 10, user: 400)
        try put(12, parent: 11, user: 70)
        try put(13, parent: 10, user: 90)
        sampler.beginCycle(at: .seconds(100))
        _ = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics)
        // 11 has waited for 12, and 10 for 11; 13 was lost to somebody else. Of the 490 that 10 has inherited, 470 were seen before.
        for pid in [11, 12, 13] { try machine.remove("proc/\(pid)") }
        try put(10, user: 5, children: 490)
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == ["cpu:total": 5])
        // A child that was born and ended between two looks was never seen: all of it counts.
        try put(10, user: 5, children: 530)
        sampler.beginCycle(at: .seconds(102))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == ["cpu:total": 40])
    }

    @Test func parentsTellTheirChildrenWithoutALookAtAllProcesses() throws {
        let sampler = sampler()
        try put(10, pages: 1)
        try put(11, parent: 10, pages: 20)
        try put(12, parent: 10, pages: 300)
        try put(13, parent: 10, pages: 4000)  // not told by its parent: not asked for
        for pid in [11, 12] { try machine.write("", to: "proc/\(pid)/task/\(pid)/children") }
        try machine.write("11 12 \n", to: "proc/10/task/10/children")
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["memory:total_rss"]) == ["memory:total_rss": 321 * 4096])
        // With threads, each tells its own.
        try put(10, pages: 1, threads: 2)
        try machine.write("11 ", to: "proc/10/task/10/children")
        try machine.write("13 ", to: "proc/10/task/15/children")
        try machine.write("", to: "proc/13/task/13/children")
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["processes"]) == ["processes": 3])
    }

    @Test func anIdleProcessIsAskedForChildrenInEveryCycleOnlyWhereSomethingDependsOnThem() throws {
        let sampler = sampler()
        func shown(at uptime: Duration, judged: Set<MetricName> = []) -> Double? {
            sampler.beginCycle(at: uptime)
            let list = MetricList([named("processes")], judged: judged)
            return sampler.sample(SampledUnit(key: "puma", process: puma, cgroup: nil), list)[0]
        }
        try put(10, user: 5)
        try machine.write("", to: "proc/10/task/10/children")
        #expect(shown(at: .seconds(100)) == 1)
        try put(11, parent: 10)
        try machine.write("11 ", to: "proc/10/task/10/children")
        try machine.write("", to: "proc/11/task/11/children")
        #expect(shown(at: .seconds(101)) == 1)
        // With a rule, after work, and after a few seconds.
        #expect(shown(at: .seconds(102), judged: [named("processes")]) == 2)
        try put(12, parent: 10)
        try machine.write("11 12 ", to: "proc/10/task/10/children")
        try machine.write("", to: "proc/12/task/12/children")
        try put(11, parent: 10, user: 1)
        #expect(shown(at: .seconds(103)) == 3)
        try machine.write("11", to: "proc/10/task/10/children")
        #expect(shown(at: .seconds(104)) == 3)
        #expect(shown(at: .seconds(108)) == 2)
        // An end is seen at once.
        try machine.write("", to: "proc/11/stat")
        try machine.write("", to: "proc/10/task/10/children")
        #expect(shown(at: .seconds(109)) == 1)
    }

    @Test func aPidThatPassesToAnotherProcessIsNotTheOldOne() throws {
        let sampler = sampler()
        let metrics: Set = ["cpu:total"]
        try put(10)
        try put(11, parent: 10, user: 300)
        sampler.beginCycle(at: .seconds(100))
        _ = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics)
        try put(11, parent: 10, user: 20, start: 10_050)
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == ["cpu:total": 20])
    }

    @Test(arguments: [
        ("R", ProcessState.running), ("S", .running), ("I", .running), ("D", .blocked), ("T", .stopped), ("t", .stopped), ("Z", .zombie),
        ("X", .zombie), ("P", .other),
    ])
    func theStateOfTheMainProcessIsTold(letter: String, state: ProcessState) throws {
        let sampler = sampler()
        try put(10, state: letter)
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.mainProcess(of: "puma")?.state == nil)
        _ = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: [])
        #expect(sampler.mainProcess(of: "puma")?.state == state)
        try put(10, start: 501, state: letter)
        sampler.beginCycle(at: .seconds(101))
        #expect(sampler.mainProcess(of: "puma")?.state == nil)
    }

    @Test func processesAreCountedByTheirState() throws {
        let sampler = sampler()
        try put(10, threads: 4)
        try put(11, parent: 10, state: "Z")
        try put(12, parent: 10, state: "D")
        try put(13, parent: 10, state: "T")
        try put(14, parent: 10, state: "t")
        sampler.beginCycle(at: .seconds(100))
        let metrics: Set = ["processes", "processes:zombie", "processes:blocked", "processes:stopped", "tasks", "threads"]
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == [
                "processes": 5, "processes:zombie": 1, "processes:blocked": 1, "processes:stopped": 2, "tasks": 8, "threads": 4,
            ])
    }

    @Test func filesAndTransfersOfAProcess() throws {
        let sampler = sampler()
        try put(10)
        try put(11, parent: 10)
        for name in ["0", "1", "2", "17"] { try machine.write("", to: "proc/10/fd/\(name)") }
        try machine.write("Limit  Soft Limit\nMax open files            1024                 524288               files     \n", to: "proc/10/limits")
        for pid in [10, 11] { try machine.write("rchar: 9\nread_bytes: 100\nwrite_bytes: 7\ncancelled_write_bytes: 0\n", to: "proc/\(pid)/io") }
        sampler.beginCycle(at: .seconds(100))
        let metrics: Set = ["fds", "fds:limit", "io:read", "io:write"]
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: metrics) == [
                "fds": 4, "fds:limit": 1024, "io:read": 200, "io:write": 14,
            ])
    }

    @Test func workersAreAllButTheMainProcessOrTheMainProcessAlone() throws {
        let sampler = sampler()
        let metrics = MetricList([MetricName("memory", "rss"), MetricName("cpu", "total"), MetricName("uptime"), MetricName("tasks")])
        let unit = SampledUnit(key: "puma", process: puma, cgroup: nil)
        try put(10, pages: 1)
        sampler.beginCycle(at: .seconds(100))
        #expect(sampler.sampleWorkers(of: unit, metrics) == [WorkerSamples(process: puma, values: [4096, nil, 95, nil])])
        try put(11, parent: 10, user: 50, start: 1000, pages: 2)
        try put(12, parent: 11, start: 2000, pages: 3)
        try put(13, parent: 10, state: "Z")
        sampler.beginCycle(at: .seconds(101))
        _ = sampler.sampleWorkers(of: unit, metrics)
        try put(11, parent: 10, user: 80, system: 20, start: 1000, pages: 2)
        sampler.beginCycle(at: .seconds(102))
        #expect(
            sampler.sampleWorkers(of: unit, metrics) == [
                WorkerSamples(process: ProcessIdentity(pid: 11, startTicks: 1000), values: [2 * 4096, 50, 92, nil]),
                WorkerSamples(process: ProcessIdentity(pid: 12, startTicks: 2000), values: [3 * 4096, 0, 82, nil]),
            ])
    }

    @Test func proportionalMemoryComesSlowlyAndGoesWithItsProcesses() throws {
        let sampler = sampler()
        try put(10)
        try put(11, parent: 10)
        for (pid, kilobytes) in [(10, 100), (11, 23)] {
            try machine.write(
                "00400000-7fff ---p 00000000 00:00 0   [rollup]\nRss: 900 kB\nPss: \(kilobytes) kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n",
                to: "proc/\(pid)/smaps_rollup")
        }
        var second = 100.0
        func look() -> [String: Double] {
            second += 1
            sampler.beginCycle(at: .seconds(second))
            return sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["memory:pss"])
        }
        #expect(look() == [:])
        #expect(sampler.absence(of: MetricName("memory", "pss"), unit: "puma") == .notYet)
        #expect(eventually { look() == ["memory:pss": 123 * 1024] })
        let workers = sampler.sampleWorkers(of: SampledUnit(key: "puma", process: puma, cgroup: nil), MetricList([MetricName("memory", "pss")]))
        #expect(workers.map(\.values) == [[23 * 1024]])
        // Once a turn fails, the value is not yesterday's.
        for pid in [10, 11] { try machine.remove("proc/\(pid)/smaps_rollup") }
        #expect(eventually { look() == [:] })
        guard case .failed(let why) = sampler.absence(of: MetricName("memory", "pss"), unit: "puma") else {
            Issue.record("it should say why")
            return
        }
        #expect(why.contains("Linux 4.14"))
    }

    @Test(arguments: [
        (0.0001, 10, Duration.seconds(10)), (0.1, 10, .seconds(100)), (0.001, 500, .seconds(50)), (1e12, 500, .seconds(1e6)),
    ])
    func everyUnitHasTheSameShareOfTheBudget(cost: Double, units: Int, period: Duration) {
        #expect(abs((MappedMemorySampler.period(cost: cost, units: units, budget: 0.01) - period).inSeconds) < 0.001)
    }

    // MARK: Control groups

    @Test func aUnifiedGroupTellsAboutAllItsProcesses() throws {
        let slice = "sys/fs/cgroup/system.slice"
        let group = "\(slice)/puma.service"
        try machine.write("memory pids\n", to: "sys/fs/cgroup/cgroup.controllers")
        try machine.write("10\n0\n", to: "\(group)/cgroup.procs")
        try machine.write("11\n", to: "\(group)/workers/cgroup.procs")
        try machine.write("1000000\n", to: "\(group)/memory.current")
        try machine.write("anon 600000\ninactive_file 300000\nactive_file 100000\n", to: "\(group)/memory.stat")
        try machine.write("2000\n", to: "\(group)/memory.swap.current")
        try machine.write("max\n", to: "\(group)/memory.max")
        try machine.write("2000000\n", to: "\(slice)/memory.max")
        try machine.write("low 0\nhigh 3\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n", to: "\(group)/memory.events")
        try machine.write("17\n", to: "\(group)/pids.current")
        try machine.write("4915\n", to: "\(group)/pids.max")
        try machine.write("8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=11 wbytes=2 rios=1\n", to: "\(group)/io.stat")
        for (resource, value) in [("cpu", "1.50"), ("memory", "0.00"), ("io", "12.25")] {
            try machine.write(
                "some avg10=\(value) avg60=9.00 avg300=9.00 total=9\nfull avg10=8.00 avg60=8 avg300=8 total=8\n", to: "\(group)/\(resource).pressure")
        }
        let quota = "nr_periods 10\nnr_throttled 5\nthrottled_usec"
        try machine.write("usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\n\(quota) 1000\n", to: "\(group)/cpu.stat")
        try machine.write("MemTotal: 4000000 kB\n", to: "proc/meminfo")
        try put(10, pages: 10)
        try put(11, pages: 7)
        try put(12, parent: 10, pages: 1000)  // a child that has left the group
        let sampler = sampler()
        let cgroup = "/system.slice/puma.service"
        let steady: Set = [
            "memory:rss", "memory:total_rss", "memory:total", "memory:anon", "memory:swap", "memory:limit", "memory:high", "memory:oom",
            "memory:oom_kills", "tasks", "tasks:limit", "io:read", "io:write", "pressure:cpu", "pressure:memory", "pressure:io",
        ]
        let rates: Set = ["cpu:total", "cpu:total_user", "cpu:total_system", "cpu:throttled"]
        sampler.beginCycle(at: .seconds(100))
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: cgroup, metrics: steady.union(rates)) == [
                "memory:rss": 40960, "memory:total_rss": 17 * 4096, "memory:total": 700_000, "memory:anon": 600_000, "memory:swap": 2000,
                "memory:limit": 2_000_000, "memory:high": 3, "memory:oom": 2, "memory:oom_kills": 1, "tasks": 17, "tasks:limit": 4915,
                "io:read": 111, "io:write": 22, "pressure:cpu": 1.5, "pressure:memory": 0, "pressure:io": 12.25,
            ])
        try machine.write("usage_usec 6500000\nuser_usec 5000000\nsystem_usec 1500000\n\(quota) 251000\n", to: "\(group)/cpu.stat")
        sampler.beginCycle(at: .seconds(101))
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: cgroup, metrics: rates) == [
                "cpu:total": 150, "cpu:total_user": 100, "cpu:total_system": 50, "cpu:throttled": 25,
            ])
    }

    @Test(arguments: ["cpuacct", "cpu,cpuacct"])
    func legacyGroupsTellInTheirOwnUnits(folder: String) throws {
        let group = "/system.slice/puma.service"
        let top = "sys/fs/cgroup"
        try machine.write("10\n", to: "\(top)/systemd\(group)/cgroup.procs")
        try machine.write("2000000000\n", to: "\(top)/\(folder)\(group)/cpuacct.usage")
        try machine.write("user 150\nsystem 50\n", to: "\(top)/\(folder)\(group)/cpuacct.stat")
        try machine.write("9000\n", to: "\(top)/memory\(group)/memory.usage_in_bytes")
        try machine.write(
            "inactive_file 1\nhierarchical_memory_limit 50000\ntotal_inactive_file 4000\ntotal_rss 1000\ntotal_swap 30\n",
            to: "\(top)/memory\(group)/memory.stat")
        try machine.write("oom_kill_disable 0\nunder_oom 0\noom_kill 6\n", to: "\(top)/memory\(group)/memory.oom_control")
        try machine.write("max\n", to: "\(top)/pids\(group)/pids.max")
        try machine.write("3\n", to: "\(top)/pids\(group)/pids.current")
        try machine.write(
            "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:16 Read 1\nTotal 121\n",
            to: "\(top)/blkio\(group)/blkio.throttle.io_service_bytes_recursive")
        try put(10)
        let sampler = sampler()
        let rates: Set = ["cpu:total", "cpu:total_user", "cpu:total_system"]
        let steady: Set = [
            "memory:total", "memory:anon", "memory:swap", "memory:limit", "memory:high", "memory:oom_kills", "tasks", "tasks:limit", "io:read",
            "io:write", "pressure:cpu",
        ]
        sampler.beginCycle(at: .seconds(100))
        #expect(
            sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: steady.union(rates)) == [
                "memory:total": 5000, "memory:anon": 1000, "memory:swap": 30, "memory:limit": 50000, "memory:oom_kills": 6, "tasks": 3,
                "io:read": 101, "io:write": 20,
            ])
        try machine.write("3000000000\n", to: "\(top)/\(folder)\(group)/cpuacct.usage")
        try machine.write("user 240\nsystem 60\n", to: "\(top)/\(folder)\(group)/cpuacct.stat")
        sampler.beginCycle(at: .seconds(102))
        let values = sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: rates)
        #expect(values == ["cpu:total": 50, "cpu:total_user": 45, "cpu:total_system": 5])
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

    @Test(arguments: [("/../../etc", false), ("system.slice", false), ("", false), ("/system.slice/a..b.service", true), ("/", true)])
    func aGroupNameNeverLeavesItsHierarchy(name: String, isGroup: Bool) {
        #expect(CgroupHierarchies.isGroup(name) == isGroup)
    }

    // MARK: Why not

    @Test func whyAValueIsAbsentIsSaidForAPerson() throws {
        let group = "/system.slice/puma.service"
        try machine.write("", to: "sys/fs/cgroup/unified/cgroup.controllers")
        try machine.write("10\n", to: "sys/fs/cgroup/unified\(group)/cgroup.procs")
        try machine.write("usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n", to: "sys/fs/cgroup/unified\(group)/cpu.stat")
        try machine.write("SwapTotal: 0 kB\nSwapFree: 0 kB\n", to: "proc/meminfo")
        try put(10)
        try machine.write("Max open files            unlimited            unlimited            files     \n", to: "proc/10/limits")
        try machine.write("22 1 8:1 / /home rw - ext4 /dev/sda1 rw\n", to: "proc/1/mountinfo")
        let sampler = sampler()
        sampler.beginCycle(at: .seconds(100))
        let everything = Set(metrics.filter { $0.subject == .service }.map(\.text))
        let values = sampler.sample(unit: "puma", process: puma, cgroup: group, metrics: everything)
        func absence(_ family: String, _ name: String? = nil, of unit: String? = "puma") -> Absence {
            sampler.absence(of: MetricName(family, name), unit: unit)
        }
        #expect(values["memory:total"] == nil)
        #expect(absence("memory", "total") == .failed("memory accounting is off for this unit: no memory controller in its cgroup"))
        #expect(absence("cpu", "total") == .notYet)
        #expect(absence("cpu", "throttled") == .nothing)
        #expect(absence("tasks", "limit") == .nothing)
        #expect(absence("fds", "limit") == .nothing)
        #expect(absence("redis", "clients") == .failed("nothing measures redis:clients"))
        #expect(absence("memory", "total", of: "never sampled") == .notYet)
        _ = sampler.host(at: .seconds(100), ["swap", "network_in:eth7", "disk:/nowhere", "pressure:cpu"])
        #expect(absence("swap", of: nil) == .nothing)
        #expect(absence("network_in", "eth7", of: nil) == .failed("there is no network interface eth7"))
        #expect(absence("disk", "/nowhere", of: nil) == .failed("nothing is mounted at /nowhere"))
        for metric in metrics where metric.name.isOne {
            let isOfHost = metric.subject == .host
            guard absence(metric.family, metric.name.one, of: isOfHost ? nil : "puma") == .failed("nothing measures \(metric.text)") else { continue }
            #expect(["up", "restarts", "agent:lateness"].contains(metric.text))
        }
        try machine.remove("proc/10")
        sampler.forget(unit: "puma")
        sampler.beginCycle(at: .seconds(101))
        _ = sampler.sample(unit: "puma", process: puma, cgroup: nil, metrics: ["memory:rss", "memory:total"])
        #expect(absence("memory", "rss") == .failed("its main process 10 has ended"))
        #expect(absence("memory", "total") == .failed("it has no cgroup of its own that the agent knows of"))
    }

    @Test func everyMetricThatRulesCanNameIsMeasured() {
        let elsewhere: Set = ["up", "restarts", "agent:lateness"]
        for metric in metrics where metric.name.isOne && !elsewhere.contains(metric.text) {
            let name = MetricName(metric.family, metric.name.one)
            #expect(metric.subject == .host ? HostMeasure(name) != nil : ServiceMeasure(name) != nil, "\(metric.text)")
        }
        for measure in ServiceMeasure.allCases { #expect(metrics.contains { $0.subject == .service && $0.text == measure.rawValue }) }
        for measure in HostMeasure.Whole.allCases { #expect(metrics.contains { $0.subject == .host && $0.text == measure.rawValue }) }
        for family in ["disk", "inodes", "readonly"] { #expect(HostMeasure(MetricName(family, "/x")) != nil) }
        for family in ["network_in", "network_out", "network_errors"] { #expect(HostMeasure(MetricName(family, "eth0")) != nil) }
    }

    // MARK: The host

    @Test func theHostIsMeasured() throws {
        try machine.write("cpu  100 0 50 9000 30 0 0 20 0 0\n", to: "proc/stat")
        try machine.write("0.50 1.25 2.00 1/100 999\n", to: "proc/loadavg")
        try machine.write("MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", to: "proc/meminfo")
        try machine.write("1000 24 5000\n", to: "proc/sys/fs/file-nr")
        try machine.write("4194304\n", to: "proc/sys/kernel/pid_max")
        try machine.write("31337\n", to: "proc/sys/kernel/threads-max")
        try machine.write("some avg10=1.50 avg60=9.00 avg300=9.00 total=9\n", to: "proc/pressure/io")
        try machine.write(
            "Inter-|   Receive\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:1000 2 3 4 0 0 0 0 500 10 11 12 0 0 0 0\n",
            to: "proc/1/net/dev")
        try machine.write("Pss: 900 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n", to: "proc/self/smaps_rollup")
        let sampler = sampler()
        let first = sampler.host(
            at: .seconds(10),
            [
                "cpu", "cpu:user", "cpu:system", "cpu:iowait", "cpu:steal", "load:1", "load:5", "load:15", "swap", "memory:available", "memory:used",
                "memory:total", "fds", "fds:limit", "pids", "pids:limit",
                "uptime", "pressure:io", "pressure:cpu", "network_in:eth0", "network_out:eth0", "network_errors:eth0", "network_in:eth1",
                "agent:memory",
                "agent:cpu", "agent:lateness",
            ])
        #expect(
            first == [
                "load:1": 0.5, "load:5": 1.25, "load:15": 2, "memory:available": 409_600, "memory:used": 614_400, "memory:total": 1_024_000,
                "fds": 976, "fds:limit": 5000, "pids": 100, "pids:limit": 31337, "uptime": 10, "pressure:io": 1.5, "network_in:eth0": 1000,
                "network_out:eth0": 500, "network_errors:eth0": 30, "agent:memory": 3072,
            ])
        try machine.write("cpu  300 0 100 9700 80 0 0 20 0 0\n", to: "proc/stat")
        let second = sampler.host(at: .seconds(12), ["cpu", "cpu:all", "cpu:user", "cpu:system", "cpu:iowait", "cpu:steal", "agent:cpu"])
        #expect(second["agent:cpu"].map { $0 >= 0 } == true)
        #expect(
            second.filter { $0.key != "agent:cpu" } == ["cpu": 150, "cpu:user": 100, "cpu:system": 25, "cpu:iowait": 25, "cpu:steal": 0])
        try machine.write("cpu  320 0 110 9770 80 0 0 20 0 0\n", to: "proc/stat")
        #expect(sampler.host(at: .seconds(13), ["cpu:all"]) == ["cpu:all": 30])
    }

    @Test func whatNobodyAsksForIsNotMeasured() throws {
        try machine.write("0.50 1.25 2.00 1/100 999\n", to: "proc/loadavg")
        let sampler = sampler()
        #expect(sampler.host(at: .seconds(10), ["load:5"]) == ["load:5": 1.25])
        #expect(sampler.host(at: .seconds(11), []) == [:])
    }

    @Test func aDiskAnswersFromTheNextCycleOnAndOnlyIfItIsMounted() throws {
        let table = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 1 8:2 / /proc rw,relatime - ext4 /dev/sdb1 ro,errors=remount-ro\n"
        for pid in ["1", "self"] { try machine.write(table, to: "proc/\(pid)/mountinfo") }
        let sampler = sampler()
        let metrics: Set = ["disk:/", "disk:/home", "inodes:/", "readonly:/", "readonly:/proc", "readonly:/home"]
        #expect(sampler.host(at: .seconds(10), metrics) == ["readonly:/": 0, "readonly:/proc": 1])
        var answer: [String: Double] = [:]
        #expect(
            eventually {
                answer = sampler.host(at: .seconds(11), metrics)
                return answer.count > 2
            })
        #expect(Set(answer.keys).subtracting(["inodes:/"]) == ["disk:/", "readonly:/", "readonly:/proc"])
        #expect(answer["disk:/"].map { $0 >= 0 && $0 <= 100 } == true)
    }

    @Test func whatTheSandboxMountsIsNotTheHosts() throws {
        try machine.write(
            """
            22 1 8:1 / / rw - ext4 /dev/sda1 rw
            23 22 0:5 / /dev rw - devtmpfs dev rw
            24 22 8:2 / /proc rw - ext4 /dev/sdb1 rw

            """, to: "proc/1/mountinfo")
        // What ProtectSystem=strict, PrivateDevices=yes and PrivateTmp=yes make of it.
        try machine.write(
            """
            42 1 8:1 / / ro - ext4 /dev/sda1 rw
            43 42 0:77 / /dev ro - tmpfs dev rw
            44 42 8:2 / /proc ro - ext4 /dev/sdb1 rw
            45 42 8:1 /tmp/systemd-private-1/tmp /tmp rw - ext4 /dev/sda1 rw

            """, to: "proc/self/mountinfo")
        let sampler = sampler()
        let metrics: Set = ["readonly:/", "readonly:/dev", "disk:/", "disk:/dev", "disk:/tmp", "disk:/proc/"]
        var answer: [String: Double] = [:]
        #expect(
            eventually {
                answer = sampler.host(at: .seconds(11), metrics)
                return answer.count > 3
            })
        #expect(Set(answer.keys) == ["readonly:/", "readonly:/dev", "disk:/", "disk:/proc/"])
        #expect(answer["readonly:/"] == 0 && answer["readonly:/dev"] == 0)
        func absence(_ mount: String) -> Absence { sampler.absence(of: MetricName("disk", mount), unit: nil) }
        #expect(
            absence("/dev")
                == .failed("the agent's sandbox has something of its own at /dev, and looking past it needs CAP_SYS_PTRACE"))
        #expect(absence("/tmp/") == .failed("nothing is mounted at /tmp: it is part of what is mounted at /"))
    }

    @Test func mountsThatCannotBeReadAreNotTheSandboxs() throws {
        try machine.write("42 1 8:1 / / ro - ext4 /dev/sda1 rw\n", to: "proc/self/mountinfo")
        let sampler = sampler()
        #expect(sampler.host(at: .seconds(10), ["readonly:/", "disk:/"]) == [:])
        for family in ["readonly", "disk"] {
            guard case .failed(let why) = sampler.absence(of: MetricName(family, "/"), unit: nil) else {
                Issue.record("\(family) is not absent")
                continue
            }
            #expect(why.contains("/proc/1/mountinfo") && why.contains("hidepid"))
        }
    }

    // MARK: Files

    @Test func filesBeyondTheBudgetAreReadAllTheSame() throws {
        try machine.write("a", to: "file")
        let reader = FileReader(budget: DescriptorBudget(1))
        var held = HeldFile(reader)
        var unheld = HeldFile(reader)
        #expect(held.read(machine.path + "/file").map { Array($0) } == [97])
        #expect(unheld.read(machine.path + "/file").map { Array($0) } == [97])
        #expect(held.isHeld && !unheld.isHeld)
        try machine.write("b", to: "file")
        #expect(unheld.read(machine.path + "/file").map { Array($0) } == [98])
        held.release()
        #expect(reader.budget.take())
        #expect(!reader.budget.take())
    }

    @Test func aFileThatIsMissingIsNotLookedForInEveryCycle() throws {
        let reader = FileReader(budget: DescriptorBudget(1))
        var file = HeldFile(reader)
        reader.now = .seconds(10)
        #expect(file.read(machine.path + "/file") == nil)
        #expect(file.failure == ENOENT)
        try machine.write("a", to: "file")
        reader.now = .seconds(11)
        #expect(file.read(machine.path + "/file") == nil)
        reader.now = .seconds(15)
        #expect(file.read(machine.path + "/file").map { Array($0) } == [97])
        #expect(file.failure == 0)
    }

    @Test func aListIsReadWholeHoweverLong() throws {
        let text = (1...20_000).map(String.init).joined(separator: "\n") + "\n"
        try machine.write(text, to: "file")
        var file = HeldFile(FileReader(budget: DescriptorBudget(1)), whole: true)
        for _ in 0..<2 {
            var pids: [Int32] = []
            if let text = file.read(machine.path + "/file") { appendProcesses(parsing: text.span, to: &pids) }
            #expect(pids == Array(1...20_000))
        }
    }
}

/// With the kernel's own /proc.
@Suite struct RealProcessSamplerTests {
    @Test func theWorkOfShortLivedChildrenCounts() throws {
        // The child works for some tenths of a second and is gone; what it has used is its parent's then.
        let parent = try Child("sh", ["-c", "sleep 0.2; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; sleep 1000; true"])
        let sampler = LinuxSampler(logger: quiet)
        let unit = SampledUnit(key: "sh", process: try identity(parent.pid), cgroup: nil)
        let list = MetricList([MetricName("cpu", "total")])
        var used = 0.0
        var last = SystemTime().now().uptime
        #expect(
            eventually(within: 20) {
                let now = SystemTime().now().uptime
                sampler.beginCycle(at: now)
                if let percent = sampler.sample(unit, list)[0] { used += percent / 100 * (now - last).inSeconds }
                last = now
                usleep(50_000)
                return used >= 0.1
            })
        parent.end()
    }

    @Test func aRunningProcessHasAllTheNumbersOfAProcess() throws {
        let child = try sleeper()
        let sampler = LinuxSampler(logger: quiet)
        let unit = SampledUnit(key: "sleep", process: try identity(child.pid), cgroup: nil)
        let names = ["memory:rss", "memory:total_rss", "memory:limit", "memory:pss", "fds", "fds:limit", "threads", "tasks", "processes", "io:read"]
        let list = MetricList(names.map { name in metrics.first { $0.text == name }.map { MetricName($0.family, $0.name.one) } ?? MetricName(name) })
        var values: [Double?] = []
        #expect(
            eventually {
                sampler.beginCycle(at: SystemTime().now().uptime)
                values = sampler.sample(unit, list)
                return !values.contains(nil)
            }, "\(values)")
        #expect(sampler.mainProcess(of: "sleep")?.state == .running)
        kill(child.pid, SIGSTOP)
        #expect(
            eventually {
                sampler.beginCycle(at: SystemTime().now().uptime)
                return sampler.mainProcess(of: "sleep")?.state == .stopped
            })
        child.end()
        sampler.beginCycle(at: SystemTime().now().uptime + .seconds(1))
        #expect(sampler.sample(unit, list).allSatisfy { $0 == nil } == false, "the host's memory is still the limit")
        #expect(sampler.mainProcess(of: "sleep")?.state == nil)
    }

    @Test func anExecInPlaceChangesTheMarkAndNothingElseDoes() throws {
        let machine = Folder()
        // A shell that becomes another one when a file is there: neither pid nor start time tell.
        let script = "while ! test -e \(machine.path)/go; do sleep 0.01; done; exec -a second sh -c 'while :; do sleep 0.01; done'"
        let child = try Child("bash", ["-c", script])
        defer { child.end() }
        let sampler = LinuxSampler(logger: quiet)
        let unit = SampledUnit(key: "shell", process: try identity(child.pid), cgroup: nil)
        func mark() -> ExecMark? {
            sampler.beginCycle(at: SystemTime().now().uptime)
            _ = sampler.sample(unit, MetricList([]))
            return sampler.mainProcess(of: "shell")?.execMark
        }
        // In the middle of an exec there are a name and no stack.
        func hasBecome(_ name: String) -> Bool {
            (try? String(contentsOfFile: "/proc/\(child.pid)/comm", encoding: .utf8)) == "\(name)\n" && mark()?.stack ?? 0 > 0
        }
        #expect(eventually { hasBecome("bash") })
        let first = try #require(mark())
        usleep(100_000)
        #expect(mark() == first)
        try machine.write("", to: "go")
        #expect(eventually { mark() != first })
        #expect(eventually { hasBecome("sh") })
        let second = try #require(mark())
        usleep(100_000)
        #expect(mark() == second)
    }

    private func identity(_ pid: Int32) throws -> ProcessIdentity {
        ProcessIdentity(pid: pid, startTicks: try #require(ProcFileSystem(root: "/").stat(of: pid)).startTicks)
    }
}

extension Metric.Name {
    fileprivate var isOne: Bool {
        switch self {
        case .none, .exactly: true
        case .anyPath, .anyWord: false
        }
    }

    fileprivate var one: String? { if case .exactly(let name) = self { name } else { nil } }
}

/// A metric as samples and reports call it.
private func named(_ key: String) -> MetricName {
    let parts = key.split(separator: ":", maxSplits: 1).map(String.init)
    return MetricName(parts[0], parts.count > 1 ? parts[1] : nil)
}

extension LinuxSampler {
    static let serviceMetrics: Set = [
        "memory:rss", "memory:total_rss", "memory:total", "cpu:user", "cpu:system", "cpu:total", "cpu:total_user", "cpu:total_system",
    ]

    fileprivate func host(at uptime: Duration, _ names: Set<String>) -> [String: Double] {
        beginCycle(at: uptime)
        return keyed(MetricList(names.sorted().map(named))) { sampleHost($0) }
    }

    func sample(unit: String, process: ProcessIdentity?, cgroup: String?, metrics names: Set<String>) -> [String: Double] {
        keyed(MetricList(names.sorted().map(named))) { sample(SampledUnit(key: unit, process: process, cgroup: cgroup), $0) }
    }

    private func keyed(_ list: MetricList, _ sample: (MetricList) -> [Double?]) -> [String: Double] {
        Dictionary(uniqueKeysWithValues: zip(list.keys, sample(list)).compactMap { key, value in value.map { (key, $0) } })
    }
}
