// One transfer in flight: the easy handle, what it sends, what it has received.

import CCurl
import Glibc
import Platform

/// Owns an easy handle from its options to its outcome. It lives on the engine's loop.
final class Exchange {
    let job: Engine.Job
    let easy: UnsafeMutableRawPointer
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private var setUpProblem: TransferError?

    private var upload: [UInt8] = []
    private var uploaded = 0
    private var response = HTTPResponse(status: 0)
    private var maximumBody = 0
    private var lines: LineSplitter?
    private var headerBytes = 0
    /// A mail server's last line that said no.
    private var refusal: (code: Int, line: String)?

    /// More headers than this are an attack or a mistake.
    private static let maximumHeaderBytes = 65536

    init(_ job: Engine.Job, remaining: Duration) throws(TransferError) {
        guard let easy = curl_easy_init() else { throw TransferError(.badRequest, "no memory for a transfer") }
        self.job = job
        self.easy = easy
        errorText[0] = 0
        setUp(remaining: remaining)
        switch job.work {
        case .http(let request): try setUp(request)
        case .mail(let mail): try setUp(mail)
        }
        if let setUpProblem { throw setUpProblem }
    }

    deinit {
        curl_easy_cleanup(easy)
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    /// The number of the job whose handle this is.
    static func number(of easy: UnsafeMutableRawPointer) -> UInt64 {
        var exchange: UnsafeMutableRawPointer?
        rollcall_getinfo_pointer(easy, CURLINFO_PRIVATE, &exchange)
        return exchange.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue().job.number } ?? 0
    }

    // MARK: Options

