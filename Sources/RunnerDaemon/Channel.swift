// From the words of `send alerts via ...` to a notifier's settings.

import AgentAPI
import Checks

/// Which notifier a channel means, with which settings, and for whom.
struct ChannelMeaning: Equatable {
    /// The notifier's word; `nil` says nothing to nobody.
    var notifier: String?
    var settings: [String: String] = [:]
    /// Each gets a message of its own; where there are no addresses, one empty one.
    var recipients = [""]
    /// What the channel calls a notifier's setting, where it is another word.
    var words: [String: String] = [:]
}

extension ChannelMeaning {
    private static let mailWords = ["server": "smtp_server", "from": "from_email", "user": "username"]

    /// - Parameters:
    ///   - host: this machine's name, from which mails come where nothing else is said.
    init(_ channel: AlertChannel, host: String) {
        var parameters = channel.parameters
        switch channel.kind {
        case "email":
            let user = parameters.removeValue(forKey: "username")
            let server = parameters.removeValue(forKey: "smtp_server")
            let port = parameters.removeValue(forKey: "tls_port")
            let from = parameters.removeValue(forKey: "from_email") ?? user.flatMap { $0.contains("@") ? $0 : nil } ?? Self.sender(on: host)
            recipients = Self.addresses(parameters.removeValue(forKey: "to_email"))
            settings = parameters
            settings["server"] = server.map { Self.address(of: $0, port: port, hasUser: user != nil) }
            settings["from"] = from
            settings["user"] = user
            // A relay of one's own often has no certificate that anybody trusts; a password never goes there in clear.
            if user == nil, port == nil { settings["encryption"] = "offered" }
            notifier = "mail"
            words = Self.mailWords
        case "gmail":
            let user = parameters.removeValue(forKey: "username")
            recipients = Self.addresses(parameters.removeValue(forKey: "to_email"))
            let from = parameters.removeValue(forKey: "from_email") ?? user
            settings = parameters
            settings["server"] = "smtp://smtp.gmail.com:587"
            settings["from"] = from
            settings["user"] = user
            notifier = "mail"
            words = Self.mailWords
        case "null": notifier = nil
        default:
            notifier = channel.kind
            settings = parameters
        }
    }

    /// `smtp.example.com`, `10.0.0.1:2525`, `[::1]:25`, `::1`: 465 speaks TLS from the first byte.
    private static func address(of server: String, port: String?, hasUser: Bool) -> String {
        var host = server
        var ownPort: String?
        if let colon = server.lastIndex(of: ":"), server[..<colon].firstIndex(of: ":") == nil || server[..<colon].hasSuffix("]") {
            host = String(server[..<colon])
            ownPort = String(server[server.index(after: colon)...])
        } else if server.contains(":"), !server.hasPrefix("[") {
            host = "[\(server)]"
        }
        let number = ownPort ?? port ?? (hasUser ? "587" : "25")
        return "\(number == "465" ? "smtps" : "smtp")://\(host):\(number)"
    }

    private static func addresses(_ text: String?) -> [String] { (text ?? "").split { $0 == "," || $0 == " " }.map(String.init) }

    private static func sender(on host: String) -> String {
        let isName = !host.isEmpty && host.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0 | 0x20) || $0 == 45 || $0 == 46 }
        return "rollcall@\(isName ? host : "localhost")"
    }
}
