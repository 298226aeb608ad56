// Opens and resolves incidents at PagerDuty.

import Checks
import Messages
import Platform
import Transfer

extension NotifierKind {
    /// Settings:
    /// - `routing_key`, or the file that holds it as `routing_key_file` (required): of an integration of the kind "Events API v2".
    /// - `url` (default `https://events.pagerduty.com/v2/enqueue`): where to post, for proxies and for the service in the EU.
    /// - `ca_file`: the authorities to trust instead of the system's.
    static func pagerDuty(_ transfers: Transfers) -> NotifierKind {
        NotifierKind(word: "pagerduty") { name, settings in
            var reader = SettingReader(settings)
            let key = reader.requiredSecret("routing_key")
            let address = reader.webAddress("url", reader.text("url") ?? "https://events.pagerduty.com/v2/enqueue")
            let authorities = reader.readableFile("ca_file")
            guard let key, let address else { return reader.finished(nil) }
            return reader.finished(
                PagerDutyNotifier(
                    name: name, key: key,
                    post: JSONPost(
                        notifier: name, endpoint: address.endpoint, authorities: authorities, credentials: address.credentials, secrets: [key],
                        transfers: transfers)) as any Notifier)
        }
    }
}

/// Delivers what a message is about, one call for each problem: the beginning of a problem triggers an incident, its end resolves the same.
/// A repeated delivery changes nothing. A message of which only the text is known opens an incident that somebody has to resolve by hand.
struct PagerDutyNotifier: Notifier {
    let name: String
    let key: Secret
    let post: JSONPost

    func deliver(_ message: Message) async throws(DeliveryError) {
        for call in Self.calls(message) {
            let json: JSON = .object([.init("routing_key", .string(key.reveal()))] + (call.members ?? []))
            try await post.send(json.bytes)
        }
    }

    /// What to post, without the key. Of several things that happened to one problem the last one counts: who is called for what is over
    /// already has been called for nothing.
    static func calls(_ message: Message) -> [JSON] {
        guard !message.occurrences.isEmpty else {
            return [
                [
                    "event_action": "trigger", "dedup_key": .string(shortened(message.id)),
                    "payload": [
                        "summary": .string(cut(message.subject)), "source": "rollcall", "severity": "error",
                        "timestamp": .string(message.createdAt.text()), "custom_details": ["text": .string(String(message.body.prefix(4000)))],
                    ],
                ]
            ]
        }
        var last: [String: Int] = [:]
        for (index, occurrence) in message.occurrences.enumerated() { last[dedupKey(occurrence)] = index }
        return last.values.sorted().map { call(message.occurrences[$0], of: message) }
    }

    private static func call(_ occurrence: Occurrence, of message: Message) -> JSON {
        guard occurrence.effect != .ends else { return ["event_action": "resolve", "dedup_key": .string(dedupKey(occurrence))] }
        var details: [JSON.Member] = [.init("host", .string(occurrence.host)), .init("detail", .string(String(occurrence.detail.prefix(4000))))]
        if let rule = occurrence.rule { details.append(.init("rule", .string(rule))) }
        var payload: [JSON.Member] = [
            .init("summary", .string(cut(summary(occurrence, of: message)))), .init("source", .string(occurrence.host)),
            .init("severity", .string(severity(occurrence))), .init("timestamp", .string(occurrence.at.text())),
            .init("class", .string(occurrence.kind)),
        ]
        if let unit = occurrence.unit { payload.append(.init("component", .string(unit))) }
        payload.append(.init("custom_details", .object(details)))
        return ["event_action": "trigger", "dedup_key": .string(dedupKey(occurrence)), "client": "Rollcall", "payload": .object(payload)]
    }

    private static func summary(_ occurrence: Occurrence, of message: Message) -> String {
        if message.occurrences.count == 1 { return message.subject }
        let subject = occurrence.unit.map { "\($0) on \(occurrence.host)" } ?? occurrence.host
        let words = occurrence.kind.split(separator: "_").joined(separator: " ")
        return "\(subject): \(occurrence.detail.isEmpty ? words : occurrence.detail)"
    }

    private static func severity(_ occurrence: Occurrence) -> String {
        switch occurrence.importance {
        case .critical: "critical"
        case .error: "error"
        case .warning: "warning"
        case nil: occurrence.effect == .begins ? "error" : "warning"
        }
    }

    static func dedupKey(_ occurrence: Occurrence) -> String { shortened("\(occurrence.host)/\(occurrence.problem)") }

    /// PagerDuty takes 255 characters.
    private static func shortened(_ key: String) -> String {
        guard key.utf8.count > 255 else { return key }
        return sha256(of: Array(key.utf8)).map { "\(key.prefix(40))/\(hex($0))" } ?? String(key.prefix(120))
    }

    /// PagerDuty takes 1024 characters.
    private static func cut(_ text: String) -> String { text.count <= 1000 ? text : text.prefix(999) + "…" }
}
