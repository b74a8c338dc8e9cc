"""The connection to the broker, and a broker of our own where there is none."""
