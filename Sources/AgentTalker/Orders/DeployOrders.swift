// The aggregator's orders about deploys: prepared, judged and cancelled at once, and told as they go.

import AgentAPI
import AgentCore
import Compression
import DeployVerification
import Logging
import NIOCore
import Platform

/// The agent's end of the line of orders (see `OrderLine`): one question that is always open, and one message of answers at a time, each on a
/// connection of its own, so that neither waits for a report. Of each order under way only the newest answer waits to be sent.
///
/// Nothing is written down: what an agent loses by its end, the aggregator orders again, and each of these orders may be given twice.
///
/// It lives on the event loop.
final class DeployOrders {
    struct Timing: Sendable {
        /// How much longer than the aggregator means to wait its answer may take.
        var slack = Duration.seconds(10)
        /// How long a message of answers may take.
        var deadline = Duration.seconds(10)
        var firstRetry = Duration.milliseconds(250)
        /// Shorter than an aggregator that was started again waits for its agents before it calls a host unreachable.
        var lastRetry = Duration.seconds(5)
        /// An answer without orders that comes sooner is no patient aggregator's.
        var shortest = Duration.seconds(1)
    }

    private static let packedFrom = 1 << 10
    /// Of one message of answers, about.
    private static let messageBytes = 1 << 20

    private struct UnderWay {
        var check: DeployThread.Check?
        /// The state that was told last, and when.
        var told: (state: HostDeploy, at: Duration)?
        var isAnswered = false
    }

    private let deploys: DeployThread
    private let time: any TimeSource
    private let timing: Timing
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var configuration: CheckedConfiguration?

    private var line: AggregatorConnection?
    private var messages: AggregatorConnection?
    private var isSending = false
    private var retry: Scheduled<Void>?
    private var resend: Scheduled<Void>?
    private var lineBackoff: Backoff
    private var messageBackoff: Backoff
    private var underWay: [String: UnderWay] = [:]
    /// What the aggregator has not heard yet, the newest of each order.
    private var unsent: [String: OrderAnswer] = [:]

    init(deploys: DeployThread, time: any TimeSource, timing: Timing = Timing(), eventLoop: any EventLoop, logger: Logger) {
        self.deploys = deploys
        self.time = time
        self.timing = timing
        self.eventLoop = eventLoop
        self.logger = logger
        lineBackoff = Backoff(first: timing.firstRetry, last: timing.lastRetry)
        messageBackoff = Backoff(first: timing.firstRetry, last: timing.lastRetry)
    }

    /// Listens to this configuration's aggregator from now on. Orders under way stay: an aggregator that has not given them says so.
    func listen(as configuration: CheckedConfiguration) {
        hangUp()
        self.configuration = configuration
        lineBackoff.reset()
        messageBackoff.reset()
        call()
        send()
    }

    func close() {
        hangUp()
        configuration = nil
        for order in underWay.values { if let check = order.check { deploys.cancel(check) } }
        underWay = [:]
        unsent = [:]
    }

    private func hangUp() {
        retry?.cancel()
        resend?.cancel()
        line?.close()
        messages?.close()
        (line, messages, isSending) = (nil, nil, false)
    }

    // MARK: Asking

    private func call() {
        guard let connection = line ?? connect() else { return }
        line = connection
        let began = time.now().uptime
        let body = OrderCall(underWay: underWay.keys.sorted()).json.bytes
        connection.post(body, to: OrderLine.callPath, isPacked: false, deadline: .init(OrderLine.patience + timing.slack)) { [weak self] result in
            self?.called(result, since: began)
        }
    }

    private func called(_ result: Result<HTTPAnswer, ConnectionFailure>, since began: Duration) {
        guard case .success(let answer) = result, answer.status == 200, let handout = try? OrderHandout(JSON(parsing: answer.body, maximumDepth: 12))
        else {
            let why =
                switch result {
                case .success(let answer): "it answered HTTP \(answer.status)"
                case .failure(let failure): failure.why
                }
            logger.debug("no orders can be heard at present", metadata: ["why": "\(why)"])
            return callAgain(after: lineBackoff.next(chance: .random(in: 0..<1)))
        }
        let isTaken = take(handout)
        guard isTaken, !handout.isEmpty || time.now().uptime - began >= timing.shortest else {
            return callAgain(after: lineBackoff.next(chance: .random(in: 0..<1)))
        }
        lineBackoff.reset()
        call()
    }

