// Lines out of bytes that come in pieces.

/// Cuts a stream into lines, and holds no more than one unfinished line of bounded length.
public struct LineSplitter {
    /// A line that does not end within the limit.
    public struct TooLong: Error, Equatable, Sendable {}

    private let limit: Int
    private var bytes: [UInt8] = []
    /// Where the next line begins, and how far nobody has found a newline yet.
    private var start = 0
    private var searched = 0

    /// - Parameter limit: of one line, its newline not counted.
    public init(limit: Int) { self.limit = limit }

    public mutating func add(_ piece: some Collection<UInt8>) {
        bytes.removeSubrange(..<start)
        searched -= start
        start = 0
        bytes += piece
    }

    /// The next whole line, without its newline.
    public mutating func next() throws(TooLong) -> ArraySlice<UInt8>? {
        guard let end = bytes[searched...].firstIndex(of: 10) else {
            searched = bytes.count
            guard bytes.count - start <= limit else { throw TooLong() }
            return nil
        }
        guard end - start <= limit else { throw TooLong() }
        defer {
            start = end + 1
            searched = start
        }
        return bytes[start..<end]
    }
}
