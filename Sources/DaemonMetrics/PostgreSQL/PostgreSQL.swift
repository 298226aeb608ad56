// Asks PostgreSQL: its statistics views.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 5432), or `socket` (the folder of its sockets, or the path of one); `database` (default: that
    /// of the user's name), `username` (default postgres), `password`, `password_file`, `ca_file`. With `ca_file` it insists on TLS, and on a
    /// certificate of that authority for `hostname`; a password to another machine needs it. For `longest_transaction_sec` the user needs
    /// the role pg_monitor.
    static func postgresql(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "postgresql") { parameters in
            var reader = ParameterReader(parameters)
            let listener = reader.listener(port: 5432)
            let user = reader.text("username") ?? "postgres"
            let database = reader.text("database") ?? user
            let password = reader.password()
            let authorities = reader.authorities()
            if password != nil, !listener.isLocal, parameters["ca_file"] == nil {
                reader.fault("ca_file", "is missing: without it the password could be had by whoever answers in the server's place")
            }
            if parameters["socket"] != nil, parameters["ca_file"] != nil {
                reader.fault("ca_file", "is not for sockets, which never leave this machine")
            }
            var settings = [
                "user": user, "dbname": database, "application_name": "rollcall", "client_encoding": "UTF8", "gssencmode": "disable",
                "sslmode": listener.isLocal ? "disable" : "prefer",
            ]
            if let password { settings["password"] = password.reveal() }
            if let authorities { settings.merge(["sslmode": "verify-full", "sslrootcert": authorities]) { $1 } }
            let book = AddressBook(listener, loop: transfers.loop)
            let loop = transfers.loop
            return reader.finished(
                LoopReader(loop: loop, place: "postgresql at \(listener)", secret: password) { [settings] metrics, deadline, finish in
                    PostgreSQLLook(settings, listener, book, metrics, deadline, loop: loop, finish)
                })
        }
    }
}

/// What each metric is in SQL. All of them are of the database that was connected to, but for connections and replication, which are of
/// the server.
let postgresqlExpressions: [String: String] = [
    "commits": ofDatabase("xact_commit"),
    "rollbacks": ofDatabase("xact_rollback"),
    "deadlocks": ofDatabase("deadlocks"),
    "numbackends": ofDatabase("numbackends"),
    "temp_bytes": ofDatabase("temp_bytes"),
    "blk_hit_rate": ofDatabase("100.0 * blks_hit / nullif(blks_hit + blks_read, 0)"),
    "seq_scans": "(select coalesce(sum(seq_scan), 0) from pg_stat_user_tables)",
    "total_size": "pg_database_size(current_database())",
    "connections_used_percent": "(select 100.0 * sum(numbackends) / current_setting('max_connections')::int from pg_stat_database)",
    // Whoever may not see the others' transactions sees none, which is not the same as that there are none.
    "longest_transaction_sec": """
    (select case when pg_has_role(current_user, 'pg_read_all_stats', 'usage')
      then coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) end
      from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())
    """,
    // A quiet primary sends nothing to replay: who has replayed all that came, and is connected, is not behind. Of a standby that has just
    // begun to follow, what was received begins before what it had already.
    "replication_lag_sec": """
    case when pg_is_in_recovery() then
      case when pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() and exists (select from pg_stat_wal_receiver) then 0
      else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end end
    """,
]

private func ofDatabase(_ expression: String) -> String { "(select \(expression) from pg_stat_database where datname = current_database())" }

/// One row with a column for each metric.
func postgresqlQuery(_ metrics: [String], deadline: Duration) throws(DaemonError) -> String {
    var columns: [String] = []
    for metric in metrics {
        guard let expression = postgresqlExpressions[metric] else {
            throw DaemonError("there is no metric \(seen(metric)): there are \(postgresqlExpressions.keys.sorted().joined(separator: ", "))")
        }
        columns.append(expression)
    }
    // The server gives up when nobody waits any longer.
    let limit = max(1, deadline.microseconds / 1000)
    return "set statement_timeout = \(min(limit, 3_600_000)); select \(columns.joined(separator: ", "))"
}
