// Every metric that a rule can name.

public import RuleLanguage

/// A metric that the agent measures.
public struct Metric: Equatable, Sendable {
    /// Whose metric it is.
    public enum Subject: Sendable {
        case host, service
    }

    public enum Name: Equatable, Sendable {
        /// The family alone: `cpu`.
        case none
        case exactly(String)
        /// Any path; the text is what to call it: `disk:MOUNT`.
        case anyPath(String)
    }

    public enum Kind: Sendable {
        /// A value at an instant, or over the last cycle.
        case gauge
        /// A sum that only grows; what changes is told by `/sec`.
        case counter
    }

    public enum Unit: String, Sendable {
        case bytes, percent, count
    }

    public var family: String
    public var name: Name
    public var subject: Subject
    public var kind: Kind
    public var unit: Unit
    /// In one line.
    public var meaning: String

    init(_ subject: Subject, _ family: String, _ name: Name, _ unit: Unit, _ meaning: String, kind: Kind = .gauge) {
        self.subject = subject
        self.family = family
        self.name = name
        self.unit = unit
        self.meaning = meaning
        self.kind = kind
    }

    /// As a rule writes it.
    public var text: String {
        switch name {
        case .none: family
        case .exactly(let name): "\(family):\(name)"
        case .anyPath(let what): "\(family)(\(what))"
        }
    }

    func isNamed(_ asked: MetricName) -> Bool {
        guard asked.family == family else { return false }
        switch name {
        case .none: return asked.name == nil
        case .exactly(let name): return asked.name == name
        case .anyPath: return asked.name?.hasPrefix("/") ?? false
        }
    }

    /// The metric of this name, if there is one.
    public static func named(_ name: MetricName, of subject: Subject) -> Metric? { metrics.first { $0.subject == subject && $0.isNamed(name) } }
}

/// What the agent measures. The CPU percentages are of one core, over the last cycle: a process with four busy threads has 400 %.
public let metrics: [Metric] = [
    Metric(.host, "cpu", .none, .percent, "all CPU time but idle; at most 100 for each core"),
    Metric(.host, "cpu", .exactly("user"), .percent, "CPU time in programs"),
    Metric(.host, "cpu", .exactly("system"), .percent, "CPU time in the kernel"),
    Metric(.host, "cpu", .exactly("iowait"), .percent, "CPU time waiting for disks"),
    Metric(.host, "cpu", .exactly("steal"), .percent, "CPU time that the hypervisor gave to others"),
    Metric(.host, "load", .exactly("1"), .count, "load average of 1 minute"),
    Metric(.host, "load", .exactly("5"), .count, "load average of 5 minutes"),
    Metric(.host, "load", .exactly("15"), .count, "load average of 15 minutes"),
    Metric(.host, "swap", .none, .percent, "swap in use; absent on a host without swap"),
    Metric(.host, "memory", .exactly("available"), .bytes, "memory that programs can still get without swapping"),
    Metric(.host, "memory", .exactly("total"), .bytes, "memory that the host has"),
    Metric(.host, "disk", .anyPath("MOUNT"), .percent, "space in use of the file system mounted there"),

    Metric(.service, "memory", .exactly("rss"), .bytes, "resident memory of the main process"),
    Metric(.service, "memory", .exactly("total_rss"), .bytes, "resident memory, summed over all processes; shared pages count in each"),
    Metric(.service, "memory", .exactly("total"), .bytes, "working set of the cgroup; shared pages count once"),
    Metric(.service, "cpu", .exactly("user"), .percent, "CPU time of the main process in programs"),
    Metric(.service, "cpu", .exactly("system"), .percent, "CPU time of the main process in the kernel"),
    Metric(.service, "cpu", .exactly("total_user"), .percent, "CPU time of all processes in programs"),
    Metric(.service, "cpu", .exactly("total_system"), .percent, "CPU time of all processes in the kernel"),
    Metric(.service, "cpu", .exactly("total"), .percent, "CPU time of all processes"),
]

/// A daemon that Inspeqtor asks for numbers. Its metrics are known by name, so that rule files written for it load; nothing measures them.
public struct DaemonFamily: Sendable {
    public var family: String
    /// Empty where any name goes.
    public var names: [String]
}

public let daemonFamilies: [DaemonFamily] = [
    DaemonFamily(
        family: "redis",
        names: [
            "connected_clients", "client_longest_output_list", "client_biggest_input_buf", "blocked_clients", "used_memory", "used_memory_rss",
            "used_memory_peak", "used_memory_lua", "rdb_changes_since_last_save", "rdb_last_bgsave_time_sec", "rdb_current_bgsave_time_sec",
            "aof_last_rewrite_time_sec", "aof_current_rewrite_time_sec", "total_connections_received", "total_commands_processed",
            "instantaneous_ops_per_sec", "rejected_connections", "sync_full", "sync_partial_ok", "sync_partial_err", "expired_keys", "evicted_keys",
            "keyspace_hits", "keyspace_misses", "pubsub_channels", "pubsub_patterns", "latest_fork_usec", "master_last_io_seconds_ago",
            "connected_slaves", "repl_backlog_size",
        ]),
    DaemonFamily(
        family: "memcached",
        names: [
            "curr_connections", "total_connections", "cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "get_hits", "get_misses", "delete_hits",
            "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses", "cas_hits", "cas_misses", "touch_hits", "touch_misses",
            "cas_badval", "auth_cmds", "auth_errors", "bytes_read", "bytes_written", "threads", "malloc_fails", "bytes", "curr_items", "total_items",
            "expired_unfetched", "evicted_unfetched", "evictions", "reclaimed", "crawler_reclaimed",
        ]),
    // Whatever `show global status` knows.
    DaemonFamily(family: "mysql", names: []),
    DaemonFamily(family: "nginx", names: ["Active_connections", "accepts", "handled", "requests", "Reading", "Writing", "Waiting"]),
    DaemonFamily(family: "postgresql", names: ["rollbacks", "deadlocks", "numbackends", "blk_hit_rate", "seq_scans", "total_size"]),
    DaemonFamily(family: "memstats", names: ["Alloc", "TotalAlloc", "HeapAlloc", "NumGC", "PauseTotalNs"]),
]
