// Daemons that are asked for numbers over their own protocols.

/// A kind of daemon that can be asked, and what it answers.
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
