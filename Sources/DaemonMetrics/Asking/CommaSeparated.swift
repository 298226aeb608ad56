// Lines whose fields are parted by commas.

/// The fields of a line; a field in quotes may hold commas, and quotes twice.
func commaSeparated(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    line.withUnsafeBytes { buffer in
        let (comma, quote) = (UInt8(ascii: ","), UInt8(ascii: "\""))
        var fields: [ArraySlice<UInt8>] = []
        var at = 0
        while true {
            if at < buffer.count, buffer[at] == quote {
                var field: [UInt8] = []
                at += 1
                while at < buffer.count {
                    if buffer[at] == quote {
                        at += 1
                        guard at < buffer.count, buffer[at] == quote else { break }
                    }
                    field.append(buffer[at])
                    at += 1
                }
                fields.append(field[...])
                // Nobody writes anything between a closing quote and the comma.
                while at < buffer.count, buffer[at] != comma { at += 1 }
            } else {
                let start = at
                while at < buffer.count, buffer[at] != comma { at += 1 }
                fields.append(line[(line.startIndex + start)..<(line.startIndex + at)])
            }
            guard at < buffer.count else { return fields }
            at += 1
        }
    }
}
