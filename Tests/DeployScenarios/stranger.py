"""A server that has nothing to do with any deploy: it writes down each request that brings a password.

    stranger.py PORT FILE
"""
import http.server, sys

port, path = int(sys.argv[1]), sys.argv[2]


class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "Authorization" in self.headers:
            with open(path, "a") as file:
                file.write(f"{self.path} {self.headers.get('User-Agent')}\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Stranger)
print("listens", flush=True)
server.serve_forever()
