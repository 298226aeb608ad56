// What trying to ask a service's workers has come to, for people and programs.

public import AgentAPI
public import Platform

/// What each try answered, and the line for the rule file that makes the question right.
public struct AskingReport: Equatable, Sendable {
    public struct Try: Equatable, Sendable {
        public var listener: String
        public var way: String
        public var answer: String
        public var isToken: Bool

        public init(listener: String, way: String, answer: String, isToken: Bool) {
            self.listener = listener
            self.way = way
            self.answer = answer
            self.isToken = isToken
        }
    }

    public var service: String
    public var host: String
    public var path: String
    public var tries: [Try]
    /// `check service web with deploy_path /about/deploy, ...`: asks as what has yielded a token; `nil`: nothing has.
    public var line: String?
    /// What is missing, where nothing has yielded a token.
    public var problem: String?

    public init(
        service: String, host: String, question: TokenQuestion, searches: [ListenerSearch], workers: Int
    ) {
        self.service = service
        self.host = host
        path = question.path
        tries = searches.flatMap { listener in
            listener.search.tries.map { one in
                Try(
                    listener: listener.address.text, way: one.way.words, answer: one.outcome.words,
                    isToken: one.outcome.isToken)
            }
        }
        let found = searches.first { $0.search.hasFound }
        line = found.map { Self.line(service, question, $0.search) }
        problem = found == nil ? Self.problem(question, searches, workers: workers) : nil
    }

    private init(service: String, host: String, path: String, tries: [Try], line: String?, problem: String?) {
        (self.service, self.host, self.path) = (service, host, path)
        (self.tries, self.line, self.problem) = (tries, line, problem)
    }

    /// What the first way did not have is what has to be said.
    private static func line(_ service: String, _ question: TokenQuestion, _ search: WaySearch) -> String {
        let way = search.way
        var words = ["deploy_path \(quoted(question.path))"]
        if let user = question.user { words.append("deploy_user \(quoted(user)), deploy_password_file FILE") }
        let first = search.tries.first?.way ?? way
        if question.host != nil || way.host != first.host { words.append("deploy_host \(quoted(way.host))") }
        if question.tls == .verify { words.append("deploy_tls verify") } else if way.isTLS { words.append("deploy_tls on") }
        if way.language != .http { words.append("deploy_protocol \(way.language.rawValue)") }
        if let script = question.script { words.append("deploy_script \(quoted(script))") }
        if let header = question.proxyHeader { words.append("deploy_proxy_header \(header.rawValue)") }
        if way.saysHTTPS { words.append("deploy_header \"\(AskingWay.forwardedHeader)\"") }
        for header in question.headers { words.append("deploy_header \(quoted("\(header.name): ..."))") }
        return "check service \(quoted(service)) with " + words.joined(separator: ", ")
    }

    private static func quoted(_ text: String) -> String {
        text.allSatisfy { $0.isLetter || $0.isNumber || "-_./".contains($0) } ? text : "\"\(text)\""
    }

    private static func problem(_ question: TokenQuestion, _ searches: [ListenerSearch], workers: Int) -> String {
        guard !searches.isEmpty else { return "the service listens on no address that could be asked" }
        let answers = searches.flatMap(\.search.tries).compactMap { $0.outcome.answer }
        if let problem = QuestionProblem(question, answers: answers, searches: searches) { return problem.description }
        if answers.contains(where: { if case .other(let answer) = $0 { answer.isAnswerOfApplication } else { false } }) {
            return
                "\(question.path) is answered, and not with a token: the release that runs has no TOKEN, or none when it was started. Prepare a deploy, and see"
        }
        return workers == 0 ? "no process of the service took a connection" : "no worker answered the question"
    }

    // MARK: JSON

    public var json: JSON {
        func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
        let tries = tries.map { one -> JSON in
            ["listener": .string(one.listener), "asked": .string(one.way), "answer": .string(one.answer), "token": .bool(one.isToken)]
        }
        return [
            "service": .string(service), "host": .string(host), "path": .string(path), "tries": .array(tries), "line": text(line),
            "problem": text(problem),
        ]
    }

    public init(_ json: JSON) throws(RequestError) {
        guard let service = json["service"]?.string, let host = json["host"]?.string, let path = json["path"]?.string,
            let list = json["tries"]?.array, list.count <= 1000
        else { throw RequestError(problem: "an answer about questions lacks its service, host, path or tries") }
        let tries = list.map { one in
            Try(
                listener: one["listener"]?.string ?? "", way: one["asked"]?.string ?? "", answer: one["answer"]?.string ?? "",
                isToken: one["token"]?.bool ?? false)
        }
        self.init(
            service: service, host: host, path: path, tries: tries, line: json["line"]?.string,
            problem: json["problem"]?.string)
    }
}

extension AskingOutcome {
    var isToken: Bool { answer?.isToken ?? false }

    var answer: WorkerAnswer.Content? { if case .answer(let content) = self { content } else { nil } }
}
