// Secrets among a notifier's settings.

import Checks
import Platform

extension SettingReader {
    /// A secret: in a file that only its reader can open (`KEY_file`), or as it is (`KEY`).
    mutating func secret(_ key: String) -> Secret? {
        switch (text(key), text("\(key)_file")) {
        case (nil, nil): return nil
        case (.some, .some):
            fault(key, "and \(key)_file are both there: one of them is enough")
            return nil
        case (let value?, nil):
            if value.isEmpty { fault(key, "is empty") }
            return value.isEmpty ? nil : Secret(value)
        case (nil, let file?):
            do throws(FileError) {
                return try Secret(file: file)
            } catch {
                fault("\(key)_file", "cannot be used: \(error)")
                return nil
            }
        }
    }

    mutating func requiredSecret(_ key: String) -> Secret? {
        let before = errors.count
        if let secret = secret(key) { return secret }
        if errors.count == before { fault(key, "is missing: give it, or the file that holds it as \(key)_file") }
        return nil
    }

    /// `user` and the secret `password`, which go together.
    mutating func login() -> (user: String, password: Secret)? {
        let before = errors.count
        switch (text("user"), secret("password")) {
        case (let user?, let password?): return (user, password)
        case (.some, nil):
            if errors.count == before { fault("password_file", "is missing: user needs one") }
        case (nil, .some): fault("user", "is missing: password_file needs one")
        case (nil, nil): break
        }
        return nil
    }
}
