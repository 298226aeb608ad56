// What an agent has to be told, as its files say it.

enum AgentInstructions {
    static let user = "rollcall-agent"
    static let tokenFile = "/etc/rollcall/agent.token"
    static let configurationFile = "/etc/rollcall/rollcall.conf"
    static let ruleFile = "/etc/rollcall/services.d/nginx.inq"

    static let tokenCommands = "install -m 0600 -o \(user) /dev/null \(tokenFile)\ncat > \(tokenFile)"
    static let rule = "check service nginx\n  if memory:total_rss > 500m for 2 cycles then alert"
    static let restart = "systemctl restart rollcall-agent"

    static func configuration(publicURL: String) -> String { "set aggregator \(publicURL)\nset aggregator_token_file \(tokenFile)" }
}
