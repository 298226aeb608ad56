// Asks nginx: the page of its stub_status module.

import Checks
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 80), `endpoint` (default /status), or `url`; `username`, `password`, `password_file`, `ca_file`.
    static func nginx(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "nginx") { parameters in
            var reader = ParameterReader(parameters)
            let request = reader.page(port: 80, path: "/status")
            let remedy = "write `location = /status { stub_status; allow 127.0.0.1; deny all; }` into nginx's configuration"
            return reader.finished(
                request.map { .fetching(Page($0, remedy: remedy) { body, _ in nginxAnswer(body) }, "nginx", transfers) } as LoopReader?)
        }
    }
}

/// Seven numbers in four lines.
func nginxAnswer(_ bytes: [UInt8]) -> DaemonAnswer {
    let words = words(of: bytes[...], limit: 17)
    var told: [String: Double] = [:]
    let isPage =
        words.count == 16 && nginxWords.allSatisfy { index, word in isText(words[index], word) }
        && nginxNames.allSatisfy { index, name in
            told[name] = number(words[index])
            return told[name] != nil
        }
    return isPage ? .success(told) : .failure(DaemonError("this is not the page of stub_status: \(seen(bytes))"))
}

private let nginxWords: [(Int, StaticString)] = [
    (0, "Active"), (1, "connections:"), (3, "server"), (4, "accepts"), (5, "handled"), (6, "requests"), (10, "Reading:"), (12, "Writing:"),
    (14, "Waiting:"),
]

private let nginxNames = [
    (2, "Active_connections"), (7, "accepts"), (8, "handled"), (9, "requests"), (11, "Reading"), (13, "Writing"), (15, "Waiting"),
]
