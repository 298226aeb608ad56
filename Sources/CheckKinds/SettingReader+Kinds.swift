// What settings of checks hold beside plain values.

import Checks
import Transfer

extension SettingReader {
    mutating func pattern(_ key: String) -> Pattern? {
        guard let text = text(key) else { return nil }
        do throws(PatternError) {
            return try Pattern(text)
        } catch {
            fault(key, "is not a regular expression: \(error)")
            return nil
        }
    }

    /// An http(s) URL without credentials in it.
    mutating func endpoint(_ key: String) -> Endpoint? {
        guard let text = required(key) else { return nil }
        do throws(EndpointError) {
            let (endpoint, credentials) = try Endpoint.parse(text)
            if credentials != nil { fault(key, "must not hold a user or password: use user and password_file") }
            return endpoint
        } catch {
            fault(key, error.problem)
            return nil
        }
    }
}
