// Asks Redis, and what speaks like it: Valkey, KeyDB.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `hostname`, `port` (default 6379), `socket`, `username`, `password`, `password_file`. A password without a username is
    /// that of the user `default`. The metrics are the numbers of INFO, and:
    /// - `keys`, `keys_with_expiry`: of all databases.
    /// - `master_link_up`: on a replica 1, or 0 when it has lost its master.
    static func redis(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "redis") { parameters in
            var reader = ParameterReader(parameters)
            let listener = reader.listener(port: 6379)
            let user = reader.text("username")
            let password = reader.password()
            if user != nil, parameters["password"] == nil, parameters["password_file"] == nil {
                reader.fault("password_file", "is missing: username needs a password")
            }
            let question = redisQuestion(user: user, password: password)
            return reader.finished(LoopReader.asking({ _ in question }, listener, "redis", secret: password, transfers))
        }
    }
}

func redisQuestion(user: String?, password: Secret?) -> Question {
    var commands: [[String]] = [["INFO"]]
    if let password { commands.insert(["AUTH"] + (user.map { [$0] } ?? []) + [password.reveal()], at: 0) }
    let bytes = commands.flatMap(redisCommand)
    return Question(bytes: bytes, answerName: "the answer to INFO") { received, _ in
        redisAnswer(received, hasAuthenticated: password != nil)
    }
}

/// An array of bulk strings, which may hold anything.
private func redisCommand(_ words: [String]) -> [UInt8] {
    Array("*\(words.count)\r\n".utf8) + words.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
}

/// What a server said to AUTH, if that was sent, and to INFO. `nil` when more must come.
func redisAnswer(_ bytes: [UInt8], hasAuthenticated: Bool) -> DaemonAnswer? {
    var at = 0
    if hasAuthenticated {
        switch RedisReply.read(bytes, at: &at) {
        case .incomplete: return nil
        case .failure(let text): return .failure(DaemonError(problem(text, of: "AUTH")))
        case .simple("OK"): break
        default: return .failure(DaemonError("its answer to AUTH is not in Redis's protocol: \(seen(bytes))"))
        }
    }
    switch RedisReply.read(bytes, at: &at) {
    case .incomplete: return nil
    case .failure(let text): return .failure(DaemonError(problem(text, of: "INFO")))
    case .bulk(let range): return .success(redisInfo(bytes[range]))
    default: return .failure(DaemonError("its answer to INFO is not in Redis's protocol: \(seen(bytes[min(at, bytes.count)...]))"))
    }
}

private func problem(_ text: String, of command: String) -> String {
    let remedy =
        switch text.split(separator: " ").first {
        case "NOAUTH": ": it wants a password: password_file"
        case "WRONGPASS": ": username or password is wrong"
        case "NOPERM": ": let the user run \(command) (ACL: +info)"
        default: ""
        }
    return "it refuses \(command): \(seen(text))\(remedy)"
}

/// The replies of RESP that can come here.
enum RedisReply: Equatable {
    case incomplete
    case simple(String)
    case failure(String)
    /// Where its bytes are.
    case bulk(Range<Int>)
    case somethingElse

    /// Reads the reply at `at`, and moves `at` behind it.
    static func read(_ bytes: [UInt8], at: inout Int) -> RedisReply {
        guard at < bytes.count else { return .incomplete }
        let kind = bytes[at]
        guard kind == UInt8(ascii: "+") || kind == UInt8(ascii: "-") || kind == UInt8(ascii: "$") else { return .somethingElse }
        guard let end = position(of: [13, 10], in: bytes[at...]) else { return bytes.count - at > 1024 ? .somethingElse : .incomplete }
        let line = bytes[(at + 1)..<end]
        guard kind == UInt8(ascii: "$") else {
            at = end + 2
            return kind == UInt8(ascii: "+") ? .simple(text(line)) : .failure(text(line))
        }
        guard line.count <= 9, let length = Int(text(line)), length >= 0 else { return .somethingElse }
        let start = end + 2
        guard bytes.count >= start + length + 2 else { return .incomplete }
        at = start + length + 2
        return .bulk(start..<(start + length))
    }
}

/// The numbers of INFO's text: lines `name:value`, headings that begin with `#`.
func redisInfo(_ bytes: ArraySlice<UInt8>) -> [String: Double] {
    var told: [String: Double] = [:]
    for line in Lines(Array(bytes)) where line.first != UInt8(ascii: "#") {
        guard let colon = position(of: UInt8(ascii: ":"), in: line) else { continue }
        let name = text(line[..<colon])
        let value = line[(colon + 1)...]
        if let number = number(value) {
            // -1 is how it says "never" and "not now".
            let isTime = name.hasSuffix("_time_sec") || name.hasSuffix("_seconds_ago")
            if !(isTime && number < 0) { told[name] = number }
        } else if name == "master_link_status" {
            told["master_link_up"] = text(value) == "up" ? 1 : 0
        } else if name.hasPrefix("db"), number(line[..<colon].dropFirst(2)) != nil {
            // db0:keys=1,expires=0,avg_ttl=0
            for part in commaSeparated(value) {
                if begins(part, with: "keys="), let count = number(part.dropFirst(5)) { told["keys", default: 0] += count }
                if begins(part, with: "expires="), let count = number(part.dropFirst(8)) { told["keys_with_expiry", default: 0] += count }
            }
        }
    }
    return told
}
