// Broken input, in bulk and reproducible.

import Foundation

/// Mutates seeds the way bad disks, bad peers and bad luck do: bits flip, pieces vanish, repeat, move, and mix with other seeds.
public enum Mutations {
    /// The seed files of one parser, which its fuzz target begins with too.
    public static func seeds(_ parser: String, from file: StaticString = #filePath) -> [[UInt8]] {
        let tests = URL(fileURLWithPath: "\(file)").deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appendingPathComponent("Fuzz/Seeds/\(parser)")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().compactMap { try? Array(Data(contentsOf: folder.appendingPathComponent($0))) }
    }

    /// Calls `body` with so many mutated inputs; each run gives the same ones. `make fuzz` tries millions.
    public static func run(seeds: [[UInt8]], count: Int = 2_000, seed: UInt64 = 1, _ body: ([UInt8]) -> Void) {
        precondition(!seeds.isEmpty, "no seeds to mutate")
        var random = SplitMix(state: seed)
        for _ in 0..<count {
            var bytes = seeds[Int(random.next() % UInt64(seeds.count))]
            for _ in 0...Int(random.next() % 4) { mutate(&bytes, with: seeds, &random) }
            body(bytes)
        }
    }

    private static func mutate(_ bytes: inout [UInt8], with seeds: [[UInt8]], _ random: inout SplitMix) {
        func index(_ count: Int) -> Int { count == 0 ? 0 : Int(random.next() % UInt64(count)) }
        let choice = index(8)
        guard !bytes.isEmpty || choice >= 6 else { return }
        switch choice {
        case 0: bytes[index(bytes.count)] ^= UInt8(1 << index(8))
        case 1: bytes[index(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes.removeSubrange(index(bytes.count)...)
        case 3:
            let start = index(bytes.count)
            bytes.removeSubrange(start..<min(bytes.count, start + 1 + index(16)))
        case 4:
            let start = index(bytes.count)
            bytes.insert(contentsOf: bytes[start..<min(bytes.count, start + 1 + index(32))], at: index(bytes.count))
        case 5:
            // Numbers are where limits are.
            guard let digit = bytes.indices.filter({ (48...57).contains(bytes[$0]) }).randomElement(using: &random) else { return }
            bytes.replaceSubrange(digit...digit, with: Array(["99999999999999999999", "-1", "0", "4294967296", "1e400"][index(5)].utf8))
        case 6: bytes.insert([0, 9, 10, 13, 32, 34, 39, 41, 58, 92, 123, 127, 128, 255][index(14)], at: index(bytes.count + 1))
        default:
            let other = seeds[index(seeds.count)]
            let start = index(other.count)
            bytes.insert(contentsOf: other[start..<min(other.count, start + 1 + index(64))], at: index(bytes.count + 1))
        }
        if bytes.count > 1 << 16 { bytes.removeSubrange((1 << 16)...) }
    }
}
