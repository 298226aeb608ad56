// Where a transfer goes, read by the same parser that libcurl will use, so that what was checked is what is called.

import CCurl
public import Platform

/// A user name and a password.
public struct Credentials: Equatable, Sendable {
    public var user: String
    public var password: Secret

    public init(user: String, password: Secret) {
        self.user = user
        self.password = password
    }
}

/// A text that is no usable URL. The problem never repeats the text: it may hold a password.
public struct EndpointError: Error, Equatable, Sendable, CustomStringConvertible {
    public var problem: String
    public var description: String { problem }
}

/// A URL without its credentials: it can be shown.
public struct Endpoint: Equatable, Sendable, CustomStringConvertible {
    /// The whole URL, without user, password and fragment.
    public let text: String
    public let scheme: String
    /// Lower case; an IPv6 address without brackets.
    public let host: String
    public let port: Int

    /// Reads a URL of one of `schemes`.
    /// - Returns: the endpoint, and the credentials that the URL carried.
    public static func parse(_ text: String, schemes: [String] = ["http", "https"]) throws(EndpointError) -> (Endpoint, Credentials?) {
        let wanted = schemes.map { "\($0)://" }.joined(separator: " or ")
        guard text.utf8.count <= 8192 else { throw EndpointError(problem: "is longer than 8192 bytes") }
        guard let handle = curl_url() else { throw EndpointError(problem: "cannot be read: out of memory") }
        defer { curl_url_cleanup(handle) }
        guard schemes.contains(where: { text.lowercased().hasPrefix("\($0)://") }) else {
            throw EndpointError(problem: "must begin with \(wanted)")
        }
        guard curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else { throw EndpointError(problem: "is not a URL") }
        func part(_ part: CURLUPart, flags: Int32 = 0) -> String? {
            var value: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, part, &value, UInt32(flags)) == CURLUE_OK, let value else { return nil }
            defer { curl_free(value) }
            return String(cString: value)
        }
        let user = part(CURLUPART_USER, flags: CURLU_URLDECODE)
        let password = part(CURLUPART_PASSWORD, flags: CURLU_URLDECODE)
        for secret in [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT] { curl_url_set(handle, secret, nil, 0) }
        guard let scheme = part(CURLUPART_SCHEME), var host = part(CURLUPART_HOST), !host.isEmpty,
            let port = part(CURLUPART_PORT, flags: CURLU_DEFAULT_PORT).flatMap({ Int($0) }), let shown = part(CURLUPART_URL)
        else { throw EndpointError(problem: "is not a URL") }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let endpoint = Endpoint(text: shown, scheme: scheme.lowercased(), host: host.lowercased(), port: port)
        guard user != nil || password != nil else { return (endpoint, nil) }
        return (endpoint, Credentials(user: user ?? "", password: Secret(password ?? "")))
    }

    /// Whether everything on the way is encrypted from the first byte.
    public var isEncrypted: Bool { scheme == "https" || scheme == "smtps" }

    /// Whether it stays on this machine: there a password may travel in the clear.
    public var isLoopback: Bool { host == "localhost" || host == "::1" || isLoopbackAddress(host) }

    public var description: String { text }
}

/// `127.x.x.x`, in full: libcurl's parser has already written shorter forms of an IPv4 address this way.
private func isLoopbackAddress(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
}
