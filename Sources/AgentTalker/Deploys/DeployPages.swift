// The agent's HTTP interface for deploys.

import AgentAPI
import DeployVerification
import Logging
import NIOCore
import NIOHTTP1
import Platform

/// Answers requests about deploys out of the deploy thread, on the endpoint and on the deploy socket alike. It lives on the event loop.
///
/// What a stranger can make it do is bounded: bytes and time of a request (`HTTPListener`), and how many answers last.
final class DeployPages {
    struct Limits: Sendable {
        /// How long the desk may take. It takes longer when it waits for a file system.
        var answer = Duration.seconds(10)
        /// Verdicts that are waited for at once.
        var streams = 32
    }

    private let deploys: DeployThread
    private let limits: Limits
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var streams: [ObjectIdentifier: VerdictStream] = [:]

    init(deploys: DeployThread, limits: Limits, eventLoop: any EventLoop, logger: Logger) {
        self.deploys = deploys
        self.limits = limits
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// - Parameter login: `nil` for somebody who may ask; otherwise what they are told.
    func service(login: @escaping (HTTPRequestHead, _ address: String) -> HTTPListener.Answer?) -> HTTPListener.Service {
        .init(
            admit: { head, address in
                let isText = (try? DeployRoute(parsing: head.uri))?.isText ?? !head.uri.hasPrefix("/v1/")
                return (login(head, address) ?? Self.refusal(of: head)).map { $0.worded(isText: isText) }
            },
            take: { [weak self] in self?.take($0) })
    }

    /// Why a request makes no sense, as far as its head tells.
    private static func refusal(of head: HTTPRequestHead) -> HTTPListener.Answer? {
        do throws(DeployRoute.Problem) {
            let route = try DeployRoute(parsing: head.uri)
            if route.isPost {
                guard head.method == .POST else { return .init(.methodNotAllowed, "This is asked with POST.", field: ("Allow", "POST")) }
            } else {
                guard head.method == .GET || head.method == .HEAD else {
                    return .init(.methodNotAllowed, "Only GET and HEAD are answered here.", field: ("Allow", "GET, HEAD"))
                }
            }
            return nil
        } catch {
            switch error {
            case .unknown: return .init(.notFound, "There is nothing here; ask for /about/deploy/SERVICE.")
            case .broken: return .broken
            }
        }
    }

    // MARK: Answering

    private func take(_ exchange: HTTPExchange) {
        guard let route = try? DeployRoute(parsing: exchange.head.uri) else { return exchange.answer(.broken) }
        do throws(RequestError) {
            switch route {
            case .prepare:
                let preparation = try DeployPreparation(body(of: exchange))
                logger.notice("a deploy is prepared", metadata: ["service": "\(preparation.service)", "deploy": "\(preparation.id)"])
                let answer: @Sendable (Result<DeployPrepared, DeployRefusal>) -> Void = one(exchange, route) { .init($0) { $0.json } }
                deploys.prepare(preparation, answer)
            case .ask:
                let order = try AskingOrder(body(of: exchange))
                let answer: @Sendable (Result<AskingReport, DeployRefusal>) -> Void = one(exchange, route) { .init($0) { $0.json } }
                deploys.ask(order, answer)
            case .verify:
                let check = try DeployCheck(body(of: exchange))
                verify(check, exchange)
            case .cancel:
                guard let deploy = try body(of: exchange)["deploy_id"]?.string else { throw RequestError(problem: "deploy_id is missing") }
                let answer: @Sendable (DeployRefusal?) -> Void = one(exchange, route) { $0.map { .init($0) } ?? .init(.ok, json: [:]) }
                deploys.end(deploy, answer)
            case .status(nil):
                let answer: @Sendable ([ServiceStatus]) -> Void = one(exchange, route) {
                    .init(.ok, json: ["services": .array($0.map(\.host.json))])
                }
                deploys.statuses(answer)
            case .status(let service?):
                let answer: @Sendable (Result<ServiceStatus, DeployRefusal>) -> Void = one(exchange, route) { .init($0) { $0.host.json } }
                deploys.status(of: service, answer)
            case .inspect(let service):
                let answer: @Sendable (Result<ServiceFacts, DeployRefusal>) -> Void = one(exchange, route) { .init($0) { $0.json } }
                deploys.examine(service, answer)
            case .carried(let service, let isJSON): carried(service, exchange, route, isJSON: isJSON)
            }
        } catch {
            exchange.answer(.init(.badRequest, json: ["problem": .string(error.problem)]))
        }
    }

    private func body(of exchange: HTTPExchange) throws(RequestError) -> JSON {
        do throws(JSONError) {
            return try JSON(parsing: exchange.body, maximumDepth: 8)
        } catch {
            throw RequestError(problem: "the request's body is not in JSON: \(error)")
        }
    }

    /// A place for the desk's one answer, which turns it into one over HTTP; or says that there is none.
    private func one<Found: Sendable>(
        _ exchange: HTTPExchange, _ route: DeployRoute, _ answer: @escaping (Found) -> HTTPListener.Answer
    ) -> @Sendable (Found) -> Void {
        let waiting = NIOLoopBoundBox<((Found?) -> Void)?>(
            { found in exchange.answer((found.map(answer) ?? .busy).worded(isText: route.isText)) }, eventLoop: eventLoop)
        let timer = eventLoop.scheduleTask(in: .init(limits.answer)) {
            let then = waiting.value
            waiting.value = nil
            then?(nil)
        }
        return { [eventLoop] found in
            eventLoop.execute {
                timer.cancel()
                let then = waiting.value
                waiting.value = nil
                then?(found)
            }
        }
    }

    // MARK: What plain scripts ask

    private func carried(_ service: String?, _ exchange: HTTPExchange, _ route: DeployRoute, isJSON: Bool) {
        let isJSON = isJSON || exchange.head.headers["Accept"].contains { $0.lowercased().hasPrefix("application/json") }
        let answer: @Sendable (Result<ServiceStatus, DeployRefusal>) -> Void = one(exchange, route) { result in
            switch result {
            case .success(let status): isJSON ? .init(.ok, json: status.host.json) : .init(status)
            case .failure(let refusal): .init(refusal)
            }
        }
        // The one service that can answer needs no name.
        if let service { deploys.status(of: service, answer) } else { deploys.statusOfTheOne(answer) }
    }

    // MARK: Verdicts

    private func verify(_ check: DeployCheck, _ exchange: HTTPExchange) {
        guard streams.count < limits.streams else {
            return exchange.answer(
                .init(.tooManyRequests, json: ["problem": .string("\(limits.streams) verdicts are waited for already")], field: ("Retry-After", "5")))
        }
        let stream = VerdictStream(exchange)
        streams[ObjectIdentifier(stream)] = stream
        let pages = NIOLoopBound(self, eventLoop: eventLoop)
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        let number = deploys.check(check) { [eventLoop] news in
            eventLoop.execute { pages.value.hear(news, bound.value) }
        }
        stream.check = number
        stream.timer = eventLoop.scheduleTask(in: .init(limits.answer)) {
            pages.value.forget(bound.value)
            bound.value.refuse(.busy)
        }
        exchange.gone = { [unowned self, unowned stream] in forget(stream) }
    }

    private func hear(_ news: DeployThread.News, _ stream: VerdictStream) {
        guard streams[ObjectIdentifier(stream)] != nil else { return }
        stream.timer?.cancel()
        switch news {
        case .refused(let refusal):
            streams[ObjectIdentifier(stream)] = nil
            stream.refuse(.init(refusal))
        case .state(let account):
            stream.tell(account)
            // Its last line may have to wait until there is room for it; the check is over.
            if account.isFinal { streams[ObjectIdentifier(stream)] = nil }
        }
    }

    private func forget(_ stream: VerdictStream) {
        stream.timer?.cancel()
        guard streams.removeValue(forKey: ObjectIdentifier(stream)) != nil, let check = stream.check else { return }
        deploys.cancel(check)
    }
}

/// One answer that lasts until a verdict. Of states that nobody has read yet, only the latest waits.
private final class VerdictStream {
    var check: DeployThread.Check?
    /// Ends the wait for the first word.
    var timer: Scheduled<Void>?
    private let exchange: HTTPExchange
    private var hasBegun = false
    private var waiting: HostDeploy?

