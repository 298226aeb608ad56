// Which URLs answer the token, and how they are asked.

import AgentAPI
import ArgumentParser
import Platform
import Transfer

struct URLOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A URL that answers the token; may be repeated. A user and password in it are taken, but every user of the machine can "
                + "see them: better use --user and --password-file.", valueName: "url"))
    var url: [String] = []

    @Flag(
        inversion: .prefixedNo,
        help: "Ask every address behind a URL's name, each with the name as Host and in TLS.")
    var resolveAll = true

    @Option(help: ArgumentHelp("Send this Host header instead of the URL's or the listener's name.", valueName: "name"))
    var hostHeader: String?

    @Option(help: ArgumentHelp("A netrc file that may have the users and passwords of the URLs' hosts.", valueName: "file"))
    var netrcFile: String?

    @Option(help: ArgumentHelp("The authorities to trust for the URLs instead of the system's (PEM).", valueName: "file"))
    var caFile: String?

    @Flag(help: "Send the password over http to other machines too.")
    var insecureHttp = false

    func validate() throws {
        if let hostHeader, !HTTPRequest.canSend(name: "Host", value: hostHeader) || hostHeader.isEmpty {
            throw ValidationError("--host-header cannot be sent: it is empty or holds a control character.")
        }
        guard url.count <= 100 else { throw ValidationError("--url: at most 100.") }
    }

    /// One request for each URL.
    /// - Parameter urls: of these options, or of an earlier process.
    func requests(_ urls: [String], login: Credentials?, quiet: Bool) throws -> [HTTPRequest] {
        for (option, file) in [("--ca-file", caFile), ("--netrc-file", netrcFile)] {
            guard let file else { continue }
            do throws(FileError) { _ = try AtomicFile.read(file, limit: 1 << 24) } catch { throw ValidationError("\(option): \(error).") }
        }
        return try urls.enumerated().map { index, text in
            let (endpoint, inURL) = try parse(text, position: index + 1)
            if inURL != nil, !quiet {
                Output.error("warning: every user of this machine can see the password in the URL: use --user and --password-file")
            }
            let credentials = inURL ?? login
            let isSafe = endpoint.isEncrypted || endpoint.isLoopback || insecureHttp
            guard credentials == nil || isSafe else {
                throw ValidationError("\(endpoint): the password would travel in the clear; use https, or --insecure-http if that is meant.")
            }
            var request = HTTPRequest(endpoint)
            request.credentials = credentials
            request.netrc = isSafe ? netrcFile : nil
            request.freshConnection = true
            request.connectTimeout = .seconds(2)
            request.deadline = .seconds(5)
            request.maximumBody = 4096
            request.authorities = caFile
            // Caches that obey ask the service then; the others are recognised by their answers.
            request.headers = [("User-Agent", "verify-token"), ("Cache-Control", "no-cache, no-store, max-age=0"), ("Pragma", "no-cache")]
            if let hostHeader { request.headers.append(("Host", hostHeader)) }
            return request
        }
    }

    private func parse(_ text: String, position: Int) throws -> (Endpoint, Credentials?) {
        // The text itself is not repeated: it may hold a password.
        do throws(EndpointError) { return try Endpoint.parse(text) } catch { throw ValidationError("--url number \(position) \(error).") }
    }

    /// The URLs as they may be kept and shown: without passwords.
    func withoutPasswords() throws -> [String] { try url.enumerated().map { try parse($1, position: $0 + 1).0.text } }

    /// Names under which the application is asked from outside: for agents, whose questions it may refuse under others.
    func hosts(_ urls: [String]) throws -> [String] {
        Self.hosts(hostHeader, try urls.enumerated().map { try parse($1, position: $0 + 1).0 })
    }

    static func hosts(_ header: String?, _ endpoints: [Endpoint]) -> [String] {
        var seen: Set<String> = []
        let names = endpoints.map { endpoint in
            let name = endpoint.host.contains(":") && !endpoint.host.hasPrefix("[") ? "[\(endpoint.host)]" : endpoint.host
            return endpoint.port == (endpoint.isEncrypted ? 443 : 80) ? name : "\(name):\(endpoint.port)"
        }
        return Array(([header].compactMap { $0 } + names).filter { isHostText($0) && seen.insert($0).inserted }.prefix(DeployLimits.hostNames))
    }

    /// The same requests, one for each address behind their names.
    static func spread(_ requests: [HTTPRequest]) async -> [HTTPRequest] {
        await withTaskGroup(of: (Int, [HTTPRequest]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    // The families of loopback are no machines of a load balancer; a name that cannot be resolved is tried again as it is.
                    guard !request.endpoint.isLoopback, let found = try? await Addresses.of(request.endpoint.host, within: .seconds(5)),
                        found.count > 1
                    else { return (index, [request]) }
                    return (
                        index,
                        found.map { address in
                            var one = request
                            one.address = address
                            return one
                        }
                    )
                }
            }
            var all: [(Int, [HTTPRequest])] = []
            for await part in group { all.append(part) }
            return all.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
    }
}

extension HTTPRequest {
    /// What it asks, as it is shown: `https://example.com/about/deploy`, `... at 192.0.2.7`.
    var shown: String { address.map { "\(endpoint.text) at \($0)" } ?? endpoint.text }
}
