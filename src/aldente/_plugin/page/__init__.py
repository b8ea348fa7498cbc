"""The page that shows each failure of a run in the browser: ``--aldente-html``.

``hooks``
    Collects the failures, also from pytest-xdist's workers, and writes the page.
``failures``
    What is known of a failed phase of a test, as plain values.
``panels``
    What the still pictures of a failure show.
``evidence``
    What these need, and is gone when pytest reports the failure.
``link``
    The line of the terminal that links to the page, or says that there could be one.

Only the last of these is imported without the option.
"""
