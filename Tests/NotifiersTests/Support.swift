// What all notifiers' tests need.

import Checks
import Messages
import Notifiers
import Platform
import TestKit
import Testing
import Transfer

let noon = Timestamp("2026-11-21T03:04:05Z")!

func occurrence(
    _ kind: String = "unit_down", unit: String? = "puma.service", rule: String? = nil, _ importance: Importance? = .error,
    _ detail: String = "killed by SIGKILL", _ effect: Occurrence.Effect = .begins, problem: String = "down puma.service"
) -> Occurrence {
    Occurrence(kind: kind, at: noon, host: "web1", unit: unit, rule: rule, importance: importance, detail: detail, effect: effect, problem: problem)
}

func notice(subject: String = "[error] puma.service on web1 is down", body: String = "puma.service is down\n", _ occurrences: [Occurrence] = [])
    -> Message
{
    Message(id: "web1/42", recipient: "", subject: subject, body: body, createdAt: noon, occurrences: occurrences)
}

func make(_ word: String, _ settings: [String: String], _ transfers: Transfers) throws -> any Notifier {
    let kind = try #require(notifierKinds(transfers: transfers).first { $0.word == word })
    return try kind.makeNotifier("ops", settings.mapValues(Setting.text)).get()
}

/// What is wrong with settings, one text for each fault.
func faults(_ word: String, _ settings: [String: String], _ transfers: Transfers) throws -> [String] {
    let kind = try #require(notifierKinds(transfers: transfers).first { $0.word == word })
    switch kind.makeNotifier("ops", settings.mapValues(Setting.text)) {
    case .success: return []
    case .failure(let errors): return errors.all.map(\.description)
    }
}

func refusal(_ notifier: any Notifier, _ message: Message) async throws -> DeliveryError {
    do throws(DeliveryError) { try await notifier.deliver(message) } catch { return error }
    throw NeverHappened(description: "it was delivered")
}
