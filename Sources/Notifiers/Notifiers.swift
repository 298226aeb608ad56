// Every way to reach people that a configuration can name.

public import Checks
public import Messages
public import Transfer

/// The kinds of notifiers, each under its word.
public func notifierKinds(transfers: Transfers) -> [NotifierKind] {
    [
        .mail(transfers),
        .slack(transfers),
        .webhook(transfers),
        .pagerDuty(transfers),
    ]
}

/// One kind of notifier: its word, and how its settings become one.
public struct NotifierKind: Sendable {
    public var word: String
    /// Makes the notifier that the configuration calls `name`, or reports every fault of its settings.
    public var makeNotifier: @Sendable (_ name: String, _ settings: [String: Setting]) -> Result<any Notifier, SettingErrors>

    public init(
        word: String,
        makeNotifier: @escaping @Sendable (_ name: String, _ settings: [String: Setting]) -> Result<any Notifier, SettingErrors>
    ) {
        self.word = word
        self.makeNotifier = makeNotifier
    }
}
