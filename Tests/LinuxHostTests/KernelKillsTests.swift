import Testing

@testable import LinuxHost

@Suite struct KernelKillsTests {
    private func kills(_ log: String, in cgroup: String = "/system.slice/varnish.service") -> [String] {
        var kills = KernelKills(in: cgroup)
        for line in log.split(separator: "\n").reversed() { kills.take(line) }
        return kills.processes
    }

    private let log = """
        oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/varnish.service,task_memcg=/system.slice/varnish.service,task=python3,pid=4711,uid=0
        Memory cgroup out of memory: Killed process 4711 (python3) total-vm:224260kB, anon-rss:58112kB, file-rss:5760kB, shmem-rss:0kB, UID:0 pgtables:172kB oom_score_adj:0
        oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/other.service,task_memcg=/system.slice/other.service,task=java,pid=99,uid=0
        Memory cgroup out of memory: Killed process 99 (java) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB
        systemd-journald[55]: Under memory pressure, flushing caches.
        """

    @Test func processesOfTheControlGroupAreNamed() {
        #expect(kills(log) == ["python3 (pid 4711, 56.8m resident)"])
        #expect(kills(log, in: "/system.slice") == ["java (pid 99, 1.0k resident)", "python3 (pid 4711, 56.8m resident)"])
        #expect(kills(log, in: "/system.slice/web.service") == [])
    }

    /// Before Linux 5.0.
    @Test func olderKernelsSayItInOtherWords() {
        let old = """
            Task in /system.slice/varnish.service killed as a result of limit of /system.slice/varnish.service
            memory: usage 61440kB, limit 61440kB, failcnt 12
            Memory cgroup out of memory: Kill process 4711 (python3) score 947 or sacrifice child
            Killed process 4711 (python3) total-vm:224260kB, anon-rss:58112kB, file-rss:5760kB, shmem-rss:0kB
            """
        #expect(kills(old) == ["python3 (pid 4711, 56.8m resident)"])
        #expect(kills(old, in: "/system.slice/web.service") == [])
    }

    @Test(arguments: [
        "", "oom-kill:", "Killed process", "Killed process x (y)", "Killed process 1", "Killed process 1 )(", "Task in ", "oom-kill:pid=1",
    ])
    func linesOfOtherKindsSayNothing(line: String) {
        #expect(kills(line) == [])
    }
}
