"""The page of a run that people look at in a browser: ``--aldente-html``.

``page``
    The whole page.
``failures``, ``findings``
    The parts about a failure of a test, and about what rules have found.
``lanes``
    The steps of an explored run as lanes, one a task: plain values that the page's script draws.
``panels``
    What the still pictures show, and how they are drawn.
``waits``, ``calls``, ``timers``, ``operations``
    These pictures: which task waits for what; the calls of doubles; the timers that lay ahead; the
    operations of a history.
``layout``
    Places the boxes of a graph and the lines between them.
``bars``
    Rows of bars over an axis.
``figure``
    Figures: a picture, what it shows, and the same as text.
``excerpts``
    The lines of source that are shown.
``elements``
    Elements of HTML and SVG.

The folder assets has the style and the script.
"""
