# test_notes.py
async def test_a_note(client):
    response = await client.put("/notes/shopping", data="penne")
    assert response.status == 201
    response = await client.get("/notes/shopping")
    assert await response.text() == "penne"


async def test_no_note(client):
    response = await client.get("/notes/shopping")
    assert response.status == 404
