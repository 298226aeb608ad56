"""Asks a server without a pause who it is, each time over a fresh connection, and writes the answers down: the ground truth.

    prober.py PORT FILE

Two requests every 50 ms or so, launched on schedule, whatever became of those before, and out of step with everybody else's: else a balancer
that takes turns would send always the same client to the same server. SIGUSR1 asks for a sweep of two seconds: eight connections at a
time that are all held half-asked for a moment, so that a worker that takes one request at a time cannot take all of them. A line in FILE is:
when asked, when answered, and either pid, release and token or what went wrong; or a turn, which shows that the prober itself was not held up.
"""
import asyncio, random, signal, sys, time

sys.dont_write_bytecode = True

PACE, LIMIT, MOST, PATIENCE = 0.05, 15, 250, 2
SWEEPS, PARALLEL, HELD = 20, 8, 0.01
port, path = int(sys.argv[1]), sys.argv[2]
HEAD = f"GET /whoami HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n".encode()
asked = {}


async def ask(out, held=0.0):
    began = time.monotonic()
    asked[began] = True
    try:
        answer = await asyncio.wait_for(exchange(held), LIMIT)
    except asyncio.TimeoutError:
        answer = "! no answer"
    except asyncio.CancelledError:
        answer = "! no answer yet"
    except OSError as error:
        answer = f"! {type(error).__name__}"
    asked.pop(began, None)
    out.write(f"{began:.4f} {time.monotonic():.4f} {answer}\n")
    out.flush()


async def exchange(held):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HEAD if held else HEAD + b"\r\n")
        if held:
            await asyncio.sleep(held)
            writer.write(b"\r\n")
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1."):
        return "! closed without an answer"
    words = body.decode(errors="replace").split()
    return " ".join(words) if b" 200 " in head.split(b"\r\n")[0] and len(words) == 3 else "! " + head.split(b"\r\n")[0].decode(errors="replace")


async def main():
    loop = asyncio.get_running_loop()
    ended, sweeps = asyncio.Event(), 0
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    def sweep():
        nonlocal sweeps
        sweeps = SWEEPS

    loop.add_signal_handler(signal.SIGUSR1, sweep)
    tasks = set()

    def launch(*words):
        if len(asked) >= MOST:
            # One more would wait as these do.
            out.write(f"{time.monotonic():.4f} {time.monotonic():.4f} ! no answer yet\n")
            return
        task = loop.create_task(ask(*words))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with open(path, "a") as out:
        following = time.monotonic()
        turn = 0
        while not ended.is_set():
            for _ in range(2):
                launch(out)
            turn += 1
            out.write(f"{time.monotonic():.4f} 0 turn\n")
            if sweeps and turn % 2:
                sweeps -= 1
                for _ in range(PARALLEL):
                    launch(out, HELD)
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


asyncio.run(main())
