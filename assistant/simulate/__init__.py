"""A virtual home that speaks MQTT discovery: for the demo, for tests, for trying sentences."""
