// rollcall-agent: watches what this host's init system manages, and reports.

import Glibc
import Platform

let arguments: Arguments
do {
    arguments = try Arguments(CommandLine.arguments.dropFirst())
} catch {
    complain("rollcall-agent: \(error.problem)\n\n\(Arguments.usage)")
    exit(ExitCode.usage.rawValue)
}

let code: ExitCode
switch arguments.verb {
case .help:
    print(Arguments.help)
    code = .done
case .version:
    print("rollcall-agent \(rollcallVersion)")
    code = .done
case .check:
    code = checkConfiguration(folder: arguments.folder)
case .testAlerts:
    code = testAlerts(folder: arguments.folder)
case .run:
    code = runAgent(folder: arguments.folder)
}
exit(code.rawValue)
