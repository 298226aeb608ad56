// What tells that a process has got another program in place.

/// Where the kernel has put a process's program, its stack and its arguments. Every exec draws these addresses anew: between two looks at one
/// process that see the same mark there was no exec. A changed mark proves none, because a process may move its arguments (for its title); it
/// says that it is worth looking closely.
///
/// To those who may not know, the kernel shows constants instead. They change when it begins to show the truth, which is then worth a look.
public struct ExecMark: Equatable, Sendable {
    public var code: UInt64
    public var stack: UInt64
    public var arguments: UInt64

    public init(code: UInt64, stack: UInt64, arguments: UInt64) {
        self.code = code
        self.stack = stack
        self.arguments = arguments
    }
}
