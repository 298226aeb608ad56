// Basic authentication (RFC 7617), with a bound on guesses.

import NIOHTTP1
import Platform

/// Knows one user and their password.
struct BasicLogin {
    enum Verdict {
        case known, unknown
        /// There were too many wrong ones from that address: also the right password has to wait, else a guesser would not be slowed down.
        case tooManyFailures
    }

    private var failures: FailureLimit

    init(failuresPerSecond: Int) { failures = FailureLimit(perSecond: failuresPerSecond) }

    /// - Parameters:
    ///   - address: whose request it is.
    ///   - credential: what comes after `Basic ` from somebody who knows user and password.
    mutating func verdict(on head: HTTPRequestHead, from address: String, credential: Secret, at uptime: Duration) -> Verdict {
        guard !failures.isReached(address, at: uptime) else { return .tooManyFailures }
        let authorization = head.headers["Authorization"]
        guard authorization.count == 1, let told = told(by: authorization[0]), credential.matches(told) else {
            // Asking without a password is how some clients find out that they need one; it guesses nothing.
            if !authorization.isEmpty { failures.failed(address, at: uptime) }
            return .unknown
        }
        return .known
    }

    /// What comes after `Basic `.
    private func told(by authorization: String) -> Substring.UTF8View? {
        guard authorization.prefix(6).lowercased() == "basic " else { return nil }
        return authorization.dropFirst(6).drop { $0 == " " }.utf8
    }
}
