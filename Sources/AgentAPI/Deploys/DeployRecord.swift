// A deploy as history keeps it.

public import Platform

/// A deploy and how it ended, as the aggregator keeps it.
public struct DeployRecord: Equatable, Sendable {
    public struct URL: Equatable, Sendable {
        /// Without a password.
        public var url: String
        public var state: Verdict
        /// What was answered, in words.
        public var account: String
        /// How many of the last answers were right; `nil` where that is not known.
        public var consecutive: Int?

        public init(url: String, state: Verdict, account: String, consecutive: Int? = nil) {
            self.url = url
            self.state = state
            self.account = account
            self.consecutive = consecutive
        }
    }

    public var id: String
    public var service: String
    public var verdict: Verdict
    /// When it was prepared, or else when its check began.
    public var began: Timestamp
    public var ended: Timestamp
    public var tokenPrefix: String
    public var person: String?
    public var revision: String?
    /// In a sentence.
    public var summary: String
    public var hosts: [HostDeploy]
    public var urls: [URL]
    /// As seen from where the check ran; each host has its own beside it.
    public var availability: Availability?

    public init(
        id: String, service: String, verdict: Verdict, began: Timestamp, ended: Timestamp, tokenPrefix: String, person: String? = nil,
        revision: String? = nil, summary: String, hosts: [HostDeploy] = [], urls: [URL] = [], availability: Availability? = nil
    ) {
        self.id = id
        self.service = service
        self.verdict = verdict
        self.began = began
        self.ended = ended
        self.tokenPrefix = tokenPrefix
        self.person = person
        self.revision = revision
        self.summary = summary
        self.hosts = hosts
        self.urls = urls
        self.availability = availability
    }
}
