// Where a notifier posts to, read from its settings.

import Checks
import Platform
import Transfer

extension SettingReader {
    /// A URL: encrypted, or on this machine. Whoever knows it can often post there, so it may be in a file of its own.
    mutating func webAddress(_ key: String) -> (endpoint: Endpoint, credentials: Credentials?)? {
        guard let text = requiredSecret(key)?.reveal() else { return nil }
        return webAddress(key, text)
    }

    mutating func webAddress(_ key: String, _ text: String) -> (endpoint: Endpoint, credentials: Credentials?)? {
        do throws(EndpointError) {
            let (endpoint, credentials) = try Endpoint.parse(text)
            guard endpoint.isEncrypted || endpoint.isLoopback else {
                fault(key, "must begin with https://: what is told there is nobody else's business")
                return nil
            }
            return (endpoint, credentials)
        } catch {
            fault(key, error.problem)
            return nil
        }
    }
}

extension Endpoint {
    /// What stands behind the host: in many services' addresses that is the password.
    var secrets: [Secret] {
        guard let slash = text.dropFirst(scheme.count + "://".count).firstIndex(of: "/") else { return [] }
        let path = text[slash...]
        return path.count > 1 ? [Secret(String(path))] + path.split(separator: "/").filter { $0.count >= 16 }.map { Secret(String($0)) } : []
    }
}
