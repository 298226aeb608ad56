import Checks
import Foundation
import Messages
import Platform
import TestKit
import Testing
import Transfer

@testable import Notifiers

private func message(to recipient: String = "ops@example.com", subject: String = "CRITICAL: shop", body: String = "puma.service is down") -> Message {
    Message(id: "17/42", recipient: recipient, subject: subject, body: body, createdAt: Timestamp("2026-11-21T03:04:05Z")!)
}

@Suite struct MailMessageTests {
    @Test func aPlainMail() throws {
        let body = "puma.service on web1 is down: killed by SIGKILL\n\nSince 03:04:05 UTC.\n.hidden line\nRunbook: https://example.com/runbook\n"
        try expectGolden(MailMessage(message(body: body), from: "rollcall@example.com").text, "plain.eml")
    }

    @Test func aMailInAnyLanguage() throws {
        let subject = "КРИТИЧНО: магазин не відповідає уже 5 хвилин — €100 = 🚒, and a long tail that needs a second and a third line"
        let body = "Prüfung »Startseite« schlägt fehl: 503 = kaputt\r\n" + String(repeating: "überlang ", count: 40) + "\nends with blanks  \n🚒\n"
        try expectGolden(MailMessage(message(subject: subject, body: body), from: "rollcall@example.com").text, "encoded.eml")
    }

    @Test(arguments: ["a\r\nBcc: everybody@example.com", "a\nBcc: everybody@example.com\n\nHello", "a\u{0}b\rc", "é\r\nBcc: x@example.com"])
    func aSubjectBringsNoHeader(subject: String) throws {
        let text = MailMessage(message(subject: subject), from: "rollcall@example.com").text
        let headers = try #require(text.components(separatedBy: "\r\n\r\n").first)
        #expect(!headers.contains("\r\nBcc:"))
        #expect(headers.components(separatedBy: "\r\n").count { $0.hasPrefix("Subject: ") } == 1)
        #expect(headers.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value < 127 || $0 == "\r" || $0 == "\n" })
    }

    @Test func noLineIsTooLong() {
        for subject in [String(repeating: "word ", count: 300), String(repeating: "x", count: 3000), String(repeating: "ü", count: 500)] {
            let text = MailMessage(message(subject: subject, body: String(repeating: "long ", count: 5000)), from: "rollcall@example.com").text
            #expect(text.components(separatedBy: "\r\n").allSatisfy { $0.utf8.count <= 998 })
        }
    }

    @Test func theSameMessageIsTheSameMail() {
        #expect(MailMessage(message(), from: "a@example.com").text == MailMessage(message(), from: "a@example.com").text)
    }

    @Test(arguments: [
        ("ops@example.com", true), ("o.p+s-1_2@sub.example.com", true), ("ops@localhost", true),
        ("", false), ("ops", false), ("@example.com", false), ("ops@", false), ("a@b@c", false), ("a b@example.com", false),
        ("ops@example.com\r\nBcc: x@example.com", false), ("<ops@example.com>", false), ("a@b.c,d@e.f", false), ("öps@example.com", false),
        ("Ops <ops@example.com>", false),
    ])
    func anAddressIsBare(text: String, expected: Bool) {
        #expect(MailMessage.isAddress(text) == expected)
    }
}

@Suite struct EmailNotifierTests {
    private let transfers = try! Transfers()

    private func notifier(_ bed: MailBed, _ change: (inout MailConfiguration) -> Void = { _ in }) throws -> EmailNotifier {
        var configuration = MailConfiguration(server: try Endpoint.parse(bed.server, schemes: ["smtp"]).0, from: "rollcall@example.com")
        configuration.credentials = Credentials(user: bed.user, password: Secret(bed.password))
        configuration.authorities = bed.authority
        change(&configuration)
        return EmailNotifier(configuration: configuration, transfers: transfers)
    }

    private func failure(_ notifier: EmailNotifier, _ message: Message) async throws -> DeliveryError {
        do throws(DeliveryError) { try await notifier.deliver(message) } catch { return error }
        throw Delivered()
    }

    private struct Delivered: Error {}

    @Test func aMailArrivesEncryptedAndLoggedInAsItWasWritten() async throws {
        let bed = try await MailBed()
        let body = "first\n.\n..\nÜberlang: " + String(repeating: "x ", count: 600) + "\nlast"
        try await notifier(bed).deliver(message(subject: "Störung", body: body))
        let mails = try bed.mails()
        #expect(mails.count == 1)
        let mail = try #require(mails.first)
        #expect(mail.tls)
        #expect(mail.user == bed.user)
        #expect(mail.from == "rollcall@example.com")
        #expect(mail.to == ["ops@example.com"])
        // Python's own mail reader says what a person would read.
        let read = try await bed.read(mail)
        #expect(read.subject == "Störung")
        #expect(read.body == body + "\n")
        #expect(read.id == "<17_2f42@example.com>")
    }

