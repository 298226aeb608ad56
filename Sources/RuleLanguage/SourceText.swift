// The text of a file that a person wrote, with the place of everything in it.

public import Platform

/// A text as its lexer sees it: Unicode scalars, each with its place. Text that is not UTF-8 or too large says so in `faults`.
public struct SourceText: Sendable {
    /// More than this is no rule file: everything that comes from outside has a bound.
    public static let limit = 1 << 20

    /// As faults call it.
    public let file: String
    /// Without a byte order mark; what is not UTF-8 is replaced by U+FFFD. This is what `Fault.rendered(in:)` wants.
    public let text: String
    /// What is wrong with the text before anybody looks at what it says.
    public let faults: [Fault]
    let scalars: [Unicode.Scalar]
    private let lines: [Int32]
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
            faults = [Fault(file: file, line: 1, column: 1, message: problem.message, help: problem.help)]
            (scalars, lines, columns) = ([], [], [])
            return
        }

        let decoded = decode(bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...])
        var (line, column) = (Int32(1), Int32(1))
        var (scalars, lines, columns) = ([Unicode.Scalar](), [Int32](), [Int32]())
        for character in decoded.text {
            for scalar in character.unicodeScalars {
                scalars.append(scalar)
                lines.append(line)
                columns.append(column)
            }
            column += 1
            if scalars.last == "\n" { (line, column) = (line + 1, 1) }
        }
        text = decoded.text
        faults = decoded.wrong.map { wrong in
            Fault(
                file: file, line: Int(lines[wrong.offset]), column: Int(columns[wrong.offset]),
                message: "byte 0x\(String(wrong.byte, radix: 16)) is not UTF-8", help: "save the file as UTF-8")
        }
        (self.scalars, self.lines, self.columns) = (scalars, lines, columns)
    }

    /// The place of a scalar; the place after the last one for the offset after it.
    func place(at offset: Int) -> Place {
        if offset < scalars.count { return Place(line: Int(lines[offset]), column: Int(columns[offset])) }
        guard let line = lines.last, let column = columns.last else { return Place(line: 1, column: 1) }
        return Place(line: Int(line), column: Int(column) + 1)
    }
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
            wasWrong = false
        case .error(let length):
            text.append("\u{FFFD}")
            // A thousand wrong bytes in a row are one fault, and a binary file does not drown its reader.
            if !wasWrong, wrong.count < 10 { wrong.append((count, bytes[at])) }
            at += length
            wasWrong = true
        case .emptyInput:
            return (String(text), wrong)
        }
        count += 1
    }
}
