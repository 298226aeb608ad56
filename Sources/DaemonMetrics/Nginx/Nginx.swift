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
    let words = bytes.split { $0 == 32 || $0 == 10 || $0 == 13 }
    let expected = [
        "Active", "connections:", nil, "server", "accepts", "handled", "requests", nil, nil, nil, "Reading:", nil, "Writing:", nil, "Waiting:", nil,
    ]
    guard words.count == expected.count, zip(words, expected).allSatisfy({ word, wanted in wanted.map { word.elementsEqual($0.utf8) } ?? true })
    else { return .failure(DaemonError("this is not the page of stub_status: \(seen(bytes))")) }
    let names = [2: "Active_connections", 7: "accepts", 8: "handled", 9: "requests", 11: "Reading", 13: "Writing", 15: "Waiting"]
    var told: [String: Double] = [:]
    for (index, name) in names {
        guard let value = number(words[index]) else { return .failure(DaemonError("this is not the page of stub_status: \(seen(bytes))")) }
        told[name] = value
    }
    return .success(told)
}
