// Lines out of a body that comes in pieces.

/// Gathers bytes until their line is whole.
struct LineSplitter {
    private let limit: Int
    /// What has come of the line that is not whole yet.
    private(set) var rest: [UInt8] = []

    /// - Parameter limit: the bytes that one line may have.
    init(limit: Int) { self.limit = limit }

    /// - Returns: the lines that are whole now, without their newlines; `nil` when one is longer than it may be.
    mutating func add(_ bytes: some Collection<UInt8>) -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        for piece in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            if piece.offset > 0 {
                lines.append(rest)
                rest = []
            }
            guard rest.count + piece.element.count <= limit else { return nil }
            rest += piece.element
        }
        return lines
    }
}
