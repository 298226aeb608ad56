import AgentAPI
import Platform
import Testing

@testable import RunnerDaemon

@Suite struct ChannelTests {
    private func meaning(_ kind: String, _ parameters: [String: String]) -> ChannelMeaning {
        ChannelMeaning(AlertChannel(route: nil, kind: kind, parameters: parameters), host: "web1.example.com")
    }

    @Test(
        arguments: [
            (["smtp_server": "mail.example.com"], "smtp://mail.example.com:25", "offered"),
            (["smtp_server": "mail.example.com", "username": "x"], "smtp://mail.example.com:587", nil),
            (["smtp_server": "mail.example.com", "tls_port": "2525"], "smtp://mail.example.com:2525", nil),
            (["smtp_server": "mail.example.com", "tls_port": "465", "username": "x"], "smtps://mail.example.com:465", nil),
            (["smtp_server": "10.0.0.1:26"], "smtp://10.0.0.1:26", "offered"), (["smtp_server": "[::1]:26"], "smtp://[::1]:26", "offered"),
            (["smtp_server": "::1"], "smtp://[::1]:25", "offered"), (["smtp_server": "[::1]"], "smtp://[::1]:25", "offered"),
        ] as [([String: String], String, String?)])
    func aMailServerIsFoundAsInspeqtorDoes(parameters: [String: String], server: String, encryption: String?) {
        let meaning = meaning("email", parameters)
        #expect(meaning.settings["server"] == server)
        #expect(meaning.settings["encryption"] == encryption)
    }

    @Test func mailsHaveASender() {
        #expect(meaning("email", [:]).settings["from"] == "rollcall@web1.example.com")
        #expect(meaning("email", ["username": "me@example.com"]).settings["from"] == "me@example.com")
        #expect(meaning("email", ["username": "me", "from_email": "a@b.c"]).settings["from"] == "a@b.c")
        #expect(ChannelMeaning(AlertChannel(route: nil, kind: "email", parameters: [:]), host: "a b").settings["from"] == "rollcall@localhost")
    }

    @Test func gmailKnowsItsServer() {
        let gmail = meaning("gmail", ["username": "me@gmail.com", "password": "p", "to_email": "a@b.c, d@e.f g@h.i"])
        #expect(gmail.notifier == "mail" && gmail.recipients == ["a@b.c", "d@e.f", "g@h.i"])
        #expect(gmail.settings == ["server": "smtp://smtp.gmail.com:587", "user": "me@gmail.com", "from": "me@gmail.com", "password": "p"])
    }

    @Test func othersAreCalledAsTheyAre() {
        #expect(meaning("null", ["x": "y"]) == ChannelMeaning(notifier: nil))
        #expect(meaning("slack", ["url": "u"]) == ChannelMeaning(notifier: "slack", settings: ["url": "u"]))
    }

    @Test func theRunnerGetsSecretsInsteadOfFiles() {
        let told = AlertChannel(route: nil, kind: "email", parameters: ["password_file": "/p", "ca_file": "/c", "to_email": "a@b.c"])
        #expect(told.revealed { $0 == "/p" ? Secret("hush") : nil }.parameters == ["password": "hush", "ca_file": "/c", "to_email": "a@b.c"])
        #expect(told.revealed { _ in nil }.parameters == ["ca_file": "/c", "to_email": "a@b.c"])
    }
}
