"""One database system per module, behind the interface in `fetcher.drivers.driver`."""
