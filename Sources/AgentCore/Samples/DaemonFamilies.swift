// Daemons that are asked for numbers over their own protocols.

/// A kind of daemon that can be asked, and what it answers.
public struct DaemonFamily: Sendable {
    public var family: String
    /// Empty where any name goes.
    public var names: [String]
    /// The names of sums that only grow; what changes is told by `/sec`. Where any name goes, those that are known to be.
    public var counters: Set<String>
    /// The units of names that count something else than things. What is in microseconds or the like has none of these.
    public var units: [String: Metric.Unit]
    /// What may follow `with`, for where the daemon is and who asks.
    public var parameters: [String]
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
            // Beyond what Inspeqtor knew.
            "uptime_in_seconds", "client_recent_max_input_buffer", "client_recent_max_output_buffer", "maxclients", "maxmemory",
            "mem_fragmentation_ratio", "total_error_replies", "keys", "keys_with_expiry", "master_link_up",
        ],
        counters: [
            "total_connections_received", "total_commands_processed", "rejected_connections", "sync_full", "sync_partial_ok", "sync_partial_err",
            "expired_keys", "evicted_keys", "keyspace_hits", "keyspace_misses", "total_error_replies",
        ],
        units: [
            "client_biggest_input_buf": .bytes, "used_memory": .bytes, "used_memory_rss": .bytes, "used_memory_peak": .bytes,
            "used_memory_lua": .bytes, "rdb_last_bgsave_time_sec": .seconds, "rdb_current_bgsave_time_sec": .seconds,
            "aof_last_rewrite_time_sec": .seconds, "aof_current_rewrite_time_sec": .seconds, "master_last_io_seconds_ago": .seconds,
            "repl_backlog_size": .bytes, "uptime_in_seconds": .seconds, "client_recent_max_input_buffer": .bytes,
            "client_recent_max_output_buffer": .bytes, "maxmemory": .bytes,
        ],
        parameters: ofSocket + ["username", "password", "password_file"]),
    DaemonFamily(
        family: "memcached",
        names: [
            "curr_connections", "total_connections", "cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "get_hits", "get_misses", "delete_hits",
            "delete_misses", "incr_hits", "incr_misses", "decr_hits", "decr_misses", "cas_hits", "cas_misses", "touch_hits", "touch_misses",
            "cas_badval", "auth_cmds", "auth_errors", "bytes_read", "bytes_written", "threads", "malloc_fails", "bytes", "curr_items", "total_items",
            "expired_unfetched", "evicted_unfetched", "evictions", "reclaimed", "crawler_reclaimed",
            // Beyond what Inspeqtor knew.
            "uptime", "max_connections", "rejected_connections", "limit_maxbytes",
        ],
        counters: [
            "total_connections", "cmd_get", "cmd_set", "cmd_flush", "cmd_touch", "get_hits", "get_misses", "delete_hits", "delete_misses",
            "incr_hits", "incr_misses", "decr_hits", "decr_misses", "cas_hits", "cas_misses", "touch_hits", "touch_misses", "cas_badval",
            "auth_cmds", "auth_errors", "bytes_read", "bytes_written", "malloc_fails", "total_items", "expired_unfetched", "evicted_unfetched",
            "evictions", "reclaimed", "crawler_reclaimed", "rejected_connections",
        ],
        units: ["bytes_read": .bytes, "bytes_written": .bytes, "bytes": .bytes, "uptime": .seconds, "limit_maxbytes": .bytes],
        parameters: ofSocket),
    mysql("mysql"),
    mysql("mariadb"),
    DaemonFamily(
        family: "nginx",
        names: ["Active_connections", "accepts", "handled", "requests", "Reading", "Writing", "Waiting"],
        counters: ["accepts", "handled", "requests"], units: [:], parameters: ["hostname", "port"] + ofPage),
    DaemonFamily(
        family: "postgresql",
        names: [
            "rollbacks", "deadlocks", "numbackends", "blk_hit_rate", "seq_scans", "total_size",
            // Beyond what Inspeqtor knew.
            "commits", "connections_used_percent", "longest_transaction_sec", "replication_lag_sec", "temp_bytes",
        ],
        counters: ["rollbacks", "deadlocks", "seq_scans", "commits", "temp_bytes"],
        units: [
            "blk_hit_rate": .percent, "total_size": .bytes, "connections_used_percent": .percent, "longest_transaction_sec": .seconds,
            "replication_lag_sec": .seconds, "temp_bytes": .bytes,
        ],
        parameters: ofSocket + ["database", "username", "password", "password_file", "ca_file"]),
    DaemonFamily(
        family: "memstats",
        names: [
            "Alloc", "TotalAlloc", "HeapAlloc", "NumGC", "PauseTotalNs",
            // Beyond what Inspeqtor knew.
            "Sys", "Mallocs", "Frees", "HeapSys", "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects", "StackInuse", "StackSys", "NextGC",
        ],
        counters: ["TotalAlloc", "NumGC", "PauseTotalNs", "Mallocs", "Frees"],
        units: [
            "Alloc": .bytes, "TotalAlloc": .bytes, "HeapAlloc": .bytes, "Sys": .bytes, "HeapSys": .bytes, "HeapIdle": .bytes, "HeapInuse": .bytes,
            "HeapReleased": .bytes, "StackInuse": .bytes, "StackSys": .bytes, "NextGC": .bytes,
        ],
        parameters: ["hostname", "port"] + ofPage),
    DaemonFamily(
        family: "php-fpm",
        names: [
            "active_processes", "idle_processes", "total_processes", "max_active_processes", "listen_queue", "max_listen_queue", "listen_queue_len",
            "max_children_reached", "accepted_conn", "slow_requests", "start_since",
        ],
        counters: ["max_children_reached", "accepted_conn", "slow_requests"], units: ["start_since": .seconds],
        parameters: ["socket", "hostname", "port"] + ofPage),
    DaemonFamily(
        family: "haproxy",
        names: [
            "current_sessions", "session_rate", "sessions", "sessions_percent", "queue", "errors", "denied", "retries", "redispatches", "requests",
            "responses_4xx", "responses_5xx", "bytes_in", "bytes_out", "backends_up", "backends_down", "servers_up", "servers_down",
            // Of the process, which the stats page does not tell of.
            "current_connections", "max_connections", "connections", "connection_rate", "current_ssl_connections", "idle_percent", "process_requests",
            "uptime_sec",
        ],
        counters: [
            "sessions", "errors", "denied", "retries", "redispatches", "requests", "responses_4xx", "responses_5xx", "bytes_in", "bytes_out",
            "connections", "process_requests",
        ],
        units: ["sessions_percent": .percent, "bytes_in": .bytes, "bytes_out": .bytes, "idle_percent": .percent, "uptime_sec": .seconds],
        parameters: ofSocket + ["url", "username", "password", "password_file", "ca_file"]),
    // A series: `name`, or `name{label="value"}`.
    DaemonFamily(family: "prometheus", names: [], counters: [], units: [:], parameters: ["hostname", "port"] + ofPage),
    // A path: `queues[0].length`.
    DaemonFamily(
        family: "json", names: [], counters: [], units: [:], parameters: ["url", "username", "password", "password_file", "ca_file"]),
]

