// What things are called on Upstart's bus.

enum UpstartNames {
    static let service = "com.ubuntu.Upstart"
    static let path = "/com/ubuntu/Upstart"
    static let manager = "com.ubuntu.Upstart0_6"
    static let job = "com.ubuntu.Upstart0_6.Job"
    static let instance = "com.ubuntu.Upstart0_6.Instance"
    /// Where init itself listens; only root is answered there.
    static let privateAddress = "unix:abstract=/com/ubuntu/upstart"
}

/// One job, or one instance of it, by its object path: `/com/ubuntu/Upstart/jobs/NAME[/INSTANCE]`.
struct UpstartPath: Equatable {
    var job: String
    /// Empty for the only instance of a job without instances; `nil` in the path of a job.
    var instance: String?

    init(job: String, instance: String? = nil) {
        self.job = job
        self.instance = instance
    }

    /// `nil` for a path of something else.
    init?(_ path: String) {
        let prefix = UpstartNames.path + "/jobs/"
        guard path.hasPrefix(prefix) else { return nil }
        let parts = path.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let job = unescaped(parts[0]), !job.isEmpty else { return nil }
        self.job = job
        if parts.count == 2 {
            guard let instance = unescaped(parts[1]) else { return nil }
            self.instance = instance
        }
    }

    var text: String { "\(UpstartNames.path)/jobs/\(escaped(job))" + (instance.map { "/\(escaped($0))" } ?? "") }

    /// What rules and events call it: `worker`, `worker/1`.
    var unit: String { instance.map { $0.isEmpty ? job : "\(job)/\($0)" } ?? job }
}

/// As libnih writes names into object paths: every byte but letters and digits as `_xx`, and nothing as `_`.
private func escaped(_ name: String) -> String {
    guard !name.isEmpty else { return "_" }
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: name.utf8.flatMap { byte -> [UInt8] in
            isPlain(byte) ? [byte] : [UInt8(ascii: "_"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }, as: UTF8.self)
}

private func unescaped(_ text: Substring) -> String? {
    if text == "_" { return "" }
    guard !text.isEmpty else { return nil }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "_") {
            guard let high = rest.popFirst().flatMap(hexadecimalDigit), let low = rest.popFirst().flatMap(hexadecimalDigit) else { return nil }
            bytes.append(high << 4 | low)
        } else {
            guard isPlain(byte) else { return nil }
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

private func isPlain(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 97...102: byte - 87
    case 65...70: byte - 55
    default: nil
    }
}
