"""The version of aldente, read by the build and by ``aldente.__version__``."""

__version__ = "0.1.0"
