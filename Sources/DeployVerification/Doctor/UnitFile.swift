// A unit file of systemd, with its drop-ins.

public struct UnitFile: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        public var section: String
        public var key: String
        public var value: String
        public var file: String
        public var line: Int
    }

    public private(set) var entries: [Entry] = []

    public init() {}

    /// Reads one file after the others: what it says counts as if it stood behind them.
    public mutating func read(_ text: String, file: String) {
        var section = ""
        var pending: (key: String, value: String, line: Int)?
        for (number, whole) in numberedLines(text) {
            let line = whole.trimmed
            if var open = pending {
                // Comments may stand between the lines of one entry.
                if line.first == "#" || line.first == ";" { continue }
                open.value += " " + withoutBackslash(line)
                pending = line.hasSuffix("\\") ? open : nil
                if pending == nil { add(section, open.key, open.value, file, open.line) }
                continue
            }
            guard let first = line.first, first != "#", first != ";" else { continue }
            if first == "[" {
                section = String(line.dropFirst().prefix { $0 != "]" })
                continue
            }
            guard let sign = line.firstIndex(of: "=") else { continue }
            let key = String(line[..<sign].trimmed)
            let value = line[line.index(after: sign)...].trimmed
            if line.hasSuffix("\\") {
                pending = (key, String(withoutBackslash(value)), number)
            } else {
                add(section, key, String(value), file, number)
            }
        }
        if let open = pending { add(section, open.key, open.value, file, open.line) }
    }

    /// Reads a job of Upstart, as the entries that a unit has for the same. Without `reload signal` a reload sends HUP.
    public mutating func readUpstart(_ text: String, file: String) {
        var signal = (name: "HUP", line: 1)
        var script: (line: Int, isMain: Bool)?
        for (number, whole) in numberedLines(text) {
            let line = whole.trimmed
            if let open = script {
                if line == "end script" {
                    script = nil
                } else if open.isMain, CommandWords.commands(String(line)).contains(where: { ServerKind(words: $0) != nil }) {
                    add("Service", "ExecStart", String(line), file, number)
                }
                continue
            }
            let words = line.split(separator: " ", maxSplits: 1)
            guard let stanza = words.first else { continue }
            let rest = words.count == 2 ? String(words[1].trimmed) : ""
            if line.hasSuffix("script") { script = (number, line == "script") }
            switch stanza {
            case "chdir": add("Service", "WorkingDirectory", rest, file, number)
            case "env": add("Service", "Environment", rest, file, number)
            case "exec": add("Service", "ExecStart", rest, file, number)
            case "reload" where rest.hasPrefix("signal "):
                let name = rest.dropFirst(7).filter { $0.isLetter || $0.isNumber }
                signal = (name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name, number)
            default: break
            }
        }
        add("Service", "ExecReload", "kill -\(signal.name) $MAINPID", file, signal.line)
    }

    private func withoutBackslash(_ text: Substring) -> Substring { text.hasSuffix("\\") ? text.dropLast() : text }

    /// An empty value takes back what was said before, as systemd has it.
    private mutating func add(_ section: String, _ key: String, _ value: String, _ file: String, _ line: Int) {
        if value.isEmpty {
            entries.removeAll { $0.section == section && $0.key == key }
        } else if entries.count < DoctorLimits.settings {
            entries.append(Entry(section: section, key: key, value: String(value.prefix(16 << 10)), file: file, line: line))
        }
    }

    /// All that is said for a key of `[Service]`.
    public func all(_ key: String) -> [Entry] { entries.filter { $0.section == "Service" && $0.key == key } }
    /// What counts for a key of `[Service]` that takes one value.
    public func last(_ key: String) -> Entry? { entries.last { $0.section == "Service" && $0.key == key } }

    /// What an environment variable is set to, as far as the unit says it itself.
    public func variable(_ name: String) -> Entry? {
        for entry in all("Environment").reversed() {
            for word in CommandWords.split(entry.value) where word.hasPrefix(name + "=") {
                var found = entry
                found.value = String(word.dropFirst(name.count + 1))
                return found
            }
        }
        return nil
    }
}
