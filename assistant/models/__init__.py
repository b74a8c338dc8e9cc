"""The catalogue of models: where from, licence, checksum; fetch, verify, remove."""
