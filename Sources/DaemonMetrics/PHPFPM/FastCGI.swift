// FastCGI, as far as one GET needs it (FastCGI specification 1.0).

/// A GET of `path`, which may have a query.
func fastCGIRequest(_ path: String) -> [UInt8] {
    let parts = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let variables = [
        ("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", parts[0]), ("SCRIPT_FILENAME", parts[0]), ("REQUEST_URI", path),
        ("QUERY_STRING", parts.count > 1 ? parts[1] : ""), ("SERVER_PROTOCOL", "HTTP/1.1"), ("GATEWAY_INTERFACE", "CGI/1.1"),
    ]
    let parameters = variables.flatMap { name, value in length(name) + length(value) + Array(name.utf8) + Array(value.utf8) }
    // The responder role; the connection is not kept.
    return record(1, [0, 1, 0, 0, 0, 0, 0, 0]) + record(4, parameters) + record(4, []) + record(5, [])
}

private func record(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
    let content = content.prefix(65535)
    return [1, type, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 255), 0, 0] + content
}

private func length(_ text: String) -> [UInt8] {
    let count = min(text.utf8.count, 65535)
    return count < 128 ? [UInt8(count)] : [128, 0, UInt8(count >> 8), UInt8(count & 255)]
}

/// The records of an answer, put together.
enum FastCGIReply: Equatable {
    case incomplete
    /// What it wrote to its output.
    case complete([UInt8])
    case garbage

    static func read(_ bytes: [UInt8]) -> FastCGIReply {
        var output: [UInt8] = []
        var at = 0
        while bytes.count - at >= 8 {
            let (version, type) = (bytes[at], bytes[at + 1])
            let length = Int(bytes[at + 4]) << 8 | Int(bytes[at + 5])
            // The answers to request 1: its end, its output, its errors.
            guard version == 1, bytes[at + 2] == 0, bytes[at + 3] == 1, [3, 6, 7].contains(type) else { return .garbage }
            if type == 3 { return .complete(output) }
            let start = at + 8
            guard bytes.count >= start + length else { return .incomplete }
            if type == 6 { output += bytes[start..<(start + length)] }
            at = start + length + Int(bytes[at + 6])
        }
        // What begins differently will not become FastCGI.
        return at < bytes.count && bytes[at] != 1 ? .garbage : .incomplete
    }
}
