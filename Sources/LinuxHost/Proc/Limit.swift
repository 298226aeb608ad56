// What something may have at most.

/// A limit: a number, or none.
enum Limit: Equatable, Sendable {
    case unlimited
    case atMost(UInt64)

    /// `nil` when there is none.
    var number: UInt64? {
        switch self {
        case .unlimited: nil
        case .atMost(let number): number
        }
    }

    /// How many files a process may open, of /proc/PID/limits: the soft limit, which is the one that is kept to.
    init?(openFilesOf text: Span<UInt8>) {
        var position = 0
        repeat {
            guard text.takes("Max", &position), text.takes("open", &position), text.takes("files", &position) else { continue }
            if let number = text.number(&position) {
                self = .atMost(number)
            } else if text.takes("unlimited", &position) {
                self = .unlimited
            } else {
                return nil
            }
            return
        } while text.skipLine(&position)
        return nil
    }

    /// Of a control group: memory.max, pids.max.
    init?(ofGroup text: Span<UInt8>) {
        var position = 0
        if text.takes("max", &position) {
            self = .unlimited
        } else if let number = text.firstNumber() {
            self = .atMost(number)
        } else {
            return nil
        }
    }
}
