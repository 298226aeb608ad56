// Asks HAProxy: its stats socket, or its stats page.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `socket` (default /run/haproxy/admin.sock), or `hostname` and `port` of a stats socket that listens there; or `url`, the
    /// stats page, with `username`, `password`, `password_file`, `ca_file`. The page does not tell of the process (`show info`).
    static func haproxy(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "haproxy") { parameters in
            var parameters = parameters
            if let url = parameters["url"] {
                if !url.contains(";csv") { parameters["url"] = "\(url);csv" }
                var reader = ParameterReader(parameters)
                let page = reader.page(port: nil, path: nil).map {
                    Page($0, remedy: "write `stats enable` and `stats uri` into HAProxy's configuration") { body, _ in haproxyAnswer(body) }
                }
                return reader.finished(page.map { .fetching($0, "haproxy", transfers) } as LoopReader?)
            }
            if parameters["hostname"] == nil, parameters["port"] == nil, parameters["socket"] == nil {
                parameters["socket"] = "/run/haproxy/admin.sock"
            }
            var reader = ParameterReader(parameters)
            if parameters["hostname"] != nil, parameters["port"] == nil { reader.fault("port", "is missing: hostname needs one") }
            let listener = reader.listener(port: 1)
            let question = Question(bytes: Array("show stat;show info\n".utf8), answerName: "the answer to show stat", limit: 4 << 20) {
                received, isAll in
                haproxySocketAnswer(received, isAll)
            }
            return reader.finished(LoopReader.asking({ _ in question }, listener, "haproxy", transfers))
        }
    }
}

/// It closes when it has said all. Of half an answer the end is missing, which is an empty line after each command's.
func haproxySocketAnswer(_ bytes: [UInt8], _ isAll: Bool) -> DaemonAnswer? {
    guard isAll, !bytes.isEmpty else { return nil }
    let isHalf = bytes.first == UInt8(ascii: "#") && position(of: Array("\n\nName:".utf8), in: bytes[...]) == nil
    let hasEnd = isText(bytes.suffix(2), "\n\n")
    return bytes.first == UInt8(ascii: "#") && (isHalf || !hasEnd) ? nil : haproxyAnswer(bytes)
}

/// The numbers of `show stat` (CSV), and of `show info` when that follows.
func haproxyAnswer(_ bytes: [UInt8]) -> DaemonAnswer {
    var columns: [String: Int] = [:]
    var sums = Sums()
    for line in Lines(bytes) {
        if line.isEmpty { continue }
        if columns.isEmpty {
            guard begins(line, with: "# pxname,svname,") else {
                return .failure(DaemonError("this is not HAProxy's show stat: \(seen(bytes))"))
            }
            for (index, name) in commaSeparated(line.dropFirst(2)).enumerated() { columns[text(name)] = index }
        } else if let colon = position(of: UInt8(ascii: ":"), in: line), let name = informationNames[text(line[..<colon])] {
            sums.told[name] = number(trimmed(line[(colon + 1)...]))
        } else {
            sums.add(Row(fields: commaSeparated(line), columns: columns))
        }
    }
    guard !columns.isEmpty else { return .failure(DaemonError("this is not HAProxy's show stat: \(seen(bytes))")) }
    return .success(sums.told)
}

/// What `show info` calls them, and what they are called here.
private let informationNames = [
    "CurrConns": "current_connections", "Maxconn": "max_connections", "CumConns": "connections", "ConnRate": "connection_rate",
    "CurrSslConns": "current_ssl_connections", "Idle_pct": "idle_percent", "Uptime_sec": "uptime_sec", "CumReq": "process_requests",
]

/// One line of `show stat`: a frontend, a backend, or a server.
private struct Row {
    let fields: [ArraySlice<UInt8>]
    let columns: [String: Int]

    private subscript(name: String) -> ArraySlice<UInt8> {
        guard let index = columns[name], index < fields.count else { return [] }
        return fields[index]
    }

    var name: String { text(self["svname"]) }
    var status: String { text(self["status"]) }
    /// 0 frontend, 1 backend, 2 server, 3 socket.
    var isServer: Bool { isText(self["type"], "2") }
    func value(_ name: String) -> Double? { number(self[name]) }
}

/// What the rows come to.
private struct Sums {
    var told: [String: Double] = [:]

    mutating func add(_ row: Row) {
        switch row.name {
        case "FRONTEND":
            add(row, ["scur", "rate", "ereq", "dreq", "req_tot", "bin", "bout", "hrsp_4xx", "hrsp_5xx", "stot"])
            // A share of a limit is interesting where it is highest.
            if let now = row.value("scur"), let most = row.value("slim"), most > 0 {
                told["sessions_percent"] = max(told["sessions_percent"] ?? 0, 100 * now / most)
            }
        case "BACKEND":
            add(row, ["qcur", "econ", "eresp", "wretr", "wredis"])
            count(row, "backends")
        default:
            if row.isServer { count(row, "servers") }
        }
    }

    private mutating func add(_ row: Row, _ columns: [String]) {
        for column in columns {
            guard let name = columnNames[column], let value = row.value(column) else { continue }
            told[name, default: 0] += value
        }
    }

    private mutating func count(_ row: Row, _ what: String) {
        // UP, UP 1/3, DOWN, DOWN 1/2, MAINT, DRAIN, no check: somebody's wish is not a failure.
        told["\(what)_up", default: 0] += row.status.hasPrefix("UP") ? 1 : 0
        told["\(what)_down", default: 0] += row.status.hasPrefix("DOWN") ? 1 : 0
    }
}

private let columnNames = [
    "scur": "current_sessions", "rate": "session_rate", "stot": "sessions", "ereq": "errors", "econ": "errors", "eresp": "errors",
    "dreq": "denied", "req_tot": "requests", "bin": "bytes_in", "bout": "bytes_out", "hrsp_4xx": "responses_4xx",
    "hrsp_5xx": "responses_5xx", "qcur": "queue", "wretr": "retries", "wredis": "redispatches",
]
