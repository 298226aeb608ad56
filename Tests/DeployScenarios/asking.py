"""How workers are asked, and what their answers mean."""
from scenario import DEPLOY, Remedy, Scenario, bad, good

LOGIN = "deploy_path /about/deploy, deploy_user about, deploy_password_file PASSWORD_FILE"
HOST = "host=app.example.com"
TO_HOST = '--header "Host: app.example.com"'
OVER_HTTPS = '--header "X-Forwarded-Proto: https"'


def alike(traits):
    """The old release is as the new one: what the application wants did not come with the deploy."""
    return {"traits": traits, "old_traits": traits, "asks_url": False}


SCENARIOS = [
    # Rails' way
    good("ask-force-ssl", "puma", "phased-restart", users=OVER_HTTPS, subset=True, **alike("https"),
         why="force_ssl: 301 to https, unless the proxy says that it was asked over TLS"),
    good("ask-force-ssl-came", "puma", "hot-restart", users=OVER_HTTPS, traits="https", asks_url=False,
         why="force_ssl came with the release: what was right before is not right any more"),
    bad("ask-hosts", "puma", "hot-restart", "UNPROVEN", "new", users=TO_HOST, reason="status 403", **alike(HOST),
        remedy=Remedy("deploy_host", rule=LOGIN + ", deploy_host app.example.com"),
        why="host authorization: no name that the agent knows is accepted"),
    good("ask-hosts-named", "puma", "hot-restart", users=TO_HOST, prepare="--host-header app.example.com", **alike(HOST),
         why="--host-header reaches the workers' question too"),
    good("ask-hosts-local", "puma", "hot-restart", users='--header "Host: localhost"', **alike("host=localhost"),
         why="localhost is accepted, the address is not: it is found"),
    good("ask-hosts-and-ssl", "puma", "phased-restart", users=f"{TO_HOST} {OVER_HTTPS}", rule=LOGIN + ", deploy_host app.example.com",
         **alike(HOST + " https"),
         why="both at once"),

    # Django
    bad("ask-django", "gunicorn", "hup", "UNPROVEN", "new", options="app=django_app", users=TO_HOST, reason="status 400", subset=True,
        **alike(""), remedy=Remedy("deploy_host", rule="deploy_path /about/deploy, deploy_host app.example.com"),
        why="ALLOWED_HOSTS: 400 to any other Host"),
    good("ask-django-ssl", "gunicorn", "hup", options="app=django_app", users=f"{TO_HOST} {OVER_HTTPS}", prepare="--host-header app.example.com",
         **alike("https"),
         why="SECURE_SSL_REDIRECT behind ALLOWED_HOSTS"),

    # TLS and proxies
    good("ask-tls-puma", "puma", "phased-restart", options="tls", subset=True, **alike(""),
         why="Puma speaks TLS itself"),
    good("ask-tls-gunicorn", "gunicorn", "hup", options="tls", **alike(""),
         why="gunicorn speaks TLS itself"),
    bad("ask-tls-verified", "gunicorn", "hup", "UNPROVEN", "new", options="tls", rule=LOGIN + ", deploy_host app.example.com, deploy_tls verify",
        **alike(""), remedy=Remedy("certificate is not trusted", rule=LOGIN + ", deploy_host app.example.com, deploy_tls on"),
        why="a certificate that this system does not trust is refused where that is asked"),
    good("ask-proxied", "gunicorn", "hup", options="proxied", rule=LOGIN + ", deploy_proxy_header v1", **alike(""),
         why="gunicorn wants the header of the PROXY protocol"),
    good("ask-proxied-puma", "puma", "hot-restart", options="proxied", rule=LOGIN + ", deploy_proxy_header v1", **alike(""),
         why="so does Puma"),

    # What is answered
    good("ask-limited", "gunicorn", "hup", options="workers=4", timeout=20, **alike("limit=2"),
         why="two answers in a second, of four workers: 429 takes no right answer back"),
    bad("ask-limited-to-none", "gunicorn", "hup", "UNPROVEN", "new", **alike("limit=0"),
        remedy=Remedy("allow /about/deploy, the user agent rollcall-agent or the address 127.0.0.1", traits="", old_traits=""),
        why="429 to every question"),
    good("ask-line-ends", "gunicorn", "hup", **alike("body=line"), why="CRLF behind the token"),
    good("ask-byte-order-mark", "gunicorn", "hup", **alike("body=mark"), why="a byte order mark before it"),
    good("ask-quoted", "gunicorn", "hup", subset=True, **alike("body=quoted"), why="as JSON has a text"),
    good("ask-capitals", "gunicorn", "hup", **alike("body=capitals"), why="hexadecimal digits in capitals"),
    good("ask-gzip", "gunicorn", "hup", **alike("body=gzip"), why="compressed, whatever the question says"),
    bad("ask-html", "gunicorn", "hup", "UNPROVEN", "new", **alike("body=html"),
        remedy=Remedy("answer the token alone", traits="", old_traits=""),
        why="the token in a page: a person sees it, and learns what to do"),
    bad("ask-login-page", "gunicorn", "hup", "UNPROVEN", "new", reason="a page of html", **alike("body=page"),
        remedy=Remedy("allow /about/deploy without a login", traits="", old_traits=""),
        why="a page with status 200 for every path is not the application's answer"),

    # Other languages
    good("ask-uwsgi-protocol", "uwsgi", "hup", options="unix", front="nginx pass=uwsgi", asks_url=False, subset=True,
         why="workers speak the uwsgi protocol, and nginx passes requests on to them"),
    bad("ask-uwsgi-protocol-lost", "uwsgi", "", "STALE", "old", options="unix", front="nginx pass=uwsgi", asks_url=False,
        why="the same, and it was not reloaded"),
    good("ask-php-ping", "php-fpm", "reload", options="ping", front="nginx pass=fastcgi", asks_url=False,
         why="PHP-FPM's workers answer what their pool's file says"),
    bad("ask-php-ping-lost", "php-fpm", "", "STALE", "old", options="ping", front="nginx pass=fastcgi", asks_url=False,
        why="the same, and it was not reloaded"),
    bad("ask-php", "php-fpm", "reload", "UNPROVEN", "new", front="nginx pass=fastcgi", asks_url=False,
        remedy=Remedy("deploy_script", rule="deploy_path /about/deploy, deploy_script CURRENT/about.php"),
        why="which file answers is in the web server's configuration"),
]
