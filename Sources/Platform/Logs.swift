// Where log lines go: to the journal with fields when systemd runs us, else to standard error as text.

import Glibc
public import Logging

public enum Logs {
    /// Sends the lines of every `Logger` that is made from now on to the journal or to standard error.
    /// - Parameter level: lines below it are dropped.
    public static func bootstrap(level: Logger.Level) {
        let toJournal = environment("JOURNAL_STREAM").map(standardErrorIs) ?? false
        LoggingSystem.bootstrap { label -> any LogHandler in
            if toJournal { return JournalLogHandler(label: label, logLevel: level) }
            return TextLogHandler(label: label, logLevel: level)
        }
    }

    /// Whether standard error is the stream that `JOURNAL_STREAM` describes as `DEVICE:INODE` (systemd.exec(5)).
    private static func standardErrorIs(_ stream: String) -> Bool {
        var status = stat()
        return fstat(2, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
    }
}

/// One line a message: `2026-11-21T03:44:31.123Z notice agent: rule failed unit=puma.service value=95`.
private struct TextLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(SystemTime().now().wall) \(event.level) \(label): \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(quoted("\(value)"))" }
        _ = writeAll(Array(line.utf8) + [10], to: 2)
    }

    /// A value with spaces or anything unprintable in quotes: one message stays one line.
    private func quoted(_ value: String) -> String {
        let plain = !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 32 && $0 != "\"" && $0 != "=" && $0.value != 127 }
        return plain ? value : JSON.string(value).text
    }
}

/// The journal's native protocol (systemd.io, "Native Journal Protocol"): one datagram an entry, a field a line; a value with
/// newlines has its length before it.
private struct JournalLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var message = "\(event.message)"
        var entry: [UInt8] = []
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            message += " \(key)=\(value)"
            append("ROLLCALL_\(fieldName(key))", "\(value)", to: &entry)
        }
        append("MESSAGE", message, to: &entry)
        append("PRIORITY", "\(priority(of: event.level))", to: &entry)
        append("SYSLOG_IDENTIFIER", label, to: &entry)
        if !sendDatagram(entry, to: "/run/systemd/journal/socket") {
            _ = writeAll(Array("\(message)\n".utf8), to: 2)
        }
    }

    /// The journal takes A-Z, 0-9 and underscores.
    private func fieldName(_ key: String) -> String {
        String(key.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    private func append(_ name: String, _ value: String, to entry: inout [UInt8]) {
        entry += name.utf8
        let bytes = Array(value.utf8)
        if bytes.contains(10) {
            entry.append(10)
            for shift in stride(from: 0, to: 64, by: 8) { entry.append(UInt8(truncatingIfNeeded: bytes.count >> shift)) }
        } else {
            entry.append(UInt8(ascii: "="))
        }
        entry += bytes
        entry.append(10)
    }

    /// syslog(3)'s numbers.
    private func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
