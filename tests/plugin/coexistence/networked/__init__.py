"""Programs of real clients and servers, which no schedule of a network may break."""
