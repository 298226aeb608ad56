// /proc/self/mountinfo.

/// Where file systems are mounted.
func mountPoints(parsing text: some Collection<UInt8>) -> Set<String> {
    var points: Set<String> = []
    for line in Array(text).split(separator: UInt8(ascii: "\n")) {
        guard let point = Fields(line).text(at: 4) else { continue }
        points.insert(unescaped(point))
    }
    return points
}

/// The kernel writes blanks and backslashes as three octal digits: `/mnt/my\040disk`.
private func unescaped(_ text: String) -> String {
    let bytes = Array(text.utf8)
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
