// A script in /etc/init.d, as far as it says something about its service.

/// What can be read from a script without running it.
struct SysVScript: Equatable, Sendable {
    /// Where it says that its main process writes its pid; `nil` when it says nothing that can be understood.
    var pidFile: String?
    /// The verb that makes the service read its configuration anew; `nil` when it has none.
    var reloadVerb: String?

    private static let pidFileNames: Set = ["PIDFILE", "PID_FILE", "pidfile", "pid_file", "PIDF"]
    private static let mostVariables = 200

    init(parsing text: [UInt8]) {
        var variables: [String: String] = [:]
        var labels: Set<String> = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let words = String(decoding: line.prefix(1000), as: UTF8.self)
            let trimmed = words.drop { $0 == " " || $0 == "\t" }
            if trimmed.hasPrefix("#") {
                // chkconfig's header: `# pidfile: /var/run/app.pid`
                let comment = trimmed.drop { $0 == "#" || $0 == " " || $0 == "\t" }
                if comment.hasPrefix("pidfile:") {
                    let path = comment.dropFirst("pidfile:".count).filter { $0 != " " && $0 != "\t" && $0 != "\r" }
                    if pidFile == nil, path.hasPrefix("/") { pidFile = String(path) }
                }
                continue
            }
            if let equals = trimmed.firstIndex(of: "="), let name = Self.variable(trimmed[..<equals]) {
                if let value = Self.value(trimmed[trimmed.index(after: equals)...], variables) {
                    if Self.pidFileNames.contains(name), value.hasPrefix("/") { pidFile = value }
                    if variables.count < Self.mostVariables { variables[name] = value }
                }
            } else if let end = trimmed.firstIndex(of: ")") {
                labels.formUnion(trimmed[..<end].split(separator: "|").map { String($0.filter { $0 != " " && $0 != "(" && $0 != "\"" }) })
            }
        }
        reloadVerb = ["reload", "force-reload"].first(where: labels.contains)
    }

    private static func variable(_ text: Substring) -> String? {
        let name = text.hasPrefix("export ") ? text.dropFirst(7) : text
        guard let first = name.utf8.first, !(48...57).contains(first), name.utf8.count <= 64 else { return nil }
        return name.utf8.allSatisfy { isNameByte($0) } ? String(name) : nil
    }

    /// A word with simple variables in it; `nil` for what only a shell can tell.
    private static func value(_ text: Substring, _ variables: [String: String]) -> String? {
        var out = ""
        var rest = text.utf8[...]
        var quote: UInt8?
        while let byte = rest.first {
            rest.removeFirst()
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if quote == nil { quote = byte } else if quote == byte { quote = nil } else { out.unicodeScalars.append(Unicode.Scalar(byte)) }
            case UInt8(ascii: "$") where quote != UInt8(ascii: "'"):
                let isBraced = rest.first == UInt8(ascii: "{")
                if isBraced { rest.removeFirst() }
                let name = rest.prefix { isNameByte($0) }
                rest = rest.dropFirst(name.count)
                if isBraced { guard rest.popFirst() == UInt8(ascii: "}") else { return nil } }
                guard let value = variables[String(Substring(name))] else { return nil }
                out += value
            case UInt8(ascii: "`"), UInt8(ascii: "("), UInt8(ascii: "\\"): return nil
            case 32, 9, 13, UInt8(ascii: ";"):
                if quote == nil { return out }
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                // Bytes of a longer character stay together.
                var character = [byte]
                while let next = rest.first, next & 0xc0 == 0x80 { character.append(rest.removeFirst()) }
                out += String(decoding: character, as: UTF8.self)
            }
            if out.utf8.count > 4096 { return nil }
        }
        return quote == nil ? out : nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte) || byte == 95
    }
}
