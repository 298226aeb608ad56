// The token question as bytes, in the language that a worker speaks.

import AgentAPI
import DeployVerification
import Glibc
import Platform

/// One request in two parts. What may be secret is in the second one, which is sent only to a process that is known to be the service's.
struct WorkerRequest: Equatable {
    var first: [UInt8]
    var held: [UInt8]
    /// The second part for a process that is not known to be the service's.
    var heldWithoutSecrets: [UInt8]

    var whole: [UInt8] { first + held }

    init(_ question: TokenQuestion, way: AskingWay) {
        switch way.language {
        case .http: self.init(http: question, way)
        case .fastcgi: self.init(fastCGI: question, way)
        case .uwsgi: self.init(uwsgi: question, way)
        }
    }

    private init(http question: TokenQuestion, _ way: AskingWay) {
        var lines = "GET \(question.path) HTTP/1.1\r\n"
        let own = question.headers.map { $0.name.lowercased() }
        for (name, value) in Self.usual(way) where !own.contains(name.lowercased()) { lines += "\(name): \(value)\r\n" }
        first = Array((lines + "Connection: close\r\n").utf8)
        var rest = ""
        for (name, value) in Self.secret(question) { rest += "\(name): \(value)\r\n" }
        held = Array((rest + "\r\n").utf8)
        heldWithoutSecrets = Array("\r\n".utf8)
    }

    private static func usual(_ way: AskingWay) -> [(String, String)] {
        var headers = [("Host", way.host), ("User-Agent", "rollcall-agent"), ("Accept", "text/plain, */*;q=0.1"), ("Accept-Encoding", "identity")]
        if way.saysHTTPS { headers.append(("X-Forwarded-Proto", "https")) }
        return headers
    }

    private static func secret(_ question: TokenQuestion) -> [(String, String)] {
        var headers = question.headers.map { ($0.name, $0.value) }
        if let user = question.user, !headers.contains(where: { $0.0.lowercased() == "authorization" }) {
            headers.append(("Authorization", "Basic \(base64(Array("\(user):\(question.password?.reveal() ?? "")".utf8)))"))
        }
        return headers
    }

    // MARK: CGI

    /// As a web server passes a request on.
    private static func variables(_ question: TokenQuestion, _ way: AskingWay) -> [(String, String)] {
        let parts = question.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let (name, port) = hostAndPort(way)
        var variables = [
            ("REQUEST_METHOD", "GET"), ("REQUEST_URI", question.path), ("QUERY_STRING", parts.count > 1 ? parts[1] : ""), ("CONTENT_TYPE", ""),
            ("CONTENT_LENGTH", ""), ("SERVER_PROTOCOL", "HTTP/1.1"), ("SERVER_NAME", name), ("SERVER_PORT", port), ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", "1"), ("REQUEST_SCHEME", way.saysHTTPS ? "https" : "http"),
        ]
        if way.saysHTTPS { variables.append(("HTTPS", "on")) }
        if way.language == .fastcgi {
            // PHP-FPM answers its own ping by the script's name.
            variables += [
                ("GATEWAY_INTERFACE", "CGI/1.1"), ("SCRIPT_NAME", parts[0]), ("DOCUMENT_URI", parts[0]),
                ("SCRIPT_FILENAME", question.script ?? parts[0]),
            ]
        } else {
            variables.append(("PATH_INFO", parts[0]))
        }
        let own = question.headers.map { variable($0.name) }
        for (name, value) in usual(way) where !own.contains(variable(name)) { variables.append((variable(name), value)) }
        return variables
    }

    private static func variable(_ header: String) -> String { "HTTP_" + header.uppercased().replacing("-", with: "_") }

    private static func hostAndPort(_ way: AskingWay) -> (String, String) {
        guard let colon = way.host.lastIndex(of: ":"), !way.host.hasSuffix("]"), case let port = way.host[way.host.index(after: colon)...],
            !port.isEmpty, port.allSatisfy({ $0.isNumber })
        else { return (way.host, way.saysHTTPS ? "443" : "80") }
        return (String(way.host[..<colon]), String(port))
    }

    private init(fastCGI question: TokenQuestion, _ way: AskingWay) {
        func parameters(_ variables: [(String, String)]) -> [UInt8] {
            Self.record(4, variables.flatMap { Self.length($0) + Self.length($1) + Array($0.utf8) + Array($1.utf8) })
        }
        // The responder role, and the connection is not kept.
        first = Self.record(1, [0, 1, 0, 0, 0, 0, 0, 0]) + parameters(Self.variables(question, way))
        let secrets = Self.secret(question).map { (Self.variable($0), $1) }
        // The parameters end with an empty record, and so does the body.
        heldWithoutSecrets = Self.record(4, []) + Self.record(5, [])
        held = (secrets.isEmpty ? [] : parameters(secrets)) + heldWithoutSecrets
    }

    private static func record(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
        let content = content.prefix(65535)
        return [1, type, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 255), 0, 0] + content
    }

    private static func length(_ text: String) -> [UInt8] {
        let count = min(text.utf8.count, 65535)
        return count < 128 ? [UInt8(count)] : [128, 0, UInt8(count >> 8), UInt8(count & 255)]
    }

    private init(uwsgi question: TokenQuestion, _ way: AskingWay) {
        func block(_ variables: [(String, String)]) -> [UInt8] {
            variables.flatMap { name, value in [name, value].flatMap { Self.short($0.utf8.count) + Array($0.utf8.prefix(65535)) } }
        }
        let known = block(Self.variables(question, way))
        // Something is held back also where nothing is secret.
        let secrets = Self.secret(question).map { (Self.variable($0), $1) }
        let scheme = [("UWSGI_SCHEME", way.saysHTTPS ? "https" : "http")]
        let last = block(secrets + scheme)
        first = [0] + Self.short(known.count + last.count) + [0] + known
        held = last
        // The block's length has been said already: it is kept.
        heldWithoutSecrets = block(secrets.map { ($0, String(repeating: "-", count: $1.utf8.count)) } + scheme)
    }

    private static func short(_ count: Int) -> [UInt8] {
        let count = min(count, 65535)
        return [UInt8(count & 255), UInt8(count >> 8)]
    }
}

/// What a proxy sends first, to say between whom the connection is (the PROXY protocol).
func proxyHeader(
    _ kind: TokenQuestion.ProxyHeader, from ends: (local: [UInt8], localPort: UInt16, remote: [UInt8], remotePort: UInt16)?
) -> [UInt8] {
    // A Unix listener has no addresses to tell.
    let ends = ends ?? (local: [127, 0, 0, 1], localPort: 65535, remote: [127, 0, 0, 1], remotePort: 80)
    let isIPv6 = ends.local.count == 16
    switch kind {
    case .v1:
        let family = isIPv6 ? AF_INET6 : AF_INET
        let (local, remote) = (addressText(family, ends.local), addressText(family, ends.remote))
        return Array("PROXY TCP\(isIPv6 ? 6 : 4) \(local) \(remote) \(ends.localPort) \(ends.remotePort)\r\n".utf8)
    case .v2:
        let addresses = ends.local + ends.remote + [ends.localPort, ends.remotePort].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
        return signature + [0x21, isIPv6 ? 0x21 : 0x11, 0, UInt8(addresses.count)] + addresses
    }
}
