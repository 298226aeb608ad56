// Names of users and groups, for texts that say whom to let in.

import Glibc

/// The agent's own group: `rollcall-agent`.
var ownGroup: String { groupName(getegid()) }

/// The name of a group, or its number where it has none.
func groupName(_ number: gid_t) -> String {
    var entry = group()
    var found: UnsafeMutablePointer<group>?
    var room = [CChar](repeating: 0, count: 16384)
    guard getgrgid_r(number, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.gr_name else { return "\(number)" }
    return String(cString: name)
}

/// The name of a user, or its number where it has none.
func userName(_ number: uid_t) -> String {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var room = [CChar](repeating: 0, count: 16384)
    guard getpwuid_r(number, &entry, &room, room.count, &found) == 0, found != nil, let name = entry.pw_name else { return "\(number)" }
    return String(cString: name)
}