private let ofSocket = ["hostname", "port", "socket"]
private let ofPage = ["endpoint", "path", "url", "username", "password", "password_file", "ca_file"]

/// Whatever `show global status` knows, and how far a replica is behind.
private func mysql(_ family: String) -> DaemonFamily {
    DaemonFamily(
        family: family, names: [],
        counters: [
            "Aborted_clients", "Aborted_connects", "Bytes_received", "Bytes_sent", "Com_commit", "Com_delete", "Com_insert", "Com_rollback",
            "Com_select", "Com_update", "Connections", "Created_tmp_disk_tables", "Created_tmp_files", "Created_tmp_tables",
            "Innodb_buffer_pool_read_requests", "Innodb_buffer_pool_reads", "Innodb_data_fsyncs", "Innodb_data_read", "Innodb_data_reads",
            "Innodb_data_writes", "Innodb_data_written", "Innodb_log_waits", "Innodb_row_lock_time", "Innodb_row_lock_waits", "Innodb_rows_deleted",
            "Innodb_rows_inserted", "Innodb_rows_read", "Innodb_rows_updated", "Key_read_requests", "Key_reads", "Key_write_requests", "Key_writes",
            "Opened_tables", "Qcache_hits", "Qcache_inserts", "Qcache_lowmem_prunes", "Queries", "Questions", "Select_full_join", "Select_scan",
            "Slow_queries", "Sort_merge_passes", "Table_locks_immediate", "Table_locks_waited", "Threads_created",
        ],
        units: [
            "Bytes_received": .bytes, "Bytes_sent": .bytes, "Innodb_data_read": .bytes, "Innodb_data_written": .bytes,
            "Seconds_Behind_Master": .seconds, "Uptime": .seconds,
        ],
        parameters: ofSocket + ["username", "password", "password_file", "ca_file"])
}
