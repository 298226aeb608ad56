// Who systemd is on the bus.

import Glibc

enum SystemdNames {
    static let service = "org.freedesktop.systemd1"
    static let manager = "org.freedesktop.systemd1.Manager"
    static let managerPath = "/org/freedesktop/systemd1"
    static let unit = "org.freedesktop.systemd1.Unit"
    static let timer = "org.freedesktop.systemd1.Timer"
    static let properties = "org.freedesktop.DBus.Properties"

    /// Where the system bus listens.
    static var systemBus: String {
        guard let address = getenv("DBUS_SYSTEM_BUS_ADDRESS") else { return "unix:path=/run/dbus/system_bus_socket" }
        return String(cString: address)
    }
}

extension BusMethod {
    static func manager(_ name: String) -> BusMethod {
        BusMethod(destination: SystemdNames.service, path: SystemdNames.managerPath, interface: SystemdNames.manager, name: name)
    }

    static func properties(_ name: String, path: String) -> BusMethod {
        BusMethod(destination: SystemdNames.service, path: path, interface: SystemdNames.properties, name: name)
    }
}
