// A connection of libmariadb, which waits no longer than it may.

import CMariaDB
import Glibc
import Platform

/// Owns a connection. The library's non-blocking calls say what they wait for; waiting is done here, with one deadline for everything.
struct MySQLConnection: ~Copyable {
    private let handle: UnsafeMutablePointer<MYSQL>
    private let end: ContinuousClock.Instant

    /// The library's own start is not safe on several threads at once.
    private static let isLibraryReady = mysql_server_init(0, nil, nil) == 0

    static func open(_ account: MySQLAccount, until end: ContinuousClock.Instant) throws(DaemonError) -> MySQLConnection {
        guard isLibraryReady, let handle = mysql_init(nil) else { throw DaemonError("libmariadb cannot be used") }
        let connection = MySQLConnection(handle: handle, end: end)
        connection.setUp(account)
        try connection.connect(account)
        return connection
    }

    private init(handle: UnsafeMutablePointer<MYSQL>, end: ContinuousClock.Instant) {
        self.handle = handle
        self.end = end
    }

    deinit { mysql_close(handle) }

    private func setUp(_ account: MySQLAccount) {
        mysql_options(handle, MYSQL_OPT_NONBLOCK, nil)
        // A server may ask for the client's files: it must not get them.
        var off: UInt32 = 0
        mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &off)
        var largest: UInt = 1 << 20
        mysql_options(handle, MYSQL_OPT_MAX_ALLOWED_PACKET, &largest)
        // For the farewell alone; everything else waits here.
        var second: UInt32 = 1
        mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &second)
        // These never show the password to the server, as the first of their letters to a stranger would; the last one may, encrypted with
        // a key that the server sends, and so only where nobody is between.
        let isSafe = account.authorities != nil || account.listener.isLocal
        mysql_options(
            handle, MARIADB_OPT_RESTRICTED_AUTH, "mysql_native_password,client_ed25519\(isSafe ? ",caching_sha2_password" : "")")
        if let authorities = account.authorities {
            var on: CChar = 1
            mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &on)
            mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on)
            mysql_options(handle, MYSQL_OPT_SSL_CA, authorities)
        }
        if case .tcp = account.listener {
            // `localhost` would be the default socket.
            var tcp = MYSQL_PROTOCOL_TCP.rawValue
            mysql_options(handle, MYSQL_OPT_PROTOCOL, &tcp)
        }
    }

    private func connect(_ account: MySQLAccount) throws(DaemonError) {
        // The library reads these until it is connected, which is longer than a call lasts.
        let user = CText(account.user)
        let password = CText(account.password?.reveal())
        let (host, port, path): (CText, Int, CText) =
            switch account.listener {
            case .tcp(let host, let port): (CText(host), port, CText(nil))
            case .unix(let path): (CText(nil), 0, CText(path))
            }
        var connected: UnsafeMutablePointer<MYSQL>?
        let status = mysql_real_connect_start(
            &connected, handle, host.start, user.start, password.start, nil, UInt32(clamping: port), path.start, 0)
        try finish(status, awaiting: "a connection") { mysql_real_connect_cont(&connected, handle, $0) }
        withExtendedLifetime((user, password, host, path)) {}
        guard connected != nil else { throw connectionFault(account) }
    }

    /// All rows of a query, each by its columns' names; a NULL is absent.
    func rows(_ query: String) throws(DaemonError) -> [[String: String]] {
        let statement = CText(query)
        var code: Int32 = 0
        let status = mysql_real_query_start(&code, handle, statement.start, UInt(query.utf8.count))
        try finish(status, awaiting: "the answer to \(query)") { mysql_real_query_cont(&code, handle, $0) }
        withExtendedLifetime(statement) {}
        guard code == 0 else { throw DaemonError("\(query) failed: \(said)") }
        guard let result = mysql_use_result(handle) else { throw DaemonError("\(query) has no rows: \(said)") }
        // Until all has been read the connection is of no other use; what is given up is closed with it, without reading on.
        let names = (0..<mysql_num_fields(result)).map { index in
            mysql_fetch_field_direct(result, index).flatMap { $0.pointee.name.map { String(cString: $0) } } ?? ""
        }
        var rows: [[String: String]] = []
        while true {
            var row: MYSQL_ROW?
            let status = mysql_fetch_row_start(&row, result)
            try finish(status, awaiting: "the answer to \(query)") { mysql_fetch_row_cont(&row, result, $0) }
            guard let row, let lengths = mysql_fetch_lengths(result) else { break }
            guard rows.count < 10_000 else { throw DaemonError("\(query) has more than 10000 rows") }
            var values: [String: String] = [:]
            for (index, name) in names.enumerated() {
                guard let value = row[index] else { continue }
                let bytes = UnsafeRawBufferPointer(start: value, count: Int(clamping: lengths[index]))
                values[name] = String(decoding: bytes.prefix(1024), as: UTF8.self)
            }
            rows.append(values)
        }
        guard mysql_errno(handle) == 0 else { throw DaemonError("\(query) failed: \(said)") }
        mysql_free_result(result)
        return rows
    }

    /// What the server replicates, one row for each source. Old servers know one word for it, new ones the other.
    func replicationStatus() throws(DaemonError) -> [[String: String]] {
        do throws(DaemonError) {
            return try rows("SHOW REPLICA STATUS")
        } catch {
            switch mysql_errno(handle) {
            case 1064: return try rows("SHOW SLAVE STATUS")
            case 1227: throw DaemonError("\(error.problem): grant the user REPLICA MONITOR (MariaDB), or REPLICATION CLIENT (MySQL)")
            default: throw error
            }
        }
    }

    // MARK: Waiting

    private func finish(_ first: Int32, awaiting what: String, _ next: (Int32) -> Int32) throws(DaemonError) {
        var status = first
        while status != 0 { status = next(try wait(for: status, what)) }
    }

    /// Waits for one of the wanted events, and says which came.
    private func wait(for wanted: Int32, _ what: String) throws(DaemonError) -> Int32 {
        var events: Int32 = 0
        if wanted & MYSQL_WAIT_READ != 0 { events |= POLLIN }
        if wanted & MYSQL_WAIT_WRITE != 0 { events |= POLLOUT }
        if wanted & MYSQL_WAIT_EXCEPT != 0 { events |= POLLPRI }
        var entry = pollfd(fd: mysql_get_socket(handle), events: Int16(truncatingIfNeeded: events), revents: 0)
        while true {
            let left = (end - ContinuousClock.now).microseconds / 1000
            guard left > 0 else { throw DaemonError("\(what) has not come in time") }
            let count = poll(&entry, 1, Int32(clamping: left))
            if count < 0, errno != EINTR { throw DaemonError("\(what) cannot be waited for: \(String(cString: strerror(errno)))") }
            guard count > 0 else { continue }
            let ready = Int32(entry.revents)
            var came: Int32 = 0
            if ready & (POLLIN | POLLHUP | POLLERR) != 0 { came |= wanted & MYSQL_WAIT_READ }
            if ready & (POLLOUT | POLLHUP | POLLERR) != 0 { came |= wanted & MYSQL_WAIT_WRITE }
            if ready & (POLLPRI | POLLERR) != 0 { came |= wanted & MYSQL_WAIT_EXCEPT }
            if came != 0 { return came }
        }
    }

    // MARK: What went wrong

    private var said: String {
        mysql_errno(handle) == 0 ? "it gave no reason" : oneLine("\(String(cString: mysql_error(handle))) (error \(mysql_errno(handle)))")
    }

    private func connectionFault(_ account: MySQLAccount) -> DaemonError {
        let remedy =
            switch mysql_errno(handle) {
            case 1045, 1698: ": username or password is wrong, or this account may not connect from here"
            case 1040: ": it has no connection left"
            case 2002, 2003: ": does it run, and listen there?"
            case 2005: ": is the name spelled right?"
            case 2012, 2013: ": it closed the connection, or does not speak this protocol"
            case 2026: ": is this the authority of its certificate, and is the certificate for this hostname?"
            case 2059: ": let its account use mysql_native_password or ed25519, or name the authority of its certificate with ca_file"
            default: ""
            }
        return DaemonError("no connection: \(said)\(remedy)")
    }
}

/// A C string that lives as long as this does.
private final class CText {
    let start: UnsafeMutablePointer<CChar>?

    init(_ text: String?) { start = text.flatMap { strdup($0) } }

    deinit { free(start) }
}
