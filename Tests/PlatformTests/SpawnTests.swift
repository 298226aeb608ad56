import Glibc
import Platform
import Testing

@Suite struct SpawnTests {
    /// SwiftNIO's sockets have no FD_CLOEXEC, and neither has this.
    @Test func aProgramHasThreeDescriptorsAlone() throws {
        let leak = open("/etc/passwd", O_RDONLY)
        defer { close(leak) }
        var ends: [Int32] = [-1, -1]
        try #require(leak > 2 && pipe(&ends) == 0)
        let pid = try spawn("/bin/sh", ["-c", "ls /proc/self/fd"], environment: [], input: leak, output: ends[1])
        close(ends[1])
        var (text, chunk) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
        while case let count = read(ends[0], &chunk, chunk.count), count > 0 { text += chunk[..<count] }
        close(ends[0])
        waitpid(pid, nil, 0)
        // The fourth is the folder that ls reads.
        #expect(String(decoding: text, as: UTF8.self) == "0\n1\n2\n3\n")
    }
}

@Suite struct DetachedThreadTests {
    @Test func theWorkIsDoneOnAnotherThreadThatTakesNoSignals() throws {
        let loop = try Loop()
        let here = Int(pthread_self())
        let seen = Seen()
        #expect(
            detachThread {
                var mask = sigset_t()
                pthread_sigmask(SIG_BLOCK, nil, &mask)
                let isBlocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGPIPE) == 1
                let isElsewhere = Int(pthread_self()) != here
                loop.post {
                    seen.isRight = isBlocked && isElsewhere
                    loop.stop()
                }
            })
        loop.run()
        #expect(seen.isRight)
    }

    /// Only the loop's thread writes it.
    private final class Seen: @unchecked Sendable {
        var isRight = false
    }
}
