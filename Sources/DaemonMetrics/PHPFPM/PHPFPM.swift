// Asks PHP-FPM: the status page of one pool.

import Checks
import Platform
import Transfer

extension DaemonKind {
    /// Parameters: `socket`, or `hostname` and `port` (default 9000), where the pool listens, and `endpoint` (default /status), which is its
    /// `pm.status_path`; or `url`, where a web server hands the page on, with `username`, `password`, `password_file`, `ca_file`.
    static func phpFPM(_ transfers: Transfers) -> DaemonKind {
        DaemonKind(word: "php-fpm") { parameters in
            var reader = ParameterReader(parameters)
            if parameters["url"] != nil {
                let request = reader.page(port: nil, path: nil)
                let page = request.map { Page($0, remedy: remedy("/status")) { body, _ in poolStatus(body) } }
                return reader.finished(page.map { .fetching($0, "php-fpm", transfers) } as LoopReader?)
            }
            let listener = reader.listener(port: 9000)
            let path = reader.pagePath(default: "/status") ?? ""
            let question = Question(bytes: fastCGIRequest(path), answerName: "the status page") { received, _ in phpFPMAnswer(received, path) }
            return reader.finished(LoopReader.asking({ _ in question }, listener, "php-fpm", transfers))
        }
    }
}

private func remedy(_ path: String) -> String { "write `pm.status_path = \(path)` into the pool's configuration" }

/// What came back over FastCGI. `nil` when more must come.
func phpFPMAnswer(_ bytes: [UInt8], _ path: String) -> DaemonAnswer? {
    switch FastCGIReply.read(bytes) {
    case .incomplete: return nil
    case .garbage: return .failure(DaemonError("this is not FastCGI: \(seen(bytes))"))
    case .complete(let output):
        // As a CGI program: headers, an empty line, the page.
        guard let end = position(of: [13, 10, 13, 10], in: output[...]) else {
            return .failure(DaemonError("this is no answer of PHP: \(seen(output))"))
        }
        for header in Lines(Array(output[..<end])) where begins(header, with: "Status:") {
            let status = text(trimmed(header.dropFirst(7)))
            if !status.hasPrefix("200") {
                let isMissing = status.hasPrefix("403") || status.hasPrefix("404")
                return .failure(DaemonError("answers \(seen(status)) to \(path)\(isMissing ? ": \(remedy(path))" : "")"))
            }
        }
        return poolStatus(Array(output[(end + 4)...]))
    }
}

/// The numbers of the page in its plain form: lines `accepted conn: 5`, which is `accepted_conn` here.
func poolStatus(_ bytes: [UInt8]) -> DaemonAnswer {
    var told: [String: Double] = [:]
    for line in Lines(bytes) {
        guard let colon = position(of: UInt8(ascii: ":"), in: line), let value = number(trimmed(line[(colon + 1)...])) else { continue }
        var name = Array(line[..<colon])
        name.withUnsafeMutableBytes { letters in
            for index in 0..<letters.count where letters[index] == 32 || letters[index] == UInt8(ascii: "-") { letters[index] = UInt8(ascii: "_") }
        }
        told[text(name[...])] = value
    }
    guard told["accepted_conn"] != nil else { return .failure(DaemonError("this is not the status page of PHP-FPM: \(seen(bytes))")) }
    return .success(told)
}
