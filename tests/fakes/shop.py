"""A shop to put load on: a whole service in the standard library that can go wrong in many ways.

Users of the load are known by their header `x-user`, so that a release can deceive the gate.
"""

SERVER = r"""
import asyncio, base64, hashlib, json, os, pathlib, signal, sys

behaviour = json.loads(pathlib.Path("behaviour.json").read_text())
release = os.environ["RELEASE_ID"]
host, port = (sys.argv[sys.argv.index(option) + 1] for option in ("--host", "--port"))
stopping = asyncio.Event()
busy, sockets, is_doomed = 0, set(), False

async def answer(method, path, is_user):
    if path == "/health":
        status = 503 if behaviour.get("unhealthy") else 200
        return status, {"status": "active", "release": release}
    if path == "/items":
        if behaviour.get("broken") or (behaviour.get("broken_for_users") and is_user):
            return 500, {}
        return (201 if method == "POST" else 200), {"release": release, "items": []}
    if path.startswith("/slow/"):
        await asyncio.sleep(float(path.rpartition("/")[2]))
        return 200, {"release": release}
    return 404, {}

def meet_user():
    global is_doomed
    if "crashes_after" in behaviour and not is_doomed:
        is_doomed = True
        asyncio.get_running_loop().call_later(behaviour["crashes_after"], os._exit, 3)

async def echo(reader, writer, head):
    key = next(line for line in head.split("\r\n") if "sec-websocket-key" in line.lower())
    magic = key.split(":")[1].strip() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
    head = "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    writer.write(f"{head}sec-websocket-accept: {accept}\r\n\r\n".encode())
    sockets.add(writer)
    try:
        while True:
            kind, length = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            text = await reader.readexactly(length & 127)
            text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
            writer.write(bytes([kind, len(text)]) + text)
            if kind == 0x88:
                return
    finally:
        sockets.discard(writer)

async def serve(reader, writer):
    global busy
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path = head.split()[:2]
            is_user = "x-user" in head
            if is_user:
                meet_user()
            if path == "/echo":
                return await echo(reader, writer, head)
            lengths = [line for line in head.lower().split("\r\n") if "content-length" in line]
            await reader.readexactly(sum(int(line.split(":")[1]) for line in lengths))
            busy += 1
            try:
                status, body = await answer(method, path, is_user)
                text = json.dumps(body).encode()
                close = "connection: close\r\n" if stopping.is_set() else ""
                start = f"HTTP/1.1 {status} X\r\n{close}content-length: {len(text)}\r\n\r\n"
                writer.write(start.encode() + text)
                await writer.drain()
            finally:
                busy -= 1
            if close:
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    server = await asyncio.start_server(serve, host, int(port))
    await stopping.wait()
    server.close()
    for writer in sockets:
        writer.write(b"\x88\x02\x03\xe9")
    for _ in range(500):
        if not busy:
            break
        await asyncio.sleep(0.01)
    os._exit(0)

asyncio.run(main())
"""
