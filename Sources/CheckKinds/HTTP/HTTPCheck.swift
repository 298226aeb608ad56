// Asks a web server and judges its answer.

import Checks
import Platform
import Transfer

extension CheckKind {
    /// Settings:
    /// - `url` (required): `http://` or `https://`, without user and password.
    /// - `method` (default `GET`), `headers` (a map), `body`: what is sent.
    /// - `user`, `password_file`: basic authentication; only over https or to this machine.
    /// - `status` (default `2xx`): a code, `2xx`, `200-204`, or a list of these.
    /// - `matches`, `does_not_match`: regular expressions (PCRE2) on the bytes of the body.
    /// - `redirects` (default 5): how many are followed; with 0 the redirect is the answer.
    /// - `verify` (default yes), `ca_file`: whether and against which authorities the certificate is checked.
    /// - `max_bytes` (default 1048576): how much of the body is read.
    static func http(_ transfers: Transfers) -> CheckKind {
        CheckKind(word: HTTPCheck.kind) { settings in
            HTTPCheck.read(settings, transfers: transfers).map { $0 as any Probe }
        }
    }
}

/// A fresh connection for each run, so that the name, the connection and the certificate are checked every time.
struct HTTPCheck: Probe {
    static let kind = "http"

    var request: HTTPRequest
    var expected = StatusSet.success
    var matches: Pattern?
    var doesNotMatch: Pattern?
    var transfers: Transfers

    var summary: String {
        // What follows the question mark may be a key.
        let parts = request.endpoint.text.split(separator: "?", maxSplits: 1)
        var text = "\(request.method) \(parts[0])\(parts.count > 1 ? "?..." : "") is \(expected)"
        if let matches { text += " and matches /\(matches.text)/" }
        if let doesNotMatch { text += " and does not match /\(doesNotMatch.text)/" }
        return text
    }

    func run(deadline: Duration) async -> ProbeOutcome {
        var request = request
        request.deadline = deadline
        request.connectTimeout = deadline
        do throws(TransferError) {
            return judge(try await transfers.http(request))
        } catch {
            switch error.kind {
            case .connectionRefused: return .failed(reason: "no connection: \(error.detail)")
            default: return .failed(reason: error.detail)
            }
        }
    }

    func judge(_ response: HTTPResponse) -> ProbeOutcome {
        guard expected.contains(response.status) else { return .failed(reason: "answered \(response.status), expected \(expected)") }
        let read = response.isTruncated ? "first \(response.body.count) bytes of the body" : "body"
        if let matches {
            switch matches.search(response.body) {
            case .found: break
            case .notFound: return .failed(reason: "the \(read) does not match /\(matches.text)/")
            case .tooExpensive: return .failed(reason: "/\(matches.text)/ takes too long on this body: simplify the pattern")
            }
        }
        if let doesNotMatch {
            switch doesNotMatch.search(response.body) {
            case .notFound: break
            case .found: return .failed(reason: "the \(read) matches /\(doesNotMatch.text)/")
            case .tooExpensive: return .failed(reason: "/\(doesNotMatch.text)/ takes too long on this body: simplify the pattern")
            }
        }
        let took = response.timings.total.map { " in \($0.microseconds / 1000) ms" } ?? ""
        return .passed(detail: "answered \(response.status)\(took)")
    }

    static func read(_ settings: [String: Setting], transfers: Transfers) -> Result<HTTPCheck, SettingErrors> {
        var reader = SettingReader(settings)
        let endpoint = reader.endpoint("url")
        let method = reader.text("method")?.uppercased() ?? "GET"
        if !(1...20).contains(method.utf8.count) || !method.utf8.allSatisfy({ (65...90).contains($0) }) {
            reader.fault("method", "must be a word of letters: GET, HEAD, POST, ...")
        }
        var expected = StatusSet.success
        if let words = reader.texts("status") {
            if let set = StatusSet(words) {
                expected = set
            } else {
                reader.fault("status", "must be codes from 100 to 599: 200, 2xx, 200-204, or a list of these")
            }
        }
        let matches = reader.pattern("matches")
        let doesNotMatch = reader.pattern("does_not_match")
        if method == "HEAD", matches != nil || doesNotMatch != nil { reader.fault("method", "HEAD brings no body that a pattern could match") }
        let headers = (reader.map("headers") ?? [:]).sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        for (name, value) in headers where !HTTPRequest.canSend(name: name, value: value) {
            reader.fault("headers.\(name)", "holds a line break or another character that headers cannot hold")
        }
        let body = reader.text("body")
        let credentials = reader.userAndPassword().map { Credentials(user: $0.user, password: $0.password) }
        if credentials != nil, let endpoint, !endpoint.isEncrypted, !endpoint.isLoopback {
            reader.fault("url", "must be https: the password would travel in the clear")
        }
        let redirects = reader.number("redirects", in: 0...30) ?? 5
        let verify = reader.yesOrNo("verify") ?? true
        let authorities = reader.readableFile("ca_file")
        let maximum = reader.number("max_bytes", in: 0...(1 << 26)) ?? 1 << 20

        let check = endpoint.map { endpoint in
            var request = HTTPRequest(endpoint)
            request.method = method
            request.headers = headers
            request.body = body.map { Array($0.utf8) }
            request.credentials = credentials
            request.redirects = redirects
            request.verifiesCertificate = verify
            request.authorities = authorities
            request.maximumBody = maximum
            request.freshConnection = true
            return HTTPCheck(request: request, expected: expected, matches: matches, doesNotMatch: doesNotMatch, transfers: transfers)
        }
        return reader.finished(check)
    }
}
