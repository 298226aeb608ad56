// Which values of a configuration nobody may read over somebody's shoulder.

/// Whether the value of a setting or parameter of this name is a secret. A path to a file with a secret is none.
public func isSecretKey(_ key: String) -> Bool {
    let name = key.lowercased()
    guard !name.hasSuffix("_file"), !name.hasSuffix("_path") else { return false }
    return ["password", "passwd", "passphrase", "secret", "token", "credential"].contains { name.contains($0) }
        || name == "key" || name.hasSuffix("_key") || name.hasSuffix("-key")
}

/// The value of a setting or parameter as it may be shown: secrets hidden, and of an address the user that lets somebody in.
/// - Parameter isAddressSecret: whether whoever knows the path of an address may post there, as with `https://hooks.example.com/T0/B0/XXXX`.
public func withoutSecret(_ value: String, of key: String, isAddressSecret: Bool = false) -> String {
    let hidden = "(hidden)"
    if isSecretKey(key) { return hidden }
    guard let scheme = value.firstRange(of: "://") else { return value }
    let rest = value[scheme.upperBound...]
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    var host = String(rest[..<end])
    if let at = host.lastIndex(of: "@") { host = hidden + String(host[at...]) }
    let path = rest[end...]
    return String(value[..<scheme.upperBound]) + host + (isAddressSecret && path.count > 1 ? "/\(hidden)" : String(path))
}
