// Who systemd is on the bus.

import Glibc

enum SystemdNames {
    static let service = "org.freedesktop.systemd1"
    static let manager = "org.freedesktop.systemd1.Manager"
    static let managerPath = "/org/freedesktop/systemd1"
    static let unit = "org.freedesktop.systemd1.Unit"
    static let job = "org.freedesktop.systemd1.Job"
    static let timer = "org.freedesktop.systemd1.Timer"
    static let properties = "org.freedesktop.DBus.Properties"

    /// What every shutdown, reboot and halt starts.
    static let shutdown = "shutdown.target"

    /// The object path of a unit: every byte that is no letter and no digit, and a digit in front, is written as `_xx` (sd_bus_path_encode(3)).
    static func path(of id: String) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var path = Array("\(managerPath)/unit/".utf8)
        for (index, byte) in id.utf8.enumerated() {
            switch byte {
            case 0x41...0x5A, 0x61...0x7A: path.append(byte)
            case 0x30...0x39 where index > 0: path.append(byte)
            default: path += [UInt8(ascii: "_"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: path, as: UTF8.self)
    }

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
