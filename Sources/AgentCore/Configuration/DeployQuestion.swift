// How a service's workers are asked which deploy token they carry, as far as its rule file says it.

import RuleLanguage

/// Parameters after `with` of `check service`:
/// - `deploy_path` (path that begins with `/`, default none): where the service's workers are asked which deploy token they carry, over their own
///   listeners. Without it, what TOKEN their releases had at their birth is all that is known of them.
/// - `deploy_user` and `deploy_password_file` (both or neither, only with `deploy_path`): as whom they are asked.
/// - `deploy_host` (default: the listener's address; only with `deploy_path`): the `Host` header of that question.
public struct DeployQuestion: Equatable, Sendable {
    static let keys = ["deploy_path", "deploy_user", "deploy_password_file", "deploy_host"]

    public var path: String
    public var host: String?
    public var user: String?
    public var passwordFile: String?

    public init(path: String, host: String? = nil, user: String? = nil, passwordFile: String? = nil) {
        self.path = path
        self.host = host
        self.user = user
        self.passwordFile = passwordFile
    }
}

extension DeployQuestion {
    /// - Parameter parameters: those that a service's file has.
    /// - Returns: `nil` when its workers are not asked, or when it is not understood how.
    static func read(_ parameters: [Parameter], _ reader: inout ParameterReader) -> DeployQuestion? {
        let (user, host) = (parameters["deploy_user"], parameters["deploy_host"])
        let passwordFile = parameters["deploy_password_file"]
        let passwordPath = passwordFile.flatMap { reader.secretFile($0) }
        if let user, user.value.isEmpty || user.value.contains(":") || user.value.utf8.contains(where: { $0 < 32 || $0 == 127 }) {
            reader.fault("a user has a name, and no colon in it", at: user.place, help: "HTTP puts a colon between user and password")
        }
        switch (user, passwordFile) {
        case (let user?, nil): reader.fault("`deploy_user` without `deploy_password_file`", at: user.place, help: "say both or neither")
        case (nil, let file?): reader.fault("`deploy_password_file` without `deploy_user`", at: file.place, help: "say both or neither")
        default: break
        }
        if let host, host.value.isEmpty || host.value.utf8.count > 255 || host.value.utf8.contains(where: { $0 <= 32 || $0 >= 127 }) {
            reader.fault("`\(host.value)` is not a host", at: host.place, help: "such as app.example.com")
        }
        guard let path = parameters["deploy_path"] else {
            if let lonely = parameters.first(where: { keys.contains($0.key) }) {
                reader.fault(
                    "`\(lonely.key)` without `deploy_path`", at: lonely.place, help: "say where workers are asked: `deploy_path /about/deploy`")
            }
            return nil
        }
        guard path.value.hasPrefix("/"), path.value.utf8.count <= 1024, path.value.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            reader.fault(
                "`\(path.value)` is not a path that begins with a slash, in ASCII without spaces", at: path.place, help: "such as /about/deploy")
            return nil
        }
        return DeployQuestion(path: path.value, host: host?.value, user: user?.value, passwordFile: passwordPath)
    }
}

extension [Parameter] {
    fileprivate subscript(_ key: String) -> Parameter? { first { $0.key == key } }
}
