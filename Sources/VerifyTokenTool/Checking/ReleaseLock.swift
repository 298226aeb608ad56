// One preparation of a release at a time.

import Glibc
import Platform

/// Keeps two preparations on this machine from writing into one release at the same moment: the second is to see the first one's token.
struct ReleaseLock {
    private static let patience = Duration.seconds(60)
    private static let step = Duration.milliseconds(50)

    private let descriptor: Int32

    /// Waits while another preparation has it, for a minute at most.
    /// - Returns: `nil` where the folder cannot be locked: on some network file systems, and when another program keeps it for itself.
    static func taken(of release: String, time: any TimeSource = SystemTime()) async -> ReleaseLock? {
        let descriptor = open(release, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        let deadline = time.now().uptime + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, time.now().uptime < deadline, !Task.isCancelled else {
                close(descriptor)
                return nil
            }
            try? await time.sleep(step)
        }
        return ReleaseLock(descriptor: descriptor)
    }

    func end() { close(descriptor) }
}
