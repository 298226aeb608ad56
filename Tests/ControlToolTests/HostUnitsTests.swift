import AgentCore
import Testing

@testable import ControlTool

@Suite struct HostUnitsTests {
    private let services = [
        ServiceCheck(name: "mysql", file: "services.d/mysql.inq", line: 1), ServiceCheck(name: "mariadb", file: "services.d/mariadb.inq", line: 2),
        ServiceCheck(name: "gone", file: "services.d/gone.inq", line: 1), ServiceCheck(name: "sidekiq@*", file: "services.d/sidekiq.inq", line: 1),
        ServiceCheck(name: "getty@*", file: "services.d/getty.inq", line: 1), ServiceCheck(name: "shop", pidFile: "/run/shop.pid"),
        ServiceCheck(name: "dbus", file: "services.d/dbus.inq", line: 1),
    ]

    private var units: HostUnits {
        HostUnits(
            shown: """
                Id=mariadb.service
                LoadState=loaded

                Id=mariadb.service
                LoadState=loaded

                Id=gone.service
                LoadState=not-found

                Id=dbus.service
                LoadState=loaded

                """, of: ["mysql", "mariadb", "gone", "dbus"],
            listed: """
                dbus.service      loaded    active   running D-Bus
                getty@tty1.service loaded active running Getty
                ● getty@tty2.service loaded failed failed Getty
                sidekiq@1.service not-found inactive dead sidekiq@1.service
                """)
    }

    private func notes(_ name: String) -> [String] {
        services.first { $0.name == name }.map { units.notes(on: $0, among: services) } ?? []
    }

    @Test func aNameThatIsAnothersSaysWhose() {
        #expect(notes("mysql") == ["`mysql` is another name of mariadb.service, which is also checked at services.d/mariadb.inq:2"])
        #expect(notes("mariadb") == [] && notes("dbus") == [])
    }

    @Test func aPatternSaysWhatItMatches() {
        #expect(notes("sidekiq@*") == ["matches no unit at present"])
        #expect(notes("getty@*") == ["matches 2 units at present: getty@tty1.service, getty@tty2.service"])
    }

    @Test func aUnitThatIsNotThereIsSaidToBe() { #expect(notes("gone") == ["systemd knows no unit of this name at present"]) }

    @Test func whatSystemdDoesNotManageIsNotAskedFor() { #expect(notes("shop") == []) }
}
