// Golden files: what people or programs read, compared as a whole.

import Foundation

/// A text that differs from its golden file: where, and how to accept it.
public struct GoldenMismatch: Error, CustomStringConvertible {
    public var description: String
}

/// Compares `text` with `Golden/NAME` beside the calling test. `RECORD=1 swift test` rewrites the file instead; review the diff.
public func expectGolden(_ text: String, _ name: String, file: String = #filePath) throws {
    let url = URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent("Golden").appendingPathComponent(name)
    if ProcessInfo.processInfo.environment["RECORD"] == "1" {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
        return
    }
    guard let data = try? Data(contentsOf: url) else {
        throw GoldenMismatch(description: "\(url.path) is missing; RECORD=1 swift test writes it")
    }
    let golden = String(decoding: data, as: UTF8.self)
    guard golden != text else { return }
    let (expected, actual) = (
        golden.split(separator: "\n", omittingEmptySubsequences: false), text.split(separator: "\n", omittingEmptySubsequences: false)
    )
    let line = zip(expected, actual).firstIndex { $0 != $1 } ?? min(expected.count, actual.count)
    throw GoldenMismatch(
        description: """
            \(name) differs from line \(line + 1):
            expected: \(line < expected.count ? String(expected[line]) : "(end)")
            actual:   \(line < actual.count ? String(actual[line]) : "(end)")
            RECORD=1 swift test accepts it
            """)
}

extension Zip2Sequence where Sequence1: RandomAccessCollection, Sequence2: RandomAccessCollection {
    fileprivate func firstIndex(where isDifferent: (Element) -> Bool) -> Int? {
        for (index, element) in self.enumerated() where isDifferent(element) { return index }
        return nil
    }
}
