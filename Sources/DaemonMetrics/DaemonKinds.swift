// Every kind of daemon that can be asked for numbers.

public import Checks
public import Transfer

/// The kinds of daemons, each under its word.
public func daemonKinds(transfers: Transfers) -> [DaemonKind] { [] }

/// One kind of daemon: its word, and how parameters become somebody who asks it.
public struct DaemonKind {
    public var word: String
    public var make: (_ parameters: [String: String]) -> Result<any DaemonReader, SettingErrors>

    public init(word: String, make: @escaping (_ parameters: [String: String]) -> Result<any DaemonReader, SettingErrors>) {
        self.word = word
        self.make = make
    }
}
