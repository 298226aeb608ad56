// Folders whose entries change, as inotify(7) tells it.

import Glibc
import Platform

/// Tells which of some folders changed. Several may be asked for by different keys; those that are not there are tried again
/// whenever `watch` is called.
final class FolderWatcher {
    /// Entries written, moved in or out, made, deleted, and the folder's own end.
    static let entries = UInt32(
        IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
    /// For a file that is written without being closed, such as a log, and that may be replaced.
    static let writes = UInt32(IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF)

    private let loop: Loop
    private let events: UInt32
    private let pipes: Set<String>
    private let changed: (Set<String>) -> Void
    private var descriptor: Int32
    private var folders: [Int32: Set<String>] = [:]
    private var numbers: [String: Int32] = [:]

    /// - Parameters:
    ///   - events: what is told of; files can be watched in place of folders for their writes.
    ///   - pipes: names of fifos of which it is told which of them were written into.
    ///   - changed: is called with pipes that were written into, and with the folders in which something changed; with all of them when the kernel lost count.
    init(loop: Loop, for events: UInt32 = FolderWatcher.entries, pipes: Set<String> = [], changed: @escaping (Set<String>) -> Void) {
        self.loop = loop
        self.events = events
        self.pipes = pipes
        self.changed = changed
        descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard descriptor >= 0 else { return }
        do {
            try loop.watch(descriptor, for: .readable) { [weak self] _ in self?.read() }
        } catch {
            close(descriptor)
            descriptor = -1
        }
    }

    deinit { stop() }

    /// Watches these folders and no others; answers whether all of them are watched.
    @discardableResult
    func watch(_ wanted: Set<String>) -> Bool {
        guard descriptor >= 0 else { return false }
        for folder in numbers.keys where !wanted.contains(folder) { drop(folder) }
        for folder in wanted where numbers[folder] == nil {
            let number = inotify_add_watch(descriptor, folder, events)
            guard number >= 0 else { continue }
            numbers[folder] = number
            // Two paths of one folder share a number.
            folders[number, default: []].insert(folder)
        }
        return wanted.isSubset(of: numbers.keys)
    }

    func stop() {
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        close(descriptor)
        descriptor = -1
        folders = [:]
        numbers = [:]
    }

    private func drop(_ folder: String) {
        guard let number = numbers.removeValue(forKey: folder) else { return }
        folders[number]?.remove(folder)
        guard folders[number]?.isEmpty ?? true else { return }
        folders[number] = nil
        inotify_rm_watch(descriptor, number)
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 16384)
        var told: Set<String> = []
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            var offset = 0
            while offset + MemoryLayout<inotify_event>.size <= count {
                let event = buffer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: inotify_event.self) }
                let name = buffer[(offset + MemoryLayout<inotify_event>.size)...].prefix(Int(event.len)).prefix { $0 != 0 }
                offset += MemoryLayout<inotify_event>.size + Int(event.len)
                if event.mask & UInt32(IN_Q_OVERFLOW) != 0 { told.formUnion(numbers.keys) }
                guard let paths = folders[event.wd] else { continue }
                told.formUnion(paths)
                if event.mask & UInt32(IN_CLOSE_WRITE) != 0, !pipes.isEmpty {
                    let name = String(decoding: name, as: UTF8.self)
                    if pipes.contains(name) { for path in paths { told.insert("\(path)/\(name)") } }
                }
                // It went away; a new one of that name is watched when somebody asks again.
                if event.mask & UInt32(IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF) != 0 { for path in paths { drop(path) } }
            }
        }
        if !told.isEmpty { changed(told) }
    }
}

/// The names in a folder, sorted, without those that begin with a dot; `nil` and errno when it cannot be read.
func entries(of folder: String, limit: Int = 10_000) -> [String]? {
    var names: [String] = []
    let isReadable = forEachEntry(of: folder) { name, _ in
        if names.count < limit, name.first != UInt8(ascii: ".") { names.append(String(decoding: name, as: UTF8.self)) }
    }
    return isReadable ? names.sorted() : nil
}
