// An agent without alerts.

import DeployVerification

extension DeployWindows {
    static let none = DeployWindows(open: { _, opened in opened(nil) }, close: { _ in })
}
