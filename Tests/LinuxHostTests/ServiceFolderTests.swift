// runit and s6: real ones in a bed, and their status files.

import AgentCore
import Foundation
import Platform
import TestKit
import Testing

@testable import LinuxHost

/// A folder of services that a real runsvdir watches.
final class RunitFixture: InitSystemFixture {
    let workers: Workers
    let scan = Folder()
    private let supervisor: Supervisor

    init() throws {
        workers = try Workers()
        for role in ServiceRole.allCases where role != .late { try makeRunitService(workers, role, in: scan, isDown: true) }
        // Told to hang up, it ends its runsv processes too.
        supervisor = try Supervisor("runsvdir", ["-P", scan.path], farewell: SIGHUP)
        let isUp = eventually { [scan] in
            (try? shell("sv", ["status", scan.path + "/steady", scan.path + "/failing", scan.path + "/first", scan.path + "/second"]))?.status == 0
        }
        if !isUp { throw NeverSaid(description: "runsvdir did not come up") }
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { RunitInit(loop: loop, roots: ["/no/such/folder", scan.path], logger: quiet) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        try tool("sv", "start", "\(scan.path)/\(role.rawValue)")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws { try tool("sv", "stop", "\(scan.path)/\(role.rawValue)") }
    func add() throws { try makeRunitService(workers, .late, in: scan, isDown: false) }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities(tellsFailures: false) }
}

private func makeRunitService(_ workers: Workers, _ role: ServiceRole, in scan: Folder, isDown: Bool) throws {
    let hidden = ".\(role.rawValue)"
    try scan.write("#!/bin/sh\nexec \(workers.command(role))\n", to: "\(hidden)/run")
    chmod("\(scan.path)/\(hidden)/run", 0o755)
    if isDown { try scan.write("", to: "\(hidden)/down") }
    rename("\(scan.path)/\(hidden)", "\(scan.path)/\(role.rawValue)")
}

/// A folder of services that a real s6-svscan watches.
final class S6Fixture: InitSystemFixture {
    let workers: Workers
    let scan = Folder()
    private let supervisor: Supervisor

    init() throws {
        workers = try Workers()
        for role in ServiceRole.allCases where role != .late { try makeRunitService(workers, role, in: scan, isDown: true) }
        // A failure that is not to be repeated.
        try scan.write("#!/bin/sh\nexit 125\n", to: "failing/finish")
        chmod("\(scan.path)/failing/finish", 0o755)
        supervisor = try Supervisor("s6-svscan", [scan.path], farewell: SIGTERM)
        let isUp = eventually { [scan] in
            ["steady", "failing", "first", "second"].allSatisfy { (try? shell("s6-svok", ["\(scan.path)/\($0)"]))?.status == 0 }
        }
        if !isUp { throw NeverSaid(description: "s6-svscan did not come up") }
    }

    func makeInitSystem(on loop: Loop) throws -> any InitSystem { S6Init(loop: loop, roots: [scan.path], logger: quiet) }
    func request(for role: ServiceRole) -> String { role.rawValue }
    func unit(for role: ServiceRole) -> String { role.rawValue }
    var pattern: String { "[fs][ie][rc]*" }
    func start(_ role: ServiceRole) throws {
        try tool("s6-svc", "-u", "\(scan.path)/\(role.rawValue)")
        try tool("s6-svwait", "-u", "-t", "5000", "\(scan.path)/\(role.rawValue)")
        try workers.waitUntilReady(role)
    }
    func stop(_ role: ServiceRole) throws {
        try tool("s6-svc", "-d", "\(scan.path)/\(role.rawValue)")
        try tool("s6-svwait", "-D", "-t", "5000", "\(scan.path)/\(role.rawValue)")
    }
    func add() throws {
        try makeRunitService(workers, .late, in: scan, isDown: false)
        try tool("s6-svscanctl", "-a", scan.path)
    }
    var reloads: Int { workers.reloads(.steady) }
    var abilities: InitSystemAbilities { InitSystemAbilities() }
}

extension InsideSupervisors {
    @Test func runit() throws { try InitSystemPromises(RunitFixture()).verify() }
    @Test func s6() throws { try InitSystemPromises(S6Fixture()).verify() }
}
