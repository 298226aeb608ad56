// Every kind of daemon that can be asked: one line each.

public import Checks
public import Transfer

/// One kind of daemon: its word, and how the parameters of a check (`with hostname ..., port ...`) become a reader.
public struct DaemonKind {
    /// As rules write it: `redis`.
    public var word: String
    /// Reads all parameters and reports every fault, not the first.
    public var make: (_ parameters: [String: String]) -> Result<any DaemonReader, SettingErrors>

    public init(word: String, make: @escaping (_ parameters: [String: String]) -> Result<any DaemonReader, SettingErrors>) {
        self.word = word
        self.make = make
    }
}

/// All kinds. Their readers live on the loop of `transfers`.
public func daemonKinds(transfers: Transfers) -> [DaemonKind] {
    [
        .redis(transfers),
        .memcached(transfers),
        .mysql("mysql", transfers),
        .mysql("mariadb", transfers),
        .nginx(transfers),
        .postgresql(transfers),
        .phpFPM(transfers),
        .haproxy(transfers),
        .memstats(transfers),
        .prometheus(transfers),
        .json(transfers),
    ]
}
