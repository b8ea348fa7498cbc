# test_shop.py
import asyncio

import pytest

PAGE = """
<script>
async function order() {
    await fetch("/order", {method: "POST"})
    document.querySelector("h1").textContent = "ordered"
}
</script>
<button onclick="order()">Order</button><h1>menu</h1>
"""


class Shop:
    def __init__(self):
        self.orders = 0

    async def answer(self, reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"POST"):
            self.orders += 1
        body = PAGE.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture(scope="session")
async def shop():
    shop = Shop()
    async with await asyncio.start_server(shop.answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        shop.address = f"http://{host}:{port}"
        yield shop


async def test_order(page, shop):
    before = shop.orders
    await page.goto(shop.address)
    await page.get_by_role("button", name="Order").click()
    await page.get_by_text("ordered").wait_for()
    assert shop.orders == before + 1
