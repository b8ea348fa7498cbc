# views.py
import asyncio

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.urls import path


class Mailer:
    async def send(self, address: str, text: str) -> None:
        raise ConnectionError("a real mail server, which is not there in tests")


mailer = Mailer()


async def users(request: HttpRequest) -> JsonResponse:
    names = [user.username async for user in User.objects.order_by("username")]
    return JsonResponse({"users": names})


async def invite(request: HttpRequest, name: str) -> JsonResponse:
    user = await User.objects.aget(username=name)
    try:
        async with asyncio.timeout(10):
            await mailer.send(user.email, "Come and eat.")
    except TimeoutError:
        return JsonResponse({"sent": False}, status=504)
    return JsonResponse({"sent": True})


urlpatterns = [path("users/", users), path("invite/<name>/", invite)]
