// Names with wildcards.

import Glibc

/// Whether a name matches a shell pattern (`sidekiq@*`); a pattern without a type means services, as `puma` means `puma.service`.
func matches(_ name: String, pattern: String) -> Bool {
    if name == pattern || "\(pattern).service" == name { return true }
    guard isPattern(pattern) else { return false }
    return fnmatch(pattern, name, FNM_NOESCAPE) == 0 || fnmatch("\(pattern).service", name, FNM_NOESCAPE) == 0
}

/// Whether a name stands for many.
func isPattern(_ name: String) -> Bool { name.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") } }
