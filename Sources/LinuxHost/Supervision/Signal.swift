// Signals that reach the process that is meant, or none.

import AgentCore
import Glibc
import Platform

/// Sends a signal through a pidfd, so that a process which got the pid later is never hit.
func signal(_ number: Int32, to process: ProcessIdentity) -> Result<Void, ActionError> {
    func failure(_ error: SystemError) -> Result<Void, ActionError> {
        switch error.code {
        case ESRCH: .failure(ActionError("process \(process.pid) has ended"))
        case EPERM:
            .failure(ActionError("the agent may not send \(signalName(number)) to process \(process.pid): it needs CAP_KILL or to run as root"))
        case EINVAL: .failure(ActionError("there is no signal \(number)"))
        default: .failure(ActionError("\(error)"))
        }
    }
    do throws(SystemError) {
        let descriptor = try openProcess(process.pid)
        defer { close(descriptor) }
        // The pid may have passed on before it was opened, but not since.
        guard let stat = ProcFileSystem(root: "/").stat(of: process.pid), stat.startTicks == process.startTicks, !stat.hasEnded else {
            return failure(SystemError("", code: ESRCH))
        }
        try sendSignal(number, toProcess: descriptor)
        return .success(())
    } catch {
        return failure(error)
    }
}
