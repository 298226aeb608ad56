// Posts messages as JSON to a program of the operator's own.

import Checks
import Messages
import Platform
import Transfer

extension NotifierKind {
    /// What is posted is described in <doc:Webhook>.
    ///
    /// Settings:
    /// - `url`, or the file that holds it as `url_file` (required): where to post; a user and a password in it are sent as basic
    ///   authentication.
    /// - `secret`, or the file that holds it as `secret_file`: signs what is posted, so that the receiver knows who it is from.
    /// - `token`, or the file that holds it as `token_file`: sent as `Authorization: Bearer`.
    /// - `ca_file`: the authorities to trust instead of the system's.
    static func webhook(_ transfers: Transfers) -> NotifierKind {
        NotifierKind(word: "webhook") { name, settings in
            var reader = SettingReader(settings)
            let address = reader.webAddress("url")
            let secret = reader.secret("secret")
            let token = reader.secret("token")
            if let token, !HTTPRequest.canSend(name: "Authorization", value: token.reveal()) {
                reader.fault("token", "holds a character that a header cannot hold")
            }
            if token != nil, address?.credentials != nil { reader.fault("token", "and a password in url are both there: one of them is enough") }
            let authorities = reader.readableFile("ca_file")
            return reader.finished(
                address.map { address in
                    WebhookNotifier(
                        name: name,
                        post: JSONPost(
                            notifier: name, endpoint: address.endpoint, authorities: authorities, credentials: address.credentials,
                            secrets: address.endpoint.secrets + [secret, token].compactMap { $0 }, transfers: transfers),
                        secret: secret, token: token) as any Notifier
                })
        }
    }
}

/// Delivers messages as JSON, signed when there is a secret.
struct WebhookNotifier: Notifier {
    let name: String
    let post: JSONPost
    let secret: Secret?
    let token: Secret?

    func deliver(_ message: Message) async throws(DeliveryError) {
        let body = Self.json(message).bytes
        var headers: [(name: String, value: String)] = []
        if let secret {
            guard let signature = hmacSHA256(of: body, key: Array(secret.reveal().utf8)) else {
                throw DeliveryError(notifier: name, remedy: .correct, detail: "libcrypto refuses to compute HMAC-SHA256")
            }
            headers.append(("X-Rollcall-Signature", "sha256=\(hex(signature))"))
        }
        if let token { headers.append(("Authorization", "Bearer \(token.reveal())")) }
        try await post.send(body, headers: headers)
    }

    static func json(_ message: Message) -> JSON {
        [
            "version": 1, "id": .string(message.id), "at": .string(message.createdAt.text()), "subject": .string(message.subject),
            "text": .string(message.body), "recipient": message.recipient.isEmpty ? .null : .string(message.recipient),
            "events": .array(message.occurrences.map(json)),
        ]
    }

    private static func json(_ occurrence: Occurrence) -> JSON {
        [
            "kind": .string(occurrence.kind), "at": .string(occurrence.at.text()), "host": .string(occurrence.host),
            "unit": JSON(occurrence.unit), "rule": JSON(occurrence.rule), "importance": JSON(occurrence.importance?.rawValue),
            "detail": .string(occurrence.detail), "effect": .string(occurrence.effect.rawValue), "problem": .string(occurrence.problem),
        ]
    }
}
