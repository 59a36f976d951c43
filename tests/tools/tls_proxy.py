"""Speaks TLS for a server that does not: tls_proxy.py PORT TARGET_PORT CERTIFICATE KEY, on loopback."""

import asyncio
import ssl
import sys


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # Either side may go away at any time.
    finally:
        writer.close()


async def main(port, target, certificate, key):
    async def serve(reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    port, target, certificate, key = sys.argv[1:]
    asyncio.run(main(int(port), int(target), certificate, key))
