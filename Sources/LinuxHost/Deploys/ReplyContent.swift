// What a worker's reply says of its token.

import DeployVerification

extension WorkerAnswer.Content {
    private static let longestLocation = 300

    init(_ reply: WorkerReply, way: AskingWay) {
        guard reply.status != 401 else {
            self = .accessDenied(status: reply.status)
            return
        }
        let reading = reply.isCut || reply.packing != nil ? TokenReading.none : TokenReading(reply.body)
        if case .token(let text) = reading, (200..<300).contains(reply.status) {
            self = .token(text)
            return
        }
        var answer = OtherAnswer(status: reply.status, bytes: reply.body.count, isLonger: reply.isCut, packing: reply.packing, way: way)
        if case .within(let tokens) = reading, (200..<300).contains(reply.status) { answer.tokens = tokens }
        answer.location = reply.location.map(Self.shown)
        answer.retryAfter = reply.retryAfter.flatMap { Int($0) }
        answer.isPage = reply.contentType?.contains("html") ?? false || Self.beginsLikeAPage(reply.body)
        answer.wantsTLS = reply.status == 400 && Self.speaksOfTLS(reply.body)
        self = .other(answer)
    }

    /// Without what may be secret, and without what could drive a terminal.
    private static func shown(_ location: String) -> String {
        var text = location.prefix { $0 != "?" && $0 != "#" }
        if let scheme = text.firstRange(of: "://") ?? (text.hasPrefix("//") ? text.firstRange(of: "//") : nil) {
            let rest = text[scheme.upperBound...]
            let authority = rest.prefix { $0 != "/" }
            if let at = authority.lastIndex(of: "@") { text = text[..<scheme.upperBound] + rest[rest.index(after: at)...] }
        }
        return String(text.unicodeScalars.filter { $0.value > 32 && $0.value < 127 }.prefix(longestLocation).map(Character.init))
    }

    private static func beginsLikeAPage(_ body: [UInt8]) -> Bool {
        body.first { $0 > 32 && $0 < 128 } == UInt8(ascii: "<")
    }

    /// As nginx, Apache, Go and Tomcat say it to clients that speak plain HTTP to a TLS port.
    private static func speaksOfTLS(_ body: [UInt8]) -> Bool {
        let text = String(decoding: body.prefix(2048), as: UTF8.self).lowercased()
        return ["to https port", "ssl-enabled", "to an https server", "requires tls"].contains { text.contains($0) }
    }

    /// It asks for patience.
    var isForNow: Bool { if case .other(let answer) = self { answer.isForNow } else { false } }

    var status: Int? {
        switch self {
        case .token: 200
        case .other(let answer): answer.status
        case .accessDenied(let status): status
        case .lost, .silence: nil
        }
    }
}

extension AskingOutcome {
    /// `nil` when nothing came of it.
    init?(_ outcome: ServiceConnection.Outcome, way: AskingWay) {
        switch outcome {
        case .answer(let reply): self = .answer(WorkerAnswer.Content(reply, way: way))
        case .lost: self = .answer(.lost)
        case .silence(isConnected: true): self = .answer(.silence)
        case .strange(let breakage): self = .strange(isTLS: breakage == .tls)
        case .tlsFailed(let why): self = .tlsFailed(why)
        case .silence(isConnected: false), .refused, .failed: return nil
        }
    }

    /// As a worker's answer.
    func content(_ way: AskingWay) -> WorkerAnswer.Content? {
        switch self {
        case .answer(let content): content
        case .strange, .tlsFailed: .other(OtherAnswer(status: 0, bytes: 0, problem: words, way: way))
        case .notTaken: nil
        }
    }
}
