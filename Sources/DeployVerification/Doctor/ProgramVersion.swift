// The version that a program has written into itself.

public enum ProgramVersion {
    /// A whole text between two zero bytes that begins with `start` and goes on with digits alone.
    public static func find(_ start: String, in program: [UInt8]) -> String? {
        let start = Array(start.utf8)
        var index = 0
        while index < program.count {
            let end = program[index...].firstIndex(of: 0) ?? program.count
            let text = program[index..<end]
            if text.count > start.count, text.count <= start.count + 4, text.starts(with: start),
                text.dropFirst(start.count).allSatisfy({ (48...57).contains($0) })
            {
                return String(decoding: text, as: UTF8.self)
            }
            index = end + 1
        }
        return nil
    }
}
