"""Asks a server without a pause who it is, as its users do, and writes the answers down: the ground truth.

    prober.py PORT FILE [--tls] [--header "NAME: VALUE"]... [--proxied] [--kept N]

Two requests every 50 ms or so, launched on schedule, each over a new connection, whatever became of those before, and out of step with
everything else: else a balancer that takes turns would send always the same client to the same server. SIGUSR1 asks for a sweep of two seconds:
eight connections at a time that are all held half-asked for a moment, so that a worker that takes one request at a time cannot take all of them.

Beside them N clients (2) keep their connection and ask over it again and again, as browsers and proxies do. One whose connection was closed
between two requests asks once more over a new one, as RFC 9110 lets clients do: that is no failure.

A line in FILE is: when asked, when answered, and either pid, release and token (and `kept`) or what went wrong; or a turn, which shows that the
prober itself was not held up.
"""
import argparse, asyncio, random, signal, ssl, sys, time

sys.dont_write_bytecode = True

PACE, LIMIT, MOST, PATIENCE = 0.05, 15, 250, 2
SWEEPS, PARALLEL, HELD = 20, 8, 0.01


class Gone(Exception):
    """A connection ended before a byte of the answer had come."""


class Prober:
    def __init__(self, options):
        self.options = options
        self.asked = {}
        self.tls = None
        if options.tls:
            self.tls = ssl.create_default_context()
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        names = {line.partition(":")[0].strip().lower() for line in options.header}
        host = [] if "host" in names else [f"Host: 127.0.0.1:{options.port}"]
        self.head = "\r\n".join(["GET /whoami HTTP/1.1", *host, *options.header, ""]).encode()

    async def connect(self):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.options.port, ssl=None if self.options.proxied else self.tls)
        if self.options.proxied:
            writer.write(f"PROXY TCP4 127.0.0.1 127.0.0.1 40000 {self.options.port}\r\n".encode())
            if self.tls:
                await writer.start_tls(self.tls)
        return reader, writer

    async def write_down(self, answer):
        """Waits for an answer, however it ends."""
        began = time.monotonic()
        self.asked[began] = True
        try:
            text = await asyncio.wait_for(answer, LIMIT)
        except asyncio.TimeoutError:
            text = "! no answer"
        except asyncio.CancelledError:
            text = "! no answer yet"
        except Gone:
            text = "! closed without an answer"
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError) as error:
            text = f"! {type(error).__name__}"
        self.asked.pop(began, None)
        self.out.write(f"{began:.4f} {time.monotonic():.4f} {text}\n")
        self.out.flush()
        return text

    # Over a connection of its own

    async def ask_once(self, held=0.0):
        reader, writer = await self.connect()
        try:
            writer.write(self.head + b"Connection: close\r\n" + (b"" if held else b"\r\n"))
            if held:
                await asyncio.sleep(held)
                writer.write(b"\r\n")
            head, body, _ = await read_answer(reader)
            return said(head, body)
        finally:
            writer.close()

    # Over a kept connection

    async def keep(self, ended):
        connection = None
        while not ended.is_set():
            kept = [connection]
            answer = await self.write_down(self.ask_kept(kept))
            connection = kept[0]
            if answer.startswith("!") and connection:
                connection[1].close()
                connection = None
            try:
                await asyncio.wait_for(ended.wait(), 2 * PACE * random.uniform(0.5, 1.5))
            except asyncio.TimeoutError:
                pass
        if connection:
            connection[1].close()

    async def ask_kept(self, kept):
        """`kept` holds the connection of the last request, and then the one for the next."""
        connection, kept[0] = kept[0], None
        if connection:
            try:
                return await self.ask_over(connection, kept) + " kept"
            except (Gone, ConnectionError):
                connection[1].close()
        return await self.ask_over(await self.connect(), kept) + " kept"

    async def ask_over(self, connection, kept):
        reader, writer = connection
        # What hangs is closed by who gives up.
        kept[0] = connection
        writer.write(self.head + b"\r\n")
        head, body, stays = await read_answer(reader)
        if not stays:
            writer.close()
            kept[0] = None
        return said(head, body)

    # All of it

    async def run(self):
        loop = asyncio.get_running_loop()
        ended, sweeps = asyncio.Event(), 0
        loop.add_signal_handler(signal.SIGTERM, ended.set)

        def sweep():
            nonlocal sweeps
            sweeps = SWEEPS

        loop.add_signal_handler(signal.SIGUSR1, sweep)
        tasks = set()

        def launch(*words):
            if len(self.asked) >= MOST:
                # One more would wait as these do.
                self.out.write(f"{time.monotonic():.4f} {time.monotonic():.4f} ! no answer yet\n")
                return
            task = loop.create_task(self.write_down(self.ask_once(*words)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        with open(self.options.file, "a") as self.out:
            for _ in range(self.options.kept):
                task = loop.create_task(self.keep(ended))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            following = time.monotonic()
            turn = 0
            while not ended.is_set():
                for _ in range(2):
                    launch()
                turn += 1
                self.out.write(f"{time.monotonic():.4f} 0 turn\n")
                if sweeps and turn % 2:
                    sweeps -= 1
                    for _ in range(PARALLEL):
                        launch(HELD)
                following += PACE * random.uniform(0.5, 1.5)
                try:
                    await asyncio.wait_for(ended.wait(), max(0.001, following - time.monotonic()))
                except asyncio.TimeoutError:
                    pass
            # What is only slow, because the machine is, hangs not.
            if tasks:
                await asyncio.wait(tasks, timeout=PATIENCE)
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def read_answer(reader):
    """The head, the body, and whether another request may follow over the same connection."""
    first = await reader.read(1)
    if not first:
        raise Gone()
    head = first + await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:])
    wishes = fields.get(b"connection", b"")
    stays = b"close" not in wishes and (head.startswith(b"HTTP/1.1") or b"keep-alive" in wishes)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:size]
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return head, body, stays
    if b"content-length" in fields:
        return head, await reader.readexactly(int(fields[b"content-length"])), stays
    return head, await reader.read(), False


def said(head, body):
    line = head.split(b"\r\n")[0]
    if not line.startswith(b"HTTP/1."):
        return "! closed without an answer"
    words = body.decode(errors="replace").split()
    return " ".join(words) if b" 200 " in line + b" " and len(words) == 3 else "! " + line.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    parser.add_argument("--tls", action="store_true", help="over TLS, with whatever certificate there is")
    parser.add_argument("--header", action="append", default=[], help="a line of every request")
    parser.add_argument("--proxied", action="store_true", help="each connection begins with the PROXY header")
    parser.add_argument("--kept", type=int, default=2, help="so many clients keep their connection")
    asyncio.run(Prober(parser.parse_args()).run())


main()
