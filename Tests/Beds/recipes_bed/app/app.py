"""The application for gunicorn."""
import pathlib

from deploy_token import DeployToken

version = (pathlib.Path(__file__).resolve().parent / "VERSION").read_text().strip()
if version.startswith("broken"):
    raise RuntimeError("this release does not boot")


def answer(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [version.encode()]


application = DeployToken(answer)
