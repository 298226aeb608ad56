// How a service's workers are asked which deploy token they carry, as far as its rule file says it.

public import AgentAPI
import RuleLanguage

/// Parameters after `with` of `check service`:
/// - `deploy_path` (path that begins with `/`, default none): where the service's workers are asked which deploy token they carry, over their own
///   listeners. Without it, what TOKEN their releases had at their birth is all that is known of them. The others need it.
/// - `deploy_user` and `deploy_password_file` (both or neither): as whom they are asked.
/// - `deploy_host` (default: found out): the `Host` header of that question, and the name in TLS.
/// - `deploy_header` (`"NAME: VALUE"`, may be repeated): a further header of it.
/// - `deploy_tls` (`on`, `off` or `verify`, default: found out): whether workers speak TLS themselves; with `verify` their certificate must be
///   trusted by this system and be that of `deploy_host`.
/// - `deploy_protocol` (`http`, `fastcgi` or `uwsgi`, default: found out): what they speak.
/// - `deploy_script` (absolute path): the file that a FastCGI worker runs for the question, as that worker sees it.
/// - `deploy_proxy_header` (`v1` or `v2`, default none): sends the header of the PROXY protocol first.
public struct DeployQuestion: Equatable, Sendable {
    static let keys = [
        "deploy_path", "deploy_user", "deploy_password_file", "deploy_host", "deploy_header", "deploy_tls", "deploy_protocol", "deploy_script",
        "deploy_proxy_header",
    ]
    private static let mostHeaders = 16
    private static let longestHeader = 1024

    public var path: String
    public var host: String?
    public var user: String?
    public var passwordFile: String?
    public var headers: [TokenQuestion.Header]
    public var tls: TokenQuestion.TLS?
    public var language: TokenQuestion.Language?
    public var script: String?
    public var proxyHeader: TokenQuestion.ProxyHeader?

    public init(
        path: String, host: String? = nil, user: String? = nil, passwordFile: String? = nil, headers: [TokenQuestion.Header] = [],
        tls: TokenQuestion.TLS? = nil, language: TokenQuestion.Language? = nil, script: String? = nil, proxyHeader: TokenQuestion.ProxyHeader? = nil
    ) {
        self.path = path
        self.host = host
        self.user = user
        self.passwordFile = passwordFile
        self.headers = headers
        self.tls = tls
        self.language = language
        self.script = script
        self.proxyHeader = proxyHeader
    }
}