    private func set(_ option: CURLoption, _ value: Int) { note(rollcall_setopt_long(easy, option, value), option) }
    private func set(_ option: CURLoption, _ value: Bool) { set(option, value ? 1 : 0) }
    private func set(_ option: CURLoption, _ value: String?) { note(rollcall_setopt_string(easy, option, value), option) }
    private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) { note(rollcall_setopt_pointer(easy, option, value), option) }
    private func set(_ option: CURLoption, _ value: curl_write_callback) { note(rollcall_setopt_callback(easy, option, value), option) }

    private func set(_ option: CURLoption, _ values: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for value in values { list = curl_slist_append(list, value) ?? list }
        guard let list else { return }
        lists.append(list)
        set(option, UnsafeMutableRawPointer(list))
    }

    /// The first option that libcurl does not take fails the transfer: a deadline or a check of trust that is silently missing is worse.
    private func note(_ code: CURLcode, _ option: CURLoption) {
        guard code != CURLE_OK, setUpProblem == nil else { return }
        setUpProblem = TransferError(.badRequest, "libcurl does not take option \(option.rawValue): \(String(cString: curl_easy_strerror(code)))")
    }

    private func setUp(remaining: Duration) {
        let here = Unmanaged.passUnretained(self).toOpaque()
        set(CURLOPT_PRIVATE, here)
        set(CURLOPT_ERRORBUFFER, UnsafeMutableRawPointer(errorText))
        set(CURLOPT_WRITEDATA, here)
        set(CURLOPT_WRITEFUNCTION) { bytes, size, count, exchange in
            exchange.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue().receive(bytes, size * count) } ?? 0
        }
        set(CURLOPT_HEADERDATA, here)
        set(CURLOPT_HEADERFUNCTION) { bytes, size, count, exchange in
            exchange.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue().receiveHeader(bytes, size * count) } ?? 0
        }
        // Signals belong to the program; SIGPIPE is blocked on this thread.
        set(CURLOPT_NOSIGNAL, true)
        // libcurl would wait for the resolver's thread when a transfer ends before its name is resolved, and with it all others.
        set(CURLOPT_QUICK_EXIT, true)
        // 0 would be no limit at all.
        set(CURLOPT_TIMEOUT_MS, max(1, Int(remaining.microseconds / 1000)))
        // What is asked must answer itself: a proxy from the environment would answer for it.
        set(CURLOPT_PROXY, "")
        // With Debian's default folder of authorities libcurl reads all of them anew for each connection.
        set(CURLOPT_CAPATH, String?.none)
    }

    private func setUp(authorities: String?, verifies: Bool, connectTimeout: Duration) {
        if let authorities { set(CURLOPT_CAINFO, authorities) }
        set(CURLOPT_SSL_VERIFYPEER, verifies)
        set(CURLOPT_SSL_VERIFYHOST, verifies ? 2 : 0)
        set(CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(connectTimeout.microseconds / 1000)))
    }

    private func setUp(_ credentials: Credentials?) throws(TransferError) {
        guard let credentials else { return }
        let password = credentials.password.reveal()
        guard !(credentials.user + password).utf8.contains(0) else { throw TransferError(.badRequest, "the user name or password holds a NUL byte") }
        set(CURLOPT_USERNAME, credentials.user)
        set(CURLOPT_PASSWORD, password)
    }

    private func setUp(_ request: HTTPRequest) throws(TransferError) {
        maximumBody = max(0, request.maximumBody)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        set(CURLOPT_URL, request.endpoint.text)
        setUp(authorities: request.authorities, verifies: request.verifiesCertificate, connectTimeout: request.connectTimeout)
        try setUp(method: request.method, body: request.body)
        try setUp(request.credentials)
        set(CURLOPT_HTTPAUTH, 1)  // CURLAUTH_BASIC, a macro with a cast
        try setUp(headers: request.headers)
        set(CURLOPT_FOLLOWLOCATION, request.redirects > 0)
        set(CURLOPT_MAXREDIRS, max(0, request.redirects))
        set(CURLOPT_CERTINFO, request.endpoint.isEncrypted || request.redirects > 0)
        if request.freshConnection {
            set(CURLOPT_FRESH_CONNECT, true)
            set(CURLOPT_FORBID_REUSE, true)
            set(CURLOPT_SSL_SESSIONID_CACHE, false)
        }
        if let socket = request.socket { set(CURLOPT_UNIX_SOCKET_PATH, socket) }
        if let netrc = request.netrc, request.credentials == nil {
            set(CURLOPT_NETRC, Int(CURL_NETRC_OPTIONAL.rawValue))
            set(CURLOPT_NETRC_FILE, netrc)
        }
        if let silence = request.silence {
            set(CURLOPT_LOW_SPEED_LIMIT, 1)
            set(CURLOPT_LOW_SPEED_TIME, max(1, Int(silence.components.seconds)))
        }
        if request.eachLine != nil { lines = LineSplitter(limit: maximumBody) }
        if let address = request.address {
            // CURLOPT_RESOLVE would change the answer for every other transfer to this name as well.
            let (host, target) = (bracketed(request.endpoint.host), bracketed(address))
            set(CURLOPT_CONNECT_TO, ["\(host):\(request.endpoint.port):\(target):"])
        }
    }

    private func setUp(method: String, body: [UInt8]?) throws(TransferError) {
        guard (1...20).contains(method.utf8.count), method.utf8.allSatisfy({ (65...90).contains($0) }) else {
            throw TransferError(.badRequest, "the method must be capital letters")
        }
        if body != nil || method == "POST" {
            var bytes = body ?? []
            set(CURLOPT_POSTFIELDSIZE, bytes.count)
            bytes.append(0)  // so that an empty body has an address too
            bytes.withUnsafeMutableBytes { set(CURLOPT_COPYPOSTFIELDS, $0.baseAddress) }
        }
        switch method {
        // Named by their own options: libcurl then turns a redirected POST into a GET where browsers do.
        case "POST": break
        case "GET" where body == nil: break
        case "HEAD": set(CURLOPT_NOBODY, true)
        default: set(CURLOPT_CUSTOMREQUEST, method)
        }
    }

    private func setUp(headers: [(name: String, value: String)]) throws(TransferError) {
        let names = Set(headers.map { $0.name.lowercased() })
        var lines: [String] = names.contains("expect") ? [] : ["Expect:"]
        if !names.contains("user-agent") { lines.append("User-Agent: rollcall") }
        for (name, value) in headers {
            guard HTTPRequest.canSend(name: name, value: value)
            else { throw TransferError(.badRequest, "a header holds a line break or another character that headers cannot hold") }
            // `Name:` would remove the header; `Name;` sends it without value.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        set(CURLOPT_HTTPHEADER, lines)
    }

    private func setUp(_ mail: MailTransfer) throws(TransferError) {
        set(CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        set(CURLOPT_URL, mail.server.text)
        setUp(authorities: mail.authorities, verifies: mail.verifiesCertificate, connectTimeout: mail.connectTimeout)
        let level =
            switch mail.encryption {
            case .required: CURLUSESSL_ALL
            case .offered: CURLUSESSL_TRY
            case .none: CURLUSESSL_NONE
            }
        set(CURLOPT_USE_SSL, Int(level.rawValue))
        try setUp(mail.credentials)
        // The answer to the first challenge goes with AUTH: one round trip less, and nothing that waits for a second one.
        set(CURLOPT_SASL_IR, true)
        for address in [mail.sender] + mail.recipients {
            guard address.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") }) else {
                throw TransferError(.badRequest, "a mail address holds a character that addresses cannot hold")
            }
        }
        set(CURLOPT_MAIL_FROM, "<\(mail.sender)>")
        set(CURLOPT_MAIL_RCPT, mail.recipients.map { "<\($0)>" })
        upload = mail.message
        set(CURLOPT_UPLOAD, true)
        set(CURLOPT_INFILESIZE, upload.count)
        set(CURLOPT_READDATA, Unmanaged.passUnretained(self).toOpaque())
        set(CURLOPT_READFUNCTION) { bytes, size, count, exchange in
            exchange.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue().send(bytes, size * count) } ?? 0
        }
    }

    // MARK: What libcurl calls while it transfers

    /// Keeps what the body may have; another answer than `count` ends the transfer.
    private func receive(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        if lines != nil, status == 200 { return handOn(UnsafeRawBufferPointer(start: bytes, count: count)) }
        let kept = min(count, maximumBody - response.body.count)
        response.body += UnsafeRawBufferPointer(start: bytes, count: kept)
        response.isTruncated = kept < count
        return kept == count ? count : 0
    }

    /// Gives the lines away as they become whole; one that is too long ends the transfer.
    private func handOn(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard case .http(let request) = job.work, let whole = lines?.add(bytes) else { return 0 }
        for line in whole { request.eachLine?(line) }
        return bytes.count
    }

    private var status: Int {
        var status = 0
        rollcall_getinfo_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return status
    }

    private func receiveHeader(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
        let raw = UnsafeRawBufferPointer(start: bytes, count: count)
        guard case .http = job.work else {
            noteReply(raw)
            return count
        }
        if raw.starts(with: "HTTP/".utf8) {
            // Another answer begins: after an interim one or a redirect.
            response.headers = []
            headerBytes = 0
        }
        headerBytes += count
        guard headerBytes <= Self.maximumHeaderBytes else { return 0 }
        guard let colon = raw.firstIndex(of: UInt8(ascii: ":")) else { return count }
        response.headers.append((printable(raw[..<colon], limit: 256), printable(raw[(colon + 1)...], limit: 8192)))
        return count
    }

    private func noteReply(_ line: UnsafeRawBufferPointer) {
        let text = printable(line[...], limit: 200)
        if let code = Int(text.prefix(3)), (400...599).contains(code) { refusal = (code, text) }
    }

    private func send(_ bytes: UnsafeMutablePointer<CChar>?, _ room: Int) -> Int {
        let count = min(room, upload.count - uploaded)
        UnsafeMutableRawBufferPointer(start: bytes, count: count).copyBytes(from: upload[uploaded..<(uploaded + count)])
        uploaded += count
        return count
    }

    // MARK: The outcome

    func outcome(_ code: CURLcode) -> Result<HTTPResponse, TransferError> {
        if code == CURLE_OK || (code == CURLE_WRITE_ERROR && response.isTruncated) {
            response.status = status
            if let rest = lines?.rest, !rest.isEmpty, case .http(let request) = job.work { request.eachLine?(rest) }
            response.timings = timings()
            response.remoteAddress = text(CURLINFO_PRIMARY_IP)
            response.certificateExpiry = certificateExpiry()
            return .success(response)
        }
        return .failure(failure(code))
    }

    private func failure(_ code: CURLcode) -> TransferError {
        if case .mail = job.work, let refusal, [CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_LOGIN_DENIED, CURLE_WEIRD_SERVER_REPLY].contains(code) {
            return TransferError(.refused, "the server refused: \(refusal.line)", replyCode: refusal.code)
        }
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: return TransferError(.couldNotResolve, "no address for the name \(host)")
        case CURLE_COULDNT_CONNECT: return connectFailure()
        case CURLE_OPERATION_TIMEDOUT: return timeout()
        case CURLE_PEER_FAILED_VERIFICATION: return TransferError(.untrusted, said("the certificate is not trusted"))
        case CURLE_SSL_CACERT_BADFILE: return TransferError(.badRequest, "the file of authorities cannot be read or holds no certificate")
        case CURLE_USE_SSL_FAILED: return TransferError(.tls, "the server offers no STARTTLS")
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_SHUTDOWN_FAILED:
            return TransferError(.tls, "TLS failed: \(said("no handshake"))")
        case CURLE_LOGIN_DENIED: return TransferError(.refused, "the server refused the login", replyCode: refusal?.code ?? 535)
        case CURLE_TOO_MANY_REDIRECTS: return TransferError(.tooManyRedirects, "redirected too often")
        case CURLE_UNSUPPORTED_PROTOCOL:
            return TransferError(.protocolError, "answered with something that is not HTTP, or a redirect to neither http nor https")
        case CURLE_URL_MALFORMAT: return TransferError(.protocolError, "redirected to something that is not a URL")
        case CURLE_WRITE_ERROR where headerBytes > Self.maximumHeaderBytes:
            return TransferError(.tooLarge, "more than \(Self.maximumHeaderBytes / 1024) KiB of headers")
        case CURLE_WRITE_ERROR where lines != nil: return TransferError(.tooLarge, "a line of the answer is longer than \(maximumBody) bytes")
        case CURLE_GOT_NOTHING: return TransferError(.connectionLost, "the connection ended without an answer")
        case CURLE_PARTIAL_FILE: return TransferError(.connectionLost, "the connection ended before the answer was complete")
        case CURLE_RECV_ERROR, CURLE_SEND_ERROR: return TransferError(.connectionLost, "the connection broke: \(said("no reason given"))")
        default: return TransferError(.protocolError, said(String(cString: curl_easy_strerror(code))))
        }
    }

    private func connectFailure() -> TransferError {
        var number = 0
        rollcall_getinfo_long(easy, CURLINFO_OS_ERRNO, &number)
        if number == Int(ECONNREFUSED) { return TransferError(.connectionRefused, "connection refused") }
        let reason = number > 0 ? String(cString: strerror(Int32(number))) : said("no way to \(host)")
        return TransferError(.couldNotConnect, "no connection: \(reason)")
    }

    /// Says how far it came.
    private func timeout() -> TransferError {
        let timings = timings()
        let connectLimit = min(connectTimeout, job.limit).inWords
        if case .http(let request) = job.work, let silence = request.silence, let total = timings.total, total < job.limit {
            return TransferError(.timedOut, "nothing came for \(silence.inWords)")
        }
        if timings.firstByte != nil { return TransferError(.timedOut, "the answer was not complete within \(job.limit.inWords)") }
        if microseconds(CURLINFO_PRETRANSFER_TIME_T) != nil { return TransferError(.timedOut, "no answer within \(job.limit.inWords)") }
        if timings.connect != nil {
            // With mail the connection counts until the server has greeted and TLS stands.
            return TransferError(.timedOut, "connected, but no \(isEncrypted ? "TLS handshake" : "greeting") within \(connectLimit)")
        }
        if timings.name != nil { return TransferError(.couldNotConnect, "no connection within \(connectLimit)") }
        return TransferError(.couldNotResolve, "no address for the name \(host) within \(connectLimit)")
    }

    private var connectTimeout: Duration {
        switch job.work {
        case .http(let request): request.connectTimeout
        case .mail(let mail): mail.connectTimeout
        }
    }

    private var isEncrypted: Bool {
        switch job.work {
        case .http(let request): request.endpoint.isEncrypted
        case .mail(let mail): mail.server.isEncrypted
        }
    }

    /// Where the transfer was going first; a redirect may have taken it elsewhere.
    private var host: String {
        switch job.work {
        case .http(let request): request.endpoint.host
        case .mail(let mail): mail.server.host
        }
    }

    /// libcurl's own words about this transfer.
    private func said(_ otherwise: String) -> String {
        let text = printable(UnsafeRawBufferPointer(start: errorText, count: strnlen(errorText, Int(CURL_ERROR_SIZE)))[...], limit: 200)
        return text.isEmpty ? otherwise : text
    }

    private func timings() -> HTTPResponse.Timings {
        var timings = HTTPResponse.Timings()
        timings.name = microseconds(CURLINFO_NAMELOOKUP_TIME_T)
        timings.connect = microseconds(CURLINFO_CONNECT_TIME_T)
        timings.tls = microseconds(CURLINFO_APPCONNECT_TIME_T)
        timings.firstByte = microseconds(CURLINFO_STARTTRANSFER_TIME_T)
        timings.total = microseconds(CURLINFO_TOTAL_TIME_T)
        return timings
    }

    private func microseconds(_ info: CURLINFO) -> Duration? {
        var value: curl_off_t = 0
        guard rollcall_getinfo_offset(easy, info, &value) == CURLE_OK, value > 0 else { return nil }
        return .microseconds(Int64(value))
    }

    private func text(_ info: CURLINFO) -> String? {
        var value: UnsafeMutablePointer<CChar>?
        guard rollcall_getinfo_string(easy, info, &value) == CURLE_OK, let value, value[0] != 0 else { return nil }
        return String(cString: value)
    }

    private func certificateExpiry() -> Timestamp? {
        var pointer: UnsafeMutableRawPointer?
        guard rollcall_getinfo_pointer(easy, CURLINFO_CERTINFO, &pointer) == CURLE_OK, let pointer else { return nil }
        let chain = pointer.assumingMemoryBound(to: curl_certinfo.self).pointee
        guard chain.num_of_certs > 0, var field = chain.certinfo?[0] else { return nil }
        while true {
            if let data = field.pointee.data {
                let text = String(cString: data)
                if text.hasPrefix("Expire date:") { return Timestamp(openSSL: text.dropFirst("Expire date:".count)) }
            }
            guard let next = field.pointee.next else { return nil }
            field = next
        }
    }
}

