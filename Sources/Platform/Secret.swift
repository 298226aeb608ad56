// Passwords and tokens: read from files that only their owner can read, never printed.

import Glibc

/// A password or token. It does not show itself in descriptions, dumps, logs or interpolations.
public struct Secret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    public init(_ text: String) { bytes = Array(text.utf8) }

    /// Reads a secret from a file: its first line, without the newline. The file must belong to root or to this process's user and be
    /// closed to all others (0600 or 0400), or be a credential that systemd placed for this process.
    /// - Parameter reader: to whom it may belong instead of this process's user: whose program this is only checking a configuration for.
    public init(file path: String, reader: UInt32? = nil) throws(FileError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw FileError(path: path, problem: "cannot be read: \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileError(path: path, problem: "is not a regular file") }
        let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) + "/" }
        if !(credentials.map(path.hasPrefix) ?? false) {
            guard status.st_uid == 0 || status.st_uid == reader ?? geteuid() else {
                throw FileError(path: path, problem: "holds a secret but belongs to user \(status.st_uid): chown it to the user that reads it")
            }
            guard status.st_mode & 0o077 == 0 else {
                throw FileError(path: path, problem: "holds a secret but others can open it: chmod 600 \(path)")
            }
        }
        var content = try AtomicFile.read(path, limit: 4096)
        if let newline = content.firstIndex(of: 10) { content.removeSubrange(newline...) }
        if content.last == 13 { content.removeLast() }
        guard !content.isEmpty else { throw FileError(path: path, problem: "is empty; it should hold a secret on its first line") }
        bytes = content
    }

    /// Shows the secret: for the one call that hands it over to where it is needed.
    public func reveal() -> String { String(decoding: bytes, as: UTF8.self) }

    /// Compares in a time that depends on the candidate's length alone, which whoever asks knows anyway.
    public func matches(_ candidate: some Collection<UInt8>) -> Bool {
        var difference = UInt8(candidate.count == bytes.count ? 0 : 1)
        for (index, byte) in candidate.enumerated() {
            difference |= byte ^ (bytes.isEmpty ? 0 : bytes[index % bytes.count])
        }
        return difference == 0
    }

    public static func == (a: Secret, b: Secret) -> Bool { a.matches(b.bytes) }

    public var description: String { "(secret)" }
    public var debugDescription: String { "(secret)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
