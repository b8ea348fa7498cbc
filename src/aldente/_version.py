"""The version of aldente, read by the build and by ``aldente.__version__``; where its site is."""

__version__ = "0.1.0"

# The address of the documentation, with a slash at its end, to which messages link; empty while
# there is no site.
documentation = ""
