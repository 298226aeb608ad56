// What can manage processes on a Linux host.

public import AgentCore
import Glibc
public import Logging
public import Platform

/// A kind of init system: how to know that a host runs it, and how to talk to it.
struct InitSystemKind: Sendable {
    var isHere: @Sendable () -> Bool
    var make: @Sendable (Loop, Logger) -> any InitSystem
}

/// Every kind that the agent knows, in the order in which a unit is looked for.
let initSystemKinds: [InitSystemKind] = [
    // As sd_booted(3) finds out.
    InitSystemKind(isHere: { isFolder("/run/systemd/system") }, make: { SystemdInit(loop: $0, logger: $1) }),
    InitSystemKind(isHere: { UpstartInit.isHere }, make: { UpstartInit(loop: $0, logger: $1) }),
    // These live beside any init system, or inside one.
    InitSystemKind(isHere: { RunitInit.isHere }, make: { RunitInit(loop: $0, logger: $1) }),
    InitSystemKind(isHere: { S6Init.isHere }, make: { S6Init(loop: $0, logger: $1) }),
    InitSystemKind(isHere: { SupervisordInit.isHere }, make: { SupervisordInit(loop: $0, logger: $1) }),
    // Their scripts are the same, and each of them knows less than those before.
    InitSystemKind(isHere: { OpenRCInit.isHere }, make: { loop, _ in OpenRCInit(loop: loop) }),
    InitSystemKind(isHere: { SysVInit.isHere }, make: { loop, _ in SysVInit(loop: loop) }),
    InitSystemKind(isHere: { true }, make: { PidFileInit(loop: $0, logger: $1) }),
]

public enum InitSystems {
    /// What this host has.
    public static func detect(loop: Loop, logger: Logger) -> [any InitSystem] {
        initSystemKinds.filter { $0.isHere() }.map { $0.make(loop, logger) }
    }

    /// Who starts jobs at given times here, and can be asked about them.
    public static func jobSource(loop: Loop, logger: Logger) -> (any JobSource)? {
        isFolder("/run/systemd/system") ? SystemdTimers(loop: loop, logger: logger) : nil
    }
}

private func isFolder(_ path: String) -> Bool {
    var status = Glibc.stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}
