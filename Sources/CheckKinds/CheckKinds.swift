// Every kind of check that a configuration can name.

public import Checks
public import Transfer

/// The kinds of checks, each under its word.
public func checkKinds(transfers: Transfers) -> [CheckKind] {
    [
        .http(transfers)
    ]
}
