// What tells that an answer comes from a cache, and not from the service.

/// A cache's answer says what the service answered once. Caches say so in headers, each in its own way.
enum CacheMarks {
    typealias Headers = [(name: String, value: String)]

    /// The header that shows it, as `Age: 12`; `nil`: the answer comes from the service, as far as can be told.
    static func mark(in headers: Headers) -> String? {
        headers.lazy.compactMap(mark).first ?? unstatedMark(in: headers)
    }

    private static func mark(of header: (name: String, value: String)) -> String? {
        let name = header.name.lowercased()
        let value = header.value.prefix(100)
        let words = words(of: header.value)
        let isCached =
            switch name {
            case "age": words.first.flatMap { Int($0) }.map { $0 > 0 } ?? false
            // The second number is that of the request which brought the answer.
            case "x-varnish": words.count > 1 && words.allSatisfy { Int($0) != nil }
            case "x-cache-hits": words.contains { Int($0).map { $0 > 0 } ?? false }
            // What caches beside it have, and what answers may be kept: neither is about this one.
            case "x-cache-lookup", "cache-control", "cdn-cache-control", "surrogate-control": false
            default: (name.contains("cache") || name == "server-timing") && words.contains(where: isHit)
            }
        return isCached ? "\(header.name): \(value)" : nil
    }

    /// A proxy that gives an age of 0 seconds may have it from its memory: unless it says that it has asked.
    private static func unstatedMark(in headers: Headers) -> String? {
        let names = Set(headers.map { $0.name.lowercased() })
        guard names.contains("age"), names.contains("via"), !names.contains("x-varnish"),
            !headers.contains(where: { $0.name.lowercased().contains("cache") && words(of: $0.value).contains(where: isMiss) })
        else { return nil }
        return headers.first { $0.name.lowercased() == "via" }.map { "\($0.name): \($0.value.prefix(80)), with Age: 0" }
    }

    private static func words(of value: String) -> [String] {
        value.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }

    /// `HIT`, `TCP_MEM_HIT`, `RefreshHit from cloudfront`, `stale`
    private static func isHit(_ word: String) -> Bool {
        word == "hit" || word.hasSuffix("hit") || ["stale", "updating", "revalidated"].contains(word)
    }

    private static func isMiss(_ word: String) -> Bool {
        word == "miss" || word.hasSuffix("miss") || ["bypass", "dynamic", "expired", "pass"].contains(word)
    }
}
