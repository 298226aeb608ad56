// Somebody on a message bus whom the agent hears for as long as it runs.

import Platform

/// Where a bus, or somebody without a bus between, can be reached.
public struct BusAddress: Equatable, Sendable {
    public var text: String
    /// Whether the one that is called is the other end itself.
    public var isDirect: Bool

    public init(_ text: String, isDirect: Bool = false) {
        self.text = text
        self.isDirect = isDirect
    }
}

/// What a `BusSource` asks of the one that it serves.
protocol BusSourceUser: AnyObject {
    /// Adds its matches to a new connection. They are in force when what is asked afterwards is answered.
    func listen(on bus: Bus) throws(BusError)
    /// Asks for everything anew, and calls `answers` or `unanswered` when it hears.
    func synchronize(over bus: Bus)
    /// Asks something small: one that hangs sends no signals, and silence looks like peace.
    func feelPulse(over bus: Bus)
    /// The connection is gone, and with it whatever was under way.
    func connectionLost()
    /// Another has come to be the service, or nobody is it at present.
    func ownerChanged()
    /// It cannot be reached at any address. Said once, until `sourceAnswers`.
    func sourceFailed(_ why: String)
    /// It can be asked again.
    func sourceAnswers()
}

/// Keeps a connection to a service: connects, one address after the other, and again with growing pauses when the connection ends, when the
/// service leaves the bus for longer than a moment, or when it does not answer.
final class BusSource {
    /// The connection; `nil` while there is none.
    private(set) var bus: Bus?
    /// From `sourceFailed` to `sourceAnswers`.
    private(set) var hasFailed = false

    /// A service leaves the bus for so long when it executes itself anew; a call that is not answered fails later than that.
    private static let awayFor = Duration.seconds(3)

    private let service: String
    private let title: String
    private let addresses: [BusAddress]
    private let loop: Loop
    /// Which of the addresses the connection is to.
    private var addressInUse = 0
    /// The service's unique name on the bus; empty where it is the other end itself. Signals of anybody else are not the service's,
    /// whatever they say.
    private var owner: String?
    /// It has left the bus, for a moment as it may be.
    private var isAway = false
    /// When it last left the bus or came there.
    private var ownerChangedAt: Duration?
    private var failuresInARow = 0
    private var retry: Loop.Timer?
    private var pulse: Loop.Timer?
    private weak var user: (any BusSourceUser)?

    /// - Parameters:
    ///   - service: its name on the bus.
    ///   - title: what people call it.
    ///   - addresses: tried one after the other; at least one.
    init(_ service: String, title: String, addresses: [BusAddress], loop: Loop) {
        self.service = service
        self.title = title
        self.addresses = addresses
        self.loop = loop
    }

    func start(for user: any BusSourceUser) {
        self.user = user
        connect()
        pulse = loop.every(.seconds(30)) { [weak self] in
            guard let self, let bus = self.bus, !self.hasFailed else { return }
            self.user?.feelPulse(over: bus)
        }
    }

    func stop() {
        for timer in [retry, pulse] { if let timer { loop.cancel(timer) } }
        (retry, pulse) = (nil, nil)
        user = nil
        bus?.close()
        bus = nil
    }

    func sent(_ signal: BusSignal) -> Bool { owner == "" || signal.sender == owner }

    /// Asks for everything anew, over a new connection if need be.
    func synchronize() {
        if let retry { loop.cancel(retry) }
        retry = nil
        guard let bus else { return connect() }
        if owner != "" { findOwner(over: bus) }
        user?.synchronize(over: bus)
    }

    /// The service has answered.
    func answers() {
        failuresInARow = 0
        guard hasFailed else { return }
        hasFailed = false
        user?.sourceAnswers()
    }

    /// The service has not answered. An error without a name is the connection's own, which is heard of anyway; and what a service leaves
    /// unanswered when it leaves the bus is asked anew when it is back.
    func unanswered(_ what: String, _ error: BusError) {
        guard error.name != nil, !isAway else { return }
        // A bus that is busy says so only after the service is back.
        if error.kind == "NoReply", let ownerChangedAt, SystemTime().now().uptime - ownerChangedAt < Self.awayFor { return }
        leave(error.kind == "AccessDenied" ? "the agent may not ask \(title): \(error)" : "\(what): \(error)")
    }

    // MARK: The connection

    /// Matches first, then the questions: what changes in between is not missed.
    private func connect() {
        guard let user, !addresses.isEmpty else { return }
        let address = addresses[addressInUse % addresses.count]
        do throws(BusError) {
            let bus = try Bus(loop: loop, address: address.text, isDirect: address.isDirect) { [weak self] in self?.lost($0.message) }
            self.bus = bus
            owner = address.isDirect ? "" : nil
            if !address.isDirect {
                let names = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged'"
                try bus.match("\(names),arg0='\(service)'") { [weak self] in self?.ownerChanged($0) }
            }
            try user.listen(on: bus)
        } catch {
            bus?.close()
            return lost(error.message)
        }
        synchronize()
    }

    private func findOwner(over bus: Bus) {
        let nameOwner = BusMethod(
            destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus", name: "GetNameOwner")
        bus.call(nameOwner, [service]) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let values): self.owner = values.first?.string
            case .failure(let error): self.unanswered("\(self.title) is not on the bus", error)
            }
        }
    }

    private func lost(_ why: String) {
        bus = nil
        owner = nil
        isAway = false
        addressInUse += 1
        user?.connectionLost()
        failed(why)
    }

    /// One address may be right where the other is not; a connection to the only one is kept.
    private func leave(_ why: String) {
        guard addresses.count > 1 else { return failed(why) }
        bus?.close()
        lost(why)
    }

    private func failed(_ why: String) {
        guard retry == nil, let user else { return }
        failuresInARow += 1
        let rounds = failuresInARow - addresses.count
        retry = loop.after(rounds < 0 ? .zero : .milliseconds(min(10_000, 100 << min(rounds, 7)))) { [weak self] in self?.synchronize() }
        guard rounds >= 0, !hasFailed else { return }
        hasFailed = true
        user.sourceFailed(why)
    }

    private func ownerChanged(_ signal: BusSignal) {
        guard let new = signal.body.last?.string else { return }
        owner = new.isEmpty ? nil : new
        isAway = new.isEmpty
        ownerChangedAt = SystemTime().now().uptime
        user?.ownerChanged()
        guard new.isEmpty else { return synchronize() }
        // Only if it stays away the source has failed.
        loop.after(Self.awayFor) { [weak self] in
            guard let self, self.isAway else { return }
            self.isAway = false
            self.leave("\(self.title) has left the bus")
        }
    }
}
