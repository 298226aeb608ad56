// Asks MariaDB and MySQL: SHOW GLOBAL STATUS, and how far a replica is behind.

import Checks
import Platform
import RuleLanguage
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 3306), `socket`, `username` (default root), `password`, `password_file`, `ca_file`. With
    /// `ca_file` it insists on TLS, and on a certificate of that authority for `hostname`. The metrics are the numbers of SHOW GLOBAL STATUS
    /// (ON is 1, OFF is 0), and `Seconds_Behind_Master`, which is absent where nothing is replicated, or replication is stopped.
    /// - Parameter word: `mysql` or `mariadb`.
    static func mysql(_ word: String, _ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: word) { parameters in
            var reader = ParameterReader(parameters)
            let listener = reader.listener(port: 3306)
            let user = reader.text("username") ?? "root"
            let password = reader.password()
            let authorities = reader.authorities()
            if parameters["socket"] != nil, parameters["ca_file"] != nil {
                reader.fault("ca_file", "is not for sockets, which never leave this machine")
            }
            let account = MySQLAccount(listener: listener, user: user, password: password, authorities: authorities)
            let turn = MySQLTurn()
            let loop = transfers.loop
            return reader.finished(
                LoopReader(loop: loop, place: "\(word) at \(listener)", secret: password) { metrics, deadline, finish in
                    MySQLLook(account, metrics, deadline, turn, loop: loop, finish)
                })
        }
    }
}

/// Who asks a server, and how it is reached.
struct MySQLAccount: Sendable {
    var listener: Listener
    var user: String
    var password: Secret?
    var authorities: String?
}

/// Whether a thread of this reader is under way. It lives on the loop.
final class MySQLTurn {
    var isTaken = false
}

/// One look, on a thread of its own, because the library looks names up while it is waited for. The thread keeps to the deadline by itself;
/// only a name server can hold it up longer, and while it does there is no other thread of this reader.
final class MySQLLook: Look {
    let awaited = "the answer to SHOW GLOBAL STATUS"
    private let turn: MySQLTurn
    private let finish: (DaemonAnswer) -> Void
    private var isOver = false

    init(
        _ account: MySQLAccount, _ metrics: [String], _ deadline: Duration, _ turn: MySQLTurn, loop: Loop, _ finish: @escaping (DaemonAnswer) -> Void
    ) {
        self.turn = turn
        self.finish = finish
        guard !turn.isTaken else {
            finish(.failure(DaemonError("the last look has not ended: it still waits for the address of \(account.listener)")))
            return
        }
        let home = Home(look: self)
        turn.isTaken = detachThread(stackSize: mainStackSize) {
            let answer = mysqlNumbers(account, metrics, until: ContinuousClock.now + deadline)
            loop.post { home.look.end(answer) }
        }
        if !turn.isTaken { finish(.failure(DaemonError("no thread could be started"))) }
    }

    /// Carries the look to the thread and back to the loop, where alone it is used.
    private struct Home: @unchecked Sendable {
        let look: MySQLLook
    }

    func cancel() { isOver = true }

    private func end(_ answer: DaemonAnswer) {
        turn.isTaken = false
        if !isOver { finish(answer) }
    }
}

private let lag = "Seconds_Behind_Master"

/// Asks the server, and waits for what it says.
func mysqlNumbers(_ account: MySQLAccount, _ metrics: [String], until end: ContinuousClock.Instant) -> DaemonAnswer {
    do throws(DaemonError) {
        let connection = try MySQLConnection.open(account, until: end)
        var told: [String: Double] = [:]
        if metrics.contains(where: { $0 != lag }) {
            let rows = try connection.rows("SHOW GLOBAL STATUS")
            told = try globalStatus(rows, metrics.filter { $0 != lag })
        }
        if metrics.contains(lag) { told[lag] = secondsBehind(try connection.replicationStatus()) }
        return .success(told)
    } catch {
        return .failure(error)
    }
}

/// A name that the server does not know is an error: nothing else would ever say that it is misspelled.
func globalStatus(_ rows: [[String: String]], _ metrics: [String]) throws(DaemonError) -> [String: Double] {
    var values: [String: String] = [:]
    for row in rows { if let name = row["Variable_name"] { values[name] = row["Value"] } }
    var told: [String: Double] = [:]
    for metric in metrics {
        guard let value = values[metric] else {
            let meant = nearest(to: metric, among: values.keys.sorted()).map { ": did you mean \($0)?" }
            throw DaemonError("SHOW GLOBAL STATUS does not know \(seen(metric))\(meant ?? "")")
        }
        switch value.uppercased() {
        case "ON", "YES": told[metric] = 1
        case "OFF", "NO": told[metric] = 0
        default:
            guard let number = number(Array(value.utf8)[...]) else { throw DaemonError("the status \(metric) is no number: \(seen(value))") }
            told[metric] = number
        }
    }
    return told
}

/// Of several sources the one that is farthest away; `nil` when one of them stands still.
func secondsBehind(_ rows: [[String: String]]) -> Double? {
    var most: Double?
    for row in rows {
        guard let seconds = (row[lag] ?? row["Seconds_Behind_Source"]).flatMap({ number(Array($0.utf8)[...]) }) else { return nil }
        most = max(most ?? 0, seconds)
    }
    return most
}
