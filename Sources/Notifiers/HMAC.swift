// Keyed hashes by OpenSSL's libcrypto, which libcurl brings along anyway.

import CCrypto

/// HMAC-SHA256 (RFC 2104); `nil` when libcrypto refuses, as it may where somebody has configured it to.
func hmacSHA256(of bytes: [UInt8], key: [UInt8]) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    // An empty array has no address, and a null key means another thing.
    guard !key.isEmpty, let keyLength = Int32(exactly: key.count),
        HMAC(EVP_sha256(), key, keyLength, bytes.isEmpty ? [0] : bytes, bytes.count, &out, &length) != nil
    else { return nil }
    return Array(out.prefix(Int(length)))
}

/// SHA-256; `nil` when libcrypto refuses.
func sha256(of bytes: [UInt8]) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    guard EVP_Digest(bytes.isEmpty ? [0] : bytes, bytes.count, &out, &length, EVP_sha256(), nil) == 1 else { return nil }
    return Array(out.prefix(Int(length)))
}