    private func callAgain(after wait: Duration) {
        retry = after(wait) { $0.call() }
    }

    // MARK: Doing

    /// - Returns: false when something has to wait until others are done.
    private func take(_ handout: OrderHandout) -> Bool {
        for id in handout.over { forget(id) }
        for order in handout.orders where underWay[order.id] == nil {
            guard underWay.count < OrderLine.orders else {
                logger.warning("an order of the aggregator has to wait: too many are under way", metadata: ["most": "\(OrderLine.orders)"])
                return false
            }
            underWay[order.id] = UnderWay()
            switch order.request {
            case .failure(let error): finish(order.id, .refused(error.problem))
            case .success(let request): carryOut(request, order.id)
            }
        }
        return true
    }

    private func forget(_ id: String) {
        if let check = underWay.removeValue(forKey: id)?.check { deploys.cancel(check) }
        unsent[id] = nil
    }

    private func carryOut(_ request: AgentRequest, _ id: String) {
        let orders = NIOLoopBound(self, eventLoop: eventLoop)
        switch request {
        case .prepareDeploy(var preparation):
            guard isAllowed(request, about: preparation.id, of: [preparation.service], id) else { return }
            preparation.question = preparation.question.map { deploys.withOwnLogin($0, of: preparation.service) }
            deploys.prepare(preparation) { [eventLoop] result in
                let answer: AgentAnswer =
                    switch result {
                    case .success(let prepared): AgentAnswer(text: "deploy \(prepared.id) of \(prepared.service) is prepared\n", json: prepared.json)
                    case .failure(let refusal): .refused(refusal.description)
                    }
                eventLoop.execute { orders.value.finish(id, answer) }
            }
        case .checkDeploy(let check):
            // It is judged for the service that it was prepared for, whatever the order says.
            deploys.service(ofDeploy: check.deploy) { [eventLoop] known in
                eventLoop.execute { orders.value.judge(check, of: known, request, id) }
            }
        case .cancelDeploy(let deploy):
            deploys.service(ofDeploy: deploy) { [eventLoop] known in
                eventLoop.execute { orders.value.cancel(deploy, of: known, request, id) }
            }
        default: finish(id, .refused("this agent hears of `\(request.verb)` only with the answers to its reports"))
        }
    }

    private func judge(_ check: DeployCheck, of known: String?, _ request: AgentRequest, _ id: String) {
        guard underWay[id] != nil, isAllowed(request, about: check.deploy, of: [known, check.service].compactMap(\.self), id) else { return }
        var check = check
        check.question = check.question.map { question in
            (known ?? check.service).map { deploys.withOwnLogin(question, of: $0) } ?? question
        }
        let orders = NIOLoopBound(self, eventLoop: eventLoop)
        underWay[id]?.check = deploys.check(check) { [eventLoop] news in
            eventLoop.execute { orders.value.hear(news, id) }
        }
    }

    private func cancel(_ deploy: String, of known: String?, _ request: AgentRequest, _ id: String) {
        guard underWay[id] != nil, isAllowed(request, about: deploy, of: [known].compactMap(\.self), id) else { return }
        let orders = NIOLoopBound(self, eventLoop: eventLoop)
        deploys.end(deploy) { [eventLoop] refusal in
            let answer = refusal.map { AgentAnswer.refused($0.description) } ?? AgentAnswer(text: "deploy \(deploy) is over\n", json: [:])
            eventLoop.execute { orders.value.finish(id, answer) }
        }
    }

    /// What was ordered is logged without its token.
    private func isAllowed(_ request: AgentRequest, about deploy: String?, of services: [String], _ id: String) -> Bool {
        let what: Logger.Metadata = ["order": "\(request.verb)", "services": "\(services.joined(separator: ", "))", "deploy": "\(deploy ?? "")"]
        guard let configuration, configuration.allowedOrders.allow(request.verb, ofServices: services) else {
            logger.warning("an order of the aggregator was refused: it is not allowed here", metadata: what)
            finish(id, .refused(Self.notAllowed))
            return false
        }
        logger.notice("the aggregator ordered", metadata: what)
        return true
    }

