# test_users.py
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation

pytestmark = pytest.mark.django_db(transaction=True)


async def test_users(async_client, ann):
    response = await async_client.get("/users/")
    assert response.json() == {"users": ["ann"]}


async def test_it_is_empty_again(async_client):
    response = await async_client.get("/users/")
    assert response.json() == {"users": []}


async def test_a_change(ann):
    ann.username = "anna"
    await ann.asave()
    assert await User.objects.aget() == ann


def test_a_sync_test_uses_the_async_fixture(client, ann):
    assert client.get("/users/").json() == {"users": ["ann"]}


async def test_a_blocking_query():
    with pytest.raises(SynchronousOnlyOperation):
        User.objects.count()
