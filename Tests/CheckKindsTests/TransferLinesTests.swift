// Lines that come one by one, sockets with a path, and all addresses of a name.

import Foundation
import TestKit
import Testing

@testable import Transfer

@Suite struct TransferLinesTests {
    @Test(arguments: [
        (["a\nb\n"], ["a", "b"], ""), (["a", "b\nc"], ["ab"], "c"), (["\n", "\n"], ["", ""], ""), (["", "x"], [], "x"), (["a\r\n"], ["a\r"], ""),
    ])
    func linesAreWholeHoweverTheyCome(pieces: [String], lines: [String], rest: String) throws {
        var splitter = LineSplitter(limit: 10)
        var whole: [String] = []
        for piece in pieces {
            let added = splitter.add(Array(piece.utf8))
            whole += try #require(added).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(whole == lines)
        #expect(splitter.rest == Array(rest.utf8))
    }

    @Test func aLineThatDoesNotEndIsRefused() {
        var splitter = LineSplitter(limit: 4)
        #expect(splitter.add(Array("abcd".utf8)) == [])
        #expect(splitter.add(Array("e".utf8)) == nil)
    }

    @Test func anyPiecesGiveTheSameLines() {
        Mutations.run(seeds: [Array("{\"a\":1}\n{\"b\":2}\n\n{\"c\"".utf8)]) { bytes in
            var (whole, pieces) = (LineSplitter(limit: 1 << 17), LineSplitter(limit: 1 << 17))
            let expected = whole.add(bytes) ?? []
            let middle = bytes.count / 2
            let lines = (pieces.add(bytes[..<middle]) ?? []) + (pieces.add(bytes[middle...]) ?? [])
            if lines != expected || whole.rest != pieces.rest { Issue.record("\(bytes)") }
        }
    }

    @Test func anAddressIsItsOwnAndANameThatIsNoneHasNone() async throws {
        #expect(try await Addresses.of("127.0.0.1", within: .seconds(5)) == ["127.0.0.1"])
        #expect(try await Addresses.of("::1", within: .seconds(5)) == ["::1"])
        await #expect(throws: TransferError.self) { try await Addresses.of("not a name", within: .seconds(5)) }
    }
}
