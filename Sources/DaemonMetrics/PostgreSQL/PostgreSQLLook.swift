// A connection of libpq on a loop.

import CPostgreSQL
import Glibc
import Platform

/// One look: connect, one query, its row. It lives on the loop, and libpq never waits.
final class PostgreSQLLook: Look {
    private let loop: Loop
    private let metrics: [String]
    private let finish: (DaemonAnswer) -> Void
    private var connection: OpaquePointer?
    private var watched: Int32?
    private var told: [String: Double] = [:]
    private var fault: DaemonError?
    private var isOver = false
    private(set) var awaited = "the daemon's address"

    init(
        _ settings: [String: String], _ listener: Listener, _ book: AddressBook, _ metrics: [String], _ deadline: Duration, loop: Loop,
        _ finish: @escaping (DaemonAnswer) -> Void
    ) {
        self.loop = loop
        self.metrics = metrics
        self.finish = finish
        let query: String
        do throws(DaemonError) {
            query = try postgresqlQuery(metrics, deadline: deadline)
        } catch {
            end(.failure(error))
            return
        }
        book.find { [self] addresses in
            guard !isOver else { return }
            guard !addresses.isEmpty else { return end(.failure(DaemonError("the name has no address: is it spelled right?"))) }
            connect(settings.merging(place(listener, addresses)) { $1 }, query)
        }
    }

    func cancel() {
        isOver = true
        unwatch()
        if let connection { PQfinish(connection) }
        connection = nil
    }

    private func end(_ answer: DaemonAnswer) {
        guard !isOver else { return }
        cancel()
        finish(answer)
    }

    // MARK: Connecting

    private func connect(_ settings: [String: String], _ query: String) {
        awaited = "a connection"
        let names = settings.keys.map { strdup($0) }
        let values = settings.keys.map { strdup(settings[$0] ?? "") }
        defer { for text in names + values { free(text) } }
        connection = PQconnectStartParams(names.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 0)
        guard connection != nil, PQstatus(connection) != CONNECTION_BAD else { return end(.failure(connectionFault())) }
        // What it has to remark would go to our standard error.
        PQsetNoticeProcessor(connection, { _, _ in }, nil)
        watch(for: .writable) { [self] in advance(query) }
    }

    private func advance(_ query: String) {
        // Its socket may become another one, when the first address does not answer.
        unwatch()
        switch PQconnectPoll(connection) {
        case PGRES_POLLING_READING: watch(for: .readable) { [self] in advance(query) }
        case PGRES_POLLING_WRITING: watch(for: .writable) { [self] in advance(query) }
        case PGRES_POLLING_OK:
            awaited = "the answer to the query"
            guard PQsetnonblocking(connection, 1) == 0, PQsendQuery(connection, query) == 1 else { return end(.failure(queryFault())) }
            send()
        default: end(.failure(connectionFault()))
        }
    }

    private func watch(for readiness: Loop.Readiness, _ handler: @escaping () -> Void) {
        let socket = PQsocket(connection)
        do {
            guard socket >= 0 else { throw SystemError("watching a connection", code: EBADF) }
            try loop.watch(socket, for: readiness) { _ in handler() }
            watched = socket
        } catch {
            end(.failure(DaemonError("no connection: \(error)")))
        }
    }

    private func unwatch() {
        if let watched { loop.unwatch(watched) }
        watched = nil
    }

    // MARK: Asking

    private func send() {
        switch PQflush(connection) {
        case 0: watch(for: .readable) { [self] in receive() }
        case 1:
            watch(for: [.readable, .writable]) { [self] in
                guard PQconsumeInput(connection) == 1 else { return end(.failure(queryFault())) }
                send()
            }
        default: end(.failure(queryFault()))
        }
    }

    private func receive() {
        guard PQconsumeInput(connection) == 1 else { return end(.failure(queryFault())) }
        while PQisBusy(connection) == 0 {
            guard let result = PQgetResult(connection) else { return end(fault.map { .failure($0) } ?? .success(told)) }
            read(result)
            PQclear(result)
        }
    }

    private func read(_ result: OpaquePointer) {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK: break
        case PGRES_TUPLES_OK:
            guard PQntuples(result) == 1, PQnfields(result) == metrics.count else {
                fault = DaemonError("the answer has not one row with \(metrics.count) values")
                return
            }
            for (index, metric) in metrics.enumerated() {
                let column = Int32(clamping: index)
                guard PQgetisnull(result, 0, column) == 0, let start = PQgetvalue(result, 0, column) else { continue }
                told[metric] = number(Array(UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, 0, column))))[...])
            }
        default: fault = DaemonError("the query failed: \(message(PQresultErrorMessage(result)))")
        }
    }

    // MARK: What went wrong

    private func message(_ text: UnsafePointer<CChar>?) -> String {
        let text = text.map { oneLine(String(cString: $0)) } ?? ""
        return text.isEmpty ? "it gave no reason" : text
    }

    private func queryFault() -> DaemonError { DaemonError("the query failed: \(message(PQerrorMessage(connection)))") }

    private func connectionFault() -> DaemonError {
        let text = message(PQerrorMessage(connection))
        let remedies = [
            ("password authentication failed", "username or password is wrong"),
            ("no password supplied", "it wants a password: password_file"),
            ("no pg_hba.conf entry", "let this user in from here in pg_hba.conf"),
            ("does not exist", "are username and database spelled right?"),
            ("too many clients", "it has no connection left"),
            ("refused", "does it run, and listen there?"),
            ("No such file", "does it run, and is this the folder of its sockets?"),
            ("certificate", "is this the authority of its certificate, and is the certificate for this hostname?"),
        ]
        let remedy = remedies.first { contains(text, $0.0) }.map { ": \($0.1)" } ?? ""
        return DaemonError("no connection: \(text)\(remedy)")
    }
}

private func contains(_ text: String, _ part: String) -> Bool { position(of: Array(part.utf8), in: Array(text.utf8)[...]) != nil }

/// Where libpq finds the server. It gets addresses, so that it never looks a name up; the name is for the certificate.
private func place(_ listener: Listener, _ addresses: [SocketAddress]) -> [String: String] {
    switch listener {
    case .unix(let path):
        let parts = path.split(separator: "/")
        guard let last = parts.last, last.hasPrefix(".s.PGSQL.") else { return ["host": path, "port": "5432"] }
        return ["host": "/" + parts.dropLast().joined(separator: "/"), "port": String(last.dropFirst(".s.PGSQL.".count))]
    case .tcp(let host, let port):
        return [
            "host": addresses.map { _ in host }.joined(separator: ","), "hostaddr": addresses.map(\.host).joined(separator: ","),
            "port": String(port),
        ]
    }
}
