// What a worker answers, read piece by piece as it comes.

import Compression

/// An answer, as far as it matters.
struct WorkerReply: Equatable, Sendable {
    var status: Int
    var location: String?
    var retryAfter: String?
    var contentType: String?
    /// How the body is packed where it could not be unpacked; `nil`: it is as it was meant.
    var packing: String?
    var body: [UInt8] = []
    /// There was more of it than is read.
    var isCut = false
}

/// Reads one answer of HTTP/1, or of a CGI program, within bounds: whole as soon as its length or its last chunk says so.
struct HTTPReader {
    static let headLimit = 16 << 10
    static let bodyLimit = 16 << 10
    private static let chunkLineLimit = 1024

    enum Progress: Equatable {
        case reading
        case whole(WorkerReply)
        case broken(Breakage)
    }

    enum Breakage: Equatable {
        /// Records of TLS, as a server sends that was asked without it.
        case tls
        case notHTTP
        case endlessHead
        case badLength
        case badChunk
        /// It ended before it was over.
        case truncated
    }

    private enum Part {
        case head
        case length(Int)
        case chunkSize
        case chunk(Int)
        case endOfChunk
        case untilEnd
    }

    private let isCGI: Bool
    private var part = Part.head
    private var waiting: [UInt8] = []
    /// Where the search for the head's end continues.
    private var searched = 0
    private var headBytes = 0
    private var reply = WorkerReply(status: 0)

    /// - Parameter isCGI: the answer has no line of status, and ends with its stream.
    init(isCGI: Bool = false) { self.isCGI = isCGI }

    /// Whether nothing has come so far.
    var isEmpty: Bool { headBytes == 0 && waiting.isEmpty }

    mutating func take(_ bytes: some Sequence<UInt8>) -> Progress {
        waiting += bytes
        while true {
            switch part {
            case .head:
                switch readHead() {
                case .reading?: return .reading
                case let end?: return end
                case nil: break
                }
            case .length(let left):
                let taken = keep(min(left, waiting.count))
                if taken == left || reply.isCut { return whole() }
                part = .length(left - taken)
                return .reading
            case .chunkSize:
                guard let line = takeLine(limit: Self.chunkLineLimit) else {
                    return waiting.count > Self.chunkLineLimit ? .broken(.badChunk) : .reading
                }
                guard let size = Self.chunkSize(line) else { return .broken(.badChunk) }
                if size == 0 { return whole() }
                part = .chunk(size)
            case .chunk(let left):
                let taken = keep(min(left, waiting.count))
                if reply.isCut { return whole() }
                part = taken == left ? .endOfChunk : .chunk(left - taken)
                if taken < left { return .reading }
            case .endOfChunk:
                guard let line = takeLine(limit: 2) else { return waiting.count > 1 ? .broken(.badChunk) : .reading }
                guard line.isEmpty else { return .broken(.badChunk) }
                part = .chunkSize
            case .untilEnd:
                _ = keep(waiting.count)
                return reply.isCut ? whole() : .reading
            }
        }
    }

    /// The stream has ended.
    mutating func end() -> Progress {
        if case .untilEnd = part { return whole() }
        return .broken(.truncated)
    }

    // MARK: The head

    /// - Returns: `nil` when there is a head and its body follows.
    private mutating func readHead() -> Progress? {
        if !isCGI, let breakage = strangeBeginning { return .broken(breakage) }
        guard let end = endOfHead() else {
            return headBytes + waiting.count > Self.headLimit ? .broken(.endlessHead) : .reading
        }
        headBytes += end
        guard headBytes <= Self.headLimit else { return .broken(.endlessHead) }
        let lines = waiting[..<end].split(separator: 10, omittingEmptySubsequences: true).map { $0.last == 13 ? $0.dropLast() : $0 }
        waiting.removeFirst(end)
        searched = 0
        var fields = lines[...]
        if isCGI {
            reply.status = 200
        } else {
            guard let first = fields.popFirst(), let status = Self.status(first) else { return .broken(.notHTTP) }
            // What is said before the answer: 100 Continue, 103 Early Hints.
            if status < 200, status != 101 { return readHead() }
            reply.status = status
        }
        return readFields(fields)
    }

    private var strangeBeginning: Breakage? {
        let expected = Array("HTTP/".utf8)
        let first = waiting.prefix(expected.count)
        guard !expected.starts(with: first) else { return nil }
        // An alert or a handshake of TLS 1, of whatever minor version.
        return (first.first == 21 || first.first == 22) && (first.count < 2 || first[1] == 3) ? .tls : .notHTTP
    }

