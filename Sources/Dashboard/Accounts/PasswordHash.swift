// Passwords as they are stored: salted, and slow to try out.

import Crypto
import CryptoExtras
import Dispatch
import Foundation
import Platform
import Synchronization

/// A password's scrypt hash (RFC 7914) with its parameters, so that hashes outlive a change of these:
/// `$scrypt$ln=15,r=8,p=3$SALT$HASH`, salt and hash in hex.
struct PasswordHash: Equatable, Sendable {
    /// How hard it is: 2 to the power of `log2Rounds` rounds, and 128 bytes * rounds * blockSize of memory.
    struct Cost: Equatable, Sendable {
        var log2Rounds: Int
        var blockSize: Int
        var parallelism: Int

        /// 32 MiB and about a quarter of a second.
        static let standard = Cost(log2Rounds: 15, blockSize: 8, parallelism: 3)
    }

    let cost: Cost
    let salt: [UInt8]
    let key: [UInt8]

    /// Hashes a password with a salt of its own. Takes its time: see `PasswordHashing`.
    init(of password: String, cost: Cost) {
        let salt = Array(hexToBytes(randomHex(bytes: 16)) ?? [])
        self.init(cost: cost, salt: salt, key: Self.derive(password, salt: salt, cost: cost) ?? [])
    }

    private init(cost: Cost, salt: [UInt8], key: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    /// Reads what `text` wrote; `nil` for anything else, and for parameters that would take gigabytes or minutes.
    init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt", let salt = hexToBytes(parts[3]), let key = hexToBytes(parts[4]),
            salt.count >= 8, key.count == 32
        else { return nil }
        var numbers: [Int] = []
        for (parameter, name) in zip(parts[2].split(separator: ","), ["ln=", "r=", "p="]) {
            guard parameter.hasPrefix(name), let number = Int(parameter.dropFirst(name.count)) else { return nil }
            numbers.append(number)
        }
        guard numbers.count == 3, (1...20).contains(numbers[0]), (1...16).contains(numbers[1]), (1...16).contains(numbers[2]) else { return nil }
        self.init(cost: Cost(log2Rounds: numbers[0], blockSize: numbers[1], parallelism: numbers[2]), salt: salt, key: key)
    }

    var text: String { "$scrypt$ln=\(cost.log2Rounds),r=\(cost.blockSize),p=\(cost.parallelism)$\(hex(salt))$\(hex(key))" }

    /// Whether this is that password's hash. Takes as long as making one.
    func matches(_ password: String) -> Bool {
        guard let candidate = Self.derive(password, salt: salt, cost: cost), !key.isEmpty else { return false }
        return Secret(hex(key)).matches(hex(candidate).utf8)
    }

    private static func derive(_ password: String, salt: [UInt8], cost: Cost) -> [UInt8]? {
        let key = try? KDF.Scrypt.deriveKey(
            from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: 1 << cost.log2Rounds, blockSize: cost.blockSize,
            parallelism: cost.parallelism)
        return key?.withUnsafeBytes { Array($0) }
    }
}

/// Where hashes are computed: two threads of their own, so that neither the event loops nor other tasks wait for them, and a bounded
/// line before each.
final class PasswordHashing: Sendable {
    let cost: PasswordHash.Cost
    private let queues = [DispatchQueue(label: "rollcall.passwords.0"), DispatchQueue(label: "rollcall.passwords.1")]
    private let underWay = Mutex([0, 0])
    private let longestLine = 8
    /// What a password is compared with when there is no such user: the answer takes as long as for a real one.
    private let nobody: PasswordHash

    init(cost: PasswordHash.Cost) {
        self.cost = cost
        nobody = PasswordHash(of: randomHex(bytes: 16), cost: cost)
    }

    /// `nil` when too many others wait.
    func hash(_ password: String) async -> String? {
        await run { [cost] in PasswordHash(of: password, cost: cost).text }
    }

    /// Whether it is the password of that user, if there is one. `nil` when too many others wait.
    func matches(_ password: String, _ user: String?) async -> Bool? {
        let real = user.flatMap { PasswordHash($0) }
        return await run { [nobody] in (real ?? nobody).matches(password) && real != nil }
    }

    private func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value? {
        let index = underWay.withLock { counts -> Int? in
            let index = counts[0] <= counts[1] ? 0 : 1
            guard counts[index] < longestLine else { return nil }
            counts[index] += 1
            return index
        }
        guard let index else { return nil }
        defer { underWay.withLock { $0[index] -= 1 } }
        return await withCheckedContinuation { continuation in queues[index].async { continuation.resume(returning: work()) } }
    }
}

private func hexToBytes(_ text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
        bytes.append(byte)
    }
    return bytes
}