extension DeployQuestion {
    /// - Parameter parameters: those that a service's file has.
    /// - Returns: `nil` when its workers are not asked, or when it is not understood how.
    static func read(_ parameters: [Parameter], _ reader: inout ParameterReader) -> DeployQuestion? {
        let (user, host) = (parameters["deploy_user"], parameters["deploy_host"])
        let passwordFile = parameters["deploy_password_file"]
        let passwordPath = passwordFile.flatMap { reader.secretFile($0) }
        if let user, user.value.isEmpty || user.value.contains(":") || user.value.utf8.contains(where: { $0 < 32 || $0 == 127 }) {
            reader.fault("a user has a name, and no colon in it", at: user.place, help: "HTTP puts a colon between user and password")
        }
        switch (user, passwordFile) {
        case (let user?, nil): reader.fault("`deploy_user` without `deploy_password_file`", at: user.place, help: "say both or neither")
        case (nil, let file?): reader.fault("`deploy_password_file` without `deploy_user`", at: file.place, help: "say both or neither")
        default: break
        }
        if let host, !isHostText(host.value) {
            reader.fault("`\(host.value)` is not a host", at: host.place, help: "such as app.example.com")
        }
        var question = DeployQuestion(path: "", host: host?.value, user: user?.value, passwordFile: passwordPath)
        question.readTransport(parameters, &reader)
        question.readHeaders(parameters.filter { $0.key == "deploy_header" }, &reader)
        guard let path = parameters["deploy_path"] else {
            if let lonely = parameters.first(where: { keys.contains($0.key) }) {
                reader.fault(
                    "`\(lonely.key)` without `deploy_path`", at: lonely.place, help: "say where workers are asked: `deploy_path /about/deploy`")
            }
            return nil
        }
        guard path.value.hasPrefix("/"), path.value.utf8.count <= 1024, path.value.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            reader.fault(
                "`\(path.value)` is not a path that begins with a slash, in ASCII without spaces", at: path.place, help: "such as /about/deploy")
            return nil
        }
        question.path = path.value
        return question
    }

    private mutating func readTransport(_ parameters: [Parameter], _ reader: inout ParameterReader) {
        tls = reader.word(parameters["deploy_tls"])
        language = reader.word(parameters["deploy_protocol"])
        proxyHeader = reader.word(parameters["deploy_proxy_header"])
        if let parameter = parameters["deploy_script"] { script = reader.path(parameter) }
        if tls == .verify, host == nil, let place = parameters["deploy_tls"]?.place {
            reader.fault("`deploy_tls verify` without `deploy_host`", at: place, help: "say whose certificate it is: `deploy_host app.example.com`")
        }
        if let parameter = parameters["deploy_tls"], tls != .off, let language, language != .http {
            reader.fault("`deploy_tls` and `deploy_protocol \(language.rawValue)`", at: parameter.place, help: "only HTTP is asked over TLS")
        }
        if let parameter = parameters["deploy_script"], let language, language != .fastcgi {
            reader.fault(
                "`deploy_script` and `deploy_protocol \(language.rawValue)`", at: parameter.place,
                help: "only FastCGI workers are told which file to run")
        }
    }

    private mutating func readHeaders(_ parameters: [Parameter], _ reader: inout ParameterReader) {
        if parameters.count > Self.mostHeaders, let last = parameters.last {
            reader.fault("more than \(Self.mostHeaders) `deploy_header`", at: last.place, help: nil)
        }
        for parameter in parameters {
            guard let colon = parameter.value.firstIndex(of: ":"), parameter.value.utf8.count <= Self.longestHeader,
                parameter.value.utf8.allSatisfy({ $0 >= 32 && $0 != 127 })
            else {
                reader.fault(
                    "`\(parameter.value)` is not a header", at: parameter.place, help: "such as `deploy_header \"X-Forwarded-Proto: https\"`")
                continue
            }
            let name = String(parameter.value[..<colon])
            let value = String(parameter.value[parameter.value.index(after: colon)...].drop { $0 == " " })
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isOfHeaderName), !value.isEmpty else {
                reader.fault(
                    "`\(parameter.value)` is not a header", at: parameter.place, help: "such as `deploy_header \"X-Forwarded-Proto: https\"`")
                continue
            }
            switch name.lowercased() {
            case "host": reader.fault("`deploy_header` for the Host", at: parameter.place, help: "write `deploy_host \(value)`")
            case "connection", "content-length", "transfer-encoding", "accept-encoding", "upgrade", "expect", "te":
                reader.fault("the header \(name) is the agent's own", at: parameter.place, help: "leave it out")
            case "authorization":
                reader.warn(
                    "whoever can read this file knows what lets the agent in", at: parameter.place,
                    help: "with a name and a password, write `deploy_user` and `deploy_password_file`")
                headers.append(TokenQuestion.Header(name: name, value: value))
            default: headers.append(TokenQuestion.Header(name: name, value: value))
            }
        }
    }

    /// RFC 9110, 5.6.2.
    private static func isOfHeaderName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

extension ParameterReader {
    /// One of a few words.
    fileprivate mutating func word<Word: RawRepresentable & CaseIterable>(_ parameter: Parameter?) -> Word? where Word.RawValue == String {
        guard let parameter else { return nil }
        if let word = Word(rawValue: parameter.value) { return word }
        let words = Word.allCases.map(\.rawValue)
        fault(
            "`\(parameter.value)` is no `\(parameter.key)`", at: parameter.place,
            help: nearest(to: parameter.value, among: words).map { "did you mean `\($0)`?" }
                ?? "say \(words.dropLast().joined(separator: ", ")) or \(words.last ?? "")")
        return nil
    }
}

extension [Parameter] {
    fileprivate subscript(_ key: String) -> Parameter? { first { $0.key == key } }
}
