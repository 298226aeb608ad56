// One connection to a message bus, on a loop. Nothing here waits, and no pointer leaves this file.

import CSystemd
import Glibc
import Platform

/// Owns an sd-bus connection and everything that hangs on it.
///
/// Messages leave in the order of the calls: a match that is added before a call is in force when the call is carried out.
final class Bus {
    private let loop: Loop
    private var handle: OpaquePointer?
    private var descriptor: Int32 = -1
    private var readiness: Loop.Readiness?
    private var timer: Loop.Timer?
    private var processing = false
    /// Sent, and not answered yet.
    private var calls: Set<PendingCall> = []
    /// Not sent yet: dbus-daemon refuses calls of a connection that has 128 of them open.
    private var queue: [PendingCall] = []
    // Until the connection is freed, sd-bus holds pointers to these.
    private var matches: [Match] = []
    private let lost: (BusError) -> Void

    /// Connects without waiting: what is called before the connection stands is sent when it does.
    /// - Parameters:
    ///   - isDirect: whether the other end is the one that is called, without a bus daemon between.
    ///   - lost: called once when the connection is gone, after every open call has got its error; not after `close()`.
    init(loop: Loop, address: String, isDirect: Bool = false, lost: @escaping (BusError) -> Void) throws(BusError) {
        self.loop = loop
        self.lost = lost
        var new: OpaquePointer?
        var result = sd_bus_new(&new)
        if result >= 0 { result = sd_bus_set_address(new, address) }
        if result >= 0 { result = sd_bus_set_bus_client(new, isDirect ? 0 : 1) }
        if result >= 0 { result = sd_bus_set_method_call_timeout(new, 5_000_000) }
        if result >= 0 { result = sd_bus_start(new) }
        if result >= 0 {
            descriptor = sd_bus_get_fd(new)
            result = descriptor
        }
        guard result >= 0, let new else {
            _ = sd_bus_unref(new)
            throw BusError(message: "\(address) cannot be reached: \(reason(result))")
        }
        handle = new
        arm()
    }

    deinit { close() }

    /// Ends the connection. Open calls are forgotten.
    func close() {
        guard let handle else { return }
        self.handle = nil
        loop.unwatch(descriptor)
        if let timer { loop.cancel(timer) }
        timer = nil
        calls = []
        queue = []
        sd_bus_close(handle)
        _ = sd_bus_unref(handle)
    }

    /// Calls a method; `done` hears the answer once, or the error after 5 s (or the deadline) without one.
    /// - Parameter keys: of dictionaries in the answer, only these keys are read.
    func call(
        _ method: BusMethod, _ arguments: [String] = [], only keys: Set<String>? = nil, _ done: @escaping (Result<[BusValue], BusError>) -> Void
    ) {
        call(method, with: arguments.map(BusArgument.string), only: keys, done)
    }

    func call(
        _ method: BusMethod, with arguments: [BusArgument], only keys: Set<String>? = nil, within deadline: Duration? = nil,
        _ done: @escaping (Result<[BusValue], BusError>) -> Void
    ) {
        queue.append(PendingCall(bus: self, method: method, arguments: arguments, keys: keys, deadline: deadline, done: done))
        sendQueue()
        if !processing { arm() }
    }

    private func sendQueue() {
        guard let handle else { return }
        while calls.count < 64, !queue.isEmpty {
            let call = queue.removeFirst()
            calls.insert(call)
            let result = send(call, over: handle)
            guard result < 0 else { continue }
            // The caller hears about it as about any other failure: later.
            loop.after(.zero) { call.finish(.failure(BusError(message: "\(call.method.name) cannot be called: \(reason(result))"))) }
        }
    }

