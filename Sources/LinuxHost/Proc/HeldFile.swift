// Kernel files that are read again and again.

import Glibc
import Platform

/// What all readings of a sampler share: one buffer, and how many files may stay open.
///
/// What `read` answers with is valid until the next reading.
final class FileReader {
    /// When this cycle began.
    var now = Duration.zero
    let budget: DescriptorBudget
    private var buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 16 << 10)
    /// No list of the kernel's is read beyond this.
    private static let limit = 1 << 20

    init(budget: DescriptorBudget = DescriptorBudget()) { self.budget = budget }

    deinit { buffer.deallocate() }

    /// - Parameter whole: for lists, which the kernel gives in pieces; everything else comes whole and consistent with one call.
    func read(_ descriptor: Int32, whole: Bool) -> UnsafeBufferPointer<UInt8>? {
        var filled = pread(descriptor, buffer.baseAddress, buffer.count, 0)
        guard filled >= 0 else { return nil }
        while whole {
            if filled == buffer.count {
                guard filled < Self.limit else { break }
                grow()
            }
            let count = pread(descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, off_t(filled))
            guard count > 0 else {
                if count < 0 { return nil }
                break
            }
            filled += count
        }
        return UnsafeBufferPointer(rebasing: buffer[..<filled])
    }

    private func grow() {
        let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: buffer.count * 2)
        _ = larger.initialize(fromContentsOf: buffer)
        buffer.deallocate()
        buffer = larger
    }
}

/// A file that is asked for in many cycles. It stays open as far as the budget allows, which makes reading it again three times cheaper,
/// and makes a file of a process fail once the process is gone instead of telling about another with the same pid.
struct HeldFile: ~Copyable {
    /// Why the last reading failed, as errno says it; 0 when it did not.
    private(set) var failure: Int32 = 0
    private let reader: FileReader
    private let whole: Bool
    private var descriptor: Int32 = -1
    private var retry = Duration.zero
    /// How long a file that could not be opened is left alone: most often nothing of its kind is there, which costs a search each time.
    private static let patience = Duration.seconds(5)

    init(_ reader: FileReader, whole: Bool = false) {
        self.reader = reader
        self.whole = whole
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        reader.budget.giveBack()
    }

    var isHeld: Bool { descriptor >= 0 }

    /// What is in it now; `nil` when it cannot be read.
    mutating func read(_ path: @autoclosure () -> String) -> UnsafeBufferPointer<UInt8>? {
        if descriptor >= 0 {
            if let text = reader.read(descriptor, whole: whole) {
                failure = 0
                return text
            }
            // A control group that was removed and made again has new files of the same names.
            release()
        } else if failure != 0, reader.now < retry {
            return nil
        }
        let opened = open(path(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard opened >= 0 else { return fail() }
        guard let text = reader.read(opened, whole: whole) else {
            let result: UnsafeBufferPointer<UInt8>? = fail()
            close(opened)
            return result
        }
        failure = 0
        if reader.budget.take() {
            descriptor = opened
        } else {
            close(opened)
        }
        return text
    }

    /// Lets go of the file; the next reading opens it again.
    mutating func release() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        reader.budget.giveBack()
        descriptor = -1
    }

    private mutating func fail() -> UnsafeBufferPointer<UInt8>? {
        failure = errno
        retry = reader.now + Self.patience
        return nil
    }
}

/// How many descriptors may be held open; files beyond that are opened for each reading.
final class DescriptorBudget {
    private var left: Int

    init(_ count: Int) { left = count }

    /// Half of what the process may open, and not more than 8192: the kernel pays for each of them with a kilobyte or two.
    convenience init() {
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        self.init(min(8192, Int(clamping: limits.rlim_cur) / 2))
    }

    func take() -> Bool {
        guard left > 0 else { return false }
        left -= 1
        return true
    }

    func giveBack() { left += 1 }
}
