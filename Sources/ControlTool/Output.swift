// Text to the terminal, in the order in which it is said.

import Glibc

enum Output: Int32 {
    case answer = 1
    case complaint = 2

    /// Writes without a buffer, so that answers and complaints do not overtake each other. Who closed the pipe does not want the rest.
    func say(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(rawValue, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
