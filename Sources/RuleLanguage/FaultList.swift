// Gathers the faults of one text.

import Platform

/// The faults of one text, in the order of their places.
struct FaultList {
    /// A person reads no more than this; a file with more of them is no rule file.
    static let limit = 100

    let file: String
    private var gathered: [Fault]

    init(_ source: SourceText) {
        file = source.file
        gathered = source.faults
    }

    mutating func add(_ message: String, at place: Place, help: String? = nil) {
        guard gathered.count < Self.limit * 10 else { return }
        gathered.append(Fault(file: file, line: place.line, column: place.column, message: message, help: help))
    }

    var all: [Fault] {
        // Of one place the first to be told is the cause; sorting by the order of telling too keeps it first.
        let ordered = gathered.enumerated().sorted {
            ($0.element.line, $0.element.column, $0.offset) < ($1.element.line, $1.element.column, $1.offset)
        }
        var sorted: [Fault] = []
        for (_, fault) in ordered where (fault.line, fault.column) != (sorted.last?.line, sorted.last?.column) { sorted.append(fault) }
        guard sorted.count > Self.limit else { return sorted }
        let first = sorted[Self.limit]
        return sorted[..<Self.limit]
            + [Fault(file: file, line: first.line, column: first.column, message: "more than \(Self.limit) faults; the rest is not shown")]
    }
}

/// Somebody else's text for a message: in backquotes, short, and without what a terminal would obey.
func quoted(_ text: String) -> String { "`\(printable(text))`" }

func printable(_ text: String) -> String {
    var out = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == 60 { return out + "…" }
        if (32..<127).contains(scalar.value) {
            out.unicodeScalars.append(scalar)
            continue
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: out += codePoint(scalar)
        case .spaceSeparator where scalar != " ": out += codePoint(scalar)
        default: out.unicodeScalars.append(scalar)
        }
    }
    return out
}

/// `U+00A0`
func codePoint(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16, uppercase: true)
    return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
