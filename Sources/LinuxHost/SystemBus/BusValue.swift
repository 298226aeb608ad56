// What crosses a message bus, as Swift values.

/// One value of a message. Variants are unwrapped; object paths and signatures are strings.
enum BusValue: Equatable, Sendable {
    case bool(Bool)
    case signed(Int64)
    case unsigned(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    /// An array or a structure.
    case list([BusValue])
    case dictionary([String: BusValue])

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var unsigned: UInt64? { if case .unsigned(let value) = self { value } else { nil } }
    var signed: Int64? { if case .signed(let value) = self { value } else { nil } }
    var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
    var list: [BusValue]? { if case .list(let value) = self { value } else { nil } }
    var dictionary: [String: BusValue]? { if case .dictionary(let value) = self { value } else { nil } }
}

/// What a method is called with.
enum BusArgument: Sendable {
    case string(String)
    case strings([String])
    case int32(Int32)
    case bool(Bool)
}

/// A method of an object that somebody on the bus offers.
struct BusMethod: Sendable {
    var destination: String
    var path: String
    var interface: String
    var name: String
}

/// A signal that a match let through.
struct BusSignal: Sendable {
    /// The sender's unique name, as the bus daemon wrote it; no peer can forge it.
    var sender: String
    var path: String
    var member: String
    var body: [BusValue]
}

/// An answer that is an error, or a connection that failed.
struct BusError: Error, Equatable, Sendable, CustomStringConvertible {
    /// `org.freedesktop.DBus.Error.AccessDenied`, ...; `nil` when the connection itself failed.
    var name: String?
    /// For a person.
    var message: String

    var description: String { message }

    /// The last word of the name.
    var kind: Substring { name.map { $0[($0.lastIndex(of: ".").map($0.index(after:)) ?? $0.startIndex)...] } ?? "" }
}
