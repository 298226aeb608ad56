// What the programs that the agent starts have of it: nothing.

import AgentCore
import Glibc
import Platform
import TestKit
import Testing

@testable import LinuxHost

@Suite struct InheritanceTests {
    /// What a script starts may be the service itself: it must not hold the agent's sockets.
    @Test func aScriptInheritsNoDescriptors() throws {
        let leak = open("/etc/passwd", O_RDONLY)
        defer { close(leak) }
        let loop = try Loop()
        var printed: [UInt8] = []
        let run = ProgramRun(.init(arguments: ["/bin/sh", "-c", "ls /proc/self/fd"], deadline: .seconds(20)), on: loop) { result in
            printed = (try? result.get())?.output ?? []
            loop.stop()
        }
        loop.run()
        withExtendedLifetime(run) {}
        // The fourth is the folder that ls reads.
        #expect(String(decoding: printed, as: UTF8.self).split(separator: "\n") == ["0", "1", "2", "3"])
    }
}