    private func send(_ call: PendingCall, over handle: OpaquePointer) -> Int32 {
        let method = call.method
        var message: OpaquePointer?
        defer { _ = sd_bus_message_unref(message) }
        var result = sd_bus_message_new_method_call(handle, &message, method.destination, method.path, method.interface, method.name)
        for argument in call.arguments where result >= 0 { result = append(argument, to: message) }
        guard result >= 0 else { return result }
        return sd_bus_call_async(
            handle, nil, message, answerArrived, Unmanaged.passUnretained(call).toOpaque(), UInt64(max(0, call.deadline?.microseconds ?? 0)))
    }

    private func append(_ argument: BusArgument, to message: OpaquePointer?) -> Int32 {
        switch argument {
        case .string(let text): return sd_bus_message_append_basic(message, CChar(SD_BUS_TYPE_STRING), text)
        case .int32(var number): return sd_bus_message_append_basic(message, CChar(SD_BUS_TYPE_INT32), &number)
        case .bool(let truth):
            var number: Int32 = truth ? 1 : 0
            return sd_bus_message_append_basic(message, CChar(SD_BUS_TYPE_BOOLEAN), &number)
        case .strings(let texts):
            var result = sd_bus_message_open_container(message, CChar(SD_BUS_TYPE_ARRAY), "s")
            for text in texts where result >= 0 { result = sd_bus_message_append_basic(message, CChar(SD_BUS_TYPE_STRING), text) }
            return result < 0 ? result : sd_bus_message_close_container(message)
        }
    }

    /// Hears signals from now until the connection ends.
    /// - Parameters:
    ///   - rule: a match rule of the D-Bus specification.
    ///   - keys: of dictionaries in the body, only these keys are read.
    ///   - wanted: whether signals of an object are of interest; the others are not even decoded.
    func match(
        _ rule: String, only keys: Set<String>? = nil, wanted: @escaping (String) -> Bool = { _ in true }, _ heard: @escaping (BusSignal) -> Void
    ) throws(BusError) {
        let match = Match(keys: keys, wanted: wanted, heard: heard)
        matches.append(match)
        // Without an install callback sd-bus ends the connection when the bus refuses the match, which `lost` then hears.
        let result = sd_bus_add_match_async(handle, nil, rule, signalArrived, nil, Unmanaged.passUnretained(match).toOpaque())
        guard result >= 0 else { throw BusError(message: "match \(rule) cannot be added: \(reason(result))") }
        if !processing { arm() }
    }

    fileprivate func finished(_ call: PendingCall) -> Bool {
        guard calls.remove(call) != nil else { return false }
        sendQueue()
        return true
    }

    /// Handles what there is to handle. A flood is cut into pieces, so that other descriptors of the loop get their turn.
    private func process() {
        processing = true
        var failure: Int32 = 0
        for _ in 0..<256 {
            guard let handle else { break }
            let result = sd_bus_process(handle, nil)
            if result < 0 { failure = result }
            if result <= 0 { break }
        }
        processing = false
        guard let handle else { return }
        if failure == 0, sd_bus_is_open(handle) <= 0 { failure = -ECONNRESET }
        guard failure == 0 else {
            let error = BusError(message: "the connection to the bus ended: \(reason(failure))")
            let open = Array(calls) + queue
            close()
            for call in open { call.done(.failure(error)) }
            return lost(error)
        }
        arm()
    }

    /// Tells the loop what sd-bus waits for; that changes with every message.
    private func arm() {
        guard let handle else { return }
        if let timer { loop.cancel(timer) }
        timer = nil
        let events = sd_bus_get_events(handle)
        var due: UInt64 = 0
        guard events >= 0, sd_bus_get_timeout(handle, &due) >= 0 else {
            timer = loop.after(.zero) { self.process() }  // which finds out what is wrong
            return
        }
        let wanted = Loop.Readiness(rawValue: UInt32(events)).intersection([.readable, .writable])
        if wanted != readiness {
            do {
                try loop.watch(descriptor, for: wanted) { _ in self.process() }
                readiness = wanted
            } catch {
                timer = loop.after(.milliseconds(100)) { self.process() }
                return
            }
        }
        guard due != UInt64.max else { return }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        timer = loop.after(.microseconds(max(0, Int64(clamping: due) - microseconds))) { self.process() }
    }
}