    /// Behind the first empty line.
    private mutating func endOfHead() -> Int? {
        var index = searched
        while index < waiting.count {
            if waiting[index] == 10 {
                if index + 1 < waiting.count, waiting[index + 1] == 10 { return index + 2 }
                if index + 2 < waiting.count, waiting[index + 1] == 13, waiting[index + 2] == 10 { return index + 3 }
            }
            index += 1
        }
        searched = max(0, waiting.count - 2)
        return nil
    }

    /// `HTTP/1.1 200 OK`, also without the words.
    private static func status(_ line: ArraySlice<UInt8>) -> Int? {
        let words = line.split(separator: 32, maxSplits: 2, omittingEmptySubsequences: true)
        guard words.count >= 2, words[0].starts(with: "HTTP/1.".utf8), words[1].count == 3 else { return nil }
        return number(words[1]).flatMap { (100...999).contains($0) ? $0 : nil }
    }

    private mutating func readFields(_ lines: ArraySlice<ArraySlice<UInt8>>) -> Progress? {
        var length: Int?
        var coding: String?
        for line in lines {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = String(decoding: line[line.index(after: colon)...], as: UTF8.self).trimmingBlanks
            switch name {
            case "content-length":
                // Several that say the same are one.
                for part in value.split(separator: ",") {
                    guard let said = Self.length(String(part).trimmingBlanks), length == nil || length == said else { return .broken(.badLength) }
                    length = said
                }
            case "transfer-encoding": coding = [coding, value.lowercased()].compactMap { $0 }.joined(separator: ",")
            case "content-encoding" where value.lowercased() != "identity" && !value.isEmpty: reply.packing = value.lowercased()
            case "content-type": reply.contentType = value.lowercased()
            case "location": reply.location = value
            case "retry-after": reply.retryAfter = value
            case "status" where isCGI:
                guard let status = Self.number(Array(value.utf8).prefix { $0 != 32 }), (200...999).contains(status) else { return .broken(.notHTTP) }
                reply.status = status
            default: break
            }
        }
        if reply.status == 204 || reply.status == 304 || reply.status == 101 { return whole() }
        if isCGI {
            part = .untilEnd
        } else if let coding {
            part = coding.hasSuffix("chunked") ? .chunkSize : .untilEnd
        } else if let length {
            part = .length(length)
        } else {
            part = .untilEnd
        }
        return nil
    }

    private static func number(_ digits: some Collection<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 18, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 48) }
    }

    /// What is longer than any number is longer than what is read.
    private static func length(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return number(Array(text.utf8)) ?? Int.max
    }

    // MARK: The body

    private static func chunkSize(_ line: ArraySlice<UInt8>) -> Int? {
        let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 32 && $0 != 9 }
        guard !digits.isEmpty, digits.count <= 64 else { return nil }
        var size = 0
        for digit in digits {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else { return nil }
            size = size >= 1 << 40 ? 1 << 40 : size << 4 | value
        }
        return size
    }

    private mutating func takeLine(limit: Int) -> ArraySlice<UInt8>? {
        guard let end = waiting.prefix(limit).firstIndex(of: 10) else { return nil }
        let line = waiting[..<end]
        waiting.removeFirst(end + 1)
        return line.last == 13 ? line.dropLast() : line
    }

    /// Moves bytes to the body, as far as it may grow.
    /// - Returns: how many have gone.
    private mutating func keep(_ count: Int) -> Int {
        let room = Self.bodyLimit - reply.body.count
        reply.body += waiting.prefix(min(count, room))
        if count > room { reply.isCut = true }
        waiting.removeFirst(count)
        return count
    }

    private func whole() -> Progress {
        var reply = reply
        guard let packing = reply.packing, !reply.isCut, !reply.body.isEmpty else { return .whole(reply) }
        do throws(GzipError) {
            switch packing {
            case "gzip", "x-gzip": reply.body = try gunzip(reply.body, limit: Self.bodyLimit)
            case "deflate": reply.body = try inflated(reply.body, limit: Self.bodyLimit)
            default: return .whole(reply)
            }
            reply.packing = nil
        } catch {
            if case .tooLarge = error { (reply.isCut, reply.packing, reply.body) = (true, nil, []) }
        }
        return .whole(reply)
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = self[...]
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return String(text.drop { $0 == " " || $0 == "\t" })
    }
}
