"""The same five no-op steps in Celery, Dramatiq and FastStream: what the relay's records a second are compared with."""
