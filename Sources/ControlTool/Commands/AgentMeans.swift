// What the agent may do that is to run by a configuration.

import AgentAPI
import AgentCore
import Glibc
import Platform

/// Of the agent that runs on this host; where none does, what the unit gives it that is installed. `nil` where the agent is not installed, or
/// may not be asked.
func meansOfTheAgent(_ reading: ConfigurationReading) -> OwnMeans? {
    let socket = (try? reading.configuration.get().settings.socket) ?? AgentConnection.defaultSocket
    if access(socket, F_OK) == 0 {
        guard let answer = try? AgentConnection(socket: socket).ask(.means, patience: .seconds(5)), answer.isGood else { return nil }
        return OwnMeans(answer.json)
    }
    return .ofInstalledUnit()
}
