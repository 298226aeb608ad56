// What may be asked about deploys over HTTP, by its path.

/// A path of the agent's HTTP interface for deploys.
enum DeployRoute: Equatable {
    case prepare
    /// Which question the workers of a service answer.
    case ask
    case verify
    case cancel
    /// Of all services when none is named.
    case status(service: String?)
    case inspect(service: String)
    /// What a plain script polls for: a token or a word; or the same in JSON.
    case carried(service: String?, isJSON: Bool)

    enum Problem: Error {
        case unknown
        case broken
    }

    /// - Parameter target: a request's target, with whatever question mark.
    init(parsing target: some StringProtocol) throws(Problem) {
        var path = Substring(target.prefix { $0 != "?" })
        switch path {
        case "/v1/prepare": self = .prepare
        case "/v1/ask": self = .ask
        case "/v1/verify": self = .verify
        case "/v1/cancel": self = .cancel
        case "/v1/status": self = .status(service: nil)
        default:
            if let name = try Self.name(in: path, between: "/v1/status/", and: "") {
                self = .status(service: name)
            } else if let name = try Self.name(in: path, between: "/v1/inspect/", and: "") {
                self = .inspect(service: name)
            } else {
                let isJSON = path.hasSuffix(".json")
                if isJSON { path.removeLast(5) }
                if path == "/about/deploy" {
                    self = .carried(service: nil, isJSON: isJSON)
                } else if let name = try Self.name(in: path, between: "/about/deploy/", and: "") {
                    self = .carried(service: name, isJSON: isJSON)
                } else if let name = try Self.name(in: path, between: "/services/", and: "/deploy") {
                    self = .carried(service: name, isJSON: isJSON)
                } else {
                    throw .unknown
                }
            }
        }
    }

    /// `nil`: there is none, and this is another path.
    private static func name(in path: Substring, between beginning: String, and end: String) throws(Problem) -> String? {
        guard path.hasPrefix(beginning), path.hasSuffix(end), path.utf8.count > beginning.utf8.count + end.utf8.count else { return nil }
        guard let name = percentDecoded(path.dropFirst(beginning.count).dropLast(end.count)), name.utf8.count <= 1024,
            name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
        else { throw .broken }
        return name
    }

    var isPost: Bool {
        switch self {
        case .prepare, .ask, .verify, .cancel: true
        case .status, .inspect, .carried: false
        }
    }

    /// Whether a person or a plain script asks, and not a program that reads JSON.
    var isText: Bool { if case .carried(_, isJSON: false) = self { true } else { false } }
}

/// `nil` for a percent sign without two hex digits, and for what is not UTF-8.
func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        let digits = rest.prefix(2)
        guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
}
