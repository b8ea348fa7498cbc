"""What the rule ``blocking-call`` is made of.

``audit`` and ``patches`` notice calls, the one by Python's audit events, the other where Python has
none. ``watching`` decides whether anybody wants to know, ``frames`` who made the call, and
``wording`` what to say of it.
"""