    /// Names the line that is missing.
    static let notAllowed =
        "this agent does not let the aggregator see to deploys of this service: write `set aggregator_commands \"deploy\"` into its rollcall.conf"

    // MARK: Answering

    private func hear(_ news: DeployThread.News, _ id: String) {
        guard let order = underWay[id], !order.isAnswered else { return }
        switch news {
        case .refused(let refusal): finish(id, .refused(refusal.description))
        case .state(let state):
            let now = time.now().uptime
            if !state.isFinal, let told = order.told, told.state.isInTheStateOf(state), now - told.at < OrderLine.signOfLife { return }
            underWay[id]?.told = (state, now)
            say(OrderAnswer(id: id, isFinal: state.isFinal, answer: AgentAnswer(text: "\(state.state.rawValue)\n", json: state.json)))
        }
    }

    private func finish(_ id: String, _ answer: AgentAnswer) { say(OrderAnswer(id: id, isFinal: true, answer: answer)) }

    private func say(_ answer: OrderAnswer) {
        guard let order = underWay[answer.id], !order.isAnswered else { return }
        underWay[answer.id]?.isAnswered = answer.isFinal
        unsent[answer.id] = answer
        send()
    }

    private func send() {
        guard !isSending, !unsent.isEmpty, let connection = messages ?? connect() else { return }
        resend?.cancel()
        messages = connection
        isSending = true
        let (sent, body) = message()
        let packed = body.count > Self.packedFrom ? gzip(body) : nil
        connection.post(packed ?? body, to: OrderLine.answersPath, isPacked: packed != nil, deadline: .init(timing.deadline)) { [weak self] result in
            self?.sent(sent, result)
        }
    }

    /// What comes to be known first is what is final.
    private func message() -> ([OrderAnswer], [UInt8]) {
        var chosen: [OrderAnswer] = []
        var bytes = 0
        for answer in unsent.values.sorted(by: { ($0.isFinal ? 0 : 1, $0.id) < ($1.isFinal ? 0 : 1, $1.id) }) {
            let size = answer.json.bytes.count
            guard chosen.isEmpty || bytes + size <= Self.messageBytes else { break }
            bytes += size
            chosen.append(answer)
        }
        return (chosen, OrderAnswers(answers: chosen).json.bytes)
    }

    private func sent(_ sent: [OrderAnswer], _ result: Result<HTTPAnswer, ConnectionFailure>) {
        isSending = false
        guard case .success(let answer) = result, answer.status == 200, let handout = try? OrderHandout(JSON(parsing: answer.body)) else {
            // What cannot be taken will not be taken the next time.
            if case .success(let answer) = result, [400, 413].contains(answer.status) {
                logger.warning("the aggregator does not take the answer to its order", metadata: ["status": "\(answer.status)"])
                for answer in sent { forget(answer.id) }
            }
            resend = after(messageBackoff.next(chance: .random(in: 0..<1))) { $0.send() }
            return
        }
        messageBackoff.reset()
        for answer in sent where unsent[answer.id] == answer {
            unsent[answer.id] = nil
            if answer.isFinal { underWay[answer.id] = nil }
        }
        for id in handout.over { forget(id) }
        guard unsent.isEmpty else { return send() }
        guard underWay.isEmpty else { return }
        // Until the next deploy nothing is said on it.
        messages?.close()
        messages = nil
    }

    private func connect() -> AggregatorConnection? {
        guard let configuration, let aggregator = configuration.aggregator else { return nil }
        return AggregatorConnection(
            to: aggregator, userAgent: "rollcall-agent/\(configuration.version)", answerLimit: OrderLine.bytes, eventLoop: eventLoop)
    }

    private func after(_ wait: Duration, _ work: @escaping (DeployOrders) -> Void) -> Scheduled<Void> {
        eventLoop.assumeIsolated().scheduleTask(in: .init(wait)) { [weak self] in
            guard let self else { return }
            work(self)
        }
    }
}
