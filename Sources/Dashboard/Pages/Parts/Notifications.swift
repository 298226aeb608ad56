// Who was told, when, by what, or why not yet.

import AggregatorCore
import Messages
import Platform

func notificationTable(_ notifications: [NotificationRecord], at now: Timestamp) -> HTML {
    var rows: [[Cell]] = []
    for record in notifications {
        rows.append([
            Cell("name") { record.message.subject },
            Cell("address") {
                record.message.recipient
                span(.class("under")) { "by \(record.notifier)" }
            },
            Cell {
                Badge(record.state).html
                if let outcome = outcome(of: record) { span(.class("under")) { outcome } }
            },
            Cell { shortMoment(record.sentAt ?? record.message.createdAt, now: now) },
        ])
    }
    return dataTable(caption: "Notifications, newest first", columns: ["Message", "To", "Delivery", "When"], rows: rows)
}

/// What is known beyond the state; `nil` for a message that went out at once.
func outcome(of record: NotificationRecord) -> String? {
    let problem = record.problem.map { ": \($0)" } ?? ""
    switch record.state {
    case .sent: return record.attempts > 1 ? "at attempt \(record.attempts)" : nil
    case .pending where record.attempts == 0: return "about to be sent"
    case .pending: return "\(counted(record.attempts, "attempt")) failed, will be tried again\(problem)"
    case .failed: return "after \(counted(record.attempts, "attempt"))\(problem)"
    }
}
