"""The page that shows each failure of a run in the browser: ``--aldente-html``.

``hooks``
    Collects the failures, also from pytest-xdist's workers, and writes the page.
``failures``
    What is known of a failed phase of a test, as plain values, and what its still pictures show.
``evidence``
    What these need, and is gone when pytest reports the failure.

None of these is imported without the option. ``_plugin.output_files`` links to the page.
"""
