// Random bytes from the kernel.

import CLinux
import Glibc

/// `count` random bytes from getrandom(2), as lower-case hex: two digits a byte.
public func randomHex(bytes count: Int) -> String {
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { fillRandom($0) }
    return hex(bytes)
}

/// Lower-case hex, two digits a byte.
public func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

func fillRandom(_ buffer: UnsafeMutableRawBufferPointer) {
    var filled = 0
    while filled < buffer.count {
        let count = rollcall_getrandom(buffer.baseAddress! + filled, UInt(buffer.count - filled))
        // Without randomness nothing that depends on it may go on; getrandom(2) fails only with EINTR once the kernel has booted.
        precondition(count > 0 || errno == EINTR, "getrandom(2) failed")
        filled += max(0, count)
    }
}
