// XML-RPC, as much of it as supervisord speaks.

/// A value in an answer.
indirect enum XMLRPCValue: Equatable, Sendable {
    case integer(Int64)
    case boolean(Bool)
    case double(Double)
    case string(String)
    case array([XMLRPCValue])
    case structure([String: XMLRPCValue])
    case null

    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var array: [XMLRPCValue]? { if case .array(let values) = self { values } else { nil } }
    var structure: [String: XMLRPCValue]? { if case .structure(let members) = self { members } else { nil } }
}

/// What a server answers: a value, or a fault with a number and words.
enum XMLRPCAnswer: Equatable, Sendable {
    case value(XMLRPCValue)
    case fault(code: Int64, words: String)

    /// `nil` for anything that is no whole answer.
    init?(parsing bytes: [UInt8]) {
        var reader = XMLReader(bytes)
        guard reader.open("methodResponse") else { return nil }
        if reader.open("params") {
            guard reader.open("param"), let value = reader.value(depth: 0), reader.close("param"), reader.close("params") else { return nil }
            self = .value(value)
        } else {
            guard reader.open("fault"), let members = reader.value(depth: 0)?.structure, let code = members["faultCode"]?.integer,
                let words = members["faultString"]?.string, reader.close("fault")
            else { return nil }
            self = .fault(code: code, words: words)
        }
        guard reader.close("methodResponse") else { return nil }
    }
}

/// A call with strings and booleans, which is all that supervisord wants.
func xmlRPCCall(_ method: String, _ arguments: [XMLRPCValue]) -> [UInt8] {
    var text = "<?xml version=\"1.0\"?>\n<methodCall><methodName>\(method)</methodName><params>"
    for argument in arguments {
        let value =
            switch argument {
            case .boolean(let flag): "<boolean>\(flag ? 1 : 0)</boolean>"
            case .string(let words): "<string>\(escaped(words))</string>"
            case .integer(let number): "<int>\(number)</int>"
            default: "<nil/>"
            }
        text += "<param><value>\(value)</value></param>"
    }
    return Array((text + "</params></methodCall>\n").utf8)
}

private func escaped(_ text: String) -> String {
    var out = ""
    for character in text {
        switch character {
        case "<": out += "&lt;"
        case ">": out += "&gt;"
        case "&": out += "&amp;"
        default: out.append(character)
        }
    }
    return out
}

/// Reads the tags and texts that XML-RPC consists of. No attributes, no document types, no entities but the five and numbers.
private struct XMLReader {
    private static let deepest = 16

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Takes `<name>`, if that comes next.
    mutating func open(_ name: String) -> Bool { take("<" + name, endingWith: ">") }
    mutating func close(_ name: String) -> Bool { take("</" + name, endingWith: ">") }
    /// Takes `<name/>`.
    private mutating func empty(_ name: String) -> Bool { take("<" + name, endingWith: "/>") }

    mutating func value(depth: Int) -> XMLRPCValue? {
        guard depth < Self.deepest else { return nil }
        if empty("value") { return .string("") }
        guard open("value") else { return nil }
        let value = content(depth: depth)
        guard let value, close("value") else { return nil }
        return value
    }

    private mutating func content(depth: Int) -> XMLRPCValue? {
        for name in ["string", "int", "i4", "i8", "boolean", "double", "dateTime.iso8601", "base64"] {
            if empty(name) { return name == "string" ? .string("") : nil }
            guard open(name) else { continue }
            guard let text = text(), close(name) else { return nil }
            return scalar(text, of: name)
        }
        if empty("nil") { return .null }
        if open("array") {
            var values: [XMLRPCValue] = []
            if empty("data") { return close("array") ? .array([]) : nil }
            guard open("data") else { return nil }
            while !close("data") {
                guard let value = value(depth: depth + 1) else { return nil }
                values.append(value)
            }
            return close("array") ? .array(values) : nil
        }
        if empty("struct") { return .structure([:]) }
        if open("struct") {
            var members: [String: XMLRPCValue] = [:]
            while !close("struct") {
                guard open("member"), open("name"), let name = text(), close("name"), let value = value(depth: depth + 1), close("member") else {
                    return nil
                }
                members[name] = value
            }
            return .structure(members)
        }
        // A value without a type is a string.
        return text().map { .string($0) }
    }

    private func scalar(_ text: String, of type: String) -> XMLRPCValue? {
        switch type {
        case "int", "i4", "i8": return Int64(text).map { .integer($0) }
        case "boolean": return text == "1" ? .boolean(true) : text == "0" ? .boolean(false) : nil
        case "double": return Double(text).map { .double($0) }
        default: return .string(text)
        }
    }

    private mutating func take(_ beginning: String, endingWith end: String) -> Bool {
        let start = index
        skipBetweenTags()
        if skip(beginning) {
            skipBlanks()
            if skip(end) { return true }
        }
        index = start
        return false
    }

    /// Everything up to the next tag, with its entities replaced.
    private mutating func text() -> String? {
        var out: [UInt8] = []
        while index < bytes.count, bytes[index] != UInt8(ascii: "<") {
            if bytes[index] == UInt8(ascii: "&") {
                guard let character = entity() else { return nil }
                out += character
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return index < bytes.count ? String(decoding: out, as: UTF8.self) : nil
    }

    private mutating func entity() -> [UInt8]? {
        guard let end = bytes[index...].prefix(12).firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let name = String(decoding: bytes[(index + 1)..<end], as: UTF8.self)
        index = end + 1
        switch name {
        case "lt": return [UInt8(ascii: "<")]
        case "gt": return [UInt8(ascii: ">")]
        case "amp": return [UInt8(ascii: "&")]
        case "quot": return [UInt8(ascii: "\"")]
        case "apos": return [UInt8(ascii: "'")]
        default:
            guard name.hasPrefix("#") else { return nil }
            let number = name.hasPrefix("#x") ? UInt32(name.dropFirst(2), radix: 16) : UInt32(name.dropFirst())
            return number.flatMap(Unicode.Scalar.init).map { Array(String($0).utf8) }
        }
    }

    /// Blanks, and the declaration at the beginning.
    private mutating func skipBetweenTags() {
        skipBlanks()
        if skip("<?xml") {
            while index < bytes.count, !skip("?>") { index += 1 }
            skipBlanks()
        }
    }

    private mutating func skipBlanks() { while index < bytes.count, [9, 10, 13, 32].contains(bytes[index]) { index += 1 } }

    private mutating func skip(_ text: String) -> Bool {
        guard bytes[index...].starts(with: text.utf8) else { return false }
        index += text.utf8.count
        return true
    }
}
