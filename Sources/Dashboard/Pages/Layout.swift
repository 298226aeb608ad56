// What is around every page.

import Platform

/// A whole document.
func document(_ page: any Page, route: Route?, visitor: Visitor?, at now: Timestamp) -> String {
    let content = html(Attribute("lang", "en")) {
        head {
            meta(Attribute("charset", "utf-8"))
            title { "\(page.title) · Rollcall" }
            meta(Attribute("name", "viewport"), Attribute("content", "width=device-width, initial-scale=1"))
            meta(Attribute("name", "color-scheme"), Attribute("content", "light dark"))
            link(Attribute("rel", "icon"), Attribute("type", "image/svg+xml"), .href(Assets.icon.route))
            link(Attribute("rel", "stylesheet"), .href(Assets.stylesheet.route))
            script(Attribute("src", Assets.script.route.path), Attribute("defer")) {}
        }
        body {
            a(.class("skip"), Attribute("href", "#main")) { "Skip to the content" }
            banner(route: route, visitor: visitor)
            MainPart(page, route: route, at: now).html
        }
    }
    return "<!doctype html>\n\(content.markup)\n"
}

/// The part of a document that a live page replaces.
struct MainPart: Sendable {
    /// What people see: two parts with the same content need not replace each other.
    let content: HTML
    let html: HTML

    init(_ page: any Page, route: Route?, at now: Timestamp) {
        let content = page.content(at: now)
        self.content = content
        html = main(
            .id("main"), Attribute("tabindex", "-1"), Attribute("data-now", String(now.seconds)), Attribute("data-headline", page.headline),
            route.flatMap { $0.isLive ? Attribute("data-live", "\(Route.live.path)?page=\(percentEncoded($0.path))") : nil }
        ) { content }
    }

    var markup: String { html.markup }
}

private let places: [(name: String, route: Route)] = [
    ("Services", .services), ("Hosts", .hosts), ("Deploys", .deploys), ("Health", .health),
]

private func banner(route: Route?, visitor: Visitor?) -> HTML {
    header(.class("banner")) {
        div(.class("bar")) {
            a(.class("brand"), .href(.services)) {
                icon(.brand)
                "Rollcall"
            }
            if let visitor {
                nav(Attribute("aria-label", "Main")) {
                    for place in places {
                        a(.href(place.route), isCurrent(place.route, route) ? Attribute("aria-current", "page") : nil) { place.name }
                    }
                }
                div(.class("visitor")) {
                    span(.id("live"), .class("live"), Attribute("hidden")) {}
                    span(.id("headline"), .class("unseen"), .role("status")) {}
                    form(Attribute("method", "post"), .action(.logout)) {
                        formToken(visitor.formToken)
                        span(.class("user")) { visitor.name }
                        button(.class("quiet"), Attribute("type", "submit")) { "Log out" }
                    }
                }
            }
        }
    }
}

/// A service belongs to the services, a host and adding one to the hosts, a deploy and the tokens of scripts to the deploys.
private func isCurrent(_ place: Route, _ route: Route?) -> Bool {
    switch (place, route) {
    case (.services, .services), (.services, .service), (.hosts, .hosts), (.hosts, .host), (.hosts, .addHost), (.deploys, .deploys),
        (.deploys, .deploy), (.deploys, .tokens), (.health, .health):
        true
    default: false
    }
}

/// What every form carries.
func formToken(_ token: String) -> HTML {
    input(Attribute("type", "hidden"), Attribute("name", "form_token"), Attribute("value", token))
}
