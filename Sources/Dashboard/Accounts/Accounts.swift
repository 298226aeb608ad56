// Who is there: the first user, logging in and out, sessions.

import AggregatorCore
import Crypto
import Platform
import Synchronization

/// Somebody who is logged in.
struct Visitor: Equatable, Sendable {
    var name: String
    var formToken: String
    var sessionDigest: String
}

final class Accounts: Sendable {
    enum LoginOutcome: Equatable, Sendable {
        /// The value of the session's cookie; nobody but the browser keeps it.
        case welcome(cookie: String)
        case wrong
        case wait(Duration)
        case busy
    }

    enum SetupOutcome: Equatable, Sendable {
        case welcome(cookie: String)
        case wrongCode
        case invalid(String)
        /// There is a user already.
        case closed
        case wait(Duration)
        case busy
    }

    static let sessionLength = Duration.seconds(14 * 86400)
    static let shortestPassword = 10

    private let store: any AccountStoring
    private let setupCode: Secret
    private let hashing: PasswordHashing
    private let throttle = Mutex(LoginThrottle())
    /// Users are never removed, so once there is one there always is.
    private let hasUsers = Mutex(false)

    init(store: any AccountStoring, setupCode: Secret, cost: PasswordHash.Cost) {
        self.store = store
        self.setupCode = setupCode
        hashing = PasswordHashing(cost: cost)
    }

    /// Whether nobody can log in yet, so that the first user is to be made.
    func needsSetup() async throws(StoreError) -> Bool {
        if hasUsers.withLock({ $0 }) { return false }
        let found = try await store.hasUsers()
        if found { hasUsers.withLock { $0 = true } }
        return !found
    }

    func visitor(cookie: String?, at now: Timestamp) async throws(StoreError) -> Visitor? {
        guard let cookie, cookie.utf8.count == 32 else { return nil }
        return try await visitor(digest: digest(cookie), at: now)
    }

    func visitor(digest: String, at now: Timestamp) async throws(StoreError) -> Visitor? {
        guard let session = try await store.session(digest: digest, at: now) else { return nil }
        return Visitor(name: session.user, formToken: session.formToken, sessionDigest: digest)
    }

    func logIn(name: String, password: String, from address: String, at now: Moment) async throws(StoreError) -> LoginOutcome {
        let keys: [LoginThrottle.Key] = [.address(address), .name(String(name.prefix(64)))]
        if case .wait(let delay) = throttle.withLock({ $0.attempt(keys, at: now.uptime) }) { return .wait(delay) }
        let user = try await store.user(String(name.prefix(64)))
        guard let isRight = await hashing.matches(bounded(password), user?.passwordHash) else { return .busy }
        guard isRight, let user else { return .wrong }
        throttle.withLock { $0.succeeded(keys) }
        return .welcome(cookie: try await beginSession(of: user.name, at: now.wall))
    }

    func setUp(code: String, name: String, password: String, from address: String, at now: Moment) async throws(StoreError) -> SetupOutcome {
        guard try await needsSetup() else { return .closed }
        let keys: [LoginThrottle.Key] = [.address(address)]
        if case .wait(let delay) = throttle.withLock({ $0.attempt(keys, at: now.uptime) }) { return .wait(delay) }
        guard !setupCode.matches([]), setupCode.matches(code.utf8) else { return .wrongCode }
        throttle.withLock { $0.succeeded(keys) }
        if let problem = problem(withName: name) ?? problem(withPassword: password) { return .invalid(problem) }
        guard let hash = await hashing.hash(password) else { return .busy }
        guard try await store.addFirstUser(UserRecord(name: name, passwordHash: hash)) else { return .closed }  // somebody was first
        return .welcome(cookie: try await beginSession(of: name, at: now.wall))
    }

    func logOut(_ visitor: Visitor) async throws(StoreError) {
        try await store.removeSession(digest: visitor.sessionDigest)
    }

    private func beginSession(of user: String, at now: Timestamp) async throws(StoreError) -> String {
        let cookie = randomHex(bytes: 16)
        try await store.addSession(
            SessionRecord(digest: digest(cookie), user: user, formToken: randomHex(bytes: 16), expiresAt: now + Self.sessionLength))
        return cookie
    }

    private func problem(withName name: String) -> String? {
        guard !name.isEmpty, name.count <= 64 else { return "The name should have between 1 and 64 characters." }
        let isPlain = name.unicodeScalars.allSatisfy { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }
        return isPlain ? nil : "The name should have no spaces."
    }

    private func problem(withPassword password: String) -> String? {
        if password.count < Self.shortestPassword { return "The password should have at least \(Self.shortestPassword) characters." }
        return password.utf8.count > 1024 ? "The password is longer than 1024 bytes." : nil
    }

    /// No password is longer than this; what is compared need not be either.
    private func bounded(_ password: String) -> String { password.utf8.count > 1024 ? "" : password }
}

/// SHA-256 in hex: what is kept of cookies and tokens.
func digest(_ secret: String) -> String { hex(SHA256.hash(data: Array(secret.utf8))) }
