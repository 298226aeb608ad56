// How programs say who they are.

import HTTPTypes
import Hummingbird

/// The token that a request shows: `Authorization: Bearer TOKEN`.
func bearerToken(_ request: Request) -> String? {
    guard let value = request.headers[.authorization], value.utf8.count <= 512 else { return nil }
    let parts = value.split(separator: " ")
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    return String(parts[1])
}
