// The text of a file that a person wrote, with the place of everything in it.

public import Platform

/// A text as its lexer sees it: bytes of UTF-8, each with its column. Text that is not UTF-8 or too large says so in `faults`.
public struct SourceText: Sendable {
    /// More than this is no rule file: everything that comes from outside has a bound.
    public static let limit = 1 << 20

    /// As faults call it.
    public let file: String
    /// Without a byte order mark; what is not UTF-8 is replaced by U+FFFD. This is what `Fault.rendered(in:)` wants.
    public let text: String
    /// What is wrong with the text before anybody looks at what it says.
    public let faults: [Fault]
    /// The text's.
    let bytes: [UInt8]
    /// Each byte's column, in characters; empty when all are ASCII, where they are easily counted.
    private let columns: [Int32]

    public init(_ text: String, file: String) { self.init(bytes: Array(text.utf8), file: file) }

    public init(bytes: [UInt8], file: String) {
        self.file = file
        var problem: (message: String, help: String?)?
        if bytes.count > Self.limit {
            problem = ("the file has more than \(Self.limit) bytes", "split it, or look at what wrote it")
        } else if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            problem = ("the file is UTF-16, expected UTF-8", "save it as UTF-8")
        }
        if let problem {
            text = ""
            faults = [Fault(file: file, message: problem.message, help: problem.help)]
            (self.bytes, columns) = ([], [])
            return
        }

        let decoded = decode(bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...])
        text = decoded.text
        let valid = Array(decoded.text.utf8)
        let columns = valid.contains { $0 >= 128 } ? characterColumns(in: decoded.text) : []
        // What is not UTF-8 has become a letter beyond ASCII: there are columns.
        faults = decoded.wrong.map { wrong in
            Fault(
                file: file, line: 1 + valid[..<wrong.offset].count { $0 == UInt8(ascii: "\n") }, column: Int(columns[wrong.offset]),
                message: "byte 0x\(String(wrong.byte, radix: 16)) is not UTF-8", help: "save the file as UTF-8")
        }
        (self.bytes, self.columns) = (valid, columns)
    }

    /// Whether there is nothing in it but blanks and comments.
    public var saysNothing: Bool {
        faults.isEmpty
            && bytes.split(separator: UInt8(ascii: "\n")).allSatisfy { line in
                line.first { ![9, 13, 32].contains($0) }.map { $0 == UInt8(ascii: "#") } ?? true
            }
    }

    /// The column of a byte; for the offset after the last one the column after its.
    /// - Parameter lineStart: where the byte's line begins.
    func column(at offset: Int, lineStart: Int) -> Int {
        if let last = columns.last { return Int(offset < columns.count ? columns[offset] : last + 1) }
        // A carriage return and a line feed are one character.
        let isSecondHalf = offset < bytes.count && bytes[offset] == 10 && offset > lineStart && bytes[offset - 1] == 13
        return offset - lineStart + (isSecondHalf ? 0 : 1)
    }
}

/// For each byte of a text the column of its character.
private func characterColumns(in text: String) -> [Int32] {
    var columns: [Int32] = []
    columns.reserveCapacity(text.utf8.count)
    var column: Int32 = 1
    for character in text {
        let bytes = character.utf8
        columns.append(contentsOf: repeatElement(column, count: bytes.count))
        column = bytes.last == UInt8(ascii: "\n") ? 1 : column + 1
    }
    return columns
}

/// The text, and for every run of bytes that are not UTF-8 its first byte and the offset of its U+FFFD.
private func decode(_ bytes: ArraySlice<UInt8>) -> (text: String, wrong: [(offset: Int, byte: UInt8)]) {
    if let text = String(validating: bytes, as: UTF8.self) { return (text, []) }
    var text = String.UnicodeScalarView()
    var wrong: [(offset: Int, byte: UInt8)] = []
    var (count, at) = (0, bytes.startIndex)
    var wasWrong = false
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while true {
        switch parser.parseScalar(from: &iterator) {
        case .valid(let encoded):
            text.append(Unicode.UTF8.decode(encoded))
            at += encoded.count
            count += encoded.count
            wasWrong = false
        case .error(let length):
            text.append("\u{FFFD}")
            // A thousand wrong bytes in a row are one fault, and a binary file does not drown its reader.
            if !wasWrong, wrong.count < 10 { wrong.append((count, bytes[at])) }
            at += length
            count += "\u{FFFD}".utf8.count
            wasWrong = true
        case .emptyInput:
            return (String(text), wrong)
        }
    }
}
