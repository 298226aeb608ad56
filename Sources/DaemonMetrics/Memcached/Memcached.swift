// Asks memcached.

import Checks
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 11211), `socket`. The metrics are the numbers of `stats`.
    static func memcached(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "memcached") { parameters in
            var reader = ParameterReader(parameters)
            let listener = reader.listener(port: 11211)
            let question = Question(bytes: Array("stats\r\n".utf8), answerName: "the answer to stats") { received, _ in memcachedAnswer(received) }
            return reader.finished(LoopReader.asking({ _ in question }, listener, "memcached", transfers))
        }
    }
}

/// The numbers of `STAT name value` lines, up to END. `nil` when more must come.
func memcachedAnswer(_ bytes: [UInt8]) -> DaemonAnswer? {
    // Looked for first, so that a long answer is read once and not with each of its pieces.
    let isWhole = bytes.count >= 5 && isText(bytes[(bytes.count - 5)...], "END\r\n")
    var told: [String: Double] = [:]
    for line in Lines(bytes) {
        if isText(line, "END") { return .success(told) }
        // The last line may be half of one.
        if !isWhole, line.endIndex == bytes.count { return nil }
        let words = words(of: line, limit: 4)
        guard words.count >= 2, isText(words[0], "STAT") else {
            let isRefusal = isText(line, "CLIENT_ERROR unauthenticated")
            return .failure(
                DaemonError(
                    isRefusal
                        ? "it wants a password, and there is no way to give it one: let it listen without, on a socket"
                        : "this is no answer to stats: \(seen(line))"))
        }
        if words.count == 3, let value = number(words[2]) { told[text(words[1])] = value }
    }
    return nil
}
