// A deploy as it is filed: within bounds, without anything secret, under the services that it concerns.

public import AgentAPI
public import Platform

/// A deploy on its way into the database.
public struct FiledDeploy: Equatable, Sendable {
    /// Digits of a token that may be shown: they tell two apart and prove nothing.
    static let longestPrefix = 16

    public var record: DeployRecord
    /// When it was over, by our clock at the latest: which of two deploys is the newer one.
    public var at: Timestamp
    /// The services whose pages show it, the script's own name among them.
    public var services: Set<String>

    /// As it is stored. Two records that read the same are the same deploy, told twice.
    public var text: String { record.json.text }

    init(_ record: DeployRecord, services: Set<String>, at now: Timestamp) {
        self.record = record
        self.services = services
        at = min(record.ended, now)
    }
}

extension DeployRecord {
    /// The record as it may be kept.
    public func checked() throws(RequestError) -> DeployRecord {
        guard id.hasPrefix("d-"), (3...66).contains(id.utf8.count),
            id.utf8.dropFirst(2).allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
        else { throw RequestError(problem: "deploy_id is not `d-` and at most 64 lower-case hex digits") }
        for (name, text) in [("service", service), ("person", person ?? ""), ("revision", revision ?? "")] {
            guard text.utf8.count <= 200 else { throw RequestError(problem: "\(name) is longer than 200 bytes") }
            guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
                throw RequestError(problem: "\(name) has control characters")
            }
        }
        let prefixes = [tokenPrefix] + hosts.flatMap { host in [host.tokenPrefix] + host.processes.map(\.tokenPrefix) }.compactMap(\.self)
        guard prefixes.allSatisfy({ $0.utf8.count <= FiledDeploy.longestPrefix }) else {
            throw RequestError(problem: "a token's prefix has more than \(FiledDeploy.longestPrefix) characters: whole tokens are not kept here")
        }
        var record = self
        for index in record.urls.indices { record.urls[index].url = withoutLogin(record.urls[index].url) }
        return record
    }
}

/// A URL without the user and the password in front of its host.
private func withoutLogin(_ url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return url }
    let rest = url[scheme.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard let at = authority.lastIndex(of: "@") else { return url }
    return String(url[..<scheme.upperBound] + rest[rest.index(after: at)...])
}
