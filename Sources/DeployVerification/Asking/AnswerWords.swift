// Answers that are no token, in words: what was seen, and what makes the question right.

import AgentAPI

extension OtherAnswer {
    /// `status 301 to https://app.example.com/about/deploy`
    public var seen: String {
        if let problem { return problem }
        if let location, isRedirect { return "status \(status) to \(location)" }
        if isForNow || !(200..<300).contains(status) { return "status \(status)" }
        if let packing { return "status \(status) with something that is compressed (\(packing))" }
        let length = isLonger ? "more than 16 KiB" : "\(bytes) \(bytes == 1 ? "byte" : "bytes")"
        return isPage ? "a page of HTML (status \(status), \(length))" : "no token but status \(status) with \(length)"
    }

    /// What to do about it; `nil` where that is not known.
    func remedy(path: String?) -> String? {
        if let problem {
            return problem.contains("certificate")
                ? "let this system trust who signed it, or write `deploy_tls on`" : "say what it speaks: `deploy_protocol`, `deploy_tls`"
        }
        let exempt = "allow \(path ?? "its path"), the user agent rollcall-agent or the address 127.0.0.1"
        switch status {
        case 301, 302, 303, 307, 308: return redirectRemedy(path: path)
        case 400 where wantsTLS, 426: return "it wants TLS: write `deploy_tls on` into the service's check"
        case 400: return "\(hostRemedy); or, where its proxy sends one, `deploy_proxy_header v1`"
        case 421: return hostRemedy
        case 403: return "\(hostRemedy); or, if it asks who is there, `deploy_user` and `deploy_password_file`; or \(exempt)"
        case 404, 410:
            return way?.language == .fastcgi
                ? "name the file that PHP is to run: `deploy_script /srv/app/current/public/about.php`, with the path as PHP-FPM sees it"
                : "nothing is at \(path ?? "that path"): does the release have the endpoint, and is `deploy_path` right?"
        case 405: return "it does not answer GET there: is `deploy_path` right?"
        case 429: return "it limits how many requests it answers: \(exempt)"
        case 200..<300:
            if packing != nil { return "let it answer uncompressed: the question says `Accept-Encoding: identity`" }
            return isPage || isLonger
                ? "is it a login, or a page that is shown for every path? Look at `deploy_path`, and allow \(path ?? "it") without a login" : nil
        default: return nil
        }
    }

    private var hostRemedy: String {
        let asked = way.map { " (it was asked as \($0.host))" } ?? ""
        return
            "name a host that the application accepts\(asked): `deploy_host app.example.com` in the service's check (Rails: config.hosts, Django: ALLOWED_HOSTS)"
    }

    private func redirectRemedy(path: String?) -> String {
        guard let location else { return "it sends elsewhere, and does not say where" }
        let parts = LocationParts(location)
        if parts.isHTTPS, let way, !way.isTLS {
            return way.saysHTTPS
                ? "it got `\(AskingWay.forwardedHeader)` and still wants https: set the header that its proxy sets, `deploy_header \"NAME: VALUE\"`"
                : "it wants to be asked over https: write `deploy_header \"\(AskingWay.forwardedHeader)\"` into the service's check"
        }
        if parts.isHTTPS, way == nil {
            return "it wants to be asked over https: write `deploy_header \"\(AskingWay.forwardedHeader)\"` into the service's check"
        }
        if let name = parts.name, let way, name != hostName(way.host) {
            return "it calls itself \(name): write `deploy_host \(name)` into the service's check"
        }
        if let path, parts.path != path {
            return parts.path == path + "/" || parts.path + "/" == path
                ? "write `deploy_path \(parts.path)` into the service's check"
                : "does it want a login? Allow \(path) without"
        }
        return "it sends to itself: look at what it wants with `verify-token doctor --ask`"
    }
}