    @Test func refusalsSayWhetherToTryAgain() async throws {
        let bed = try await MailBed()
        let notifier = try notifier(bed)
        let rejected = try await failure(notifier, message(to: "reject@example.com"))
        #expect(rejected == DeliveryError(notifier: "mail", remedy: .correct, detail: "the server refused: 550 5.1.1 no such user"))
        let later = try await failure(notifier, message(to: "tempfail@example.com"))
        #expect(later == DeliveryError(notifier: "mail", remedy: .retry, detail: "the server refused: 451 4.3.0 try again later"))
        let full = try await failure(notifier, message(to: "full@example.com"))
        #expect(full == DeliveryError(notifier: "mail", remedy: .correct, detail: "the server refused: 552 5.2.2 mailbox full"))
        let dropped = try await failure(notifier, message(to: "drop@example.com"))
        #expect(dropped.remedy == .retry)
        #expect(try bed.mails().isEmpty)
    }

    @Test func aGreylistedMailIsTakenTheSecondTime() async throws {
        let bed = try await MailBed()
        let notifier = try notifier(bed)
        #expect(try await failure(notifier, message(to: "greylist@example.com")).remedy == .retry)
        try await notifier.deliver(message(to: "greylist@example.com"))
        #expect(try bed.mails().map(\.to) == [["greylist@example.com"]])
    }

    @Test func aWrongPasswordIsForPeopleAndNotInTheError() async throws {
        let bed = try await MailBed()
        let error = try await failure(notifier(bed) { $0.credentials = Credentials(user: bed.user, password: Secret("not-the-password")) }, message())
        #expect(error.remedy == .correct)
        #expect(error.detail.contains("535"))
        #expect(!error.detail.contains("not-the-password"))
    }

    @Test func withoutEncryptionNothingIsSent() async throws {
        let bed = try await MailBed(startTLS: false)
        let error = try await failure(notifier(bed), message())
        #expect(error == DeliveryError(notifier: "mail", remedy: .retry, detail: "the server offers no STARTTLS"))
        #expect(try bed.mails().isEmpty)
        try await notifier(bed) { configuration in
            configuration.encryption = .offered
            configuration.credentials = nil
        }.deliver(message())
        #expect(try bed.mails().map(\.tls) == [false])
    }

    @Test func anUntrustedOrMissingServerIsTriedAgain() async throws {
        let bed = try await MailBed()
        #expect(try await failure(notifier(bed) { $0.authorities = nil }, message()).remedy == .retry)
        await bed.stop()
        let refused = try await failure(notifier(bed), message())
        #expect(refused == DeliveryError(notifier: "mail", remedy: .retry, detail: "connection refused"))
    }

    @Test func aRecipientThatIsNoAddressIsNotEvenTried() async throws {
        let notifier = EmailNotifier(
            configuration: MailConfiguration(server: try Endpoint.parse("smtp://127.0.0.1:1", schemes: ["smtp"]).0, from: "a@example.com"),
            transfers: transfers)
        #expect(try await failure(notifier, message(to: "ops@example.com\r\nRCPT TO:<x@example.com>")).remedy == .correct)
    }

    @Test(
        arguments: [
            ([:], ["server is missing", "from is missing"]),
            (
                ["server": .text("mail.example.com"), "from": .text("ops")],
                ["server must begin with smtp:// or smtps://", "from must be an address like rollcall@example.com"]
            ),
            (
                ["server": .text("smtp://me:pass@mail.example.com"), "from": .text("a@b.c")],
                ["server must not hold a user or password: use user and password_file"]
            ),
            (
                ["server": .text("smtp://mail.example.com"), "from": .text("a@b.c"), "encryption": .text("maybe")],
                ["encryption must be required, offered or none"]
            ),
            (["server": .text("smtp://mail.example.com:587"), "from": .text("a@b.c"), "tls": .text("yes")], ["tls is not a setting here"]),
        ] as [([String: Setting], [String])])
    func everyFaultOfTheSettingsIsNamed(settings: [String: Setting], expected: [String]) throws {
        let kind = try #require(notifierKinds(transfers: transfers).first { $0.word == "mail" })
        guard case .failure(let errors) = kind.makeNotifier("ops", settings) else { return #expect(expected.isEmpty) }
        #expect(errors.all.map(\.description) == expected)
    }

    @Test func goodSettingsMakeANotifierWithTheirName() throws {
        let kind = try #require(notifierKinds(transfers: transfers).first { $0.word == "mail" })
        let notifier = try kind.makeNotifier("ops", ["server": .text("smtps://mail.example.com"), "from": .text("a@b.c")]).get()
        #expect(notifier.name == "ops")
    }
}
