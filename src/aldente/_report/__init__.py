"""The page of a run that people look at in a browser: ``--aldente-html``.

``page``
    The whole page.
``failures``, ``findings``
    The parts about a failure of a test, with its still pictures; and about what rules have found,
    with lines of source.
``lanes``
    The steps of an explored run as lanes, one a task: plain values that the page's script draws.
``waits``, ``calls``, ``timers``, ``operations``
    The still pictures: which task waits for what; the calls of doubles; the pending timers; the
    operations of a history.
``layout``
    Places the boxes of a graph and the lines between them.
``figure``
    Figures: a picture, what it shows, and the same as text; rows of bars over an axis.
``elements``
    Elements of HTML and SVG.

The folder assets has the style and the script.
"""
