// Addresses in the configuration: where the agent listens, and where its aggregator is.

import Glibc

/// Why a text is no address, for a person.
public struct AddressProblem: Error, Equatable, Sendable {
    public var message: String
    public var help: String?
}

/// `ADDRESS:PORT`, with an IPv6 address in brackets.
public struct ListenAddress: Equatable, Sendable {
    /// An IPv4 or IPv6 address, without brackets.
    public var address: String
    public var port: Int

    public init(address: String, port: Int) {
        self.address = address
        self.port = port
    }

    public var isLoopback: Bool { isLoopbackHost(address) }

    public init(parsing text: String) throws(AddressProblem) {
        let help = "write ADDRESS:PORT, such as 127.0.0.1:4677 or \"[::1]:4677\", or off"
        guard let (host, rest) = splitHost(text), let port = rest.flatMap(portNumber) else {
            throw AddressProblem(message: "\(text.isEmpty ? "an empty text" : "`\(text)`") is not an address with a port", help: help)
        }
        let address = host == "localhost" ? "127.0.0.1" : host
        guard isIPv4(address) || isIPv6(address) else { throw AddressProblem(message: "`\(host)` is not an IP address", help: help) }
        self.init(address: address, port: port)
    }
}

/// `HOST:PORT`: where something is sent, with an IPv6 address in brackets.
public struct TargetAddress: Equatable, Sendable {
    /// A name or an IP address, without brackets.
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    public init(parsing text: String) throws(AddressProblem) {
        guard let (host, rest) = splitHost(text), let port = rest.flatMap(portNumber), isIPv4(host) || isIPv6(host) || isHostName(host) else {
            throw AddressProblem(
                message: "\(text.isEmpty ? "an empty text" : "`\(text)`") is not a host with a port", help: "write HOST:PORT, such as localhost:8125")
        }
        self.init(host: host, port: port)
    }
}

/// `https://HOST[:PORT][/PATH]`: where reports go.
public struct AggregatorAddress: Equatable, Sendable, CustomStringConvertible {
    public var isEncrypted: Bool
    /// A name or an IP address, without brackets.
    public var host: String
    public var port: Int
    /// What stands before `/v1/...`: empty, or with a leading and without a trailing slash.
    public var path: String

    public init(parsing text: String) throws(AddressProblem) {
        let help = "write it as https://HOST or https://HOST:PORT"
        let problem = AddressProblem(message: "`\(text)` is not an address that begins with https:// or http://", help: help)
        guard text.utf8.count <= 2000 else { throw AddressProblem(message: "an address has at most 2000 bytes", help: help) }
        guard let scheme = ["https://", "http://"].first(where: { text.lowercased().hasPrefix($0) }) else { throw problem }
        isEncrypted = scheme == "https://"
        let rest = text.dropFirst(scheme.count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        guard !rest.contains("@") else {
            // The text is not repeated: it holds a password.
            throw AddressProblem(message: "an address with a user or password in it", help: "the token comes from `set aggregator_token_file PATH`")
        }
        guard let (host, portText) = splitHost(String(rest[..<slash])), isIPv4(host) || isIPv6(host) || isHostName(host) else { throw problem }
        var path = String(rest[slash...])
        while path.hasSuffix("/") { path.removeLast() }
        guard path.utf8.allSatisfy({ $0 > 32 && $0 < 127 }), !path.contains("?"), !path.contains("#") else { throw problem }
        guard let port = portText.map(portNumber) ?? (isEncrypted ? 443 : 80) else { throw problem }
        guard isEncrypted || isLoopbackHost(host) else {
            throw AddressProblem(message: "http:// to another host would send the token in clear", help: "write https://\(rest)")
        }
        self.host = host
        self.port = port
        self.path = path
    }

    public var description: String { "\(isEncrypted ? "https" : "http")://\(hostField)\(path)" }

    /// As the Host field of a request has it: `rollcall.example.com`, `[::1]:8080`.
    public var hostField: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isEncrypted ? 443 : 80) ? name : "\(name):\(port)"
    }
}

/// The host, and what stands behind its colon.
func splitHost(_ text: String) -> (host: String, port: String?)? {
    if text.hasPrefix("[") {
        guard let end = text.firstIndex(of: "]") else { return nil }
        let host = String(text[text.index(after: text.startIndex)..<end])
        let rest = text[text.index(after: end)...]
        guard isIPv6(host), rest.isEmpty || rest.hasPrefix(":") else { return nil }
        return (host, rest.isEmpty ? nil : String(rest.dropFirst()))
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let host = parts.first, !host.isEmpty else { return nil }
    return (String(host), parts.count == 2 ? String(parts[1]) : nil)
}

func portNumber(_ text: String) -> Int? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let port = Int(text), (1...65535).contains(port) else { return nil }
    return port
}

func isHostName(_ text: String) -> Bool {
    text.utf8.count <= 253 && !text.hasPrefix("-") && !text.hasPrefix(".")
        && text.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0 | 0x20) || $0 == 45 || $0 == 46 || $0 == 95 }
}

func isIPv4(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
}

func isIPv6(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, text, &address) == 1
}

func isLoopbackHost(_ host: String) -> Bool {
    if host.lowercased() == "localhost" { return true }
    if isIPv4(host) { return host.hasPrefix("127.") }
    var (address, loopback) = (in6_addr(), in6_addr())
    guard inet_pton(AF_INET6, host, &address) == 1, inet_pton(AF_INET6, "::1", &loopback) == 1 else { return false }
    return withUnsafeBytes(of: &address) { a in withUnsafeBytes(of: &loopback) { b in a.elementsEqual(b) } }
}
