// gzip (RFC 1952) and deflate (RFC 1950, 1951), for bodies that fit into memory.

import CZlib

/// Bytes that are not what they should be.
public enum GzipError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not gzip, or damaged; or it ends too early, or there is something after its end.
    case damaged
    /// What is in it is larger than the limit.
    case tooLarge(limit: Int)
    /// No memory for the work.
    case outOfMemory

    public var description: String {
        switch self {
        case .damaged: "it is not whole gzip data"
        case .tooLarge(let limit): "what is in it is larger than \(limit) bytes"
        case .outOfMemory: "there is not enough memory to unpack it"
        }
    }
}

/// Packs bytes. `nil` when there is no memory for it.
///
/// With a window of 8 KiB and small tables: the work takes about 100 KiB, and of short JSON larger ones would make no better of it.
public func gzip(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = z_stream()
    guard rollcall_deflate_init(&stream, 6, 16 + 13, 7) == Z_OK else { return nil }
    defer { deflateEnd(&stream) }
    guard let count = UInt32(exactly: bytes.count) else { return nil }
    var out = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(count))) + 32)
    let (result, left) = bytes.withUnsafeBytes { source in
        out.withUnsafeMutableBytes { target in
            // zlib only reads through it; the pointer is not const in its header.
            stream.next_in = UnsafeMutablePointer(mutating: source.bindMemory(to: UInt8.self).baseAddress)
            stream.avail_in = count
            stream.next_out = target.bindMemory(to: UInt8.self).baseAddress
            stream.avail_out = UInt32(clamping: target.count)
            return (deflate(&stream, Z_FINISH), Int(stream.avail_out))
        }
    }
    guard result == Z_STREAM_END else { return nil }
    out.removeLast(left)
    return out
}

/// Unpacks one gzip member, and stops as soon as it is larger than `limit`.
public func gunzip(_ bytes: [UInt8], limit: Int) throws(GzipError) -> [UInt8] { try unpack(bytes, windowBits: 16 + 15, limit: limit) }

/// Unpacks what HTTP calls `deflate`, and stops as soon as it is larger than `limit`: zlib's format (RFC 1950), or without its frame
/// (RFC 1951), as some servers send it.
public func inflated(_ bytes: [UInt8], limit: Int) throws(GzipError) -> [UInt8] {
    // CM and CINFO in the first byte, and the header is a multiple of 31.
    let isFramed = bytes.count >= 2 && bytes[0] & 0x0f == 8 && (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0
    return try unpack(bytes, windowBits: isFramed ? 15 : -15, limit: limit)
}

private func unpack(_ bytes: [UInt8], windowBits: Int32, limit: Int) throws(GzipError) -> [UInt8] {
    var stream = z_stream()
    guard rollcall_inflate_init(&stream, windowBits) == Z_OK else { throw .outOfMemory }
    defer { inflateEnd(&stream) }
    guard let count = UInt32(exactly: bytes.count) else { throw .damaged }
    var out: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 32 << 10)
    let problem: GzipError? = bytes.withUnsafeBytes { source in
        stream.next_in = UnsafeMutablePointer(mutating: source.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = count
        while true {
            let (result, produced) = piece.withUnsafeMutableBytes { target in
                stream.next_out = target.bindMemory(to: UInt8.self).baseAddress
                stream.avail_out = UInt32(target.count)
                let result = inflate(&stream, Z_NO_FLUSH)
                return (result, target.count - Int(stream.avail_out))
            }
            guard out.count + produced <= limit else { return .tooLarge(limit: limit) }
            out += piece[..<produced]
            switch result {
            case Z_STREAM_END: return stream.avail_in == 0 ? nil : .damaged
            case Z_OK where produced > 0 || stream.avail_in > 0: continue
            case Z_MEM_ERROR: return .outOfMemory
            default: return .damaged
            }
        }
    }
    if let problem { throw problem }
    return out
}
