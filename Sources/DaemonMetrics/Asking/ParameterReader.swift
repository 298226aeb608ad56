// Reads the parameters of a daemon and gathers every fault.

import Checks
import Platform
import Transfer

/// What follows `with` in a check, for the kinds of daemons. All of them have in common:
/// - `hostname` (default `localhost`), `port`: where it listens; or `socket`: the path of its socket.
/// - `username`, `password` or `password_file`: the file holds the password on its first line and is closed to others.
/// - Kinds that are asked over HTTP: `endpoint` or `path` (the page), or instead of all of them `url`; `ca_file` (PEM) for the
///   authorities to trust instead of the system's. A password goes over https, or stays on this machine.
struct ParameterReader {
    private var settings: SettingReader
    private let given: Set<String>

    init(_ parameters: [String: String]) {
        settings = SettingReader(parameters.mapValues { .text($0) })
        given = Set(parameters.keys)
    }

    mutating func fault(_ key: String, _ problem: String) { settings.fault(key, problem) }

    mutating func finished(_ reader: (any DaemonReader)?) -> Result<any DaemonReader, SettingErrors> { settings.finished(reader) }

    /// A value that is not empty.
    mutating func text(_ key: String) -> String? {
        guard let text = settings.text(key) else { return nil }
        guard !text.isEmpty, text.utf8.count <= 4096, !text.utf8.contains(0) else {
            fault(key, "must be from 1 to 4096 bytes long, without a zero byte")
            return nil
        }
        return text
    }

    // MARK: Where

    /// `hostname` and `port`, or `socket` where the kind has one.
    mutating func listener(port: Int, hasSocket: Bool = true) -> Listener {
        let path = hasSocket ? text("socket") : nil
        if path != nil { faultBeside(["hostname", "port"], "socket") }
        let host = hostname()
        let number = settings.number("port", in: 1...65535) ?? port
        guard let path else { return .tcp(host: host, port: number) }
        if SocketAddress.unix(path) == nil || !path.hasPrefix("/") { fault("socket", "must be a path that begins with / and has at most 107 bytes") }
        return .unix(path)
    }

    private mutating func hostname() -> String {
        let host = text("hostname") ?? "localhost"
        let isPlain = host.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"/?#@[]\"\\".utf8.contains($0) }
        if !isPlain || host.utf8.count > 253 { fault("hostname", "must be a host name or an IP address, without port and brackets") }
        return host
    }

    private mutating func faultBeside(_ keys: [String], _ other: String) {
        for key in keys where given.contains(key) { fault(key, "cannot be beside \(other), which says where to ask") }
    }

    // MARK: Who

    /// `password` or the first line of `password_file`.
    mutating func password() -> Secret? {
        let password = text("password").map { Secret($0) }
        guard let file = text("password_file") else { return password }
        if given.contains("password") { fault("password_file", "cannot be beside password: write one of them") }
        do throws(FileError) {
            return try Secret(file: file)
        } catch {
            fault("password_file", "cannot be used: \(error)")
            return nil
        }
    }

    mutating func authorities() -> String? { settings.readableFile("ca_file") }

    // MARK: Pages

    /// The page that a kind over HTTP is asked for; `nil` after a fault.
    /// - Parameters:
    ///   - path: the default; `nil` where there is none, so that `url` is required.
    mutating func page(port: Int?, path: String?) -> HTTPRequest? {
        let endpoint = path.flatMap { ownEndpoint(default: $0, port: port) } ?? url(isRequired: path == nil)
        let user = text("username")
        let password = password()
        let authorities = authorities()
        if user == nil, given.contains("password") || given.contains("password_file") { fault("username", "is missing: the password needs one") }
        if user != nil, !given.contains("password"), !given.contains("password_file") {
            fault("password_file", "is missing: username needs a password")
        }
        if user?.contains(":") ?? false { fault("username", "cannot hold a colon, which ends it in basic authentication") }
        guard let endpoint else { return nil }
        if user != nil, !endpoint.isEncrypted, !endpoint.isLoopback { fault("url", "must be https: the password would travel in the clear") }
        var request = HTTPRequest(endpoint)
        if let user, let password { request.credentials = Credentials(user: user, password: password) }
        request.authorities = authorities
        request.maximumBody = 4 << 20
        request.freshConnection = true
        return request
    }

    /// `hostname`, `port` and `endpoint`, unless there is a `url`.
    private mutating func ownEndpoint(default path: String, port: Int?) -> Endpoint? {
        guard !given.contains("url") else {
            faultBeside(["hostname", "port", "endpoint", "path"], "url")
            for key in ["hostname", "port", "endpoint", "path"] { _ = settings.text(key) }
            return nil
        }
        let listener = listener(port: port ?? 80, hasSocket: false)
        guard let page = pagePath(default: path) else { return nil }
        do throws(EndpointError) {
            return try Endpoint.parse("http://\(listener)\(page)").0
        } catch {
            fault("hostname", "and port make no URL that can be used: it \(error)")
            return nil
        }
    }

    /// `endpoint` or `path`: the page of the daemon; `nil` after a fault.
    mutating func pagePath(default path: String) -> String? {
        let endpoint = text("endpoint")
        if endpoint != nil, given.contains("path") { fault("path", "is another word for endpoint: write one of them") }
        let other = text("path")
        let page = endpoint ?? other ?? path
        if !page.hasPrefix("/") || !page.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }) {
            fault(endpoint != nil ? "endpoint" : "path", "must begin with / and hold no blanks")
            return nil
        }
        return page
    }

    private mutating func url(isRequired: Bool) -> Endpoint? {
        guard let text = text("url") else {
            if isRequired, !given.contains("url") { fault("url", "is missing") }
            return nil
        }
        do throws(EndpointError) {
            let (endpoint, credentials) = try Endpoint.parse(text)
            if credentials != nil { fault("url", "must hold no user and password: write username and password_file") }
            return endpoint
        } catch {
            fault("url", error.problem)
            return nil
        }
    }
}

extension LoopReader {
    /// Asks over a socket.
    static func asking(
        _ question: @escaping (_ metrics: [String]) -> Question, _ listener: Listener, _ word: String, secret: Secret? = nil, _ transfers: Transfers
    ) -> LoopReader {
        let loop = transfers.loop
        let book = AddressBook(listener, loop: loop)
        return LoopReader(loop: loop, place: "\(word) at \(listener)", secret: secret) { metrics, _, finish in
            SocketLook(question(metrics), at: book, loop: loop, finish)
        }
    }

    /// Asks for a page.
    static func fetching(_ page: Page, _ word: String, _ transfers: Transfers) -> LoopReader {
        // What follows the question mark may be a key.
        let parts = page.request.endpoint.text.split(separator: "?", maxSplits: 1)
        let place = "\(word) at \(parts.first ?? "")\(parts.count > 1 ? "?..." : "")"
        return LoopReader(loop: transfers.loop, place: place, secret: page.request.credentials?.password) { metrics, deadline, finish in
            HTTPLook(page, metrics, deadline, transfers: transfers, finish)
        }
    }
}
