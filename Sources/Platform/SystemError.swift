// errno, with what was being done.

import Glibc

/// A system call that failed: what was being done, to what, and the kernel's reason.
public struct SystemError: Error, Equatable, CustomStringConvertible, Sendable {
    public var doing: String
    public var code: Int32

    public init(_ doing: String, code: Int32) {
        self.doing = doing
        self.code = code
    }

    /// With the reason of the call that failed just now.
    public init(_ doing: String) { self.init(doing, code: errno) }

    public var description: String { "\(doing): \(String(cString: strerror(code)))" }
}
