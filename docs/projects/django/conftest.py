# conftest.py
import pytest
from django.contrib.auth.models import User


@pytest.fixture
async def ann(transactional_db):
    return await User.objects.acreate(username="ann", email="ann@example.org")
