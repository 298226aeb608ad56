// Delivers the agent's own alerts.

import AgentAPI
import Checks
import Messages
import Notifiers
import Platform

/// Hands each alert to the channel of its route, and tells how that went.
///
/// Everything here happens on the loop's thread.
final class Deliveries: @unchecked Sendable {
    /// How many messages may be on their way at a time.
    static let atOnce = 100

    private struct Channel {
        /// `nil` says nothing to nobody.
        var notifier: (any Notifier)?
        var recipients: [String]
        /// Before this the provider does not want to hear of us.
        var notBefore = Duration.zero
    }

    private let loop: Loop
    private let time = SystemTime()
    private let kinds: [String: NotifierKind]
    private let host: String
    private let tell: (RunnerAnswer) -> Void
    private var configured: [AlertChannel] = []
    private var channels: [String?: Result<Channel, DeliveryError>] = [:]
    private var underway = 0
    /// Who has got an alert that others have not got yet.
    private var served: [UInt64: Set<String>] = [:]

    /// - Parameter host: this machine's name, from which mails come where nothing else is said.
    init(loop: Loop, kinds: [NotifierKind], host: String, tell: @escaping (RunnerAnswer) -> Void) {
        self.loop = loop
        self.host = host
        self.kinds = Dictionary(kinds.map { ($0.word, $0) }, uniquingKeysWith: { first, _ in first })
        self.tell = tell
    }

    /// - Returns: what is wrong with the channels that cannot be used.
    func change(_ channels: [AlertChannel]) -> [String] {
        guard channels != configured else { return [] }
        configured = channels
        self.channels = Dictionary(channels.map { ($0.route, channel($0)) }, uniquingKeysWith: { first, _ in first })
        return channels.compactMap { if case .failure(let error)? = self.channels[$0.route] { "\(error)" } else { nil } }
    }

    private func channel(_ told: AlertChannel) -> Result<Channel, DeliveryError> {
        let name = told.route.map { "\(told.kind) of route \($0)" } ?? told.kind
        func wrong(_ problem: String) -> Result<Channel, DeliveryError> {
            .failure(DeliveryError(notifier: name, remedy: .correct, detail: problem))
        }
        let meaning = ChannelMeaning(told, host: host)
        guard let word = meaning.notifier else { return .success(Channel(recipients: [])) }
        guard let kind = kinds[word] else { return wrong("there is no such way to send alerts") }
        guard !meaning.recipients.isEmpty else { return wrong("to_email names nobody") }
        return kind.makeNotifier(name, meaning.settings.mapValues(Setting.text)).map { Channel(notifier: $0, recipients: meaning.recipients) }
            .mapError { errors in
                let problems = errors.all.map { SettingError(key: meaning.words[$0.key] ?? $0.key, problem: $0.problem).description }
                return DeliveryError(notifier: name, remedy: .correct, detail: problems.joined(separator: ", "))
            }
    }

    func deliver(_ alert: OutgoingAlert) {
        let channel: Channel
        switch channels[alert.route] {
        case nil: return tell(.undelivered(alert.id, why: "there is no way to send alerts to \(alert.route ?? "the default route")", mayRetry: false))
        case .failure(let error)?: return tell(.undelivered(alert.id, why: "\(error)", mayRetry: false))
        case .success(let value)?: channel = value
        }
        guard let notifier = channel.notifier else { return tell(.delivered(alert.id)) }
        let now = time.now().uptime
        guard channel.notBefore <= now else {
            let left = (channel.notBefore - now).microseconds / 1_000_000 + 1
            return tell(.undelivered(alert.id, why: "\(notifier.name): asked to wait for another \(left) s", mayRetry: true))
        }
        guard underway < Self.atOnce else { return tell(.undelivered(alert.id, why: "too many messages at once", mayRetry: true)) }
        underway += 1
        let recipients = channel.recipients.filter { !(served[alert.id]?.contains($0) ?? false) }
        let messages = recipients.map { message(alert, to: $0) }
        Task { [loop] in
            var (taken, failure) = ([String](), DeliveryError?.none)
            for message in messages {
                do throws(DeliveryError) {
                    try await notifier.deliver(message)
                    taken.append(message.recipient)
                } catch {
                    // One that may still work counts for more than one that never will.
                    if failure?.remedy != .retry { failure = error }
                }
            }
            loop.post { [taken, failure] in self.finish(alert, taken, failure) }
        }
    }

    private func finish(_ alert: OutgoingAlert, _ taken: [String], _ failure: DeliveryError?) {
        underway -= 1
        guard let failure else {
            served[alert.id] = nil
            return tell(.delivered(alert.id))
        }
        if failure.remedy == .retry {
            if let wait = failure.wait, case .success(var channel)? = channels[alert.route] {
                channel.notBefore = time.now().uptime + wait
                channels[alert.route] = .success(channel)
            }
            if !taken.isEmpty, served.count < 1000 { served[alert.id, default: []].formUnion(taken) }
        } else {
            served[alert.id] = nil
        }
        tell(.undelivered(alert.id, why: "\(failure)", mayRetry: failure.remedy == .retry))
    }

    private func message(_ alert: OutgoingAlert, to recipient: String) -> Message {
        Message(
            id: "\(alert.host)/\(alert.id)", recipient: recipient, subject: alert.subject, body: alert.body, createdAt: alert.at,
            occurrences: alert.events.map { event in
                Occurrence(
                    kind: event.kind.rawValue, at: event.at, host: alert.host, unit: event.unit, rule: event.rule,
                    importance: event.importance, detail: event.detail, effect: event.effect.inMessages, problem: event.problem)
            })
    }
}

extension Event.Effect {
    fileprivate var inMessages: Occurrence.Effect {
        switch self {
        case .begins: .begins
        case .ends: .ends
        case .none: .none
        }
    }
}