    init(_ exchange: HTTPExchange) { self.exchange = exchange }

    func refuse(_ answer: HTTPListener.Answer) {
        if hasBegun { exchange.end() } else { exchange.answer(answer.worded(isText: false)) }
    }

    func tell(_ account: HostDeploy) {
        if !hasBegun {
            hasBegun = true
            exchange.begin(contentType: "application/x-ndjson")
            exchange.writable = { [self] in goOn() }
        }
        waiting = account
        if exchange.isWritable { goOn() }
    }

    private func goOn() {
        guard let account = waiting else { return }
        waiting = nil
        exchange.send(account.json.bytes + [10])
        if account.isFinal { exchange.end() }
    }
}

extension HTTPListener.Answer {
    static var busy: Self {
        Self(.serviceUnavailable, "The agent does not answer in time: does a file system hang?", field: ("Retry-After", "5"))
    }

    init(_ refusal: DeployRefusal) { self.init(HTTPResponseStatus(statusCode: refusal.status), refusal.description) }

    init<Found>(_ result: Result<Found, DeployRefusal>, _ json: (Found) -> JSON) {
        switch result {
        case .success(let found): self.init(.ok, json: json(found))
        case .failure(let refusal): self.init(refusal)
        }
    }

    /// What a deploy script polls for: the token alone, or a word.
    init(_ status: ServiceStatus) {
        let host = status.host
        let state = if case .token = status.carried { "verified" } else { status.carried.description }
        // Without a deploy no worker is new or old.
        let workers = host.processes.count { $0.role == .worker }
        let counts = host.deploy == nil ? "workers=\(workers)" : "new=\(host.count(.new)); old=\(host.count(.old))"
        let told = "\(state); \(counts)" + (host.expectedWorkers.map { "; expected=\($0)" } ?? "")
        self.init(.ok, status.carried.description, field: ("X-Deploy-State", told))
    }

    /// Programs get a problem in JSON.
    func worded(isText: Bool) -> Self {
        guard status != .ok, contentType != "application/json", !isText else { return self }
        var text = body
        if text.hasSuffix(".") { text.removeLast() }
        return Self(status, json: ["problem": .string(text)], field: field)
    }
}
