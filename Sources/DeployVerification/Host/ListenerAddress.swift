// Which requests reach a listener.

extension ServiceListener {
    /// Whether some connections may come to either of the two, as over SO_REUSEPORT.
    public func sharesConnections(with other: ServiceListener) -> Bool {
        guard case .tcp(let own, let port) = address, case .tcp(let others, port) = other.address else { return false }
        return own == others || takesAll(of: others) || other.takesAll(of: own)
    }

    /// Whether a client of that address reaches this listener.
    func covers(_ address: Address) -> Bool {
        if self.address == address { return true }
        guard case .tcp(_, let port) = self.address, case .tcp(let other, port) = address else { return false }
        // Those who came over IPv6 are not served over IPv4.
        return takesAll(of: other)
    }

    private func takesAll(of other: String) -> Bool {
        guard case .tcp(let own, _) = address else { return false }
        let isOtherIPv6 = other.utf8.contains(UInt8(ascii: ":"))
        return own == "::" ? isOtherIPv6 || !isIPv6Only : own == "0.0.0.0" && !isOtherIPv6
    }
}

extension ServiceListener.Address {
    /// A port of this host alone that the kernel chose, as servers use it within themselves: it is another one at each start.
    var isPassing: Bool {
        guard case .tcp(let address, let port) = self else { return false }
        return port >= 32768 && (address.hasPrefix("127.") || address == "::1")
    }

    /// `127.0.0.1:8080`, `[::1]:8080`, a path.
    var text: String {
        switch self {
        case .tcp(let address, let port): address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path): path
        }
    }
}
