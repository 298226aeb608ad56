import Compression
import Foundation
import TestKit
import Testing

@Suite("gzip packs and unpacks, within bounds") struct GzipTests {
    private static func noise(_ count: Int) -> [UInt8] {
        var random = SplitMix(state: 7)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    @Test(
        "what was packed comes out again",
        arguments: [
            [], [7], Array("{\"a\":1}".utf8), [UInt8](repeating: 65, count: 1 << 20), noise(100_000),
        ])
    func roundTrip(bytes: [UInt8]) throws {
        let packed = try #require(gzip(bytes))
        #expect(try gunzip(packed, limit: bytes.count) == bytes)
    }

    @Test("gzip(1) reads what was packed, and the other way round")
    func theRealProgram() async throws {
        let folder = try TemporaryFolder()
        let text = Array(String(repeating: "memory:rss 512.3m\n", count: 5000).utf8)
        let packed = try #require(gzip(text))
        let path = "\(folder.path)/text.gz"
        try Data(packed).write(to: URL(fileURLWithPath: path))
        let end = try await ChildProcess.run("/bin/sh", ["-c", "gzip -dc \(path) | cksum && gzip -dc \(path) | gzip -9 > \(path).2"])
        #expect(end.status == 0)
        #expect(try gunzip(Array(Data(contentsOf: URL(fileURLWithPath: "\(path).2"))), limit: text.count) == text)
    }

    @Test("a bomb is refused when it is over the limit, without unpacking the rest")
    func bombs() throws {
        let bomb = try #require(gzip([UInt8](repeating: 0, count: 20 << 20)))
        #expect(bomb.count < 64 << 10)
        #expect(throws: GzipError.tooLarge(limit: 1 << 20)) { try gunzip(bomb, limit: 1 << 20) }
        #expect(throws: GzipError.tooLarge(limit: 0)) { try gunzip(try #require(gzip([1])), limit: 0) }
    }

    @Test("what is not whole is damaged")
    func damage() throws {
        let packed = try #require(gzip(Array("how everything is".utf8)))
        var flipped = packed
        flipped[packed.count - 6] ^= 1  // the checksum
        for bytes in [[], Array("{}".utf8), Array(packed.dropLast()), packed + [0], packed + packed, flipped] {
            #expect(throws: GzipError.damaged) { try gunzip(bytes, limit: 1 << 20) }
        }
    }

    @Test("no bytes make it crash or go over its limit")
    func mutations() throws {
        Mutations.run(seeds: Mutations.seeds("gzip")) { bytes in
            if let out = try? gunzip(bytes, limit: 4096) { #expect(out.count <= 4096) }
        }
    }
}
