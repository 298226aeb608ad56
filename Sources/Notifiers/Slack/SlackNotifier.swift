// Posts messages into a room of a chat.

import Checks
import Messages
import Platform
import Transfer

extension NotifierKind {
    /// An incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat, Discord (its address with `/slack` behind it).
    ///
    /// Settings:
    /// - `url`, or the file that holds it as `url_file` (required): the webhook's address; who knows it can post there.
    /// - `icon_emoji`: what stands beside the messages, such as `:ghost:`, where the service lets a webhook choose that.
    /// - `ca_file`: the authorities to trust instead of the system's.
    static func slack(_ transfers: Transfers) -> NotifierKind {
        NotifierKind(word: "slack") { name, settings in
            var reader = SettingReader(settings)
            let address = reader.webAddress("url")
            let icon = reader.text("icon_emoji")
            let authorities = reader.readableFile("ca_file")
            return reader.finished(
                address.map { address in
                    SlackNotifier(
                        name: name, icon: icon,
                        post: JSONPost(
                            notifier: name, endpoint: address.endpoint, authorities: authorities, credentials: address.credentials,
                            secrets: address.endpoint.secrets, transfers: transfers)) as any Notifier
                })
        }
    }
}

/// Delivers messages to the room of an incoming webhook. The room comes with the address; a message's recipient means nothing here.
struct SlackNotifier: Notifier {
    let name: String
    let icon: String?
    let post: JSONPost

    /// Discord refuses more than 2000 characters; what is longer is no chat.
    static let longestText = 1900

    func deliver(_ message: Message) async throws(DeliveryError) {
        var members = [JSON.Member("text", .string(Self.text(message)))]
        if let icon { members.append(JSON.Member("icon_emoji", .string(icon))) }
        try await post.send(JSON.object(members).bytes)
    }

    /// The subject in bold, and the body as it is, in a block of its own.
    static func text(_ message: Message) -> String {
        let subject = escaped(message.subject, limit: 400)
        // A fence within the text would end the block.
        let body = message.body.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "'")
        let lines = String(body.prefix { $0 != "\0" }.reversed().drop { $0.isNewline || $0 == " " }.reversed())
        guard !lines.isEmpty else { return "*\(subject)*" }
        let room = longestText - subject.count - "**\n```\n\n```".count
        return "*\(subject)*\n```\n\(escaped(lines, limit: room))\n```"
    }

    /// Slack's three special characters, and no more than `limit` characters after that.
    private static func escaped(_ text: String, limit: Int) -> String {
        var out = ""
        var count = 0
        for character in text {
            let piece =
                switch character {
                case "&": "&amp;"
                case "<": "&lt;"
                case ">": "&gt;"
                default: String(character)
                }
            guard count + piece.count < limit else { return out + "…" }
            out += piece
            count += piece.count
        }
        return out
    }
}
