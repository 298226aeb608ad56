// Finds out how the workers behind one listener have to be asked.

public import AgentAPI

/// Begins with the way that the settings say, and goes by what is answered: a redirect to https asks for `X-Forwarded-Proto`, a refusal for another
/// `Host`, something that is no HTTP for TLS. All it suggests are GETs of the one path. It stops at the first token, and after a few tries.
public struct WaySearch: Sendable {
    public struct Try: Equatable, Sendable {
        public var way: AskingWay
        public var outcome: AskingOutcome
    }

    static let most = 12
    private static let mostRefusals = 3

    /// What is asked now: what has yielded a token, or else what came closest.
    public private(set) var way: AskingWay
    /// A token was answered.
    public private(set) var hasFound = false
    public private(set) var tries: [Try] = []
    private let question: TokenQuestion
    private let hosts: [String]
    private let languages: [TokenQuestion.Language]
    private var waiting: [AskingWay] = []
    /// What has yielded a token before.
    private var lastFound: AskingWay?
    /// How often a way met with a refusal that is only for now.
    private var refusals: [AskingWay: Int] = [:]

    /// - Parameters:
    ///   - address: the listener's, as a `Host` header has it.
    ///   - names: what the host itself is called.
    ///   - commands: of the processes that hold the listener.
    public init(_ question: TokenQuestion, address: String, names: [String], commands: [String]) {
        self.question = question
        var seen: Set<String> = []
        // Where its settings name a host, what the host is called for others comes last.
        hosts = ([question.host].compactMap { $0 } + question.otherHosts + [address, "localhost"] + names)
            .filter { isHostText($0) && seen.insert($0.lowercased()).inserted }
        // A master's title may hide what it is; its workers' do not.
        var languages: [TokenQuestion.Language] = []
        if commands.contains(where: { $0.hasPrefix("uwsgi") }) { languages.append(.uwsgi) }
        if commands.contains(where: { $0.hasPrefix("php-fpm") || $0.hasPrefix("php-cgi") }) { languages.append(.fastcgi) }
        self.languages = question.language == nil ? languages : []
        // PHP-FPM speaks nothing else.
        let first = question.language ?? (languages == [.fastcgi] ? .fastcgi : .http)
        way = AskingWay(language: first, isTLS: first == .http && [.on, .verify].contains(question.tls), host: hosts.first ?? address)
    }

    /// Nothing that was tried was understood.
    public var isAllInVain: Bool { !hasFound && !tries.isEmpty && tries.allSatisfy { $0.outcome.rank >= Self.vain } }
    private static let vain = 7

    /// Who holds the listener may speak something else than HTTP.
    public var speaksOtherwise: Bool { !languages.isEmpty }

    /// The next way to try; `nil`: there is none that is worth it.
    public mutating func next() -> AskingWay? {
        guard !hasFound, tries.count < Self.most else { return nil }
        return waiting.popLast()
    }

    /// Takes what asking in some way came to.
    /// - Returns: whether it is worth trying on at once.
    @discardableResult
    public mutating func take(_ outcome: AskingOutcome, for way: AskingWay) -> Bool {
        if case .answer(.token) = outcome {
            self.way = way
            lastFound = way
            hasFound = true
            waiting = []
            tries.append(Try(way: way, outcome: outcome))
            return false
        }
        guard !hasFound else { return false }
        if Self.isForNow(outcome), refusals[way, default: 0] < Self.mostRefusals {
            refusals[way, default: 0] += 1
            if way != self.way, !waiting.contains(way) { waiting.append(way) }
            return false
        }
        if !tries.contains(where: { $0.way == way }) {
            tries.append(Try(way: way, outcome: outcome))
            let known = Set(tries.map(\.way) + waiting)
            waiting += suggestions(outcome, way).filter { !known.contains($0) }.reversed()
        }
        // A server that is just restarted understands nothing for a moment: what was right before is the likeliest.
        if waiting.isEmpty { self.way = lastFound ?? closest ?? self.way }
        return true
    }

    private var closest: AskingWay? {
        tries.enumerated().min { ($0.element.outcome.rank, $0.offset) < ($1.element.outcome.rank, $1.offset) }?.element.way
    }

    /// Tries again: others have come, who may want to be asked otherwise.
    public mutating func reopen() {
        guard waiting.isEmpty else { return }
        hasFound = false
        tries = []
        refusals = [:]
    }

    /// Whether it may come to something else another time, in the same way.
    private static func isForNow(_ outcome: AskingOutcome) -> Bool {
        switch outcome {
        case .notTaken: true
        case .answer(.other(let answer)): answer.isForNow
        default: false
        }
    }

    /// The likeliest first.
    private func suggestions(_ outcome: AskingOutcome, _ way: AskingWay) -> [AskingWay] {
        switch outcome {
        // Puma waits for ever for the rest of what it takes for TLS.
        case .answer(.lost), .answer(.silence): others(than: way) + overTLS(way)
        case .strange: overTLS(way) + others(than: way)
        case .answer(.other(let answer)) where answer.wantsTLS: overTLS(way)
        case .answer(.other(let answer)) where answer.isRedirect: redirected(answer, way)
        case .answer(.other(let answer)):
            switch answer.status {
            case 400, 403, 421: otherHosts(way)
            // A name that is set is right; one that is guessed may lead to a site of which nothing is known.
            case 404,
                200...299 where answer.bytes == 0 || answer.status == 404:
                question.host == nil ? otherHosts(way) : []
            default: []
            }
        default: []
        }
    }

    private func overTLS(_ way: AskingWay) -> [AskingWay] {
        guard question.tls == nil, way.language == .http, !way.isTLS else { return [] }
        var other = way
        other.isTLS = true
        return [other]
    }

    private func others(than way: AskingWay) -> [AskingWay] {
        languages.filter { $0 != way.language && !way.isTLS }.map { AskingWay(language: $0, host: way.host, saysHTTPS: way.saysHTTPS) }
    }

    private func otherHosts(_ way: AskingWay) -> [AskingWay] {
        hosts.map { host in
            var other = way
            other.host = host
            return other
        }
    }

    private func redirected(_ answer: OtherAnswer, _ way: AskingWay) -> [AskingWay] {
        guard let location = answer.location.map(LocationParts.init) else { return [] }
        var ways: [AskingWay] = []
        let isOtherName = location.name.map { $0 != hostName(way.host) } ?? false
        var other = way
        if location.isHTTPS, !way.isTLS, !question.headers.contains(where: { $0.name.lowercased() == "x-forwarded-proto" }) {
            other.saysHTTPS = true
            ways.append(other)
        }
        // The name that the application calls itself by.
        if isOtherName, let host = location.host {
            other.host = host
            ways.append(other)
        }
        // Told that it was asked over TLS, it still sends elsewhere: by its name, if at all.
        if ways.isEmpty || way.saysHTTPS { ways += location.path == question.path || isOtherName ? otherHosts(way) : [] }
        return ways.filter { $0 != way }
    }
}

extension AskingOutcome {
    /// The less, the closer to a token.
    fileprivate var rank: Int {
        switch self {
        case .answer(.token): 0
        case .answer(.other(let answer)):
            switch answer.status {
            case 200..<300: 1
            case 429: 3
            case 404, 405, 410: 4
            case 300..<400: 6
            default: 5
            }
        case .answer(.accessDenied): 2
        case .answer(.silence), .answer(.lost), .strange: 7
        case .tlsFailed: 8
        case .notTaken: 9
        }
    }
}
