// Starting another program with nothing of this process but what it is given.

import CLinux
import Glibc

/// Starts a program with default signals, none of them blocked, in a process group of its own, and with three descriptors alone.
/// - Parameters:
///   - arguments: without the program's name.
///   - input: becomes its standard input; so do `output` and `errors` become its others.
/// - Returns: its process id; the caller waits for it.
public func spawn(
    _ path: String, _ arguments: [String], environment: [String], input: Int32, output: Int32, errors: Int32 = 2
) throws(SystemError) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (own, descriptor) in [(input, 0), (output, 1), (errors, 2)] as [(Int32, Int32)] {
        posix_spawn_file_actions_adddup2(&actions, own, descriptor)
    }
    // Whatever it is, and whoever opened it: sockets of SwiftNIO have no FD_CLOEXEC.
    if rollcall_spawn_close_from(&actions, 3) != 0 {
        for descriptor in openDescriptors() where descriptor > 2 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
    let words = ([path] + arguments).map { strdup($0) }
    let variables = environment.map { strdup($0) }
    defer { for text in words + variables { free(text) } }
    var child = pid_t()
    let code = posix_spawn(&child, path, &actions, &attributes, words + [nil], variables + [nil])
    guard code == 0 else { throw SystemError("starting \(path)", code: code) }
    return child
}

/// For a glibc before 2.34: what is open now and would stay open.
private func openDescriptors() -> [Int32] {
    guard let folder = opendir("/proc/self/fd") else { return [] }
    defer { closedir(folder) }
    var numbers: [Int32] = []
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
        guard let number = Int32(name), fcntl(number, F_GETFD) & FD_CLOEXEC == 0 else { continue }
        numbers.append(number)
    }
    return numbers
}
