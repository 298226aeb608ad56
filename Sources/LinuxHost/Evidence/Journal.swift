// What a unit last wrote into systemd's journal.

import CSystemd
import Glibc

/// The last lines of a unit in the journal, oldest first, each with its time of day; `nil` when there is no journal, or none that this
/// process may read. It waits for the disk: it is not for the watcher's thread.
func journalLines(of unit: String, count: Int) -> [String]? {
    var journal: OpaquePointer?
    guard sd_journal_open(&journal, Int32(SD_JOURNAL_LOCAL_ONLY)) >= 0, let journal else { return nil }
    defer { sd_journal_close(journal) }
    sd_journal_set_data_threshold(journal, 1024)
    // What it says itself, and what systemd says of it.
    guard sd_journal_add_match(journal, "_SYSTEMD_UNIT=\(unit)", 0) >= 0, sd_journal_add_disjunction(journal) >= 0,
        sd_journal_add_match(journal, "_PID=1", 0) >= 0, sd_journal_add_match(journal, "UNIT=\(unit)", 0) >= 0,
        sd_journal_seek_tail(journal) >= 0
    else { return nil }
    var lines: [String] = []
    while lines.count < count, sd_journal_previous(journal) > 0 {
        var bytes: UnsafeRawPointer?
        var size = 0
        guard sd_journal_get_data(journal, "MESSAGE", &bytes, &size) >= 0, let bytes else { continue }
        let message = UnsafeRawBufferPointer(start: bytes, count: min(size, 1024)).dropFirst("MESSAGE=".utf8.count)
        var microseconds: UInt64 = 0
        sd_journal_get_realtime_usec(journal, &microseconds)
        lines.append("\(timeOfDay(microseconds)) \(oneLine(message))")
    }
    return lines.isEmpty ? nil : lines.reversed()
}

/// Local, as the operator's own tools show it: `03:44:31`.
private func timeOfDay(_ microseconds: UInt64) -> String {
    var seconds = time_t(clamping: microseconds / 1_000_000)
    var parts = tm()
    guard localtime_r(&seconds, &parts) != nil else { return "" }
    return [parts.tm_hour, parts.tm_min, parts.tm_sec].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
}

/// Without control characters, which a terminal would obey.
private func oneLine(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.map { $0 < 32 || $0 == 127 ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
}
