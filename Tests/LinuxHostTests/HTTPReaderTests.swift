// Answers of workers, however they come.

import Compression
import DeployVerification
import Foundation
import TestKit
import Testing

@testable import LinuxHost

@Suite struct HTTPReaderTests {
    private static let token = "0123456789abcdef0123456789abcdef"

    private static func whole(_ text: String) -> HTTPReader.Progress { feed(Array(text.utf8), by: .max) }

    /// Feeds pieces of a size, and then the end.
    private static func feed(_ bytes: [UInt8], by size: Int) -> HTTPReader.Progress {
        var reader = HTTPReader()
        var rest = bytes[...]
        while !rest.isEmpty {
            let progress = reader.take(rest.prefix(size))
            rest = rest.dropFirst(size)
            if progress != .reading { return progress }
        }
        return reader.end()
    }

    private static func packed(_ encoding: String, _ body: [UInt8]) -> [UInt8] {
        Array("HTTP/1.1 200 OK\r\nContent-Encoding: \(encoding)\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
    }

    static let good: [String] = [
        "HTTP/1.0 200 OK\r\n\r\n\(token)",
        "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n\(token)",
        "HTTP/1.1 200\r\ncontent-length:32\r\n\r\n\(token)",
        "HTTP/1.1 200 OK\nContent-Length: 32\n\n\(token)",
        "HTTP/1.1 200 OK\r\nContent-Length: 32\r\nContent-Length: 32\r\n\r\n\(token)and more",
        "HTTP/1.1 200 OK\r\nContent-Length: 32, 32\r\n\r\n\(token)",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n\(token)\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n10;x=y\r\n\(token.prefix(16))\r\n0010\r\n\(token.suffix(16))\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n\(token)",
    ]

    @Test(arguments: good) func anAnswerIsUnderstoodHoweverItIsTorn(text: String) {
        let bytes = Array(text.utf8)
        for size in [Int.max, 1, 2, 3, 7] {
            guard case .whole(let reply) = Self.feed(bytes, by: size) else {
                Issue.record("by \(size): \(Self.feed(bytes, by: size))")
                continue
            }
            #expect(reply.status == 200 && reply.body == Array(Self.token.utf8) && !reply.isCut)
        }
        for cut in bytes.indices {
            var reader = HTTPReader()
            var progress = reader.take(bytes[..<cut])
            if progress == .reading { progress = reader.take(bytes[cut...]) }
            if progress == .reading { progress = reader.end() }
            if case .whole(let reply) = progress { #expect(reply.body == Array(Self.token.utf8)) } else { Issue.record("cut at \(cut): \(progress)") }
        }
    }

    @Test func aKeptConnectionIsNotWaitedFor() {
        for text in Self.good.dropFirst() {
            var reader = HTTPReader()
            if case .whole = reader.take(Array(text.utf8)) {} else { Issue.record("\(text)") }
        }
    }

    @Test func compressedBodiesAreUnpacked() throws {
        let text = Array(Self.token.utf8)
        let gzipped = try #require(gzip(text))
        // What Python's zlib makes of it: with its frame, and without.
        let framed: [UInt8] = [
            120, 156, 51, 48, 52, 50, 54, 49, 53, 51, 183, 176, 76, 76, 74, 78, 73, 77, 51, 64, 227, 3, 0, 132, 246, 8, 197,
        ]
        for (encoding, body) in [
            ("gzip", gzipped), ("X-GZIP", gzipped), ("deflate", framed), ("deflate", Array(framed.dropFirst(2).dropLast(4))),
        ] {
            guard case .whole(let reply) = Self.feed(Self.packed(encoding, body), by: 5) else {
                Issue.record("\(encoding)")
                continue
            }
            #expect(reply.body == text && reply.packing == nil)
        }
        guard case .whole(let strange) = Self.feed(Self.packed("br", [1, 2, 3]), by: 9) else {
            Issue.record("brotli")
            return
        }
        #expect(strange.packing == "br")
    }

    @Test func aBombIsAnAnswerThatIsTooLong() throws {
        let bomb = try #require(gzip([UInt8](repeating: 65, count: 10 << 20)))
        let bytes = Self.packed("gzip", bomb)
        guard bomb.count < HTTPReader.bodyLimit, case .whole(let reply) = Self.feed(bytes, by: 4096) else {
            Issue.record("\(bomb.count) bytes")
            return
        }
        #expect(reply.isCut && reply.body.isEmpty)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\n",
    ])
    func whatIsLongerThanIsReadIsStillAnAnswer(head: String) {
        let bytes = Array(head.utf8) + [UInt8](repeating: 120, count: 100_000)
        for size in [Int.max, 4096, 1000] {
            guard case .whole(let reply) = Self.feed(bytes, by: size) else {
                Issue.record("\(Self.feed(bytes, by: size))")
                continue
            }
            #expect(reply.isCut && reply.body.count == HTTPReader.bodyLimit && reply.status == 200)
        }
    }

    @Test(arguments: [
        ("SSH-2.0-OpenSSH\r\n", HTTPReader.Breakage.notHTTP), ("\u{15}\u{3}\u{1}\0\u{2}\u{2}F", .tls), ("HTTP/2 200\r\n\r\n", .notHTTP),
        ("HTTP/1.1 2000 OK\r\n\r\n", .notHTTP), ("HTTP/1.1 -20 OK\r\n\r\n", .notHTTP), ("HTTP/1.1\r\n\r\n", .notHTTP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", .badLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .badLength), ("HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n", .badLength),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .badChunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", .badChunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", .badChunk),
        ("HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n\(token)", .truncated), ("HTTP/1.1 200 OK\r\nContent", .truncated), ("", .truncated),
    ])
    func whatIsNoWholeAnswerIsNone(text: String, breakage: HTTPReader.Breakage) {
        for size in [Int.max, 1] { #expect(Self.feed(Array(text.utf8), by: size) == .broken(breakage)) }
    }

    @Test func headsWithoutEndAndEndlessIntermediateAnswersAreCutOff() {
        let field = Array("X: \(String(repeating: "y", count: 100))\r\n".utf8)
        var bytes = Array("HTTP/1.1 200 OK\r\n".utf8)
        while bytes.count < 40_000 { bytes += field }
        #expect(Self.feed(bytes, by: 4096) == .broken(.endlessHead))
        #expect(Self.feed([UInt8](repeating: 72, count: 40_000), by: 4096) == .broken(.notHTTP))
        var hints: [UInt8] = []
        while hints.count < 40_000 { hints += Array("HTTP/1.1 103 Early Hints\r\n\r\n".utf8) }
        #expect(Self.feed(hints, by: 4096) == .broken(.endlessHead))
        let chunkLine = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;".utf8) + [UInt8](repeating: 120, count: 5000)
        #expect(Self.feed(chunkLine, by: 100) == .broken(.badChunk))
    }

    @Test func whatMattersOfTheHeadIsKept() {
        let text =
            "HTTP/1.1 429 Slow\r\nLocation: https://u:p@a.example.com/x?secret=1\r\nRetry-After: 7\r\nContent-Type: text/HTML; charset=x\r\nContent-Length: 0\r\n\r\n"
        guard case .whole(let reply) = Self.whole(text) else {
            Issue.record("no answer")
            return
        }
        let content = WorkerAnswer.Content(reply, way: AskingWay(host: "a"))
        guard case .other(let answer) = content else {
            Issue.record("\(content)")
            return
        }
        #expect(answer.location == "https://a.example.com/x" && answer.retryAfter == 7 && answer.isPage && answer.status == 429)
    }

    @Test(arguments: [
        (200, token, true), (203, token + "\r\n", true), (404, token, false), (500, token, false), (200, "<p>\(token)</p>", false),
    ])
    func aTokenCountsWhereTheAnswerIsOne(status: Int, body: String, isToken: Bool) {
        guard case .whole(let reply) = Self.whole("HTTP/1.1 \(status) X\r\n\r\n\(body)") else {
            Issue.record("no answer")
            return
        }
        let content = WorkerAnswer.Content(reply, way: AskingWay(host: "a"))
        #expect((content == .token(Self.token)) == isToken)
    }

    // MARK: FastCGI

    private static func record(_ type: UInt8, _ content: String, padding: Int = 0) -> [UInt8] {
        let bytes = Array(content.utf8)
        return [1, type, 0, 1, UInt8(bytes.count >> 8), UInt8(bytes.count & 255), UInt8(padding), 0] + bytes + [UInt8](repeating: 0, count: padding)
    }

    @Test func anAnswerInRecordsIsPutTogether() {
        let end: [UInt8] = [1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        let bytes =
            Self.record(7, "PHP Warning") + Self.record(6, "Content-Type: text/plain\r\n\r\n\(Self.token.prefix(5))", padding: 3)
            + Self.record(6, String(Self.token.dropFirst(5))) + Self.record(6, "") + end
        for size in [Int.max, 1, 9] {
            var reader = FastCGIReader()
            var progress = HTTPReader.Progress.reading
            var rest = bytes[...]
            while !rest.isEmpty, progress == .reading {
                progress = reader.take(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            guard case .whole(let reply) = progress else {
                Issue.record("by \(size): \(progress)")
                continue
            }
            #expect(reply.status == 200 && reply.body == Array(Self.token.utf8))
        }
    }

    @Test func aStatusOfCGIIsTheAnswers() {
        let bytes = Self.record(6, "Status: 404 Not Found\r\nContent-type: text/html\r\n\r\nFile not found.\n") + [1, 3, 0, 1, 0, 8, 0, 0]
        var reader = FastCGIReader()
        guard case .whole(let reply) = reader.take(bytes) else {
            Issue.record("no answer")
            return
        }
        #expect(reply.status == 404)
    }

    @Test func mutatedAnswersHarmNothing() {
        let seeds = Self.good.map { Array($0.utf8) } + Mutations.seeds("http-answer")
        Mutations.run(seeds: seeds) { bytes in
            for size in [Int.max, 5] {
                if case .whole(let reply) = Self.feed(bytes, by: size) {
                    #expect(reply.body.count <= HTTPReader.bodyLimit)
                    _ = WorkerAnswer.Content(reply, way: AskingWay(host: "a"))
                }
            }
        }
        Mutations.run(seeds: Mutations.seeds("fastcgi")) { bytes in
            var reader = FastCGIReader()
            _ = reader.take(bytes)
        }
    }
}
