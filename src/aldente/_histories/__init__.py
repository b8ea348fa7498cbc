"""Histories: what tasks have done to something that they share, and whether it can be correct.

It knows nothing of event loops but their time, and nothing of the rest of aldente but its errors.

``operations``
    Operations and transactions, as they are recorded; their values, compared and shown.
``models``
    Models of things that are shared, by which a history is judged.
``linearizability``
    A model as a machine with states, and the search for an order of operations in which the model
    gives the same results.
``timeline``
    The picture of what happened at the same time.
``dependencies``
    The graph of transactions, and its cycles.
``accesses``
    What transactions have done to one key.
``serializability``
    Looks for transactions that can't be put in any order.
``history``
    `aldente.history` and `aldente.History`, above all of these; why no order gives the results.
"""

from __future__ import annotations

from aldente._histories import models as models
