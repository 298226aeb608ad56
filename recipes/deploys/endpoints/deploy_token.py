# WSGI, Flask, Django: deploy_token.py beside the application, in the release's folder
#
#   WSGI:    application = DeployToken(application)
#   Flask:   app.wsgi_app = DeployToken(app.wsgi_app)
#   Django, in wsgi.py:   application = DeployToken(get_wsgi_application())
import pathlib

# Read once, when the module is loaded, and from beside it: it says which release was loaded, whatever the link says now.
try:
    TOKEN = (pathlib.Path(__file__).resolve().parent / "TOKEN").read_bytes()[:4096].strip()
except OSError:
    TOKEN = b"none"


class DeployToken:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if environ.get("PATH_INFO") != "/about/deploy":
            return self.application(environ, start_response)
        headers = [("Content-Type", "text/plain"), ("Cache-Control", "no-store"), ("Content-Length", str(len(TOKEN)))]
        start_response("200 OK", headers)
        return [TOKEN]
