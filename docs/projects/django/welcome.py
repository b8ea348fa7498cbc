# welcome.py
from django.http import HttpRequest, HttpResponse

from views import mailer

welcomed: set[str] = set()


async def welcome(request: HttpRequest, name: str) -> HttpResponse:
    if name not in welcomed:
        await mailer.send(f"{name}@example.org", "Welcome!")
        welcomed.add(name)
    return HttpResponse("ok")
