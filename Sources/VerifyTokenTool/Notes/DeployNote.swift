// What `prepare` keeps for `check`, so that another process on this machine can go on.

import Platform

/// A prepared deploy: which it is, and how it is asked about. No passwords: only where they are.
struct DeployNote: Equatable, Sendable {
    /// How long a deploy may take to be checked.
    static let life = Duration.seconds(24 * 3600)
    /// One that was not judged by then is not under way any more, as for agents.
    static let forgottenAfter = Duration.seconds(1800)

    var id: String
    var token: String
    var service: String?
    var began: Timestamp
    var person: String?
    var revision: String?
    var way = AgentWay()
    var urls: [String] = []
    var hostHeader: String?
    /// Where the workers answer their token, if `prepare` was told.
    var tokenPath: String?
    var user: String?
    var passwordFile: String?
    /// The release that the token was put into.
    var release: String?
    /// It was judged: its token need not stay.
    var isOver = false
    /// The hosts that have a baseline.
    var hosts: [String] = []
    var probes = false

    var json: JSON {
        func text(_ value: String?) -> JSON { JSON(value) }
        return [
            "deploy_id": .string(id), "token": .string(token), "service": text(service), "began": .string(began.text()), "person": text(person),
            "revision": text(revision),
            "agents": [
                "socket": text(way.socket), "hosts": text(way.agents), "user": text(way.agentsUser), "password_file": text(way.agentsPasswordFile),
                "ca": text(way.agentsAuthorities), "aggregator": text(way.aggregator), "aggregator_token_file": text(way.aggregatorTokenFile),
                "aggregator_ca": text(way.aggregatorAuthorities),
            ],
            "urls": .array(urls.map(JSON.string)), "host_header": text(hostHeader), "token_path": text(tokenPath), "user": text(user),
            "password_file": text(passwordFile),
            "hosts": .array(hosts.map(JSON.string)), "probe": .bool(probes), "release": text(release), "over": .bool(isOver),
        ]
    }

    init(id: String, token: String, service: String?, began: Timestamp) {
        self.id = id
        self.token = token
        self.service = service
        self.began = began
    }

    /// `nil` for anything but a note.
    init?(_ json: JSON) {
        guard let id = json["deploy_id"]?.string, DeployNote.isID(id), let token = json["token"]?.string,
            let began = json["began"]?.string.flatMap({ Timestamp($0) })
        else { return nil }
        self.init(id: id, token: token, service: json["service"]?.string, began: began)
        func texts(_ json: JSON?) -> [String] { (json?.array ?? []).compactMap(\.string) }
        person = json["person"]?.string
        revision = json["revision"]?.string
        let agents = json["agents"] ?? [:]
        way.socket = agents["socket"]?.string
        way.agents = agents["hosts"]?.string
        way.agentsUser = agents["user"]?.string
        way.agentsPasswordFile = agents["password_file"]?.string
        way.agentsAuthorities = agents["ca"]?.string
        way.aggregator = agents["aggregator"]?.string
        way.aggregatorTokenFile = agents["aggregator_token_file"]?.string
        way.aggregatorAuthorities = agents["aggregator_ca"]?.string
        urls = texts(json["urls"])
        hostHeader = json["host_header"]?.string
        tokenPath = json["token_path"]?.string
        user = json["user"]?.string
        passwordFile = json["password_file"]?.string
        hosts = texts(json["hosts"])
        probes = json["probe"]?.bool ?? false
        release = json["release"]?.string
        isOver = json["over"]?.bool ?? false
    }

    /// `d-` and hexadecimal digits: it becomes a file's name.
    static func isID(_ text: String) -> Bool {
        text.hasPrefix("d-") && (3...66).contains(text.utf8.count)
            && text.utf8.dropFirst(2).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    static func newID() -> String { "d-" + randomHex(bytes: 10) }
}
