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
    private static let longestTag = 64

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Takes `<name>`, if that comes next.
    mutating func open(_ name: String) -> Bool { take(name, .opening) }
    mutating func close(_ name: String) -> Bool { take(name, .closing) }
    /// Takes `<name/>`.
    private mutating func empty(_ name: String) -> Bool { take(name, .empty) }

    private mutating func take(_ name: String, _ kind: Tag.Kind) -> Bool {
        guard let tag = tag(), tag.kind == kind, tag.name == name else { return false }
        index = tag.end
        return true
    }

    mutating func value(depth: Int) -> XMLRPCValue? {
        guard depth < Self.deepest else { return nil }
        if empty("value") { return .string("") }
        guard open("value") else { return nil }
        let value = content(depth: depth)
        guard let value, close("value") else { return nil }
        return value
    }

    private mutating func content(depth: Int) -> XMLRPCValue? {
        // A value without a type is a string.
        guard let tag = tag(), tag.kind != .closing else { return text().map { .string($0) } }
        index = tag.end
        switch (tag.name, tag.kind) {
        case ("nil", .empty): return .null
        case ("string", .empty): return .string("")
        case ("struct", .empty): return .structure([:])
        case ("array", .opening): return array(depth: depth)
        case ("struct", .opening): return structure(depth: depth)
        case (_, .opening):
            guard let text = text(), close(tag.name) else { return nil }
            return scalar(text, of: tag.name)
        default: return nil
        }
    }

    private mutating func array(depth: Int) -> XMLRPCValue? {
        var values: [XMLRPCValue] = []
        if !empty("data") {
            guard open("data") else { return nil }
            while !close("data") {
                guard let value = value(depth: depth + 1) else { return nil }
                values.append(value)
            }
        }
        return close("array") ? .array(values) : nil
    }

    private mutating func structure(depth: Int) -> XMLRPCValue? {
        var members: [String: XMLRPCValue] = [:]
        while !close("struct") {
            guard open("member"), open("name"), let name = text(), close("name"), let value = value(depth: depth + 1), close("member") else {
                return nil
            }
            members[name] = value
        }
        return .structure(members)
    }

    private func scalar(_ text: String, of type: String) -> XMLRPCValue? {
        switch type {
        case "int", "i4", "i8": return Int64(text).map { .integer($0) }
        case "boolean": return text == "1" ? .boolean(true) : text == "0" ? .boolean(false) : nil
        case "double": return Double(text).map { .double($0) }
        case "string", "dateTime.iso8601", "base64": return .string(text)
        default: return nil
        }
    }

    private struct Tag {
        enum Kind { case opening, closing, empty }
        var name: String
        var kind: Kind
        var end: Int
    }

    /// The tag that comes next, behind blanks and the declaration at the beginning.
    private func tag() -> Tag? {
        var place = skippingBlanks(from: index)
        guard place < bytes.count, bytes[place] == UInt8(ascii: "<") else { return nil }
        if place + 1 < bytes.count, bytes[place + 1] == UInt8(ascii: "?") {
            guard let end = bytes[place...].prefix(200).firstIndex(of: UInt8(ascii: ">")) else { return nil }
            place = skippingBlanks(from: end + 1)
            guard place < bytes.count, bytes[place] == UInt8(ascii: "<") else { return nil }
        }
        guard let end = bytes[place...].prefix(Self.longestTag).firstIndex(of: UInt8(ascii: ">")) else { return nil }
        var name = bytes[(place + 1)..<end]
        var kind = Tag.Kind.opening
        if name.first == UInt8(ascii: "/") {
            kind = .closing
            name.removeFirst()
        } else if name.last == UInt8(ascii: "/") {
            kind = .empty
            name.removeLast()
        }
        while let last = name.last, Self.isBlank(last) { name.removeLast() }
        return Tag(name: String(decoding: name, as: UTF8.self), kind: kind, end: end + 1)
    }

    private func skippingBlanks(from start: Int) -> Int {
        var place = start
        while place < bytes.count, Self.isBlank(bytes[place]) { place += 1 }
        return place
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 10 || byte == 13 || byte == 9 }

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
}
