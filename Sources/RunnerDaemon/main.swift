// rollcall-runner: speaks with the outside world for rollcall-agent, without any privilege.

import AgentAPI
import Glibc
import Logging
import Platform
import Transfer

/// How much memory it may take: libcurl starts a thread for each name that it looks up, and each of them has a stack of 8 MiB.
let memoryLimit: UInt = 768 << 20
/// How many transfers run at a time.
let transfersAtOnce = 32

let arguments: Arguments
do {
    arguments = try Arguments(CommandLine.arguments.dropFirst())
} catch {
    complain("rollcall-runner: \(error.problem)\n\n\(Arguments.usage)\n")
    exit(64)
}
switch arguments.verb {
case .help: print(Arguments.help)
case .version: print("rollcall-runner \(rollcallVersion)")
case .run(let parent):
    signal(SIGPIPE, SIG_IGN)
    do {
        try becomeHarmless(user: arguments.user, parent: parent, memory: memoryLimit)
        Logs.bootstrap(level: .notice)
        let loop = try Loop()
        let transfers = try Transfers(maximumAtOnce: transfersAtOnce)
        let errands = Errands(loop: loop, transfers: transfers, logger: Logger(label: "rollcall-runner"))
        try errands.start()
        loop.run()
    } catch {
        complain("rollcall-runner: \(error)\n")
        tell(.cannotGoOn(why: "\(error)"))
        exit(71)
    }
}
exit(0)

func complain(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(2, bytes, bytes.count)
}
