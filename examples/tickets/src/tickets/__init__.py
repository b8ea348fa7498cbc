"""Sell tickets for concerts over HTTP.

A map of the code, each module using only those above it:

- `errors`: every exception, each built from facts it keeps.
- `settings`: what can be set, with the defaults.
- `limiter`: a token bucket for each client.
- `single_flight`: many callers, one call.
- `breaker`: a circuit breaker.
- `prices`: prices of a slow server, kept for a while.
- `payments`: the payment provider, behind the breaker.
- `mailing`: a queue of mails, and workers that send them.
- `feed`: how many seats are left, told to all who listen.
- `store`: concerts, reservations and unsent mails in a database.
- `box_office`: what can be done with tickets: reserve, pay, expire.
- `scheduler`: what is done every few seconds.
- `streams`: the feed as server-sent events and over a websocket.
- `application`: all of it put together, as a FastAPI application.
- `server`: uvicorn, which ends the streams before it waits for them.
- `__main__`: `python -m tickets`.
"""