private final class PendingCall: Hashable {
    private weak var bus: Bus?
    let method: BusMethod
    let arguments: [BusArgument]
    let keys: Set<String>?
    let deadline: Duration?
    let done: (Result<[BusValue], BusError>) -> Void

    init(
        bus: Bus, method: BusMethod, arguments: [BusArgument], keys: Set<String>?, deadline: Duration?,
        done: @escaping (Result<[BusValue], BusError>) -> Void
    ) {
        self.deadline = deadline
        self.bus = bus
        self.method = method
        self.arguments = arguments
        self.keys = keys
        self.done = done
    }

    func finish(_ result: Result<[BusValue], BusError>) {
        guard let bus, bus.finished(self) else { return }
        done(result)
    }

    static func == (a: PendingCall, b: PendingCall) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

private final class Match {
    let keys: Set<String>?
    let wanted: (String) -> Bool
    let heard: (BusSignal) -> Void

    init(keys: Set<String>?, wanted: @escaping (String) -> Bool, heard: @escaping (BusSignal) -> Void) {
        self.keys = keys
        self.wanted = wanted
        self.heard = heard
    }
}

private let answerArrived: sd_bus_message_handler_t = { message, context, _ in
    guard let message, let context else { return 0 }
    let call = Unmanaged<PendingCall>.fromOpaque(context).takeUnretainedValue()
    if let error = sd_bus_message_get_error(message) {
        let name = error.pointee.name.map { String(cString: $0) } ?? "unknown error"
        let text = error.pointee.message.map { String(cString: $0) } ?? name
        call.finish(.failure(BusError(name: name, message: text)))
    } else {
        call.finish(Result { () throws(BusError) in try values(of: message, only: call.keys) })
    }
    return 1
}

private let signalArrived: sd_bus_message_handler_t = { message, context, _ in
    guard let message, let context else { return 0 }
    let match = Unmanaged<Match>.fromOpaque(context).takeUnretainedValue()
    guard let path = sd_bus_message_get_path(message).map({ String(cString: $0) }), match.wanted(path) else { return 0 }
    // A signal that cannot be read says nothing; whoever listens also asks.
    guard let body = try? values(of: message, only: match.keys) else { return 0 }
    let sender = sd_bus_message_get_sender(message).map { String(cString: $0) } ?? ""
    let member = sd_bus_message_get_member(message).map { String(cString: $0) } ?? ""
    match.heard(BusSignal(sender: sender, path: path, member: member, body: body))
    return 0  // other matches may want it too
}

/// Everything in a message, or in the container that was entered last.
private func values(of message: OpaquePointer, only keys: Set<String>?) throws(BusError) -> [BusValue] {
    var values: [BusValue] = []
    while let value = try nextValue(of: message, only: keys) { values.append(value) }
    return values
}

private func nextValue(of message: OpaquePointer, only keys: Set<String>?) throws(BusError) -> BusValue? {
    var type: CChar = 0
    var contents: UnsafePointer<CChar>?
    guard try check(sd_bus_message_peek_type(message, &type, &contents)) > 0 else { return nil }
    switch Int32(type) {
    case Int32(SD_BUS_TYPE_BOOLEAN): return .bool(try read(Int32.self, type, message) != 0)
    case Int32(SD_BUS_TYPE_BYTE): return .unsigned(UInt64(try read(UInt8.self, type, message)))
    case Int32(SD_BUS_TYPE_INT16): return .signed(Int64(try read(Int16.self, type, message)))
    case Int32(SD_BUS_TYPE_UINT16): return .unsigned(UInt64(try read(UInt16.self, type, message)))
    case Int32(SD_BUS_TYPE_INT32), Int32(SD_BUS_TYPE_UNIX_FD): return .signed(Int64(try read(Int32.self, type, message)))
    case Int32(SD_BUS_TYPE_UINT32): return .unsigned(UInt64(try read(UInt32.self, type, message)))
    case Int32(SD_BUS_TYPE_INT64): return .signed(try read(Int64.self, type, message))
    case Int32(SD_BUS_TYPE_UINT64): return .unsigned(try read(UInt64.self, type, message))
    case Int32(SD_BUS_TYPE_DOUBLE): return .double(try read(Double.self, type, message))
    case Int32(SD_BUS_TYPE_STRING), Int32(SD_BUS_TYPE_OBJECT_PATH), Int32(SD_BUS_TYPE_SIGNATURE):
        return .string(try readString(type, message))
    case Int32(SD_BUS_TYPE_ARRAY) where contents?.pointee == CChar(SD_BUS_TYPE_BYTE):
        var bytes: UnsafeRawPointer?
        var count = 0
        try check(sd_bus_message_read_array(message, CChar(SD_BUS_TYPE_BYTE), &bytes, &count))
        return .bytes(Array(UnsafeRawBufferPointer(start: bytes, count: count)))
    case Int32(SD_BUS_TYPE_ARRAY) where contents?.pointee == CChar(SD_BUS_TYPE_DICT_ENTRY_BEGIN):
        return .dictionary(try readDictionary(contents, message, only: keys))
    case Int32(SD_BUS_TYPE_VARIANT):
        try check(sd_bus_message_enter_container(message, type, contents))
        let value = try nextValue(of: message, only: keys)
        try check(sd_bus_message_exit_container(message))
        return value
    default:
        try check(sd_bus_message_enter_container(message, type, contents))
        let all = try values(of: message, only: keys)
        try check(sd_bus_message_exit_container(message))
        return .list(all)
    }
}

/// Properties by name: `a{sv}`, the only kind of dictionary that systemd sends us.
private func readDictionary(_ contents: UnsafePointer<CChar>?, _ message: OpaquePointer, only keys: Set<String>?) throws(BusError) -> [String:
    BusValue]
{
    var dictionary: [String: BusValue] = [:]
    try check(sd_bus_message_enter_container(message, CChar(SD_BUS_TYPE_ARRAY), contents))
    while true {
        var type: CChar = 0
        var entry: UnsafePointer<CChar>?
        guard try check(sd_bus_message_peek_type(message, &type, &entry)) > 0 else { break }
        try check(sd_bus_message_enter_container(message, type, entry))
        let key = try nextValue(of: message, only: nil)?.string
        if let key, keys?.contains(key) ?? true {
            dictionary[key] = try nextValue(of: message, only: keys)
        } else {
            try check(sd_bus_message_skip(message, "v"))
        }
        try check(sd_bus_message_exit_container(message))
    }
    try check(sd_bus_message_exit_container(message))
    return dictionary
}

private func read<Number: FixedWidthInteger>(_: Number.Type, _ type: CChar, _ message: OpaquePointer) throws(BusError) -> Number {
    var number = Number.zero
    try check(sd_bus_message_read_basic(message, type, &number))
    return number
}

private func read(_: Double.Type, _ type: CChar, _ message: OpaquePointer) throws(BusError) -> Double {
    var number = 0.0
    try check(sd_bus_message_read_basic(message, type, &number))
    return number
}

private func readString(_ type: CChar, _ message: OpaquePointer) throws(BusError) -> String {
    var text: UnsafePointer<CChar>?
    try check(sd_bus_message_read_basic(message, type, &text))
    return text.map { String(cString: $0) } ?? ""
}

@discardableResult
private func check(_ result: Int32) throws(BusError) -> Int32 {
    guard result >= 0 else { throw BusError(message: "a message cannot be read: \(reason(result))") }
    return result
}

/// The text of a negative errno, as sd-bus returns it.
private func reason(_ result: Int32) -> String { String(cString: strerror(-result)) }
