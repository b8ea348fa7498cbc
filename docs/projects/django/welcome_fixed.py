# welcome_fixed.py
from django.http import HttpRequest, HttpResponse

from views import mailer

welcomed: set[str] = set()


async def welcome(request: HttpRequest, name: str) -> HttpResponse:
    if name not in welcomed:
        welcomed.add(name)
        try:
            await mailer.send(f"{name}@example.org", "Welcome!")
        except BaseException:
            welcomed.discard(name)
            raise
    return HttpResponse("ok")
