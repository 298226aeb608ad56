// A kernel file that is read again and again.

import Glibc

/// Keeps a file open, which makes reading it again three times cheaper, and makes a file of a process fail once the process is gone
/// instead of telling about another with the same pid.
final class HeldFile {
    let path: String
    private let limit: Int
    private let budget: DescriptorBudget
    private var descriptor: Int32

    /// `nil` when it cannot be opened.
    /// - Parameter limit: how many bytes are read at most.
    init?(_ path: String, limit: Int, budget: DescriptorBudget) {
        self.path = path
        self.limit = limit
        self.budget = budget
        guard budget.take() else {
            descriptor = -1
            guard access(path, R_OK) == 0 else { return nil }
            return
        }
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            budget.giveBack()
            return nil
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        budget.giveBack()
    }

    /// What is in it now; `nil` when it is gone.
    func read() -> [UInt8]? {
        guard descriptor >= 0 else { return readFile(path, limit: limit) }
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, used in
            // What is held here is short, and comes whole and consistent with one call.
            count = pread(descriptor, buffer.baseAddress, limit, 0)
            used = max(0, count)
        }
        return count < 0 ? nil : bytes
    }
}

/// How many descriptors may be held open; files beyond that are opened for each reading.
final class DescriptorBudget {
    private var left: Int

    init(_ count: Int) { left = count }

    /// A quarter of what the process may open, and not more than 2000.
    convenience init() {
        var limits = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        self.init(min(2000, Int(clamping: limits.rlim_cur) / 4))
    }

    func take() -> Bool {
        guard left > 0 else { return false }
        left -= 1
        return true
    }

    func giveBack() { left += 1 }
}
