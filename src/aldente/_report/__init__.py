"""The page of a run that people look at in a browser: ``--aldente-html``.

``lanes``
    The steps of an explored run as lanes, one a task: plain values that the page's script draws.
"""
