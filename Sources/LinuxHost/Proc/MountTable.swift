// /proc/PID/mountinfo.

/// Where file systems are mounted, and which of them cannot be written.
func mounts(parsing text: Span<UInt8>) -> [String: Mount] {
    var mounts: [String: Mount] = [:]
    var position = 0
    repeat {
        let start = position
        _ = text.skipLine(&position)
        var line: [UInt8] = []
        for index in start..<position { line.append(text[index]) }
        let fields = Fields(line[...])
        guard let point = fields.text(at: 4), let options = fields.text(at: 5) else { continue }
        // After a dash come the type, the source and the options of the file system itself: an error makes that one read-only.
        var index = 6
        while let field = fields.text(at: index), field != "-" { index += 1 }
        let superOptions = fields.text(at: index + 3) ?? ""
        // The last one is on top.
        mounts[unescaped(point)] = Mount(
            isReadOnly: hasReadOnly(options) || hasReadOnly(superOptions), device: fields.text(at: 2) ?? "", root: unescaped(fields.text(at: 3) ?? "")
        )
    } while position < text.count
    return mounts
}

struct Mount: Equatable, Sendable {
    var isReadOnly: Bool
    /// The numbers of the file system's device, `8:1`.
    var device = ""
    /// Which folder of the file system lies there.
    var root = "/"
}

private func hasReadOnly(_ options: String) -> Bool { options.split(separator: ",").contains("ro") }

/// The kernel writes blanks and backslashes as three octal digits: `/mnt/my\040disk`.
private func unescaped(_ text: String) -> String {
    let bytes = Array(text.utf8)
    guard bytes.contains(UInt8(ascii: "\\")) else { return text }
    var plain: [UInt8] = []
    var index = 0
    while index < bytes.count {
        if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
            let code = UInt8(String(decoding: bytes[(index + 1)...(index + 3)], as: UTF8.self), radix: 8)
        {
            plain.append(code)
            index += 4
        } else {
            plain.append(bytes[index])
            index += 1
        }
    }
    return String(decoding: plain, as: UTF8.self)
}