extension Timestamp {
    /// Reads OpenSSL's way to write a date, `Feb  9 01:55:41 2027 GMT`.
    init?(openSSL text: some StringProtocol) {
        let words = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard words.count == 5, words[4] == "GMT", let month = months.firstIndex(of: String(words[0])) else { return nil }
        let (monthDigits, day) = (month < 9 ? "0\(month + 1)" : "\(month + 1)", words[1].count == 1 ? "0\(words[1])" : "\(words[1])")
        self.init("\(words[3])-\(monthDigits)-\(day)T\(words[2])Z")
    }
}

extension Duration {
    /// `10 s`, `0.5 s`.
    var inWords: String {
        let tenths = Int64((inSeconds * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}

private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

/// What the other side sent as one line of text that cannot drive a terminal.
private func printable(_ bytes: Slice<UnsafeRawBufferPointer>, limit: Int) -> String {
    let text = String(decoding: bytes.prefix(limit), as: UTF8.self)
    let safe = text.unicodeScalars.map { scalar in scalar.properties.generalCategory == .control ? " " : Character(scalar) }
    let start = safe.firstIndex { $0 != " " } ?? safe.endIndex
    let end = safe.lastIndex { $0 != " " } ?? start
    return start < safe.endIndex ? String(safe[start...end]) : ""
}
