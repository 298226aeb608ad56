"""The application as Django 3.2 has it, with what its deployment checklist asks for."""
import os

import app
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

redirects = "https" in app.traits
settings.configure(
    DEBUG=False, SECRET_KEY="not one", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["app.example.com"], SECURE_SSL_REDIRECT=redirects,
    SECURE_REDIRECT_EXEMPT=["^$"], SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"])


def text(body):
    return HttpResponse(body, content_type="text/plain")


urlpatterns = [
    path("about/deploy", lambda request: text(app.token)),
    path("whoami", lambda request: text(f"{os.getpid()} {app.release} {app.token}")),
]
inner = get_wsgi_application()


def application(environment, start_response):
    # Only the bed asks whether it is there.
    if environment["PATH_INFO"] == "/":
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    return inner(environment, start_response)
